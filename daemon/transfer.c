/*
 * Transfers, from the control role's side: the process is started, told what
 * to do, listened to, and started again when it was killed or says that only
 * a new one can go on.
 */
#include "daemon/transfer.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/control.h"
#include "daemon/job_work.h"
#include "daemon/log.h"
#include "daemon/spawn.h"
#include "daemon/units.h"

#define LINE 8192
#define LOOK_MS 200 /* how soon a cancel is noticed */
#define PAUSE_MS 500
#define PAUSE_MAX_MS 30000
#define FORGET_MS 5000 /* patience with what is of no use any more */

/* How a process ended. */
enum outcome { DIED, DONE, AGAIN, FAILED };

struct run {
	struct job_work *work;
	const struct transfer_send *send; /* one of the two */
	const struct transfer_fetch *fetch;
	bool forget, again;
	json_t *state; /* said last */
	uint64_t best; /* bytes, of all processes */
	int64_t better_at;
	/* Of the process that runs. */
	pid_t pid;
	int words, orders;
	int stream; /* send: where the near end writes; -1 when it has it */
	char line[LINE];
	size_t filled;
	bool begun, ended;
	enum outcome outcome;
	struct error error; /* of the process, or of a callback */
};

static const char *url_of(const struct run *run)
{
	return run->send ? run->send->url : run->fetch->url;
}

/* --- what it is told ------------------------------------------------------ */

static json_t *request_of(struct run *run, uint64_t offset)
{
	const struct config *config = &job_work_control(run->work)->config;
	json_t *request = json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:b, s:b}", "url",
		url_of(run), "netrc", config->transfer_netrc, "ca",
		config->transfer_ca, "known_hosts",
		config->transfer_known_hosts, "ssh_key",
		config->transfer_ssh_key, "s3_endpoint",
		config->transfer_s3_endpoint, "s3_region",
		config->transfer_s3_region, "patience",
		(json_int_t)(run->forget ? FORGET_MS
					 : config->transfer_patience),
		"forget", run->forget, "again", run->again || run->state);

	if (run->state)
		json_object_set(request, "state", run->state);
	if (run->send) {
		json_object_set_new(request, "id", json_string(run->send->id));
		json_object_set_new(request, "size",
				    json_integer((json_int_t)run->send->size));
	} else {
		json_object_set_new(request, "offset",
				    json_integer((json_int_t)offset));
	}
	return request;
}

static int tell(struct run *run, const char *text, struct error *error)
{
	size_t size = strlen(text);

	while (size) {
		ssize_t n = send(run->orders, text, size, MSG_NOSIGNAL);

		if (n < 0)
			return error_errno(error, errno,
					   "the job does not listen");
		text += n;
		size -= (size_t)n;
	}
	return 0;
}

static int tell_request(struct run *run, uint64_t offset, struct error *error)
{
	json_t *request = request_of(run, offset);
	char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
	int r = text ? tell(run, text, error)
		     : error_set(error, -EINVAL, "the URL is not UTF-8");

	if (!r)
		r = tell(run, "\n", error);
	free(text);
	json_decref(request);
	return r;
}

/* --- its life ------------------------------------------------------------- */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* stream: its end of the stream. */
static int start(struct run *run, int stream, struct error *error)
{
	char shown[TRANSFER_URL_SIZE];
	const char *const arguments[] = {"job", run->send ? "send" : "fetch",
					 "--session", shown, NULL};
	struct spawn spawn = {
		.arguments = arguments, .fd_count = 4, .dies_with_us = true};
	int words[2], orders[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int r;

	transfer_shown(url_of(run), shown);
	if (null < 0 || pipe2(words, O_CLOEXEC)) {
		r = error_errno(error, errno, "no pipe");
		close_fd(&null);
		return r;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, orders)) {
		r = error_errno(error, errno, "no sockets");
	} else {
		spawn.fds[0] = run->send ? stream : null;
		spawn.fds[1] = run->send ? null : stream;
		spawn.fds[2] = words[1];
		spawn.fds[3] = orders[1];
		r = spawn_self(&spawn, &run->pid, error);
		close(orders[1]);
		if (r)
			close(orders[0]);
	}
	close(words[1]);
	close(null);
	if (r) {
		close(words[0]);
		return r;
	}
	run->words = words[0];
	run->orders = orders[0];
	run->filled = 0;
	run->begun = run->ended = false;
	run->outcome = DIED;
	return 0;
}

