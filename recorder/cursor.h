/*
 * A cursor channel: the pointer's shape, its place, the cache of shapes.
 *
 * Messages are SPICE_MSG_CURSOR_* of spice-protocol's enums.h. The server
 * moves the pointer only in server mouse mode; in client mode its place is
 * the client's own and comes from the inputs channel (cursor_place).
 *
 * Shapes have the pixels that spice-client-glib makes of them (its
 * SpiceCursorShape), also where a pointer inverts what is below, which
 * viewers can't; but 8 and 24 bits a pixel, which it shows as its own arrow,
 * are drawn. Alpha shapes come premultiplied from some drivers and not from
 * others, and nothing says which; a shape in which no component exceeds
 * alpha is taken as premultiplied.
 */
#ifndef RECORDER_CURSOR_H
#define RECORDER_CURSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/bytes.h"
#include "recorder/error.h"
#include "recorder/image.h"
#include "recorder/image_cache.h"

#define CURSOR_SIDE_MAX 1024u
#define CURSOR_CACHE_PIXELS (4u << 20) /* of a channel: 16 MiB */

struct cursor {
	struct image *shape; /* IMAGE_ARGB, or NULL */
	bool premultiplied;
	int32_t hot_x, hot_y; /* at most its width and height */
	int32_t x, y;         /* of the hot spot, on surface 0 */
	bool placed;          /* and that is known */
	bool visible;
	bool client_mode; /* the server's places are not used */
	uint32_t changes; /* counted up by whatever alters its look */
	struct image_cache *cache;
};

int cursor_new(struct cursor **cursor, struct error *error);
void cursor_free(struct cursor *cursor);
/* The channel connects anew: no pointer until it says which. */
void cursor_restart(struct cursor *cursor);
/* A message of type 101 and up; errors are damaged messages, left out. */
int cursor_message(struct cursor *cursor, uint16_t type, struct bytes body,
		   struct error *error);
void cursor_place(struct cursor *cursor, int32_t x, int32_t y);

/* Pixels (x, y) to (x + n, y) of surface 0 with the cursor over them. */
void cursor_draw(const struct cursor *cursor, int32_t x, int32_t y,
		 uint32_t *pixels, unsigned n);

/* For the files of this module. */
struct cursor_header {
	uint64_t unique;
	uint8_t type; /* SPICE_CURSOR_TYPE_* */
	uint16_t width, height, hot_x, hot_y;
};

/* -EBADMSG: out of bounds or cut short. */
int cursor_read_shape(const struct cursor_header *header, struct bytes *in,
		      struct image **image, struct error *error);

#endif
