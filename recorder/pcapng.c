/* Writes and reads pcapng blocks with synthetic TCP; see pcapng.h. */
#include "recorder/pcapng.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "recorder/bytes.h"

#define BYTE_ORDER_MAGIC 0x1a2b3c4du
#define LINKTYPE_RAW 101
#define OPTION_END 0
#define OPTION_COMMENT 1
#define OPTION_IF_NAME 2
#define OPTION_USERAPPL 4
#define OPTION_TSRESOL 9
#define PACKET_HEAD 28 /* of an enhanced packet block */
#define IP_SIZE 20
#define TCP_SIZE 20
#define SYN_OPTIONS 8

static const uint8_t client_ip[4] = {192, 0, 2, 1};
static const uint8_t server_ip[4] = {192, 0, 2, 2};

static void put_be16(uint8_t *p, uint32_t v)
{
	p[0] = v >> 8 & 0xff;
	p[1] = v & 0xff;
}

static void put_be32(uint8_t *p, uint32_t v)
{
	put_be16(p, v >> 16);
	put_be16(p + 2, v);
}

static size_t pad4(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

static size_t packet_size(size_t payload, uint8_t flags)
{
	return IP_SIZE + TCP_SIZE + (flags & PCAPNG_SYN ? SYN_OPTIONS : 0) +
	       payload;
}

size_t pcapng_segment_size(size_t payload, uint8_t flags)
{
	return PACKET_HEAD + pad4(packet_size(payload, flags)) + 4;
}

static uint8_t *put_option(uint8_t *at, uint16_t code, const void *value,
			   size_t size)
{
	bytes_put_le16(at, code);
	bytes_put_le16(at + 2, (uint16_t)size);
	memset(at + 4 + (size & ~(size_t)3), 0, 4);
	memcpy(at + 4, value, size);
	return at + 4 + pad4(size);
}

static uint8_t *put_comment(uint8_t *at, const char *name, const char *value)
{
	char text[256];

	snprintf(text, sizeof(text), "%s%s", name, value);
	return put_option(at, OPTION_COMMENT, text, strlen(text));
}

/* Ends the options and the block that begins at `block`. */
static uint8_t *end_block(uint8_t *block, uint8_t *at)
{
	bytes_put_le32(at, OPTION_END);
	at += 4;
	bytes_put_le32(block + 4, (uint32_t)(at + 4 - block));
	bytes_put_le32(at, (uint32_t)(at + 4 - block));
	return at + 4;
}

uint8_t *pcapng_put_section(uint8_t *at, const struct capture_session *session,
			    const char *comment)
{
	const uint8_t nanoseconds = 9;
	uint8_t *block = at;

	bytes_put_le32(at, PCAPNG_SECTION);
	bytes_put_le32(at + 8, BYTE_ORDER_MAGIC);
	bytes_put_le16(at + 12, 1); /* version 1.0 */
	bytes_put_le16(at + 14, 0);
	bytes_put_le64(at + 16, UINT64_MAX); /* section length unknown */
	at += 24;
	at = put_option(at, OPTION_USERAPPL, "mediavm", 7);
	at = put_comment(at, "session ", session->id);
	at = put_comment(at, "vault ", session->vault);
	at = put_comment(at, "client ", session->client);
	if (comment)
		at = put_comment(at, "", comment);
	at = block = end_block(block, at);

	bytes_put_le32(at, PCAPNG_INTERFACE);
	bytes_put_le16(at + 8, LINKTYPE_RAW);
	bytes_put_le16(at + 10, 0);
	bytes_put_le32(at + 12, 65535); /* longest packet */
	at = put_option(at + 16, OPTION_IF_NAME, "spice", 5);
	at = put_option(at, OPTION_TSRESOL, &nanoseconds, 1);
	return end_block(block, at);
}

static uint16_t ip_checksum(const uint8_t ip[IP_SIZE])
{
	uint32_t sum = 0;

	for (int i = 0; i < IP_SIZE; i += 2)
		sum += (uint32_t)ip[i] << 8 | ip[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

static void put_ip(uint8_t *at, const struct pcapng_segment *s, size_t size)
{
	bool out = s->direction == CAPTURE_TO_GUEST;

	memset(at, 0, IP_SIZE);
	at[0] = 0x45; /* version 4, 5 words of header */
	put_be16(at + 2, (uint32_t)size);
	at[6] = 0x40; /* don't fragment */
	at[8] = 64;   /* time to live */
	at[9] = 6;    /* TCP */
	memcpy(at + 12, out ? client_ip : server_ip, 4);
	memcpy(at + 16, out ? server_ip : client_ip, 4);
	put_be16(at + 10, ip_checksum(at));
}

/* Leaves the checksum 0, as cards that compute it themselves do. */
static uint8_t *put_tcp(uint8_t *at, const struct pcapng_segment *s)
{
	/* Largest segment; window scale 14, so that no window is ever full. */
	static const uint8_t options[SYN_OPTIONS] = {
		2, 4,  PCAPNG_PAYLOAD_MAX >> 8, PCAPNG_PAYLOAD_MAX & 0xff, 1, 3,
		3, 14,
	};
	uint32_t client = PCAPNG_CLIENT_PORT + s->channel;
	bool out = s->direction == CAPTURE_TO_GUEST;
	bool syn = s->flags & PCAPNG_SYN;

	put_be16(at, out ? client : PCAPNG_SERVER_PORT);
	put_be16(at + 2, out ? PCAPNG_SERVER_PORT : client);
	put_be32(at + 4, s->seq);
	put_be32(at + 8, s->ack);
	at[12] = (TCP_SIZE + (syn ? SYN_OPTIONS : 0)) / 4 << 4;
	at[13] = s->flags;
	put_be16(at + 14, 65535); /* window */
	put_be32(at + 16, 0);     /* checksum, urgent pointer */
	at += TCP_SIZE;
	if (syn) {
		memcpy(at, options, SYN_OPTIONS);
		at += SYN_OPTIONS;
	}
	return at;
}

uint8_t *pcapng_put_segment(uint8_t *at, const struct pcapng_segment *s,
			    const void *head, size_t head_size,
			    const void *data, size_t size)
{
	size_t packet = packet_size(head_size + size, s->flags);
	uint32_t length = (uint32_t)(PACKET_HEAD + pad4(packet) + 4);
	uint8_t *end = at + length;

	assert(head_size + size <= PCAPNG_PAYLOAD_MAX);
	assert(s->channel < PCAPNG_CHANNELS_MAX);
	bytes_put_le32(at, PCAPNG_PACKET);
	bytes_put_le32(at + 4, length);
	bytes_put_le32(at + 8, 0); /* interface */
	bytes_put_le32(at + 12, (uint32_t)(s->time >> 32));
	bytes_put_le32(at + 16, (uint32_t)s->time);
	bytes_put_le32(at + 20, (uint32_t)packet);
	bytes_put_le32(at + 24, (uint32_t)packet);
	at += PACKET_HEAD;
	bytes_put_le32(end - 8, 0); /* padding; data goes over it */
	put_ip(at, s, packet);
	at = put_tcp(at + IP_SIZE, s);
	if (head_size)
		memcpy(at, head, head_size);
	if (size)
		memcpy(at + head_size, data, size);
	bytes_put_le32(end - 4, length);
	return end;
}

int pcapng_block(const uint8_t head[8], uint32_t *type, uint32_t *length,
		 struct error *error)
{
	*type = bytes_get_le32(head);
	*length = bytes_get_le32(head + 4);
	if (*length < PCAPNG_BLOCK_MIN || *length > PCAPNG_BLOCK_MAX ||
	    *length % 4)
		return error_set(error, EBADMSG,
				 "pcapng block of %u bytes cannot be", *length);
	return 0;
}

/* The next option's value, borrowed; OPTION_END at the end. */
static uint16_t get_option(struct bytes *b, struct bytes *value)
{
	uint16_t code = bytes_le16(b);
	uint16_t size = bytes_le16(b);
	const uint8_t *p = bytes_take(b, size);

	bytes_take(b, pad4(size) - size);
	if (b->bad || !p)
		return OPTION_END;
	*value = bytes_of(p, size);
	return code;
}

static void get_comment(const struct bytes *value, const char *name, char *out,
			size_t room)
{
	size_t n = strlen(name), size;

	if (value->size < n || memcmp(value->data, name, n) != 0)
		return;
	size = value->size - n < room - 1 ? value->size - n : room - 1;
	memcpy(out, value->data + n, size);
	out[size] = 0;
}

int pcapng_get_section(const uint8_t *block, size_t size,
		       struct capture_session *session, struct error *error)
{
	struct bytes b = bytes_of(block, size - 4), value;
	uint16_t code;

	bytes_seek(&b, 8);
	if (bytes_le32(&b) != BYTE_ORDER_MAGIC)
		return error_set(error, EBADMSG,
				 "the pcapng section is not little-endian");
	if (bytes_le16(&b) != 1)
		return error_set(error, EBADMSG,
				 "the pcapng section is not of version 1");
	bytes_take(&b, 10); /* minor version, section length */
	while ((code = get_option(&b, &value)) != OPTION_END) {
		if (code != OPTION_COMMENT)
			continue;
		get_comment(&value, "session ", session->id,
			    sizeof(session->id));
		get_comment(&value, "vault ", session->vault,
			    sizeof(session->vault));
		get_comment(&value, "client ", session->client,
			    sizeof(session->client));
	}
	return 0;
}

int pcapng_get_interface(const uint8_t *block, size_t size, struct error *error)
{
	struct bytes b = bytes_of(block, size - 4), value;
	uint8_t resolution = 6; /* the default: microseconds */
	uint16_t code, linktype;

	bytes_seek(&b, 8);
	linktype = bytes_le16(&b);
	bytes_take(&b, 6); /* reserved, longest packet */
	while ((code = get_option(&b, &value)) != OPTION_END)
		if (code == OPTION_TSRESOL)
			resolution = bytes_u8(&value);
	if (linktype != LINKTYPE_RAW || resolution != 9)
		return error_set(error, EBADMSG,
				 "link type %u with time resolution %u; a "
				 "capture has %u with 9",
				 linktype, resolution, LINKTYPE_RAW);
	return 0;
}

/* Addresses and ports say instance and direction. */
static bool get_ends(struct pcapng_segment *s, const uint8_t *ip,
		     uint16_t source, uint16_t target)
{
	uint16_t client;

	if (memcmp(ip + 12, client_ip, 4) == 0 &&
	    memcmp(ip + 16, server_ip, 4) == 0 &&
	    target == PCAPNG_SERVER_PORT) {
		s->direction = CAPTURE_TO_GUEST;
		client = source;
	} else if (memcmp(ip + 12, server_ip, 4) == 0 &&
		   memcmp(ip + 16, client_ip, 4) == 0 &&
		   source == PCAPNG_SERVER_PORT) {
		s->direction = CAPTURE_TO_CLIENT;
		client = target;
	} else {
		return false;
	}
	s->channel = (uint32_t)client - PCAPNG_CLIENT_PORT;
	return client >= PCAPNG_CLIENT_PORT && s->channel < PCAPNG_CHANNELS_MAX;
}

static uint16_t get_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* An IPv4 packet with TCP; anything else is none of ours. */
static bool get_packet(struct pcapng_segment *s, const uint8_t *ip, size_t size)
{
	const uint8_t *tcp;
	size_t ip_size, tcp_size, total;

	if (size < IP_SIZE || ip[0] >> 4 != 4 || ip[9] != 6)
		return false;
	ip_size = (ip[0] & 15) * 4u;
	total = get_be16(ip + 2);
	if (ip_size < IP_SIZE || total > size || total < ip_size + TCP_SIZE)
		return false;
	tcp = ip + ip_size;
	tcp_size = (tcp[12] >> 4) * 4u;
	if (tcp_size < TCP_SIZE || tcp_size > total - ip_size)
		return false;
	s->seq = bytes_get_be32(tcp + 4);
	s->ack = bytes_get_be32(tcp + 8);
	s->flags = tcp[13];
	s->data = tcp + tcp_size;
	s->size = total - ip_size - tcp_size;
	return get_ends(s, ip, get_be16(tcp), get_be16(tcp + 2));
}

int pcapng_get_segment(const uint8_t *block, size_t size,
		       struct pcapng_segment *segment, struct error *error)
{
	struct bytes b = bytes_of(block, size - 4);
	uint64_t high;
	uint32_t captured, interface;
	const uint8_t *packet;

	bytes_seek(&b, 8);
	interface = bytes_le32(&b);
	high = bytes_le32(&b);
	segment->time = high << 32 | bytes_le32(&b);
	captured = bytes_le32(&b);
	bytes_le32(&b); /* original length */
	packet = bytes_take(&b, captured);
	if (!packet || interface != 0)
		return error_set(error, EBADMSG,
				 "a packet block that is too short for its "
				 "packet, or of another interface");
	if (!get_packet(segment, packet, captured))
		return error_set(error, EBADMSG,
				 "a packet that is no TCP segment of a "
				 "capture");
	return 0;
}
