/* From method and path to what answers it. */
#ifndef WEBUI_ROUTES_H
#define WEBUI_ROUTES_H

#include "daemon/operations.h"

enum route_kind {
	ROUTE_OPERATION, /* of schema/api_routes.h */
	ROUTE_EVENTS,
	ROUTE_LOGIN_LINK,
	ROUTE_LOGOUT,
	ROUTE_CONNECT_FILE, /* /vaults/NAME.vv */
	ROUTE_LOGIN,
	ROUTE_HEALTH,
	ROUTE_METRICS,
	ROUTE_STATIC, /* whatever else is one segment: a file */
};

typedef int route_operation(struct control *control,
			    const struct operation_call *call,
			    struct operation_answer *answer,
			    struct error *error);

struct route {
	const char *method;
	const char *path; /* {x} stands for one segment or a part of one */
	enum route_kind kind;
	route_operation *operation;
};

struct route_match {
	const struct route *route; /* NULL: none */
	char segments[2][256];     /* what stood for {x} */
	unsigned segment_count;
	char allowed[64]; /* methods of that path, "" for no path */
};

/* HEAD finds GET's route where reading twice does no harm. */
void routes_find(const char *method, const char *path,
		 struct route_match *match);

#endif
