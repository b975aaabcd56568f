/* One connection to the far end of a transfer. */
#include "daemon/transfer_far.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "daemon/job_sandbox.h"

#define CONNECT_S 30L
#define STILL_S 60L /* without a byte: it is broken */
#define REDIRECTS 10L
#define MEMORY 4096 /* MiB, with a part of S3 */
#define CPU_SECONDS (24 * 3600)

const char *far_text(const struct far *far, const char *name)
{
	const char *text =
		json_string_value(json_object_get(far->request, name));

	return text && *text ? text : NULL;
}

int far_enter(struct error *error)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return error_set(error, -EIO, "no libcurl");
	return job_sandbox_enter_network(MEMORY, CPU_SECONDS, error);
}

/* --- opening ----------------------------------------------------------- */

static bool is_loopback(const char *host)
{
	struct in_addr address;

	return !strcmp(host, "localhost") || !strcmp(host, "[::1]") ||
	       (inet_pton(AF_INET, host, &address) == 1 &&
		ntohl(address.s_addr) >> 24 == 127);
}

/* The URL without user and fragment, and with `end` behind its path. */
static char *make_url(CURLU *parts, const char *path, const char *end)
{
	CURLU *copy = curl_url_dup(parts);
	char *whole = NULL, *text = NULL;

	if (!copy || asprintf(&text, "%s%s", path, end) < 0)
		text = NULL;
	if (text && !curl_url_set(copy, CURLUPART_USER, NULL, 0) &&
	    !curl_url_set(copy, CURLUPART_FRAGMENT, NULL, 0) &&
	    !curl_url_set(copy, CURLUPART_PATH, text, 0) &&
	    curl_url_get(copy, CURLUPART_URL, &whole, 0))
		whole = NULL;
	free(text);
	curl_url_cleanup(copy);
	text = whole ? strdup(whole) : NULL;
	curl_free(whole);
	return text;
}

static int take_parts(struct far *far, CURLU *parts, const char *url,
		      struct error *error)
{
	char *host = NULL, *path = NULL, *user = NULL, end[64] = "";
	const char *id = far_text(far, "id");

	curl_url_get(parts, CURLUPART_HOST, &host, 0);
	curl_url_get(parts, CURLUPART_PATH, &path, 0);
	curl_url_get(parts, CURLUPART_USER, &user, CURLU_URLDECODE);
	if (id)
		snprintf(end, sizeof(end), ".%s.part", id);
	if (host && path) {
		snprintf(far->host, sizeof(far->host), "%s", host);
		snprintf(far->user, sizeof(far->user), "%s", user ? user : "");
		far->is_local = is_loopback(host);
		/* A signature is of the very text. */
		far->url = far->kind == FAR_S3 ? strdup(url)
					       : make_url(parts, path, "");
		far->beside = make_url(parts, path, end);
	}
	curl_free(host);
	curl_free(path);
	curl_free(user);
	return far->url && far->beside
		       ? 0
		       : error_set(error, -EINVAL, "the URL can't be used");
}

static int take_url(struct far *far, const char *url, struct error *error)
{
	CURLU *parts = curl_url();
	CURLUcode code = parts ? curl_url_set(parts, CURLUPART_URL, url, 0)
			       : CURLUE_OUT_OF_MEMORY;
	int r;

	if (code)
		r = error_set(error, -EINVAL, "it is no URL: %s",
			      curl_url_strerror(code));
	else
		r = take_parts(far, parts, url, error);
	curl_url_cleanup(parts);
	return r;
}

int far_open(struct far *far, const json_t *request, struct error *error)
{
	const char *url;
	char *of_s3 = NULL;
	int r = 0;

	*far = (struct far){.request = request, .last_good = far_now()};
	far->state = json_copy(json_object_get(request, "state"));
	/* Of a run that goes on with what another began: it was reached. */
	far->reached = json_is_true(json_object_get(request, "again"));
	url = far_text(far, "url");
	if (!url)
		return error_set(error, -EINVAL, "no URL");
	if (!strncasecmp(url, "sftp:", 5))
		far->kind = FAR_SFTP;
	else if (!strncasecmp(url, "s3:", 3))
		far->kind = FAR_S3;
	if (far->kind == FAR_S3) {
		of_s3 = far_s3_url(far, url, error);
		r = of_s3 ? 0 : -EINVAL;
	}
	if (!r)
		r = take_url(far, of_s3 ? of_s3 : url, error);
	free(of_s3);
	if (!r)
		r = far_login(far, error);
	if (!r && far->kind == FAR_S3 && !far->password[0])
		r = error_set(error, -EACCES,
			      "there are no keys for %s: give them in %s "
			      "(machine %s login ACCESS-KEY password "
			      "SECRET-KEY)",
			      far->host,
			      far_text(far, "netrc") ? far_text(far, "netrc")
						     : "a netrc file",
			      far->host);
	if (!r && far->kind == FAR_SFTP && !far->user[0])
		r = error_set(error, -EINVAL,
			      "who to be at %s is not said: use "
			      "sftp://USER@%s/…",
			      far->host, far->host);
	far->curl = curl_easy_init();
	if (!r && !far->curl)
		r = error_set(error, -ENOMEM, "no memory");
	return r;
}

