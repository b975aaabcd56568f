/*
 * A viewer's connection up to its ticket: TLS, link message, ticket, and the
 * question to control. What control answers is gateway_arrival.c's.
 *
 * Before the ticket is known to be good a connection holds this structure, at
 * most LINK_TAKE bytes and what TLS needs (nothing before its first byte). It
 * has link_timeout for all of it; past max_pending the oldest has to go.
 */
#include "daemon/gateway_link.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <spice/protocol.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define LINK_TAKE 4096 /* received at a time, bytes */
#define ACCEPTS 64     /* before others have their turn */
#define LINGER_NS GATEWAY_SECOND
#define TLS_HANDSHAKE 0x16 /* first byte of a ClientHello's record */

void gateway_link_unlink(struct link *l)
{
	struct gateway *g = l->gateway;

	if (l->older)
		l->older->newer = l->newer;
	else
		g->oldest = l->newer;
	if (l->newer)
		l->newer->older = l->older;
	else
		g->newest = l->older;
	g->pending--;
	free(l->bytes);
	gateway_loop_bury(&g->loop, l);
}

static void drop(struct link *l)
{
	stream_close(&l->stream);
	gateway_link_unlink(l);
}

static void refuse(struct link *l, const char *why)
{
	refusal_note(l->gateway, &l->client, why);
	drop(l);
}

/* Everything has been said; wait a little so that it can be read. */
static void goodbye(struct link *l)
{
	struct gateway *g = l->gateway;

	l->phase = LINK_GOODBYE;
	l->deadline = g->loop.now + LINGER_NS;
	gateway_loop_at(&g->loop, l->deadline);
	stream_shutdown(&l->stream);
	if (stream_drain(&l->stream))
		drop(l);
}

void gateway_link_answer(struct link *l, uint32_t result)
{
	uint8_t le[4];

	bytes_put_le32(le, result);
	stream_write(&l->stream, le, sizeof(le));
	goodbye(l);
}

/* As spice-server: the form of a reply, without key and capabilities. */
static void answer_error(struct link *l, uint32_t code, const char *why)
{
	struct link_reply reply = {.error = code};
	struct buffer b = {0};

	refusal_note(l->gateway, &l->client, why);
	link_reply_build(&b, &reply);
	if (!b.failed)
		stream_write(&l->stream, b.data, b.size);
	buffer_free(&b);
	goodbye(l);
}

/* 1 when `want` bytes are there, 0 not yet, -1 the viewer is gone. */
static int fill(struct link *l)
{
	while (l->have < l->want) {
		ssize_t n = stream_read(&l->stream, l->bytes + l->have,
					l->want - l->have);

		if (n == 0) {
			n = stream_receive(&l->stream, LINK_TAKE);
			if (n <= 0)
				return (int)n;
			continue;
		}
		if (n < 0)
			return -1;
		l->have += (size_t)n;
	}
	return stream_keep(&l->stream) < 0 ? -1 : 1;
}

static void expect(struct link *l, enum link_phase phase, size_t want)
{
	l->phase = phase;
	l->have = 0;
	l->want = want;
}

/* -1: closed. */
static int start(struct link *l)
{
	uint8_t first;
	ssize_t n = recv(l->stream.fd, &first, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		refuse(l, "closed before it said anything");
		return -1;
	}
	if (first == 'R') {
		answer_error(l, SPICE_LINK_ERR_NEED_SECURED,
			     "spoke SPICE without TLS");
		return -1;
	}
	if (first != TLS_HANDSHAKE) {
		refuse(l, "spoke neither TLS nor SPICE");
		return -1;
	}
	l->bytes = malloc(LINK_BODY_MAX);
	if (!l->bytes || stream_start_tls(&l->stream, l->gateway->tls) < 0) {
		refuse(l, "no memory for it");
		return -1;
	}
	l->phase = LINK_TLS;
	return 1;
}

static int shake_hands(struct link *l)
{
	ssize_t n;
	int r;

	while ((n = stream_receive(&l->stream, LINK_TAKE)) > 0) {
		r = stream_handshake(&l->stream);
		if (r > 0) {
			expect(l, LINK_HEADER, LINK_HEADER_SIZE);
			return stream_keep(&l->stream) < 0 ? -1 : 1;
		}
		if (r < 0) {
			l->stream.window_size = 0;
			refuse(l, "TLS failed");
			return -1;
		}
	}
	if (n < 0)
		refuse(l, "closed during TLS");
	return (int)n;
}

