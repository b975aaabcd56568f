/* One process of the job role, from the side that started it. */
#include "daemon/job_process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/spawn.h"

#define LINE JOB_NOTE_SIZE
#define END_MS 10000 /* from the end of its words to its own */

int job_process_start(struct job_process *process,
		      const struct job_start *start, struct error *error)
{
	char memory[16], cpu[16], speed[32];
	const char *const arguments[] = {
		"job",       start->kind,
		"--memory",  memory,
		"--cpu",     cpu,
		"--speed",   speed,
		"--session", start->session,
		"--look",    start->look ? start->look : "",
		"--video",   start->video ? start->video : "{}",
		NULL};
	struct spawn spawn = {.program = start->program,
			      .arguments = arguments,
			      .fd_count = 3,
			      .dies_with_us = start->dies_with_us};
	int pipe[2], r;

	snprintf(memory, sizeof(memory), "%u", start->memory);
	snprintf(cpu, sizeof(cpu), "%u", start->cpu);
	snprintf(speed, sizeof(speed), "%g",
		 start->speed > 0 ? start->speed : 1);
	if (pipe2(pipe, O_CLOEXEC))
		return error_errno(error, errno, "no pipe");
	spawn.fds[0] = start->input;
	spawn.fds[1] = start->output;
	spawn.fds[2] = pipe[1];
	for (unsigned i = 0; i < start->more_count; i++)
		spawn.fds[spawn.fd_count++] = start->more[i];
	r = spawn_self(&spawn, &process->pid, error);
	close(pipe[1]);
	if (r)
		close(pipe[0]);
	else
		process->progress = pipe[0];
	return r;
}

/* What it says of itself. */
struct words {
	char said[LINE], note[JOB_NOTE_SIZE];
	bool nothing; /* said is why there is nothing to be made */
};

static void take_line(char *line, void (*progress)(void *, double), void *data,
		      struct words *words)
{
	double done;

	if (sscanf(line, "progress %lf", &done) == 1) {
		if (progress && done >= 0 && done <= 1)
			progress(data, done);
	} else if (!strncmp(line, "error ", 6)) {
		snprintf(words->said, LINE, "%s", line + 6);
	} else if (!strncmp(line, "nothing ", 8)) {
		snprintf(words->said, LINE, "%s", line + 8);
		words->nothing = true;
	} else if (!strncmp(line, "note ", 5)) {
		snprintf(words->note, JOB_NOTE_SIZE, "%s", line + 5);
	}
}

static int how_it_ended(int status, const struct words *words,
			struct error *error)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (words->said[0])
		return error_set(error, words->nothing ? -ENODATA : -EIO, "%s",
				 words->said);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		return error_set(error, -EIO,
				 "the job was stopped: it tried what it must "
				 "not do");
	if (WIFSIGNALED(status))
		return error_set(error,
				 WTERMSIG(status) == SIGKILL ? -EINTR : -EIO,
				 "the job died of signal %d (%s)",
				 WTERMSIG(status), strsignal(WTERMSIG(status)));
	return error_set(error, -EIO, "the job failed with status %d",
			 WEXITSTATUS(status));
}

static int reap(struct job_process *process)
{
	int status = 0;

	for (int waited = 0; waited < END_MS; waited += 10) {
		if (waitpid(process->pid, &status, WNOHANG) == process->pid)
			return status;
		usleep(10000);
	}
	kill(process->pid, SIGKILL);
	waitpid(process->pid, &status, 0);
	return status;
}

int job_process_follow(struct job_process *process,
		       void (*progress)(void *data, double done), void *data,
		       char note[JOB_NOTE_SIZE], struct error *error)
{
	FILE *in = fdopen(process->progress, "r");
	struct words words = {0};
	char line[LINE];

	while (in && fgets(line, sizeof(line), in)) {
		line[strcspn(line, "\n")] = '\0';
		take_line(line, progress, data, &words);
	}
	if (in)
		fclose(in);
	else
		close(process->progress);
	strcpy(note, words.note);
	return how_it_ended(reap(process), &words, error);
}
