/*
 * Cuts one direction of a SPICE channel, after its link, into messages.
 *
 * The framer looks at headers only and keeps no bodies: bytes are offered as
 * they come and handed back as pieces that never cross a message boundary.
 *
 * Full header, 18 bytes: u64 serial, u16 type, u32 size, u32 sub_list.
 * Mini header, 6 bytes: u16 type, u32 size. Mini is in force when both sides
 * advertised SPICE_COMMON_CAP_MINI_HEADER (spice-protocol, protocol.h).
 */
#ifndef RECORDER_FRAMER_H
#define RECORDER_FRAMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/error.h"

#define FRAMER_HEADER_FULL 18
#define FRAMER_HEADER_MINI 6

struct framer {
	bool mini;
	uint32_t max_size;	/* of a body, bytes; larger is -EMSGSIZE */
	uint64_t serial;	/* of the present message; counted when mini */
	uint16_t type;
	uint32_t size;		/* of the body */
	uint32_t sub_list;	/* 0 with a mini header */
	uint32_t left;		/* bytes of the body still to come */
	unsigned header_have;	/* bytes of the next header seen so far */
	uint8_t header[FRAMER_HEADER_FULL];
};

struct framer_piece {
	const uint8_t *data;	/* into the caller's bytes: header or body */
	size_t size;
	bool header;		/* (part of) a header, else part of a body */
	bool begins;		/* first piece of its message */
	bool header_done;	/* type, size, serial are those of the message */
	bool ends;		/* last piece of its message */
};

void framer_init(struct framer *f, bool mini, uint32_t max_size);

/*
 * Takes the next piece from data; returns the number of bytes it covers
 * (piece->size, 0 only when size is 0) or -EMSGSIZE. A message without a body
 * ends with its header's last piece.
 */
int framer_next(struct framer *f, const uint8_t *data, size_t size,
		struct framer_piece *piece, struct error *error);

#endif
