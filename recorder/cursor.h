/*
 * A cursor channel: the pointer's shape, its place, the cache of shapes.
 *
 * Messages are SPICE_MSG_CURSOR_* of spice-protocol's enums.h. The server
 * moves the pointer only in server mouse mode; in client mode its place is
 * the client's own and comes from the inputs channel (cursor_place).
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
/* A pixel that inverts what is below; impossible when premultiplied. */
#define CURSOR_INVERT 0x00ffffffu

struct cursor {
	struct image *shape; /* IMAGE_ARGB, or NULL */
	int32_t hot_x, hot_y;
	int32_t x, y; /* of the hot spot, on surface 0 */
	bool visible;
	bool client_mode; /* the server's places are not used */
	uint32_t changes; /* counted up by whatever alters its look */
	struct image_cache *cache;
};

int cursor_new(struct cursor **cursor, struct error *error);
void cursor_free(struct cursor *cursor);
/* A message of type 101 and up; errors are damaged messages, left out. */
int cursor_message(struct cursor *cursor, uint16_t type, struct bytes body,
		   struct error *error);
void cursor_place(struct cursor *cursor, int32_t x, int32_t y);

/* Pixels (x, y) to (x + n, y) of surface 0 with the cursor over them. */
void cursor_draw(const struct cursor *cursor, int32_t x, int32_t y,
		 uint32_t *pixels, unsigned n);

#endif
