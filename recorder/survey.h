/* A first reading of a capture: what a renderer must know before it starts. */
#ifndef RECORDER_SURVEY_H
#define RECORDER_SURVEY_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/error.h"

struct survey {
	uint32_t width, height;         /* largest screen; 0 = none */
	uint64_t first_time, last_time; /* ns since 1970 */
	bool sound;                     /* something was played */
	bool complete;                  /* the capture has its end */
	char damage[480]; /* why it ends early; "" = it does not */
};

/* Damage is no error: the survey is that of what can be read. */
int survey_capture(int capture_fd, struct survey *survey, struct error *error);

#endif
