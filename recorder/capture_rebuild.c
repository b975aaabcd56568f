/* Makes the index from the whole file; see capture_index.h. */
#include "recorder/capture_index.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "recorder/capture_scan.h"
#include "recorder/pcapng.h"

/* One walk over the file. */
struct rebuild {
	struct capture_index *index;
	struct capture_scan scan;
	EVP_MD_CTX *running, *copy;
	uint64_t hashed; /* bytes of the file in `running` */
	uint8_t *plain;  /* a decoded frame, for want of its entry */
	struct capture_scan_frame data; /* of the last data frame: place */
	bool pending;                   /* its entry has not come */
};

static int broken(uint64_t offset, const char *what, struct error *error)
{
	return error_set(error, EBADMSG,
			 "the recording is damaged at offset %llu: %s",
			 (unsigned long long)offset, what);
}

/* Takes the file's bytes up to `end` into the running digest. */
static int hash_to(struct rebuild *r, uint64_t end, struct error *error)
{
	uint8_t bytes[16384];

	while (r->hashed < end) {
		size_t n = sizeof(bytes), got;
		int e;

		if (n > end - r->hashed)
			n = (size_t)(end - r->hashed);
		e = capture_scan_read(r->scan.fd, r->hashed, bytes, n, &got,
				      error);
		if (e < 0)
			return e;
		if (got < n)
			return broken(r->hashed,
				      "the file was cut while "
				      "it was read",
				      error);
		if (!EVP_DigestUpdate(r->running, bytes, n))
			return error_set(error, EIO, "cannot digest");
		r->hashed += n;
	}
	return 0;
}

static int digest(struct rebuild *r, uint8_t out[CAPTURE_DIGEST_SIZE],
		  struct error *error)
{
	if (!EVP_MD_CTX_copy_ex(r->copy, r->running) ||
	    !EVP_DigestFinal_ex(r->copy, out, NULL))
		return error_set(error, EIO, "cannot digest");
	return 0;
}

static void add_record(struct capture_totals *t, uint64_t plain, uint64_t first,
		       uint64_t last, const struct capture_counts *counts)
{
	t->plain += plain;
	if (!t->first_time)
		t->first_time = first;
	if (last)
		t->last_time = last;
	capture_counts_add(&t->counts, counts);
}

static int take_entry(struct rebuild *r, const struct capture_scan_frame *frame,
		      struct error *error)
{
	struct capture_index *x = r->index;
	uint8_t actual[CAPTURE_DIGEST_SIZE];
	struct capture_entry e;
	struct capture_record record;
	int code;

	if (capture_entry_get(frame->data, &e) < 0)
		return broken(frame->offset, "an entry that cannot be", error);
	if (!r->pending || e.sequence != x->totals.frames ||
	    e.file_offset != r->data.offset || e.packed != r->data.size ||
	    e.plain_offset != x->totals.plain)
		return broken(frame->offset,
			      "an entry that belongs to another frame", error);
	code = hash_to(r, frame->offset, error);
	if (code == 0)
		code = digest(r, actual, error);
	if (code < 0)
		return code;
	if (memcmp(actual, e.digest, sizeof(actual)) != 0)
		return broken(r->data.offset,
			      "the digest does not fit the bytes", error);
	record = (struct capture_record){
		.file_offset = e.file_offset,
		.plain_offset = e.plain_offset,
		.first_time = e.first_time,
		.last_time = e.last_time,
	};
	r->pending = false;
	if (capture_index_add(x, &record) < 0)
		return error_errno(error, ENOMEM, "cannot rebuild the index");
	add_record(&x->totals, e.plain, e.first_time, e.last_time, &e.counts);
	return 0;
}

static void count_segment(struct capture_record *record,
			  struct capture_counts *counts,
			  const struct pcapng_segment *s)
{
	if (!record->first_time)
		record->first_time = s->time;
	record->last_time = s->time;
	counts->packets++;
	if (s->flags == PCAPNG_SYN)
		counts->channels++;
	if (s->direction == CAPTURE_TO_GUEST)
		counts->bytes_to_guest += s->size;
	else
		counts->bytes_to_client += s->size;
}

static int count_blocks(const uint8_t *plain, size_t size,
			struct capture_record *record,
			struct capture_counts *counts, struct error *error)
{
	struct pcapng_segment s;
	uint32_t type, length;

	for (size_t at = 0; at < size; at += length) {
		if (size - at < PCAPNG_BLOCK_MIN ||
		    pcapng_block(plain + at, &type, &length, error) < 0 ||
		    length > size - at)
			return -EBADMSG;
		if (type != PCAPNG_PACKET)
			continue;
		if (pcapng_get_segment(plain + at, length, &s, error) < 0)
			return -EBADMSG;
		count_segment(record, counts, &s);
	}
	return 0;
}

