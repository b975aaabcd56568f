/*
 * Sends and receives the messages of schema/ipc.h.
 *
 * A packet of the wrong size, type, direction or number of descriptors is
 * -EPROTO, and its descriptors are closed; the connection is then of no use.
 */
#ifndef DAEMON_IPC_H
#define DAEMON_IPC_H

#include "recorder/error.h"
#include "schema/ipc.h"

union ipc_body {
#define IPC_MEMBER(NAME, structure, direction, least, most) \
	struct ipc_##structure NAME;
	IPC_MESSAGES(IPC_MEMBER)
#undef IPC_MEMBER
};

struct ipc_packet {
	enum ipc_type type;
	union ipc_body body;
	int fds[IPC_MAX_FDS];	/* the receiver's to close */
	unsigned fd_count;
};

/*
 * Sends body (the structure of the type) with copies of fds; they stay the
 * caller's. -EPIPE or -ECONNRESET when the other end is gone, -EAGAIN on a
 * non-blocking socket that is full.
 */
int ipc_send(int socket, enum ipc_type type, const void *body, const int *fds,
	     unsigned fd_count, struct error *error);

/*
 * 1 and a packet, 0 when the other end closed, -EAGAIN, -EPROTO, …
 * from_gateway says which direction is right.
 */
int ipc_receive(int socket, int from_gateway, struct ipc_packet *packet,
		struct error *error);

/* Closes the packet's descriptors that are not -1. */
void ipc_packet_close(struct ipc_packet *packet);

const char *ipc_type_name(enum ipc_type type);
const char *ipc_end_name(unsigned reason);	/* "client", "guest", … */

#endif
