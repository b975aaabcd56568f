/*
 * A session's decoder on arbitrary messages: display, cursor, playback, record,
 * main and inputs, what waits for what, the screen and its conversion.
 *
 * Input: records of u8 channel (index | to-guest flag), u8 type, u16 size,
 * body. Types are picked from those that exist, so that bytes are not wasted.
 */
#include "recorder/decoder.h"
#include "recorder/screen.h"
#include "recorder/yuv.h"

#include <libavutil/log.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHANNELS 7
#define SIZE 256 /* of the canvas, px */

static const uint8_t channel_types[CHANNELS] = {1, 2, 2, 4, 5, 3, 6};

static int take_samples(void *user, uint64_t at, const int16_t *samples,
			unsigned frames, struct error *error)
{
	(void)at;
	(void)error;
	*(int64_t *)user += frames ? samples[2 * frames - 1] : 0;
	return 0;
}

static uint16_t pick_type(uint8_t channel_type, uint8_t byte)
{
	static const uint16_t display[] = {
#define DISPLAY_MESSAGE(number, name, ...) number,
		SPICE_DISPLAY_TO_CLIENT(DISPLAY_MESSAGE)
#undef DISPLAY_MESSAGE
	};
	unsigned n = sizeof(display) / sizeof(*display);

	if (byte < 16)
		return byte;
	if (channel_type == 2)
		return display[(byte - 16) % n];
	return 101 + (byte - 16) % 16;
}

static void look(struct decoder *decoder)
{
	static uint8_t y[SIZE * SIZE], u[SIZE * SIZE / 4], v[SIZE * SIZE / 4];
	uint8_t *planes[] = {y, u, v};
	int strides[] = {SIZE, SIZE / 2, SIZE / 2};
	pixman_region32_t changed;
	struct screen *screen;

	if (screen_new(&screen, decoder, SIZE, SIZE, true, NULL))
		return;
	pixman_region32_init(&changed);
	screen_update(screen, &changed);
	yuv_convert(YUV_420, screen, &changed, planes, strides);
	pixman_region32_fini(&changed);
	screen_free(screen);
}

static void begin(struct decoder *decoder, struct capture_channel *channels)
{
	for (int i = 0; i < CHANNELS; i++) {
		struct capture_item item = {.kind = CAPTURE_RESULT,
					    .data = (const uint8_t *)"\0\0\0",
					    .size = 4,
					    .channel = &channels[i]};

		channels[i].number = i;
		channels[i].mess.channel_type = channel_types[i];
		channels[i].mess.channel_id = i == 2;
		decoder_feed(decoder, &item, NULL);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct capture_channel channels[CHANNELS] = {0};
	uint64_t serials[CHANNELS] = {0};
	int64_t sum = 0;
	struct decoder_options options = {
		.sound = {.samples = take_samples, .user = &sum},
		.microphone = {.samples = take_samples, .user = &sum}};
	struct bytes in = bytes_of(data, size);
	struct decoder *decoder;
	uint64_t time = 0;

	av_log_set_level(AV_LOG_QUIET);
	if (decoder_new(&decoder, &options, NULL))
		abort();
	begin(decoder, channels);
	while (bytes_left(&in) >= 4) {
		uint8_t which = bytes_u8(&in);
		unsigned i = (which & 127) % CHANNELS;
		struct capture_item item = {
			.kind = CAPTURE_MESSAGE,
			.channel = &channels[i],
			.direction = which & 128 ? CAPTURE_TO_GUEST
						 : CAPTURE_TO_CLIENT,
			.time = time += 10000000};

		item.type = pick_type(channel_types[i], bytes_u8(&in));
		item.size = bytes_le16(&in);
		if (item.size > bytes_left(&in))
			item.size = bytes_left(&in);
		item.data = bytes_take(&in, item.size);
		item.serial = ++serials[i];
		if (decoder_feed(decoder, &item, NULL))
			break;
	}
	look(decoder);
	decoder_finish(decoder, NULL);
	look(decoder);
	decoder_free(decoder);
	return 0;
}
