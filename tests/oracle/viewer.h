/*
 * A client of libspice-server that keeps what it gets: into a capture file
 * and into a decoder. A thread of its own reads all its channels.
 */
#ifndef TESTS_ORACLE_VIEWER_H
#define TESTS_ORACLE_VIEWER_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/oracle/device.h"

struct viewer;

struct viewer_options {
	int port;
	const char *capture; /* path of the file */
	unsigned displays;   /* display channels 0 to this - 1 */
	unsigned codec;      /* SPICE_DISPLAY_CAP_CODEC_*, 0 = no video */
	uint32_t cache;      /* pixels of images it keeps */
	uint32_t window;     /* pixels of the GLZ window */
};

/* The server's main loop is run until all channels are there; or aborts. */
struct viewer *viewer_new(const struct viewer_options *options);
/* Leaves the server, completes the capture. False when it is not whole. */
bool viewer_free(struct viewer *viewer);

/* A pixel of a display's primary as it was decoded; false: there is none. */
bool viewer_pixel(struct viewer *viewer, unsigned display, uint32_t x,
		  uint32_t y, uint32_t *pixel);
/* Messages of a type that a display got. */
uint64_t viewer_seen(struct viewer *viewer, unsigned display, uint16_t type);

/*
 * The first pixel where the decoder's surface is not the server's own;
 * false: they are equal. The canvas must be up to date.
 */
struct viewer_difference {
	uint32_t x, y, ours, servers;
};

bool viewer_differs(struct viewer *viewer, unsigned display,
		    const struct canvas *canvas,
		    struct viewer_difference *difference);
/* What the decoder could not do so far; empty: nothing. */
const char *viewer_trouble(struct viewer *viewer);

#endif
