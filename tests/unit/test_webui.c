/* The HTTP server on real sockets, with operations of the test's own. */
#include "webui/webui.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/operations.h"

/* --- a control role that answers what the tests need ------------------- */

struct control {
	pthread_mutex_t lock;
	void (*changed)(void *);
	void *data;
	uint64_t newest;
	pthread_cond_t released;
	bool held;      /* operation status waits while set */
	char seen[256]; /* what the last vault_start was given */
	int pipe;       /* read end for session_pcapng */
};

static int say(const struct operation_call *call,
	       struct operation_answer *answer, const char *name)
{
	answer->json = json_pack("{s:s,s:O,s:s?,s:s?}", "operation", name,
				 "body", call->body, "path", call->path[0], "q",
				 call->query(call, "q"));
	return 0;
}

#define GENERIC(name) \
	int operation_##name( \
		struct control *control, const struct operation_call *call, \
		struct operation_answer *answer, struct error *error) \
	{ \
		(void)control, (void)error; \
		return say(call, answer, #name); \
	}
GENERIC(doctor)
GENERIC(vault_list)
GENERIC(vault_create)
GENERIC(vault_adopt)
GENERIC(vault_show)
GENERIC(vault_delete)
GENERIC(vault_stop)
GENERIC(policy_show)
GENERIC(vault_attach)
GENERIC(network_show)
GENERIC(network_change)
GENERIC(policy_change)
GENERIC(session_list)
GENERIC(session_show)
GENERIC(session_delete)
GENERIC(session_kill)
GENERIC(session_hold)
GENERIC(session_verify)
GENERIC(session_render)
GENERIC(session_replay)
GENERIC(session_thumbs)
GENERIC(session_thumbs_times)
GENERIC(session_capture)
GENERIC(session_stats)
GENERIC(session_dump)
GENERIC(session_frame)
GENERIC(job_list)
GENERIC(job_show)
GENERIC(job_cancel)
GENERIC(job_video)
GENERIC(audit_list)

int operation_status(struct control *control, const struct operation_call *call,
		     struct operation_answer *answer, struct error *error)
{
	(void)error;
	pthread_mutex_lock(&control->lock);
	while (control->held)
		pthread_cond_wait(&control->released, &control->lock);
	pthread_mutex_unlock(&control->lock);
	return say(call, answer, "status");
}

int operation_vault_start(struct control *control,
			  const struct operation_call *call,
			  struct operation_answer *answer, struct error *error)
{
	(void)answer;
	snprintf(control->seen, sizeof(control->seen), "%s by %s via %s",
		 call->path[0], call->who, call->host);
	return error_set(error, EBUSY, "vault %s runs", call->path[0]);
}

int operation_connect(struct control *control,
		      const struct operation_call *call,
		      struct operation_answer *answer, struct error *error)
{
	(void)control, (void)error;
	answer->json =
		json_pack("{s:s}", "vv",
			  json_is_true(json_object_get(call->body, "view_only"))
				  ? "view only"
				  : "[virt-viewer]\n");
	return 0;
}

int operation_session_video(struct control *control,
			    const struct operation_call *call,
			    struct operation_answer *answer,
			    struct error *error)
{
	char name[] = "/tmp/test_webui.XXXXXX";

	(void)control, (void)error;
	answer->fd = mkstemp(name);
	assert_true(answer->fd >= 0);
	unlink(name);
	assert_int_equal(write(answer->fd, "0123456789", 10), 10);
	answer->size = 10;
	answer->content_type = "video/mp4";
	snprintf(answer->file_name, sizeof(answer->file_name), "a\"%s.mp4",
		 call->path[0]);
	return 0;
}

int operation_session_pcapng(struct control *control,
			     const struct operation_call *call,
			     struct operation_answer *answer,
			     struct error *error)
{
	(void)call, (void)error;
	answer->fd = control->pipe;
	answer->size = UINT64_MAX;
	answer->content_type = "application/x-pcapng";
	return 0;
}

void control_observe(struct control *control, void (*changed)(void *),
		     void *data)
{
	control->changed = changed;
	control->data = data;
}

json_t *control_events(struct control *control, uint64_t after, unsigned limit,
		       uint64_t *last)
{
	json_t *list = json_array();

	pthread_mutex_lock(&control->lock);
	*last = control->newest;
	for (; after < control->newest && limit--; after++)
		json_array_append_new(list, json_pack("{s:I,s:s}", "seq",
						      (json_int_t)after + 1,
						      "type", "vault.state"));
	pthread_mutex_unlock(&control->lock);
	return list;
}

char *control_metrics(struct control *control)
{
	(void)control;
	return strdup("mediavm_vaults 3\n");
}

int control_health(struct control *control, struct error *error)
{
	(void)control, (void)error;
	return 0;
}

static void happen(struct control *control, unsigned events)
{
	pthread_mutex_lock(&control->lock);
	control->newest += events;
	pthread_mutex_unlock(&control->lock);
	control->changed(control->data);
}

/* --- a client ---------------------------------------------------------- */

struct fixture {
	struct control control;
	struct webui *webui;
	char folder[64], path[100];
	char cookie[100];
	char *answer; /* of the last exchange */
	size_t size;
};

static int connect_tcp(struct fixture *f)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				.sin_port = htons(webui_port(f->webui))};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static int connect_unix(struct fixture *f)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(a.sun_path, f->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void send_text(int fd, const char *text)
{
	size_t n = strlen(text);

	assert_int_equal(send(fd, text, n, MSG_NOSIGNAL), n);
}

/* Reads to the end, or until `until` has come. */
static const char *receive(struct fixture *f, int fd, const char *until)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char part[4096];
	ssize_t n;

	free(f->answer);
	f->answer = calloc(1, 1);
	f->size = 0;
	while (!until || !strstr(f->answer, until)) {
		assert_int_equal(poll(&p, 1, 20000), 1);
		n = recv(fd, part, sizeof(part), 0);
		if (n <= 0)
			break;
		f->answer = realloc(f->answer, f->size + (size_t)n + 1);
		memcpy(f->answer + f->size, part, (size_t)n);
		f->size += (size_t)n;
		f->answer[f->size] = 0;
	}
	return f->answer;
}

