/*
 * The guest's screen: one framebuffer that spans all connected heads side by
 * side, each 1024x768, shown through DRM/KMS (dumb buffer), plus what the
 * QXL device draws by itself: fills and copies. Units: px; colours 0xRRGGBB.
 */
#ifndef GUEST_SCREEN_H
#define GUEST_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

enum { HEAD_WIDTH = 1024, HEAD_HEIGHT = 768, HEADS_MAX = 4 };

struct rect {
	int x, y, width, height;
};

struct screen {
	int fd;
	int heads;         /* connected, 1..4 */
	int width, height; /* of all heads together */
	int stride;        /* pixels from row to row */
	uint32_t *pixels;
	uint32_t buffer, framebuffer;
	uint64_t buffer_size;
	uint32_t cursor, crtc; /* of head 0 */
	bool qxl;              /* takes drawing commands */
	uint8_t font[256][16];
};

/* Opens the first graphics device; 0 or a negative errno value. */
int screen_open(struct screen *s);

/* Looks at the connectors and sets the modes. 1 when the heads changed and
 * everything is to be drawn anew, 0 when not, or a negative errno value. */
int screen_connect(struct screen *s);

/* Sends a part of the framebuffer to the device. */
void screen_flush(struct screen *s, struct rect r);

/* These draw in the framebuffer only; flush afterwards. */
void screen_box(struct screen *s, struct rect r, uint32_t colour);
void screen_gradient(struct screen *s, struct rect r, uint32_t top,
		     uint32_t bottom);
void screen_text(struct screen *s, int x, int y, int scale, uint32_t colour,
		 const char *text);

/* These draw at once, as one command of the device where it knows it. */
void screen_fill(struct screen *s, struct rect r, uint32_t colour);
void screen_scroll_up(struct screen *s, struct rect r, int rows);

/* The pointer, 64x64 ARGB. */
void screen_cursor_shape(struct screen *s, const uint32_t *argb);
void screen_cursor_move(struct screen *s, int x, int y);

#endif
