/*
 * Messages of the guest's and the client's agents, which come in chunks.
 *
 * VDAgentMessage of vd_agent.h: u32 protocol, u32 type, u64 opaque, u32
 * size, then so many bytes. Of one that takes more than a chunk its fields
 * are written with the last chunk, if it is no larger than
 * MESSAGE_AGENT_MAX.
 */
#include "recorder/message_parts.h"

#include <inttypes.h>

#define HEADER 20
#define CAP_SELECTION (1u << 6)
#define CAP_GRAB_SERIAL (1u << 17)
#define ANNOUNCE 6

void message_agent_free(struct message_agent *agent)
{
	buffer_free(&agent->to[0].kept);
	buffer_free(&agent->to[1].kept);
}

static bool both_can(const struct message_walk *w, uint32_t cap)
{
	return w->agent && (w->agent->to[0].caps & w->agent->to[1].caps & cap);
}

void walk_agent_selection(struct message_walk *w, const char *name)
{
	if (!both_can(w, CAP_SELECTION))
		return;
	walk_number(w, FIELD_E8, name, &set_clipboard_selection);
	bytes_take(&w->in, 3);
	walk_mark(w, name, w->in.at);
}

void walk_agent_serial(struct message_walk *w, const char *name)
{
	if (both_can(w, CAP_GRAB_SERIAL))
		walk_number(w, FIELD_U32, name, NULL);
}

void walk_agent_monitors(struct message_walk *w, const char *name)
{
	uint32_t count;

	count = (uint32_t)walk_number(w, FIELD_U32, "num_of_monitors", NULL);
	walk_number(w, FIELD_X32, "flags", NULL);
	if (!w->in.bad)
		walk_list(w, name, count, struct_agent_monitor);
	if (walk_left(w))
		walk_bytes(w, "physical_sizes", walk_left(w), false);
}

/* The fields of a message that is whole. */
static void walk_whole(struct message_walk *outer, const uint8_t *data,
		       size_t size, const struct message_kind *kind)
{
	struct message_walk w = *outer;

	if (!kind) {
		dump_text_bytes(w.text, "data", outer->contents ? data : NULL,
				size);
		return;
	}
	w.in = bytes_of(data, size);
	w.reached = 0;
	w.damaged = false;
	walk_fields(&w, kind->fields);
	if (w.damaged)
		dump_text_word(w.text, "damaged", "%s", w.where);
	else if (size > w.reached)
		dump_text_u64(w.text, "unread", size - w.reached);
	if (kind->type == ANNOUNCE && size >= 8)
		w.agent->to[w.direction].caps = bytes_get_le32(data + 4);
	outer->left = w.left;
}

/* The part of a message that a chunk has; `from` of it came before. */
static void put_part(struct message_walk *w, const uint8_t *message,
		     size_t kept, uint64_t from, uint64_t until)
{
	uint32_t type = bytes_get_le32(message + 4);
	uint32_t size = bytes_get_le32(message + 16);
	struct bytes in = bytes_of(message + 8, 8);
	const struct message_kind *kind = message_agent_kind(type);
	struct dump_text *t = w->text;

	dump_text_open(t, NULL, '{');
	if (bytes_get_le32(message) != 1)
		dump_text_u64(t, "protocol", bytes_get_le32(message));
	if (kind)
		dump_text_word(t, "type", "%s", kind->name);
	else
		dump_text_u64(t, "type", type);
	dump_text_word(t, "opaque", "0x%" PRIx64, bytes_le64(&in));
	dump_text_u64(t, "size", size);
	if (from || until < HEADER + (uint64_t)size)
		dump_text_word(t, "part", "%" PRIu64 "-%" PRIu64, from, until);
	if (until == HEADER + (uint64_t)size && kept == until)
		walk_whole(w, message + HEADER, size, kind);
	dump_text_close(t, '}');
}

/* Takes what is there of one message; false when nothing is left. */
static bool take_part(struct message_walk *w)
{
	struct buffer *kept = &w->agent->to[w->direction].kept;
	uint64_t *have = &w->agent->to[w->direction].have, from = *have;
	uint64_t whole = HEADER;
	size_t n = walk_left(w), room;
	const uint8_t *data;

	if (!n)
		return false;
	if (*have < HEADER) {
		n = n < HEADER - *have ? n : HEADER - (size_t)*have;
		buffer_put(kept, bytes_take(&w->in, n), n);
		*have += n;
		n = walk_left(w);
	}
	if (*have < HEADER || kept->failed)
		return false;
	whole += bytes_get_le32(kept->data + 16);
	n = n < whole - *have ? n : (size_t)(whole - *have);
	data = bytes_take(&w->in, n);
	room = MESSAGE_AGENT_MAX - kept->size;
	if (n)
		buffer_put(kept, data, n < room ? n : room);
	*have += n;
	if (w->left) {
		w->left--;
		put_part(w, kept->data, kept->size, from, *have);
	}
	if (*have == whole) {
		kept->size = 0;
		*have = 0;
	}
	return walk_left(w) > 0;
}

void walk_agent_data(struct message_walk *w, const char *name)
{
	size_t before = w->in.at;

	w->secret = true;
	if (!w->agent) {
		walk_bytes(w, name, walk_left(w), true);
		return;
	}
	dump_text_u64(w->text, "chunk", walk_left(w));
	dump_text_open(w->text, name, '[');
	while (take_part(w))
		;
	dump_text_close(w->text, ']');
	walk_mark(w, name, before);
}
