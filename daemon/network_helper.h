/*
 * The process at the other end of an activation window: passt(1), which is a
 * network for one guest, in user space.
 */
#ifndef DAEMON_NETWORK_HELPER_H
#define DAEMON_NETWORK_HELPER_H

#include <sys/types.h>

#include "recorder/error.h"

/*
 * Starts one that the kernel ends after `seconds`, whatever becomes of us, and
 * waits until it serves. *fd is the guest's end: a stream of Ethernet frames,
 * each behind its length (32 bits, big-endian). It ends when that is closed.
 */
int network_helper_start(unsigned seconds, pid_t *pid, int *fd,
			 struct error *error);

#endif
