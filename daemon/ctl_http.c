/* mediavmctl: asks the daemon, by libcurl over its Unix socket. */
#include "daemon/ctl.h"

#include <curl/curl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_ANSWER (64 * 1024 * 1024)

/* --- paths ------------------------------------------------------------ */

char *ctl_path(const char *format, ...)
{
	char *path = NULL, *escaped;
	size_t size = 0;
	FILE *to = open_memstream(&path, &size);
	const char *p;
	va_list args;

	if (!to)
		return NULL;
	va_start(args, format);
	for (p = format; *p; p++) {
		if (p[0] != '%' || p[1] != 's') {
			fputc(*p, to);
			continue;
		}
		escaped = curl_easy_escape(NULL, va_arg(args, const char *), 0);
		fputs(escaped ? escaped : "", to);
		curl_free(escaped);
		p++;
	}
	va_end(args);
	fclose(to);
	return path;
}

void ctl_path_query(char **path, const char *key, const char *value)
{
	char *escaped, *longer;

	if (!value || !*path)
		return;
	escaped = curl_easy_escape(NULL, value, 0);
	if (asprintf(&longer, "%s%c%s=%s", *path,
		     strchr(*path, '?') ? '&' : '?', key,
		     escaped ? escaped : "") < 0)
		longer = NULL;
	curl_free(escaped);
	free(*path);
	*path = longer;
}

/* --- one request ------------------------------------------------------ */

struct exchange {
	const struct ctl *ctl;
	CURL *curl;
	struct curl_slist *headers;
	char *url;
	char why[CURL_ERROR_SIZE];
	/* The body: into memory, or by turns to a file or a caller. */
	char *text;
	size_t size;
	FILE *to;
	int write_error; /* errno of the first failure */
	const char *title;
	int (*line)(void *data, const char *text);
	void *data;
	bool stopped; /* by line() */
};

static bool is_error(struct exchange *x)
{
	long status = 0;

	curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
	return status >= 400;
}

/* Hands whole lines to the caller; the rest waits. */
static bool give_lines(struct exchange *x)
{
	char *start = x->text, *end;

	while ((end = memchr(start, '\n',
			     x->size - (size_t)(start - x->text)))) {
		*end = 0;
		if (x->line(x->data, start)) {
			x->stopped = true;
			return false;
		}
		start = end + 1;
	}
	x->size -= (size_t)(start - x->text);
	memmove(x->text, start, x->size + 1);
	return true;
}

static size_t on_body(char *bytes, size_t one, size_t count, void *data)
{
	struct exchange *x = data;
	char *longer;

	(void)one;
	if (x->to && !is_error(x)) {
		size_t n = fwrite(bytes, 1, count, x->to);

		if (x->to == stdout)
			ctl_print_begun();
		if (n < count)
			x->write_error = errno;
		return n;
	}
	if (count > MAX_ANSWER - x->size)
		return 0;
	longer = realloc(x->text, x->size + count + 1);
	if (!longer)
		return 0;
	memcpy(longer + x->size, bytes, count);
	x->text = longer;
	x->size += count;
	x->text[x->size] = 0;
	if (x->line && !is_error(x) && !give_lines(x))
		return 0;
	return count;
}

static int on_progress(void *data, curl_off_t total, curl_off_t now,
		       curl_off_t up_total, curl_off_t up_now)
{
	struct exchange *x = data;
	char size[CTL_TEXT_SIZE];

	(void)up_total, (void)up_now;
	if (x->title && now)
		ctl_progress(x->title,
			     total > 0 ? (double)now / (double)total : -1,
			     ctl_size(now, size));
	return 0;
}

