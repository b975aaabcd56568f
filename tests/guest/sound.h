/* The guest's sound card, by the ioctls of <sound/asound.h>. */
#ifndef GUEST_SOUND_H
#define GUEST_SOUND_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sound {
	int fd; /* -1 while there is no card */
};

/* Opens card 0 for stereo S16LE, unmutes it; 0 or a negative errno value. */
int sound_open(struct sound *s, unsigned rate);

/* Plays n mono samples on both sides; returns how many were taken, -EPIPE
 * when the card had run dry (the next ones start it again), -ENODEV. */
ssize_t sound_write(struct sound *s, const int16_t *samples, size_t n);

/* Drops what has not been heard yet. */
void sound_stop(struct sound *s);

#endif