/* One exchange; headers: further lines, each with \r\n. Gives the status. */
static int ask(struct fixture *f, bool is_unix, const char *what,
	       const char *headers, const char *body)
{
	int fd = is_unix ? connect_unix(f) : connect_tcp(f);
	char text[4096];

	snprintf(text, sizeof(text),
		 "%s HTTP/1.1\r\nConnection: close\r\n%s%s%s", what, headers,
		 strstr(headers, "Host:") ? "" : "Host: localhost\r\n",
		 strstr(headers, "Cookie:") || is_unix ? "" : f->cookie);
	send_text(fd, text);
	if (body) {
		snprintf(text, sizeof(text), "Content-Length: %zu\r\n\r\n",
			 strlen(body));
		send_text(fd, text);
		send_text(fd, body);
	} else {
		send_text(fd, "\r\n");
	}
	receive(f, fd, NULL);
	close(fd);
	return atoi(f->answer + strlen("HTTP/1.1 "));
}

#define has(f, text) assert_non_null(strstr((f)->answer, text))

static void log_in(struct fixture *f)
{
	char *link = webui_login_link(f->webui), request[200];
	const char *cookie;

	assert_non_null(link);
	snprintf(request, sizeof(request), "GET %s",
		 strchr(link + strlen("http://"), '/'));
	assert_int_equal(ask(f, false, request, "", NULL), 303);
	has(f, "HttpOnly");
	has(f, "SameSite=Strict");
	cookie = strstr(f->answer, "Set-Cookie: ");
	assert_non_null(cookie);
	cookie += strlen("Set-Cookie: ");
	snprintf(f->cookie, sizeof(f->cookie), "Cookie: %.*s\r\n",
		 (int)strcspn(cookie, ";"), cookie);
	/* It works once. */
	assert_int_equal(ask(f, false, request, "", NULL), 403);
	free(link);
}

