/*
 * A playback or record channel: runs, modes, raw samples and Opus, clocks that
 * jump.
 */
#include "recorder/playback.h"
#include "tests/fuzz/input.h"

#include <libavutil/log.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile int16_t seen;

static int take(void *user, uint64_t at, const int16_t *samples,
		unsigned frames, struct error *error)
{
	uint64_t *given = user;

	(void)at;
	(void)error;
	if (!frames)
		abort();
	for (unsigned i = 0; i < frames * PLAYBACK_CHANNELS; i++)
		seen ^= samples[i];
	*given += frames;
	return 0;
}

static void put_start(struct buffer *b, struct bytes *in)
{
	static const uint32_t rates[] = {48000, 44100, 8000,       4000,
					 96000, 48000, UINT32_MAX, 0};

	buffer_put_le32(b, input_below(in, 10));
	buffer_put_le16(b, input_below(in, 32) ? 1 : 2);
	buffer_put_le32(b, rates[input_below(in, 8)]);
	buffer_put_le32(b, bytes_le16(in));
}

static uint16_t build(struct buffer *b, struct bytes *in)
{
	static const uint16_t types[] = {101, 101, 101, 101, 101, 102,
					 103, 104, 105, 106, 107, 108};
	uint16_t type = types[input_below(in, 12)];
	struct bytes part;

	switch (type) {
	case 101: /* data: time, packet */
		buffer_put_le32(b, bytes_le16(in));
		part = input_take(in, bytes_u8(in));
		buffer_put(b, part.data, part.size);
		break;
	case 102: /* mode: time, mode */
		buffer_put_le32(b, 0);
		buffer_put_le16(b, input_below(in, 5));
		break;
	case 103:
		put_start(b, in);
		break;
	default:
		part = input_take(in, bytes_u8(in) % 32);
		buffer_put(b, part.data, part.size);
		break;
	}
	return type;
}

/* A record channel's numbers mean other things in the two directions. */
static int send(struct playback *playback, bool record, uint16_t type,
		struct bytes body, uint64_t time, struct error *error)
{
	if (!record)
		return playback_message(playback, type, body, time, error);
	if (type > 102)
		return playback_record_message(playback, type - 2, body, error);
	return playback_record_client(playback, type, body, time, error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = bytes_of(data, size);
	uint64_t given = 0, time = UINT64_C(1700000000000000000);
	struct playback_sink sink = {take, &given, false};
	bool record = bytes_u8(&in) & 1;
	struct playback *playback;

	av_log_set_level(AV_LOG_QUIET);
	sink.as_heard = bytes_u8(&in) & 1;
	if (playback_new(&playback, sink, NULL))
		abort();
	while (input_more(&in)) {
		struct buffer b = {0};
		struct error error = {0};
		uint16_t type = build(&b, &in);

		time += (uint64_t)bytes_u8(&in) * 4000000;
		if (send(playback, record, type, bytes_of(b.data, b.size), time,
			 &error) &&
		    !error.text[0])
			abort();
		buffer_free(&b);
	}
	playback_free(playback);
	return 0;
}
