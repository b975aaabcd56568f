/*
 * What supervisor.c (the connection's life) and supervisor_connect.c (how it
 * is made) share.
 */
#ifndef DAEMON_SUPERVISOR_LINK_H
#define DAEMON_SUPERVISOR_LINK_H

#include <pthread.h>
#include <sys/types.h>

#include "daemon/supervisor.h"

struct supervisor {
	struct control *control;
	struct workers *workers;
	pthread_t thread;
	bool has_thread;
	int stop;             /* eventfd */
	pthread_mutex_t lock; /* of what follows */
	int socket;           /* -1: none */
	unsigned generation;
	int port; /* kept over restarts */
	pid_t pid;
	bool is_child;
	unsigned restarts;
	struct ipc_caps caps;
	/* Of the thread alone. */
	unsigned expected, ended; /* sessions told of in HELLO; ended ones */
	bool reconciled;
	struct untold *untold; /* ends that the catalogue could not take */
};

/*
 * Connects to the gateway, and starts it first when there is none; shakes
 * hands. -EAGAIN: try again in a moment. -EBUSY: one of another version has
 * sessions.
 */
int supervisor_establish(struct supervisor *link, struct error *error);
void supervisor_drop(struct supervisor *link);
/* Collects a child that is ending; kills it when it does not. */
void supervisor_reap(struct supervisor *link);

/* 0, or -ETIMEDOUT; ms < 0 waits for ever. */
int supervisor_wait(int fd, int ms);

#endif
