/*
 * Sessions from messages made by hand: messages that wait for each other, what
 * is missing, damaged or not drawn, limits.
 */
#include "tests/unit/decoder_fixture.h"

static void put_wait(struct buffer *b, uint8_t id, uint64_t serial)
{
	buffer_put_u8(b, 1);
	buffer_put_u8(b, DISPLAY);
	buffer_put_u8(b, id);
	buffer_put_le64(b, serial);
}

static void waits_for_another_channel(void **state)
{
	struct fixture *f = *state;
	struct buffer b = {0};

	put_wait(&b, 0, 4);
	send(f, ON_DISPLAY_1, 5, &b);
	fill(f, ON_DISPLAY_1, 0x123456);
	assert_int_equal(pixel(f, 1), 0);
	fill(f, ON_DISPLAY, 1); /* serial 3 */
	assert_int_equal(pixel(f, 1), 0);
	fill(f, ON_DISPLAY, 2);
	assert_int_equal(pixel(f, 1), 0x123456);
}

static void waits_for_an_image_in_the_cache(void **state)
{
	struct fixture *f = *state;

	copy_cached(f, ON_DISPLAY_1, 77);
	assert_int_equal(pixel(f, 1), 0);
	copy_bitmap(f, ON_DISPLAY, 77, 0xabcdef);
	assert_int_equal(pixel(f, 0), 0xabcdef);
	assert_int_equal(pixel(f, 1), 0xabcdef);
	assert_int_equal(decoder_finish(f->decoder, NULL), 0);
	assert_int_equal(trouble(f)->missing, 0);
}

static void put_be32(struct buffer *b, uint32_t v)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		buffer_put_u8(b, (uint8_t)(v >> shift));
}

/*
 * A GLZ image of one pixel: a literal, or a copy from the image `back` ids
 * before it. No earlier image than `reach` ids back is needed from now on.
 */
static void copy_glz(struct fixture *f, int channel, uint32_t id,
		     uint32_t pixel, uint8_t back, uint32_t reach)
{
	struct buffer b = {0};

	copy_head(&b);
	put_descriptor(&b, id, IMAGE_TYPE_GLZ_RGB, 0);
	buffer_put_le32(&b, 33 + 4);
	put_be32(&b, 0x20205a4c);
	put_be32(&b, 0x00010001);
	buffer_put_u8(&b, 8 | 1 << 4);
	put_be32(&b, 1);
	put_be32(&b, 1);
	put_be32(&b, 4);
	put_be32(&b, 0);
	put_be32(&b, id);
	put_be32(&b, reach);
	if (back) {
		buffer_put_u8(&b, 1 << 5);
		buffer_put_le16(&b, 0x0000 | (uint16_t)back << 8);
		buffer_put_u8(&b, 0);
	} else {
		buffer_put_u8(&b, 0);
		buffer_put_u8(&b, pixel & 255);
		buffer_put_u8(&b, pixel >> 8 & 255);
		buffer_put_u8(&b, pixel >> 16 & 255);
	}
	send(f, channel, DISPLAY_MESSAGE_draw_copy, &b);
}

static void waits_for_an_image_in_the_glz_window(void **state)
{
	struct fixture *f = *state;

	copy_glz(f, ON_DISPLAY, 1, 0x111111, 0, 1);
	copy_glz(f, ON_DISPLAY_1, 3, 0, 1, 3);
	assert_int_equal(pixel(f, 1), 0);
	copy_glz(f, ON_DISPLAY, 2, 0x765432, 0, 2);
	assert_int_equal(pixel(f, 1), 0x765432);
	/* 5 overtakes 4; what 4 needs must still be there. */
	copy_glz(f, ON_DISPLAY_1, 5, 0x555555, 0, 0);
	copy_glz(f, ON_DISPLAY, 4, 0, 3, 3);
	assert_int_equal(pixel(f, 0), 0x111111);
	/* Now 5 has let go of all before it. */
	copy_glz(f, ON_DISPLAY, 6, 0, 5, 5);
	assert_int_equal(decoder_finish(f->decoder, NULL), 0);
	assert_int_equal(trouble(f)->missing, 1);
	assert_int_equal(trouble(f)->damaged, 0);
}

static void goes_on_without_what_never_comes(void **state)
{
	struct fixture *f = *state;

	copy_cached(f, ON_DISPLAY_1, 78);
	fill(f, ON_DISPLAY_1, 0x654321);
	assert_int_equal(pixel(f, 1), 0);
	assert_int_equal(decoder_finish(f->decoder, NULL), 0);
	assert_int_equal(pixel(f, 1), 0x654321);
	assert_int_equal(trouble(f)->missing, 1);
	assert_non_null(strstr(trouble(f)->first, "draw_copy"));
}

