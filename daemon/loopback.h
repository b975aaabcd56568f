/*
 * A connected pair of TCP sockets over 127.0.0.1, as socketpair() would make
 * it if it could. spice-server compresses for a TCP peer only.
 */
#ifndef DAEMON_LOOPBACK_H
#define DAEMON_LOOPBACK_H

#include "recorder/error.h"

/*
 * Both ends are blocking, close-on-exec and without Nagle's delay. Another
 * process of this host that connects in between is sent away.
 */
int loopback_pair(int pair[2], struct error *error);

#endif
