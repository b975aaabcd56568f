/* Keyboards, pointers and the power button, through evdev. */
#ifndef GUEST_INPUT_H
#define GUEST_INPUT_H

#include <stdbool.h>

enum { INPUTS_MAX = 16, KEYS_MAX = 16 };

struct input {
	int fds[INPUTS_MAX];                        /* -1 = free */
	int min[INPUTS_MAX][2], max[INPUTS_MAX][2]; /* absolute axes */
	int width, height;                          /* of the screen, px */

	/* What has come since the caller last looked; the caller resets. */
	bool power;
	bool moved;
	int x, y;
	unsigned buttons; /* 1 left, 2 right, 4 middle */
	int n_codes;
	int codes[KEYS_MAX]; /* keys pressed; those too many are dropped */
	char keys[40];       /* the last ones, readable */
};

void input_init(struct input *in, int width, int height);

/* Opens devices that have come. */
void input_scan(struct input *in);

/* Reads what a device has to say. */
void input_read(struct input *in, int slot);

#endif
