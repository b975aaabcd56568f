/*
 * Server-sent events (HTML standard, section 9.2): id, event and data of each
 * event, a comment as heartbeat, and `event: reset` when some were missed.
 */
#include "webui/events.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define EVENTS_AT_ONCE 32

struct events {
	struct control *control;
	uint64_t last; /* seq of the newest that was sent */
	bool resumed;  /* the client named `last`; check for a gap */
	time_t spoke;  /* monotonic, s */
	char *text;    /* being sent */
	size_t size, sent;
};

static time_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static void put(FILE *to, const json_t *event, uint64_t seq)
{
	const char *type = json_string_value(json_object_get(event, "type"));
	char *data = json_dumps(event, JSON_COMPACT);

	if (!data)
		return;
	fprintf(to, "id: %llu\n", (unsigned long long)seq);
	if (type && type[strspn(type, "abcdefghijklmnopqrstuvwxyz._-")] == 0)
		fprintf(to, "event: %s\n", type);
	fprintf(to, "data: %s\n\n", data);
	free(data);
}

static void put_reset(FILE *to, uint64_t last)
{
	fprintf(to, "id: %llu\nevent: reset\ndata: {}\n\n",
		(unsigned long long)last);
}

/* Writes what is new; true when there was anything. */
static bool put_new(struct events *e, FILE *to)
{
	json_t *list, *event;
	uint64_t newest, seq;
	size_t i;

	list = control_events(e->control, e->last, EVENTS_AT_ONCE, &newest);
	if (e->resumed && e->last > newest) {
		e->last = newest;
		put_reset(to, newest);
		json_decref(list);
		e->resumed = false;
		return true;
	}
	json_array_foreach(list, i, event)
	{
		seq = (uint64_t)json_integer_value(
			json_object_get(event, "seq"));
		if (e->resumed && seq > e->last + 1)
			put_reset(to, e->last);
		e->resumed = false;
		put(to, event, seq);
		e->last = seq;
	}
	e->resumed = false;
	i = json_array_size(list);
	json_decref(list);
	return i > 0;
}

static void refill(struct events *e)
{
	FILE *to;
	bool any;

	free(e->text);
	e->text = NULL;
	e->size = e->sent = 0;
	to = open_memstream(&e->text, &e->size);
	if (!to)
		return;
	any = put_new(e, to);
	if (!any && now() - e->spoke >= HTTP_HEARTBEAT - 1) {
		fputs(": still here\n\n", to);
		any = true;
	}
	fclose(to);
	if (any)
		e->spoke = now();
}

static ssize_t events_pull(void *data, char *to, size_t size)
{
	struct events *e = data;

	if (e->sent == e->size)
		refill(e);
	if (size > e->size - e->sent)
		size = e->size - e->sent;
	if (size)
		memcpy(to, e->text + e->sent, size);
	e->sent += size;
	return (ssize_t)size;
}

static void events_free(void *data)
{
	struct events *e = data;

	free(e->text);
	free(e);
}

static void find_start(struct events *e, const struct http_request *request)
{
	const char *after = http_header(request, "Last-Event-ID");
	char *end;

	if (!after)
		after = http_query(request, "after");
	if (after && *after) {
		e->last = strtoull(after, &end, 10);
		e->resumed = !*end;
	}
	if (!e->resumed)
		json_decref(
			control_events(e->control, UINT64_MAX, 1, &e->last));
}

void events_answer(struct control *control, struct http_request *request)
{
	struct http_answer *answer = &request->answer;
	struct events *e = calloc(1, sizeof(*e));

	if (!e) {
		http_answer_error(answer, 500, "no memory");
		return;
	}
	e->control = control;
	e->text = strdup("retry: 2000\n: events follow\n\n");
	e->size = e->text ? strlen(e->text) : 0;
	e->spoke = now();
	find_start(e, request);
	answer->status = 200;
	answer->content = HTTP_STREAM;
	answer->pull = events_pull;
	answer->pull_free = events_free;
	answer->pull_data = e;
	http_answer_header(answer, "Content-Type", "text/event-stream");
	http_answer_header(answer, "Cache-Control", "no-store");
}
