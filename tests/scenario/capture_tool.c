/*
 * Captures without the daemon: what the scenarios of the recorder need.
 *
 *   capture_tool proxy PORT UPSTREAM_PORT FILE   record until SIGTERM
 *   capture_tool export FILE [tshark]            pcapng on stdout
 *   capture_tool stats FILE                      JSON on stdout
 *   capture_tool replay FILE PORT [SPEED]        serve until the client goes
 *
 * The proxy stands between a client and a SPICE server without a password,
 * both on plain TCP on 127.0.0.1: it answers the link with a key of its own
 * and makes another to the server.
 */
#include "recorder/capture_export.h"
#include "recorder/capture_writer.h"
#include "recorder/framer.h"
#include "recorder/link.h"
#include "recorder/replay_wire.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spice/protocol.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct capture_writer *writer;
static struct link_key *key;
static uint16_t upstream_port;
static volatile sig_atomic_t stop;

static int fail(const struct error *e)
{
	fprintf(stderr, "capture_tool: %s\n", e->text);
	return 1;
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static struct sockaddr_in local(uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static int listen_on(uint16_t port)
{
	struct sockaddr_in a = local(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(fd, 16) < 0) {
		perror("capture_tool: listen");
		exit(1);
	}
	return fd;
}

static bool get(int fd, void *data, size_t size)
{
	return recv(fd, data, size, MSG_WAITALL) == (ssize_t)size;
}

static bool put(int fd, const void *data, size_t size)
{
	return send(fd, data, size, MSG_NOSIGNAL) == (ssize_t)size;
}

static void record(int channel, enum capture_direction direction,
		   const void *data, size_t size)
{
	int r;

	do {
		pthread_mutex_lock(&lock);
		r = writer ? capture_writer_add(writer, channel, direction,
						now(), data, size, NULL)
			   : 0;
		pthread_mutex_unlock(&lock);
		if (r == -EAGAIN)
			usleep(1000);
	} while (r == -EAGAIN);
}

struct pdu {
	uint8_t bytes[LINK_HEADER_SIZE + LINK_BODY_MAX];
	size_t size;
};

static bool get_pdu(int fd, struct pdu *p)
{
	uint32_t link_error;
	size_t body;

	if (!get(fd, p->bytes, LINK_HEADER_SIZE) ||
	    link_header_parse(p->bytes, &body, &link_error, NULL) < 0 ||
	    !get(fd, p->bytes + LINK_HEADER_SIZE, body))
		return false;
	p->size = LINK_HEADER_SIZE + body;
	return true;
}

/* Both links; *mini is the header form that is then in force. */
static bool make_link(int client, int server, int channel, bool *mini)
{
	struct pdu mess, reply;
	struct link_mess m;
	struct link_reply r;
	uint8_t ticket[LINK_TICKET_SIZE], zero[LINK_TICKET_SIZE] = {0};
	uint8_t auth[4], result[4], der[LINK_KEY_SIZE];

	if (!get_pdu(client, &mess) || !put(server, mess.bytes, mess.size) ||
	    !get_pdu(server, &reply) ||
	    link_mess_parse(mess.bytes + 16, mess.size - 16, &m, NULL) < 0 ||
	    link_reply_parse(reply.bytes + 16, reply.size - 16, &r, NULL) < 0)
		return false;
	memcpy(der, r.key, sizeof(der));
	link_key_public(key, reply.bytes + LINK_HEADER_SIZE + 4);
	record(channel, CAPTURE_TO_GUEST, mess.bytes, mess.size);
	record(channel, CAPTURE_TO_CLIENT, reply.bytes, reply.size);
	if (!put(client, reply.bytes, reply.size) || !get(client, auth, 4) ||
	    !get(client, ticket, sizeof(ticket)) ||
	    link_ticket_encrypt(der, "", ticket, NULL) < 0 ||
	    !put(server, auth, 4) || !put(server, ticket, sizeof(ticket)) ||
	    !get(server, result, 4) || !put(client, result, 4))
		return false;
	record(channel, CAPTURE_TO_GUEST, auth, 4);
	record(channel, CAPTURE_TO_GUEST, zero, sizeof(zero));
	record(channel, CAPTURE_TO_CLIENT, result, 4);
	*mini = link_caps_test(&m.common, SPICE_COMMON_CAP_MINI_HEADER) &&
		link_caps_test(&r.common, SPICE_COMMON_CAP_MINI_HEADER);
	return true;
}

/* What came in one read, recorded message by message. */
static void record_framed(struct framer *f, int channel,
			  enum capture_direction direction, const uint8_t *data,
			  size_t size)
{
	struct framer_piece piece;
	size_t at = 0, from = 0;

	while (at < size) {
		int n = framer_next(f, data + at, size - at, &piece, NULL);

		if (n <= 0)
			return;
		at += (size_t)n;
		if (!piece.ends && at < size)
			continue;
		record(channel, direction, data + from, at - from);
		from = at;
	}
}

static void relay(int client, int server, int channel, bool mini)
{
	struct framer framers[2];
	struct pollfd p[2] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
	static _Thread_local uint8_t bytes[1 << 18];

	framer_init(&framers[0], mini, UINT32_MAX);
	framer_init(&framers[1], mini, UINT32_MAX);
	while (poll(p, 2, -1) >= 0)
		for (int i = 0; i < 2; i++) {
			ssize_t n;

			if (!p[i].revents)
				continue;
			n = recv(p[i].fd, bytes, sizeof(bytes), 0);
			if (n <= 0 || !put(p[!i].fd, bytes, (size_t)n))
				return;
			record_framed(&framers[i], channel,
				      i ? CAPTURE_TO_CLIENT : CAPTURE_TO_GUEST,
				      bytes, (size_t)n);
		}
}

static void *serve(void *cookie)
{
	int client = (int)(intptr_t)cookie, on = 1, channel;
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in a = local(upstream_port);
	bool mini;

	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	pthread_mutex_lock(&lock);
	channel = capture_writer_open_channel(writer, now(), NULL);
	pthread_mutex_unlock(&lock);
	if (channel >= 0 &&
	    connect(server, (struct sockaddr *)&a, sizeof(a)) == 0 &&
	    make_link(client, server, channel, &mini))
		relay(client, server, channel, mini);
	close(client);
	close(server);
	pthread_mutex_lock(&lock);
	if (channel >= 0 && writer)
		capture_writer_close_channel(writer, channel, now(), NULL);
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

static int finish(struct capture_pool *pool)
{
	uint8_t digest[CAPTURE_DIGEST_SIZE];
	struct error e = {0};
	int r;

	pthread_mutex_lock(&lock);
	r = capture_writer_finish(writer, &e);
	while (r == 0 && (r = capture_writer_finished(writer, digest, &e)) == 0)
		usleep(1000);
	capture_writer_free(writer);
	writer = NULL;
	pthread_mutex_unlock(&lock);
	capture_pool_free(pool);
	return r < 0 ? fail(&e) : 0;
}

static int proxy(char **argv)
{
	struct capture_session session = {"proxy", "test", "127.0.0.1"};
	struct pollfd p = {.events = POLLIN};
	struct sigaction action = {.sa_handler = on_signal};
	struct capture_pool *pool;
	struct error e = {0};
	pthread_t thread;
	int fd = open(argv[4], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	upstream_port = (uint16_t)atoi(argv[3]);
	sigaction(SIGTERM, &action, NULL);
	if (fd < 0 || link_key_new(&key, &e) < 0 ||
	    capture_pool_new(&pool, 1, &e) < 0 ||
	    capture_writer_new(&writer, pool, fd, &session, &e) < 0)
		return fail(&e);
	p.fd = listen_on((uint16_t)atoi(argv[2]));
	while (!stop) {
		if (poll(&p, 1, 100) > 0) {
			intptr_t client = accept(p.fd, NULL, NULL);

			pthread_create(&thread, NULL, serve, (void *)client);
			pthread_detach(thread);
		}
		pthread_mutex_lock(&lock);
		capture_writer_tick(writer, now(), NULL);
		pthread_mutex_unlock(&lock);
	}
	return finish(pool);
}

struct acceptor {
	int listener, control;
};

/* Hands every connection to the replay. */
static void *accept_all(void *cookie)
{
	struct acceptor *a = cookie;
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec v = {"c", 1};
	struct msghdr m = {
		.msg_iov = &v,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int fd;

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	while ((fd = accept(a->listener, NULL, NULL)) >= 0) {
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
		sendmsg(a->control, &m, MSG_NOSIGNAL);
		close(fd);
	}
	return NULL;
}

static int replay(int argc, char **argv, int in)
{
	struct replay_wire_options options = {
		.speed = argc > 4 ? atof(argv[4]) : 1,
	};
	struct acceptor a = {.listener = listen_on((uint16_t)atoi(argv[3]))};
	struct replay_wire *r;
	struct error e = {0};
	pthread_t thread;
	int pair[2];

	socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
	a.control = pair[0];
	if (replay_wire_new(&r, in, &options, &e) < 0)
		return fail(&e);
	pthread_create(&thread, NULL, accept_all, &a);
	if (replay_wire_run(r, pair[1], &e) < 0)
		return fail(&e);
	fprintf(stderr, "replayed %.3f of %.3f s\n",
		(double)replay_wire_position(r) / 1e9,
		(double)replay_wire_length(r) / 1e9);
	replay_wire_free(r);
	return 0;
}

int main(int argc, char **argv)
{
	struct error e = {0};
	int in, r;

	if (argc == 5 && strcmp(argv[1], "proxy") == 0)
		return proxy(argv);
	if (argc < 3)
		return 2;
	in = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (in < 0) {
		perror(argv[2]);
		return 1;
	}
	if (strcmp(argv[1], "export") == 0)
		r = capture_export_pcapng(in, 1, argc > 3, &e);
	else if (strcmp(argv[1], "stats") == 0)
		r = capture_stats(in, 1, &e);
	else if (argc > 3 && strcmp(argv[1], "replay") == 0)
		return replay(argc, argv, in);
	else
		return 2;
	return r < 0 ? fail(&e) : 0;
}
