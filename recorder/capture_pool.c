/* The writing threads: who compresses and writes when; see capture_pool.h. */
#include "recorder/capture_pool.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#define LEVEL 1
#define LEVEL_FAST -10                 /* three times as fast, little larger */
#define FAST_MBS 32                    /* MB/s of a session, from there on */
#define BEHIND (2 * CAPTURE_FRAME_MAX) /* of one file, waiting */
#define FREE_CHUNKS_MAX 4
#define FREE_CHUNKS_BUSY (CAPTURE_BACKLOG_MAX / CAPTURE_FRAME_MAX)

struct capture_pool {
	pthread_mutex_t lock;
	pthread_cond_t work;        /* a chunk, or stop */
	pthread_cond_t gone;        /* a writer is gone */
	struct chunk *first, *last; /* to be compressed */
	struct chunk *unused;
	unsigned unused_count;
	unsigned writers;
	bool stop;
	unsigned thread_count;
	pthread_t threads[];
};

/* Pages come zeroed when touched, so an unfilled chunk costs nothing. */
struct chunk *capture_pool_chunk(struct capture_pool *pool)
{
	struct chunk *c;

	pthread_mutex_lock(&pool->lock);
	c = pool->unused;
	if (c) {
		pool->unused = c->next;
		pool->unused_count--;
	}
	pthread_mutex_unlock(&pool->lock);
	if (!c) {
		c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (c == MAP_FAILED)
			return NULL;
	}
	c->next = c->after = NULL;
	c->writer = NULL;
	c->ready = c->last = false;
	c->failure = 0;
	c->size = c->packed_size = 0;
	c->first_time = c->last_time = 0;
	c->counts = (struct capture_counts){0};
	return c;
}

/* Under the lock; unused chunks are kept as long as there is much to do. */
static void drop_chunk(struct capture_pool *pool, struct chunk *c)
{
	unsigned keep = pool->first ? FREE_CHUNKS_BUSY : FREE_CHUNKS_MAX;

	c->next = pool->unused;
	pool->unused = c;
	pool->unused_count++;
	while (pool->unused_count > keep) {
		c = pool->unused;
		pool->unused = c->next;
		pool->unused_count--;
		munmap(c, sizeof(*c));
	}
}

static void wake_owner(struct capture_file *file)
{
	eventfd_write(file->event, 1);
}

int capture_pool_failure(struct capture_file *file, struct error *error)
{
	int failure = atomic_load(&file->failure);

	if (failure && error) {
		pthread_mutex_lock(&file->pool->lock);
		*error = file->error;
		pthread_mutex_unlock(&file->pool->lock);
	}
	return failure;
}

void capture_pool_fail(struct capture_file *file, const struct error *error)
{
	pthread_mutex_lock(&file->pool->lock);
	if (!atomic_load(&file->failure)) {
		file->error = *error;
		atomic_store(&file->failure, error->code);
	}
	pthread_mutex_unlock(&file->pool->lock);
	wake_owner(file);
}

static void free_writer(struct capture_writer *w)
{
	close(w->file.fd);
	close(w->file.event);
	EVP_MD_CTX_free(w->file.running);
	EVP_MD_CTX_free(w->file.copy);
	free(w->file.records);
	free(w->channels);
	free(w);
}

/* Under the lock: nothing is left to do for a writer without an owner. */
static void bury(struct capture_pool *pool, struct capture_writer *w)
{
	if (!w->file.orphan || w->file.writing || w->file.first)
		return;
	free_writer(w);
	pool->writers--;
	pthread_cond_broadcast(&pool->gone);
}

static void relieve(struct capture_file *file, size_t size)
{
	size_t left = atomic_fetch_sub(&file->backlog, size) - size;

	if (left < CAPTURE_BACKLOG_MAX / 2 &&
	    atomic_exchange(&file->starved, false))
		wake_owner(file);
}

/* Under the lock; writes what is ready at the head of the writer's line. */
static void write_ready(struct capture_pool *pool, struct capture_writer *w)
{
	struct capture_file *file = &w->file;

	if (file->writing)
		return;
	file->writing = true;
	while (file->first && file->first->ready) {
		struct chunk *c = file->first;
		size_t size = c->size;

		pthread_mutex_unlock(&pool->lock);
		capture_file_write(file, c);
		pthread_mutex_lock(&pool->lock);
		file->first = c->after;
		if (!file->first)
			file->last = NULL;
		drop_chunk(pool, c);
		relieve(file, size);
	}
	file->writing = false;
	bury(pool, w);
}

