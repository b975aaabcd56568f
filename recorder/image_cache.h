/*
 * What a client keeps on a server's behalf: images by id, shared by all
 * display channels of a session, and palettes, one set a channel.
 *
 * Neither evicts by itself: the server keeps the books and says what to
 * drop. The limits below only bound a capture that was made to do harm;
 * SPICE clients announce about 20 Mi pixels.
 */
#ifndef RECORDER_IMAGE_CACHE_H
#define RECORDER_IMAGE_CACHE_H

#include <stdint.h>

#include "recorder/error.h"
#include "recorder/image.h"
#include "recorder/image_codecs.h"

#define IMAGE_CACHE_PIXELS (64u << 20) /* of a session: 256 MiB */
#define IMAGE_CACHE_ENTRIES (1u << 18)
#define PALETTE_CACHE_ENTRIES 256u /* a server uses 128 */

struct image_cache;

/* Holds images of at most so many pixels and IMAGE_CACHE_ENTRIES of them. */
int image_cache_new(struct image_cache **cache, uint64_t pixels,
		    struct error *error);
void image_cache_free(struct image_cache *cache);
/*
 * Takes a reference of its own. An id that is there already keeps its image
 * and must be dropped once more, unless replace is set. -ENOSPC: limit.
 */
int image_cache_put(struct image_cache *cache, uint64_t id, struct image *image,
		    bool replace, struct error *error);
/* Borrowed; NULL when it is not there, or lossy though that won't do. */
struct image *image_cache_get(const struct image_cache *cache, uint64_t id,
			      bool lossless);
void image_cache_drop(struct image_cache *cache, uint64_t id);
void image_cache_clear(struct image_cache *cache);

struct palette_cache {
	struct palette *entries; /* PALETTE_CACHE_ENTRIES, or NULL */
	unsigned count;
	unsigned next; /* overwritten when it is full */
};

int palette_cache_put(struct palette_cache *cache,
		      const struct palette *palette, struct error *error);
const struct palette *palette_cache_get(const struct palette_cache *cache,
					uint64_t unique);
void palette_cache_drop(struct palette_cache *cache, uint64_t unique);
void palette_cache_clear(struct palette_cache *cache); /* frees it too */

#endif
