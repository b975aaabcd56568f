/* Records into files, on several threads; see bundle_unpack.h. */
#include "daemon/bundle_unpack.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zstd.h>

#define THREADS_MAX 8
#define SLOTS (3 * THREADS_MAX)

struct bundle_target {
	int fd; /* -1: a check */
	unsigned refs;
};

struct slot {
	enum { FREE, TODO, DONE } state;
	struct bundle_target *target;
	uint8_t *body, *data;
	uint32_t body_room, data_room;
	struct bundle_unpacked is;
};

struct bundle_unpack {
	pthread_mutex_t lock;
	pthread_cond_t todo, done;
	bool ending;
	pthread_t threads[THREADS_MAX];
	unsigned thread_count, slot_count;
	struct slot slots[SLOTS];
	uint64_t filled, taken, emptied; /* slots, ever */
};

/* --- files ------------------------------------------------------------ */

struct bundle_target *bundle_target_new(int fd)
{
	struct bundle_target *target = calloc(1, sizeof(*target));

	if (target) {
		target->fd = fd;
		target->refs = 1;
	} else if (fd >= 0) {
		close(fd);
	}
	return target;
}

void bundle_target_put(struct bundle_target *target)
{
	if (target && --target->refs == 0) {
		if (target->fd >= 0)
			close(target->fd);
		free(target);
	}
}

/* --- workers ---------------------------------------------------------- */

static bool is_zero(const uint8_t *data, size_t size)
{
	return !data[0] && !memcmp(data, data + 1, size - 1);
}

static int write_run(struct slot *slot, uint32_t from, uint32_t to)
{
	while (from < to) {
		ssize_t n =
			pwrite(slot->target->fd, slot->data + from, to - from,
			       (off_t)(slot->is.head.offset + from));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_errno(&slot->is.error, n < 0 ? errno : EIO,
					   "can't be written");
		from += (uint32_t)n;
	}
	return 0;
}

/* Holes stay where the file has zeros. */
static int write_data(struct slot *slot)
{
	uint32_t size = slot->is.head.length, run = 0, at = 0;
	int r = 0;

	slot->is.written = 0;
	while (!r && at < size) {
		uint32_t n =
			size - at < BUNDLE_BLOCK ? size - at : BUNDLE_BLOCK;
		bool zero = is_zero(slot->data + at, n);

		if (!zero)
			slot->is.written += n;
		if (zero && slot->target->fd >= 0 && run < at)
			r = write_run(slot, run, at);
		at += n;
		if (zero)
			run = at;
	}
	if (!r && slot->target->fd >= 0)
		r = write_run(slot, run, size);
	return r;
}

static int unpack(struct slot *slot, ZSTD_DCtx *zstd)
{
	size_t n;

	if (!bundle_head_fits(&slot->is.head, slot->is.raw, slot->body))
		return error_set(&slot->is.error, -EBADMSG, "damaged");
	n = ZSTD_decompressDCtx(zstd, slot->data, slot->is.head.length,
				slot->body, slot->is.head.stored);
	if (ZSTD_isError(n) || n != slot->is.head.length)
		return error_set(&slot->is.error, -EINVAL,
				 "a record does not hold what its head says");
	return write_data(slot);
}

static void *decompress(void *data)
{
	struct bundle_unpack *w = data;
	ZSTD_DCtx *zstd = ZSTD_createDCtx();

	pthread_mutex_lock(&w->lock);
	for (;;) {
		struct slot *slot;

		while (!w->ending && w->taken == w->filled)
			pthread_cond_wait(&w->todo, &w->lock);
		if (w->ending)
			break;
		slot = &w->slots[w->taken++ % w->slot_count];
		pthread_mutex_unlock(&w->lock);
		slot->is.r =
			zstd ? unpack(slot, zstd)
			     : error_set(&slot->is.error, -ENOMEM, "no memory");
		pthread_mutex_lock(&w->lock);
		slot->state = DONE;
		pthread_cond_signal(&w->done);
	}
	pthread_mutex_unlock(&w->lock);
	ZSTD_freeDCtx(zstd);
	return NULL;
}

/* --- the caller's side ------------------------------------------------ */

bool bundle_unpack_is_full(const struct bundle_unpack *w)
{
	return w->filled - w->emptied == w->slot_count;
}

/* A slot's buffers are as large as its largest record was. */
static int make_room(uint8_t **buffer, uint32_t *room, uint32_t size)
{
	if (size <= *room)
		return 0;
	free(*buffer);
	*buffer = malloc(size);
	*room = *buffer ? size : 0;
	return *buffer ? 0 : -ENOMEM;
}

int bundle_unpack_add(struct bundle_unpack *w, int fd,
		      const struct bundle_head *head,
		      const uint8_t raw[BUNDLE_HEAD], uint64_t at,
		      struct bundle_target *target)
{
	struct slot *slot = &w->slots[w->filled % w->slot_count];
	int r = make_room(&slot->body, &slot->body_room, head->stored);

	if (!r)
		r = make_room(&slot->data, &slot->data_room, head->length);
	if (!r)
		r = bundle_read_all(fd, slot->body, head->stored);
	if (r)
		return r;
	slot->is = (struct bundle_unpacked){.head = *head, .at = at};
	memcpy(slot->is.raw, raw, BUNDLE_HEAD);
	slot->target = target;
	target->refs++;
	pthread_mutex_lock(&w->lock);
	slot->state = TODO;
	w->filled++;
	pthread_cond_signal(&w->todo);
	pthread_mutex_unlock(&w->lock);
	return 0;
}

bool bundle_unpack_collect(struct bundle_unpack *w,
			   struct bundle_unpacked *unpacked)
{
	struct slot *slot = &w->slots[w->emptied % w->slot_count];

	if (w->emptied == w->filled)
		return false;
	pthread_mutex_lock(&w->lock);
	while (slot->state != DONE)
		pthread_cond_wait(&w->done, &w->lock);
	pthread_mutex_unlock(&w->lock);
	*unpacked = slot->is;
	bundle_target_put(slot->target);
	slot->target = NULL;
	slot->state = FREE;
	w->emptied++;
	return true;
}

int bundle_unpack_new(struct bundle_unpack **unpack, unsigned threads,
		      struct error *error)
{
	struct bundle_unpack *w = calloc(1, sizeof(*w));
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	*unpack = w;
	if (!w)
		return error_set(error, -ENOMEM, "no memory");
	if (!threads)
		threads = cores > 0 ? (unsigned)cores : 1;
	if (threads > THREADS_MAX)
		threads = THREADS_MAX;
	w->slot_count = 3 * threads;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->todo, NULL);
	pthread_cond_init(&w->done, NULL);
	for (; w->thread_count < threads; w->thread_count++)
		if (pthread_create(&w->threads[w->thread_count], NULL,
				   decompress, w)) {
			bundle_unpack_free(w);
			*unpack = NULL;
			return error_set(error, -EAGAIN,
					 "can't start a thread");
		}
	return 0;
}

void bundle_unpack_free(struct bundle_unpack *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->ending = true;
	pthread_cond_broadcast(&w->todo);
	pthread_mutex_unlock(&w->lock);
	for (unsigned i = 0; i < w->thread_count; i++)
		pthread_join(w->threads[i], NULL);
	for (unsigned i = 0; i < w->slot_count; i++) {
		bundle_target_put(w->slots[i].target);
		free(w->slots[i].body);
		free(w->slots[i].data);
	}
	pthread_cond_destroy(&w->todo);
	pthread_cond_destroy(&w->done);
	pthread_mutex_destroy(&w->lock);
	free(w);
}
