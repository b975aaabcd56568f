/*
 * Video streams of every codec: frames of their own size, clips, streams that
 * end or lose their surface in the middle.
 */
#include "recorder/display.h"
#include "tests/fuzz/message.h"

#include <libavutil/log.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MESSAGES 32
#define STREAMS 3

static void put_dest(struct buffer *b, struct bytes *in)
{
	struct message_builder m = {.in = in, .out = *b};

	message_rect(&m);
	*b = m.out;
}

static void put_clip(struct buffer *b, struct bytes *in)
{
	struct message_builder m = {.in = in, .out = *b};

	message_clip(&m);
	*b = m.out;
}

static void put_create(struct buffer *b, struct bytes *in, uint8_t codec)
{
	buffer_put_le32(b, input_below(in, 2));
	buffer_put_le32(b, input_below(in, STREAMS));
	buffer_put_u8(b, bytes_u8(in) & 1);
	buffer_put_u8(b, codec);
	buffer_put_le64(b, 0);
	for (unsigned i = 0; i < 4; i++)
		buffer_put_le32(b, input_below(in, 80));
	put_dest(b, in);
	put_clip(b, in);
}

static void put_data(struct buffer *b, struct bytes *in, bool sized)
{
	struct bytes frame;

	buffer_put_le32(b, input_below(in, STREAMS));
	buffer_put_le32(b, 0);
	if (sized) {
		buffer_put_le32(b, input_below(in, 80));
		buffer_put_le32(b, input_below(in, 80));
		put_dest(b, in);
	}
	frame = input_take(in, bytes_le16(in) % 2048);
	buffer_put_le32(b, (uint32_t)frame.size + !input_below(in, 64));
	buffer_put(b, frame.data, frame.size);
}

static uint16_t build(struct buffer *b, struct bytes *in, uint8_t codec)
{
	static const uint16_t types[] = {123, 123, 123, 123, 122, 316,
					 123, 124, 125, 126, 315, 314};
	uint16_t type = types[input_below(in, 12)];

	switch (type) {
	case DISPLAY_MESSAGE_stream_create:
		put_create(b, in, codec);
		break;
	case DISPLAY_MESSAGE_stream_data:
	case DISPLAY_MESSAGE_stream_data_sized:
		put_data(b, in, type == DISPLAY_MESSAGE_stream_data_sized);
		break;
	case DISPLAY_MESSAGE_surface_create:
		buffer_put_le32(b, input_below(in, 2));
		buffer_put_le32(b, 1 + input_below(in, 64));
		buffer_put_le32(b, 1 + input_below(in, 64));
		buffer_put_le32(b, SURFACE_32_XRGB);
		buffer_put_le32(b, 1);
		break;
	case DISPLAY_MESSAGE_surface_destroy:
		buffer_put_le32(b, input_below(in, 2));
		break;
	default:
		buffer_put_le32(b, input_below(in, STREAMS));
		put_clip(b, in);
		break;
	}
	return type;
}

static void send(struct display *display, uint16_t type, const struct buffer *b)
{
	struct error error = {0};

	if (display_message(display, type, bytes_of(b->data, b->size),
			    &error) &&
	    !error.text[0])
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t first[] = {0, 48, 32, SURFACE_32_XRGB, 1};
	struct bytes in = bytes_of(data, size);
	uint8_t codec = 1 + input_below(&in, 6);
	struct image_cache *images;
	struct glz_window *window;
	struct display *display;
	struct buffer b = {0};

	av_log_set_level(AV_LOG_QUIET);
	if (image_cache_new(&images, IMAGE_CACHE_PIXELS, NULL) ||
	    glz_window_new(&window, NULL) ||
	    display_new(&display, images, window, NULL))
		abort();
	for (unsigned i = 0; i < 5; i++)
		buffer_put_le32(&b, first[i]);
	send(display, DISPLAY_MESSAGE_surface_create, &b);
	b.size = 0;
	put_create(&b, &in, codec);
	send(display, DISPLAY_MESSAGE_stream_create, &b);
	for (unsigned n = 0; n < MESSAGES && input_more(&in); n++) {
		b.size = 0;
		send(display, build(&b, &in, codec), &b);
	}
	buffer_free(&b);
	display_free(display);
	image_cache_free(images);
	glz_window_free(window);
	return 0;
}