/* The last data frame has no entry: read it. */
static int decode_frame(struct rebuild *r, struct error *error)
{
	struct capture_index *x = r->index;
	struct capture_record record = {
		.file_offset = r->data.offset,
		.plain_offset = x->totals.plain,
	};
	struct capture_counts counts = {0};
	size_t packed = (size_t)r->data.size, n, got;
	uint8_t *bytes = malloc(packed);

	if (!r->plain)
		r->plain = malloc(CAPTURE_FRAME_MAX);
	if (!bytes || !r->plain) {
		free(bytes);
		return error_errno(error, ENOMEM, "cannot rebuild the index");
	}
	if (capture_scan_read(r->scan.fd, r->data.offset, bytes, packed, &got,
			      error) < 0)
		got = 0;
	n = ZSTD_decompress(r->plain, CAPTURE_FRAME_MAX, bytes, got);
	free(bytes);
	if (ZSTD_isError(n) ||
	    count_blocks(r->plain, n, &record, &counts, NULL) < 0)
		return broken(r->data.offset, "a frame that does not decode",
			      error);
	r->pending = false;
	if (capture_index_add(x, &record) < 0)
		return error_errno(error, ENOMEM, "cannot rebuild the index");
	add_record(&x->totals, n, record.first_time, record.last_time, &counts);
	return 0;
}

static bool same_totals(const struct capture_totals *a,
			const struct capture_totals *b)
{
	return a->frames == b->frames && a->plain == b->plain &&
	       a->first_time == b->first_time && a->last_time == b->last_time &&
	       a->counts.packets == b->counts.packets &&
	       a->counts.channels == b->counts.channels &&
	       a->counts.bytes_to_guest == b->counts.bytes_to_guest &&
	       a->counts.bytes_to_client == b->counts.bytes_to_client;
}

static int take_index(struct rebuild *r, const struct capture_scan_frame *frame,
		      struct error *error)
{
	struct capture_totals t;

	if (capture_index_get(frame->data, frame->size, &t) < 0)
		return broken(frame->offset, "an index that cannot be", error);
	if (!same_totals(&t, &r->index->totals))
		return broken(frame->offset, "the index does not fit the file",
			      error);
	r->index->complete = true;
	return 0;
}

static int take_signature(struct rebuild *r,
			  const struct capture_scan_frame *frame,
			  struct error *error)
{
	struct capture_index *x = r->index;
	uint8_t actual[CAPTURE_DIGEST_SIZE];
	int code = hash_to(r, frame->offset, error);

	if (code == 0)
		code = digest(r, actual, error);
	if (code < 0)
		return code;
	capture_sign_get(frame->data, x->signed_digest, x->signature);
	if (!x->complete || memcmp(actual, x->signed_digest, sizeof(actual)))
		return broken(frame->offset,
			      "the signed digest does not fit the file", error);
	x->is_signed = true;
	return 0;
}

static int take(struct rebuild *r, const struct capture_scan_frame *frame,
		struct error *error)
{
	if (r->pending && frame->kind != CAPTURE_SCAN_ENTRY) {
		int e = decode_frame(r, error);

		if (e < 0)
			return e;
	}
	switch (frame->kind) {
	case CAPTURE_SCAN_DATA:
		if (r->index->complete)
			return broken(frame->offset, "a frame behind the index",
				      error);
		r->data = *frame;
		r->pending = true;
		return 0;
	case CAPTURE_SCAN_ENTRY:
		return take_entry(r, frame, error);
	case CAPTURE_SCAN_INDEX:
		return take_index(r, frame, error);
	case CAPTURE_SCAN_SIGNATURE:
		return take_signature(r, frame, error);
	case CAPTURE_SCAN_OTHER:
		break;
	}
	return 0;
}

static int walk(struct rebuild *r, struct error *error)
{
	struct capture_scan_frame frame;
	int e;

	while ((e = capture_scan_next(&r->scan, &frame, error)) > 0) {
		e = take(r, &frame, error);
		if (e < 0)
			break;
		/* Good once its entry, or its own checksum, has proved it. */
		if (!r->pending)
			r->index->good_bytes = r->scan.at;
	}
	if (e == 0 && r->pending) {
		e = decode_frame(r, error);
		if (e == 0)
			r->index->good_bytes = r->scan.at;
	}
	r->index->file_bytes = r->scan.size;
	if (e == 0)
		e = hash_to(r, r->index->good_bytes, error);
	if (e == 0)
		e = digest(r, r->index->digest, error);
	return e;
}

int capture_index_rebuild(struct capture_index **index, int fd,
			  struct error *error)
{
	struct rebuild r = {.index = calloc(1, sizeof(*r.index))};
	int e = capture_scan_init(&r.scan, fd, error);

	r.running = EVP_MD_CTX_new();
	r.copy = EVP_MD_CTX_new();
	if (e == 0 && (!r.index || !r.running || !r.copy ||
		       !EVP_DigestInit_ex(r.running, EVP_sha256(), NULL)))
		e = error_errno(error, ENOMEM, "cannot rebuild the index");
	if (e == 0)
		e = walk(&r, error);
	capture_scan_free(&r.scan);
	EVP_MD_CTX_free(r.running);
	EVP_MD_CTX_free(r.copy);
	free(r.plain);
	if (e < 0 && e != -EBADMSG) {
		capture_index_free(r.index);
		r.index = NULL;
	}
	*index = r.index;
	return e;
}
