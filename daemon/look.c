/* Options of a look into a recording, as text and back. */
#include "daemon/look.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/message.h"
#include "recorder/picture.h"

#define NS 1000000000u
#define SECONDS_MAX 1e9

int look_add(char text[LOOK_SIZE], const char *key, const char *value,
	     struct error *error)
{
	size_t have = strlen(text);

	if (!value)
		return 0;
	if (strchr(value, '&') ||
	    snprintf(text + have, LOOK_SIZE - have, "%s%s=%s", have ? "&" : "",
		     key, value) >= (int)(LOOK_SIZE - have)) {
		text[have] = '\0';
		return error_set(error, EINVAL, "%s is no value of %s",
				 strlen(value) < 60 ? value : "a long text",
				 key);
	}
	return 0;
}

/* "90.5", "1:30.5", "00:01:30.500" */
static int read_time(const char *key, const char *text, uint64_t *ns,
		     struct error *error)
{
	double seconds = 0;
	const char *at = text;
	char *end = NULL;

	for (int parts = 0; parts < 3 && *at >= '0' && *at <= '9'; parts++) {
		double part = strtod(at, &end);

		seconds = seconds * 60 + part;
		if (*end != ':')
			break;
		at = end + 1;
	}
	if (!end || *end || strspn(text, "0123456789:.") != strlen(text) ||
	    !(seconds < SECONDS_MAX))
		return error_set(error, EINVAL,
				 "%s is \"%s\"; it may be seconds (90.5) or "
				 "HH:MM:SS.mmm since the recording began",
				 key, text);
	*ns = (uint64_t)(seconds * NS + 0.5);
	return 0;
}

static int read_channel(const char *text, struct dump_options *dump,
			struct error *error)
{
	size_t size = strcspn(text, ":");
	char *end = NULL;

	dump->channel = message_channel_number(text, size);
	if (text[size])
		dump->id = (int)strtoul(text + size + 1, &end, 10);
	if (dump->channel > 0 && dump->id <= 255 &&
	    (!text[size] || (end != text + size + 1 && !*end)))
		return 0;
	return error_set(error, EINVAL,
			 "channel is \"%s\"; it may be main, display, inputs, "
			 "cursor, playback, record, smartcard, usbredir, port "
			 "or webdav, with :ID if there are several",
			 text);
}

static int read_flag(const char *key, const char *text, bool *flag,
		     struct error *error)
{
	*flag = !strcmp(text, "1");
	if (*flag || !strcmp(text, "0"))
		return 0;
	return error_set(error, EINVAL, "%s is \"%s\"; it may be 0 or 1", key,
			 text);
}

static int read_monitor(const char *text, unsigned *monitor,
			struct error *error)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	*monitor = (unsigned)n;
	if (*text >= '0' && *text <= '9' && !*end && n >= 1 && n <= 256)
		return 0;
	return error_set(error, EINVAL,
			 "monitor is \"%s\"; monitors are counted from 1",
			 text);
}

static int read_pair(struct look *look, const char *key, const char *value,
		     struct error *error)
{
	uint64_t at = 0;
	int r;

	if (!strcmp(key, "channel"))
		return read_channel(value, &look->dump, error);
	if (!strcmp(key, "from"))
		return read_time(key, value, &look->dump.from, error);
	if (!strcmp(key, "to"))
		return read_time(key, value, &look->dump.to, error);
	if (!strcmp(key, "monitor"))
		return read_monitor(value, &look->monitor, error);
	if (!strcmp(key, "hex"))
		return read_flag(key, value, &look->dump.hex, error);
	if (!strcmp(key, "contents"))
		return read_flag(key, value, &look->dump.contents, error);
	if (!strcmp(key, "json"))
		return read_flag(key, value, &look->dump.json, error);
	if (!strcmp(key, "cursor"))
		return read_flag(key, value, &look->cursor, error);
	if (strcmp(key, "at"))
		return error_set(error, EINVAL, "there is no option %s", key);
	if (!strcmp(value, "end"))
		return 0;
	r = read_time(key, value, &at, error);
	look->at = (int64_t)at;
	return r;
}

int look_read(struct look *look, const char *text, struct error *error)
{
	char copy[LOOK_SIZE], *rest = copy, *key;
	int r = 0;

	*look = (struct look){
		.dump.id = -1, .at = PICTURE_AT_END, .cursor = true};
	if (strlen(text) >= sizeof(copy))
		return error_set(error, EINVAL, "too many options");
	strcpy(copy, text);
	while (!r && (key = strsep(&rest, "&"))) {
		char *value = strchr(key, '=');

		if (!*key)
			continue;
		if (value)
			*value++ = '\0';
		r = read_pair(look, key, value ? value : "", error);
	}
	return r;
}
