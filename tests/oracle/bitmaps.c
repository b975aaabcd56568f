/* Random images; see bitmaps.h. */
#include "tests/oracle/bitmaps.h"

#include <stdlib.h>
#include <string.h>

#define KEPT 12

static uint64_t state;

void random_start(uint64_t seed)
{
	state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	for (int i = 0; i < 8; i++)
		random_bits();
}

/* xorshift64*, the upper half. */
uint32_t random_bits(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint32_t)(state * UINT64_C(0x2545f4914f6cdd1d) >> 32);
}

int pick(int low, int high)
{
	return low + (int)(random_bits() % (uint32_t)(high - low + 1));
}

static unsigned bits_of(uint8_t format)
{
	static const uint8_t bits[] = {0, 1, 1, 4, 4, 8, 16, 24, 32, 32, 8};

	return bits[format];
}

enum content { SMOOTH, LETTERS, NOISE, FLAT };

struct look {
	enum content content;
	int seed, slope;
};

static uint8_t sample(const struct look *look, int x, int y, int k)
{
	switch (look->content) {
	case SMOOTH:
		return (uint8_t)((x * (2 + k) + y * look->slope) / 3 +
				 look->seed + (int)(random_bits() & 3));
	case LETTERS:
		return ((x / 3 * 7 + y / 5 * 3 + look->seed) & 6)
			       ? (uint8_t)(0xf0 - 16 * k)
			       : (uint8_t)(16 * look->seed);
	case NOISE:
		return (uint8_t)random_bits();
	default:
		return (uint8_t)(look->seed * (k + 1));
	}
}

static void paint(QXLBitmap *b)
{
	struct look look = {pick(SMOOTH, FLAT), pick(0, 15), pick(0, 5)};
	int unit = bits_of(b->format) < 8 ? 1 : (int)bits_of(b->format) / 8;
	uint8_t *data = (uint8_t *)(uintptr_t)b->data;

	for (uint32_t y = 0; y < b->y; y++)
		for (uint32_t i = 0; i < b->stride; i++)
			data[y * b->stride + i] = sample(&look, (int)i / unit,
							 (int)y, (int)i % unit);
	/* Premultiplied: no component is more than its alpha. */
	for (uint32_t i = 0;
	     b->format == SPICE_BITMAP_FMT_RGBA && i + 3 < b->stride * b->y;
	     i += 4)
		for (int k = 0; k < 3; k++)
			if (data[i + k] > data[i + 3])
				data[i + k] = data[i + 3];
}

/* Now and then one that was there before, which a client may have kept. */
static void set_palette(struct command *c, QXLBitmap *b)
{
	unsigned n = 1u << bits_of(b->format);
	uint64_t unique = 1 + (uint64_t)pick(0, 9) + n * 16;
	QXLPalette *palette = command_alloc(c, sizeof(*palette) + n * 4);

	palette->unique = unique;
	palette->num_ents = n;
	for (unsigned i = 0; i < n; i++)
		palette->ents[i] =
			(uint32_t)((i + 1) * unique * 0x9e3779u) & 0xffffff;
	b->palette = (uintptr_t)palette;
}

static bool has_palette(uint8_t format)
{
	return bits_of(format) <= 8 && format != SPICE_BITMAP_FMT_8BIT_A;
}

static QXLImage *make_bitmap(struct command *c, uint8_t format, int width,
			     int height)
{
	static uint32_t unique;
	QXLImage *image = command_alloc(c, sizeof(*image));
	QXLBitmap *b = &image->bitmap;

	QXL_SET_IMAGE_ID(image, QXL_IMAGE_GROUP_DEVICE, ++unique);
	image->descriptor.type = SPICE_IMAGE_TYPE_BITMAP;
	image->descriptor.width = (uint32_t)width;
	image->descriptor.height = (uint32_t)height;
	b->format = format;
	b->flags = QXL_BITMAP_DIRECT | (chance(2) ? QXL_BITMAP_TOP_DOWN : 0);
	b->x = (uint32_t)width;
	b->y = (uint32_t)height;
	b->stride = (b->x * bits_of(format) + 31) / 32 * 4;
	b->data = (uintptr_t)command_alloc(c, (size_t)b->stride * b->y);
	paint(b);
	return image;
}