static int send_reply(struct link *l)
{
	struct link_reply reply = {.error = SPICE_LINK_ERR_OK};
	struct gateway *g = l->gateway;
	struct buffer b = {0};
	int r = -1;

	link_caps_set(&reply.common, SPICE_COMMON_CAP_PROTOCOL_AUTH_SELECTION,
		      true);
	link_caps_set(&reply.common, SPICE_COMMON_CAP_AUTH_SPICE, true);
	link_caps_set(&reply.common, SPICE_COMMON_CAP_MINI_HEADER, true);
	reply.channel = *gateway_caps_of(g, l->mess.channel_type);
	link_key_public(g->key, reply.key);
	l->told_common = reply.common;
	l->told_channel = reply.channel;
	link_reply_build(&b, &reply);
	if (!b.failed && stream_write(&l->stream, b.data, b.size) == 0)
		r = stream_flush(&l->stream);
	buffer_free(&b);
	return r;
}

/* A whole link message: the next step, or its refusal. */
static int take_mess(struct link *l)
{
	if (link_mess_parse(l->bytes, l->want, &l->mess, NULL) < 0) {
		answer_error(l, SPICE_LINK_ERR_INVALID_DATA,
			     "sent a malformed link message");
		return -1;
	}
	if (send_reply(l) < 0) {
		refuse(l, "closed during its link");
		return -1;
	}
	if (link_caps_test(&l->mess.common,
			   SPICE_COMMON_CAP_PROTOCOL_AUTH_SELECTION))
		expect(l, LINK_AUTH, 4);
	else
		expect(l, LINK_TICKET, LINK_TICKET_SIZE);
	return 0;
}

static int take_header(struct link *l)
{
	struct error error;
	uint32_t code;
	size_t body;

	if (link_header_parse(l->bytes, &body, &code, &error) == 0) {
		expect(l, LINK_MESS, body);
		return 0;
	}
	answer_error(l, code,
		     code == SPICE_LINK_ERR_INVALID_MAGIC
			     ? "spoke TLS, but not SPICE"
		     : code == SPICE_LINK_ERR_VERSION_MISMATCH
			     ? "spoke another version of SPICE"
			     : "sent a link message of impossible size");
	return -1;
}

static int take_auth(struct link *l)
{
	if (bytes_get_le32(l->bytes) != SPICE_COMMON_CAP_AUTH_SPICE) {
		refusal_note(l->gateway, &l->client,
			     "wanted another way to authenticate");
		gateway_link_answer(l, SPICE_LINK_ERR_INVALID_DATA);
		return -1;
	}
	expect(l, LINK_TICKET, LINK_TICKET_SIZE);
	return 0;
}

static bool same_host(const struct ipc_address *a, const struct ipc_address *b)
{
	return a->family == b->family &&
	       memcmp(a->address, b->address, sizeof(a->address)) == 0;
}

static const struct known_session *session_of(const struct link *l)
{
	const struct known_session *s = l->gateway->sessions;

	for (; s; s = s->next)
		if (CRYPTO_memcmp(s->digest, l->digest, IPC_DIGEST_SIZE) == 0 &&
		    (!s->is_bound || same_host(&s->client, &l->client)))
			break;
	return s;
}

static void ask(struct link *l)
{
	struct gateway *g = l->gateway;

	l->phase = LINK_ASKED;
	l->request = ++g->last_request;
	if (l->mess.channel_type == SPICE_CHANNEL_MAIN) {
		struct ipc_redeem redeem = {
			.request = l->request,
			.client = l->client,
		};

		memcpy(redeem.digest, l->digest, IPC_DIGEST_SIZE);
		gateway_tell(g, IPC_REDEEM, &redeem, sizeof(redeem));
	} else {
		struct ipc_open open = {
			.request = l->request,
			.channel_type = l->mess.channel_type,
			.channel_id = l->mess.channel_id,
		};

		memcpy(open.session, l->session_id, sizeof(open.session));
		gateway_tell(g, IPC_OPEN, &open, sizeof(open));
	}
}

/* Whose ticket is it? */
static void decide(struct link *l)
{
	const struct known_session *s;

	if (l->mess.channel_type == SPICE_CHANNEL_MAIN) {
		if (l->mess.connection_id == 0) {
			ask(l);
			return;
		}
		refusal_note(l->gateway, &l->client,
			     "came as if migrated from elsewhere");
		gateway_link_answer(l, SPICE_LINK_ERR_BAD_CONNECTION_ID);
		return;
	}
	s = session_of(l);
	if (!s) {
		refusal_note(l->gateway, &l->client,
			     "opened a channel with a ticket of no session "
			     "that is live from there");
		gateway_link_answer(l, SPICE_LINK_ERR_PERMISSION_DENIED);
	} else if (!filter_allows_channel(&s->rules, l->mess.channel_type)) {
		refusal_note(l->gateway, &l->client,
			     "opened a channel that the vault's policy "
			     "forbids");
		gateway_link_answer(l, SPICE_LINK_ERR_CHANNEL_NOT_AVAILABLE);
	} else {
		memcpy(l->session_id, s->id, sizeof(l->session_id));
		ask(l);
	}
}

