/* Calls an operation for a request and makes the answer of its result. */
#ifndef WEBUI_API_H
#define WEBUI_API_H

#include "webui/http.h"
#include "webui/routes.h"

/* who: for the audit log. */
void api_call(struct control *control, const struct route_match *match,
	      const char *who, struct http_request *request);

/* The file of /vaults/NAME.vv. */
void api_connect_file(struct control *control, const struct route_match *match,
		      const char *who, struct http_request *request);

/* HTTP status of a negative errno. */
unsigned api_status(int code);

#endif
