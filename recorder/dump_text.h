/*
 * One line of fields, as text for people and tools or as a JSON object.
 *
 * Text: name=value name={name=value …} name=[value …] name[SIZE]="…". Only
 * printable ASCII comes out, whatever goes in.
 *
 * Every function does nothing when the line is NULL. Names are our own;
 * NULL inside a list.
 */
#ifndef RECORDER_DUMP_TEXT_H
#define RECORDER_DUMP_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/bytes.h"

#define DUMP_CONTENT_MAX 256u /* bytes shown of a text or of data */

struct dump_text {
	struct buffer out;
	bool json;
	bool fresh; /* nothing since the line or a bracket began */
};

void dump_text_u64(struct dump_text *t, const char *name, uint64_t value);
void dump_text_i64(struct dump_text *t, const char *name, int64_t value);
/* A word made by us, as printf(3) does. */
void dump_text_word(struct dump_text *t, const char *name, const char *format,
		    ...) __attribute__((format(printf, 3, 4)));
/* A text of somebody else's; at most DUMP_CONTENT_MAX bytes of it. */
void dump_text_string(struct dump_text *t, const char *name, const void *data,
		      size_t size);
/* Bytes: how many, and which if data is not NULL (again not all). */
void dump_text_bytes(struct dump_text *t, const char *name, const void *data,
		     size_t size);
/* bracket: { or [, to be closed by } or ]. */
void dump_text_open(struct dump_text *t, const char *name, char bracket);
void dump_text_close(struct dump_text *t, char bracket);

#endif
