/* Walks over the fields of a body; see message.h. */
#include <inttypes.h>
#include <stdio.h>

#include "recorder/message_parts.h"

size_t walk_left(const struct message_walk *w)
{
	return w->in.bad ? 0 : bytes_left(&w->in);
}

void walk_mark(struct message_walk *w, const char *name, size_t before)
{
	if (w->in.bad && !w->damaged) {
		w->damaged = true;
		w->where = name ? name : "an element";
		w->at = before;
	}
	if (w->in.at > w->reached)
		w->reached = w->in.at;
}

void message_put_bits(struct dump_text *t, const char *name,
		      const struct message_set *set, uint32_t bits)
{
	char word[400] = "", *at = word;
	uint32_t others = bits;

	if (!t)
		return;
	for (unsigned i = 0; i < set->count; i++) {
		uint32_t bit = UINT32_C(1) << set->values[i].value;

		if (!(bits & bit))
			continue;
		at += snprintf(at, (size_t)(word + sizeof(word) - at), "%s%s",
			       at == word ? "" : "|", set->values[i].name);
		others &= ~bit;
	}
	if (others || !bits)
		snprintf(at, (size_t)(word + sizeof(word) - at), "%s%s%" PRIx32,
			 at == word ? "" : "|", others ? "0x" : "", others);
	dump_text_word(t, name, "%s", word);
}

void message_put_caps(struct dump_text *t, const char *name,
		      const struct message_set *set, const uint32_t *words,
		      unsigned count)
{
	static const struct message_set none = {0};

	dump_text_open(t, name, '[');
	for (unsigned i = 0; i < count; i++)
		message_put_bits(t, NULL, i || !set ? &none : set, words[i]);
	dump_text_close(t, ']');
}

static void put_value(struct dump_text *t, const char *name,
		      const struct message_set *set, uint32_t value)
{
	const char *word = message_value_name(set, value);

	if (word)
		dump_text_word(t, name, "%s", word);
	else
		dump_text_u64(t, name, value);
}

static uint64_t read_number(struct bytes *in, enum field_kind kind)
{
	switch (kind) {
	case FIELD_U8:
	case FIELD_X8:
	case FIELD_E8:
	case FIELD_F8:
	case FIELD_MANY8:
		return bytes_u8(in);
	case FIELD_U16:
	case FIELD_I16:
	case FIELD_E16:
	case FIELD_F16:
	case FIELD_MANY16:
		return bytes_le16(in);
	case FIELD_U64:
	case FIELD_I64:
	case FIELD_X64:
		return bytes_le64(in);
	default:
		return bytes_le32(in);
	}
}

uint64_t walk_number(struct message_walk *w, enum field_kind kind,
		     const char *name, const struct message_set *set)
{
	size_t before = w->in.at;
	uint64_t v = read_number(&w->in, kind);
	struct dump_text *t = w->text;

	walk_mark(w, name, before);
	if (w->in.bad)
		return 0;
	if (kind == FIELD_I16)
		dump_text_i64(t, name, (int16_t)v);
	else if (kind == FIELD_I32)
		dump_text_i64(t, name, (int32_t)v);
	else if (kind == FIELD_I64)
		dump_text_i64(t, name, (int64_t)v);
	else if (kind == FIELD_X8)
		dump_text_word(t, name, "0x%02" PRIx64, v);
	else if (kind == FIELD_X32)
		dump_text_word(t, name, "0x%08" PRIx64, v);
	else if (kind == FIELD_X64)
		dump_text_word(t, name, "0x%" PRIx64, v);
	else if (kind >= FIELD_E8 && kind <= FIELD_E32)
		put_value(t, name, set, (uint32_t)v);
	else if (kind >= FIELD_F8 && kind <= FIELD_F32)
		message_put_bits(t, name, set, (uint32_t)v);
	else if (kind == FIELD_FIX4)
		dump_text_word(t, name, "%.4f", (int32_t)v / 16.0);
	else if (kind == FIELD_FIX16)
		dump_text_word(t, name, "%.5f", (int32_t)v / 65536.0);
	else
		dump_text_u64(t, name, v);
	return v;
}

static void walk_point(struct message_walk *w, const char *name,
		       enum field_kind kind)
{
	enum field_kind each = kind == FIELD_POINT16 ? FIELD_I16 : FIELD_I32;
	size_t before = w->in.at;
	uint64_t x = read_number(&w->in, each), y = read_number(&w->in, each);

	walk_mark(w, name, before);
	if (w->in.bad)
		return;
	if (kind == FIELD_POINT16)
		dump_text_word(w->text, name, "(%d,%d)", (int16_t)x,
			       (int16_t)y);
	else if (kind == FIELD_POINT)
		dump_text_word(w->text, name, "(%d,%d)", (int32_t)x,
			       (int32_t)y);
	else
		dump_text_word(w->text, name, "(%.4f,%.4f)", (int32_t)x / 16.0,
			       (int32_t)y / 16.0);
}

static void walk_rect(struct message_walk *w, const char *name)
{
	size_t before = w->in.at;
	int32_t top = (int32_t)bytes_le32(&w->in);
	int32_t left = (int32_t)bytes_le32(&w->in);
	int32_t bottom = (int32_t)bytes_le32(&w->in);
	int32_t right = (int32_t)bytes_le32(&w->in);

	walk_mark(w, name, before);
	if (!w->in.bad)
		dump_text_word(w->text, name, "(%d,%d)-(%d,%d)", left, top,
			       right, bottom);
}

