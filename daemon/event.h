/*
 * What happened, as JSON objects (operations.h lists the types): the newest
 * 1024 in memory for the stream, all but the .progress ones in the audit log.
 */
#ifndef DAEMON_EVENT_H
#define DAEMON_EVENT_H

#include <jansson.h>
#include <stdint.h>

#include "recorder/error.h"

struct catalogue;
struct events;

int events_new(struct events **events, struct catalogue *catalogue,
	       struct error *error);
void events_free(struct events *events);

/*
 * Posts one. subject: the vault's name or the session's id, by which the
 * audit log can be searched, or NULL. Takes members over.
 */
void events_post(struct events *events, const char *type, const char *subject,
		 json_t *members);

void events_observe(struct events *events, void (*changed)(void *), void *data);
json_t *events_after(struct events *events, uint64_t after, unsigned limit,
		     uint64_t *last);

#endif
