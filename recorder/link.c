/* The SPICE link's messages, to and from bytes; see link.h. */
#include "recorder/link.h"

#include <spice/protocol.h>

#define MAGIC "REDQ"

bool link_caps_test(const struct link_caps *caps, unsigned bit)
{
	unsigned word = bit / 32;

	return word < caps->count && (caps->words[word] >> bit % 32 & 1);
}

void link_caps_set(struct link_caps *caps, unsigned bit, bool on)
{
	unsigned word = bit / 32;

	if (word >= LINK_MAX_CAPS)
		return;
	if (!on) {
		if (word < caps->count)
			caps->words[word] &= ~(UINT32_C(1) << bit % 32);
		return;
	}
	while (caps->count <= word)
		caps->words[caps->count++] = 0;
	caps->words[word] |= UINT32_C(1) << bit % 32;
}

int link_header_parse(const uint8_t header[LINK_HEADER_SIZE], size_t *body,
		      uint32_t *link_error, struct error *error)
{
	struct bytes b = bytes_of(header, LINK_HEADER_SIZE);
	const uint8_t *magic = bytes_take(&b, 4);
	uint32_t major = bytes_le32(&b);
	uint32_t minor = bytes_le32(&b);
	uint32_t size = bytes_le32(&b);

	*body = 0;
	*link_error = SPICE_LINK_ERR_OK;
	if (memcmp(magic, MAGIC, 4) != 0) {
		*link_error = SPICE_LINK_ERR_INVALID_MAGIC;
		return error_set(error, EPROTO,
				 "the peer does not speak SPICE: it began with "
				 "bytes %02x %02x %02x %02x",
				 magic[0], magic[1], magic[2], magic[3]);
	}
	if (major != SPICE_VERSION_MAJOR) {
		*link_error = SPICE_LINK_ERR_VERSION_MISMATCH;
		return error_set(error, EPROTO,
				 "the peer speaks SPICE %u.%u; only %u is "
				 "understood",
				 major, minor, SPICE_VERSION_MAJOR);
	}
	if (size < LINK_MESS_SIZE || size > LINK_BODY_MAX) {
		*link_error = SPICE_LINK_ERR_INVALID_DATA;
		return error_set(error, EPROTO,
				 "link message of %u bytes; %u to %u are "
				 "allowed",
				 size, LINK_MESS_SIZE, LINK_BODY_MAX);
	}
	*body = size;
	return 0;
}

static void read_words(struct bytes *b, struct link_caps *caps, uint32_t count)
{
	*caps = (struct link_caps){.count = count};
	for (uint32_t i = 0; i < count; i++)
		caps->words[i] = bytes_le32(b);
}

/* Reads counts and offset at the cursor, then the words they point to. */
static int read_caps(struct bytes *b, struct link_caps *common,
		     struct link_caps *channel, struct error *error)
{
	uint32_t commons = bytes_le32(b);
	uint32_t channels = bytes_le32(b);
	uint32_t offset = bytes_le32(b);

	if (b->bad)
		return error_set(error, EPROTO,
				 "link message of %zu bytes is "
				 "too short for its fields",
				 b->size);
	if (commons > LINK_MAX_CAPS || channels > LINK_MAX_CAPS)
		return error_set(error, EPROTO,
				 "link message with %u and %u capability "
				 "words; at most %u a kind are accepted",
				 commons, channels, LINK_MAX_CAPS);
	if (commons + channels)
		bytes_seek(b, offset);
	read_words(b, common, commons);
	read_words(b, channel, channels);
	if (b->bad)
		return error_set(error, EPROTO,
				 "capability words at offset %u do not fit "
				 "in a link message of %zu bytes",
				 offset, b->size);
	return 0;
}

int link_mess_parse(const uint8_t *body, size_t size, struct link_mess *mess,
		    struct error *error)
{
	struct bytes b = bytes_of(body, size);

	*mess = (struct link_mess){0};
	mess->connection_id = bytes_le32(&b);
	mess->channel_type = bytes_u8(&b);
	mess->channel_id = bytes_u8(&b);
	return read_caps(&b, &mess->common, &mess->channel, error);
}

int link_reply_parse(const uint8_t *body, size_t size, struct link_reply *reply,
		     struct error *error)
{
	struct bytes b = bytes_of(body, size);
	const uint8_t *key;

	*reply = (struct link_reply){.error = bytes_le32(&b)};
	key = bytes_take(&b, LINK_KEY_SIZE);
	if (key)
		memcpy(reply->key, key, LINK_KEY_SIZE);
	return read_caps(&b, &reply->common, &reply->channel, error);
}

static void put_header(struct buffer *out, size_t fixed,
		       const struct link_caps *common,
		       const struct link_caps *channel)
{
	size_t words = (size_t)common->count + channel->count;

	buffer_put(out, MAGIC, 4);
	buffer_put_le32(out, SPICE_VERSION_MAJOR);
	buffer_put_le32(out, SPICE_VERSION_MINOR);
	buffer_put_le32(out, (uint32_t)(fixed + 4 * words));
}

static void put_caps(struct buffer *out, uint32_t fixed,
		     const struct link_caps *common,
		     const struct link_caps *channel)
{
	buffer_put_le32(out, common->count);
	buffer_put_le32(out, channel->count);
	buffer_put_le32(out, fixed);
	for (uint32_t i = 0; i < common->count; i++)
		buffer_put_le32(out, common->words[i]);
	for (uint32_t i = 0; i < channel->count; i++)
		buffer_put_le32(out, channel->words[i]);
}

void link_mess_build(struct buffer *out, const struct link_mess *mess)
{
	put_header(out, LINK_MESS_SIZE, &mess->common, &mess->channel);
	buffer_put_le32(out, mess->connection_id);
	buffer_put_u8(out, mess->channel_type);
	buffer_put_u8(out, mess->channel_id);
	put_caps(out, LINK_MESS_SIZE, &mess->common, &mess->channel);
}

void link_reply_build(struct buffer *out, const struct link_reply *reply)
{
	put_header(out, LINK_REPLY_SIZE, &reply->common, &reply->channel);
	buffer_put_le32(out, reply->error);
	buffer_put(out, reply->key, LINK_KEY_SIZE);
	put_caps(out, LINK_REPLY_SIZE, &reply->common, &reply->channel);
}