static void start(struct fixture *f)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_un u = {.sun_family = AF_UNIX};
	struct webui_options options = {.unix_group = (gid_t)-1,
					.folder = f->folder};
	struct error error = {0};

	options.tcp_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	options.unix_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strcpy(u.sun_path, f->path);
	unlink(f->path);
	assert_int_equal(bind(options.tcp_fd, (void *)&a, sizeof(a)), 0);
	assert_int_equal(bind(options.unix_fd, (void *)&u, sizeof(u)), 0);
	assert_int_equal(listen(options.tcp_fd, 200), 0);
	assert_int_equal(listen(options.unix_fd, 200), 0);
	assert_int_equal(webui_start(&f->webui, &options, &f->control, &error),
			 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->folder, "/tmp/test_webui.XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->path, sizeof(f->path), "%s/api.sock", f->folder);
	pthread_mutex_init(&f->control.lock, NULL);
	pthread_cond_init(&f->control.released, NULL);
	start(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char logins[120];

	webui_stop(f->webui);
	snprintf(logins, sizeof(logins), "%s/logins", f->folder);
	unlink(logins);
	unlink(f->path);
	assert_int_equal(rmdir(f->folder), 0);
	free(f->answer);
	free(f);
	return 0;
}

/* --- tests ------------------------------------------------------------- */

static void answers_on_the_unix_socket(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(
		ask(f, true, "GET /api/v1/vaults/one?q=a%20b", "", NULL), 200);
	has(f, "{\"operation\":\"vault_show\",\"body\":{},\"path\":\"one\","
	       "\"q\":\"a b\"}");
	has(f, "Content-Type: application/json");
	has(f, "Cache-Control: no-store");
	has(f, "X-Content-Type-Options: nosniff");
	has(f, "frame-ancestors 'none'");
	assert_int_equal(ask(f, true, "PATCH /api/v1/vaults/one/policy",
			     "Content-Type: application/json\r\n",
			     "{\"usb\":\"on\"}"),
			 200);
	has(f, "\"body\":{\"usb\":\"on\"}");
}

static void maps_errors(void **state)
{
	struct fixture *f = *state;
	char who[64];

	assert_int_equal(ask(f, true, "POST /api/v1/vaults/one/start", "", ""),
			 409);
	has(f, "{\"error\":\"vault one runs\"}");
	snprintf(who, sizeof(who), "one by uid %d via localhost", getuid());
	assert_string_equal(f->control.seen, who);
	assert_int_equal(ask(f, true, "GET /api/v1/none", "", NULL), 404);
	has(f, "{\"error\":");
	assert_int_equal(ask(f, true, "PUT /api/v1/vaults", "", ""), 405);
	has(f, "Allow: GET, HEAD, POST\r\n");
	assert_int_equal(ask(f, true, "POST /api/v1/vaults", "", "{}"), 415);
	assert_int_equal(ask(f, true, "POST /api/v1/vaults",
			     "Content-Type: application/json\r\n", "{"),
			 400);
	assert_int_equal(ask(f, true, "POST /api/v1/vaults",
			     "Content-Type: application/json\r\n", "[]"),
			 400);
	has(f, "must be a JSON object");
}

static void limits_the_body(void **state)
{
	struct fixture *f = *state;
	char *body = malloc(1100000);
	int fd;

	assert_int_equal(ask(f, true, "POST /api/v1/vaults",
			     "Content-Type: application/json\r\n"
			     "Content-Length: 2000000\r\n",
			     NULL),
			 413);
	/* Without an announcement. */
	memset(body, ' ', 1100000);
	fd = connect_unix(f);
	send_text(fd, "POST /api/v1/vaults HTTP/1.1\r\nHost: x\r\n"
		      "Content-Type: application/json\r\n"
		      "Transfer-Encoding: chunked\r\n\r\n10C8E0\r\n");
	assert_true(send(fd, body, 1100000, MSG_NOSIGNAL) > 0);
	send_text(fd, "\r\n0\r\n\r\n");
	receive(f, fd, "1 MiB");
	has(f, " 413 ");
	close(fd);
	free(body);
}

static void wants_a_cookie_on_tcp(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ask(f, false, "GET /api/v1/vaults", "", NULL), 401);
	has(f, "mediavmctl ui");
	assert_int_equal(ask(f, false, "GET /vaults/one.vv", "", NULL), 401);
	assert_int_equal(ask(f, false, "GET /login?token=x", "", NULL), 403);
	assert_int_equal(ask(f, false, "GET /healthz", "", NULL), 200);
	assert_int_equal(ask(f, false, "GET /metrics", "", NULL), 200);
	assert_int_equal(ask(f, false, "GET /", "", NULL), 200);
	log_in(f);
	assert_int_equal(ask(f, false, "GET /api/v1/vaults", "", NULL), 200);
	assert_int_equal(ask(f, false, "POST /api/v1/vaults/two/start", "", ""),
			 409);
	assert_string_equal(f->control.seen, "two by page via localhost");
	assert_int_equal(ask(f, false, "POST /api/v1/login-links", "", ""),
			 403);
	assert_int_equal(ask(f, false, "POST /api/v1/logout", "", ""), 200);
	assert_int_equal(ask(f, false, "GET /api/v1/vaults", "", NULL), 401);
}