const uint8_t *walk_bytes(struct message_walk *w, const char *name, size_t n,
			  bool secret)
{
	size_t before = w->in.at;
	const uint8_t *data = bytes_take(&w->in, n);

	walk_mark(w, name, before);
	w->secret |= secret;
	if (data)
		dump_text_bytes(w->text, name,
				secret && w->contents ? data : NULL, n);
	return data;
}

static void walk_text(struct message_walk *w, const char *name)
{
	size_t before = w->in.at;
	uint32_t size = bytes_le32(&w->in);
	const uint8_t *data = bytes_take(&w->in, size);

	walk_mark(w, name, before);
	if (!data)
		return;
	while (size && !data[size - 1])
		size--;
	dump_text_string(w->text, name, data, size);
}

/* A structure of one field is written as that field's value. */
static void walk_struct(struct message_walk *w, const char *name,
			const struct message_field *layout)
{
	if (!layout[1].name) {
		walk_field(w, layout, name);
		return;
	}
	dump_text_open(w->text, name, '{');
	walk_fields(w, layout);
	dump_text_close(w->text, '}');
}

void walk_at(struct message_walk *w, const char *name,
	     const struct message_field *layout)
{
	size_t before = w->in.at, after;
	uint32_t offset = bytes_le32(&w->in);

	walk_mark(w, name, before);
	if (w->in.bad)
		return;
	if (!offset) {
		dump_text_word(w->text, name, "none");
		return;
	}
	after = w->in.at;
	bytes_seek(&w->in, offset);
	walk_mark(w, name, before);
	if (w->in.bad)
		return;
	walk_struct(w, name, layout);
	if (!w->in.bad)
		bytes_seek(&w->in, after);
}

void walk_list(struct message_walk *w, const char *name, uint64_t count,
	       const struct message_field *layout)
{
	struct dump_text *text = w->text;
	uint64_t i;

	dump_text_open(text, name, '[');
	for (i = 0; i < count && !w->in.bad; i++) {
		if (w->left)
			w->left--;
		else
			w->text = NULL;
		walk_struct(w, NULL, layout);
	}
	if (!w->text && text)
		dump_text_word(text, NULL, "of_%" PRIu64, count);
	w->text = text;
	dump_text_close(text, ']');
}

static void walk_all(struct message_walk *w, const char *name,
		     const struct message_field *layout)
{
	struct dump_text *text = w->text;

	dump_text_open(text, name, '[');
	while (walk_left(w)) {
		if (w->left)
			w->left--;
		else
			w->text = NULL;
		walk_struct(w, NULL, layout);
	}
	if (!w->text && text)
		dump_text_word(text, NULL, "more");
	w->text = text;
	dump_text_close(text, ']');
}

void walk_field(struct message_walk *w, const struct message_field *f,
		const char *name)
{
	size_t before = w->in.at;
	uint64_t n;

	if (w->in.bad)
		return;
	switch (f->kind) {
	case FIELD_END:
		break;
	case FIELD_POINT:
	case FIELD_POINT16:
	case FIELD_POINTFIX:
		walk_point(w, name, f->kind);
		break;
	case FIELD_RECT:
		walk_rect(w, name);
		break;
	case FIELD_AT:
		walk_at(w, name, f->of.layout);
		break;
	case FIELD_MANY8:
	case FIELD_MANY16:
	case FIELD_MANY32:
		n = read_number(&w->in, f->kind);
		walk_mark(w, name, before);
		if (!w->in.bad)
			walk_list(w, name, n, f->of.layout);
		break;
	case FIELD_ALL:
		walk_all(w, name, f->of.layout);
		break;
	case FIELD_REST:
		walk_bytes(w, name, walk_left(w), false);
		break;
	case FIELD_SECRET:
		walk_bytes(w, name, walk_left(w), true);
		break;
	case FIELD_SIZED:
		n = bytes_le32(&w->in);
		walk_mark(w, name, before);
		if (!w->in.bad)
			walk_bytes(w, name, n, false);
		break;
	case FIELD_TEXT:
		walk_text(w, name);
		break;
	case FIELD_BY:
		f->of.by(w, name);
		break;
	default:
		walk_number(w, f->kind, name, f->of.set);
		break;
	}
}

void walk_fields(struct message_walk *w, const struct message_field *fields)
{
	for (; fields->name && !w->in.bad; fields++)
		walk_field(w, fields, fields->name);
}

void message_walk(struct message_walk *w, const struct message_kind *kind,
		  const void *body, size_t size, uint32_t sub_list)
{
	w->in = bytes_of(body, size);
	w->secret = w->damaged = false;
	w->reached = w->unread = w->at = w->depth = 0;
	w->left = MESSAGE_ELEMENTS;
	if (sub_list) {
		bytes_seek(&w->in, sub_list);
		walk_mark(w, "sub_list", 0);
		walk_sub_messages(w, "sub_messages");
		if (!w->in.bad)
			w->in.at = 0;
	}
	walk_fields(w, kind->fields);
	w->unread = size - w->reached;
}
