/*
 * One error, carried upwards and printed once, at the top.
 *
 * A function that can fail takes a struct error * as its last argument and
 * returns 0 or a negative errno value. On failure the error holds a sentence
 * that says what went wrong, why, and what to do. Callers on the way up may
 * put words in front with error_prefix(). A NULL error is allowed and takes
 * nothing.
 */
#ifndef RECORDER_ERROR_H
#define RECORDER_ERROR_H

#include <errno.h>

struct error {
	int code;		/* negative errno value, 0 = none */
	char text[480];		/* one line, no full stop, no newline */
};

/* Sets the error; returns -abs(code) so that it can end a function. */
int error_set(struct error *e, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* As error_set, with ": strerror(code)" behind the text. */
int error_errno(struct error *e, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "text: " in front of what the error says already. */
void error_prefix(struct error *e, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Forgets the error. */
void error_clear(struct error *e);

#endif
