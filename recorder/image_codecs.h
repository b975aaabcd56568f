/*
 * The image forms of the SPICE display channel, one decoder a file.
 *
 * Each takes the bytes of one image behind its descriptor and gives a new
 * image the caller unrefs. Errors: -EBADMSG for bytes that are not what they
 * claim, -EMSGSIZE for sizes out of bounds, -ENOMEM, and -EAGAIN from
 * glz_decode. Layouts: SPICE image descriptors as in spice-protocol's
 * enums.h (SPICE_IMAGE_TYPE_*, SPICE_BITMAP_FMT_*).
 */
#ifndef RECORDER_IMAGE_CODECS_H
#define RECORDER_IMAGE_CODECS_H

#include "recorder/bytes.h"
#include "recorder/error.h"
#include "recorder/image.h"

#define PALETTE_MAX 256u

struct palette {
	uint64_t unique;               /* key in the palette cache */
	uint32_t count;                /* 1..PALETTE_MAX */
	uint32_t entries[PALETTE_MAX]; /* 0x00RRGGBB */
};

/* Reads u64 unique, u16 count, u32 entries[count]. */
int palette_read(struct bytes in, struct palette *palette, struct error *error);

/* SPICE_BITMAP_FMT_*, also used by LZ4 */
enum bitmap_format {
	BITMAP_1BIT_LE = 1, /* leftmost pixel in the low bit */
	BITMAP_1BIT_BE,
	BITMAP_4BIT_LE,
	BITMAP_4BIT_BE,
	BITMAP_8BIT,  /* palette */
	BITMAP_16BIT, /* x1r5g5b5 */
	BITMAP_24BIT, /* B, G, R */
	BITMAP_32BIT, /* B, G, R, x */
	BITMAP_RGBA,  /* B, G, R, A, premultiplied */
	BITMAP_8BIT_A,
};

struct bitmap {
	uint8_t format; /* enum bitmap_format */
	bool top_down;
	uint32_t width, height, stride;
	const uint8_t *data; /* stride * height bytes */
	size_t size;
	const struct palette *palette; /* NULL = none */
};

/* Bytes of one row without padding; 0 for an unknown format. */
size_t bitmap_row_size(uint8_t format, uint32_t width);
/*
 * What each index of a format of up to 8 bits stands for. An index past the
 * palette's end counts modulo its size for 1 and 4 bits, else it is the last
 * one. BITMAP_8BIT_A needs no palette: alpha alone.
 */
void palette_table(const struct palette *palette, uint8_t format,
		   uint32_t table[PALETTE_MAX]);
/* All rows of a bitmap, which was checked, onto an image of its size. */
void bitmap_rows(const struct bitmap *bitmap, const uint32_t *table,
		 struct image *image);
int bitmap_decode(const struct bitmap *bitmap, struct image **image,
		  struct error *error);
/* A bitmap of 1 bit as an IMAGE_MASK. */
int bitmap_decode_mask(const struct bitmap *bitmap, struct image **image,
		       struct error *error);

/* LZ stream with its header; palette only for the PLT types, else NULL. */
int lz_decode(struct bytes in, const struct palette *palette,
	      struct image **image, struct error *error);
/* A stream of type XXXA sets the alpha of an image of the same size. */
int lz_decode_alpha(struct bytes in, struct image *image, struct error *error);

int quic_decode(struct bytes in, struct image **image, struct error *error);

int lz4_decode(struct bytes in, uint32_t width, uint32_t height,
	       struct image **image, struct error *error);

/* Which of libjpeg's ways, so that pixels equal those of spice-gtk. */
enum jpeg_use {
	JPEG_IMAGE, /* exact IDCT, smooth chroma: libjpeg's defaults */
	JPEG_FRAME, /* of MJPEG: fast IDCT, plain chroma */
};

/* Baseline JPEG; the size is the picture's own. */
int jpeg_decode(struct bytes in, enum jpeg_use use, struct image **image,
		struct error *error);
/*
 * A frame of MJPEG, as above. *image is NULL at first; later its memory is
 * used again. After a failure its pixels mean nothing.
 */
int jpeg_decode_frame(struct bytes in, struct image **image,
		      struct error *error);
/* jpeg_size bytes of JPEG, then LZ alpha; the result is ARGB. */
int jpeg_alpha_decode(struct bytes in, uint32_t jpeg_size, struct image **image,
		      struct error *error);

/*
 * GLZ: images refer to earlier images of one dictionary, which all display
 * channels of a client share. The window holds at most GLZ_WINDOW_PIXELS;
 * beyond that the oldest are forgotten.
 */
#define GLZ_WINDOW_PIXELS (32u << 20)
#define GLZ_WINDOW_IMAGES 65536u

struct glz_window;

int glz_window_new(struct glz_window **window, struct error *error);
void glz_window_free(struct glz_window *window);
void glz_window_clear(struct glz_window *window);
/* -EAGAIN: refers to an image that is not in the window (yet). */
int glz_decode(struct glz_window *window, struct bytes in, struct image **image,
	       struct error *error);
/* zlib around a GLZ stream of exactly `plain` bytes. */
int zlib_glz_decode(struct glz_window *window, struct bytes in, uint32_t plain,
		    struct image **image, struct error *error);

#endif
