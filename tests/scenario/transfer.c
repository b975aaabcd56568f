/*
 * A file to or from a URL, as the control role transfers it: with a catalogue
 * and a job of its own, and the processes `send` and `fetch`, which are this
 * program again.
 *
 *   transfer FOLDER CONF send URL FILE [KILL-AFTER]
 *   transfer FOLDER CONF fetch URL FILE [KILL-AFTER]
 *   transfer FOLDER CONF forget URL
 *
 * FOLDER keeps the catalogue and the state for a next run. KILL-AFTER: a byte
 * after which the first process is killed. Prints "begin OFFSET" whenever the
 * stream begins, and at the end the job as JSON; its exit status is the job's.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/catalogue.h"
#include "daemon/control.h"
#include "daemon/event.h"
#include "daemon/folder.h"
#include "daemon/job.h"
#include "daemon/job_list.h"
#include "daemon/job_work.h"
#include "daemon/transfer.h"

static struct control control;

struct tool {
	const char *verb, *url, *file;
	char state[PATH_MAX];
	uint64_t kill_after;
	json_t *kept;
	pid_t parent; /* thread */
	pthread_t thread;
	uint64_t offset;
	int fd;
	bool failed;
};

/* Kills the process that transfers: a child of the job's thread. */
static void kill_it(struct tool *tool)
{
	char path[80];
	FILE *file;
	int pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children",
		 tool->parent);
	file = fopen(path, "re");
	if (file && fscanf(file, "%d", &pid) == 1 && !kill(pid, SIGKILL)) {
		printf("killed\n");
		fflush(stdout);
	}
	if (file)
		fclose(file);
}

/* Copies until the end; the process is killed on the way, once. */
static bool copy(struct tool *tool, int from, int to)
{
	uint64_t done = 0;
	char buffer[65536];
	ssize_t n;

	while ((n = read(from, buffer, sizeof(buffer))) > 0) {
		if (write(to, buffer, (size_t)n) != n)
			return false;
		done += (uint64_t)n;
		if (tool->kill_after && done >= tool->kill_after) {
			tool->kill_after = 0;
			kill_it(tool);
		}
	}
	return n == 0;
}

static int keep(void *data, const json_t *state, struct error *error)
{
	struct tool *tool = data;
	char *text = json_dumps(state, JSON_COMPACT);
	int r = folder_write(tool->state, text, strlen(text), 0600, error);

	free(text);
	return r;
}

/* --- send --------------------------------------------------------------- */

static void *write_stream(void *data)
{
	struct tool *tool = data;
	int in = open(tool->file, O_RDONLY | O_CLOEXEC);

	tool->failed = in < 0 || lseek(in, (off_t)tool->offset, SEEK_SET) < 0 ||
		       !copy(tool, in, tool->fd);
	close(in);
	close(tool->fd);
	return NULL;
}

static int start(struct tool *tool, void *(*run)(void *), struct error *error)
{
	printf("begin %llu\n", (unsigned long long)tool->offset);
	fflush(stdout);
	tool->parent = gettid();
	if (!pthread_create(&tool->thread, NULL, run, tool))
		return 0;
	close(tool->fd);
	return error_set(error, -EAGAIN, "no thread");
}

static int send_begin(void *data, uint64_t offset, int fd, struct error *error)
{
	struct tool *tool = data;

	tool->offset = offset;
	tool->fd = fd;
	return start(tool, write_stream, error);
}

static int end(void *data, bool whole, struct error *error)
{
	struct tool *tool = data;

	(void)whole;
	pthread_join(tool->thread, NULL);
	return tool->failed ? error_set(error, -EIO, "the file broke off") : 0;
}

/* --- fetch -------------------------------------------------------------- */

static void *read_stream(void *data)
{
	struct tool *tool = data;
	int out = open(tool->file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
		       0600);

	tool->failed = out < 0 || !copy(tool, tool->fd, out);
	close(out);
	close(tool->fd);
	return NULL;
}

