/*
 * Every drawing of the display channel on surfaces of every format, from
 * images in every place: in the message, in the cache, on a surface.
 */
#include "tests/fuzz/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MESSAGES 24 /* at most, of one input */

static void create(struct display *display, uint32_t id, uint32_t format)
{
	struct buffer b = {0};
	const uint32_t fields[] = {id, 64 - 8 * id, 48, format, !id};

	for (unsigned i = 0; i < 5; i++)
		buffer_put_le32(&b, fields[i]);
	if (display_message(display, DISPLAY_MESSAGE_surface_create,
			    bytes_of(b.data, b.size), NULL))
		abort();
	buffer_free(&b);
}

static void draw(struct display *display, struct bytes *in)
{
	struct error error = {0};
	struct buffer b;
	uint16_t type = message_build(&b, in);
	int r = display_message(display, type, bytes_of(b.data, b.size),
				&error);

	if (r && !error.text[0])
		abort();
	buffer_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t formats[] = {32, 32, 96, 16, 80, 8, 1};
	struct bytes in = bytes_of(data, size);
	struct image_cache *images;
	struct glz_window *window;
	struct display *display;
	pixman_box32_t part;

	if (image_cache_new(&images, IMAGE_CACHE_PIXELS, NULL) ||
	    glz_window_new(&window, NULL) ||
	    display_new(&display, images, window, NULL))
		abort();
	for (uint32_t id = 0; id < MESSAGE_SURFACES; id++)
		create(display, id, formats[input_below(&in, 7)]);
	for (unsigned n = 0; n < MESSAGES && input_more(&in); n++)
		draw(display, &in);
	display_visible(display, &part);
	display_free(display);
	image_cache_free(images);
	glz_window_free(window);
	return 0;
}
