/* The HTTP server's rules: who may ask what, and what answers it. */
#include "webui/webui.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "daemon/operations.h"
#include "webui/api.h"
#include "webui/events.h"
#include "webui/files.h"
#include "webui/guard.h"
#include "webui/http.h"
#include "webui/login.h"
#include "webui/routes.h"

#define DEFAULT_THREADS 8
#define CONNECTIONS 256 /* for each listener */
#define TIMEOUT 60      /* s */

struct webui {
	struct http_server *server;
	struct control *control;
	struct logins *logins;
	struct guard_hosts hosts;
	gid_t unix_group;
	int port;        /* 0: no TCP */
	char cookie[24]; /* its name: cookies know no ports */
	char login_host[256];
};

/* --- our own routes --------------------------------------------------- */

static void answer_json(struct http_answer *answer, json_t *json)
{
	http_answer_text(answer, 200, "application/json",
			 json_dumps(json, JSON_COMPACT));
	http_answer_header(answer, "Cache-Control", "no-store");
	json_decref(json);
}

static void answer_login(struct webui *webui, struct http_request *request)
{
	const char *token = http_query(request, "token");
	struct http_answer *answer = &request->answer;
	char cookie[LOGIN_TEXT_SIZE];

	if (!token ||
	    !logins_redeem(webui->logins, time(NULL), token, cookie)) {
		files_answer(request, "login.html", 403);
		return;
	}
	answer->status = 303;
	http_answer_header(answer, "Location", "/");
	http_answer_header(answer, "Cache-Control", "no-store");
	http_answer_header(answer, "Set-Cookie",
			   "%s=%s; Path=/; HttpOnly; SameSite=Strict; "
			   "Max-Age=%d",
			   webui->cookie, cookie, LOGIN_TIME);
}

static void answer_logout(struct webui *webui, struct http_request *request)
{
	const char *cookie = http_cookie(request, webui->cookie);

	if (cookie)
		logins_end(webui->logins, cookie);
	answer_json(&request->answer, json_object());
	http_answer_header(&request->answer, "Set-Cookie",
			   "%s=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0",
			   webui->cookie);
}

static void answer_login_link(struct webui *webui, struct http_request *request)
{
	time_t expires = time(NULL) + LOGIN_LINK_TIME;
	char text[40], *link;
	struct tm tm;

	if (!request->is_unix) {
		http_answer_error(&request->answer, 403,
				  "login links are made on the Unix socket "
				  "only; run mediavmctl ui");
		return;
	}
	if (!webui->port) {
		http_answer_error(&request->answer, 409,
				  "the page is not offered on TCP; set port in "
				  "section [http] of mediavmd.conf");
		return;
	}
	link = webui_login_link(webui);
	if (!link) {
		http_answer_error(&request->answer, 500, "no random numbers");
		return;
	}
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S.000Z",
		 gmtime_r(&expires, &tm));
	answer_json(&request->answer,
		    json_pack("{s:s,s:s}", "url", link, "expires_at", text));
	free(link);
}

static void answer_health(struct webui *webui, struct http_request *request)
{
	struct error error = {0};

	if (control_health(webui->control, &error) < 0)
		http_answer_error(&request->answer, 503, "%s", error.text);
	else
		answer_json(&request->answer,
			    json_pack("{s:s}", "status", "ok"));
}

static void answer_metrics(struct webui *webui, struct http_request *request)
{
	http_answer_text(&request->answer, 200,
			 "text/plain; version=0.0.4; charset=utf-8",
			 control_metrics(webui->control));
	http_answer_header(&request->answer, "Cache-Control", "no-store");
}

/* --- rules ------------------------------------------------------------ */

static bool has_cookie(struct webui *webui, const struct http_request *request)
{
	const char *cookie = http_cookie(request, webui->cookie);

	return cookie && logins_check(webui->logins, time(NULL), cookie);
}

/* Whether a route answers a TCP caller without a cookie. */
static bool is_open(const struct route *route,
		    const struct http_request *request)
{
	switch (route->kind) {
	case ROUTE_LOGIN:
	case ROUTE_HEALTH:
	case ROUTE_STATIC:
		return true;
	case ROUTE_METRICS:
		return request->is_loopback;
	default:
		return false;
	}
}

/* Pages that a link from elsewhere may open; they change and tell nothing. */
static bool may_be_linked(const struct route *route)
{
	return route->kind == ROUTE_STATIC || route->kind == ROUTE_LOGIN;
}

static bool check_tcp(struct webui *webui, struct http_request *request,
		      const struct route *route)
{
	const char *host = http_header(request, "Host");

	if (!may_be_linked(route) &&
	    !guard_origin_ok(host, http_header(request, "Origin"),
			     http_header(request, "Sec-Fetch-Site"))) {
		http_answer_error(&request->answer, 403,
				  "this request comes from the page of another "
				  "site");
		return false;
	}
	if (!is_open(route, request) && !has_cookie(webui, request)) {
		http_answer_error(&request->answer, 401,
				  "not logged in; run mediavmctl ui");
		return false;
	}
	return true;
}

/* Before anything else: the name on TCP, the peer on the Unix socket. */
static bool check_caller(struct webui *webui, struct http_request *request,
			 char who[32])
{
	struct guard_peer peer;

	if (!request->is_unix) {
		snprintf(who, 32, "page");
		if (guard_host_ok(&webui->hosts, http_header(request, "Host")))
			return true;
		http_answer_error(&request->answer, 403,
				  "this daemon does not answer under that "
				  "Host; use localhost");
		return false;
	}
	peer = guard_peer(request->socket, webui->unix_group);
	snprintf(who, 32, "uid %u", (unsigned)peer.uid);
	if (!peer.allowed)
		http_answer_error(&request->answer, 403,
				  "uid %u may not use this socket; run it as "
				  "the daemon's user or root",
				  (unsigned)peer.uid);
	return peer.allowed;
}

