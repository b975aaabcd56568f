/*
 * A whole recording: channels that link, messages on them at times of the
 * input's choice, packed in frames with entries and an index, as a recorder
 * would leave it; perhaps cut, perhaps with a byte damaged. It is surveyed,
 * shown and now and then rendered.
 */
#include "recorder/capture_frame.h"
#include "recorder/decoder.h"
#include "recorder/link.h"
#include "recorder/pcapng.h"
#include "recorder/picture.h"
#include "recorder/render.h"
#include "tests/fuzz/message.h"

#include <fcntl.h>
#include <libavutil/log.h>
#include <spice/protocol.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHANNELS 6
#define PLAIN_MAX 65536 /* bytes of pcapng */
#define TIME UINT64_C(1700000000000000000)

static const uint8_t channel_types[CHANNELS] = {1, 2, 2, 4, 5, 3};

struct recording {
	struct buffer plain;
	uint32_t seq[CHANNELS][2];
	uint64_t time;
	struct capture_counts counts;
};

static void add(struct recording *r, unsigned channel,
		enum capture_direction direction, uint8_t flags,
		const void *data, size_t size)
{
	struct pcapng_segment s = {
		.time = r->time,
		.channel = channel,
		.direction = direction,
		.flags = flags,
		.seq = r->seq[channel][direction],
		.ack = r->seq[channel][!direction],
	};
	uint8_t *at = buffer_grow(&r->plain, pcapng_segment_size(size, flags));

	pcapng_put_segment(at, &s, NULL, 0, data, size);
	r->seq[channel][direction] +=
		(uint32_t)size + (flags & (PCAPNG_SYN | PCAPNG_FIN) ? 1 : 0);
	r->counts.packets++;
}

static void open_channel(struct recording *r, unsigned i)
{
	struct link_mess mess = {.channel_type = channel_types[i],
				 .channel_id = i == 2};
	struct link_reply reply = {0};
	uint8_t ticket[LINK_TICKET_SIZE] = {0};
	struct buffer b = {0};

	link_caps_set(&mess.common, SPICE_COMMON_CAP_MINI_HEADER, true);
	link_caps_set(&reply.common, SPICE_COMMON_CAP_MINI_HEADER, true);
	add(r, i, CAPTURE_TO_GUEST, PCAPNG_SYN, NULL, 0);
	add(r, i, CAPTURE_TO_CLIENT, PCAPNG_SYN | PCAPNG_ACK, NULL, 0);
	link_mess_build(&b, &mess);
	add(r, i, CAPTURE_TO_GUEST, PCAPNG_ACK, b.data, b.size);
	b.size = 0;
	link_reply_build(&b, &reply);
	add(r, i, CAPTURE_TO_CLIENT, PCAPNG_ACK, b.data, b.size);
	add(r, i, CAPTURE_TO_GUEST, PCAPNG_ACK, ticket, sizeof(ticket));
	add(r, i, CAPTURE_TO_CLIENT, PCAPNG_ACK, "\0\0\0", 4);
	r->counts.channels++;
	buffer_free(&b);
}

static void send(struct recording *r, unsigned channel,
		 enum capture_direction direction, uint16_t type,
		 const struct buffer *body)
{
	struct buffer b = {0};

	buffer_put_le16(&b, type);
	buffer_put_le32(&b, (uint32_t)body->size);
	buffer_put(&b, body->data, body->size);
	if (b.size <= PCAPNG_PAYLOAD_MAX)
		add(r, channel, direction, PCAPNG_ACK, b.data, b.size);
	buffer_free(&b);
}

static void begin(struct recording *r)
{
	static const uint32_t fields[] = {0, 64, 48, SURFACE_32_XRGB, 1};
	struct capture_session session = {"1", "v", "c"};
	struct buffer b = {0};
	uint8_t *at = buffer_grow(&r->plain, PCAPNG_SECTION_SIZE_MAX);

	r->plain.size = (size_t)(pcapng_put_section(at, &session, NULL) -
				 r->plain.data);
	for (unsigned i = 0; i < CHANNELS; i++)
		open_channel(r, i);
	for (unsigned i = 0; i < 5; i++)
		buffer_put_le32(&b, fields[i]);
	send(r, 1, CAPTURE_TO_CLIENT, DISPLAY_MESSAGE_surface_create, &b);
	b.size = 0;
	send(r, 1, CAPTURE_TO_CLIENT, DISPLAY_MESSAGE_mark, &b);
	buffer_free(&b);
}

