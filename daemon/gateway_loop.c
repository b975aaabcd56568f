/* One epoll loop of the gateway; see gateway_loop.h. */
#include "daemon/gateway_loop.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 64

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * GATEWAY_SECOND + (uint64_t)t.tv_nsec;
}

uint64_t gateway_realtime(void)
{
	return clock_ns(CLOCK_REALTIME);
}

int gateway_loop_watch(struct gateway_loop *loop, int fd, uint32_t events,
		       struct gateway_source *source)
{
	struct epoll_event e = {.events = events, .data.ptr = source};

	return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

int gateway_loop_change(struct gateway_loop *loop, int fd, uint32_t events,
			struct gateway_source *source)
{
	struct epoll_event e = {.events = events, .data.ptr = source};

	return epoll_ctl(loop->epoll, EPOLL_CTL_MOD, fd, &e) < 0 ? -errno : 0;
}

void gateway_loop_unwatch(struct gateway_loop *loop, int fd)
{
	epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fd, NULL);
}

static void on_tasks(struct gateway_source *source, uint32_t events)
{
	struct gateway_loop *loop =
		(struct gateway_loop *)((char *)source -
					offsetof(struct gateway_loop, wake));
	struct gateway_task *task, *next;
	eventfd_t count;

	(void)events;
	eventfd_read(loop->event, &count);
	pthread_mutex_lock(&loop->lock);
	task = loop->first;
	loop->first = loop->last = NULL;
	pthread_mutex_unlock(&loop->lock);
	for (; task; task = next) {
		next = task->next;
		task->run(loop, task);
	}
}

int gateway_loop_init(struct gateway_loop *loop, struct error *error)
{
	*loop = (struct gateway_loop){.due = UINT64_MAX};
	loop->wake.ready = on_tasks;
	loop->now = clock_ns(CLOCK_MONOTONIC);
	pthread_mutex_init(&loop->lock, NULL);
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	loop->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	loop->wire = malloc(GATEWAY_READ_SIZE);
	loop->plain = malloc(GATEWAY_READ_SIZE);
	if (loop->epoll < 0 || loop->event < 0 || !loop->wire || !loop->plain ||
	    gateway_loop_watch(loop, loop->event, EPOLLIN, &loop->wake) < 0) {
		int code = errno;

		gateway_loop_clear(loop);
		return error_errno(error, code, "cannot make an event loop");
	}
	return 0;
}

static void free_dead(struct gateway_loop *loop)
{
	for (size_t i = 0; i < loop->dead_count; i++)
		free(loop->dead[i]);
	loop->dead_count = 0;
}

void gateway_loop_clear(struct gateway_loop *loop)
{
	if (loop->epoll >= 0)
		close(loop->epoll);
	if (loop->event >= 0)
		close(loop->event);
	free_dead(loop);
	free(loop->dead);
	free(loop->wire);
	free(loop->plain);
	buffer_free(&loop->cipher);
	buffer_free(&loop->spare);
	pthread_mutex_destroy(&loop->lock);
}

void gateway_silent(struct gateway_source *source, uint32_t events)
{
	(void)source;
	(void)events;
}

void gateway_loop_bury(struct gateway_loop *loop, void *object)
{
	void **dead = loop->dead;

	if (loop->dead_count == loop->dead_room) {
		size_t room = loop->dead_room ? 2 * loop->dead_room : 64;

		dead = reallocarray(dead, room, sizeof(*dead));
		if (!dead)
			return; /* leaked: there is no memory to do better */
		loop->dead = dead;
		loop->dead_room = room;
	}
	dead[loop->dead_count++] = object;
}

void gateway_loop_post(struct gateway_loop *loop, struct gateway_task *task)
{
	bool first;

	task->next = NULL;
	pthread_mutex_lock(&loop->lock);
	first = !loop->first;
	if (first)
		loop->first = task;
	else
		loop->last->next = task;
	loop->last = task;
	pthread_mutex_unlock(&loop->lock);
	if (first)
		eventfd_write(loop->event, 1);
}

/* ms until what is due, rounded up; -1: no need to wake up. */
static int patience(const struct gateway_loop *loop, bool more)
{
	uint64_t now, ms;

	if (more)
		return 0;
	if (loop->due == UINT64_MAX)
		return -1;
	now = clock_ns(CLOCK_MONOTONIC);
	if (loop->due <= now)
		return 0;
	ms = (loop->due - now + 999999) / 1000000;
	return ms > 3600000 ? 3600000 : (int)ms;
}

void gateway_loop_run(struct gateway_loop *loop)
{
	struct epoll_event events[EVENTS];
	bool more = false;

	while (!loop->stop) {
		int n = epoll_wait(loop->epoll, events, EVENTS,
				   patience(loop, more));

		loop->now = clock_ns(CLOCK_MONOTONIC);
		for (int i = 0; i < n; i++) {
			struct gateway_source *s = events[i].data.ptr;

			s->ready(s, events[i].events);
		}
		if (loop->now >= loop->due) {
			loop->due = UINT64_MAX;
			loop->on_due(loop);
		}
		more = loop->on_round && loop->on_round(loop);
		free_dead(loop);
	}
}
