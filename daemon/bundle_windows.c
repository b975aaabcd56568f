/*
 * Files become records; see bundle_windows.h.
 *
 * The caller's thread walks over the files, past their holes, and hands
 * windows to workers (read, leave zeros out, compress, digest); what they made
 * is given back in the windows' order.
 */
#include "daemon/bundle_windows.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zstd.h>

#include "daemon/ring.h"

#define LEVEL 1 /* of zstd; more is slower than most disks */

/* A file that windows are read from. */
struct source {
	int fd;
	unsigned refs; /* the walk, and windows on their way */
};

struct slot {
	struct source *source;
	unsigned file;
	uint64_t offset;
	uint32_t size;
	uint8_t *data;      /* BUNDLE_CHUNK, from its first use on */
	uint8_t *record;    /* head and body */
	size_t record_size; /* 0: nothing but zeros */
	int r;
	struct error error;
};

struct bundle_windows {
	const struct bundle_plan *plan;
	int (*open)(void *data, unsigned n, int *fd, struct error *error);
	void *data;
	struct ring *ring;
	bool given; /* the oldest slot is the caller's */
	/* The walk. */
	struct source *source; /* of the file at hand, or NULL */
	unsigned file;
	uint64_t at;
};

/* --- workers ---------------------------------------------------------- */

static int read_window(struct slot *slot)
{
	size_t have = 0;

	while (have < slot->size) {
		ssize_t n =
			pread(slot->source->fd, slot->data + have,
			      slot->size - have, (off_t)(slot->offset + have));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? error_errno(&slot->error, errno,
						   "can't read")
				     : error_set(&slot->error, -ESTALE,
						 "has become shorter");
		have += (size_t)n;
	}
	return 0;
}

/* From the first block that is not zero to the last. */
static void trim(const struct slot *slot, uint32_t *from, uint32_t *to)
{
	*from = 0;
	*to = slot->size;
	while (*from < *to) {
		uint32_t n =
			*to - *from < BUNDLE_BLOCK ? *to - *from : BUNDLE_BLOCK;

		if (!bundle_is_zero(slot->data + *from, n))
			break;
		*from += n;
	}
	while (*to > *from) {
		uint32_t block = (*to - 1) / BUNDLE_BLOCK * BUNDLE_BLOCK;

		if (!bundle_is_zero(slot->data + block, *to - block))
			break;
		*to = block;
	}
}

static int make_record(struct slot *slot, ZSTD_CCtx *zstd)
{
	struct bundle_head head = {.kind = BUNDLE_DATA, .file = slot->file};
	uint32_t from, to;
	size_t n;
	int r = read_window(slot);

	slot->record_size = 0;
	if (r)
		return r;
	trim(slot, &from, &to);
	if (from == to)
		return 0;
	n = ZSTD_compress2(zstd, slot->record + BUNDLE_HEAD, BUNDLE_STORED_MAX,
			   slot->data + from, to - from);
	if (ZSTD_isError(n))
		return error_set(&slot->error, -EIO, "zstd: %s",
				 ZSTD_getErrorName(n));
	head.stored = (uint32_t)n;
	head.length = to - from;
	head.offset = slot->offset + from;
	slot->record_size = BUNDLE_HEAD + n;
	return bundle_head_make(&head, slot->record + BUNDLE_HEAD, slot->record,
				&slot->error);
}

static void *zstd_begin(void)
{
	ZSTD_CCtx *zstd = ZSTD_createCCtx();

	if (zstd) {
		ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, LEVEL);
		ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1);
	}
	return zstd;
}

static void zstd_end(void *own)
{
	ZSTD_freeCCtx(own);
}

static bool has_room(struct slot *slot)
{
	if (!slot->data)
		slot->data = malloc(BUNDLE_CHUNK);
	if (!slot->record)
		slot->record = malloc(BUNDLE_HEAD + BUNDLE_STORED_MAX);
	return slot->data && slot->record;
}

static void work(void *own, void *data)
{
	struct slot *slot = data;

	slot->r = own && has_room(slot)
			  ? make_record(slot, own)
			  : error_set(&slot->error, -ENOMEM, "no memory");
}

static void source_put(struct source *source)
{
	if (source && --source->refs == 0) {
		close(source->fd);
		free(source);
	}
}

static void release(void *data)
{
	struct slot *slot = data;

	source_put(slot->source);
	free(slot->data);
	free(slot->record);
}

static const struct ring_work packing = {
	.slot_size = sizeof(struct slot),
	.begin = zstd_begin,
	.end = zstd_end,
	.work = work,
	.release = release,
};

