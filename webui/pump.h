/*
 * Answers without a known end: pipes that are read and streams that are
 * asked. A connection whose answer has nothing to send is suspended; one
 * thread sleeps until a pipe has bytes, somebody calls pump_wake, or a
 * heartbeat is due, and resumes those that wait for it. So an open stream
 * costs memory and no thread.
 */
#ifndef WEBUI_PUMP_H
#define WEBUI_PUMP_H

#include <microhttpd.h>

#include "recorder/error.h"
#include "webui/http.h"

struct pump;

int pump_start(struct pump **pump, struct error *error);
/* All connections must be gone; NULL is nothing. */
void pump_free(struct pump *pump);

/* Ends every answer, and the thread; NULL is nothing. */
void pump_cut(struct pump *pump);

/* Ask the streams again. Never blocks. */
void pump_wake(struct pump *pump);

/*
 * A response of HTTP_PIPE or HTTP_STREAM. Takes the answer's content, not its
 * headers. NULL without memory.
 */
struct MHD_Response *pump_response(struct pump *pump,
				   struct MHD_Connection *connection,
				   struct http_answer *answer);

#endif
