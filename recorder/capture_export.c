/* Writes a capture as plain pcapng; see capture_export.h. */
#include "recorder/capture_export.h"

#include <assert.h>
#include <spice/enums.h>
#include <spice/vd_agent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/bytes.h"
#include "recorder/capture_reader.h"
#include "recorder/capture_source.h"
#include "recorder/framer.h"
#include "recorder/pcapng.h"

#define FLUSH_SIZE (1u << 18)

static const char tshark_comment[] =
	"exported for Wireshark: messages that its SPICE dissector can't pass "
	"over are left out (migration, waits, most of the client's settings, "
	"agent, record, smartcard and WebDAV data); lists are split";

struct exported;

struct out {
	int fd;
	struct buffer buffer;
	struct exported *channels; /* all, to be freed */
};

static int flush(struct out *out, size_t least, struct error *error)
{
	struct buffer *b = &out->buffer;
	size_t done = 0;

	if (b->failed)
		return error_errno(error, ENOMEM, "cannot export");
	if (b->size < least)
		return 0;
	while (done < b->size) {
		ssize_t n = write(out->fd, b->data + done, b->size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(error, errno,
					   "cannot write the export");
		done += (size_t)n;
	}
	b->size = 0;
	return 0;
}

static int export_plain(struct out *out, int in_fd, struct error *error)
{
	struct capture_source *source;
	struct capture_block block;
	struct error later;
	int r = capture_source_new(&source, in_fd, error), w = 0;

	if (r < 0)
		return r;
	while ((r = capture_source_next(source, &block, error)) > 0) {
		buffer_put(&out->buffer, block.data, block.size);
		w = flush(out, FLUSH_SIZE, error);
		if (w < 0)
			break;
	}
	if (w == 0)
		w = flush(out, 1, r < 0 ? &later : error);
	capture_source_free(source);
	return r < 0 ? r : w;
}

/* Of one channel instance in the export. */
struct exported {
	uint32_t seq[2]; /* next of each direction */
	struct exported *next;
};

static int put_segment(struct out *out, const struct capture_item *item,
		       enum capture_direction direction, uint8_t flags,
		       const uint8_t *data, size_t size, struct error *error)
{
	struct exported *x = item->channel->user;
	struct pcapng_segment s = {
		.time = item->time,
		.channel = (uint32_t)item->channel->number,
		.direction = direction,
		.flags = flags,
		.seq = x->seq[direction],
		.ack = flags & PCAPNG_ACK ? x->seq[!direction] : 0,
	};
	uint8_t *at =
		buffer_grow(&out->buffer, pcapng_segment_size(size, flags));

	if (at)
		pcapng_put_segment(at, &s, NULL, 0, data, size);
	x->seq[direction] += (uint32_t)size;
	if (flags & (PCAPNG_SYN | PCAPNG_FIN))
		x->seq[direction]++;
	return flush(out, FLUSH_SIZE, error);
}

static int put_bytes(struct out *out, const struct capture_item *item,
		     const uint8_t *data, size_t size, struct error *error)
{
	int r = 0;

	while (size && r == 0) {
		size_t n =
			size < PCAPNG_PAYLOAD_MAX ? size : PCAPNG_PAYLOAD_MAX;

		r = put_segment(out, item, item->direction,
				PCAPNG_PSH | PCAPNG_ACK, data, n, error);
		data += n;
		size -= n;
	}
	return r;
}

/* SYN or FIN from both sides and the last acknowledgement. */
static int put_edge(struct out *out, const struct capture_item *item,
		    uint8_t client, uint8_t server, struct error *error)
{
	int r = put_segment(out, item, CAPTURE_TO_GUEST, client, NULL, 0,
			    error);

	if (r == 0)
		r = put_segment(out, item, CAPTURE_TO_CLIENT, server, NULL, 0,
				error);
	if (r == 0)
		r = put_segment(out, item, CAPTURE_TO_GUEST, PCAPNG_ACK, NULL,
				0, error);
	return r;
}

static int put_message(struct out *out, const struct capture_item *item,
		       uint16_t type, const uint8_t *body, size_t size,
		       struct error *error)
{
	struct buffer b = {0};
	int r;

	if (!item->channel->mini)
		buffer_put_le64(&b, item->serial);
	buffer_put_le16(&b, type);
	buffer_put_le32(&b, (uint32_t)size);
	if (!item->channel->mini)
		buffer_put_le32(&b, item->sub_list);
	buffer_put(&b, body, size);
	if (b.failed)
		r = error_errno(error, ENOMEM, "cannot export");
	else
		r = put_bytes(out, item, b.data, b.size, error);
	buffer_free(&b);
	return r;
}

/* An agent message that is whole in its chunk and of a kind it knows. */
static bool knows_agent_data(const struct capture_item *item)
{
	struct bytes b = bytes_of(item->data, item->size);
	uint32_t protocol = bytes_le32(&b);
	uint32_t type = bytes_le32(&b);
	uint32_t size;

	bytes_le64(&b);
	size = bytes_le32(&b);
	return !b.bad && protocol == VD_AGENT_PROTOCOL &&
	       size == bytes_left(&b) &&
	       (type == VD_AGENT_MONITORS_CONFIG ||
		type == VD_AGENT_ANNOUNCE_CAPABILITIES);
}

/* Messages of the client that Wireshark 4.0 passes over as it should. */
static bool knows_to_guest(const struct capture_item *item)
{
	uint16_t t = item->type;

	if (t == SPICE_MSGC_ACK_SYNC || t == SPICE_MSGC_ACK ||
	    t == SPICE_MSGC_PONG)
		return true;
	switch (item->channel->mess.channel_type) {
	case SPICE_CHANNEL_MAIN:
		return t == SPICE_MSGC_MAIN_ATTACH_CHANNELS ||
		       t == SPICE_MSGC_MAIN_MOUSE_MODE_REQUEST ||
		       t == SPICE_MSGC_MAIN_AGENT_START ||
		       (t == SPICE_MSGC_MAIN_AGENT_DATA &&
			knows_agent_data(item));
	case SPICE_CHANNEL_DISPLAY:
		return t == SPICE_MSGC_DISPLAY_INIT;
	case SPICE_CHANNEL_INPUTS:
		return (t >= SPICE_MSGC_INPUTS_KEY_DOWN &&
			t <= SPICE_MSGC_INPUTS_KEY_MODIFIERS) ||
		       (t >= SPICE_MSGC_INPUTS_MOUSE_MOTION &&
			t <= SPICE_MSGC_INPUTS_MOUSE_RELEASE);
	case SPICE_CHANNEL_USBREDIR:
		return t == SPICE_MSGC_SPICEVMC_DATA;
	default:
		return false;
	}
}

static bool knows_to_client(const struct capture_item *item)
{
	uint8_t channel = item->channel->mess.channel_type;
	uint16_t t = item->type;

	if (channel == SPICE_CHANNEL_WEBDAV ||
	    channel == SPICE_CHANNEL_SMARTCARD)
		return false;
	return t == SPICE_MSG_SET_ACK || t == SPICE_MSG_PING ||
	       t == SPICE_MSG_NOTIFY || t > SPICE_MSG_BASE_LAST;
}

/*
 * The INVAL_LIST inside a LIST becomes a message of its own. Its size is that
 * of its contents: the one in the list is wrong (libspice-server 0.15).
 */
static int split_list(struct out *out, const struct capture_item *item,
		      struct error *error)
{
	struct bytes b = bytes_of(item->data, item->size);
	uint16_t count = bytes_le16(&b);
	int r = 0;

	/* A server packs two; more would only blow the export up. */
	for (uint16_t i = 0; i < count && i < 8 && r == 0; i++) {
		struct bytes sub = b;
		uint16_t type, ids;
		size_t at, size;

		bytes_seek(&sub, 2 + 4 * (size_t)i);
		bytes_seek(&sub, bytes_le32(&sub));
		type = bytes_le16(&sub);
		bytes_le32(&sub);
		at = sub.at;
		ids = bytes_le16(&sub);
		size = 2 + 9 * (size_t)ids;
		bytes_take(&sub, size - 2);
		if (!sub.bad && type == SPICE_MSG_DISPLAY_INVAL_LIST)
			r = put_message(out, item, type, item->data + at, size,
					error);
	}
	return r;
}

static int export_message(struct out *out, const struct capture_item *item,
			  struct error *error)
{
	bool known = item->direction == CAPTURE_TO_GUEST
			     ? knows_to_guest(item)
			     : knows_to_client(item);

	if (known)
		return put_message(out, item, item->type, item->data,
				   item->size, error);
	if (item->direction == CAPTURE_TO_CLIENT &&
	    item->type == SPICE_MSG_LIST &&
	    item->channel->mess.channel_type == SPICE_CHANNEL_DISPLAY)
		return split_list(out, item, error);
	return 0;
}

static int begin_channel(struct out *out, const struct capture_item *item,
			 struct error *error)
{
	struct exported *x = calloc(1, sizeof(*x));

	if (!x)
		return error_errno(error, ENOMEM, "cannot export");
	x->next = out->channels;
	out->channels = x;
	item->channel->user = x;
	return put_edge(out, item, PCAPNG_SYN, PCAPNG_SYN | PCAPNG_ACK, error);
}

static int export_item(struct out *out, const struct capture_item *item,
		       struct error *error)
{
	switch (item->kind) {
	case CAPTURE_OPEN:
		return begin_channel(out, item, error);
	case CAPTURE_CLOSE:
		return put_edge(out, item, PCAPNG_FIN | PCAPNG_ACK,
				PCAPNG_FIN | PCAPNG_ACK, error);
	case CAPTURE_MESSAGE:
		return export_message(out, item, error);
	case CAPTURE_LINK_MESS:
	case CAPTURE_LINK_REPLY:
	case CAPTURE_AUTH:
	case CAPTURE_RESULT:
		return put_bytes(out, item, item->data, item->size, error);
	}
	return 0;
}

static void begin_export(struct out *out, const struct capture_reader *reader)
{
	struct capture_summary summary;
	uint8_t section[PCAPNG_SECTION_SIZE_MAX];
	uint8_t *end;

	capture_reader_summary(reader, &summary);
	end = pcapng_put_section(section, &summary.session, tshark_comment);
	assert((size_t)(end - section) <= sizeof(section));
	buffer_put(&out->buffer, section, (size_t)(end - section));
}

static int export_items(struct out *out, struct capture_reader *reader,
			struct error *error)
{
	struct capture_item item;
	struct error later;
	bool begun = false;
	int r, w = 0;

	while (w == 0 && (r = capture_reader_next(reader, &item, error)) > 0) {
		if (!begun)
			begin_export(out, reader);
		begun = true;
		w = export_item(out, &item, error);
	}
	if (w < 0)
		return w;
	if (!begun)
		begin_export(out, reader);
	w = flush(out, 1, r < 0 ? &later : error);
	return r < 0 ? r : w;
}

static int export_tshark(struct out *out, int in_fd, struct error *error)
{
	struct capture_reader *reader;
	int r = capture_reader_new(&reader, in_fd, error);

	if (r < 0)
		return r;
	r = export_items(out, reader, error);
	while (out->channels) {
		struct exported *x = out->channels;

		out->channels = x->next;
		free(x);
	}
	capture_reader_free(reader);
	return r;
}

int capture_export_pcapng(int in_fd, int out_fd, bool for_tshark,
			  struct error *error)
{
	struct out out = {.fd = out_fd};
	int r = for_tshark ? export_tshark(&out, in_fd, error)
			   : export_plain(&out, in_fd, error);

	buffer_free(&out.buffer);
	return r;
}