/* --- the walk --------------------------------------------------------- */

static const struct bundle_file *file_at(const struct bundle_windows *w,
					 unsigned n)
{
	return &w->plan->files[n];
}

static int open_source(struct bundle_windows *w, struct error *error)
{
	struct source *source = calloc(1, sizeof(*source));
	struct stat st;
	int r;

	if (!source)
		return error_set(error, -ENOMEM, "no memory");
	r = w->open(w->data, w->file, &source->fd, error);
	if (r) {
		free(source);
		return r;
	}
	source->refs = 1;
	w->source = source;
	if (fstat(source->fd, &st) ||
	    (uint64_t)st.st_size != file_at(w, w->file)->size)
		return error_set(error, -ESTALE, "%s is not as long as it was",
				 file_at(w, w->file)->path);
	posix_fadvise(source->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return 0;
}

/* To the next window with data: 1, 0 after the last file. */
static int next_window(struct bundle_windows *w, struct error *error)
{
	while (w->file < w->plan->count) {
		uint64_t size = file_at(w, w->file)->size;
		off_t data = -1;
		int r;

		if (!w->source && w->at < size) {
			r = open_source(w, error);
			if (r)
				return r;
		}
		if (w->at < size) {
			data = lseek(w->source->fd, (off_t)w->at, SEEK_DATA);
			if (data < 0 && errno != ENXIO)
				data = (off_t)w->at;
		}
		if (data >= 0 && (uint64_t)data < size) {
			uint64_t window =
				(uint64_t)data & ~(uint64_t)(BUNDLE_CHUNK - 1);

			if (window > w->at)
				w->at = window;
			return 1;
		}
		source_put(w->source);
		w->source = NULL;
		w->file++;
		w->at = 0;
	}
	return 0;
}

/* Gives the window at hand to the workers. */
static void fill_slot(struct bundle_windows *w, struct slot *slot)
{
	uint64_t size = file_at(w, w->file)->size - w->at;

	slot->source = w->source;
	w->source->refs++;
	slot->file = w->file;
	slot->offset = w->at;
	slot->size = size < BUNDLE_CHUNK ? (uint32_t)size : BUNDLE_CHUNK;
	w->at += BUNDLE_CHUNK;
	ring_push(w->ring);
}

/* --- all of it -------------------------------------------------------- */

/* What was given by the last call is taken back. */
static void take_back(struct bundle_windows *w)
{
	struct slot *slot;

	if (!w->given)
		return;
	w->given = false;
	slot = ring_wait(w->ring);
	source_put(slot->source);
	slot->source = NULL;
	ring_pop(w->ring);
}

int bundle_windows_next(struct bundle_windows *w, struct bundle_record *record,
			struct error *error)
{
	struct slot *slot;
	int r = 1;

	take_back(w);
	while (r > 0 && (slot = ring_next(w->ring))) {
		r = next_window(w, error);
		if (r > 0)
			fill_slot(w, slot);
	}
	if (r < 0)
		return r;
	slot = ring_wait(w->ring);
	if (!slot)
		return 0;
	w->given = true;
	*record = (struct bundle_record){
		.data = slot->record_size ? slot->record : NULL,
		.size = slot->record_size,
		.file = slot->file,
		.window = slot->size};
	if (slot->r)
		return error_set(error, slot->r, "%s: %s",
				 file_at(w, slot->file)->path,
				 slot->error.text);
	return 1;
}

void bundle_windows_pass(struct bundle_windows *w,
			 const struct bundle_head *head)
{
	w->file = head->file;
	w->at = (head->offset & ~(uint64_t)(BUNDLE_CHUNK - 1)) + BUNDLE_CHUNK;
}

int bundle_windows_new(struct bundle_windows **windows,
		       const struct bundle_plan *plan, unsigned threads,
		       int (*open)(void *data, unsigned n, int *fd,
				   struct error *error),
		       void *data, struct error *error)
{
	struct bundle_windows *w = calloc(1, sizeof(*w));
	int r;

	*windows = w;
	if (!w)
		return error_set(error, -ENOMEM, "no memory");
	w->plan = plan;
	w->open = open;
	w->data = data;
	r = ring_new(&w->ring, &packing, threads, error);
	if (r) {
		free(w);
		*windows = NULL;
	}
	return r;
}

void bundle_windows_free(struct bundle_windows *w)
{
	if (!w)
		return;
	ring_free(w->ring);
	source_put(w->source);
	free(w);
}