void far_close(struct far *far)
{
	curl_easy_cleanup(far->curl);
	curl_slist_free_all(far->headers);
	free(far->url);
	free(far->beside);
	free(far->body);
	json_decref(far->state);
	explicit_bzero(far->password, sizeof(far->password));
}

/* --- a request --------------------------------------------------------- */

size_t far_keep(char *data, size_t size, size_t count, void *user)
{
	struct far *far = user;
	char *more;

	size *= count;
	if (size > FAR_ANSWER - far->body_size)
		return size; /* the rest is of no use */
	more = realloc(far->body, far->body_size + size + 1);
	if (!more)
		return 0;
	memcpy(more + far->body_size, data, size);
	far->body = more;
	far->body_size += size;
	more[far->body_size] = '\0';
	return size;
}

/* The value of a header when it is the named one, into text. */
static bool take_value(const char *line, size_t size, const char *name,
		       char *text, size_t room)
{
	size_t n = strlen(name);

	if (size <= n || strncasecmp(line, name, n) || line[n] != ':')
		return false;
	line += n + 1;
	size -= n + 1;
	while (size && (*line == ' ' || *line == '\t'))
		line++, size--;
	while (size && (unsigned char)line[size - 1] <= ' ')
		size--;
	snprintf(text, room, "%.*s", (int)(size < room ? size : room), line);
	return true;
}

static void take_range(struct far_answer *answer, const char *text)
{
	long long from, to, size;
	int n = sscanf(text, "bytes %lld-%lld/%lld", &from, &to, &size);

	if (n >= 2) {
		answer->is_partial = true;
		answer->from = from;
	} else if (sscanf(text, "bytes */%lld", &size) == 1) {
		n = 3;
	}
	if (n == 3)
		answer->size = size;
}

static size_t take_header(char *line, size_t size, size_t count, void *user)
{
	struct far *far = user;
	struct far_answer *answer = &far->answer;
	char text[FAR_TAG_SIZE];

	size *= count;
	if (size > 5 && !strncasecmp(line, "HTTP/", 5)) {
		*answer = (struct far_answer){
			.length = -1, .from = -1, .size = -1};
		sscanf(line, "%*s %ld", &answer->status);
		if (answer->status < 500)
			far->reached = true;
	}
	take_value(line, size, "etag", answer->etag, sizeof(answer->etag));
	take_value(line, size, "last-modified", answer->modified,
		   sizeof(answer->modified));
	if (take_value(line, size, "content-length", text, sizeof(text)))
		answer->length = strtoll(text, NULL, 10);
	if (take_value(line, size, "content-range", text, sizeof(text)))
		take_range(answer, text);
	if (take_value(line, size, "dav", text, sizeof(text)))
		answer->is_dav = true;
	return size;
}

/* "SHA256:" and the digest as ssh-keygen -l shows it. */
static void show_key(struct far *far, const struct curl_khkey *key)
{
	unsigned char digest[32], text[64];
	unsigned n;

	if (!key->len ||
	    !EVP_Digest(key->key, key->len, digest, &n, EVP_sha256(), NULL))
		return;
	EVP_EncodeBlock(text, digest, sizeof(digest));
	text[strcspn((char *)text, "=")] = '\0';
	snprintf(far->key, sizeof(far->key), "SHA256:%s", text);
}

static int judge_key(CURL *curl, const struct curl_khkey *known,
		     const struct curl_khkey *found, enum curl_khmatch match,
		     void *user)
{
	struct far *far = user;

	(void)curl;
	(void)known;
	if (match == CURLKHMATCH_OK)
		return CURLKHSTAT_FINE;
	far->key_changed = match == CURLKHMATCH_MISMATCH;
	show_key(far, found);
	return CURLKHSTAT_REJECT;
}

