/*
 * What one wants to know of a recording: the options of `session dump` and
 * `session frame`, on their way from the command line or a URL to the job.
 *
 * On that way they are one text, "key=value&key=value". Keys: channel
 * ("display" or "display:0"), from, to, at, monitor, cursor, hex, contents,
 * json; the last four are 0 or 1. Times are seconds ("90.5") or
 * [HH:]MM:SS[.mmm] since the recording began; `at` may be "end".
 */
#ifndef DAEMON_LOOK_H
#define DAEMON_LOOK_H

#include "recorder/dump.h"
#include "recorder/error.h"

#define LOOK_SIZE 400

struct look {
	struct dump_options dump;
	int64_t at; /* ns, or PICTURE_AT_END, which is the default */
	unsigned monitor;
	bool cursor;
};

/* Adds a pair to a text that is "" at first; nothing when value is NULL. */
int look_add(char text[LOOK_SIZE], const char *key, const char *value,
	     struct error *error);
/* The text's meaning; -EINVAL says what is wrong with it. */
int look_read(struct look *look, const char *text, struct error *error);

#endif
