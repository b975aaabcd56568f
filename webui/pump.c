/* Answers without a known end; see pump.h. */
#include "webui/pump.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BLOCK 16384 /* bytes asked for at a time */

struct stream {
	struct pump *pump;
	struct MHD_Connection *connection;
	struct http_answer answer; /* a pipe or a stream, without headers */
	bool paused;
	struct stream *next, **link;
};

struct pump {
	pthread_mutex_t lock; /* streams, cut */
	struct stream *streams;
	unsigned stream_count;
	bool cut;
	int wake; /* eventfd */
	pthread_t thread;
	bool has_thread;
};

/* --- one stream ------------------------------------------------------- */

static ssize_t stream_get(struct stream *stream, char *to, size_t size)
{
	ssize_t n;

	if (stream->answer.content == HTTP_STREAM)
		return stream->answer.pull(stream->answer.pull_data, to, size);
	do
		n = read(stream->answer.fd, to, size);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return n;
	return n < 0 && errno == EAGAIN ? 0 : -1;
}

static ssize_t stream_read(void *data, uint64_t position, char *to, size_t size)
{
	struct stream *stream = data;
	struct pump *pump = stream->pump;
	ssize_t n;

	(void)position;
	pthread_mutex_lock(&pump->lock);
	n = pump->cut ? -1 : stream_get(stream, to, size);
	if (n == 0) {
		stream->paused = true;
		MHD_suspend_connection(stream->connection);
	}
	pthread_mutex_unlock(&pump->lock);
	if (n == 0 && stream->answer.content == HTTP_PIPE)
		pump_wake(pump); /* the thread shall watch it */
	return n < 0 ? MHD_CONTENT_READER_END_OF_STREAM : n;
}

static void stream_free(void *data)
{
	struct stream *stream = data;
	struct pump *pump = stream->pump;

	pthread_mutex_lock(&pump->lock);
	*stream->link = stream->next;
	if (stream->next)
		stream->next->link = stream->link;
	pump->stream_count--;
	pthread_mutex_unlock(&pump->lock);
	http_answer_clear(&stream->answer);
	free(stream);
}

struct MHD_Response *pump_response(struct pump *pump,
				   struct MHD_Connection *connection,
				   struct http_answer *answer)
{
	struct stream *stream = calloc(1, sizeof(*stream));
	struct MHD_Response *response;

	if (!stream)
		return NULL;
	stream->pump = pump;
	stream->connection = connection;
	stream->answer = *answer;
	stream->answer.header_count = 0;
	answer->content = HTTP_NOTHING;
	if (stream->answer.content == HTTP_PIPE)
		fcntl(stream->answer.fd, F_SETFL,
		      fcntl(stream->answer.fd, F_GETFL) | O_NONBLOCK);
	pthread_mutex_lock(&pump->lock);
	stream->next = pump->streams;
	stream->link = &pump->streams;
	if (stream->next)
		stream->next->link = &stream->next;
	pump->streams = stream;
	pump->stream_count++;
	pthread_mutex_unlock(&pump->lock);
	response = MHD_create_response_from_callback(
		MHD_SIZE_UNKNOWN, BLOCK, stream_read, stream, stream_free);
	if (!response)
		stream_free(stream);
	else
		pump_wake(pump); /* a heartbeat may be due from now on */
	return response;
}

/* --- the thread ------------------------------------------------------- */

/* Fills the poll set; returns the number of entries, -1 without memory. */
static int prepare(struct pump *pump, struct pollfd **set, bool *heartbeat)
{
	struct stream *stream;
	struct pollfd *p;
	int n = 1;

	*heartbeat = false;
	p = realloc(*set, (pump->stream_count + 1) * sizeof(*p));
	if (!p)
		return -1;
	*set = p;
	p[0] = (struct pollfd){.fd = pump->wake, .events = POLLIN};
	for (stream = pump->streams; stream; stream = stream->next) {
		if (stream->answer.content == HTTP_STREAM)
			*heartbeat = true;
		else if (stream->paused)
			p[n++] = (struct pollfd){.fd = stream->answer.fd,
						 .events = POLLIN};
	}
	return n;
}

static bool is_ready(const struct stream *stream, const struct pollfd *set,
		     int n)
{
	int i;

	if (stream->answer.content == HTTP_STREAM)
		return true;
	for (i = 1; i < n; i++)
		if (set[i].fd == stream->answer.fd && set[i].revents)
			return true;
	return false;
}

static void *thread_main(void *data)
{
	struct pump *pump = data;
	struct pollfd *set = NULL;
	struct stream *stream;
	bool heartbeat, cut = false;
	uint64_t count;
	ssize_t got;
	int n;

	while (!cut) {
		pthread_mutex_lock(&pump->lock);
		n = prepare(pump, &set, &heartbeat);
		pthread_mutex_unlock(&pump->lock);
		if (n < 0) {
			sleep(1);
			continue;
		}
		poll(set, (nfds_t)n, heartbeat ? HTTP_HEARTBEAT * 1000 : -1);
		got = read(pump->wake, &count, sizeof(count));
		(void)got; /* not set: a heartbeat or a pipe */
		pthread_mutex_lock(&pump->lock);
		cut = pump->cut;
		for (stream = pump->streams; stream; stream = stream->next) {
			if (!stream->paused ||
			    (!cut && !is_ready(stream, set, n)))
				continue;
			stream->paused = false;
			MHD_resume_connection(stream->connection);
		}
		pthread_mutex_unlock(&pump->lock);
	}
	free(set);
	return NULL;
}

void pump_wake(struct pump *pump)
{
	uint64_t one = 1;
	ssize_t n = write(pump->wake, &one, sizeof(one));

	(void)n; /* full: it is awake */
}

int pump_start(struct pump **result, struct error *error)
{
	struct pump *pump = calloc(1, sizeof(*pump));
	int code;

	*result = pump;
	if (!pump)
		return error_set(error, ENOMEM, "no memory for HTTP streams");
	pthread_mutex_init(&pump->lock, NULL);
	pump->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	code = pump->wake < 0
		       ? errno
		       : pthread_create(&pump->thread, NULL, thread_main, pump);
	pump->has_thread = !code;
	if (!code)
		return 0;
	pump_free(pump);
	*result = NULL;
	return error_errno(error, code, "cannot start a thread for HTTP");
}

void pump_cut(struct pump *pump)
{
	if (!pump || !pump->has_thread)
		return;
	pthread_mutex_lock(&pump->lock);
	pump->cut = true;
	pthread_mutex_unlock(&pump->lock);
	pump_wake(pump);
	pthread_join(pump->thread, NULL);
	pump->has_thread = false;
}

void pump_free(struct pump *pump)
{
	if (!pump)
		return;
	if (pump->wake >= 0)
		close(pump->wake);
	pthread_mutex_destroy(&pump->lock);
	free(pump);
}
