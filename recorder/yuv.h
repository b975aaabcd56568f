/*
 * Screen pixels into 4:2:0 planes, BT.709, limited range.
 *
 * A chroma sample is the mean of its four pixels.
 */
#ifndef RECORDER_YUV_H
#define RECORDER_YUV_H

#include <pixman.h>
#include <stdint.h>

#include "recorder/screen.h"

/*
 * Converts what lies in the region, widened to even coordinates. Width and
 * height of the planes are even and those of the screen's canvas.
 */
void yuv_convert(const struct screen *screen, pixman_region32_t *region,
		 uint8_t *const planes[3], const int strides[3]);

#endif
