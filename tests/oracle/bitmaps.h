/*
 * Random but reproducible numbers, images, palettes and masks.
 *
 * Contents are of kinds between which a server's choice of codec goes: soft
 * gradients, flat letters, noise, and pieces that have been there before.
 */
#ifndef TESTS_ORACLE_BITMAPS_H
#define TESTS_ORACLE_BITMAPS_H

#include "tests/oracle/device.h"

void random_start(uint64_t seed);
uint32_t random_bits(void);
/* From low to high, both included. */
int pick(int low, int high);
/* One time in n. */
static inline bool chance(int n)
{
	return pick(1, n) == 1;
}

/* Bitmap of a format (SPICE_BITMAP_FMT_*), with a palette if it has one. */
QXLImage *bitmap_new(struct command *command, uint8_t format, int width,
		     int height);
/*
 * Any bitmap that can be drawn on a canvas; sometimes one of a few that stay,
 * which the server may take for its client's cache.
 */
QXLImage *bitmap_any(struct command *command, const struct canvas *canvas);
/* With alpha, for masks of compositions. */
QXLImage *bitmap_coverage(struct command *command, int width, int height);
/*
 * From now on none of 8 bits of alpha alone: as LZ4, libspice-server sends
 * them and spice-gtk does not survive them.
 */
void bitmaps_avoid_alpha_only(void);
/* One bit a pixel. */
QXLImage *bitmap_mask(struct command *command, int width, int height);
/* A surface as an image; the drawing depends on it. */
QXLImage *bitmap_of_surface(struct command *command,
			    const struct canvas *canvas);
/* Frees the images that stay; the server is gone. */
void bitmaps_free(void);

#endif
