/*
 * `mediavmd job send`: a stream becomes a file at a URL.
 *
 * It goes in pieces, each of which stays in memory until the far end has it,
 * so that a break costs a piece at most and nobody has to rewind the stream.
 * A server that takes no pieces gets it in one (put_whole); a break then
 * costs everything, and the control role starts anew.
 */
#include "daemon/transfer_far.h"
#include "daemon/transfer_job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- in pieces ---------------------------------------------------------- */

/* Reads until it is full or the stream ends. */
static int read_piece(uint8_t *data, size_t size, size_t *have,
		      struct error *error)
{
	*have = 0;
	while (*have < size) {
		ssize_t n = read(FAR_IN, data + *have, size - *have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(error, errno,
					   "can't read what shall be sent");
		if (n == 0)
			break;
		*have += (size_t)n;
	}
	return 0;
}

static int ask_have(struct far *far, struct far_store *store, uint64_t *have,
		    struct error *error)
{
	int r;

	do {
		r = store->have(far, store, have, error);
		if (r)
			r = far_again(far, r, error);
		else
			return 0;
	} while (!r);
	return r;
}

/* One piece, however often it breaks. */
static int put_piece(struct far *far, struct far_store *store, uint64_t offset,
		     const uint8_t *data, size_t size, struct error *error)
{
	uint64_t have;
	int r;

	for (;;) {
		r = store->put(far, store, offset, data, size, error);
		if (!r)
			break;
		r = far_again(far, r, error);
		if (!r)
			r = ask_have(far, store, &have, error);
		if (r)
			return r;
		if (have < offset || have > offset + size)
			return error_set(error, -EIO,
					 "what was sent to %s is not there any "
					 "more",
					 far->host);
		data += have - offset;
		size -= (size_t)(have - offset);
		offset = have;
		if (!size)
			break;
	}
	far_good(far);
	return 0;
}

/* The whole stream is there, says the control role. */
static int wait_for_end(struct error *error)
{
	char *line;
	bool whole;

	far_say("end");
	line = far_hear();
	whole = line && !strcmp(line, "end");
	free(line);
	return whole ? 0
		     : error_set(error, -ECANCELED,
				 "the stream broke off, and is not shown");
}

static int finish(struct far *far, struct far_store *store, uint64_t size,
		  struct error *error)
{
	int r = wait_for_end(error);

	if (!r)
		far_remember(far, "sent", json_integer((json_int_t)size));
	while (!r) {
		r = store->finish(far, store, size, error);
		if (!r)
			return 0;
		r = far_again(far, r, error);
	}
	return r;
}

static int send_pieces(struct far *far, struct far_store *store,
		       struct error *error)
{
	uint8_t *data = malloc(store->piece);
	uint64_t offset;
	size_t size = 0;
	int r = data ? ask_have(far, store, &offset, error)
		     : error_set(error, -ENOMEM, "no memory");

	if (!r)
		far_say("have %llu", (unsigned long long)offset);
	while (!r) {
		r = read_piece(data, store->piece, &size, error);
		if (!r && (size || !offset))
			r = put_piece(far, store, offset, data, size, error);
		if (r)
			break;
		offset += size;
		far_say_bytes(offset, 0);
		if (size < store->piece)
			break;
	}
	free(data);
	return r ? r : finish(far, store, offset, error);
}

/* --- in one ------------------------------------------------------------- */

struct whole {
	struct far *far;
	uint64_t sent;
	bool over;
	struct error *error;
};

static size_t give_stream(char *to, size_t size, size_t count, void *user)
{
	struct whole *whole = user;
	ssize_t n;

	if (whole->over)
		return 0;
	do
		n = read(FAR_IN, to, size * count);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		whole->sent += (uint64_t)n;
		far_say_bytes(whole->sent, 0);
		return (size_t)n;
	}
	whole->over = true;
	if (n < 0)
		error_errno(whole->error, errno,
			    "can't read what shall be sent");
	else if (!wait_for_end(whole->error)) {
		far_remember(whole->far, "sent",
			     json_integer((json_int_t)whole->sent));
		return 0;
	}
	return CURL_READFUNC_ABORT;
}

