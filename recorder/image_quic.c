/* QUIC, SPICE's predictive lossless coder: header, memory, whole pixels. */
#include "recorder/image_quic.h"

#include <stdlib.h>

#include "recorder/cpu.h"
#include "recorder/image_codecs.h"

#define QUIC_MAGIC 0x43495551u /* "QUIC" */

enum quic_type {
	QUIC_GRAY = 1,
	QUIC_RGB16,
	QUIC_RGB24,
	QUIC_RGB32,
	QUIC_RGBA,
};

/* Lanes of five bits, or a single gray lane, become whole pixels. */
static void widen(uint32_t *row, uint32_t width, enum quic_type type)
{
	if (type == QUIC_GRAY)
		for (uint32_t x = 0; x < width; x++)
			row[x] *= 0x010101;
	else if (type == QUIC_RGB16)
		for (uint32_t x = 0; x < width; x++)
			row[x] = row[x] << 3 | (row[x] >> 2 & 0x070707);
}

static quic_row *row_decoder(enum quic_type type)
{
	const struct quic_rows *rows =
		cpu_is_fast() ? &quic_rows_fast : &quic_rows_plain;

	switch (type) {
	case QUIC_GRAY:
		return rows->gray;
	case QUIC_RGB16:
		return rows->rgb16;
	case QUIC_RGBA:
		return rows->rgba;
	default:
		return rows->rgb;
	}
}

static bool decode_rows(struct quic *q, enum quic_type type,
			struct image *image)
{
	quic_row *decode = row_decoder(type);
	uint32_t *above = NULL;

	for (uint32_t y = 0; y < image->height; y++) {
		uint32_t *row = image_row(image, y);

		if (!decode(q, row, above))
			return false;
		/* The row above is read as it was coded. */
		if (above)
			widen(above, image->width, type);
		above = row;
	}
	widen(above, image->width, type);
	return true;
}

/*
 * The stream's words are little-endian and their bits go from the top down:
 * with their bytes turned over, bits follow each other from byte to byte.
 */
static void turn_words(uint8_t *to, const uint8_t *from, size_t words)
{
	for (size_t i = 0; i < words; i++) {
		uint32_t v;

		memcpy(&v, from + 4 * i, sizeof(v));
		v = __builtin_bswap32(v);
		memcpy(to + 4 * i, &v, sizeof(v));
	}
	memset(to + 4 * words, 0, QUIC_PADDING);
}

static int decode(struct bytes *in, enum quic_type type, struct image *image,
		  struct error *error)
{
	size_t words = bytes_left(in) / 4, row = image->width + 1;
	struct quic q = {.end = words * 32, .width = image->width};
	uint8_t *memory = malloc(words * 4 + QUIC_PADDING);
	uint32_t *coded = calloc(2 * row, sizeof(*coded));
	int r = 0;

	if (!memory || !coded) {
		r = error_set(error, ENOMEM, "no memory for a QUIC image");
	} else {
		turn_words(memory, in->data + in->at, words);
		q.bits = memory;
		quic_plane_init(&q.colour, type == QUIC_RGB16 ? 5 : 8);
		quic_plane_init(&q.alpha, 8);
		q.colour.coded = coded + 1;
		q.alpha.coded = coded + row + 1;
		if (!decode_rows(&q, type, image))
			r = error_set(error, EBADMSG,
				      "a QUIC image is damaged");
	}
	free(coded);
	free(memory);
	return r;
}

int quic_decode(struct bytes in, struct image **out, struct error *error)
{
	uint32_t magic = bytes_le32(&in), version = bytes_le32(&in);
	uint32_t type = bytes_le32(&in);
	uint32_t width = bytes_le32(&in), height = bytes_le32(&in);
	struct image *image;
	int r;

	*out = NULL;
	if (in.bad || magic != QUIC_MAGIC || version || type < QUIC_GRAY ||
	    type > QUIC_RGBA)
		return error_set(error, EBADMSG, "a QUIC header is damaged");
	r = image_new_unset(&image, width, height,
			    type == QUIC_RGBA ? IMAGE_ARGB : IMAGE_XRGB, error);
	if (r)
		return r;
	image->is_555 = type == QUIC_RGB16;
	r = decode(&in, type, image, error);
	if (r)
		image_unref(image);
	else
		*out = image;
	return r;
}