/* A session must not wait for its recording if a faster way helps. */
static int level_for(const struct chunk *c)
{
	uint64_t us = (c->last_time - c->first_time) / 1000;

	if (atomic_load(&c->writer->file.backlog) > BEHIND ||
	    (c->size > CAPTURE_FRAME_MAX / 2 && us * FAST_MBS < c->size))
		return LEVEL_FAST;
	return LEVEL;
}

static void compress_chunk(ZSTD_CCtx *zstd, struct chunk *c)
{
	struct capture_file *file = &c->writer->file;
	size_t n;

	if (!c->size || atomic_load(&file->failure))
		return;
	ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, level_for(c));
	n = ZSTD_compress2(zstd, c->packed, CHUNK_PACKED_MAX, c->plain,
			   c->size);
	if (ZSTD_isError(n) || n > CHUNK_PACKED_MAX - CAPTURE_ENTRY_SIZE)
		c->failure = -ENOMEM;
	else
		c->packed_size = n;
}

static void *run(void *cookie)
{
	struct capture_pool *pool = cookie;
	ZSTD_CCtx *zstd = ZSTD_createCCtx();

	if (zstd)
		ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1);
	pthread_mutex_lock(&pool->lock);
	while (pool->first || !pool->stop) {
		struct chunk *c = pool->first;

		if (!c) {
			pthread_cond_wait(&pool->work, &pool->lock);
			continue;
		}
		pool->first = c->next;
		if (!pool->first)
			pool->last = NULL;
		pthread_mutex_unlock(&pool->lock);
		if (zstd)
			compress_chunk(zstd, c);
		else
			c->failure = -ENOMEM;
		pthread_mutex_lock(&pool->lock);
		c->ready = true;
		write_ready(pool, c->writer);
	}
	pthread_mutex_unlock(&pool->lock);
	ZSTD_freeCCtx(zstd);
	return NULL;
}

void capture_pool_submit(struct chunk *c)
{
	struct capture_file *file = &c->writer->file;
	struct capture_pool *pool = file->pool;

	atomic_fetch_add(&file->backlog, c->size);
	pthread_mutex_lock(&pool->lock);
	if (file->last)
		file->last->after = c;
	else
		file->first = c;
	file->last = c;
	if (pool->last)
		pool->last->next = c;
	else
		pool->first = c;
	pool->last = c;
	pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->lock);
}

int capture_pool_add(struct capture_pool *pool, struct capture_file *file,
		     struct error *error)
{
	file->pool = pool;
	file->running = EVP_MD_CTX_new();
	file->copy = EVP_MD_CTX_new();
	file->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!file->running || !file->copy || file->event < 0 ||
	    !EVP_DigestInit_ex(file->running, EVP_sha256(), NULL)) {
		if (file->event >= 0)
			close(file->event);
		EVP_MD_CTX_free(file->running);
		EVP_MD_CTX_free(file->copy);
		return error_errno(error, ENOMEM, "cannot begin a recording");
	}
	pthread_mutex_lock(&pool->lock);
	pool->writers++;
	pthread_mutex_unlock(&pool->lock);
	return 0;
}

void capture_pool_remove(struct capture_writer *writer)
{
	struct capture_pool *pool = writer->file.pool;

	pthread_mutex_lock(&pool->lock);
	writer->file.orphan = true;
	bury(pool, writer);
	pthread_mutex_unlock(&pool->lock);
}

int capture_pool_new(struct capture_pool **pool, unsigned threads,
		     struct error *error)
{
	struct capture_pool *p =
		calloc(1, sizeof(*p) + threads * sizeof(p->threads[0]));
	int r = ENOMEM;

	*pool = NULL;
	if (!p)
		return error_errno(error, r, "cannot make a capture pool");
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->gone, NULL);
	for (unsigned i = 0; i < threads; i++) {
		r = pthread_create(&p->threads[i], NULL, run, p);
		if (r) {
			capture_pool_free(p);
			return error_errno(error, r,
					   "cannot start a capture thread");
		}
		p->thread_count++;
	}
	*pool = p;
	return 0;
}

void capture_pool_free(struct capture_pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	while (pool->writers)
		pthread_cond_wait(&pool->gone, &pool->lock);
	pool->stop = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->thread_count; i++)
		pthread_join(pool->threads[i], NULL);
	while (pool->unused) {
		struct chunk *c = pool->unused;

		pool->unused = c->next;
		munmap(c, sizeof(*c));
	}
	pthread_cond_destroy(&pool->gone);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}
