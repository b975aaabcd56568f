/*
 * A drawing message as its operations see it: display_draw_read.c takes its
 * fields out of the message, display_draw.c and display_draw_line.c draw.
 *
 * A message begins with surface, box and clip; images, brushes, masks,
 * strings and paths stand behind offsets from the message's first byte.
 *
 * How long one message may take: its region has at most DISPLAY_CLIP_BOXES
 * boxes, it has two images and a mask of bounded sizes (image.h), lines have
 * a budget (raster.h) and curves are cut at DISPLAY_PATH_POINTS points.
 */
#ifndef RECORDER_DISPLAY_DRAW_H
#define RECORDER_DISPLAY_DRAW_H

#include "recorder/display.h"
#include "recorder/raster.h"

#define DISPLAY_CLIP_BOXES (1u << 16)
#define DISPLAY_PATH_POINTS (1u << 20)

struct draw_brush {
	struct raster_source source; /* none: solid 0 */
	struct image *image;
	bool none;
};

/* A drawing in progress; images are owned. */
struct draw {
	struct display *display;
	struct bytes body; /* the whole message */
	struct bytes in;   /* what is still to be read */
	struct surface *surface;
	pixman_box32_t box;
	pixman_region32_t region; /* box, clip and surface */
	struct image *image, *mask_image;
	struct raster_source source;
	struct raster_mask mask;
	struct draw_brush brush, back; /* back: of text */
};

/* Surface, box and clip. */
int draw_begin(struct draw *draw, struct error *error);
void draw_end(struct draw *draw);
/* -EBADMSG when fields were missing. */
int draw_complete(const struct draw *draw, struct error *error);
/* Within RASTER_COORDINATE_MAX; may be mirrored or empty. */
bool draw_in_bounds(const pixman_box32_t *box);

/* The caller owns the image. */
int draw_read_image(struct draw *draw, struct image **image,
		    struct error *error);
/* The image (draw->image) and the part of it to take. */
int draw_read_part(struct draw *draw, pixman_box32_t *src, struct error *error);
int draw_read_brush(struct draw *draw, struct draw_brush *brush,
		    struct error *error);
int draw_read_mask(struct draw *draw, struct error *error);
/* The end of several messages: how the part is scaled, and the mask. */
int draw_read_scale_mask(struct draw *draw, const pixman_box32_t *src,
			 struct error *error);

/* draw_stroke and draw_text. */
int draw_stroke(struct draw *draw, struct error *error);
int draw_text(struct draw *draw, struct error *error);

#endif
