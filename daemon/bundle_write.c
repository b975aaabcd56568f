/*
 * Writing a bundle; see bundle_write.h.
 *
 * One thread walks over the files in windows of 4 MiB, hands those that hold
 * data to workers (read, leave zeros out, compress, digest), and writes what
 * they made in the windows' order. The walk passes over holes.
 */
#include "daemon/bundle_write.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <zstd.h>

#define LEVEL 1 /* of zstd; more is slower than most disks */
#define THREADS_MAX 8
#define SLOTS (3 * THREADS_MAX)
#define SYNC_STEP (UINT64_C(128) << 20) /* bytes between two syncs */

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

struct work {
	const struct bundle_writer *options;
	pthread_mutex_t lock;
	pthread_cond_t todo, done;
	bool ending;
	pthread_t threads[THREADS_MAX];
	unsigned thread_count, slot_count;
	struct slot slots[SLOTS];
	uint64_t filled, taken, emptied; /* slots, ever */
	/* The walk. */
	struct source *source; /* of the file at hand, or NULL */
	unsigned file;
	uint64_t at;
	/* What was written. */
	uint64_t skip; /* bytes that are there already */
	uint64_t unsynced;
	uint64_t records, known; /* data records; those in the journal */
	struct buffer heads;     /* not yet in the journal */
	uint8_t *old;            /* the journal */
	/* Progress: of the files before, and of this one. */
	uint64_t told_before, told;
	unsigned told_file;
	/* The manifest. */
	uint32_t *counts;
	uint8_t (*digests)[BUNDLE_DIGEST];
	EVP_MD_CTX *digest; /* of the file at hand */
	unsigned digest_file;
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
	struct work *w = data;
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

static const struct bundle_file *file_at(const struct work *w, unsigned n)
{
	return &w->options->plan->files[n];
}

static int open_source(struct work *w, struct error *error)
{
	struct source *source = calloc(1, sizeof(*source));
	struct stat st;
	int r;

	if (!source)
		return error_set(error, -ENOMEM, "no memory");
	r = w->options->open(w->options->data, w->file, &source->fd, error);
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
static int next_window(struct work *w, struct error *error)
{
	while (w->file < w->options->plan->count) {
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
static void fill_slot(struct work *w)
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

/* --- what is written -------------------------------------------------- */

static int flush(struct work *w, struct error *error)
{
	if (w->options->is_file && fdatasync(w->options->output))
		return error_errno(error, errno, "can't write the bundle");
	if (w->heads.failed ||
	    bundle_write_all(w->options->journal, w->heads.data,
			     w->heads.size) ||
	    (w->options->is_file && fdatasync(w->options->journal)))
		return error_set(error, -EIO,
				 "can't write the journal of the export");
	buffer_drop(&w->heads, w->heads.size);
	w->unsynced = 0;
	return 0;
}

static int put(struct work *w, const uint8_t *data, size_t size,
	       struct error *error)
{
	size_t skip = w->skip < size ? (size_t)w->skip : size;
	int r;

	w->skip -= skip;
	w->unsynced += size - skip;
	r = bundle_write_all(w->options->output, data + skip, size - skip);
	return r ? error_errno(error, r, "can't write the bundle") : 0;
}

static void end_digest(struct work *w)
{
	EVP_DigestFinal_ex(w->digest, w->digests[w->digest_file], NULL);
	EVP_DigestInit_ex(w->digest, EVP_sha256(), NULL);
}

/* A data record in the manifest. */
static void count(struct work *w, unsigned file, const uint8_t *digest)
{
	while (w->digest_file < file) {
		end_digest(w);
		w->digest_file++;
	}
	w->counts[file]++;
	EVP_DigestUpdate(w->digest, digest, BUNDLE_DIGEST);
}

static int put_data(struct work *w, const struct slot *slot,
		    struct error *error)
{
	int r;

	if (w->records < w->known && memcmp(w->old + w->records * BUNDLE_HEAD,
					    slot->record, BUNDLE_HEAD) != 0)
		return error_set(error, -ESTALE,
				 "%s is not what it was when the export began",
				 file_at(w, slot->file)->path);
	r = put(w, slot->record, slot->record_size, error);
	if (!r && w->records >= w->known)
		buffer_put(&w->heads, slot->record, BUNDLE_HEAD);
	w->records++;
	count(w, slot->file, slot->record + BUNDLE_HEAD - BUNDLE_DIGEST);
	if (!r && w->unsynced >= SYNC_STEP)
		r = flush(w, error);
	return r;
}

static void tell(struct work *w, const struct slot *slot)
{
	const struct bundle_plan *plan = w->options->plan;

	for (; w->told_file < slot->file; w->told_file++) {
		w->told_before += file_at(w, w->told_file)->data;
		w->told = 0;
	}
	w->told += slot->size;
	if (w->told > file_at(w, slot->file)->data)
		w->told = file_at(w, slot->file)->data;
	if (w->options->progress)
		w->options->progress(w->options->data, w->told_before + w->told,
				     plan->data);
}

static int empty_slot(struct work *w, struct error *error)
{
	struct slot *slot = &w->slots[w->emptied % w->slot_count];
	int r;

	pthread_mutex_lock(&w->lock);
	while (slot->state != DONE)
		pthread_cond_wait(&w->done, &w->lock);
	pthread_mutex_unlock(&w->lock);
	r = slot->r;
	if (r)
		error_set(error, r, "%s: %s", file_at(w, slot->file)->path,
			  slot->error.text);
	else if (slot->record_size)
		r = put_data(w, slot, error);
	if (!r)
		tell(w, slot);
	source_put(slot->source);
	slot->state = FREE;
	w->emptied++;
	return r;
}

static int write_data(struct work *w, struct error *error)
{
	bool more = true;
	int r = 0;

	while (!r && (more || w->emptied < w->filled)) {
		if (more && w->filled - w->emptied < w->slot_count) {
			r = next_window(w, error);
			more = r > 0;
			if (r > 0) {
				fill_slot(w);
				r = 0;
			}
			continue;
		}
		r = empty_slot(w, error);
	}
	return r;
}

/* --- the other records ------------------------------------------------ */

static int put_record(struct work *w, enum bundle_kind kind, const void *body,
		      size_t size, uint8_t digest[BUNDLE_DIGEST],
		      struct error *error)
{
	struct bundle_head head = {.kind = kind, .stored = (uint32_t)size};
	uint8_t raw[BUNDLE_HEAD];
	int r;

	if (size > BUNDLE_STORED_MAX)
		return error_set(error, -E2BIG, "it has too many files");
	r = bundle_head_make(&head, body, raw, error);
	if (!r)
		r = put(w, raw, sizeof(raw), error);
	if (!r)
		r = put(w, body, size, error);
	if (digest)
		memcpy(digest, head.digest, BUNDLE_DIGEST);
	return r;
}

static char *print_manifest(struct work *w, const uint8_t plan[BUNDLE_DIGEST])
{
	char hex[2 * BUNDLE_DIGEST + 1], *text;
	json_t *files = json_array(), *json;

	if (w->options->plan->count)
		for (; w->digest_file < w->options->plan->count;
		     w->digest_file++)
			end_digest(w);
	for (unsigned i = 0; i < w->options->plan->count; i++) {
		bundle_hex(w->digests[i], BUNDLE_DIGEST, hex);
		json_array_append_new(
			files, json_pack("[i, s]", (int)w->counts[i], hex));
	}
	bundle_hex(plan, BUNDLE_DIGEST, hex);
	json = json_pack("{s:s, s:I, s:o}", "plan", hex, "records",
			 (json_int_t)w->records, "files", files);
	text = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	return text;
}

static int put_manifest(struct work *w, const uint8_t plan[BUNDLE_DIGEST],
			struct error *error)
{
	char *text = print_manifest(w, plan);
	uint8_t digest[BUNDLE_DIGEST], signed_text[BUNDLE_SIGNED_SIZE];
	struct buffer body = {0};
	int r;

	if (!text)
		return error_set(error, -ENOMEM, "no memory");
	r = put_record(w, BUNDLE_MANIFEST, text, strlen(text), digest, error);
	free(text);
	bundle_signed_text(digest, signed_text);
	if (!r)
		r = w->options->sign(w->options->data, signed_text, &body,
				     error);
	if (!r)
		r = put_record(w, BUNDLE_SIGNATURE, body.data, body.size, NULL,
			       error);
	buffer_free(&body);
	return r;
}

static int put_end(struct work *w, struct error *error)
{
	struct buffer body = {0};
	int r = flush(w, error);

	if (!r && w->options->plan->moved) {
		r = w->options->handover(w->options->data, &body, error);
		if (!r)
			r = put_record(w, BUNDLE_HANDOVER, body.data, body.size,
				       NULL, error);
		buffer_free(&body);
	}
	if (!r)
		r = put_record(w, BUNDLE_END, NULL, 0, NULL, error);
	return r ? r : flush(w, error);
}

/* --- going on --------------------------------------------------------- */

static int read_journal(struct work *w, struct error *error)
{
	struct stat st;
	size_t size;

	if (fstat(w->options->journal, &st))
		return error_errno(error, errno, "the export's journal");
	w->known = (uint64_t)st.st_size / BUNDLE_HEAD;
	size = (size_t)w->known * BUNDLE_HEAD;
	w->old = malloc(size ? size : 1);
	if (!w->old)
		return error_set(error, -ENOMEM, "no memory");
	/* A head of which only a part was written is none. */
	if (ftruncate(w->options->journal, (off_t)size) ||
	    lseek(w->options->journal, 0, SEEK_SET) ||
	    bundle_read_all(w->options->journal, w->old, size))
		return error_set(error, -EIO,
				 "can't read the export's journal");
	return 0;
}

/* The record is there: the walk goes on behind it. */
static int pass(struct work *w, uint64_t n, struct bundle_head *head,
		struct error *error)
{
	const uint8_t *raw = w->old + n * BUNDLE_HEAD;
	int r = bundle_head_read(head, raw, error);

	if (r || head->file >= w->options->plan->count || head->file < w->file)
		return error_set(error, -ESTALE,
				 "the export's journal is damaged");
	w->file = head->file;
	w->at = (head->offset & ~(uint64_t)(BUNDLE_CHUNK - 1)) + BUNDLE_CHUNK;
	count(w, head->file, head->digest);
	w->records++;
	return 0;
}

/* Finds where the walk begins; start: bytes of the bundle before the data. */
static int go_on(struct work *w, uint64_t start, struct error *error)
{
	uint64_t have = w->options->have, at = start;
	struct bundle_head head;
	int r = read_journal(w, error);

	/* A prefix that is there in part is written whole, or passed over. */
	if (r || have <= start) {
		if (w->options->is_file) {
			w->known = 0;
			have = 0;
		}
		w->skip = have;
		at = 0;
	} else {
		while (!r && w->records < w->known) {
			struct bundle_head next;

			r = bundle_head_read(&next,
					     w->old + w->records * BUNDLE_HEAD,
					     error);
			if (r || at + BUNDLE_HEAD + next.stored > have)
				break;
			at += BUNDLE_HEAD + next.stored;
			r = pass(w, w->records, &head, error);
		}
		w->skip = have - at;
	}
	if (r || !w->options->is_file)
		return r;
	w->known = w->records;
	w->skip = 0;
	if (ftruncate(w->options->output, (off_t)at) ||
	    lseek(w->options->output, (off_t)at, SEEK_SET) < 0 ||
	    ftruncate(w->options->journal, (off_t)(w->known * BUNDLE_HEAD)) ||
	    lseek(w->options->journal, 0, SEEK_END) < 0)
		return error_errno(error, errno, "can't go on with the export");
	return 0;
}

/* The magic number and the plan; its digest. */
static int put_start(struct work *w, bool is_there,
		     uint8_t digest[BUNDLE_DIGEST], struct error *error)
{
	const char *text = w->options->plan_text;
	struct bundle_head head = {.kind = BUNDLE_PLAN,
				   .stored = (uint32_t)strlen(text)};
	uint8_t raw[BUNDLE_HEAD];
	int r = bundle_head_make(&head, text, raw, error);

	memcpy(digest, head.digest, BUNDLE_DIGEST);
	if (r || is_there)
		return r;
	r = put(w, (const uint8_t *)BUNDLE_MAGIC, BUNDLE_MAGIC_SIZE, error);
	return r ? r
		 : put_record(w, BUNDLE_PLAN, text, strlen(text), NULL, error);
}

/* --- all of it -------------------------------------------------------- */

static int begin(struct work *w, struct error *error)
{
	unsigned count = w->options->plan->count;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned threads = w->options->threads;

	if (!threads)
		threads = cores > 0 ? (unsigned)cores : 1;
	if (threads > THREADS_MAX)
		threads = THREADS_MAX;
	w->slot_count = 3 * threads;
	w->counts = calloc(count, sizeof(*w->counts));
	w->digests = calloc(count, sizeof(*w->digests));
	w->digest = EVP_MD_CTX_new();
	if (!w->counts || !w->digests || !w->digest ||
	    !EVP_DigestInit_ex(w->digest, EVP_sha256(), NULL))
		return error_set(error, -ENOMEM, "no memory");
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

static void end(struct work *w)
{
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
	buffer_free(&w->heads);
	free(w->old);
	free(w->counts);
	free(w->digests);
	EVP_MD_CTX_free(w->digest);
	pthread_cond_destroy(&w->todo);
	pthread_cond_destroy(&w->done);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

int bundle_write(const struct bundle_writer *options, struct error *error)
{
	uint64_t start =
		BUNDLE_MAGIC_SIZE + BUNDLE_HEAD + strlen(options->plan_text);
	struct work *w = calloc(1, sizeof(*w));
	uint8_t plan[BUNDLE_DIGEST];
	int r;

	if (!w)
		return error_set(error, -ENOMEM, "no memory");
	w->options = options;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->todo, NULL);
	pthread_cond_init(&w->done, NULL);
	r = begin(w, error);
	if (!r)
		r = go_on(w, start, error);
	if (!r)
		r = put_start(w, options->have > start, plan, error);
	if (!r)
		r = write_data(w, error);
	if (!r)
		r = put_manifest(w, plan, error);
	if (!r)
		r = put_end(w, error);
	end(w);
	return r;
}
