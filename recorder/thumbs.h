/*
 * Small pictures of a video at regular times: one JPEG with all of them as
 * tiles, and a WebVTT file that says which tile belongs to which time, in the
 * way that web players know ("thumbs.jpg#xywh=160,0,160,90").
 *
 * A tile shows the middle of its time. There are at most THUMBS_MAX, so that
 * the JPEG stays below about half a megabyte however long the video is.
 */
#ifndef RECORDER_THUMBS_H
#define RECORDER_THUMBS_H

#include <stdint.h>

#include "recorder/error.h"
#include "recorder/screen.h"

#define THUMBS_MAX 100u
#define THUMBS_COLUMNS 10u
#define THUMBS_WIDTH 160u  /* px of a tile, at most */
#define THUMBS_HEIGHT 160u /* px of a tile, at most */

struct thumbs;

/* Of a video of that size (px) and duration (ns). */
int thumbs_new(struct thumbs **thumbs, uint32_t width, uint32_t height,
	       uint64_t duration, struct error *error);
void thumbs_free(struct thumbs *thumbs);

/* When the next picture is to be taken, ns; UINT64_MAX: no more. */
uint64_t thumbs_next(const struct thumbs *thumbs);
/* Takes it from the screen, whose size is the video's. */
void thumbs_take(struct thumbs *thumbs, const struct screen *screen);

/* Both files from their beginning; -EIO, -ENOSPC, -ENOMEM. */
int thumbs_write(const struct thumbs *thumbs, int jpeg_fd, int vtt_fd,
		 struct error *error);

#endif
