/*
 * Every image codec against libspice-server: it draws known images in each
 * of its compression modes; what the decoder makes of its messages must be
 * the server's own frame buffer, pixel by pixel.
 */
#include "tests/unit/qxl_server.h"

#define CELL 80 /* an image's width and height */

/* What is on an image; the server picks a codec by it. */
enum content { SMOOTH, LETTERS, NOISE };

static uint8_t sample(enum content content, int x, int y, int k, int seed)
{
	switch (content) {
	case SMOOTH:
		return (uint8_t)((x * (2 + k) + y * (3 - k)) / 3 + seed +
				 (next_random() & 3));
	case LETTERS:
		return ((x / 3 * 7 + y / 5 * 3 + seed) & 6) ? 0xf0 - 16 * k
							    : 16 * seed;
	default:
		return (uint8_t)next_random();
	}
}

/* Bytes of `bits` a pixel; indices keep to the palette by themselves. */
static void fill(const QXLBitmap *bitmap, unsigned bits, enum content content,
		 int seed)
{
	uint8_t *data = (uint8_t *)(uintptr_t)bitmap->data;

	for (int y = 0; y < CELL; y++)
		for (int i = 0; i < (int)(CELL * bits / 8); i++) {
			int unit = bits < 8 ? 1 : (int)bits / 8;

			data[y * bitmap->stride + i] =
				sample(content, i / unit, y, i % unit, seed);
		}
}

static void set_palette(struct command *c, QXLBitmap *bitmap, unsigned n)
{
	QXLPalette *palette = command_alloc(c, sizeof(*palette) + n * 4);

	palette->unique = n;
	palette->num_ents = n;
	for (unsigned i = 0; i < n; i++)
		palette->ents[i] = i * 0x9e3779 & 0xffffff;
	bitmap->palette = (uintptr_t)palette;
}

/* A copy of an image to a cell of the screen. */
static struct command *new_copy(int cell, uint8_t format, enum content content,
				int seed)
{
	static const uint8_t bits[] = {0, 1, 1, 4, 4, 8, 16, 24, 32, 32};
	int x = cell % (WIDTH / CELL) * CELL, y = cell / (WIDTH / CELL) * CELL;
	struct command *c =
		command_new(QXL_DRAW_COPY, (QXLRect){y, x, y + CELL, x + CELL});
	QXLCopy *copy = &c->drawable.u.copy;
	QXLImage *image = command_bitmap(c, format, CELL, CELL, seed & 1);

	fill(&image->bitmap, bits[format], content, seed);
	if (bits[format] <= 8)
		set_palette(c, &image->bitmap, 1u << bits[format]);
	c->drawable.effect = QXL_EFFECT_OPAQUE;
	copy->src_bitmap = (uintptr_t)image;
	copy->src_area = (QXLRect){0, 0, CELL, CELL};
	copy->rop_descriptor = SPICE_ROPD_OP_PUT;
	return c;
}

/* Every format and content, from cell to cell. */
static void draw_everything(void)
{
	static const uint8_t formats[] = {
		BITMAP_32BIT, BITMAP_24BIT,   BITMAP_16BIT,   BITMAP_8BIT,
		BITMAP_RGBA,  BITMAP_1BIT_BE, BITMAP_4BIT_BE,
	};
	int cell = 0;

	for (unsigned f = 0; f < sizeof(formats); f++)
		for (int content = SMOOTH; content <= NOISE; content++)
			for (int seed = 0; seed < 2; seed++)
				command_put(new_copy(cell++, formats[f],
						     content, seed));
}

/* Images of a type that have come. */
static uint64_t decoded(unsigned type)
{
	uint64_t n;

	pthread_mutex_lock(&lock);
	n = decoder_display(decoder, 0)->reader.seen[type];
	pthread_mutex_unlock(&lock);
	return n;
}

/*
 * Draws until `count` images have come in the form that the compression
 * makes; a server takes note of the client's wish when it gets round to it.
 */
static void draw_until(uint8_t compression, unsigned type, uint64_t count)
{
	uint8_t wish[] = {SPICE_MSGC_DISPLAY_PREFERRED_COMPRESSION,
			  0,
			  1,
			  0,
			  0,
			  0,
			  compression};
	uint64_t before;

	expect_same(0);
	before = decoded(type);
	write_all(display_fd, wish, sizeof(wish));
	for (int round = 0; decoded(type) < before + count; round++) {
		assert_in_range(round, 0, 100);
		draw_everything();
		expect_same(0);
	}
}

static void bitmaps(void **state)
{
	(void)state;
	draw_until(SPICE_IMAGE_COMPRESSION_OFF, IMAGE_TYPE_BITMAP, 60);
}

static void quic(void **state)
{
	(void)state;
	draw_until(SPICE_IMAGE_COMPRESSION_QUIC, IMAGE_TYPE_QUIC, 60);
}

