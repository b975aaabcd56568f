/*
 * A picture of the session at a moment: for tests, thumbnails, and a look.
 */
#ifndef RECORDER_PICTURE_H
#define RECORDER_PICTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "recorder/error.h"

#define PICTURE_AT_END INT64_MAX
#define PICTURE_PIXELS_MAX (64u << 20) /* all monitors: 192 MiB */

struct picture {
	uint32_t width, height;
	uint8_t *rgb; /* width * height * 3 bytes, top row first */
};

/*
 * The screen `at` ns after the capture's first packet, or PICTURE_AT_END, in
 * the size it had then: all of it, or with monitor > 0 that one (screen.h);
 * with the pointer if wanted. -ENODATA: nothing was shown until then;
 * -EMSGSIZE: side by side the monitors are too large. A damaged capture is
 * read as far as it goes.
 *
 * Everything up to that moment is decoded, from the beginning, because later
 * pictures are made of earlier ones; nothing is encoded.
 */
int picture_render(int capture_fd, int64_t at, unsigned monitor, bool cursor,
		   struct picture **picture, struct error *error);
void picture_free(struct picture *picture);

/* Writes it as PPM (P6), which every image program reads. */
int picture_write_ppm(const struct picture *picture, FILE *file,
		      struct error *error);
/* As PNG (RGB, 8 bits), to a file or a pipe; exact. */
int picture_write_png(const struct picture *picture, int fd,
		      struct error *error);

#endif
