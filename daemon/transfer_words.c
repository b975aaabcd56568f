/* What the processes of transfers and the control role say to each other. */
#include "daemon/transfer_far.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE 8192
#define EVERY_MS 250
#define EVERY (8 << 20)

int64_t far_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void far_say(const char *format, ...)
{
	char line[LINE];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	if (n > LINE - 2)
		n = LINE - 2;
	for (int i = 0; i < n; i++)
		if (line[i] == '\n')
			line[i] = ' ';
	line[n++] = '\n';
	if (write(FAR_WORDS, line, (size_t)n) != n)
		_exit(1);
}

void far_say_bytes(uint64_t done, uint64_t all)
{
	static uint64_t said;
	static int64_t when;

	if (done != all && done - said < EVERY && far_now() - when < EVERY_MS)
		return;
	said = done;
	when = far_now();
	far_say("bytes %llu %llu", (unsigned long long)done,
		(unsigned long long)all);
}

char *far_hear(void)
{
	char *line = NULL, c;
	size_t size = 0;
	FILE *text = open_memstream(&line, &size);
	ssize_t n = 0;

	if (!text)
		return NULL;
	while ((n = read(FAR_ORDERS, &c, 1)) == 1 && c != '\n')
		fputc(c, text);
	fclose(text);
	if (n == 1)
		return line;
	free(line);
	return NULL;
}

void far_say_failure(int r, const struct error *error)
{
	const char *text = error && error->text[0] ? error->text : "no memory";

	if (r == -EAGAIN || r == -ERESTART)
		far_say("again %s", text);
	else
		far_say("failed %d %s", -r, text);
}

json_t *far_request(void)
{
	char *line = far_hear();
	json_t *request = line ? json_loads(line, 0, NULL) : NULL;

	free(line);
	return request;
}

void far_remember(struct far *far, const char *name, json_t *value)
{
	char *text;

	if (!far->state)
		far->state = json_object();
	json_object_set_new(far->state, name, value);
	text = json_dumps(far->state, JSON_COMPACT);
	if (text)
		far_say("state %s", text);
	free(text);
}

void far_wait(unsigned ms)
{
	/* It says nothing unasked; what comes is its end. */
	struct pollfd orders = {.fd = FAR_ORDERS, .events = POLLIN};

	if (poll(&orders, 1, (int)ms) > 0)
		_exit(1);
}
