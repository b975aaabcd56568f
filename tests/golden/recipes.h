/* What the golden captures show; see record.c. */
#ifndef TESTS_GOLDEN_RECIPES_H
#define TESTS_GOLDEN_RECIPES_H

#include "tests/oracle/device.h"

struct recipe {
	const char *name;
	SpiceImageCompression images;
	bool jpeg, zlib;   /* as on a slow line */
	const char *video; /* codec, NULL: no streams */
	unsigned displays;
	int channels; /* that the client opens */
	bool keys;    /* it types something */
	bool agent;   /* the guest has one; two heads are asked for */
	/* Another client, which can take this (SPICE_DISPLAY_CAP_CODEC_*) and
	 * keeps so many pixels of images. */
	unsigned codec, cache;
	unsigned long seed; /* 0: the usual one */
	bool sound, raw;    /* the server has a loudspeaker; without Opus */
	void (*run)(void);
	void (*again)(void); /* after the client left and came back */
};

extern const struct recipe recipes[]; /* ended by a NULL name */

/* The server and its devices; run and again draw on them. */
void recipe_start(const struct recipe *recipe);

/* Lets the server work (record.c). */
void run_for(int ms);

#endif