static void login_outlives_a_restart(void **state)
{
	struct fixture *f = *state;
	char cookie[100], *value;

	log_in(f);
	webui_stop(f->webui);
	start(f);
	/* Another port, so another name of the cookie. */
	value = strchr(f->cookie, '=');
	snprintf(cookie, sizeof(cookie), "Cookie: mediavm_%d%s",
		 webui_port(f->webui), value);
	strcpy(f->cookie, cookie);
	assert_int_equal(ask(f, false, "GET /api/v1/vaults", "", NULL), 200);
}

static void makes_login_links_on_the_unix_socket(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ask(f, true, "POST /api/v1/login-links", "", ""), 200);
	has(f, "/login?token=");
	has(f, "\"expires_at\":\"20");
}

static void keeps_other_sites_out(void **state)
{
	struct fixture *f = *state;

	log_in(f);
	assert_int_equal(
		ask(f, false, "GET /healthz", "Host: evil.example\r\n", NULL),
		403);
	assert_int_equal(ask(f, false, "POST /api/v1/vaults/two/start",
			     "Origin: http://evil.example\r\n", ""),
			 403);
	assert_int_equal(ask(f, false, "POST /api/v1/vaults/two/start",
			     "Origin: http://localhost:1\r\n", ""),
			 403);
	assert_int_equal(ask(f, false, "GET /vaults/one.vv",
			     "Sec-Fetch-Site: cross-site\r\n", NULL),
			 403);
	assert_int_equal(ask(f, false, "GET /api/v1/vaults",
			     "Sec-Fetch-Site: same-site\r\n", NULL),
			 403);
	assert_int_equal(
		ask(f, false, "GET /", "Sec-Fetch-Site: cross-site\r\n", NULL),
		200);
	assert_int_equal(ask(f, false, "POST /api/v1/vaults/two/start",
			     "Host: localhost:99\r\n"
			     "Origin: http://localhost:99\r\n"
			     "Sec-Fetch-Site: same-origin\r\n",
			     ""),
			 409);
	assert_null(strstr(f->answer, "Access-Control"));
}

static void gives_the_viewer_file(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ask(f, true, "GET /vaults/my.vault.vv", "", NULL),
			 200);
	has(f, "Content-Type: application/x-virt-viewer");
	has(f, "attachment; filename=\"my.vault.vv\"");
	has(f, "\r\n\r\n[virt-viewer]\n");
	assert_int_equal(ask(f, true, "GET /vaults/a.vv?view_only=1", "", NULL),
			 200);
	has(f, "\r\n\r\nview only");
	assert_int_equal(ask(f, true, "HEAD /vaults/a.vv", "", NULL), 405);
}

static void sends_ranges(void **state)
{
	struct fixture *f = *state;
	const char *video = "GET /api/v1/sessions/s/video";

	assert_int_equal(ask(f, true, video, "", NULL), 200);
	has(f, "\r\n\r\n0123456789");
	has(f, "inline; filename=\"a_s.mp4\"");
	assert_int_equal(ask(f, true, video, "Range: bytes=2-4\r\n", NULL),
			 206);
	has(f, "\r\n\r\n234");
	assert_string_equal(f->answer + f->size - 7, "\r\n\r\n234");
	has(f, "Content-Range: bytes 2-4/10\r\n");
	has(f, "Content-Length: 3\r\n");
	assert_int_equal(ask(f, true, video, "Range: bytes=-3\r\n", NULL), 206);
	has(f, "\r\n\r\n789");
	assert_int_equal(ask(f, true, video, "Range: bytes=10-\r\n", NULL),
			 416);
	has(f, "Content-Range: bytes */10\r\n");
	assert_int_equal(ask(f, true, video,
			     "Range: bytes=2-4\r\nIf-Range: \"other\"\r\n",
			     NULL),
			 200);
	assert_int_equal(ask(f, true, video, "If-None-Match: *\r\n", NULL),
			 304);
}

