/* The table of routes. */
#include "webui/routes.h"

#include <stdio.h>
#include <string.h>

static const struct route routes[] = {
#define API_ROUTE(method, path, name) \
	{#method, path, ROUTE_OPERATION, operation_##name},
#include "schema/api_routes.h"
#undef API_ROUTE
	{"GET", "/api/v1/events", ROUTE_EVENTS, NULL},
	{"POST", "/api/v1/login-links", ROUTE_LOGIN_LINK, NULL},
	{"POST", "/api/v1/logout", ROUTE_LOGOUT, NULL},
	{"GET", "/vaults/{name}.vv", ROUTE_CONNECT_FILE, NULL},
	{"GET", "/login", ROUTE_LOGIN, NULL},
	{"GET", "/healthz", ROUTE_HEALTH, NULL},
	{"GET", "/metrics", ROUTE_METRICS, NULL},
	{"GET", "/", ROUTE_STATIC, NULL},
	{"GET", "/{file}", ROUTE_STATIC, NULL},
};

/* Takes what {x} stands for: up to the next slash, less what must follow. */
static const char *take(const char *path, const char *rest,
			struct route_match *match)
{
	size_t n = strcspn(path, "/");
	size_t tail = strcspn(rest, "/");

	if (n <= tail || n - tail >= sizeof(match->segments[0]) ||
	    match->segment_count == 2)
		return NULL;
	memcpy(match->segments[match->segment_count], path, n - tail);
	match->segments[match->segment_count++][n - tail] = 0;
	return path + n - tail;
}

static bool fits(const char *pattern, const char *path,
		 struct route_match *match)
{
	match->segment_count = 0;
	while (*pattern) {
		if (*pattern != '{') {
			if (*pattern++ != *path++)
				return false;
			continue;
		}
		pattern = strchr(pattern, '}') + 1;
		path = take(path, pattern, match);
		if (!path)
			return false;
	}
	return !*path;
}

static bool may_head(const struct route *route)
{
	return strcmp(route->method, "GET") == 0 &&
	       route->kind != ROUTE_EVENTS && route->kind != ROUTE_LOGIN &&
	       route->kind != ROUTE_CONNECT_FILE &&
	       route->operation != operation_session_pcapng;
}

static void allow(struct route_match *match, const char *method)
{
	size_t n = strlen(match->allowed);

	snprintf(match->allowed + n, sizeof(match->allowed) - n, "%s%s",
		 n ? ", " : "", method);
}

void routes_find(const char *method, const char *path,
		 struct route_match *match)
{
	struct route_match found = {0};
	unsigned i;

	*match = (struct route_match){0};
	for (i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		const struct route *route = &routes[i];
		bool heads = may_head(route);

		/* What is in the table by name is no file. */
		if (route->kind == ROUTE_STATIC && match->allowed[0])
			break;
		if (!fits(route->path, path, &found))
			continue;
		allow(match, route->method);
		if (heads)
			allow(match, "HEAD");
		if (strcmp(method, route->method) == 0 ||
		    (heads && strcmp(method, "HEAD") == 0)) {
			memcpy(match->segments, found.segments,
			       sizeof(match->segments));
			match->segment_count = found.segment_count;
			match->route = route;
		}
	}
}
