/* For the decoder*.c files: what a decoder and its channels consist of. */
#ifndef RECORDER_DECODER_PARTS_H
#define RECORDER_DECODER_PARTS_H

#include "recorder/decoder.h"

/* SPICE_CHANNEL_* */
enum {
	CHANNEL_MAIN = 1,
	CHANNEL_DISPLAY,
	CHANNEL_INPUTS,
	CHANNEL_CURSOR,
	CHANNEL_PLAYBACK,
	CHANNEL_RECORD,
};

#define MESSAGE_FIRST_OWN 101 /* below are those of every channel */

struct message {
	struct message *next;
	uint64_t time, serial, offset;
	enum capture_direction direction;
	uint16_t type;
	uint32_t sub_list;
	unsigned subs_done;  /* sub-messages done at an earlier try */
	const uint8_t *data; /* behind the struct when it was queued */
	size_t size;
};

/* A channel by type and id; an instance that reconnects takes its place. */
struct channel {
	uint8_t type, id;
	int number; /* the instance in the capture */
	bool open;
	uint64_t serial;               /* of the last message that is done */
	struct message *first, **last; /* waiting */
	struct display *display;
	struct cursor *cursor;
	struct channel *next;
	/*
	 * What the first of the waiting ones waits for: a message on another
	 * channel, or any display's (NULL).
	 */
	const struct channel *awaited;
	uint64_t awaited_serial;
	uint64_t displayed; /* decoder's, when it began to wait */
};

struct decoder {
	struct decoder_options options;
	struct decoder_trouble trouble;
	struct image_cache *images;
	struct glz_window *window;
	struct channel *channels;
	struct display *displays[DECODER_DISPLAYS];
	struct cursor *cursors[DECODER_DISPLAYS];
	struct playback *playback, *microphone;
	size_t queued;          /* bytes */
	struct display_use use; /* of all displays */
	uint64_t displayed;     /* messages done on display channels */
	uint64_t work;          /* px drawn and decoded so far */
	uint64_t work_allowed;  /* px at this moment of the session */
	uint64_t time;          /* ns since 1970, the latest item's */
	bool had_sound, had_microphone;
	bool client_mouse;
	bool forced;              /* nothing is waited for any more */
	unsigned pointer_display; /* where the client's pointer is */
};

/* NULL when there is none. */
struct channel *decoder_find(const struct decoder *decoder, unsigned type,
			     unsigned id);

/* decoder_channel.c: what a channel's messages do. */

/* An instance begins, perhaps in the place of an earlier one. */
int decoder_channel_begin(struct decoder *decoder, struct channel *channel,
			  struct error *error);
/*
 * A message or sub-message of type 101 and up. -EAGAIN: it has to wait, and
 * nothing was changed.
 */
int decoder_channel_message(struct decoder *decoder, struct channel *channel,
			    const struct message *message, uint16_t type,
			    struct bytes body, struct error *error);
/* What the client says; the same results, but none that has to wait. */
int decoder_client_message(struct decoder *decoder, struct channel *channel,
			   const struct message *message, struct error *error);

/* decoder_queue.c: messages in their order, and those that wait. */

/* Does a message now, or when it can be done. Its bytes are borrowed. */
int decoder_queue_take(struct decoder *decoder, struct channel *channel,
		       struct message *message, struct error *error);
/* The same for what the client says, which never waits. */
int decoder_queue_client(struct decoder *decoder, struct channel *channel,
			 const struct message *message, struct error *error);
/* Does whatever can go on. */
int decoder_queue_drain(struct decoder *decoder, struct error *error);
/* Does all that waits, without what it waits for. */
int decoder_queue_force(struct decoder *decoder, struct error *error);
/* Forgets what waits: the number of messages. */
unsigned decoder_queue_drop(struct decoder *decoder, struct channel *channel);
/*
 * A list of {u8 type, u8 id, u64 serial} that a channel waits for: 0, -EAGAIN
 * or -EBADMSG.
 */
int decoder_queue_wait(const struct decoder *decoder, struct channel *waiting,
		       struct bytes list, struct error *error);

#endif
