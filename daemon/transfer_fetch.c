/*
 * `mediavmd job fetch`: a file at a URL, from a byte on, into a descriptor.
 *
 * What the source is known by (size, ETag, date) is said when it answers
 * first. After a break it is asked for the rest, and what answers must be the
 * same; a server that can't begin in the middle is read from the start again.
 * RFC 9110: sections 8.8 (validators), 13.1.5 (If-Range), 14 (ranges).
 */
#include "daemon/transfer_far.h"
#include "daemon/transfer_job.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fetch {
	struct far far;
	uint64_t offset; /* the next byte that is wanted */
	uint64_t skip;   /* bytes that come before it */
	json_t *source;  /* {size, etag, modified}; NULL: not known yet */
	bool checked;    /* this answer is of the source, and fits */
	int failed;      /* of a callback, with its error */
	struct error error;
};

static const char *source_text(const struct fetch *f, const char *name)
{
	const char *text = json_string_value(json_object_get(f->source, name));

	return text ? text : "";
}

/* Strong and weak tags of the same thing are the same thing here. */
static const char *bare(const char *etag)
{
	return strncmp(etag, "W/", 2) ? etag : etag + 2;
}

/* --- the source --------------------------------------------------------- */

/* As it answers now; -1: its size is not said. */
static json_t *source_now(struct fetch *f)
{
	struct far_answer *answer = &f->far.answer;
	curl_off_t left = -1, when = -1;
	int64_t size = answer->is_partial ? answer->size : answer->length;

	if (f->far.kind == FAR_SFTP) {
		curl_easy_getinfo(f->far.curl,
				  CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &left);
		curl_easy_getinfo(f->far.curl, CURLINFO_FILETIME_T, &when);
		size = left < 0 ? -1 : (int64_t)f->offset + left;
		snprintf(answer->modified, sizeof(answer->modified), "%lld",
			 (long long)when);
	}
	return json_pack("{s:I, s:s, s:s}", "size", (json_int_t)size, "etag",
			 answer->etag, "modified", answer->modified);
}

static int changed(struct fetch *f, const char *what)
{
	return error_set(&f->error, -ESTALE,
			 "the file at %s is not the one of which the beginning "
			 "was fetched: its %s has changed",
			 f->far.host, what);
}

static int compare_source(struct fetch *f, const json_t *now)
{
	json_int_t size = json_integer_value(json_object_get(now, "size"));
	json_int_t was = json_integer_value(json_object_get(f->source, "size"));
	const char *etag = json_string_value(json_object_get(now, "etag"));
	const char *modified =
		json_string_value(json_object_get(now, "modified"));
	bool same_tag = *etag && *source_text(f, "etag");

	if (size >= 0 && was >= 0 && size != was)
		return changed(f, "size");
	if (same_tag && strcmp(bare(etag), bare(source_text(f, "etag"))))
		return changed(f, "ETag");
	if (!same_tag && strcmp(modified, source_text(f, "modified")))
		return changed(f, "date");
	return 0;
}

/* Of an answer that has the file in it, before its first byte. */
static int check_source(struct fetch *f)
{
	const struct far_answer *answer = &f->far.answer;
	json_t *now = source_now(f);
	char *text;
	int r = 0;

	if (!now)
		return error_set(&f->error, -EIO, "%s answers what is no text",
				 f->far.host);
	if (f->source) {
		r = compare_source(f, now);
		json_decref(now);
	} else {
		f->source = now;
		text = json_dumps(now, JSON_COMPACT);
		if (text)
			far_say("state %s", text);
		free(text);
	}
	f->skip = 0;
	if (f->far.kind != FAR_SFTP && !answer->is_partial)
		f->skip = f->offset;
	else if (f->far.kind != FAR_SFTP &&
		 answer->from != (int64_t)f->offset && !r)
		r = error_set(&f->error, -EIO,
			      "%s sends another part than was asked for",
			      f->far.host);
	f->checked = f->far.reached = true;
	return r;
}

/* --- bytes -------------------------------------------------------------- */

