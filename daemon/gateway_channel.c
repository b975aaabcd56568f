/*
 * One channel on a worker: the link with the guest, the relay, the goodbye.
 *
 * The viewer's link has been answered by the front loop; what it asked for is
 * asked of the guest now, and the guest's result is the viewer's.
 */
#include "daemon/gateway_session.h"

#include <spice/protocol.h>
#include <stdlib.h>
#include <unistd.h>

#define GOODBYE_NS (1 * GATEWAY_SECOND) /* for a viewer to close */
#define ROUNDS 4 /* batches a direction before others have their turn */

static void on_client(struct gateway_source *source, uint32_t events)
{
	struct channel *ch = (struct channel *)source;

	stream_events(&ch->client, events);
	channel_pump(ch);
}

static void on_guest(struct gateway_source *source, uint32_t events)
{
	struct channel *ch =
		(struct channel *)((char *)source -
				   offsetof(struct channel, guest));

	stream_events(&ch->guest, events);
	channel_pump(ch);
}

static struct channel *new_channel(struct gateway_worker *worker,
				   struct gateway_arrival *arrival)
{
	struct channel *ch = calloc(1, sizeof(*ch));

	if (!ch) {
		stream_close(&arrival->client);
		if (arrival->upstream >= 0)
			close(arrival->upstream);
		return NULL;
	}
	ch->worker = worker;
	ch->number = -1;
	ch->early = true;
	ch->mess = arrival->mess;
	ch->told_common = arrival->told_common;
	ch->told_channel = arrival->told_channel;
	ch->client = arrival->client;
	stream_init(&ch->guest, arrival->upstream);
	if (ch->client.fd < 0 ||
	    stream_attach(&ch->client, &worker->loop, on_client) < 0)
		ch->client.broken = true;
	return ch;
}

/* Out of the list that it is in. */
static void unlink_channel(struct channel *ch)
{
	struct channel **at =
		ch->session ? &ch->session->channels : &ch->worker->closing;

	while (*at != ch)
		at = &(*at)->next;
	*at = ch->next;
	at = ch->is_again ? &ch->worker->again : NULL;
	while (at && *at != ch) {
		if (!*at)
			at = &ch->worker->turn;
		else
			at = &(*at)->again_next;
	}
	if (at)
		*at = ch->again_next;
	if (ch->session && ch->session->main == ch)
		ch->session->main = NULL;
}

void channel_free(struct channel *ch)
{
	unlink_channel(ch);
	stream_close(&ch->client);
	stream_close(&ch->guest);
	relay_clear(ch);
	buffer_free(&ch->in);
	gateway_loop_bury(&ch->worker->loop, ch);
}

static void say_goodbye(struct channel *ch)
{
	struct gateway_worker *w = ch->worker;

	ch->session = NULL;
	ch->phase = CHANNEL_CLOSING;
	ch->next = w->closing;
	w->closing = ch;
	ch->deadline = w->loop.now + GOODBYE_NS;
	gateway_loop_at(&w->loop, ch->deadline);
	channel_pump(ch);
}

void channel_refuse(struct gateway_worker *worker,
		    struct gateway_arrival *arrival, uint32_t result)
{
	struct channel *ch = new_channel(worker, arrival);
	uint8_t le[4];

	if (!ch)
		return;
	stream_close(&ch->guest);
	bytes_put_le32(le, result);
	if (!ch->client.broken)
		stream_write(&ch->client, le, sizeof(le));
	say_goodbye(ch);
}

void channel_retire(struct channel *ch)
{
	struct session *s = ch->session;

	if (s->writer && ch->number >= 0)
		capture_writer_close_channel(s->writer, ch->number,
					     gateway_realtime(), NULL);
	unlink_channel(ch);
	stream_close(&ch->guest);
	relay_clear(ch);
	say_goodbye(ch);
}

/* A link PDU, recorded in a call of its own. */
static int record(struct channel *ch, enum capture_direction direction,
		  const void *data, size_t size)
{
	return session_record(ch->session, ch, direction, gateway_realtime(),
			      NULL, 0, data, size);
}

static int to_guest(struct channel *ch, const void *data, size_t size,
		    const void *stored)
{
	if (record(ch, CAPTURE_TO_GUEST, stored, size) < 0)
		return -1;
	return stream_write(&ch->guest, data, size);
}

