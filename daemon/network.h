/*
 * Activation windows: for a time a vault's network card has a way out.
 *
 * The card never changes. It is plugged into a QEMU hub with nothing else in
 * it; a window plugs a passt(1) process of its own into that hub, and its end
 * unplugs it. Through it the guest reaches what the host reaches, but never
 * what listens on the host's loopback addresses: QEMU's user-mode network
 * (SLIRP) gives a guest those at 10.0.2.2 and can't be told not to, so it is
 * not used. Nobody reaches the guest. Its DHCP lease is always the same:
 * 10.0.2.15/24, router 10.0.2.2.
 *
 * A window ends when its time is over, when it is told to, or with the guest.
 * Its end is written in the catalogue, and a daemon that comes back later
 * closes what is overdue. Were no daemon there, the kernel would end the
 * passt process NETWORK_GRACE seconds after the window's time.
 *
 * Thread-safe.
 */
#ifndef DAEMON_NETWORK_H
#define DAEMON_NETWORK_H

#include <jansson.h>
#include <stdint.h>

#include "recorder/error.h"

#define NETWORK_LEAST_MS 1000ull
#define NETWORK_MOST_MS (24 * 3600 * 1000ull)
#define NETWORK_GRACE 3 /* s */
#define NETWORK_HELPER "/usr/bin/passt"

struct control;
struct network;

int network_new(struct network **network, struct error *error);
/* When the hypervisor and the vaults are there: closes what is overdue, and
 * from then on whatever becomes so. */
int network_start(struct control *control, struct error *error);
/* No more closing; windows stay as they are. Before the hypervisor goes. */
void network_stop(struct network *network);
void network_free(struct network *network);

/*
 * Opens a window of `ms` on a running vault; one that is open ends first.
 * -EINVAL for a time out of bounds or a vault without that hub, -EBUSY when
 * it does not run, -ENOENT without passt.
 */
int network_open(struct control *control, const char *name, uint64_t ms,
		 const char *who, struct error *error);
/* 0 too when none is open. */
int network_close(struct control *control, const char *name, const char *who,
		  struct error *error);

/* A guest has ended, somewhere; does not block. */
void network_look(struct control *control);
/* A guest is about to start: no window of an earlier run may remain. */
void network_forget(struct control *control, const char *uuid);

/* {"state": "on"|"off", "until": time or null}, of a vault's UUID. */
json_t *network_json(struct control *control, const char *uuid);

#endif