/* A server may ask for a login first: before any byte was read. */
static int stream_from(void *user, curl_off_t offset, int origin)
{
	struct whole *whole = user;

	return origin == SEEK_SET && offset == 0 && !whole->sent
		       ? CURL_SEEKFUNC_OK
		       : CURL_SEEKFUNC_FAIL;
}

static int put_whole(struct far *far, struct error *error)
{
	struct whole whole = {.far = far, .error = error};
	int r;

	far_prepare(far, far->url);
	curl_easy_setopt(far->curl, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(far->curl, CURLOPT_READFUNCTION, give_stream);
	curl_easy_setopt(far->curl, CURLOPT_READDATA, &whole);
	curl_easy_setopt(far->curl, CURLOPT_SEEKFUNCTION, stream_from);
	curl_easy_setopt(far->curl, CURLOPT_SEEKDATA, &whole);
	far_say("have 0");
	r = far_perform(far, error);
	return r == -EAGAIN && !far->reached ? -EIO : r;
}

/* --- the process -------------------------------------------------------- */

/* Nothing may be at the URL: what is there is not overwritten. */
static int check_free(struct far *far, struct error *error)
{
	char *now = NULL;
	int r;

	far_prepare(far, far->url);
	curl_easy_setopt(far->curl, CURLOPT_NOBODY, 1L);
	if (far->kind == FAR_SFTP)
		curl_easy_setopt(far->curl, CURLOPT_FILETIME, 1L);
	if (far->kind == FAR_HTTP)
		curl_easy_setopt(far->curl, CURLOPT_FOLLOWLOCATION, 1L);
	if (far->kind == FAR_S3)
		far_s3_sign(far, far_s3_empty);
	r = far_perform_or(far, 404, error);
	if (far->kind == FAR_SFTP && r == -ENOENT) {
		far->answer.status = 404;
		r = 0;
	}
	if (r)
		return r;
	far->reached = true;
	curl_easy_getinfo(far->curl, CURLINFO_EFFECTIVE_URL, &now);
	if (far->kind == FAR_HTTP && now && strcmp(now, far->url))
		return error_set(error, -EINVAL,
				 "it redirects to %.300s: give that URL", now);
	return 0;
}

/* What is there is what an earlier run had sent to its end. */
static bool is_ours(struct far *far)
{
	json_int_t sent =
		json_integer_value(json_object_get(far->state, "sent"));
	int64_t size = far->answer.length;

	if (sent && far->kind == FAR_SFTP &&
	    far_sftp_size(far, far->url, &size, NULL))
		return false;
	return sent && size == sent;
}

static int open_store(struct far *far, struct far_store *store,
		      struct error *error)
{
	switch (far->kind) {
	case FAR_SFTP:
		return far_sftp_store(far, store, error);
	case FAR_S3:
		return far_s3_store(far, store, error);
	default:
		return far_dav_store(far, store, error);
	}
}

static int run(struct far *far, const json_t *request, struct error *error)
{
	struct far_store store = {0};
	bool forget = json_is_true(json_object_get(request, "forget"));
	int r = far_open(far, request, error);

	if (r)
		return r;
	while ((r = check_free(far, error)) != 0) {
		r = far_again(far, r, error);
		if (r)
			return r;
	}
	if (!forget && far->answer.status != 404 && is_ours(far))
		return 0;
	if (!forget && far->answer.status != 404)
		return error_set(error, -EEXIST,
				 "there is something at %s already: choose "
				 "another name, or delete it there",
				 far->url);
	while ((r = open_store(far, &store, error)) == -EAGAIN) {
		r = far_again(far, r, error);
		if (r)
			return r;
	}
	if (forget)
		r = r == -ENOTSUP ? 0
		    : r           ? r
				  : store.forget(far, &store, error);
	else if (r == -ENOTSUP)
		r = put_whole(far, error);
	else if (!r)
		r = send_pieces(far, &store, error);
	if (far->kind == FAR_S3)
		far_s3_store_free(&store);
	return r;
}

int transfer_job_send(void)
{
	struct far *far = calloc(1, sizeof(*far));
	json_t *request = far_request();
	struct error error = {0};
	int r = -ENOMEM;

	if (far && request)
		r = far_enter(&error);
	if (!r)
		r = run(far, request, &error);
	if (r)
		far_say_failure(r, &error);
	if (far)
		far_close(far);
	free(far);
	json_decref(request);
	return r ? 1 : 0;
}