static void does_not_queue_without_bound(void **state)
{
	struct fixture *f = *state;

	copy_cached(f, ON_DISPLAY_1, 79);
	for (int i = 0; i < 70; i++) {
		struct buffer b = {0};

		assert_non_null(buffer_grow(&b, 1 << 20));
		send(f, ON_DISPLAY_1, 4, &b); /* a ping with ballast */
	}
	assert_int_equal(trouble(f)->missing, 1);
	fill(f, ON_DISPLAY_1, 0x111111);
	assert_int_equal(pixel(f, 1), 0x111111);
}

/* As libspice-server sends it, with sizes that are too large. */
static void reads_lists_by_content(void **state)
{
	struct fixture *f = *state;
	struct buffer b = {0};

	copy_bitmap(f, ON_DISPLAY, 5, 0x50);
	buffer_put_le16(&b, 2);
	put_numbers(&b, 2, 0x1b, 0x0a);
	buffer_put_le16(&b, DISPLAY_MESSAGE_inval_list);
	buffer_put_le32(&b, 24);
	buffer_put_le16(&b, 1);
	buffer_put_u8(&b, 1);
	buffer_put_le64(&b, 5);
	buffer_put_le16(&b, 5);
	buffer_put_le32(&b, 24);
	put_wait(&b, 1, 3);
	send(f, ON_DISPLAY, 8, &b);
	fill(f, ON_DISPLAY, 0x60);
	assert_int_equal(pixel(f, 0), 0x50);
	fill(f, ON_DISPLAY_1, 0x70);
	assert_int_equal(pixel(f, 0), 0x60);
	/* The image is gone from the cache. */
	copy_cached(f, ON_DISPLAY, 5);
	assert_int_equal(decoder_finish(f->decoder, NULL), 0);
	assert_int_equal(trouble(f)->missing, 1);
	assert_int_equal(trouble(f)->damaged, 0);
}

static void counts_what_it_does_not_draw(void **state)
{
	struct fixture *f = *state;
	struct buffer b = {0};

	/* Its pixels never come over the wire. */
	for (unsigned i = 0; i < 4; i++)
		buffer_put_le32(&b, 8);
	send(f, ON_DISPLAY, DISPLAY_MESSAGE_gl_draw, &b);
	assert_int_equal(trouble(f)->undrawn, 1);
	assert_int_equal(trouble(f)->damaged, 0);
	assert_int_equal(decoder_display(f->decoder, 0)
				 ->undrawn[DISPLAY_MESSAGE_gl_draw],
			 1);
}

/* The primary of old servers, of 32 or 16 bits; 555 red is 0x7c00. */
static void makes_the_primary_from_a_mode(void **state)
{
	struct fixture *f = *state;
	const struct surface *primary;
	struct buffer b = {0};

	put_numbers(&b, 3, 20, 10, 16);
	send(f, ON_DISPLAY, DISPLAY_MESSAGE_mode, &b);
	send(f, ON_DISPLAY, DISPLAY_MESSAGE_mark, &b);
	fill(f, ON_DISPLAY, 0x7c00);
	primary = decoder_display(f->decoder, 0)->surfaces[0];
	assert_int_equal(primary->width, 20);
	assert_int_equal(primary->height, 10);
	assert_int_equal(primary->format, SURFACE_16_555);
	assert_int_equal(primary->pixels[0], 0x7c00);
	put_numbers(&b, 3, 20, 10, 32);
	send(f, ON_DISPLAY, DISPLAY_MESSAGE_mode, &b);
	primary = decoder_display(f->decoder, 0)->surfaces[0];
	assert_int_equal(primary->format, SURFACE_32_XRGB);
	assert_int_equal(primary->pixels[0], 0);
	assert_int_equal(trouble(f)->damaged, 0);
}

static void leaves_out_what_is_damaged(void **state)
{
	struct fixture *f = *state;
	struct buffer b = {0};

	put_base(&b, 1, 1);
	buffer_put_le32(&b, 0x7fffffff);
	send(f, ON_DISPLAY, DISPLAY_MESSAGE_draw_copy, &b);
	assert_ptr_equal(strstr(trouble(f)->first, "display:0, message 3 "
						   "draw_copy at offset 103: "),
			 trouble(f)->first);
	create_surface(f, ON_DISPLAY, 1, 1 << 20, 1 << 20);
	create_surface(f, ON_DISPLAY, 2000, 4, 4);
	/* 8192 x 4096 are 32 Mi pixels: one more fits, the next does not. */
	create_surface(f, ON_DISPLAY, 2, 8192, 4096);
	assert_int_equal(trouble(f)->damaged, 3);
	create_surface(f, ON_DISPLAY, 3, 8192, 4096);
	assert_int_equal(trouble(f)->damaged, 4);
	fill(f, ON_DISPLAY, 0x222222);
	assert_int_equal(pixel(f, 0), 0x222222);
}

