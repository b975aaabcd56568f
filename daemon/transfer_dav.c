/*
 * Uploads by WebDAV: pieces go into URL.ID.part by PUT with Content-Range,
 * and a MOVE gives it its name (RFC 4918). How far it is, its length says.
 *
 * RFC 9110, section 14.5, lets a server take Content-Range in a PUT or refuse
 * it; one that does not look at it makes a short file of the second piece,
 * which is noticed, and gets the whole in one from then on.
 */
#include "daemon/transfer_far.h"

#include <stdlib.h>
#include <string.h>

#define PIECE (8 << 20)

static int ask(struct far *far, const char *url, const char *method, long also,
	       struct error *error)
{
	far_prepare(far, url);
	if (!strcmp(method, "HEAD"))
		curl_easy_setopt(far->curl, CURLOPT_NOBODY, 1L);
	else
		curl_easy_setopt(far->curl, CURLOPT_CUSTOMREQUEST, method);
	return far_perform_or(far, also, error);
}

static int have(struct far *far, struct far_store *store, uint64_t *size,
		struct error *error)
{
	int r = ask(far, far->beside, "HEAD", 404, error);

	(void)store;
	*size = 0;
	if (!r && far->answer.status != 404 && far->answer.length > 0)
		*size = (uint64_t)far->answer.length;
	return r;
}

/* Whether the piece came to lie behind the ones before it. */
static int check_place(struct far *far, struct far_store *store, uint64_t end,
		       struct error *error)
{
	uint64_t size;
	int r = have(far, store, &size, error);

	if (r || size == end)
		return r;
	ask(far, far->beside, "DELETE", 404, NULL);
	far_remember(far, "whole", json_true());
	return error_set(error, -ERESTART,
			 "%s takes no pieces: all of it is sent again",
			 far->host);
}

static int put(struct far *far, struct far_store *store, uint64_t offset,
	       const uint8_t *data, size_t size, struct error *error)
{
	struct far_upload upload = {.data = data, .size = size};
	bool *is_checked = store->own;
	int r;

	far_prepare(far, far->beside);
	far_give(far, &upload);
	if (offset)
		far_header(far, "Content-Range: bytes %llu-%llu/*",
			   (unsigned long long)offset,
			   (unsigned long long)(offset + size - 1));
	r = far_perform(far, error);
	if (!r && offset && !*is_checked) {
		r = check_place(far, store, offset + size, error);
		*is_checked = !r;
	}
	return r;
}

/* The path of a URL. */
static const char *path_of(const char *url)
{
	const char *host = strstr(url, "://");

	return host && strchr(host + 3, '/') ? strchr(host + 3, '/') : "/";
}

static int move(struct far *far, const char *to, struct error *error)
{
	far_prepare(far, far->beside);
	curl_easy_setopt(far->curl, CURLOPT_CUSTOMREQUEST, "MOVE");
	far_header(far, "Destination: %s", to);
	far_header(far, "Overwrite: F");
	return far_perform(far, error);
}

static int finish(struct far *far, struct far_store *store, uint64_t size,
		  struct error *error)
{
	int r = move(far, far->url, error);

	(void)store;
	/* Behind a proxy a server may not know its own name: the path then. */
	if (r && far->answer.status == 502)
		r = move(far, path_of(far->url), error);
	if (r != -ENOENT)
		return r;
	/* The answer to an earlier MOVE may have been lost. */
	if (!ask(far, far->url, "HEAD", 0, NULL) &&
	    far->answer.length == (int64_t)size)
		return 0;
	return r;
}

static int forget(struct far *far, struct far_store *store, struct error *error)
{
	(void)store;
	return ask(far, far->beside, "DELETE", 404, error);
}

int far_dav_store(struct far *far, struct far_store *store, struct error *error)
{
	static bool is_checked;
	int r;

	if (json_is_true(json_object_get(far->state, "whole")))
		return -ENOTSUP;
	r = ask(far, far->url, "OPTIONS", 405, error);
	if (r == -ENOTSUP || (!r && !far->answer.is_dav))
		return -ENOTSUP;
	*store = (struct far_store){.piece = PIECE,
				    .have = have,
				    .put = put,
				    .finish = finish,
				    .forget = forget,
				    .own = &is_checked};
	return r;
}
