/*
 * Messages by name, and their bodies field by field: the tables of
 * schema/spice_messages.h and schema/spice_names.h at work.
 *
 * A walk reads a body along its layout. It writes the fields to a line, if
 * there is one, and tells a listener of images, if there is one. Nothing
 * that a body says makes it read beyond the body, go round in circles or
 * write lines without bound: at most MESSAGE_ELEMENTS elements of lists are
 * written for one message, and structures nest by the tables only.
 */
#ifndef RECORDER_MESSAGE_H
#define RECORDER_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/bytes.h"
#include "recorder/capture_writer.h"
#include "recorder/dump_text.h"

#define MESSAGE_ELEMENTS 64u
#define MESSAGE_AGENT_MAX (64u << 10) /* bytes kept of an agent's message */

struct message_field;

/* A kind of message. */
struct message_kind {
	uint16_t type;
	const char *name; /* as in spice-protocol, without prefix: draw_copy */
	const struct message_field *fields;
};

/* "display" and so on; NULL for a number that is none. */
const char *message_channel_name(uint8_t channel);
/* The number of a channel's name; -1 for a name that is none. */
int message_channel_number(const char *name, size_t size);
/* NULL when the channel has no such message in that direction. */
const struct message_kind *
message_kind(uint8_t channel, enum capture_direction direction, uint16_t type);
/* As message_kind()->name, "unknown" when there is none. */
const char *message_name(uint8_t channel, enum capture_direction direction,
			 uint16_t type);

/* Of a set of schema/spice_names.h; NULL for values without a name. */
struct message_set;
const char *message_value_name(const struct message_set *set, uint32_t value);
const struct message_set *message_image_types(void);
const struct message_set *message_codecs(void);
const struct message_set *message_link_errors(void);
const struct message_set *message_auth_mechanisms(void);
const struct message_set *message_common_caps(void);
const struct message_set *message_sound_modes(void);
/* The names of a channel's capabilities; NULL when it has none. */
const struct message_set *message_channel_caps(uint8_t channel);

/* An image as a message describes it. */
struct message_image {
	uint64_t id;
	uint32_t type; /* SPICE_IMAGE_TYPE_* */
	uint32_t flags, width, height;
	uint64_t bytes;      /* of its descriptor, data and palette */
	bool palette_cached; /* its palette came from the cache */
	/* Of GLZ that is not inside zlib: else 0. */
	uint64_t glz_id;
	uint32_t glz_window; /* images back to the oldest it needs */
};

/* What an agent's messages need from one chunk to the next. */
struct message_agent {
	struct {
		struct buffer kept; /* of the message that comes */
		uint64_t have;      /* of it, kept or not */
		uint32_t caps;      /* the first word it announced */
	} to[2];                    /* by direction */
};

void message_agent_free(struct message_agent *agent);

struct message_walk {
	/* Set by the caller; what may be NULL is not wanted. */
	uint8_t channel;
	enum capture_direction direction;
	bool contents; /* also what the user typed or copied */
	struct dump_text *text;
	struct message_agent *agent;
	void (*image)(void *user, const struct message_image *image);
	void *user;
	/* Results. */
	bool secret;       /* the body holds what the user typed or copied */
	bool damaged;      /* it did not fit its layout */
	const char *where; /* the field that did not */
	size_t at;         /* and its offset in the body */
	size_t unread;     /* bytes behind what the layout covers */
	/* Its own. */
	struct bytes in;
	size_t reached;
	unsigned left; /* elements that may still be written */
	unsigned depth;
};

/* Walks a body; sub_list is that of the header, 0 = none. */
void message_walk(struct message_walk *walk, const struct message_kind *kind,
		  const void *body, size_t size, uint32_t sub_list);

/* Bits of a set as a word; for capabilities, several words as a list. */
void message_put_bits(struct dump_text *text, const char *name,
		      const struct message_set *set, uint32_t bits);
void message_put_caps(struct dump_text *text, const char *name,
		      const struct message_set *set, const uint32_t *words,
		      unsigned count);

#endif