static int write_out(struct fetch *f, const char *data, size_t size)
{
	while (size) {
		ssize_t n = write(FAR_OUT, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(&f->error, errno,
					   "can't write what was fetched");
		data += n;
		size -= (size_t)n;
		f->offset += (uint64_t)n;
	}
	return 0;
}

static uint64_t whole_size(const struct fetch *f)
{
	json_int_t size =
		json_integer_value(json_object_get(f->source, "size"));

	return size > 0 ? (uint64_t)size : 0;
}

static size_t take(char *data, size_t size, size_t count, void *user)
{
	struct fetch *f = user;
	size_t all = size * count, skip;

	/* An error's text is not the file. */
	if (f->far.kind != FAR_SFTP && f->far.answer.status / 100 != 2)
		return far_keep(data, size, count, &f->far);
	if (!f->checked)
		f->failed = check_source(f);
	skip = f->skip < all ? (size_t)f->skip : all;
	f->skip -= skip;
	if (!f->failed)
		f->failed = write_out(f, data + skip, all - skip);
	if (f->failed)
		return 0;
	far_good(&f->far);
	far_say_bytes(f->offset, whole_size(f));
	return all;
}

/* --- the request -------------------------------------------------------- */

static void ask(struct fetch *f)
{
	struct far *far = &f->far;
	const char *etag = source_text(f, "etag");
	const char *modified = source_text(f, "modified");
	char range[32];

	far_prepare(far, far->url);
	curl_easy_setopt(far->curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(far->curl, CURLOPT_WRITEDATA, f);
	curl_easy_setopt(far->curl, CURLOPT_FILETIME, 1L);
	curl_easy_setopt(far->curl, CURLOPT_FOLLOWLOCATION,
			 far->kind == FAR_HTTP ? 1L : 0L);
	f->checked = false;
	if (far->kind == FAR_S3)
		far_s3_sign(far, far_s3_empty);
	if (!f->offset)
		return;
	if (far->kind == FAR_SFTP) {
		curl_easy_setopt(far->curl, CURLOPT_RESUME_FROM_LARGE,
				 (curl_off_t)f->offset);
		return;
	}
	snprintf(range, sizeof(range), "%llu-", (unsigned long long)f->offset);
	curl_easy_setopt(far->curl, CURLOPT_RANGE, range);
	/* RFC 9110 takes strong validators here only. */
	if (far->kind == FAR_HTTP && *etag && strncmp(etag, "W/", 2))
		far_header(far, "If-Range: %s", etag);
	else if (far->kind == FAR_HTTP && !*etag && *modified)
		far_header(far, "If-Range: %s", modified);
}

/* Nothing is left of it, says the far end: is that so? */
static int judge_end(struct fetch *f)
{
	int64_t size = f->far.answer.size;

	if (size >= 0 && (uint64_t)size == f->offset)
		return 0;
	return changed(f, "size");
}

static int fetch_once(struct fetch *f)
{
	int r;

	ask(f);
	r = far_perform_or(&f->far, f->offset ? 416 : 0, &f->error);
	if (f->failed) {
		r = f->failed;
		return r == -EAGAIN ? -EIO : r;
	}
	if (r)
		return r;
	if (f->far.answer.status == 416)
		return judge_end(f);
	/* An empty file, or all of it is here: no byte came. */
	if (!f->checked)
		r = check_source(f);
	if (!r && whole_size(f) > f->offset)
		r = error_set(&f->error, -EAGAIN, "%s stopped early",
			      f->far.host);
	return r;
}

static int run(struct fetch *f, const json_t *request)
{
	json_t *state = json_object_get(request, "state");
	int r = far_open(&f->far, request, &f->error);

	f->offset = (uint64_t)json_integer_value(
		json_object_get(request, "offset"));
	f->source = json_is_object(state) ? json_incref(state) : NULL;
	if (r)
		return r;
	do {
		r = fetch_once(f);
		if (r)
			r = far_again(&f->far, r, &f->error);
		else
			return 0;
	} while (!r);
	return r;
}

int transfer_job_fetch(void)
{
	struct fetch *f = calloc(1, sizeof(*f));
	json_t *request = far_request();
	int r = -ENOMEM;

	if (f && request)
		r = far_enter(&f->error);
	if (!r)
		r = run(f, request);
	if (!r)
		far_say("bytes %llu %llu", (unsigned long long)f->offset,
			(unsigned long long)f->offset);
	else
		far_say_failure(r, f ? &f->error : NULL);
	if (f) {
		far_close(&f->far);
		json_decref(f->source);
	}
	free(f);
	json_decref(request);
	return r ? 1 : 0;
}
