/*
 * What the client of a wire replay says: its link, which is answered, and its
 * messages, which are not; see replay_channel.h.
 */
#include "recorder/replay_channel.h"

#include <spice/enums.h>
#include <spice/protocol.h>
#include <sys/socket.h>

#define CLIENT_MESSAGE_MAX (64u << 20) /* swallowed, never kept */
#define MOTIONS_PER_ACK 4

static void answer_link_error(struct replay_channel *c, uint32_t error)
{
	struct link_reply reply = {.error = error};

	link_reply_build(&c->out, &reply);
	replay_channel_flush(c);
	replay_channel_die(c);
}

void replay_channel_answer(struct replay_channel *c)
{
	struct link_reply reply = c->instance->reply;
	bool select = link_caps_test(&c->mess.common,
				     SPICE_COMMON_CAP_PROTOCOL_AUTH_SELECTION);

	c->mini = c->instance->mini &&
		  link_caps_test(&c->mess.common, SPICE_COMMON_CAP_MINI_HEADER);
	link_key_public(c->shared->key, reply.key);
	link_caps_set(&reply.common, SPICE_COMMON_CAP_PROTOCOL_AUTH_SELECTION,
		      true);
	link_caps_set(&reply.common, SPICE_COMMON_CAP_AUTH_SPICE, true);
	link_caps_set(&reply.common, SPICE_COMMON_CAP_AUTH_SASL, false);
	link_caps_set(&reply.common, SPICE_COMMON_CAP_MINI_HEADER,
		      c->instance->mini);
	link_reply_build(&c->out, &reply);
	c->state = select ? REPLAY_AUTH : REPLAY_TICKET;
	c->need = select ? 4 : LINK_TICKET_SIZE;
}

/* A link PDU of the client is whole in c->in. */
static void take_pdu(struct replay_channel *c)
{
	char password[LINK_PASSWORD_MAX + 1];
	uint32_t result = SPICE_LINK_ERR_OK;
	size_t body;

	switch (c->state) {
	case REPLAY_HEADER:
		if (link_header_parse(c->in.data, &body, &result, NULL) < 0) {
			answer_link_error(c, result);
			return;
		}
		c->state = REPLAY_MESS;
		c->need = body;
		break;
	case REPLAY_MESS:
		if (link_mess_parse(c->in.data, c->in.size, &c->mess, NULL) <
		    0) {
			answer_link_error(c, SPICE_LINK_ERR_INVALID_DATA);
			return;
		}
		c->state = REPLAY_FIND;
		if (!replay_channel_is_served(c->mess.channel_type))
			replay_channel_die(c);
		break;
	case REPLAY_AUTH:
		if (bytes_get_le32(c->in.data) != SPICE_COMMON_CAP_AUTH_SPICE)
			replay_channel_die(c);
		else
			c->state = REPLAY_TICKET;
		c->need = LINK_TICKET_SIZE;
		break;
	case REPLAY_TICKET:
		if (link_ticket_decrypt(c->shared->key, c->in.data, password))
			result = SPICE_LINK_ERR_PERMISSION_DENIED;
		buffer_put_le32(&c->out, result);
		framer_init(&c->framer, c->mini, CLIENT_MESSAGE_MAX);
		c->state = REPLAY_UP;
		if (result != SPICE_LINK_ERR_OK) {
			replay_channel_flush(c);
			replay_channel_die(c);
		}
		break;
	case REPLAY_FIND:
	case REPLAY_UP:
	case REPLAY_DEAD:
		break;
	}
}

/* The mouse stops when nobody acknowledges its motions. */
static void swallow_message(struct replay_channel *c)
{
	uint16_t type = c->framer.type;

	if (c->mess.channel_type != SPICE_CHANNEL_INPUTS ||
	    (type != SPICE_MSGC_INPUTS_MOUSE_MOTION &&
	     type != SPICE_MSGC_INPUTS_MOUSE_POSITION))
		return;
	if (++c->motions < MOTIONS_PER_ACK)
		return;
	c->motions = 0;
	replay_channel_put(c, SPICE_MSG_INPUTS_MOUSE_MOTION_ACK, 0, NULL, 0);
}

static size_t swallow(struct replay_channel *c, const uint8_t *data,
		      size_t size)
{
	struct framer_piece piece;
	int n = framer_next(&c->framer, data, size, &piece, NULL);

	if (n < 0) {
		replay_channel_die(c);
		return size;
	}
	if (piece.ends)
		swallow_message(c);
	return (size_t)n;
}

static size_t take_link_bytes(struct replay_channel *c, const uint8_t *data,
			      size_t size)
{
	size_t n = c->need - c->in.size;

	if (c->state == REPLAY_FIND) { /* nothing may come before our reply */
		replay_channel_die(c);
		return size;
	}
	if (n > size)
		n = size;
	buffer_put(&c->in, data, n);
	if (c->in.failed)
		replay_channel_die(c);
	else if (c->in.size == c->need) {
		take_pdu(c);
		c->in.size = 0;
	}
	return n;
}

void replay_channel_receive(struct replay_channel *c)
{
	uint8_t bytes[16384];
	ssize_t n = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	size_t at = 0;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		replay_channel_die(c);
		return;
	}
	while (at < (size_t)n && c->state != REPLAY_DEAD) {
		if (c->state == REPLAY_UP)
			at += swallow(c, bytes + at, (size_t)n - at);
		else
			at += take_link_bytes(c, bytes + at, (size_t)n - at);
	}
}
