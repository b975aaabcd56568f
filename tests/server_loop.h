/*
 * A main loop for libspice-server in tests: watches and timers, one thread.
 *
 * For inclusion by one file of a program; everything is static. Set
 * server_loop.channel_event before spice_server_init().
 */
#ifndef TESTS_SERVER_LOOP_H
#define TESTS_SERVER_LOOP_H

#include <poll.h>
#include <spice.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

struct SpiceWatch {
	int fd, mask;
	SpiceWatchFunc func;
	void *opaque;
	bool used;
};

struct SpiceTimer {
	SpiceTimerFunc func;
	void *opaque;
	int64_t due; /* ms, 0 = stopped */
	bool used;
};

static SpiceWatch watches[64];
static SpiceTimer timers[64];

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static SpiceTimer *timer_add(SpiceTimerFunc func, void *opaque)
{
	for (SpiceTimer *t = timers; t < timers + 64; t++)
		if (!t->used) {
			*t = (SpiceTimer){func, opaque, 0, true};
			return t;
		}
	abort();
}

static void timer_start(SpiceTimer *timer, uint32_t ms)
{
	timer->due = now_ms() + ms + 1;
}

static void timer_cancel(SpiceTimer *timer)
{
	timer->due = 0;
}

static void timer_remove(SpiceTimer *timer)
{
	timer->used = false;
}

static SpiceWatch *watch_add(int fd, int mask, SpiceWatchFunc func,
			     void *opaque)
{
	for (SpiceWatch *w = watches; w < watches + 64; w++)
		if (!w->used) {
			*w = (SpiceWatch){fd, mask, func, opaque, true};
			return w;
		}
	abort();
}

static void watch_update_mask(SpiceWatch *watch, int mask)
{
	watch->mask = mask;
}

static void watch_remove(SpiceWatch *watch)
{
	watch->used = false;
}

static void run_timers(void)
{
	for (SpiceTimer *t = timers; t < timers + 64; t++)
		if (t->used && t->due && t->due <= now_ms()) {
			t->due = 0;
			t->func(t->opaque);
		}
}

static void run_server(void)
{
	struct pollfd fds[64];

	for (int i = 0; i < 64; i++) {
		const SpiceWatch *w = &watches[i];

		fds[i].fd = w->used && w->mask ? w->fd : -1;
		fds[i].events = (w->mask & 1 ? POLLIN : 0) |
				(w->mask & 2 ? POLLOUT : 0);
		fds[i].revents = 0;
	}
	poll(fds, 64, 5);
	for (int i = 0; i < 64; i++) {
		int got = (fds[i].revents & (POLLIN | POLLHUP | POLLERR)) |
			  (fds[i].revents & POLLOUT ? 0x1000 : 0);

		if (got & ~0x1000 && watches[i].used && watches[i].mask & 1)
			watches[i].func(watches[i].fd, SPICE_WATCH_EVENT_READ,
					watches[i].opaque);
		if (got & 0x1000 && watches[i].used && watches[i].mask & 2)
			watches[i].func(watches[i].fd, SPICE_WATCH_EVENT_WRITE,
					watches[i].opaque);
	}
	run_timers();
}

static SpiceCoreInterface server_loop = {
	.base = {.major_version = SPICE_INTERFACE_CORE_MAJOR,
		 .minor_version = SPICE_INTERFACE_CORE_MINOR},
	.timer_add = timer_add,
	.timer_start = timer_start,
	.timer_cancel = timer_cancel,
	.timer_remove = timer_remove,
	.watch_add = watch_add,
	.watch_update_mask = watch_update_mask,
	.watch_remove = watch_remove,
};

#endif
