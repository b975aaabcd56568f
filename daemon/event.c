/* Events: a ring in memory and the audit log. */
#include "daemon/event.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/catalogue.h"
#include "daemon/log.h"
#include "daemon/units.h"

#define RING 1024
/* Numbers that events without a row may have used before a restart. */
#define SEQ_STEP 100000

struct events {
	struct catalogue *catalogue;
	pthread_mutex_t lock;
	json_t *ring[RING];        /* seq % RING */
	uint64_t first, last;      /* seqs in the ring; first > last: none */
	pthread_mutex_t observing; /* held during a callback */
	void (*changed)(void *data);
	void *data;
};

static int take_seq(void *data, const struct catalogue_row *row)
{
	*(uint64_t *)data = (uint64_t)catalogue_row_int(row, 0);
	return 0;
}

int events_new(struct events **events, struct catalogue *catalogue,
	       struct error *error)
{
	struct events *e = calloc(1, sizeof(*e));
	uint64_t seq = 0;

	*events = NULL;
	if (!e)
		return error_set(error, -ENOMEM, "no memory");
	if (catalogue_read(catalogue, "SELECT max(seq) FROM audit",
			   CATALOGUE_NONE, take_seq, &seq, error) < 0) {
		free(e);
		return -EIO;
	}
	e->catalogue = catalogue;
	e->last = seq ? seq + SEQ_STEP : 0;
	e->first = e->last + 1;
	pthread_mutex_init(&e->lock, NULL);
	pthread_mutex_init(&e->observing, NULL);
	*events = e;
	return 0;
}

void events_free(struct events *events)
{
	if (!events)
		return;
	for (int i = 0; i < RING; i++)
		json_decref(events->ring[i]);
	pthread_mutex_destroy(&events->lock);
	pthread_mutex_destroy(&events->observing);
	free(events);
}

static void store(struct events *e, uint64_t seq, int64_t at, const char *type,
		  const char *subject, const char *text)
{
	struct error error = {0};

	if (catalogue_write(e->catalogue,
			    "INSERT INTO audit (seq, at, type, subject, event) "
			    "VALUES (?, ?, ?, ?, ?)",
			    CATALOGUE_VALUES(catalogue_int((int64_t)seq),
					     catalogue_int(at),
					     catalogue_text(type),
					     catalogue_text(subject),
					     catalogue_text(text)),
			    NULL, NULL, &error) < 0)
		log_error("an event is missing in the audit log: %s",
			  error.text);
}

static void notify(struct events *e)
{
	pthread_mutex_lock(&e->observing);
	if (e->changed)
		e->changed(e->data);
	pthread_mutex_unlock(&e->observing);
}

void events_post(struct events *e, const char *type, const char *subject,
		 json_t *members)
{
	const char *end = strrchr(type, '.');
	int64_t now = units_now_us();
	char at[UNITS_TIME_SIZE];
	json_t *event;
	uint64_t seq;
	char *text = NULL;

	units_time_format(now, at);
	pthread_mutex_lock(&e->lock);
	seq = ++e->last;
	event = json_pack("{s:I, s:s, s:s}", "seq", (json_int_t)seq, "at", at,
			  "type", type);
	if (members)
		json_object_update_missing(event, members);
	if (seq - e->first >= RING)
		e->first = seq - RING + 1;
	json_decref(e->ring[seq % RING]);
	e->ring[seq % RING] = event;
	if (!end || strcmp(end, ".progress"))
		text = json_dumps(event, JSON_COMPACT);
	pthread_mutex_unlock(&e->lock);
	json_decref(members);
	if (text) {
		store(e, seq, now, type, subject, text);
		log_info("%s", text);
		free(text);
	}
	notify(e);
}

void events_observe(struct events *e, void (*changed)(void *), void *data)
{
	pthread_mutex_lock(&e->observing);
	e->changed = changed;
	e->data = data;
	pthread_mutex_unlock(&e->observing);
}

json_t *events_after(struct events *e, uint64_t after, unsigned limit,
		     uint64_t *last)
{
	json_t *array = json_array();
	uint64_t seq;

	pthread_mutex_lock(&e->lock);
	*last = e->last;
	seq = after + 1 > e->first ? after + 1 : e->first;
	for (; seq <= e->last && limit; seq++, limit--)
		/* A copy: reference counts are not for several threads. */
		json_array_append_new(array,
				      json_deep_copy(e->ring[seq % RING]));
	pthread_mutex_unlock(&e->lock);
	return array;
}
