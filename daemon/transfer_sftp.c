/*
 * Uploads by SFTP: pieces are written behind each other into URL.ID.part, and
 * a rename gives it its name. How far it is, its length says.
 */
#include "daemon/transfer_far.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE (8 << 20)

/* An upload of nothing to the end of the file, which libcurl looks for. */
static int have(struct far *far, struct far_store *store, uint64_t *size,
		struct error *error)
{
	struct far_upload upload = {.asks = true};
	int r;

	(void)store;
	far_prepare(far, far->beside);
	far_give(far, &upload);
	curl_easy_setopt(far->curl, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)-1);
	r = far_perform(far, error);
	*size = (uint64_t)upload.found;
	return r;
}

static int put(struct far *far, struct far_store *store, uint64_t offset,
	       const uint8_t *data, size_t size, struct error *error)
{
	struct far_upload upload = {
		.data = data, .size = size, .begins = offset};

	(void)store;
	far_prepare(far, far->beside);
	far_give(far, &upload);
	if (offset)
		curl_easy_setopt(far->curl, CURLOPT_RESUME_FROM_LARGE,
				 (curl_off_t)offset);
	return far_perform(far, error);
}

/* The first byte is enough: the length is known by then. */
static size_t stop(char *data, size_t size, size_t count, void *far)
{
	(void)data;
	(void)size;
	(void)count;
	(void)far;
	return 0;
}

int far_sftp_size(struct far *far, const char *url, int64_t *size,
		  struct error *error)
{
	curl_off_t length = -1;
	int r;

	far_prepare(far, url);
	curl_easy_setopt(far->curl, CURLOPT_WRITEFUNCTION, stop);
	r = far_perform(far, error);
	curl_easy_getinfo(far->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T,
			  &length);
	*size = length;
	if (r != -ECANCELED)
		return r;
	error_clear(error);
	return 0;
}

/* The path of a URL as a word of libcurl's SFTP commands; free() it. */
static char *word_of(const char *url)
{
	const char *host = strstr(url, "://");
	const char *path = host ? strchr(host + 3, '/') : NULL;
	char *plain = path ? curl_easy_unescape(NULL, path, 0, NULL) : NULL;
	char *word = plain ? malloc(2 * strlen(plain) + 3) : NULL, *to = word;

	if (word) {
		*to++ = '"';
		for (const char *from = plain; *from; from++) {
			if (*from == '"' || *from == '\\')
				*to++ = '\\';
			*to++ = *from;
		}
		strcpy(to, "\"");
	}
	curl_free(plain);
	return word;
}

/* A command of two words at most, without a transfer. */
static int command(struct far *far, const char *verb, const char *from,
		   const char *to, struct error *error)
{
	struct curl_slist *list = NULL;
	char *first = word_of(from), *second = to ? word_of(to) : strdup("");
	char *text = NULL;
	int r;

	if (!first || !second ||
	    asprintf(&text, "%s %s %s", verb, first, second) < 0)
		text = NULL;
	list = text ? curl_slist_append(NULL, text) : NULL;
	far_prepare(far, from);
	curl_easy_setopt(far->curl, CURLOPT_NOBODY, 1L);
	curl_easy_setopt(far->curl, CURLOPT_QUOTE, list);
	r = list ? far_perform(far, error)
		 : error_set(error, -ENOMEM, "no memory");
	curl_slist_free_all(list);
	free(first);
	free(second);
	free(text);
	return r;
}

static bool is_there(struct far *far, const char *url)
{
	far_prepare(far, url);
	curl_easy_setopt(far->curl, CURLOPT_NOBODY, 1L);
	curl_easy_setopt(far->curl, CURLOPT_FILETIME, 1L);
	return !far_perform(far, NULL);
}

static int finish(struct far *far, struct far_store *store, uint64_t size,
		  struct error *error)
{
	int r = command(far, "rename", far->beside, far->url, error);

	(void)store;
	(void)size;
	if (!r || r == -EAGAIN)
		return r;
	/* The answer to an earlier one may have been lost. */
	return is_there(far, far->url) && !is_there(far, far->beside) ? 0 : r;
}

static int forget(struct far *far, struct far_store *store, struct error *error)
{
	int r = command(far, "rm", far->beside, NULL, error);

	(void)store;
	return r == -EIO || r == -ENOENT ? 0 : r;
}

int far_sftp_store(struct far *far, struct far_store *store,
		   struct error *error)
{
	(void)far;
	(void)error;
	*store = (struct far_store){.piece = PIECE,
				    .have = have,
				    .put = put,
				    .finish = finish,
				    .forget = forget};
	return 0;
}
