/*
 * Pieces of work on several threads, in order: the caller fills slots of a
 * ring, threads work on them side by side, and the caller collects them in the
 * order in which they were filled. The caller is one thread.
 */
#ifndef DAEMON_RING_H
#define DAEMON_RING_H

#include <stdbool.h>
#include <stddef.h>

#include "recorder/error.h"

struct ring;

struct ring_work {
	size_t slot_size; /* slots begin as zeros */
	/* What a thread keeps for itself; NULL when there is no memory. */
	void *(*begin)(void);
	void (*end)(void *own);
	/* Says in the slot what became of it; own: as begin gave it. */
	void (*work)(void *own, void *slot);
	/* Frees what a slot holds, in ring_free. */
	void (*release)(void *slot);
};

/* threads: 0 for one for each processor; eight at most. work is borrowed. */
int ring_new(struct ring **ring, const struct ring_work *work, unsigned threads,
	     struct error *error);
/* Waits for the threads; pieces that nobody has taken yet are not done. */
void ring_free(struct ring *ring);

/* The slot to be filled next, or NULL when all are on their way. */
void *ring_next(struct ring *ring);
/* It is filled: for the threads. */
void ring_push(struct ring *ring);

/* Waits for the oldest slot; NULL when none is on its way. */
void *ring_wait(struct ring *ring);
/* It may be filled anew. */
void ring_pop(struct ring *ring);

#endif