/* The viewer's wish, without what a gateway can't pass on. */
static void edit_mess(struct channel *ch)
{
	link_caps_set(&ch->mess.common, SPICE_COMMON_CAP_AUTH_SASL, false);
	link_caps_set(&ch->mess.common, SPICE_COMMON_CAP_AUTH_SPICE, true);
	link_caps_set(&ch->mess.common,
		      SPICE_COMMON_CAP_PROTOCOL_AUTH_SELECTION, true);
	/* Its frames come as a descriptor beside the stream. */
	if (ch->mess.channel_type == SPICE_CHANNEL_DISPLAY)
		link_caps_set(&ch->mess.channel, SPICE_DISPLAY_CAP_GL_SCANOUT,
			      false);
}

static int send_mess(struct channel *ch)
{
	struct buffer b = {0};
	int r = -1;

	edit_mess(ch);
	link_mess_build(&b, &ch->mess);
	if (!b.failed)
		r = to_guest(ch, b.data, b.size, b.data);
	buffer_free(&b);
	ch->want = LINK_HEADER_SIZE;
	return r;
}

/* The link failed with the guest: the viewer gets a result, and goes. */
static void fail_link(struct channel *ch, uint32_t result, const char *why)
{
	struct session *s = ch->session;
	bool is_main = s->main == ch;
	uint8_t le[4];

	bytes_put_le32(le, result);
	if (!ch->client.broken)
		stream_write(&ch->client, le, sizeof(le));
	channel_retire(ch);
	if (is_main)
		session_end(s, IPC_END_GUEST,
			    "the guest's SPICE server refused the session: %s",
			    why);
}

void channel_late(struct channel *ch)
{
	ch->deadline = 0;
	fail_link(ch, SPICE_LINK_ERR_ERROR, "no answer in time");
}

void channel_arrive(struct gateway_worker *worker, struct session *s,
		    struct gateway_arrival *arrival, int number)
{
	bool is_main = arrival->is_new;
	struct channel *ch = new_channel(worker, arrival);

	if (!ch) {
		if (is_main)
			session_end(s, IPC_END_PROTOCOL, "out of memory");
		return;
	}
	ch->session = s;
	ch->number = number;
	ch->next = s->channels;
	s->channels = ch;
	if (is_main)
		s->main = ch;
	ch->phase = CHANNEL_REPLY;
	ch->deadline = arrival->deadline;
	gateway_loop_at(&worker->loop, ch->deadline);
	if (stream_attach(&ch->guest, &worker->loop, on_guest) < 0)
		ch->guest.broken = true;
	if (send_mess(ch) < 0)
		fail_link(ch, SPICE_LINK_ERR_ERROR, "it closed");
	else
		channel_pump(ch);
}

/* Until `want` bytes of the guest's link are there: 1, 0 not yet, -1. */
static int read_link(struct channel *ch)
{
	while (ch->in.size < ch->want) {
		size_t n = ch->want - ch->in.size;
		ssize_t got =
			stream_read(&ch->guest, ch->worker->loop.plain, n);

		if (got <= 0)
			return (int)got;
		buffer_put(&ch->in, ch->worker->loop.plain, (size_t)got);
		if (ch->in.failed)
			return -1;
	}
	return 1;
}

static bool same_caps(const struct link_caps *a, const struct link_caps *b)
{
	for (unsigned bit = 0; bit < 32 * LINK_MAX_CAPS; bit++)
		if (link_caps_test(a, bit) != link_caps_test(b, bit))
			return false;
	return true;
}

/* The next viewer will be told what this guest can do. */
static void learn(struct channel *ch)
{
	struct ipc_caps caps = {.count = 1};

	if (same_caps(&ch->reply.channel, &ch->told_channel))
		return;
	caps.rows[0].channel_type = ch->mess.channel_type;
	caps.rows[0].caps = ch->reply.channel;
	gateway_tell_from(ch->worker, IPC_LEARNED, &caps, sizeof(caps));
}

static bool mini(const struct link_caps *a, const struct link_caps *b)
{
	return link_caps_test(a, SPICE_COMMON_CAP_MINI_HEADER) &&
	       link_caps_test(b, SPICE_COMMON_CAP_MINI_HEADER);
}

