/* The process of an export or import; see bundle_process.h. */
#include "daemon/bundle_process.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MEMORY 3072              /* MiB of addresses: threads have arenas */
#define CPU_SECONDS (30 * 86400) /* of all its threads */
#define LOOK_NS 100000000
#define TAKE_MS 20000
#define TAKE_STEP_MS 50

struct bundle_process {
	struct bundle_start start;
	struct job_process process;
	int link;
	pthread_t server, follower;
	pthread_mutex_t lock;
	pthread_cond_t over;
	bool is_over; /* it was collected: its pid is somebody else's */
	bool told;    /* what it said last is in r and error */
	int r;
	struct error error;
};

static int answer(void *data, const struct bundle_question *asked,
		  struct buffer *text, int *fd, struct error *error)
{
	struct bundle_process *p = data;

	if (asked->what != BUNDLE_TELL_END)
		return p->start.answer(p->start.data, asked, text, fd, error);
	pthread_mutex_lock(&p->lock);
	p->told = true;
	p->r = asked->number < 4096 ? -(int)asked->number : -EIO;
	if (p->r)
		error_set(&p->error, p->r, "%s", asked->text);
	pthread_mutex_unlock(&p->lock);
	return 0;
}

static void *serve(void *data)
{
	struct bundle_process *p = data;

	bundle_serve(p->link, answer, p);
	return NULL;
}

static void *follow(void *data)
{
	struct bundle_process *p = data;
	char note[JOB_NOTE_SIZE];
	struct error error = {0};
	int r = job_process_follow(&p->process, p->start.progress,
				   p->start.data, note, &error);

	pthread_mutex_lock(&p->lock);
	/* Killed after it had said that all is well: its work is done. */
	if (!p->told) {
		p->r = r ? r : -EIO;
		p->error = error;
	}
	p->is_over = true;
	pthread_cond_signal(&p->over);
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static int start_process(struct bundle_process *p, struct error *error)
{
	const struct bundle_start *start = &p->start;
	struct job_start job = {.kind = start->kind,
				.session = start->vault,
				.output = start->bundle,
				.more = {start->plan, start->journal},
				.more_count = start->journal < 0 ? 1 : 2,
				.memory = MEMORY,
				.cpu = CPU_SECONDS,
				.dies_with_us = true};
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return error_errno(error, errno, "no socket");
	job.input = pair[1];
	r = job_process_start(&p->process, &job, error);
	close(pair[1]);
	p->link = pair[0];
	if (r)
		close(pair[0]);
	return r;
}

int bundle_process_take(int journal, struct error *error)
{
	/* The lock is of what was opened, which the process shares. */
	for (int waited = 0; flock(journal, LOCK_EX | LOCK_NB);
	     waited += TAKE_STEP_MS) {
		if (errno != EWOULDBLOCK)
			return error_errno(error, errno, "no lock");
		if (waited >= TAKE_MS)
			return error_set(
				error, -EBUSY,
				"a process of an earlier run is still "
				"at work on it: try again in a moment");
		usleep(TAKE_STEP_MS * 1000);
	}
	return 0;
}

int bundle_process_start(struct bundle_process **process,
			 const struct bundle_start *start, struct error *error)
{
	struct bundle_process *p = calloc(1, sizeof(*p));
	int r;

	*process = NULL;
	if (!p)
		return error_set(error, -ENOMEM, "no memory");
	p->start = *start;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->over, NULL);
	r = start_process(p, error);
	if (r) {
		free(p);
		return r;
	}
	/* Without a thread that answers, it ends by itself. */
	if (pthread_create(&p->server, NULL, serve, p)) {
		close(p->link);
		follow(p);
		free(p);
		return error_set(error, -EAGAIN, "can't start a thread");
	}
	if (pthread_create(&p->follower, NULL, follow, p)) {
		kill(p->process.pid, SIGKILL);
		follow(p);
		pthread_join(p->server, NULL);
		close(p->link);
		free(p);
		return error_set(error, -EAGAIN, "can't start a thread");
	}
	*process = p;
	return 0;
}

/* With the lock held. */
static void kill_it(struct bundle_process *p)
{
	if (!p->is_over)
		kill(p->process.pid, SIGKILL);
}

static void wait_a_moment(struct bundle_process *p)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += LOOK_NS;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_cond_timedwait(&p->over, &p->lock, &until);
}

int bundle_process_wait(struct bundle_process *p, struct job_work *work,
			struct error *error)
{
	bool cancelled = false;
	int r;

	pthread_mutex_lock(&p->lock);
	while (!p->is_over) {
		wait_a_moment(p);
		if (!work || cancelled)
			continue;
		pthread_mutex_unlock(&p->lock);
		cancelled = job_work_check(work, NULL) != 0;
		pthread_mutex_lock(&p->lock);
		if (cancelled)
			kill_it(p);
	}
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->follower, NULL);
	pthread_join(p->server, NULL);
	close(p->link);
	r = p->r;
	if (cancelled && r)
		r = error_set(error, -ECANCELED, "cancelled");
	else if (r)
		error_set(error, r, "%s", p->error.text);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->over);
	free(p);
	return r;
}

void bundle_process_kill(struct bundle_process *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	kill_it(p);
	pthread_mutex_unlock(&p->lock);
	bundle_process_wait(p, NULL, NULL);
}
