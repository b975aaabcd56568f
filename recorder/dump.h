/*
 * A capture as text: one line a message, for people and for comparing.
 *
 *   TIME CHANNEL:ID DIRECTION SERIAL NAME FIELD=VALUE …
 *
 * TIME: seconds since the capture's first packet, of the message's last
 * byte, six decimals. DIRECTION: to-client or to-guest. NAME and fields: see
 * schema/spice_messages.h, in the order of the wire. Coordinates are written
 * (x,y), rectangles (left,top)-(right,bottom), bits as words joined by |,
 * data that is not shown as name[SIZE]. The link of a channel is the lines
 * link_mess, link_reply, auth, ticket and result; open and close are those
 * of its connection. A line beginning with # is about the capture.
 *
 * A message that does not fit its layout is written as far as it does, then
 * damaged=FIELD at=OFFSET in its body, and where it stands in the pcapng;
 * one of an unknown type is `unknown`. Only printable ASCII is written. A line
 * is no longer than about 16 KiB: lists are cut at MESSAGE_ELEMENTS elements,
 * texts and contents at DUMP_CONTENT_MAX bytes.
 *
 * What the user typed (keys), copied (clipboard) or sent (files, smart cards,
 * USB, ports) is left out unless it is asked for; only its size is written.
 */
#ifndef RECORDER_DUMP_H
#define RECORDER_DUMP_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/error.h"

struct dump_options {
	bool json;     /* one JSON value instead of lines */
	bool hex;      /* bodies as well, byte for byte */
	bool contents; /* also what the user typed or copied */
	int channel;   /* only of this type (SPICE_CHANNEL_*); 0 = all */
	int id;        /* and of this id; -1 = all */
	uint64_t from; /* ns since the first packet */
	uint64_t to;   /* likewise; 0 = to the end */
};

/*
 * Writes to out_fd. Damage ends the text with a line that says where, and is
 * no error unless nothing stands before it: -EBADMSG. -ENOMEM, or what writing
 * failed with.
 */
int dump_capture(int capture_fd, int out_fd, const struct dump_options *options,
		 struct error *error);

#endif