static int send_ticket(struct channel *ch)
{
	static const uint8_t zeros[LINK_TICKET_SIZE];
	uint8_t ticket[LINK_TICKET_SIZE], le[4];

	if (link_ticket_encrypt(ch->reply.key, ch->session->password, ticket,
				NULL) < 0)
		return -1;
	bytes_put_le32(le, SPICE_COMMON_CAP_AUTH_SPICE);
	if (link_caps_test(&ch->reply.common,
			   SPICE_COMMON_CAP_PROTOCOL_AUTH_SELECTION) &&
	    to_guest(ch, le, sizeof(le), le) < 0)
		return -1;
	return to_guest(ch, ticket, sizeof(ticket), zeros);
}

/* The guest's reply: first its header, then all of it. */
static int take_reply(struct channel *ch)
{
	size_t body;
	uint32_t unused;

	if (link_header_parse(ch->in.data, &body, &unused, NULL) < 0)
		return -1;
	if (ch->want == LINK_HEADER_SIZE) {
		ch->want += body;
		return 0;
	}
	if (link_reply_parse(ch->in.data + LINK_HEADER_SIZE, body, &ch->reply,
			     NULL) < 0 ||
	    record(ch, CAPTURE_TO_CLIENT, ch->in.data, ch->in.size) < 0)
		return -1;
	buffer_free(&ch->in);
	if (ch->reply.error != SPICE_LINK_ERR_OK) {
		fail_link(ch, ch->reply.error, "link error");
		return -2;
	}
	/* Headers are passed as they are, so both links must agree. */
	if (mini(&ch->mess.common, &ch->reply.common) !=
		    mini(&ch->mess.common, &ch->told_common) ||
	    send_ticket(ch) < 0)
		return -1;
	learn(ch);
	ch->phase = CHANNEL_RESULT;
	ch->want = 4;
	return 0;
}

static int take_result(struct channel *ch)
{
	uint32_t result = bytes_get_le32(ch->in.data);

	if (record(ch, CAPTURE_TO_CLIENT, ch->in.data, 4) < 0)
		return -1;
	if (result != SPICE_LINK_ERR_OK) {
		fail_link(ch, result, "link result");
		return -2;
	}
	if (stream_write(&ch->client, ch->in.data, 4) < 0 ||
	    stream_flush(&ch->client) < 0)
		return -1;
	buffer_free(&ch->in);
	relay_start(ch, mini(&ch->mess.common, &ch->reply.common));
	ch->phase = CHANNEL_RELAY;
	ch->deadline = 0;
	return 0;
}

/* A side has closed. */
static void closed(struct channel *ch)
{
	struct session *s = ch->session;
	bool by_client = ch->client.broken;

	if (s->main == ch) {
		session_end(s, by_client ? IPC_END_CLIENT : IPC_END_GUEST, "%s",
			    "");
		return;
	}
	channel_retire(ch);
}

static void pump_link(struct channel *ch)
{
	int r = 0;

	if (ch->client.hangup || ch->client.broken) {
		ch->client.broken = true;
		closed(ch);
		return;
	}
	while (ch->phase != CHANNEL_RELAY) {
		r = read_link(ch);
		if (r == 0)
			return;
		if (r > 0)
			r = ch->phase == CHANNEL_REPLY ? take_reply(ch)
						       : take_result(ch);
		if (r == -1)
			fail_link(ch, SPICE_LINK_ERR_ERROR,
				  "it closed or broke the protocol");
		if (r < 0)
			return;
	}
	channel_pump(ch);
}

static void pump_closing(struct channel *ch)
{
	if (!ch->client.broken && stream_flush(&ch->client) == 0 &&
	    stream_is_blocked(&ch->client))
		return;
	if (ch->has_shut_down) {
		if (stream_drain(&ch->client))
			channel_free(ch);
		return;
	}
	ch->has_shut_down = true;
	stream_shutdown(&ch->client);
	if (ch->client.broken)
		channel_free(ch);
}

static void pump_relay(struct channel *ch)
{
	for (int i = 0; i < ROUNDS; i++) {
		int down = relay_to_client(ch);
		int up = down < 0 ? -1 : relay_to_guest(ch);

		if (up < 0) {
			closed(ch);
			return;
		}
		if (!down && !up)
			return;
	}
	if (!ch->is_again) {
		ch->is_again = true;
		ch->again_next = ch->worker->again;
		ch->worker->again = ch;
	}
}

void channel_pump(struct channel *ch)
{
	if (ch->phase == CHANNEL_CLOSING)
		pump_closing(ch);
	else if (ch->session->is_ending)
		return;
	else if (ch->phase == CHANNEL_RELAY)
		pump_relay(ch);
	else
		pump_link(ch);
}