/* Collects it. One that was killed is started again; one that crashed not. */
static void finish(struct run *run)
{
	int status = 0;
	bool killed;

	close_fd(&run->words);
	close_fd(&run->orders);
	while (waitpid(run->pid, &status, 0) < 0 && errno == EINTR)
		;
	run->pid = 0;
	killed = WIFSIGNALED(status);
	if (WIFEXITED(status) && !WEXITSTATUS(status)) {
		run->outcome = DONE;
	} else if (run->outcome == DIED && !run->error.code) {
		error_set(&run->error, -EIO,
			  killed ? "the transfer died of signal %d"
				 : "the transfer failed with status %d",
			  killed ? WTERMSIG(status) : WEXITSTATUS(status));
		if (!killed || (WTERMSIG(status) != SIGKILL &&
				WTERMSIG(status) != SIGTERM))
			run->outcome = FAILED;
	}
}

/* --- what it says --------------------------------------------------------- */

static int begin_send(struct run *run, uint64_t offset)
{
	int fd = run->stream, r;

	if (!run->send || run->begun || fd < 0)
		return -EPROTO;
	run->stream = -1;
	r = run->send->begin(run->send->data, offset, fd, &run->error);
	run->begun = !r;
	return r;
}

static int end_send(struct run *run)
{
	int r;

	if (!run->send || !run->begun || run->ended)
		return -EPROTO;
	run->ended = true;
	r = run->send->end(run->send->data, true, &run->error);
	return r ? r : tell(run, "end\n", &run->error);
}

static int take_state(struct run *run, const char *text)
{
	int (*keep)(void *, const json_t *, struct error *) =
		run->send ? run->send->keep : run->fetch->keep;
	void *data = run->send ? run->send->data : run->fetch->data;
	json_t *state = json_loads(text, 0, NULL);

	if (!state)
		return -EPROTO;
	json_decref(run->state);
	run->state = state;
	return keep ? keep(data, state, &run->error) : 0;
}

static void take_bytes(struct run *run, uint64_t done, uint64_t all)
{
	if (done > run->best) {
		run->best = done;
		run->better_at = units_now_us();
	}
	if (run->fetch && run->fetch->progress)
		run->fetch->progress(run->fetch->data, done, all);
	else if (run->send && run->send->progress)
		run->send->progress(run->send->data, done);
	else
		job_work_bytes(run->work, done,
			       run->send ? run->send->size : all);
}

static int take_line(struct run *run, const char *line)
{
	unsigned long long a, b;
	int code, n = 0;

	if (sscanf(line, "have %llu", &a) == 1)
		return begin_send(run, a);
	if (sscanf(line, "bytes %llu %llu", &a, &b) == 2) {
		take_bytes(run, a, b);
	} else if (!strncmp(line, "state ", 6)) {
		return take_state(run, line + 6);
	} else if (!strcmp(line, "end")) {
		return end_send(run);
	} else if (!strncmp(line, "wait ", 5)) {
		log_info("job %s: %s; it is tried again",
			 job_work_id(run->work), line + 5);
	} else if (!strncmp(line, "again ", 6)) {
		run->outcome = AGAIN;
		error_set(&run->error, -EIO, "%s", line + 6);
	} else if (sscanf(line, "failed %d %n", &code, &n) == 1 && n) {
		run->outcome = FAILED;
		error_set(&run->error, code ? code : -EIO, "%s", line + n);
	}
	return 0;
}

/* What is to be forgotten is so of a job that was cancelled, above all. */
static int check(struct run *run)
{
	if (run->forget && !job_work_is_interrupted(run->work))
		return 0;
	return job_work_check(run->work, &run->error);
}

/* The lines that are whole. */
static int take_words(struct run *run)
{
	char *end;
	int r = 0;

	while (!r && (end = memchr(run->line, '\n', run->filled))) {
		size_t size = (size_t)(end - run->line) + 1;

		*end = '\0';
		r = take_line(run, run->line);
		run->filled -= size;
		memmove(run->line, end + 1, run->filled);
	}
	if (!r && run->filled == LINE)
		r = -EPROTO;
	return r == -EPROTO ? error_set(&run->error, r,
					"the transfer says what it must not")
			    : r;
}

