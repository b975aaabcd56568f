/*
 * The guest's screen through DRM/KMS: one framebuffer (dumb buffer) for each
 * connected head, 1024x768, plus what the QXL device draws by itself: fills
 * and copies. Only head 0 moves: Linux' qxl driver draws what is flushed at
 * the place of head 0. Units: px; colours 0xRRGGBB.
 */
#ifndef GUEST_SCREEN_H
#define GUEST_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

enum { HEAD_WIDTH = 1024, HEAD_HEIGHT = 768, HEADS_MAX = 4 };

struct rect {
	int x, y, width, height;
};

struct head {
	uint32_t connector, crtc;
	uint32_t buffer, framebuffer;
	uint32_t *pixels;
	uint64_t size; /* bytes */
};

struct screen {
	int fd;
	int heads; /* connected, 1..4 */
	struct head head[HEADS_MAX];
	int stride;       /* pixels from row to row */
	uint32_t *pixels; /* of the head that is drawn on */
	uint32_t cursor;
	bool qxl; /* takes drawing commands */
	uint8_t font[256][16];
};

/* Opens the first graphics device; 0 or a negative errno value. */
int screen_open(struct screen *s);

/* Looks at the connectors. 1 when the heads have changed: draw all of them
 * and show them; 0 when not; or a negative errno value. */
int screen_connect(struct screen *s);

/* Which head the drawing functions draw on; 0 at first. */
void screen_select(struct screen *s, int head);

/* Sets the modes, which sends everything to the device. */
void screen_show(struct screen *s);

/* Sends a part of head 0. */
void screen_flush(struct screen *s, struct rect r);

/* These draw in the framebuffer only; show or flush afterwards. */
void screen_box(struct screen *s, struct rect r, uint32_t colour);
void screen_gradient(struct screen *s, struct rect r, uint32_t top,
		     uint32_t bottom);
void screen_text(struct screen *s, int x, int y, int scale, uint32_t colour,
		 const char *text);

/* These draw on head 0 at once, by one command of the device if it can. */
void screen_fill(struct screen *s, struct rect r, uint32_t colour);
void screen_scroll_up(struct screen *s, struct rect r, int rows);

/* The pointer, 64x64 ARGB. */
void screen_cursor_shape(struct screen *s, const uint32_t *argb);
void screen_cursor_move(struct screen *s, int x, int y);

#endif
