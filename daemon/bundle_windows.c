/*
 * Files become records; see bundle_windows.h.
 *
 * The caller's thread walks over the files, past their holes, and hands
 * windows to workers (read, leave zeros out, compress, digest); what they made
 * is given back in the windows' order.
 */
#include "daemon/bundle_windows.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zstd.h>

#define LEVEL 1 /* of zstd; more is slower than most disks */
#define THREADS_MAX 8
#define SLOTS (3 * THREADS_MAX)

/* A file that windows are read from. */
struct source {
	int fd;
	unsigned refs; /* the walk, and windows on their way */
};

struct slot {
	enum { FREE, TODO, DONE } state;
	struct source *source;
	unsigned file;
	uint64_t offset;
	uint32_t size;
	uint8_t *data;      /* BUNDLE_CHUNK */
	uint8_t *record;    /* head and body */
	size_t record_size; /* 0: nothing but zeros */
	int r;
	struct error error;
};

struct bundle_windows {
	const struct bundle_plan *plan;
	int (*open)(void *data, unsigned n, int *fd, struct error *error);
	void *data;
	pthread_mutex_t lock;
	pthread_cond_t todo, done;
	bool ending;
	pthread_t threads[THREADS_MAX];
	unsigned thread_count, slot_count;
	struct slot slots[SLOTS];
	uint64_t filled, taken, emptied; /* slots, ever */
	bool given; /* the slot before `emptied` is the caller's */
	/* The walk. */
	struct source *source; /* of the file at hand, or NULL */
	unsigned file;
	uint64_t at;
};

/* --- workers ---------------------------------------------------------- */

static bool is_zero(const uint8_t *data, size_t size)
{
	return !data[0] && !memcmp(data, data + 1, size - 1);
}

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

		if (!is_zero(slot->data + *from, n))
			break;
		*from += n;
	}
	while (*to > *from) {
		uint32_t block = (*to - 1) / BUNDLE_BLOCK * BUNDLE_BLOCK;

		if (!is_zero(slot->data + block, *to - block))
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

static ZSTD_CCtx *new_zstd(void)
{
	ZSTD_CCtx *zstd = ZSTD_createCCtx();

	if (zstd) {
		ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, LEVEL);
		ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1);
	}
	return zstd;
}

static void *compress(void *data)
{
	struct bundle_windows *w = data;
	ZSTD_CCtx *zstd = new_zstd();

	pthread_mutex_lock(&w->lock);
	for (;;) {
		struct slot *slot;

		while (!w->ending && w->taken == w->filled)
			pthread_cond_wait(&w->todo, &w->lock);
		if (w->ending)
			break;
		slot = &w->slots[w->taken++ % w->slot_count];
		pthread_mutex_unlock(&w->lock);
		slot->r = zstd ? make_record(slot, zstd)
			       : error_set(&slot->error, -ENOMEM, "no memory");
		pthread_mutex_lock(&w->lock);
		slot->state = DONE;
		pthread_cond_signal(&w->done);
	}
	pthread_mutex_unlock(&w->lock);
	ZSTD_freeCCtx(zstd);
	return NULL;
}

/* --- the walk --------------------------------------------------------- */

static void source_put(struct source *source)
{
	if (source && --source->refs == 0) {
		close(source->fd);
		free(source);
	}
}

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
static void fill_slot(struct bundle_windows *w)
{
	uint64_t size = file_at(w, w->file)->size - w->at;
	struct slot *slot = &w->slots[w->filled % w->slot_count];

	assert(slot->state == FREE);
	slot->source = w->source;
	w->source->refs++;
	slot->file = w->file;
	slot->offset = w->at;
	slot->size = size < BUNDLE_CHUNK ? (uint32_t)size : BUNDLE_CHUNK;
	w->at += BUNDLE_CHUNK;
	pthread_mutex_lock(&w->lock);
	slot->state = TODO;
	w->filled++;
	pthread_cond_signal(&w->todo);
	pthread_mutex_unlock(&w->lock);
}

/* --- all of it -------------------------------------------------------- */

/* What was given by the last call is taken back. */
static void take_back(struct bundle_windows *w)
{
	struct slot *slot = &w->slots[w->emptied % w->slot_count];

	if (!w->given)
		return;
	w->given = false;
	source_put(slot->source);
	slot->state = FREE;
	w->emptied++;
}

int bundle_windows_next(struct bundle_windows *w, struct bundle_record *record,
			struct error *error)
{
	struct slot *slot;
	int r = 1;

	take_back(w);
	while (r > 0 && w->filled - w->emptied < w->slot_count) {
		r = next_window(w, error);
		if (r > 0)
			fill_slot(w);
	}
	if (r < 0 || w->emptied == w->filled)
		return r < 0 ? r : 0;
	slot = &w->slots[w->emptied % w->slot_count];
	pthread_mutex_lock(&w->lock);
	while (slot->state != DONE)
		pthread_cond_wait(&w->done, &w->lock);
	pthread_mutex_unlock(&w->lock);
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

static int begin(struct bundle_windows *w, unsigned threads,
		 struct error *error)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (!threads)
		threads = cores > 0 ? (unsigned)cores : 1;
	if (threads > THREADS_MAX)
		threads = THREADS_MAX;
	w->slot_count = 3 * threads;
	for (unsigned i = 0; i < w->slot_count; i++) {
		w->slots[i].data = malloc(BUNDLE_CHUNK);
		w->slots[i].record = malloc(BUNDLE_HEAD + BUNDLE_STORED_MAX);
		if (!w->slots[i].data || !w->slots[i].record)
			return error_set(error, -ENOMEM, "no memory");
	}
	for (; w->thread_count < threads; w->thread_count++)
		if (pthread_create(&w->threads[w->thread_count], NULL, compress,
				   w))
			return error_set(error, -EAGAIN,
					 "can't start a thread");
	return 0;
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
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->todo, NULL);
	pthread_cond_init(&w->done, NULL);
	r = begin(w, threads, error);
	if (r) {
		bundle_windows_free(w);
		*windows = NULL;
	}
	return r;
}

void bundle_windows_free(struct bundle_windows *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->ending = true;
	pthread_cond_broadcast(&w->todo);
	pthread_mutex_unlock(&w->lock);
	for (unsigned i = 0; i < w->thread_count; i++)
		pthread_join(w->threads[i], NULL);
	for (; w->emptied < w->filled; w->emptied++)
		source_put(w->slots[w->emptied % w->slot_count].source);
	source_put(w->source);
	for (unsigned i = 0; i < w->slot_count; i++) {
		free(w->slots[i].data);
		free(w->slots[i].record);
	}
	pthread_cond_destroy(&w->todo);
	pthread_cond_destroy(&w->done);
	pthread_mutex_destroy(&w->lock);
	free(w);
}
