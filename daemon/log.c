/* Lines for the journal or a terminal. */
#include "daemon/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void log_line(enum log_level level, const char *format, ...)
{
	char line[1024];
	va_list args;
	int at = 0, n;

	/* sd-daemon(3): systemd sets it for a stderr that is the journal. */
	if (getenv("JOURNAL_STREAM"))
		at = snprintf(line, sizeof(line), "<%d>", (int)level);
	else if (level <= LOG_LEVEL_WARNING)
		at = snprintf(line, sizeof(line), "%s: ",
			      level == LOG_LEVEL_ERROR ? "error" : "warning");
	va_start(args, format);
	n = vsnprintf(line + at, sizeof(line) - (size_t)at - 1, format, args);
	va_end(args);
	at += n < (int)sizeof(line) - at - 2 ? n : (int)sizeof(line) - at - 2;
	for (int i = 0; i < at; i++)
		if ((unsigned char)line[i] < ' ')
			line[i] = ' ';
	line[at++] = '\n';
	/* One write, so that lines of the roles do not mix. */
	if (write(STDERR_FILENO, line, (size_t)at) < 0)
		return;
}