QXLImage *bitmap_new(struct command *c, uint8_t format, int width, int height)
{
	QXLImage *image = make_bitmap(c, format, width, height);

	if (has_palette(format))
		set_palette(c, &image->bitmap);
	if (chance(8))
		image->descriptor.flags |= QXL_IMAGE_HIGH_BITS_SET;
	return image;
}

static bool without_alpha_only;

void bitmaps_avoid_alpha_only(void)
{
	without_alpha_only = true;
}

QXLImage *bitmap_coverage(struct command *c, int width, int height)
{
	return bitmap_new(c,
			  without_alpha_only || chance(2)
				  ? SPICE_BITMAP_FMT_RGBA
				  : SPICE_BITMAP_FMT_8BIT_A,
			  width, height);
}

QXLImage *bitmap_mask(struct command *c, int width, int height)
{
	return make_bitmap(c,
			   chance(2) ? SPICE_BITMAP_FMT_1BIT_BE
				     : SPICE_BITMAP_FMT_1BIT_LE,
			   width, height);
}

/* Owns the images that stay. */
static struct command *keeper;
static QXLImage *kept[KEPT];

static uint8_t any_format(void)
{
	static const uint8_t formats[] = {
		SPICE_BITMAP_FMT_32BIT,   SPICE_BITMAP_FMT_32BIT,
		SPICE_BITMAP_FMT_24BIT,   SPICE_BITMAP_FMT_16BIT,
		SPICE_BITMAP_FMT_RGBA,    SPICE_BITMAP_FMT_8BIT,
		SPICE_BITMAP_FMT_4BIT_BE, SPICE_BITMAP_FMT_1BIT_BE,
	};

	return formats[pick(0, sizeof(formats) - 1)];
}

static QXLImage *keep(int i)
{
	struct command *c;

	if (kept[i])
		return kept[i];
	/* Chained: a command owns a few pieces only. */
	c = command_new(QXL_CMD_DRAW);
	c->next = keeper;
	keeper = c;
	kept[i] = bitmap_new(c, any_format(), pick(8, 70), pick(8, 70));
	kept[i]->descriptor.flags |= QXL_IMAGE_CACHE;
	return kept[i];
}

/*
 * The reference knows palettes for 555 and 32 bits only. Pixels that are
 * opaque become pixels with alpha by chance: it depends on how they come.
 */
static bool is_readable(uint8_t format, const struct canvas *canvas)
{
	if (canvas->format == SPICE_SURFACE_FMT_32_ARGB)
		return format == SPICE_BITMAP_FMT_RGBA;
	return canvas->format != SPICE_SURFACE_FMT_16_565 ||
	       !has_palette(format);
}

/*
 * The reference keeps an image as it was on the surface where it saw it
 * first; the server does not.
 */
static bool is_same_everywhere(uint8_t format, const struct canvas *canvas)
{
	return is_readable(format, canvas) &&
	       (canvas->format == SPICE_SURFACE_FMT_32_xRGB ||
		!has_palette(format));
}

QXLImage *bitmap_any(struct command *c, const struct canvas *canvas)
{
	uint8_t format;

	if (canvas->format == SPICE_SURFACE_FMT_8_A)
		return bitmap_new(c, SPICE_BITMAP_FMT_8BIT_A, pick(1, 60),
				  pick(1, 60));
	if (chance(4)) {
		QXLImage *image = keep(pick(0, KEPT - 1));

		if (is_same_everywhere(image->bitmap.format, canvas))
			return image;
	}
	do
		format = any_format();
	while (!is_readable(format, canvas));
	if (chance(30))
		return bitmap_new(c, format, pick(100, 300), pick(60, 200));
	return bitmap_new(c, format, pick(1, 60), pick(1, 60));
}

QXLImage *bitmap_of_surface(struct command *c, const struct canvas *canvas)
{
	QXLImage *image = command_alloc(c, sizeof(*image));

	image->descriptor.type = SPICE_IMAGE_TYPE_SURFACE;
	image->descriptor.width = canvas->width;
	image->descriptor.height = canvas->height;
	image->surface_image.surface_id = canvas->id;
	return image;
}

void bitmaps_free(void)
{
	while (keeper) {
		struct command *c = keeper;

		keeper = c->next;
		command_free(c);
	}
	memset(kept, 0, sizeof(kept));
}
