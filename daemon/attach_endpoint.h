/*
 * Endpoints of attached vaults: their text, and a connection to one.
 */
#ifndef DAEMON_ATTACH_ENDPOINT_H
#define DAEMON_ATTACH_ENDPOINT_H

#include <stdbool.h>

#include "recorder/error.h"

struct attach_endpoint {
	bool is_unix, tls;
	char host[256]; /* or the socket's path */
	char port[8];   /* "" for a Unix socket */
};

/* HOST:PORT, [v6]:PORT, tls:HOST:PORT, unix:/PATH. -EINVAL. */
int attach_endpoint_read(struct attach_endpoint *endpoint, const char *text,
			 struct error *error);

/* A blocking stream socket; waits ms at most. */
int attach_endpoint_connect(const struct attach_endpoint *endpoint, int ms,
			    int *fd, struct error *error);

#endif
