/*
 * Recordings made of a fuzzer's input: channels of every type that link, and
 * messages on them at times of the input's choice, packed in a frame with its
 * entry and an index, as a recorder would leave it; perhaps cut, perhaps with
 * a byte damaged.
 */
#ifndef TESTS_FUZZ_RECORDING_H
#define TESTS_FUZZ_RECORDING_H

#include "recorder/capture_frame.h"
#include "recorder/link.h"
#include "recorder/pcapng.h"
#include "tests/fuzz/message.h"

#include <spice/protocol.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#define RECORDING_CHANNELS 12
#define RECORDING_PLAIN_MAX 65536 /* bytes of pcapng */
#define RECORDING_TIME UINT64_C(1700000000000000000)

/* main, two displays, cursor, sound, inputs, microphone and the rest */
static const uint8_t recording_types[RECORDING_CHANNELS] = {1, 2, 2, 4, 5,  3,
							    6, 7, 8, 9, 10, 11};

struct recording {
	struct buffer plain;
	uint32_t seq[RECORDING_CHANNELS][2];
	uint64_t time;
	struct capture_counts counts;
};

static inline void recording_add(struct recording *r, unsigned channel,
				 enum capture_direction direction,
				 uint8_t flags, const void *data, size_t size)
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

static inline void recording_open_channel(struct recording *r, unsigned i)
{
	struct link_mess mess = {.channel_type = recording_types[i],
				 .channel_id = i == 2};
	struct link_reply reply = {0};
	uint8_t ticket[LINK_TICKET_SIZE] = {0};
	struct buffer b = {0};

	link_caps_set(&mess.common, SPICE_COMMON_CAP_MINI_HEADER, true);
	link_caps_set(&reply.common, SPICE_COMMON_CAP_MINI_HEADER, true);
	recording_add(r, i, CAPTURE_TO_GUEST, PCAPNG_SYN, NULL, 0);
	recording_add(r, i, CAPTURE_TO_CLIENT, PCAPNG_SYN | PCAPNG_ACK, NULL,
		      0);
	link_mess_build(&b, &mess);
	recording_add(r, i, CAPTURE_TO_GUEST, PCAPNG_ACK, b.data, b.size);
	b.size = 0;
	link_reply_build(&b, &reply);
	recording_add(r, i, CAPTURE_TO_CLIENT, PCAPNG_ACK, b.data, b.size);
	recording_add(r, i, CAPTURE_TO_GUEST, PCAPNG_ACK, ticket,
		      sizeof(ticket));
	recording_add(r, i, CAPTURE_TO_CLIENT, PCAPNG_ACK, "\0\0\0", 4);
	r->counts.channels++;
	buffer_free(&b);
}

static inline void recording_send(struct recording *r, unsigned channel,
				  enum capture_direction direction,
				  uint16_t type, const struct buffer *body)
{
	struct buffer b = {0};

	buffer_put_le16(&b, type);
	buffer_put_le32(&b, (uint32_t)body->size);
	buffer_put(&b, body->data, body->size);
	if (b.size <= PCAPNG_PAYLOAD_MAX)
		recording_add(r, channel, direction, PCAPNG_ACK, b.data,
			      b.size);
	buffer_free(&b);
}

static inline void recording_begin(struct recording *r)
{
	static const uint32_t fields[] = {0, 64, 48, SURFACE_32_XRGB, 1};
	struct capture_session session = {"1", "v", "c"};
	struct buffer b = {0};
	uint8_t *at = buffer_grow(&r->plain, PCAPNG_SECTION_SIZE_MAX);

	r->plain.size = (size_t)(pcapng_put_section(at, &session, NULL) -
				 r->plain.data);
	for (unsigned i = 0; i < RECORDING_CHANNELS; i++)
		recording_open_channel(r, i);
	for (unsigned i = 0; i < 5; i++)
		buffer_put_le32(&b, fields[i]);
	recording_send(r, 1, CAPTURE_TO_CLIENT, DISPLAY_MESSAGE_surface_create,
		       &b);
	b.size = 0;
	recording_send(r, 1, CAPTURE_TO_CLIENT, DISPLAY_MESSAGE_mark, &b);
	buffer_free(&b);
}

/* A message of the display, or any bytes on any channel. */
static inline void recording_add_message(struct recording *r, struct bytes *in)
{
	uint8_t where = bytes_u8(in);
	unsigned channel = where % 16;
	struct buffer b = {0};
	struct bytes body;
	uint16_t type;

	r->time += (uint64_t)bytes_u8(in) << input_below(in, 32);
	if (channel >= RECORDING_CHANNELS)
		channel = 1;
	if (recording_types[channel] == 2 && where < 240) {
		type = message_build(&b, in);
		recording_send(r, channel, CAPTURE_TO_CLIENT, type, &b);
	} else {
		type = input_below(in, 32);
		body = input_take(in, bytes_u8(in));
		buffer_put(&b, body.data, body.size);
		recording_send(r, channel, where / 16 % 2,
			       type < 8 ? type : 93 + type, &b);
	}
	buffer_free(&b);
}

/* One frame, its entry, the index. */
static inline void recording_pack(const struct recording *r,
				  struct buffer *file)
{
	size_t room = ZSTD_compressBound(r->plain.size);
	uint8_t *at = buffer_grow(file, room + CAPTURE_ENTRY_SIZE);
	struct capture_totals totals = {.frames = 1,
					.plain = r->plain.size,
					.first_time = RECORDING_TIME,
					.last_time = r->time,
					.counts = r->counts};
	struct capture_record record = {.first_time = RECORDING_TIME,
					.last_time = r->time};
	struct capture_entry entry = {.plain = (uint32_t)r->plain.size,
				      .first_time = RECORDING_TIME,
				      .last_time = r->time,
				      .counts = r->counts};

	entry.packed = (uint32_t)ZSTD_compress(at, room, r->plain.data,
					       r->plain.size, 1);
	capture_entry_put(at + entry.packed, &entry);
	file->size = entry.packed + CAPTURE_ENTRY_SIZE;
	capture_index_put(file, &totals, &record, file->size);
}

/*
 * A file of the input, in fd, which stays the fuzzer's: what is left of it
 * has no meaning. Its length, ns.
 */
static inline uint64_t recording_make(struct bytes *in, int fd)
{
	struct recording r = {.time = RECORDING_TIME};
	struct buffer file = {0}, *all = &file;
	uint8_t how = bytes_u8(in), where = bytes_u8(in);

	recording_begin(&r);
	while (input_more(in) && r.plain.size < RECORDING_PLAIN_MAX)
		recording_add_message(&r, in);
	if (how & 1)
		all = &r.plain;
	else
		recording_pack(&r, &file);
	if (how & 2)
		all->size = all->size * where / 256;
	if (how & 4 && all->size)
		all->data[all->size * where / 256] ^= 1u << (how >> 5);
	if (ftruncate(fd, 0) ||
	    pwrite(fd, all->data, all->size, 0) != (ssize_t)all->size)
		abort();
	buffer_free(&file);
	buffer_free(&r.plain);
	return r.time - RECORDING_TIME;
}

#endif
