/*
 * An HTTP/1.1 server: libmicrohttpd's event loops for the connections, our
 * own threads for the handlers. Who uses this header sees nothing of
 * microhttpd.h; only http.c and pump.c include it.
 *
 * A handler may block: while it works, its connection is suspended and the
 * loop serves the others. Streams and pipes are suspended while they have
 * nothing to send, so that an open one costs memory and no thread.
 */
#ifndef WEBUI_HTTP_H
#define WEBUI_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "recorder/error.h"

#define HTTP_MAX_BODY (1024 * 1024) /* bytes of a request */
#define HTTP_MAX_HEADERS 16         /* of an answer */
#define HTTP_HEARTBEAT 15           /* s after which streams are asked again */

struct http_server;

enum http_content {
	HTTP_NOTHING,
	HTTP_TEXT,   /* text, size: malloc'ed, freed with the answer */
	HTTP_FIXED,  /* fixed, size: lives longer than the server */
	HTTP_FILE,   /* fd, offset, length */
	HTTP_PIPE,   /* fd, read to its end */
	HTTP_STREAM, /* pull */
};

/*
 * Bytes copied to `to`, 0 when there are none now (it is called again after
 * http_wake and every HTTP_HEARTBEAT seconds), -1 at the end.
 */
typedef ssize_t http_pull(void *data, char *to, size_t size);

struct http_answer {
	unsigned status;
	enum http_content content;
	char *text;
	const void *fixed;
	size_t size;
	int fd; /* closed with the answer */
	uint64_t offset, length;
	http_pull *pull;
	void (*pull_free)(void *data);
	void *pull_data;
	unsigned header_count;
	struct {
		const char *name; /* static */
		char *value;
	} headers[HTTP_MAX_HEADERS];
};

struct http_request {
	const char *method;
	const char *path; /* percent-decoded, without the query */
	const char *body; /* body_size bytes and a NUL */
	size_t body_size;
	bool is_unix;
	int socket; /* for the peer's credentials; do not read or write */
	bool is_loopback;
	struct http_answer answer; /* the handler fills it */
};

/* Runs on one of the server's threads. */
typedef void http_handler(void *data, struct http_request *request);

struct http_options {
	int tcp_fd, unix_fd; /* listening, or -1; taken in any case */
	unsigned threads;
	unsigned connections; /* at most, for each of the two */
	unsigned timeout;     /* s without a byte moved */
	http_handler *handler;
	void *data;
};

int http_start(struct http_server **server, const struct http_options *options,
	       struct error *error);
/* Handlers that run end first; streams are cut. */
void http_stop(struct http_server *server);

/* Ask the streams again: they may have something to send. Never blocks. */
void http_wake(void *server);

/* A request header, query argument or cookie; NULL when absent. */
const char *http_header(const struct http_request *request, const char *name);
const char *http_query(const struct http_request *request, const char *key);
const char *http_cookie(const struct http_request *request, const char *name);

/* Adds a header; name must be static. */
void http_answer_header(struct http_answer *answer, const char *name,
			const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Takes the malloc'ed text; NULL becomes status 500 without a body. */
void http_answer_text(struct http_answer *answer, unsigned status,
		      const char *type, char *text);
/* {"error": text}; code is the errno of the fault. */
void http_answer_error(struct http_answer *answer, unsigned status,
		       const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void http_answer_clear(struct http_answer *answer);

#endif