static void dispatch(struct webui *webui, const struct route_match *match,
		     const char *who, struct http_request *request)
{
	switch (match->route->kind) {
	case ROUTE_OPERATION:
		api_call(webui->control, match, who, request);
		break;
	case ROUTE_EVENTS:
		events_answer(webui->control, request);
		break;
	case ROUTE_LOGIN_LINK:
		answer_login_link(webui, request);
		break;
	case ROUTE_LOGOUT:
		answer_logout(webui, request);
		break;
	case ROUTE_CONNECT_FILE:
		api_connect_file(webui->control, match, who, request);
		break;
	case ROUTE_LOGIN:
		answer_login(webui, request);
		break;
	case ROUTE_HEALTH:
		answer_health(webui, request);
		break;
	case ROUTE_METRICS:
		answer_metrics(webui, request);
		break;
	case ROUTE_STATIC:
		files_answer(request,
			     match->segment_count ? match->segments[0]
						  : "index.html",
			     200);
		break;
	}
}

static void handle(void *data, struct http_request *request)
{
	struct http_answer *answer = &request->answer;
	struct webui *webui = data;
	struct route_match match;
	char who[32];

	routes_find(request->method, request->path, &match);
	if (!check_caller(webui, request, who)) {
		; /* answered */
	} else if (!match.allowed[0]) {
		http_answer_error(answer, 404, "there is no %s", request->path);
	} else if (!match.route) {
		http_answer_error(answer, 405, "%s takes %s", request->path,
				  match.allowed);
		http_answer_header(answer, "Allow", "%s", match.allowed);
	} else if (request->is_unix || check_tcp(webui, request, match.route)) {
		dispatch(webui, &match, who, request);
	}
	http_answer_header(answer, "X-Content-Type-Options", "nosniff");
	http_answer_header(answer, "Referrer-Policy", "same-origin");
	http_answer_header(answer, "Cross-Origin-Resource-Policy",
			   "same-origin");
	http_answer_header(answer, "Cross-Origin-Opener-Policy", "same-origin");
	http_answer_header(answer, "Content-Security-Policy",
			   "default-src 'self'; object-src 'none'; base-uri "
			   "'none'; form-action 'self'; frame-ancestors "
			   "'none'");
}

/* --- life ------------------------------------------------------------- */

static int port_of(const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)address)->sin6_port);
	return ntohs(((const struct sockaddr_in *)address)->sin_port);
}

/*
 * The login link names the address and not localhost: that could mean ::1,
 * where another user of this machine may listen on the same port.
 */
static void learn_address(struct webui *webui,
			  const struct webui_options *options)
{
	struct sockaddr_storage address = {0};
	socklen_t size = sizeof(address);
	const struct guard_hosts *hosts = &webui->hosts;

	if (options->tcp_fd >= 0 &&
	    getsockname(options->tcp_fd, (struct sockaddr *)&address, &size) ==
		    0)
		webui->port = port_of(&address);
	guard_hosts_set(&webui->hosts, options->hosts,
			webui->port ? (struct sockaddr *)&address : NULL);
	snprintf(webui->login_host, sizeof(webui->login_host), "%s",
		 webui->port && !hosts->any_address ? hosts->names[3]
						    : "127.0.0.1");
	snprintf(webui->cookie, sizeof(webui->cookie), "mediavm_%d",
		 webui->port);
}

static void wake(void *server)
{
	http_wake(server);
}

static void close_both(const struct webui_options *options)
{
	if (options->tcp_fd >= 0)
		close(options->tcp_fd);
	if (options->unix_fd >= 0)
		close(options->unix_fd);
}

int webui_start(struct webui **result, const struct webui_options *options,
		struct control *control, struct error *error)
{
	struct http_options http = {
		.tcp_fd = options->tcp_fd,
		.unix_fd = options->unix_fd,
		.threads =
			options->threads ? options->threads : DEFAULT_THREADS,
		.connections = CONNECTIONS,
		.timeout = TIMEOUT,
		.handler = handle,
	};
	struct webui *webui = calloc(1, sizeof(*webui));
	int code;

	*result = NULL;
	if (webui)
		webui->logins = logins_new(options->folder);
	if (!webui || !webui->logins) {
		free(webui);
		close_both(options);
		return error_set(error, ENOMEM, "no memory for the page");
	}
	webui->control = control;
	webui->unix_group = options->unix_group;
	learn_address(webui, options);
	http.data = webui;
	code = http_start(&webui->server, &http, error);
	if (code < 0) {
		webui_stop(webui);
		return code;
	}
	control_observe(control, wake, webui->server);
	*result = webui;
	return 0;
}

void webui_stop(struct webui *webui)
{
	if (!webui)
		return;
	if (webui->server) {
		control_observe(webui->control, NULL, NULL);
		http_stop(webui->server);
	}
	logins_free(webui->logins);
	free(webui);
}

int webui_port(const struct webui *webui)
{
	return webui->port;
}

char *webui_login_link(struct webui *webui)
{
	char token[LOGIN_TEXT_SIZE], *link;

	if (!webui->port || logins_link(webui->logins, time(NULL), token) < 0 ||
	    asprintf(&link, "http://%s:%d/login?token=%s", webui->login_host,
		     webui->port, token) < 0)
		return NULL;
	return link;
}