static void waits_that_can_not_end(void **state)
{
	struct fixture *f = *state;
	struct buffer b = {0};

	/* Each waits for the other. */
	put_wait(&b, 1, 100);
	send(f, ON_DISPLAY, 5, &b);
	fill(f, ON_DISPLAY, 0x101010);
	b = (struct buffer){0};
	put_wait(&b, 0, 100);
	send(f, ON_DISPLAY_1, 5, &b);
	fill(f, ON_DISPLAY_1, 0x202020);
	assert_int_equal(pixel(f, 0), 0);
	assert_int_equal(pixel(f, 1), 0);
	/* The one that is waited for goes away. */
	close_channel(f, ON_DISPLAY_1, ON_DISPLAY_1);
	assert_int_equal(pixel(f, 0), 0x101010);
	/* For itself: until the end. */
	b = (struct buffer){0};
	put_wait(&b, 0, 1000);
	send(f, ON_DISPLAY, 5, &b);
	fill(f, ON_DISPLAY, 0x303030);
	assert_int_equal(pixel(f, 0), 0x101010);
	assert_int_equal(decoder_finish(f->decoder, NULL), 0);
	assert_int_equal(pixel(f, 0), 0x303030);
	assert_int_equal(pixel(f, 1), 0x202020);
	/* A list that is cut short is damage and no wait. */
	b = (struct buffer){0};
	buffer_put_le16(&b, 0x0202);
	send(f, ON_DISPLAY, 5, &b);
	assert_int_equal(trouble(f)->damaged, 1);
	assert_non_null(strstr(trouble(f)->first, "display:0"));
	assert_non_null(strstr(trouble(f)->first, "wait_for_channels"));
}

static void drops_all_images_in_time(void **state)
{
	struct fixture *f = *state;
	struct buffer b = {0};

	copy_bitmap(f, ON_DISPLAY_1, 7, 0x707070); /* serial 3 */
	put_wait(&b, 1, 4);
	send(f, ON_DISPLAY, DISPLAY_MESSAGE_inval_all_pixmaps, &b);
	/* Still needed, and there. */
	copy_cached(f, ON_DISPLAY_1, 7);
	fill(f, ON_DISPLAY, 0x111111);
	assert_int_equal(pixel(f, 0), 0x111111);
	copy_cached(f, ON_DISPLAY_1, 7);
	assert_int_equal(decoder_finish(f->decoder, NULL), 0);
	assert_int_equal(trouble(f)->missing, 1);
}

/* A kept image over the pixel at (0, 0), moved far away. */
static void compose_elsewhere(struct fixture *f, uint64_t id)
{
	struct buffer b = {0};

	put_base(&b, 1, 1);
	put_numbers(&b, 2, 1u << 20 | 3, 61); /* with a transform; OVER */
	put_numbers(&b, 6, 1 << 16, 0, 5 << 16, 0, 1 << 16, 0);
	put_numbers(&b, 2, 0, 0);
	put_descriptor(&b, id, IMAGE_TYPE_FROM_CACHE, 0);
	send(f, ON_DISPLAY, DISPLAY_MESSAGE_draw_composite, &b);
}

static void blend_cached(struct fixture *f, uint64_t id, uint32_t width)
{
	struct buffer b = {0};

	put_base(&b, 1, 1);
	buffer_put_le16(&b, 0xff00); /* alpha 255 */
	put_numbers(&b, 5, 43, 0, 0, 1, width);
	put_descriptor(&b, id, IMAGE_TYPE_FROM_CACHE, 0);
	send(f, ON_DISPLAY, DISPLAY_MESSAGE_draw_alpha_blend, &b);
}

/* As spice-gtk does: an image is looked at as it was the last time. */
static void keeps_transforms_of_images(void **state)
{
	struct fixture *f = *state;

	copy_bitmap(f, ON_DISPLAY, 7, 0x707070);
	fill(f, ON_DISPLAY, 1);
	blend_cached(f, 7, 1);
	assert_int_equal(pixel(f, 0), 0x707070);
	fill(f, ON_DISPLAY, 2);
	compose_elsewhere(f, 7);
	assert_int_equal(pixel(f, 0), 2);
	blend_cached(f, 7, 1);
	assert_int_equal(pixel(f, 0), 2);
	/* But for plain copies; and scaling ends it. */
	copy_cached(f, ON_DISPLAY, 7);
	assert_int_equal(pixel(f, 0), 0x707070);
	blend_cached(f, 7, 2);
	fill(f, ON_DISPLAY, 3);
	blend_cached(f, 7, 1);
	assert_int_equal(pixel(f, 0), 0x707070);
	assert_int_equal(trouble(f)->damaged, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(waits_for_another_channel),
		CASE(waits_for_an_image_in_the_cache),
		CASE(waits_for_an_image_in_the_glz_window),
		CASE(goes_on_without_what_never_comes),
		CASE(does_not_queue_without_bound),
		CASE(reads_lists_by_content),
		CASE(counts_what_it_does_not_draw),
		CASE(makes_the_primary_from_a_mode),
		CASE(leaves_out_what_is_damaged),
		CASE(waits_that_can_not_end),
		CASE(drops_all_images_in_time),
		CASE(keeps_transforms_of_images),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
