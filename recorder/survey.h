/* A first reading of a capture: what a renderer must know before it starts. */
#ifndef RECORDER_SURVEY_H
#define RECORDER_SURVEY_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/error.h"

struct survey {
	uint32_t width, height;         /* largest screen; 0 = none */
	bool pictures;                  /* there was a screen at all */
	uint64_t first_time, last_time; /* ns since 1970 */
	bool sound;                     /* something was played */
	bool microphone;                /* something was spoken */
	bool complete;                  /* the capture has its end */
	char damage[480]; /* why it ends early; "" = it does not */
	/* SHA-256 of what all messages are and when they came. */
	uint8_t digest[32];
};

/*
 * Of all monitors, or one (screen.h). Damage is no error: the survey is that
 * of what can be read. -ECANCELED when `wanted`, asked now and then, says so
 * with another value than 0.
 */
int survey_capture(int capture_fd, unsigned monitor, struct survey *survey,
		   int (*wanted)(void *user), void *user, struct error *error);

#endif
