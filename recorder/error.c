/* One error, carried upwards and printed once, at the top. */
#include "recorder/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A message is one line, whatever a peer's bytes put into it. */
static void one_line(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = ' ';
}

int error_set(struct error *e, int code, const char *format, ...)
{
	va_list args;

	code = -abs(code);
	if (!e)
		return code;
	e->code = code;
	va_start(args, format);
	vsnprintf(e->text, sizeof(e->text), format, args);
	va_end(args);
	one_line(e->text);
	return code;
}

int error_errno(struct error *e, int code, const char *format, ...)
{
	char text[sizeof(e->text)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return error_set(e, code, "%s: %s", text, strerror(abs(code)));
}

void error_prefix(struct error *e, const char *format, ...)
{
	char text[sizeof(e->text)];
	char rest[sizeof(e->text)];
	va_list args;

	if (!e)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	memcpy(rest, e->text, sizeof(rest));
	error_set(e, e->code, "%s: %s", text, rest);
}

void error_clear(struct error *e)
{
	if (e)
		*e = (struct error){0};
}
