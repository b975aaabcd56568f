/*
 * Learns the capabilities that a guest's SPICE server advertises: opens a
 * link for each channel type, reads the reply and goes away, which disturbs
 * no session.
 */
#ifndef DAEMON_SPICE_PROBE_H
#define DAEMON_SPICE_PROBE_H

#include "recorder/error.h"
#include "schema/ipc.h"

/* Opens a connected socket to the server; data as given to the probe. */
typedef int spice_probe_connect(void *data, int *fd, struct error *error);

/* Rows of channel types that the guest has not got are left out. */
int spice_probe(spice_probe_connect *connect, void *data,
		struct ipc_caps *caps, struct error *error);

#endif