/* A message of the display, or any bytes on any channel. */
static void add_message(struct recording *r, struct bytes *in)
{
	unsigned channel = input_below(in, 8);
	struct buffer b = {0};
	struct bytes body;
	uint16_t type;

	r->time += (uint64_t)bytes_u8(in) << input_below(in, 32);
	if (channel >= CHANNELS)
		channel = 1;
	if (channel_types[channel] == 2) {
		type = message_build(&b, in);
		send(r, channel, CAPTURE_TO_CLIENT, type, &b);
	} else {
		type = input_below(in, 16);
		body = input_take(in, bytes_u8(in));
		buffer_put(&b, body.data, body.size);
		send(r, channel, channel == 5, type < 8 ? type : 93 + type, &b);
	}
	buffer_free(&b);
}

/* One frame, its entry, the index. */
static void pack(const struct recording *r, struct buffer *file)
{
	size_t room = ZSTD_compressBound(r->plain.size);
	uint8_t *at = buffer_grow(file, room + CAPTURE_ENTRY_SIZE);
	struct capture_totals totals = {.frames = 1,
					.plain = r->plain.size,
					.first_time = TIME,
					.last_time = r->time,
					.counts = r->counts};
	struct capture_record record = {.first_time = TIME,
					.last_time = r->time};
	struct capture_entry entry = {.plain = (uint32_t)r->plain.size,
				      .first_time = TIME,
				      .last_time = r->time,
				      .counts = r->counts};

	entry.packed = (uint32_t)ZSTD_compress(at, room, r->plain.data,
					       r->plain.size, 1);
	capture_entry_put(at + entry.packed, &entry);
	file->size = entry.packed + CAPTURE_ENTRY_SIZE;
	capture_index_put(file, &totals, &record, file->size);
}

static int no_file(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = memfd_create("video", 0);
	if (fd < 0 || ftruncate(fd, 0) < 0)
		abort();
	return fd;
}

static int cancel_late(void *user, double done)
{
	(void)done;
	return ++*(int *)user > 40;
}

static void read_all(int fd, bool whole)
{
	static struct render_result result;
	struct render_options options = {
		.fps = 5, .preset = "ultrafast", .threads = 1};
	struct error error = {0};
	struct picture *picture;
	int steps = 0;

	picture_render(fd, PICTURE_AT_END, 0, true, &picture, &error);
	picture_free(picture);
	if (whole &&
	    render(fd, no_file(), &options, cancel_late, &steps, &result,
		   &error) &&
	    !error.text[0])
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct recording r = {.time = TIME};
	struct bytes in = bytes_of(data, size);
	struct buffer file = {0}, *all = &file;
	uint8_t how = bytes_u8(&in), where = bytes_u8(&in);
	static int fd = -1;

	av_log_set_level(AV_LOG_QUIET);
	if (fd < 0)
		fd = memfd_create("capture", 0);
	begin(&r);
	while (input_more(&in) && r.plain.size < PLAIN_MAX)
		add_message(&r, &in);
	if (how & 1)
		all = &r.plain;
	else
		pack(&r, &file);
	if (how & 2)
		all->size = all->size * where / 256;
	if (how & 4 && all->size)
		all->data[all->size * where / 256] ^= 1u << (how >> 5);
	if (ftruncate(fd, 0) ||
	    pwrite(fd, all->data, all->size, 0) != (ssize_t)all->size)
		abort();
	/* Rendering takes longest; a whole minute of it is too long. */
	read_all(fd, (how & 24) == 24 && r.time - TIME < 60000000000);
	buffer_free(&file);
	buffer_free(&r.plain);
	return 0;
}
