/*
 * Reads an image out of a display message: its descriptor, then the bytes in
 * whatever form they come, or the image from a cache or a surface.
 *
 * An image that is to be kept in the cache goes there only when the message
 * that carries it has been read as a whole (image_reader_commit), because a
 * message whose images are not all there yet is read again later.
 */
#ifndef RECORDER_IMAGE_READER_H
#define RECORDER_IMAGE_READER_H

#include "recorder/bytes.h"
#include "recorder/error.h"
#include "recorder/image.h"
#include "recorder/image_cache.h"
#include "recorder/image_codecs.h"
#include "recorder/surface.h"

#define IMAGE_READER_PENDING 4 /* images of one message */

/* Every form, for statistics. SPICE_IMAGE_TYPE_* and a name. */
#define IMAGE_TYPES(X) \
	X(0, BITMAP, "bitmap") \
	X(1, QUIC, "quic") \
	X(100, LZ_PLT, "lz-palette") \
	X(101, LZ_RGB, "lz") \
	X(102, GLZ_RGB, "glz") \
	X(103, FROM_CACHE, "from-cache") \
	X(104, SURFACE, "surface") \
	X(105, JPEG, "jpeg") \
	X(106, FROM_CACHE_LOSSLESS, "from-cache-lossless") \
	X(107, ZLIB_GLZ_RGB, "zlib-glz") \
	X(108, JPEG_ALPHA, "jpeg-alpha") \
	X(109, LZ4, "lz4")

enum image_type {
#define IMAGE_TYPE(number, name, text) IMAGE_TYPE_##name = number,
	IMAGE_TYPES(IMAGE_TYPE)
#undef IMAGE_TYPE
};
#define IMAGE_TYPE_MAX 110

struct image_reader {
	struct image_cache *images; /* shared, not owned */
	struct glz_window *window;  /* shared, not owned */
	struct palette_cache palettes;
	/* A reference to the pixels of a surface, or an error. */
	int (*surface)(void *user, uint32_t id, struct image **image,
		       struct error *error);
	void *user;
	/*
	 * The format of the surface that is drawn on, and whether the drawing
	 * takes images as they are: palettes are read accordingly.
	 */
	enum surface_format onto;
	bool unconverted;
	uint64_t seen[IMAGE_TYPE_MAX]; /* images by type */
	struct {
		uint64_t id;
		struct image *image;
		bool replace;
	} pending[IMAGE_READER_PENDING];
	unsigned pending_count;
};

/*
 * The image that stands at offset `at` of the message body; the caller
 * unrefs it. -EAGAIN when it waits for what another channel brings.
 */
int image_read(struct image_reader *reader, struct bytes body, uint32_t at,
	       struct image **image, struct error *error);
/* As image_read, for the 1-bit image of a mask: IMAGE_MASK. */
int image_read_mask(struct image_reader *reader, struct bytes body, uint32_t at,
		    bool inverted, struct image **image, struct error *error);
/* The message is done: keep = its images go into the cache. */
int image_reader_commit(struct image_reader *reader, bool keep,
			struct error *error);
void image_reader_clear(struct image_reader *reader);

#endif
