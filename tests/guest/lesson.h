/* The lesson on its disk: found, opened, deciphered, decoded. */
#ifndef GUEST_LESSON_H
#define GUEST_LESSON_H

#include "lesson_disk.h"
#include "screen.h"

struct lesson {
	int disk;
	char disk_name[32];
	struct lesson_head head;
	struct lesson_piece *index;
	uint8_t key[KEY_SIZE];
};

/* Waits up to ten seconds for a disk that holds a lesson; 0 or a negative
 * errno value. The key is for the caller to fill in. */
int lesson_find(struct lesson *l);

/* Draws a frame of the lesson at its place; 0 or a negative errno value
 * (-EBADMSG: the key or the disk is wrong). */
int lesson_frame(struct lesson *l, uint32_t number, struct screen *s);

/* One second of sound into samples (sample_rate of them). */
int lesson_sound(struct lesson *l, uint32_t second, int16_t *samples);

#endif