static int fetch_begin(void *data, uint64_t *offset, int *fd,
		       struct error *error)
{
	struct tool *tool = data;
	struct stat st;
	int pipe[2], r;

	if (pipe2(pipe, O_CLOEXEC))
		return error_errno(error, errno, "no pipe");
	tool->fd = pipe[0];
	tool->offset = stat(tool->file, &st) ? 0 : (uint64_t)st.st_size;
	*offset = tool->offset;
	*fd = pipe[1];
	r = start(tool, read_stream, error);
	if (r)
		close(pipe[1]);
	return r;
}

/* --- the job ------------------------------------------------------------ */

static int run(struct job_work *work, void *data, struct error *error)
{
	struct tool *tool = data;
	struct stat st = {0};
	struct transfer_send send = {.url = tool->url,
				     .id = "scenario",
				     .state = tool->kept,
				     .data = tool,
				     .begin = send_begin,
				     .end = end,
				     .keep = keep};
	struct transfer_fetch fetch = {.url = tool->url,
				       .state = tool->kept,
				       .data = tool,
				       .begin = fetch_begin,
				       .end = end,
				       .keep = keep};

	if (!strcmp(tool->verb, "fetch"))
		return transfer_fetch(work, &fetch, error);
	if (!strcmp(tool->verb, "forget"))
		return transfer_forget(work, &send, error);
	if (!stat(tool->file, &st))
		send.size = (uint64_t)st.st_size;
	return transfer_send(work, &send, error);
}

static void wait_for_end(const char *id)
{
	bool over = false;

	while (!over) {
		pthread_mutex_lock(&control.jobs->lock);
		over = !running_find(control.jobs, id);
		if (!over)
			pthread_cond_wait(&control.jobs->wake,
					  &control.jobs->lock);
		pthread_mutex_unlock(&control.jobs->lock);
	}
}

static int transfer(const char *folder, struct tool *tool, struct error *error)
{
	static const struct job_work_kind kind = {"transfer", run, NULL, NULL};
	char path[PATH_MAX], id[JOB_ID_SIZE], *text = NULL;
	json_t *job = NULL;
	int r;

	snprintf(tool->state, sizeof(tool->state), "%s/state.json", folder);
	if (!folder_read(tool->state, 65536, &text, NULL))
		tool->kept = json_loads(text, 0, NULL);
	free(text);
	snprintf(path, sizeof(path), "%s/catalog.db", folder);
	r = catalogue_open(&control.catalogue, path, schema_migrations, error);
	if (!r)
		r = events_new(&control.events, control.catalogue, error);
	if (!r)
		r = jobs_new(&control.jobs, &control, error);
	if (!r)
		r = job_work_start(control.jobs, &kind, "none", tool, id,
				   error);
	if (r)
		return r;
	wait_for_end(id);
	r = job_show(control.jobs, id, &job, error);
	if (!r) {
		json_dumpf(job, stdout, JSON_COMPACT);
		printf("\n");
		r = strcmp(json_string_value(json_object_get(job, "state")),
			   "done");
	}
	json_decref(job);
	json_decref(tool->kept);
	jobs_free(control.jobs);
	events_free(control.events);
	catalogue_free(control.catalogue);
	return r;
}

int main(int argc, char **argv)
{
	struct error error = {0};
	struct tool tool = {0};

	if (argc > 1 && !strcmp(argv[1], "job"))
		return job_main(argc - 1, argv + 1);
	if (argc < 5)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	config_default(&control.config);
	if (config_read(&control.config, argv[2], &error)) {
		fprintf(stderr, "%s\n", error.text);
		return 2;
	}
	tool.verb = argv[3];
	tool.url = argv[4];
	tool.file = argc > 5 ? argv[5] : "/dev/null";
	tool.kill_after = argc > 6 ? strtoull(argv[6], NULL, 10) : 0;
	if (transfer(argv[1], &tool, &error)) {
		if (error.text[0])
			fprintf(stderr, "%s\n", error.text);
		return 1;
	}
	return 0;
}