/* A block that is no ticket takes the same way as a wrong ticket. */
static int take_ticket(struct link *l)
{
	char password[LINK_PASSWORD_MAX + 1];
	int r = link_ticket_decrypt(l->gateway->key, l->bytes, password);

	SHA256((const uint8_t *)password, strlen(password), l->digest);
	if (r < 0)
		RAND_bytes(l->digest, sizeof(l->digest));
	OPENSSL_cleanse(password, sizeof(password));
	free(l->bytes);
	l->bytes = NULL;
	decide(l);
	return -1;
}

static int take_pdu(struct link *l)
{
	int r = fill(l);

	if (r < 0)
		refuse(l, "closed during its link");
	if (r <= 0)
		return -1;
	switch (l->phase) {
	case LINK_HEADER:
		return take_header(l);
	case LINK_MESS:
		return take_mess(l);
	case LINK_AUTH:
		return take_auth(l);
	default:
		return take_ticket(l);
	}
}

/* Goes on until there is nothing more to be read, or l is gone. */
static void pump(struct link *l)
{
	switch (l->phase) {
	case LINK_FIRST:
		if (start(l) <= 0)
			return;
		/* fall through */
	case LINK_TLS:
		if (shake_hands(l) <= 0)
			return;
		/* fall through */
	case LINK_HEADER:
	case LINK_MESS:
	case LINK_AUTH:
	case LINK_TICKET:
		while (take_pdu(l) >= 0)
			;
		return;
	case LINK_ASKED:
		if (l->stream.hangup)
			refuse(l, "left before its ticket was checked");
		return;
	case LINK_GOODBYE:
		if (stream_flush(&l->stream) < 0 || stream_drain(&l->stream))
			drop(l);
		return;
	}
}

static void on_ready(struct gateway_source *source, uint32_t events)
{
	struct link *l = (struct link *)source;

	stream_events(&l->stream, events);
	pump(l);
}

static void read_address(const struct sockaddr_storage *from,
			 struct ipc_address *to)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;

	*to = (struct ipc_address){.family = AF_INET};
	if (from->ss_family == AF_INET) {
		to->port = ntohs(v4->sin_port);
		memcpy(to->address, &v4->sin_addr, 4);
		return;
	}
	to->port = ntohs(v6->sin6_port);
	if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
		memcpy(to->address, v6->sin6_addr.s6_addr + 12, 4);
		return;
	}
	to->family = AF_INET6;
	memcpy(to->address, &v6->sin6_addr, 16);
}

static void set_options(int fd)
{
	int on = 1, idle = 60, interval = 20, count = 3, unacked = 120000;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	/* A viewer whose machine is gone must not hold its session. */
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked,
		   sizeof(unacked));
}

static void accepted(struct gateway *g, int fd,
		     const struct sockaddr_storage *from)
{
	struct link *l = calloc(1, sizeof(*l));

	if (!l) {
		close(fd);
		return;
	}
	set_options(fd);
	stream_init(&l->stream, fd);
	l->gateway = g;
	l->deadline = g->loop.now + g->link_timeout;
	read_address(from, &l->client);
	l->older = g->newest;
	if (g->newest)
		g->newest->newer = l;
	else
		g->oldest = l;
	g->newest = l;
	g->pending++;
	gateway_loop_at(&g->loop, l->deadline);
	if (stream_attach(&l->stream, &g->loop, on_ready) < 0)
		drop(l);
	else if (g->pending > g->max_pending)
		refuse(g->oldest, "too many unfinished links, this the oldest");
}

void gateway_link_on_accept(struct gateway_source *source, uint32_t events)
{
	struct gateway_listener *listener = (struct gateway_listener *)source;
	struct gateway *g = listener->gateway;
	struct sockaddr_storage from;

	(void)events;
	for (int i = 0; i < ACCEPTS; i++) {
		socklen_t size = sizeof(from);
		int fd = accept4(listener->fd, (struct sockaddr *)&from, &size,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			accepted(g, fd, &from);
		} else if (errno == EMFILE || errno == ENFILE) {
			if (!g->oldest)
				return;
			refuse(g->oldest, "no descriptors left");
		} else if (errno != ECONNABORTED && errno != EINTR) {
			return;
		}
	}
}

void gateway_link_on_due(struct gateway *g)
{
	struct link *l, *newer;

	for (l = g->oldest; l; l = newer) {
		newer = l->newer;
		if (g->loop.now < l->deadline) {
			gateway_loop_at(&g->loop, l->deadline);
		} else if (l->phase == LINK_GOODBYE) {
			drop(l);
		} else if (l->phase == LINK_ASKED) {
			refusal_note(g, &l->client,
				     "the daemon did not answer in time");
			gateway_link_answer(l, SPICE_LINK_ERR_ERROR);
		} else {
			refuse(l, "did not finish its link in time");
		}
	}
}

void gateway_link_ask_again(struct gateway *g)
{
	for (struct link *l = g->oldest; l; l = l->newer)
		if (l->phase == LINK_ASKED)
			ask(l);
}

void gateway_link_close_all(struct gateway *g)
{
	while (g->oldest)
		drop(g->oldest);
}
