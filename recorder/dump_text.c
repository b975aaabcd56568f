/* Fields of a line; see dump_text.h. */
#include "recorder/dump_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static void put(struct dump_text *t, const char *s)
{
	buffer_put(&t->out, s, strlen(s));
}

/* What separates a field from the one before, and its name. */
static void begin(struct dump_text *t, const char *name)
{
	if (!t->fresh)
		put(t, t->json ? "," : " ");
	t->fresh = false;
	if (!name)
		return;
	if (t->json)
		put(t, "\"");
	put(t, name);
	put(t, t->json ? "\":" : "=");
}

void dump_text_word(struct dump_text *t, const char *name, const char *format,
		    ...)
{
	char word[512];
	va_list args;

	if (!t)
		return;
	va_start(args, format);
	vsnprintf(word, sizeof(word), format, args);
	va_end(args);
	begin(t, name);
	if (t->json)
		put(t, "\"");
	put(t, word);
	if (t->json)
		put(t, "\"");
}

static void put_number(struct dump_text *t, const char *name, const char *s)
{
	begin(t, name);
	put(t, s);
}

void dump_text_u64(struct dump_text *t, const char *name, uint64_t value)
{
	char number[24];

	if (!t)
		return;
	/* Numbers of JSON are signed in most readers. */
	snprintf(number, sizeof(number),
		 t->json && value > INT64_MAX ? "\"%" PRIu64 "\"" : "%" PRIu64,
		 value);
	put_number(t, name, number);
}

void dump_text_i64(struct dump_text *t, const char *name, int64_t value)
{
	char number[24];

	if (!t)
		return;
	snprintf(number, sizeof(number), "%" PRId64, value);
	put_number(t, name, number);
}

static void put_escaped(struct dump_text *t, const uint8_t *data, size_t size)
{
	char escape[8];

	buffer_put_u8(&t->out, '"');
	for (size_t i = 0; i < size; i++) {
		uint8_t c = data[i];

		if (c == '"' || c == '\\') {
			buffer_put_u8(&t->out, '\\');
			buffer_put_u8(&t->out, c);
		} else if (c >= ' ' && c < 127) {
			buffer_put_u8(&t->out, c);
		} else {
			snprintf(escape, sizeof(escape),
				 t->json ? "\\\\x%02x" : "\\x%02x", c);
			put(t, escape);
		}
	}
	buffer_put_u8(&t->out, '"');
}

void dump_text_string(struct dump_text *t, const char *name, const void *data,
		      size_t size)
{
	if (!t)
		return;
	begin(t, name);
	put_escaped(t, data, size < DUMP_CONTENT_MAX ? size : DUMP_CONTENT_MAX);
	if (size > DUMP_CONTENT_MAX && !t->json)
		put(t, "...");
}

/* Bytes of the UTF-8 character that begins here; 0 when none does. */
static size_t character(const uint8_t *data, size_t size)
{
	size_t n = data[0] < 0x80             ? 1
		   : (data[0] & 0xe0) == 0xc0 ? 2
		   : (data[0] & 0xf0) == 0xe0 ? 3
		   : (data[0] & 0xf8) == 0xf0 ? 4
					      : 0;

	for (size_t i = 1; i < n; i++)
		if (i >= size || (data[i] & 0xc0) != 0x80)
			return i >= size ? i : 0;
	if (n == 1 && (data[0] < ' ' || data[0] == 127) && data[0] != '\n' &&
	    data[0] != '\r' && data[0] != '\t')
		return 0;
	return n;
}

static bool is_text(const uint8_t *data, size_t size)
{
	size_t n = 1;

	for (size_t i = 0; i < size && n; i += n)
		n = character(data + i, size - i);
	return size > 0 && n > 0;
}

static void put_hex(struct dump_text *t, const uint8_t *data, size_t size)
{
	char hex[4];

	for (size_t i = 0; i < size; i++) {
		snprintf(hex, sizeof(hex), "%02x", data[i]);
		put(t, hex);
	}
}

static void put_content(struct dump_text *t, const uint8_t *data, size_t size)
{
	size_t shown = size < DUMP_CONTENT_MAX ? size : DUMP_CONTENT_MAX;
	bool text = is_text(data, shown);

	if (t->json)
		put(t, text ? ",\"text\":" : ",\"hex\":\"");
	else
		put(t, "=");
	if (text)
		put_escaped(t, data, shown);
	else
		put_hex(t, data, shown);
	if (t->json && !text)
		put(t, "\"");
	if (shown < size && !t->json)
		put(t, "...");
}

void dump_text_bytes(struct dump_text *t, const char *name, const void *data,
		     size_t size)
{
	char number[24];

	if (!t)
		return;
	snprintf(number, sizeof(number), "%zu", size);
	if (t->json) {
		begin(t, name);
		put(t, "{\"size\":");
		put(t, number);
	} else {
		begin(t, NULL);
		put(t, name);
		put(t, "[");
		put(t, number);
		put(t, "]");
	}
	if (data && size)
		put_content(t, data, size);
	if (t->json)
		put(t, "}");
}

void dump_text_open(struct dump_text *t, const char *name, char bracket)
{
	if (!t)
		return;
	begin(t, name);
	buffer_put_u8(&t->out, (uint8_t)bracket);
	t->fresh = true;
}

void dump_text_close(struct dump_text *t, char bracket)
{
	if (!t)
		return;
	buffer_put_u8(&t->out, (uint8_t)bracket);
	t->fresh = false;
}
