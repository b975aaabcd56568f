/* The event stream (/api/v1/events) as server-sent events. */
#ifndef WEBUI_EVENTS_H
#define WEBUI_EVENTS_H

#include "daemon/operations.h"
#include "webui/http.h"

/* Answers the request with a stream that never ends. */
void events_answer(struct control *control, struct http_request *request);

#endif