static void caches_static_files(void **state)
{
	struct fixture *f = *state;
	char tag[64], header[100], *p;

	assert_int_equal(ask(f, false, "GET /login.html", "", NULL), 200);
	has(f, "text/html");
	p = strstr(f->answer, "ETag: ");
	assert_non_null(p);
	snprintf(tag, sizeof(tag), "%.*s", (int)strcspn(p + 6, "\r"), p + 6);
	snprintf(header, sizeof(header), "If-None-Match: %s\r\n", tag);
	assert_int_equal(ask(f, false, "GET /login.html", header, NULL), 304);
	assert_int_equal(ask(f, false, "GET /none.html", "", NULL), 404);
	assert_int_equal(ask(f, false, "GET /../etc/passwd", "", NULL), 404);
}

static int open_stream(struct fixture *f, const char *headers)
{
	int fd = connect_unix(f);
	char text[300];

	snprintf(text, sizeof(text),
		 "GET /api/v1/events HTTP/1.1\r\nHost: x\r\n%s\r\n", headers);
	send_text(fd, text);
	receive(f, fd, "events follow");
	has(f, "text/event-stream");
	return fd;
}

static void streams_events(void **state)
{
	struct fixture *f = *state;
	int fd[100], i;

	happen(&f->control, 3);
	for (i = 0; i < 100; i++)
		fd[i] = open_stream(f, "");
	happen(&f->control, 1);
	for (i = 0; i < 100; i++) {
		receive(f, fd[i], "}\n\n");
		has(f, "id: 4\nevent: vault.state\ndata: {\"seq\":4,");
		assert_null(strstr(f->answer, "id: 3"));
	}
	assert_int_equal(ask(f, true, "GET /api/v1/vaults", "", NULL), 200);
	for (i = 0; i < 100; i++)
		close(fd[i]);
	fd[0] = open_stream(f, "Last-Event-ID: 2\r\n");
	if (!strstr(f->answer, "id: 4"))
		receive(f, fd[0], "\"seq\":4");
	close(fd[0]);
	fd[0] = open_stream(f, "Last-Event-ID: 900\r\n");
	if (!strstr(f->answer, "event: reset"))
		receive(f, fd[0], "event: reset");
	has(f, "id: 4\nevent: reset\n");
	close(fd[0]);
}

static void one_that_blocks_stops_no_other(void **state)
{
	struct fixture *f = *state;
	int fd = connect_unix(f), i;

	f->control.held = true;
	send_text(fd, "GET /api/v1/status HTTP/1.1\r\nHost: x\r\n"
		      "Connection: close\r\n\r\n");
	for (i = 0; i < 20; i++)
		assert_int_equal(ask(f, true, "GET /api/v1/vaults", "", NULL),
				 200);
	pthread_mutex_lock(&f->control.lock);
	f->control.held = false;
	pthread_cond_broadcast(&f->control.released);
	pthread_mutex_unlock(&f->control.lock);
	receive(f, fd, NULL);
	has(f, "\"operation\":\"status\"");
	close(fd);
}

static void relays_a_pipe(void **state)
{
	struct fixture *f = *state;
	int ends[2], fd = connect_unix(f);

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	f->control.pipe = ends[0];
	send_text(fd, "GET /api/v1/sessions/s/pcapng HTTP/1.1\r\nHost: x\r\n"
		      "Connection: close\r\n\r\n");
	receive(f, fd, "\r\n\r\n");
	assert_int_equal(ask(f, true, "GET /api/v1/vaults", "", NULL), 200);
	assert_int_equal(write(ends[1], "first", 5), 5);
	receive(f, fd, "first");
	assert_int_equal(write(ends[1], "second", 6), 6);
	receive(f, fd, "second");
	close(ends[1]);
	receive(f, fd, NULL);
	close(fd);
}

static void stops_with_open_streams(void **state)
{
	struct fixture *f = *state;
	int fd = open_stream(f, "");

	webui_stop(f->webui);
	receive(f, fd, NULL);
	close(fd);
	start(f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(answers_on_the_unix_socket),
		TEST(maps_errors),
		TEST(limits_the_body),
		TEST(wants_a_cookie_on_tcp),
		TEST(login_outlives_a_restart),
		TEST(makes_login_links_on_the_unix_socket),
		TEST(keeps_other_sites_out),
		TEST(gives_the_viewer_file),
		TEST(sends_ranges),
		TEST(caches_static_files),
		TEST(streams_events),
		TEST(one_that_blocks_stops_no_other),
		TEST(relays_a_pipe),
		TEST(stops_with_open_streams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
