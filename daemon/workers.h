/*
 * A few threads that do tasks in the order they came, several at a time.
 */
#ifndef DAEMON_WORKERS_H
#define DAEMON_WORKERS_H

#include "recorder/error.h"

struct workers;

int workers_new(struct workers **workers, unsigned threads,
		struct error *error);
/* Does what was added, then ends. */
void workers_free(struct workers *workers);

/* Returns -ENOMEM and does nothing when there is no memory. */
int workers_add(struct workers *workers, void (*task)(void *), void *data);

#endif
