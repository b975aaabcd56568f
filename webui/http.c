/*
 * The HTTP server: requests, and the threads that answer them.
 *
 *   loops    one of libmicrohttpd's for each listener: moves bytes, never
 *            waits for us
 *   workers  run the handlers; a request waits for one in a queue that is
 *            bounded by the number of connections
 *   pump     keeps the answers that have no end yet; see pump.h
 *
 * A connection is suspended from the moment its request is queued until its
 * answer is there. libmicrohttpd must not be stopped while a connection is
 * suspended, so http_stop first drains the queue and ends the streams.
 */
#include "webui/http.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "webui/pump.h"

#define HTTP_MAX_THREADS 64
#define HTTP_HEADER_MEMORY (48 * 1024) /* request line, headers, buffers */

enum state { READING, QUEUED, ANSWERED };

struct exchange {
	struct http_request request; /* first: http_header & co. cast back */
	struct http_server *server;
	struct MHD_Connection *connection;
	enum state state;
	bool too_large;
	char *body;
	struct exchange *next;
};

struct listener {
	struct http_server *server;
	bool is_unix;
	struct MHD_Daemon *loop;
};

struct http_server {
	struct http_options options;
	struct listener listeners[2]; /* TCP, Unix */
	pthread_mutex_t lock;         /* queue, stopping */
	pthread_cond_t queued;
	struct exchange *first, **last;
	bool stopping;
	pthread_t workers[HTTP_MAX_THREADS];
	unsigned worker_count;
	struct pump *pump;
};

/* --- what handlers ask ------------------------------------------------ */

static const char *lookup(const struct http_request *request,
			  enum MHD_ValueKind kind, const char *name)
{
	const struct exchange *x = (const struct exchange *)request;

	return MHD_lookup_connection_value(x->connection, kind, name);
}

const char *http_header(const struct http_request *request, const char *name)
{
	return lookup(request, MHD_HEADER_KIND, name);
}

const char *http_query(const struct http_request *request, const char *key)
{
	return lookup(request, MHD_GET_ARGUMENT_KIND, key);
}

const char *http_cookie(const struct http_request *request, const char *name)
{
	return lookup(request, MHD_COOKIE_KIND, name);
}

void http_wake(void *server)
{
	struct http_server *s = server;

	pump_wake(s->pump);
}

/* --- requests --------------------------------------------------------- */

static struct MHD_Response *make_response(struct exchange *x)
{
	struct http_answer *a = &x->request.answer;
	struct MHD_Response *response;

	switch (a->content) {
	case HTTP_TEXT:
		response = MHD_create_response_from_buffer(
			a->size, a->text, MHD_RESPMEM_MUST_FREE);
		break;
	case HTTP_FIXED:
		response = MHD_create_response_from_buffer(
			a->size, (void *)a->fixed, MHD_RESPMEM_PERSISTENT);
		break;
	case HTTP_FILE:
		response = MHD_create_response_from_fd_at_offset64(
			a->length, a->fd, a->offset);
		break;
	case HTTP_PIPE:
	case HTTP_STREAM:
		return pump_response(x->server->pump, x->connection, a);
	default:
		return MHD_create_response_from_buffer(0, "",
						       MHD_RESPMEM_PERSISTENT);
	}
	if (response) /* it owns the content now */
		a->content = HTTP_NOTHING;
	return response;
}

static enum MHD_Result send_answer(struct exchange *x)
{
	struct http_answer *a = &x->request.answer;
	struct MHD_Response *response = make_response(x);
	enum MHD_Result result;
	unsigned i;

	if (!response)
		return MHD_NO;
	for (i = 0; i < a->header_count; i++)
		MHD_add_response_header(response, a->headers[i].name,
					a->headers[i].value);
	result = MHD_queue_response(x->connection, a->status, response);
	MHD_destroy_response(response);
	http_answer_clear(a);
	return result;
}

