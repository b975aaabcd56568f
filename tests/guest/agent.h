/*
 * As much of a SPICE agent as makes clients tell their monitors: it opens
 * the port com.redhat.spice.0, says what it can do, answers MONITORS_CONFIG
 * (the QXL device carries that out) and drops everything else.
 * Protocol: <spice/vd_agent.h>.
 */
#ifndef GUEST_AGENT_H
#define GUEST_AGENT_H

#include <stddef.h>
#include <stdint.h>

struct agent {
	int fd;           /* -1 = no such port */
	uint8_t chunk[8]; /* the header of this chunk */
	size_t n_chunk;   /* how much of it has come */
	uint32_t chunk_left;
	uint8_t message[24]; /* header and first word of this message */
	size_t n_message;
	uint32_t message_left; /* of its data; when the header is whole */
};

/* Opens the port if the machine has it. */
void agent_open(struct agent *a);

/* Reads what has come and answers. */
void agent_read(struct agent *a);

#endif
