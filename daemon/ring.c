/* A ring of slots between one thread and several; see ring.h. */
#include "daemon/ring.h"

#include <assert.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define THREADS_MAX 8
#define SLOTS_PER_THREAD 3 /* filled, worked on, collected */
#define SLOTS_MAX (SLOTS_PER_THREAD * THREADS_MAX)

struct ring {
	const struct ring_work *work;
	pthread_mutex_t lock;
	pthread_cond_t todo, done;
	bool ending;
	pthread_t threads[THREADS_MAX];
	unsigned thread_count, slot_count;
	unsigned char *slots;
	bool is_done[SLOTS_MAX];
	uint64_t filled, taken, emptied; /* slots, ever */
};

static void *slot_at(struct ring *ring, uint64_t n)
{
	return ring->slots + n % ring->slot_count * ring->work->slot_size;
}

static void *run(void *data)
{
	struct ring *ring = data;
	void *own = ring->work->begin();

	pthread_mutex_lock(&ring->lock);
	for (;;) {
		uint64_t n;

		while (!ring->ending && ring->taken == ring->filled)
			pthread_cond_wait(&ring->todo, &ring->lock);
		if (ring->ending)
			break;
		n = ring->taken++;
		pthread_mutex_unlock(&ring->lock);
		ring->work->work(own, slot_at(ring, n));
		pthread_mutex_lock(&ring->lock);
		ring->is_done[n % ring->slot_count] = true;
		pthread_cond_signal(&ring->done);
	}
	pthread_mutex_unlock(&ring->lock);
	if (own)
		ring->work->end(own);
	return NULL;
}

void *ring_next(struct ring *ring)
{
	return ring->filled - ring->emptied < ring->slot_count
		       ? slot_at(ring, ring->filled)
		       : NULL;
}

void ring_push(struct ring *ring)
{
	assert(ring_next(ring));
	pthread_mutex_lock(&ring->lock);
	ring->is_done[ring->filled++ % ring->slot_count] = false;
	pthread_cond_signal(&ring->todo);
	pthread_mutex_unlock(&ring->lock);
}

void *ring_wait(struct ring *ring)
{
	if (ring->emptied == ring->filled)
		return NULL;
	pthread_mutex_lock(&ring->lock);
	while (!ring->is_done[ring->emptied % ring->slot_count])
		pthread_cond_wait(&ring->done, &ring->lock);
	pthread_mutex_unlock(&ring->lock);
	return slot_at(ring, ring->emptied);
}

void ring_pop(struct ring *ring)
{
	assert(ring->emptied < ring->filled);
	ring->emptied++;
}

static int start(struct ring *ring, unsigned threads, struct error *error)
{
	ring->slots = calloc(ring->slot_count, ring->work->slot_size);
	if (!ring->slots)
		return error_set(error, -ENOMEM, "no memory");
	for (; ring->thread_count < threads; ring->thread_count++)
		if (pthread_create(&ring->threads[ring->thread_count], NULL,
				   run, ring))
			return error_set(error, -EAGAIN,
					 "can't start a thread");
	return 0;
}

int ring_new(struct ring **ring, const struct ring_work *work, unsigned threads,
	     struct error *error)
{
	struct ring *made = calloc(1, sizeof(*made));
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	int r;

	*ring = NULL;
	if (!made)
		return error_set(error, -ENOMEM, "no memory");
	if (!threads)
		threads = cores > 0 ? (unsigned)cores : 1;
	if (threads > THREADS_MAX)
		threads = THREADS_MAX;
	made->work = work;
	made->slot_count = SLOTS_PER_THREAD * threads;
	pthread_mutex_init(&made->lock, NULL);
	pthread_cond_init(&made->todo, NULL);
	pthread_cond_init(&made->done, NULL);
	r = start(made, threads, error);
	if (r)
		ring_free(made);
	else
		*ring = made;
	return r;
}

void ring_free(struct ring *ring)
{
	if (!ring)
		return;
	pthread_mutex_lock(&ring->lock);
	ring->ending = true;
	pthread_cond_broadcast(&ring->todo);
	pthread_mutex_unlock(&ring->lock);
	for (unsigned i = 0; i < ring->thread_count; i++)
		pthread_join(ring->threads[i], NULL);
	for (unsigned i = 0; ring->slots && i < ring->slot_count; i++)
		ring->work->release(slot_at(ring, i));
	pthread_cond_destroy(&ring->todo);
	pthread_cond_destroy(&ring->done);
	pthread_mutex_destroy(&ring->lock);
	free(ring->slots);
	free(ring);
}
