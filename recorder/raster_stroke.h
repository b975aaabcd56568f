/* Rows of pixels that make up lines; for raster_stroke.c and raster_dash.c. */
#ifndef RECORDER_RASTER_STROKE_H
#define RECORDER_RASTER_STROKE_H

#include "recorder/error.h"
#include "recorder/raster.h"

struct raster_span {
	int32_t x, y, width;
};

/*
 * Draws n spans, from the top down, on the pen's region, and changes them.
 *
 * With a region of one box each span is cut by it. With several the
 * renderers write what is left of a span over those that are still to be
 * cut, so that a span which meets two boxes of a row displaces the next one;
 * that is kept here, because it shows.
 */
int raster_spans(struct raster_pen *pen, struct raster_span *spans, size_t n,
		 struct error *error);

#endif
