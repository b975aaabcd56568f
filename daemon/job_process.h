/*
 * One process of the job role, from the side that started it.
 *
 * It writes lines to its progress pipe: "progress 0.25", "error TEXT",
 * "nothing TEXT" when there is nothing to be made, and "note TEXT" of what is
 * worth knowing about a result that it did give. What it says is not trusted:
 * it decodes what guests made.
 */
#ifndef DAEMON_JOB_PROCESS_H
#define DAEMON_JOB_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "recorder/error.h"

#define JOB_NOTE_SIZE 400

struct job_process {
	pid_t pid;
	int progress; /* reading end */
};

struct job_start {
	const char *kind;    /* render, pcapng, stats, dump, frame, replay */
	const char *look;    /* options of the middle ones, look.h; or NULL */
	const char *program; /* what is run as the job; NULL: ourselves */
	const char *video;   /* options of a render, video_options.h; or NULL */
	const char *session; /* for ps(1) only */
	int input, output;   /* output: a file, pipe or socket */
	/* Of a render: a partial file, then maybe thumbnails and their times.
	 * They become its fd 6 and up. */
	int more[3];
	unsigned more_count;
	unsigned memory; /* MiB of address space */
	unsigned cpu;    /* seconds */
	double speed;    /* of a replay */
	/* Killed when the calling thread ends; others end by themselves when
	 * nobody is at the other end of their output. */
	bool dies_with_us;
};

/* input and output stay the caller's. */
int job_process_start(struct job_process *process,
		      const struct job_start *start, struct error *error);

/*
 * Reads what it says until it ends, and collects it: its pid is of no use
 * afterwards. 0 when it ended well, with its note ("" for none); else the
 * error is what it said last, or how it died: -ENODATA for nothing, -EINTR
 * when somebody killed it.
 */
int job_process_follow(struct job_process *process,
		       void (*progress)(void *data, double done), void *data,
		       char note[JOB_NOTE_SIZE], struct error *error);

#endif