static void set_login(struct far *far)
{
	CURL *curl = far->curl;

	if (far->user[0])
		curl_easy_setopt(curl, CURLOPT_USERNAME, far->user);
	if (far->password[0])
		curl_easy_setopt(curl, CURLOPT_PASSWORD, far->password);
	/* A password goes in clear over TLS or within this machine only. */
	if (far->kind == FAR_HTTP && far->password[0])
		curl_easy_setopt(curl, CURLOPT_HTTPAUTH,
				 far->is_local ||
						 !strncmp(far->url, "https:", 6)
					 ? CURLAUTH_BASIC | CURLAUTH_DIGEST
					 : CURLAUTH_DIGEST);
}

static void set_ssh(struct far *far)
{
	CURL *curl = far->curl;

	curl_easy_setopt(curl, CURLOPT_SSH_KNOWNHOSTS,
			 far_text(far, "known_hosts")
				 ? far_text(far, "known_hosts")
				 : "/dev/null");
	curl_easy_setopt(curl, CURLOPT_SSH_KEYFUNCTION, judge_key);
	curl_easy_setopt(curl, CURLOPT_SSH_KEYDATA, far);
	curl_easy_setopt(curl, CURLOPT_SSH_AUTH_TYPES,
			 (long)(CURLSSH_AUTH_PUBLICKEY | CURLSSH_AUTH_PASSWORD |
				CURLSSH_AUTH_KEYBOARD));
	if (far_text(far, "ssh_key"))
		curl_easy_setopt(curl, CURLOPT_SSH_PRIVATE_KEYFILE,
				 far_text(far, "ssh_key"));
}

void far_prepare(struct far *far, const char *url)
{
	CURL *curl = far->curl;
	bool tls = !strncmp(url, "https:", 6);

	curl_easy_reset(curl);
	curl_slist_free_all(far->headers);
	far->headers = NULL;
	free(far->body);
	far->body = NULL;
	far->body_size = 0;
	far->answer = (struct far_answer){.length = -1, .from = -1, .size = -1};
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, far->reason);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, STILL_S);
	curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, 256 * 1024L);
	curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 256 * 1024L);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https,sftp");
	/* Never from TLS to none. */
	curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR,
			 tls ? "https" : "http,https");
	curl_easy_setopt(curl, CURLOPT_MAXREDIRS, REDIRECTS);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION,
			 (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, far_keep);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, far);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, far);
	if (far_text(far, "ca"))
		curl_easy_setopt(curl, CURLOPT_CAINFO, far_text(far, "ca"));
	if (far->kind == FAR_SFTP)
		set_ssh(far);
	set_login(far);
}

void far_header(struct far *far, const char *format, ...)
{
	struct curl_slist *more;
	char line[2 * TRANSFER_URL_SIZE];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	more = curl_slist_append(far->headers, line);
	if (more)
		far->headers = more;
	curl_easy_setopt(far->curl, CURLOPT_HTTPHEADER, far->headers);
}

static size_t give(char *to, size_t size, size_t count, void *user)
{
	struct far_upload *upload = user;
	size_t n = upload->size - upload->at;

	if (n > size * count)
		n = size * count;
	if (n)
		memcpy(to, upload->data + upload->at, n);
	upload->at += n;
	return n;
}

/* libcurl goes back, or says how long it has found an SFTP file to be. */
static int give_from(void *user, curl_off_t offset, int origin)
{
	struct far_upload *upload = user;

	if (origin != SEEK_SET)
		return CURL_SEEKFUNC_FAIL;
	if (upload->asks) {
		upload->found = offset;
		return CURL_SEEKFUNC_OK;
	}
	offset -= (curl_off_t)upload->begins;
	if (offset < 0 || (size_t)offset > upload->size)
		return CURL_SEEKFUNC_FAIL;
	upload->at = (size_t)offset;
	return CURL_SEEKFUNC_OK;
}

void far_give(struct far *far, struct far_upload *upload)
{
	CURL *curl = far->curl;

	curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(curl, CURLOPT_READFUNCTION, give);
	curl_easy_setopt(curl, CURLOPT_READDATA, upload);
	curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, give_from);
	curl_easy_setopt(curl, CURLOPT_SEEKDATA, upload);
	curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE,
			 (curl_off_t)(upload->begins + upload->size));
}