static void lz(void **state)
{
	(void)state;
	draw_until(SPICE_IMAGE_COMPRESSION_LZ, IMAGE_TYPE_LZ_RGB, 30);
	draw_until(SPICE_IMAGE_COMPRESSION_LZ, IMAGE_TYPE_LZ_PLT, 30);
}

static void glz(void **state)
{
	(void)state;
	draw_until(SPICE_IMAGE_COMPRESSION_GLZ, IMAGE_TYPE_GLZ_RGB, 200);
}

/* An image of the whole screen that repeats some rows of noise. */
static void put_screen(const uint8_t *noise, int rows)
{
	struct command *c =
		command_new(QXL_DRAW_COPY, (QXLRect){0, 0, HEIGHT, WIDTH});
	QXLCopy *copy = &c->drawable.u.copy;
	QXLImage *image = command_bitmap(c, BITMAP_32BIT, WIDTH, HEIGHT, true);
	uint8_t *data = (uint8_t *)(uintptr_t)image->bitmap.data;
	size_t size = (size_t)rows * WIDTH * 4;

	for (int y = 0; y < HEIGHT; y += rows)
		memcpy(data + (size_t)y * WIDTH * 4, noise, size);
	c->drawable.effect = QXL_EFFECT_OPAQUE;
	copy->src_bitmap = (uintptr_t)image;
	copy->src_area = (QXLRect){0, 0, HEIGHT, WIDTH};
	copy->rop_descriptor = SPICE_ROPD_OP_PUT;
	command_put(c);
}

/* Matches far back in an image, and in one many images ago. */
static void glz_far(void **state)
{
	static uint8_t noise[2][WIDTH * HEIGHT / 2 * 4];

	(void)state;
	for (size_t i = 0; i < sizeof(noise); i++)
		((uint8_t *)noise)[i] = (uint8_t)next_random();
	put_screen(noise[0], 240);
	expect_same(0);
	put_screen(noise[1], 120);
	expect_same(0);
	put_screen(noise[0], 240);
	expect_same(0);
	draw_until(SPICE_IMAGE_COMPRESSION_GLZ, IMAGE_TYPE_GLZ_RGB, 100);
	put_screen(noise[1], 120);
	expect_same(0);
	put_screen(noise[0], 240);
	expect_same(0);
}

static void lz4(void **state)
{
	(void)state;
	draw_until(SPICE_IMAGE_COMPRESSION_LZ4, IMAGE_TYPE_LZ4, 30);
}

/* An image drawn twice comes from the cache the second time. */
static void cache(void **state)
{
	uint64_t before = decoded(IMAGE_TYPE_FROM_CACHE);

	(void)state;
	for (int i = 0; i < 6; i++) {
		struct command *c = new_copy(i, BITMAP_32BIT, LETTERS, i);
		struct command *again =
			new_copy(i + 8, BITMAP_32BIT, LETTERS, i);
		QXLImage *image =
			(QXLImage *)(uintptr_t)c->drawable.u.copy.src_bitmap;

		image->descriptor.flags = QXL_IMAGE_CACHE;
		((QXLImage *)(uintptr_t)again->drawable.u.copy.src_bitmap)
			->descriptor = image->descriptor;
		command_put(c);
		expect_same(0);
		command_put(again);
		expect_same(0);
	}
	assert_int_equal(decoded(IMAGE_TYPE_FROM_CACHE), before + 6);
}

/* Wrappings that a server decides on when a client connects. */
static void zlib_glz(void **state)
{
	(void)state;
	disconnect_client();
	spice_server_set_zlib_glz_compression(server,
					      SPICE_WAN_COMPRESSION_ALWAYS);
	connect_client();
	draw_until(SPICE_IMAGE_COMPRESSION_GLZ, IMAGE_TYPE_ZLIB_GLZ_RGB, 60);
}

static void jpeg(void **state)
{
	(void)state;
	disconnect_client();
	spice_server_set_jpeg_compression(server, SPICE_WAN_COMPRESSION_ALWAYS);
	connect_client();
	expect_same(255);
	for (int round = 0; decoded(IMAGE_TYPE_JPEG) < 20; round++) {
		assert_in_range(round, 0, 100);
		for (int cell = 0; cell < 40; cell++)
			command_put(new_copy(cell, BITMAP_32BIT, SMOOTH, cell));
		expect_same(24);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bitmaps), cmocka_unit_test(quic),
		cmocka_unit_test(lz),      cmocka_unit_test(glz),
		cmocka_unit_test(glz_far), cmocka_unit_test(lz4),
		cmocka_unit_test(cache),   cmocka_unit_test(zlib_glz),
		cmocka_unit_test(jpeg),
	};

	return cmocka_run_group_tests(tests, server_set_up, server_tear_down);
}
