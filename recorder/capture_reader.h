/*
 * Reads a capture file (.pcapng.zst, or plain pcapng) as SPICE messages.
 *
 * Any prefix of a capture is readable up to its last whole frame; whatever
 * is damaged ends the reading with an error that names the offset, never
 * with a crash. Memory: at most CAPTURE_READER_MESSAGE_MAX for one message
 * and a few MiB beside it.
 */
#ifndef RECORDER_CAPTURE_READER_H
#define RECORDER_CAPTURE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/capture_writer.h"
#include "recorder/error.h"
#include "recorder/link.h"

#define CAPTURE_READER_MESSAGE_MAX (256u << 20)	/* one body, bytes */

struct capture_reader;

/* What a packet of the file is. */
enum capture_kind {
	CAPTURE_OPEN,		/* a channel instance begins (SYN) */
	CAPTURE_LINK_MESS,	/* client's link, channel->mess is set */
	CAPTURE_LINK_REPLY,	/* server's link, channel->reply is set */
	CAPTURE_AUTH,		/* auth mechanism or (zeroed) ticket */
	CAPTURE_RESULT,		/* u32 link result */
	CAPTURE_MESSAGE,	/* a whole SPICE message */
	CAPTURE_CLOSE,		/* the instance ends */
};

struct capture_channel {
	int number;		/* instance, counted from 0 in the file */
	bool linked;		/* both link PDUs seen */
	bool mini;		/* header form in force */
	struct link_mess mess;
	struct link_reply reply;
	void *user;		/* the caller's, NULL at first */
};

struct capture_item {
	enum capture_kind kind;
	struct capture_channel *channel;	/* lives as long as the reader */
	enum capture_direction direction;
	uint64_t time;		/* ns since 1970 of its last byte */
	uint64_t begin;		/* ns since 1970 of its first byte */
	uint64_t serial;	/* of a message */
	uint16_t type;		/* of a message */
	uint32_t sub_list;	/* of a message with a full header, else 0 */
	/*
	 * MESSAGE: the body. Others: the PDU's bytes. Borrowed until the
	 * next call.
	 */
	const uint8_t *data;
	size_t size;
	uint64_t offset;	/* in the pcapng, for error messages */
};

/*
 * Does not take over fd; reads it from its beginning with pread. The size of
 * the file at this moment is its end (a live capture can be read so far).
 */
int capture_reader_new(struct capture_reader **reader, int fd,
		       struct error *error);
void capture_reader_free(struct capture_reader *reader);

/*
 * 1 and an item, 0 at the end, negative at damage (-EBADMSG; everything
 * before it has been given). A capture without its closing index ends with 0
 * as well; the summary says which.
 */
int capture_reader_next(struct capture_reader *reader,
			struct capture_item *item, struct error *error);

/* Known after the end was reached. */
struct capture_summary {
	bool complete;		/* the closing index was there */
	bool is_signed;		/* a signature was there (not checked) */
	uint64_t good_bytes;	/* of the file, up to the last whole frame */
	uint64_t first_time, last_time;		/* ns since 1970; 0 if none */
	uint64_t bytes_to_guest, bytes_to_client;	/* payload */
	uint32_t channels;
	struct capture_session session;
};

void capture_reader_summary(const struct capture_reader *reader,
			    struct capture_summary *summary);

#endif
