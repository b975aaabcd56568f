/*
 * A connection of a viewer in its link, between gateway_link.c, which reads
 * it, and gateway_arrival.c, which takes it to a worker.
 */
#ifndef DAEMON_GATEWAY_LINK_H
#define DAEMON_GATEWAY_LINK_H

#include "daemon/gateway_front.h"

enum link_phase {
	LINK_FIRST, /* nothing has come yet */
	LINK_TLS,
	LINK_HEADER,
	LINK_MESS,
	LINK_AUTH,
	LINK_TICKET,
	LINK_ASKED, /* control decides */
	LINK_GOODBYE,
};

struct link {
	struct stream stream; /* first */
	struct gateway *gateway;
	struct link *older, *newer;
	enum link_phase phase;
	uint64_t deadline; /* monotonic ns */
	struct ipc_address client;
	uint8_t *bytes; /* of the PDU that is being read */
	size_t have, want;
	struct link_mess mess;
	struct link_caps told_common, told_channel;
	uint8_t digest[IPC_DIGEST_SIZE];
	uint64_t request;
	char session_id[IPC_ID_SIZE]; /* of a further channel */
};

/* A u32 result, and goodbye: l may be gone afterwards. */
void gateway_link_answer(struct link *l, uint32_t result);
/* Out of the list and freed; its stream is the caller's. */
void gateway_link_unlink(struct link *l);

#endif
