/*
 * Inside of recorder/message.h: fields and how to walk over one.
 */
#ifndef RECORDER_MESSAGE_PARTS_H
#define RECORDER_MESSAGE_PARTS_H

#include "recorder/message.h"
#include "schema/spice_names.h"

enum field_kind {
	FIELD_END,
	FIELD_U8,
	FIELD_U16,
	FIELD_U32,
	FIELD_U64,
	FIELD_I16,
	FIELD_I32,
	FIELD_I64,
	FIELD_X8,
	FIELD_X32,
	FIELD_X64,
	FIELD_E8,
	FIELD_E16,
	FIELD_E32,
	FIELD_F8,
	FIELD_F16,
	FIELD_F32,
	FIELD_FIX4,
	FIELD_FIX16,
	FIELD_POINT,
	FIELD_POINT16,
	FIELD_POINTFIX,
	FIELD_RECT,
	FIELD_AT,
	FIELD_MANY8,
	FIELD_MANY16,
	FIELD_MANY32,
	FIELD_ALL,
	FIELD_REST,
	FIELD_SIZED,
	FIELD_TEXT,
	FIELD_SECRET,
	FIELD_BY,
};

struct message_field {
	const char *name;
	enum field_kind kind;
	union {
		const struct message_set *set;
		const struct message_field *layout;
		void (*by)(struct message_walk *w, const char *name);
	} of;
};

struct message_set {
	unsigned count;
	const struct message_value {
		uint32_t value;
		const char *name;
	} * values;
};

#define DECLARE_SET(name, list) extern const struct message_set set_##name;
SPICE_SETS(DECLARE_SET)
#undef DECLARE_SET

/* Layouts that code refers to. */
extern const struct message_field struct_rect[], struct_image[],
	struct_palette[], struct_head[], struct_transform[],
	struct_agent_monitor[];
/* A message of an agent; NULL when there is none of the type. */
const struct message_kind *message_agent_kind(uint32_t type);

/* One integer: reads it, writes it, returns it. */
uint64_t walk_number(struct message_walk *w, enum field_kind kind,
		     const char *name, const struct message_set *set);
void walk_field(struct message_walk *w, const struct message_field *field,
		const char *name);
void walk_fields(struct message_walk *w, const struct message_field *fields);
/* At a pointer that stands next. */
void walk_at(struct message_walk *w, const char *name,
	     const struct message_field *layout);
void walk_list(struct message_walk *w, const char *name, uint64_t count,
	       const struct message_field *layout);
/* n bytes that are not shown. */
const uint8_t *walk_bytes(struct message_walk *w, const char *name, size_t n,
			  bool secret);
/* After something was read: notes how far, and what did not fit. */
void walk_mark(struct message_walk *w, const char *name, size_t before);
size_t walk_left(const struct message_walk *w);

/* BY(name, function): one function each, walk_function. */
#define MESSAGE_PARTS(X) \
	X(sub_messages) \
	X(agent_data) \
	X(clip) \
	X(brush) \
	X(qmask) \
	X(line_attr) \
	X(glyphs) \
	X(composite) \
	X(cursor) \
	X(image_descriptor) \
	X(heads) \
	X(usbredir) \
	X(webdav) \
	X(compressed) \
	X(zero_text) \
	X(uuid) \
	X(agent_monitors) \
	X(agent_selection) \
	X(agent_serial)
#define DECLARE_PART(name) \
	void walk_##name(struct message_walk *w, const char *field);
MESSAGE_PARTS(DECLARE_PART)
#undef DECLARE_PART

#endif
