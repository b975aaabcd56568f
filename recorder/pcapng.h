/*
 * pcapng blocks as captures use them, written and read: one section, one
 * interface (link type RAW, time stamps in ns), enhanced packet blocks that
 * hold IPv4 and TCP. Everything of pcapng is little-endian here, everything
 * of IP and TCP big-endian.
 *
 * Sources: draft-ietf-opsawg-pcapng (sections 4.1 to 4.3), RFC 791, RFC 9293.
 *
 * A channel instance is a connection from 192.0.2.1, port
 * PCAPNG_CLIENT_PORT + number, to 192.0.2.2, port PCAPNG_SERVER_PORT.
 */
#ifndef RECORDER_PCAPNG_H
#define RECORDER_PCAPNG_H

#include <stddef.h>
#include <stdint.h>

#include "recorder/capture_writer.h"
#include "recorder/error.h"

#define PCAPNG_SECTION 0x0a0d0d0au	/* block types */
#define PCAPNG_INTERFACE 1u
#define PCAPNG_PACKET 6u
#define PCAPNG_BLOCK_MIN 12u		/* bytes of a block without a body */
#define PCAPNG_BLOCK_MAX (1u << 17)	/* larger ones are refused */

#define PCAPNG_SERVER_PORT 5930
#define PCAPNG_CLIENT_PORT 40000
#define PCAPNG_CHANNELS_MAX 20000
#define PCAPNG_PAYLOAD_MAX 65492u	/* bytes in one segment */
#define PCAPNG_SECTION_SIZE_MAX 1024u	/* of pcapng_put_section, bytes */

enum pcapng_flags {	/* of TCP */
	PCAPNG_FIN = 1,
	PCAPNG_SYN = 2,
	PCAPNG_PSH = 8,
	PCAPNG_ACK = 16,
};

struct pcapng_segment {
	uint64_t time;		/* ns since 1970 */
	uint32_t channel;	/* instance, < PCAPNG_CHANNELS_MAX */
	enum capture_direction direction;
	uint8_t flags;
	uint32_t seq;
	uint32_t ack;
	const uint8_t *data;	/* payload, read only: borrowed */
	size_t size;
};

/* Bytes of the block that carries a segment with so much payload. */
size_t pcapng_segment_size(size_t payload, uint8_t flags);

/*
 * Write section header and interface, or one segment (its payload from two
 * places, together at most PCAPNG_PAYLOAD_MAX); return where they end.
 * `comment` may be NULL; a segment's costs no room as it can have none.
 */
uint8_t *pcapng_put_section(uint8_t *at, const struct capture_session *session,
			    const char *comment);
uint8_t *pcapng_put_segment(uint8_t *at, const struct pcapng_segment *segment,
			    const void *head, size_t head_size,
			    const void *data, size_t size);

/*
 * Looks at the first 8 bytes of a block: type and whole length, which is a
 * multiple of 4 between PCAPNG_BLOCK_MIN and PCAPNG_BLOCK_MAX, or -EBADMSG.
 */
int pcapng_block(const uint8_t head[8], uint32_t *type, uint32_t *length,
		 struct error *error);

/*
 * Read a whole block, its 8 first bytes included. -EBADMSG when it is none
 * of ours: another byte order, link type, resolution, address or port.
 */
int pcapng_get_section(const uint8_t *block, size_t size,
		       struct capture_session *session, struct error *error);
int pcapng_get_interface(const uint8_t *block, size_t size,
			 struct error *error);
int pcapng_get_segment(const uint8_t *block, size_t size,
		       struct pcapng_segment *segment, struct error *error);

#endif