static bool is_loopback(const struct sockaddr *address)
{
	const struct sockaddr_in *four = (const void *)address;
	const struct sockaddr_in6 *six = (const void *)address;

	if (address && address->sa_family == AF_INET)
		return ntohl(four->sin_addr.s_addr) >> 24 == 127;
	if (address && address->sa_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&six->sin6_addr) ||
		       (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr) &&
			six->sin6_addr.s6_addr[12] == 127);
	return false;
}

static struct exchange *exchange_new(const struct listener *listener,
				     struct MHD_Connection *connection,
				     const char *method, const char *path)
{
	struct exchange *x = calloc(1, sizeof(*x));
	const union MHD_ConnectionInfo *info;

	if (!x)
		return NULL;
	x->server = listener->server;
	x->connection = connection;
	x->request.is_unix = listener->is_unix;
	x->request.method = method;
	x->request.path = path;
	x->request.answer.fd = -1;
	x->request.socket = -1;
	info = MHD_get_connection_info(connection,
				       MHD_CONNECTION_INFO_CONNECTION_FD);
	if (info)
		x->request.socket = info->connect_fd;
	info = MHD_get_connection_info(connection,
				       MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	x->request.is_loopback =
		info && !x->request.is_unix && is_loopback(info->client_addr);
	return x;
}

static void exchange_free(struct exchange *x)
{
	http_answer_clear(&x->request.answer);
	free(x->body);
	free(x);
}

static void take_body(struct exchange *x, const char *data, size_t size)
{
	char *body;

	if (x->too_large || size > HTTP_MAX_BODY - x->request.body_size) {
		x->too_large = true;
		return;
	}
	body = realloc(x->body, x->request.body_size + size + 1);
	if (!body) {
		x->too_large = true;
		return;
	}
	memcpy(body + x->request.body_size, data, size);
	x->body = body;
	x->request.body_size += size;
	body[x->request.body_size] = 0;
}

/* False when the server is about to stop. */
static bool enqueue(struct exchange *x)
{
	struct http_server *s = x->server;
	bool taken;

	pthread_mutex_lock(&s->lock);
	taken = !s->stopping;
	if (taken) {
		x->state = QUEUED;
		MHD_suspend_connection(x->connection);
		*s->last = x;
		s->last = &x->next;
		pthread_cond_signal(&s->queued);
	}
	pthread_mutex_unlock(&s->lock);
	return taken;
}

/* Whether the announced body is too large to begin with. */
static bool announces_too_much(const struct exchange *x)
{
	const char *text = http_header(&x->request, "Content-Length");

	return text && (strlen(text) > 9 || atol(text) > HTTP_MAX_BODY);
}

static enum MHD_Result refuse_body(struct exchange *x)
{
	http_answer_error(&x->request.answer, 413,
			  "the request's body is larger than 1 MiB");
	http_answer_header(&x->request.answer, "Connection", "close");
	x->state = ANSWERED;
	return send_answer(x);
}

static enum MHD_Result on_request(void *data, struct MHD_Connection *connection,
				  const char *path, const char *method,
				  const char *version, const char *upload,
				  size_t *upload_size, void **state)
{
	struct exchange *x = *state;

	(void)version;
	if (!x) {
		x = *state = exchange_new(data, connection, method, path);
		if (!x)
			return MHD_NO;
		return announces_too_much(x) ? refuse_body(x) : MHD_YES;
	}
	if (*upload_size) {
		take_body(x, upload, *upload_size);
		*upload_size = 0;
		return MHD_YES;
	}
	if (x->state == ANSWERED)
		return send_answer(x);
	if (x->too_large)
		return refuse_body(x);
	x->request.body = x->body ? x->body : "";
	if (!enqueue(x)) {
		http_answer_error(&x->request.answer, 503,
				  "the daemon is stopping");
		return send_answer(x);
	}
	return MHD_YES;
}

static void on_completed(void *data, struct MHD_Connection *connection,
			 void **state, enum MHD_RequestTerminationCode why)
{
	(void)data, (void)connection, (void)why;
	if (*state)
		exchange_free(*state);
	*state = NULL;
}

static void *worker_main(void *data)
{
	struct http_server *s = data;
	struct exchange *x;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		while (!s->first && !s->stopping)
			pthread_cond_wait(&s->queued, &s->lock);
		x = s->first;
		if (!x)
			break;
		s->first = x->next;
		if (!s->first)
			s->last = &s->first;
		pthread_mutex_unlock(&s->lock);
		s->options.handler(s->options.data, &x->request);
		x->state = ANSWERED;
		MHD_resume_connection(x->connection);
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* --- life ------------------------------------------------------------- */

static void quiet(void *data, const char *format, va_list args)
{
	(void)data, (void)format, (void)args;
}

static struct MHD_Daemon *loop_start(struct http_server *s,
				     struct listener *listener, int fd)
{
	return MHD_start_daemon(
		MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
			MHD_USE_ERROR_LOG,
		0, NULL, NULL, on_request, listener, MHD_OPTION_EXTERNAL_LOGGER,
		quiet, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_CONNECTION_LIMIT, s->options.connections,
		MHD_OPTION_CONNECTION_TIMEOUT, s->options.timeout,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_HEADER_MEMORY,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
		MHD_OPTION_END);
}

static int start_threads(struct http_server *s, struct error *error)
{
	unsigned n = s->options.threads;
	int code;

	while (s->worker_count < n && s->worker_count < HTTP_MAX_THREADS) {
		code = pthread_create(&s->workers[s->worker_count], NULL,
				      worker_main, s);
		if (code)
			return error_errno(error, code,
					   "cannot start a thread for HTTP");
		s->worker_count++;
	}
	return pump_start(&s->pump, error);
}

int http_start(struct http_server **server, const struct http_options *options,
	       struct error *error)
{
	const int fds[2] = {options->tcp_fd, options->unix_fd};
	struct http_server *s = calloc(1, sizeof(*s));
	struct listener *l;
	int i, result;

	*server = s;
	if (!s) {
		for (i = 0; i < 2; i++)
			if (fds[i] >= 0)
				close(fds[i]);
		return error_set(error, ENOMEM,
				 "no memory for the HTTP server");
	}
	s->options = *options;
	s->last = &s->first;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->queued, NULL);
	result = start_threads(s, error);
	for (i = 0; i < 2; i++) {
		if (fds[i] < 0)
			continue;
		l = &s->listeners[i];
		l->server = s;
		l->is_unix = i == 1;
		if (!result && !(l->loop = loop_start(s, l, fds[i])))
			result = error_set(error, EIO,
					   "libmicrohttpd does not start");
		if (!l->loop)
			close(fds[i]);
	}
	if (result) {
		http_stop(s);
		*server = NULL;
	}
	return result;
}

static void stop_threads(struct http_server *s)
{
	unsigned i;

	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	pthread_cond_broadcast(&s->queued);
	pthread_mutex_unlock(&s->lock);
	for (i = 0; i < s->worker_count; i++)
		pthread_join(s->workers[i], NULL);
	pump_cut(s->pump);
}

void http_stop(struct http_server *s)
{
	MHD_socket fds[2] = {-1, -1};
	int i;

	if (!s)
		return;
	for (i = 0; i < 2; i++)
		if (s->listeners[i].loop)
			fds[i] = MHD_quiesce_daemon(s->listeners[i].loop);
	stop_threads(s);
	for (i = 0; i < 2; i++) {
		if (s->listeners[i].loop)
			MHD_stop_daemon(s->listeners[i].loop);
		if (fds[i] >= 0)
			close(fds[i]);
	}
	pump_free(s->pump);
	pthread_cond_destroy(&s->queued);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
