/*
 * Cuts the segments of a capture into link PDUs and messages. The inner half
 * of the capture reader; nobody else includes this.
 *
 * Each direction of a channel instance is a stream: segments come in order
 * and are cut, first into the PDUs of the link, then into messages. What
 * lies whole in one segment is given without a copy; the rest is put together
 * in the stream's buffer. All buffers together hold no more than one message
 * of the largest size, and have at most twice that room.
 */
#ifndef RECORDER_CAPTURE_CUT_H
#define RECORDER_CAPTURE_CUT_H

#include "recorder/bytes.h"
#include "recorder/capture_reader.h"
#include "recorder/framer.h"
#include "recorder/pcapng.h"

enum stage {
	STAGE_HEADER, /* link header */
	STAGE_BODY,   /* link message or reply */
	STAGE_AUTH,   /* mechanism; to guest only */
	STAGE_TICKET, /* to guest only */
	STAGE_RESULT, /* to client only */
	STAGE_MESSAGES,
};

struct stream {
	uint32_t seq; /* of the next byte */
	bool synced;  /* seq is known */
	enum stage stage;
	size_t need;         /* bytes of the link's PDU */
	struct buffer parts; /* PDU or body not yet whole */
	uint64_t begin;      /* time of its first byte */
	struct framer framer;
};

struct instance {
	struct capture_channel channel; /* first: what the caller sees */
	struct stream streams[2];
	bool has_mess, has_reply;
	bool closed;
};

struct capture_reader {
	struct capture_source *source;
	struct capture_summary summary;
	struct instance **instances;
	uint32_t instance_room;
	bool has_section, has_interface;
	size_t parts; /* bytes in all streams' parts */
	size_t room;  /* allocated for them */
	/* The segment being cut. */
	struct pcapng_segment segment;
	uint64_t offset;
	struct instance *instance; /* NULL: none */
	struct stream *done;       /* whose parts were given by the last call */
	int failure;
	struct error error;
};

/*
 * The next item of r->segment, which is r->instance's: 1, or 0 when nothing
 * of it is left, or negative.
 */
int capture_cut_next(struct capture_reader *r, struct capture_item *item,
		     struct error *error);
/* What the last item pointed to is no longer wanted. */
void capture_cut_drop(struct capture_reader *r);

/* An item of the segment at hand. */
void capture_cut_give(struct capture_reader *r, struct capture_item *item,
		      enum capture_kind kind, const uint8_t *data, size_t size);
/* -EBADMSG, with the offset of the block at hand. */
int capture_cut_damaged(const struct capture_reader *r, struct error *error,
			const char *what);

#endif
