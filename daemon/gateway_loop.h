/*
 * One epoll loop of the gateway, and how other threads give it work.
 *
 * The front loop (the main thread) holds listeners, links and the socket to
 * control; each worker loop holds whole sessions. Objects belong to one loop
 * at a time and are touched by its thread only; a task carries them over.
 */
#ifndef DAEMON_GATEWAY_LOOP_H
#define DAEMON_GATEWAY_LOOP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "recorder/bytes.h"
#include "recorder/error.h"

#define GATEWAY_READ_SIZE (128u << 10)	/* taken from a socket at a time */
#define GATEWAY_SECOND UINT64_C(1000000000)	/* ns */

struct gateway_loop;

/* Something with a file descriptor in the loop; the first member of it. */
struct gateway_source {
	void (*ready)(struct gateway_source *source, uint32_t events);
};

/* Work from another thread; run() frees it. */
struct gateway_task {
	struct gateway_task *next;
	void (*run)(struct gateway_loop *loop, struct gateway_task *task);
};

struct gateway_loop {
	uint64_t now;		/* CLOCK_MONOTONIC at the last wake-up, ns */
	uint64_t due;		/* when on_due is called; UINT64_MAX: never */
	/* Does what is due and sets the next time by gateway_loop_at(). */
	void (*on_due)(struct gateway_loop *loop);
	/* After every round, may be NULL; true: go on without waiting. */
	bool (*on_round)(struct gateway_loop *loop);
	bool stop;

	/* Scratch of whatever is being handled, empty in between. */
	uint8_t *wire;		/* GATEWAY_READ_SIZE, received from a client */
	uint8_t *plain;		/* GATEWAY_READ_SIZE, decrypted or from a guest */
	struct buffer cipher;	/* TLS records to be sent */
	struct buffer spare;	/* memory for the next one */

	int epoll, event;
	struct gateway_source wake;
	pthread_mutex_t lock;	/* of first and last */
	struct gateway_task *first, *last;
	void **dead;		/* freed after the round */
	size_t dead_count, dead_room;
};

int gateway_loop_init(struct gateway_loop *loop, struct error *error);
void gateway_loop_clear(struct gateway_loop *loop);
/* Until stop is set. */
void gateway_loop_run(struct gateway_loop *loop);

int gateway_loop_watch(struct gateway_loop *loop, int fd, uint32_t events,
		       struct gateway_source *source);
int gateway_loop_change(struct gateway_loop *loop, int fd, uint32_t events,
			struct gateway_source *source);
void gateway_loop_unwatch(struct gateway_loop *loop, int fd);

/* on_due is called at that time (ns) or before. */
static inline void gateway_loop_at(struct gateway_loop *loop, uint64_t time)
{
	if (time < loop->due)
		loop->due = time;
}

/*
 * Frees an object whose descriptors were just taken out: after the round,
 * because an event for it may still be on its way. Until then its sources
 * must be silent.
 */
void gateway_loop_bury(struct gateway_loop *loop, void *object);
void gateway_silent(struct gateway_source *source, uint32_t events);

/* From any thread. */
void gateway_loop_post(struct gateway_loop *loop, struct gateway_task *task);

uint64_t gateway_realtime(void);	/* ns since 1970 */

#endif
