/*
 * What a user of the session sees: all displays side by side, with pointer.
 *
 * Displays stand in the order of their channels' ids, from the left, each
 * showing the part of its primary surface that its heads cover (or all of
 * it). Together they are centred on a canvas of fixed size; what is beyond
 * its edges is cut off, what is around them is black.
 */
#ifndef RECORDER_SCREEN_H
#define RECORDER_SCREEN_H

#include <pixman.h>
#include <stdbool.h>
#include <stdint.h>

#include "recorder/decoder.h"
#include "recorder/error.h"

struct screen;

/* The displays' common size at this moment; 0 x 0 when there are none. */
void screen_size(const struct decoder *decoder, uint32_t *width,
		 uint32_t *height);

/*
 * The same of one monitor. Monitors are counted from 1: the heads of each
 * display, in the order of displays; a display without heads is one. 0 x 0
 * when there is no such monitor at this moment; 0 stands for all.
 */
void screen_monitor_size(const struct decoder *decoder, unsigned monitor,
			 uint32_t *width, uint32_t *height);

/* A canvas on a decoder, which must outlive it. */
int screen_new(struct screen **screen, struct decoder *decoder, uint32_t width,
	       uint32_t height, bool cursor, struct error *error);
void screen_free(struct screen *screen);
/* Shows one monitor only, or with 0 all of them as at first. */
void screen_set_monitor(struct screen *screen, unsigned monitor);

/*
 * Gathers what changed since the last call into `changed` (initialised by
 * the caller, added to). True when there was anything.
 */
bool screen_update(struct screen *screen, pixman_region32_t *changed);
/* As far as can be told at no cost: would screen_update find anything? */
bool screen_is_dirty(const struct screen *screen);

/*
 * n pixels (0x??RRGGBB) from (x, y) on. The result is either `space` or
 * points into a surface; valid until the decoder goes on.
 */
const uint32_t *screen_row(const struct screen *screen, uint32_t x, uint32_t y,
			   uint32_t n, uint32_t *space);

#endif