static int prepare(struct exchange *x, const struct ctl *ctl,
		   const char *method, const char *path, struct error *error)
{
	x->ctl = ctl;
	x->curl = path ? curl_easy_init() : NULL;
	if (!x->curl || asprintf(&x->url, "http://localhost%s", path) < 0)
		return error_set(error, ENOMEM, "no memory");
	curl_easy_setopt(x->curl, CURLOPT_URL, x->url);
	curl_easy_setopt(x->curl, CURLOPT_UNIX_SOCKET_PATH, ctl->socket);
	curl_easy_setopt(x->curl, CURLOPT_PROXY, "");
	/* A vault called ".." is none, and not the folder above. */
	curl_easy_setopt(x->curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(x->curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(x->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(x->curl, CURLOPT_ERRORBUFFER, x->why);
	curl_easy_setopt(x->curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(x->curl, CURLOPT_WRITEDATA, x);
	curl_easy_setopt(x->curl, CURLOPT_NOPROGRESS, x->title ? 0L : 1L);
	curl_easy_setopt(x->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(x->curl, CURLOPT_XFERINFODATA, x);
	return 0;
}

static void cleanup(struct exchange *x)
{
	curl_slist_free_all(x->headers);
	curl_easy_cleanup(x->curl);
	free(x->url);
	free(x->text);
}

/* Why there was no answer at all. */
static int explain(const struct exchange *x, CURLcode code, struct error *error)
{
	const char *socket = x->ctl->socket;
	long number = 0;

	if (code != CURLE_COULDNT_CONNECT)
		return error_set(error, EIO, "the daemon broke off: %s",
				 x->why[0] ? x->why : curl_easy_strerror(code));
	curl_easy_getinfo(x->curl, CURLINFO_OS_ERRNO, &number);
	if (access(socket, F_OK) < 0 && errno != EACCES)
		return error_set(error, ENOENT,
				 "mediavmd does not run: there is no %s; start "
				 "it (systemctl start mediavmd) or name its "
				 "socket with --socket",
				 socket);
	if (number == EACCES || errno == EACCES)
		return error_set(error, EACCES,
				 "%s: permission denied; run this as root or "
				 "as the user of mediavmd",
				 socket);
	return error_set(error, ECONNREFUSED,
			 "mediavmd does not run: nobody listens on %s; start "
			 "it (systemctl start mediavmd)",
			 socket);
}

/* The daemon's own words for a status of 400 and more. */
static int refusal(const struct exchange *x, struct error *error)
{
	json_t *json = json_loadb(x->text ? x->text : "", x->size, 0, NULL);
	const char *text = ctl_text(json, "error");
	long status = 0;

	curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
	if (text[0])
		error_set(error, EREMOTEIO, "%s", text);
	else
		error_set(error, EREMOTEIO, "the daemon answered %ld", status);
	json_decref(json);
	return error->code;
}

static int perform(struct exchange *x, struct error *error)
{
	CURLcode code = curl_easy_perform(x->curl);

	if (x->title)
		ctl_progress_end();
	if (x->stopped)
		return 0;
	if (x->write_error)
		return error_errno(error, x->write_error,
				   "cannot write the file");
	if (code != CURLE_OK)
		return explain(x, code, error);
	return is_error(x) ? refusal(x, error) : 0;
}

int ctl_call(const struct ctl *ctl, const char *method, const char *path,
	     json_t *body, json_t **answer, struct error *error)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	struct exchange x = {0};
	json_t *json = NULL;
	int result = prepare(&x, ctl, method, path, error);

	json_decref(body);
	if (!result && text) {
		x.headers = curl_slist_append(NULL,
					      "Content-Type: application/json");
		curl_easy_setopt(x.curl, CURLOPT_HTTPHEADER, x.headers);
		curl_easy_setopt(x.curl, CURLOPT_POSTFIELDS, text);
	}
	if (!result)
		result = perform(&x, error);
	if (!result) {
		json = json_loadb(x.text ? x.text : "", x.size, 0, NULL);
		if (!json)
			result = error_set(error, EPROTO,
					   "the daemon's answer is no JSON");
	}
	cleanup(&x);
	free(text);
	if (answer)
		*answer = json;
	else
		json_decref(json);
	return result;
}

int ctl_list(const struct ctl *ctl, const char *path,
	     const char *const options[], unsigned count, json_t **list,
	     struct error *error)
{
	char *whole = strdup(path);
	unsigned i;
	int result;

	for (i = 0; i < count; i++)
		ctl_path_query(&whole, options[i], ctl_option(ctl, options[i]));
	result = ctl_call(ctl, "GET", whole, NULL, list, error);
	free(whole);
	return result;
}

int ctl_download(const struct ctl *ctl, const char *path, FILE *to,
		 const char *title, struct error *error)
{
	struct exchange x = {.to = to, .title = title};
	int result = prepare(&x, ctl, "GET", path, error);

	if (!result)
		result = perform(&x, error);
	cleanup(&x);
	return result;
}

int ctl_stream(const struct ctl *ctl, const char *path,
	       int (*line)(void *data, const char *text), void *data,
	       struct error *error)
{
	struct exchange x = {.line = line, .data = data};
	int result = prepare(&x, ctl, "GET", path, error);

	if (!result)
		result = perform(&x, error);
	cleanup(&x);
	return result;
}
