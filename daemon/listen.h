/*
 * Listening sockets.
 */
#ifndef DAEMON_LISTEN_H
#define DAEMON_LISTEN_H

#include "recorder/error.h"

#define LISTEN_MAX 8

struct listeners {
	int fds[LISTEN_MAX];
	unsigned count;
	int port; /* of all of them */
};

/*
 * Listens on TCP at each of the addresses (separated by spaces). Port 0
 * takes one that is free on the first and uses it for all. The error of an
 * address or port that can't be had says what to do.
 */
int listen_tcp(struct listeners *listeners, const char *addresses, int port,
	       unsigned max, struct error *error);
void listen_close(struct listeners *listeners);

/* A Unix stream socket; an old one in its place is replaced. */
int listen_unix(const char *path, unsigned mode, int *fd, struct error *error);

#endif