/* Until it closes its words. An error is of our side, and ends it. */
static int listen_to(struct run *run)
{
	struct pollfd words = {.fd = run->words, .events = POLLIN};
	ssize_t n;
	int r;

	for (;;) {
		r = check(run);
		if (!r && poll(&words, 1, LOOK_MS) <= 0)
			continue;
		n = r ? 0
		      : read(run->words, run->line + run->filled,
			     LINE - run->filled);
		if (n > 0) {
			run->filled += (size_t)n;
			r = take_words(run);
		}
		if (r)
			kill(run->pid, SIGKILL);
		if (r || n <= 0)
			return r;
	}
}

/* --- again and again ------------------------------------------------------ */

/* 0 to start a new one; pause: ms, of the last time. */
static int try_again(struct run *run, int64_t started, unsigned *pause)
{
	uint64_t patience =
		job_work_control(run->work)->config.transfer_patience;
	int r = 0;

	if (units_now_us() - run->better_at > (int64_t)patience * 1000) {
		error_prefix(&run->error, "given up after %llu s",
			     (unsigned long long)(patience / 1000));
		return run->error.code;
	}
	log_info("job %s: %s; it is started again", job_work_id(run->work),
		 run->error.text);
	error_clear(&run->error);
	*pause = *pause && run->better_at < started ? *pause * 2 : PAUSE_MS;
	if (*pause > PAUSE_MAX_MS)
		*pause = PAUSE_MAX_MS;
	for (unsigned ms = 0; !r && ms < *pause; ms += LOOK_MS) {
		usleep(LOOK_MS * 1000);
		r = check(run);
	}
	run->again = true;
	return r;
}

static int send_once(struct run *run)
{
	struct error after = {0};
	int stream[2], r;

	if (pipe2(stream, O_CLOEXEC))
		return error_errno(&run->error, errno, "no pipe");
	r = start(run, stream[0], &run->error);
	close(stream[0]);
	run->stream = stream[1];
	if (r) {
		close_fd(&run->stream);
		return r;
	}
	r = tell_request(run, 0, &run->error);
	if (!r)
		r = listen_to(run);
	else
		kill(run->pid, SIGKILL);
	finish(run);
	close_fd(&run->stream);
	if (run->begun && !run->ended)
		run->send->end(run->send->data, false, &after);
	return r;
}

static int fetch_once(struct run *run)
{
	struct error after = {0};
	uint64_t offset = 0;
	int fd = -1, r, ended;

	r = run->fetch->begin(run->fetch->data, &offset, &fd, &run->error);
	if (r)
		return r;
	r = start(run, fd, &run->error);
	close(fd);
	if (r) {
		run->fetch->end(run->fetch->data, false, &after);
		return r;
	}
	r = tell_request(run, offset, &run->error);
	if (!r)
		r = listen_to(run);
	else
		kill(run->pid, SIGKILL);
	finish(run);
	ended = run->fetch->end(run->fetch->data, !r && run->outcome == DONE,
				&after);
	/* Who takes the stream knows best what was wrong with it. */
	if (ended && !r && (run->outcome == DONE || run->outcome == FAILED)) {
		run->error = after;
		return ended;
	}
	return r;
}

static int run_all(struct run *run, struct error *error)
{
	unsigned pause = 0;
	int64_t started;
	int r;

	run->stream = run->words = run->orders = -1;
	run->better_at = units_now_us();
	do {
		started = units_now_us();
		r = run->send ? send_once(run) : fetch_once(run);
		if (!r && run->outcome == DONE)
			break;
		if (!r && run->outcome == FAILED)
			r = run->error.code;
		if (!r)
			r = try_again(run, started, &pause);
	} while (!r);
	json_decref(run->state);
	return r ? error_set(error, r, "%s", run->error.text) : 0;
}

int transfer_send(struct job_work *work, const struct transfer_send *send,
		  struct error *error)
{
	struct run run = {.work = work,
			  .send = send,
			  .state = json_incref((json_t *)send->state)};

	return run_all(&run, error);
}

int transfer_forget(struct job_work *work, const struct transfer_send *send,
		    struct error *error)
{
	struct run run = {.work = work,
			  .send = send,
			  .forget = true,
			  .state = json_incref((json_t *)send->state)};

	return run_all(&run, error);
}

int transfer_fetch(struct job_work *work, const struct transfer_fetch *fetch,
		   struct error *error)
{
	struct run run = {.work = work,
			  .fetch = fetch,
			  .state = json_incref((json_t *)fetch->state)};

	return run_all(&run, error);
}
