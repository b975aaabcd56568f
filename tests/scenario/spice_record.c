/*
 * A relay on the loopback that records what passes: spice_record LISTEN
 * CONNECT FILE [stay]. LISTEN and CONNECT are ports of 127.0.0.1; a plain SPICE
 * server must be at CONNECT. Ends, and completes the capture, when the first
 * channel has been closed (not with stay), or on SIGTERM.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "recorder/bytes.h"
#include "recorder/capture_writer.h"
#include "recorder/link.h"

#define CHANNELS 64

/* One direction: PDUs of the link are gathered, then bytes pass. */
struct side {
	int fd;
	const int *pdus; /* sizes; 0 = a header and what it announces,
			  * -1 = the end of the link */
	uint8_t pdu[LINK_HEADER_SIZE + LINK_BODY_MAX];
	size_t have;
};

struct relay {
	bool used;
	int number;
	struct side sides[2]; /* 0 client, 1 server */
};

static const int client_pdus[] = {0, 4, LINK_TICKET_SIZE, -1};
static const int server_pdus[] = {0, 4, -1};
static struct relay relays[CHANNELS];
static struct capture_writer *writer;
static volatile sig_atomic_t ended;
static bool stays;

static void end(int signal)
{
	(void)signal;
	ended = 1;
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int tcp(int port, bool listening)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (listening) {
		if (bind(fd, (struct sockaddr *)&at, sizeof(at)) ||
		    listen(fd, 16))
			die("listen");
	} else if (connect(fd, (struct sockaddr *)&at, sizeof(at))) {
		die("connect");
	}
	return fd;
}

static void record(struct relay *r, int from, const void *data, size_t size)
{
	struct error error = {0};
	int bad;

	while ((bad = capture_writer_add(writer, r->number,
					 from ? CAPTURE_TO_CLIENT
					      : CAPTURE_TO_GUEST,
					 now(), data, size, &error)) == -EAGAIN)
		usleep(1000);
	if (bad) {
		fprintf(stderr, "%s\n", error.text);
		exit(1);
	}
}

/* How many bytes the PDU being gathered has in all, as far as known. */
static size_t wanted(const struct side *s)
{
	size_t body;

	if (*s->pdus)
		return *s->pdus;
	if (s->have < LINK_HEADER_SIZE)
		return LINK_HEADER_SIZE;
	body = bytes_get_le32(s->pdu + 12);
	return LINK_HEADER_SIZE + (body < LINK_BODY_MAX ? body : 0);
}

static void take(struct relay *r, int from, const uint8_t *data, size_t size)
{
	struct side *s = &r->sides[from];

	while (size && *s->pdus >= 0) {
		size_t n = wanted(s) - s->have;

		n = n < size ? n : size;
		memcpy(s->pdu + s->have, data, n);
		s->have += n;
		data += n;
		size -= n;
		if (s->have < wanted(s))
			continue;
		if (*s->pdus == LINK_TICKET_SIZE)
			memset(s->pdu, 0, s->have);
		record(r, from, s->pdu, s->have);
		s->have = 0;
		s->pdus++;
	}
	if (size)
		record(r, from, data, size);
}

static void hang_up(struct relay *r)
{
	capture_writer_close_channel(writer, r->number, now(), NULL);
	close(r->sides[0].fd);
	close(r->sides[1].fd);
	r->used = false;
	if (!r->number && !stays)
		ended = 1;
}

static void pass(struct relay *r, int from)
{
	static uint8_t data[64 * 1024];
	ssize_t n = read(r->sides[from].fd, data, sizeof(data));

	if (n <= 0) {
		hang_up(r);
		return;
	}
	take(r, from, data, n);
	for (ssize_t done = 0; done < n;) {
		ssize_t w = write(r->sides[!from].fd, data + done, n - done);

		if (w <= 0) {
			hang_up(r);
			return;
		}
		done += w;
	}
}

static void accept_one(int listener, int port)
{
	for (struct relay *r = relays; r < relays + CHANNELS; r++) {
		if (r->used)
			continue;
		*r = (struct relay){.used = true};
		r->sides[0].fd = accept(listener, NULL, NULL);
		r->sides[0].pdus = client_pdus;
		r->sides[1].fd = tcp(port, false);
		r->sides[1].pdus = server_pdus;
		r->number = capture_writer_open_channel(writer, now(), NULL);
		return;
	}
}

static void serve(int listener, int port)
{
	struct pollfd fds[1 + 2 * CHANNELS];

	while (!ended) {
		fds[0] = (struct pollfd){listener, POLLIN, 0};
		for (int i = 0; i < 2 * CHANNELS; i++) {
			const struct relay *r = &relays[i / 2];

			fds[1 + i] = (struct pollfd){
				r->used ? r->sides[i & 1].fd : -1, POLLIN, 0};
		}
		capture_writer_tick(writer, now(), NULL);
		if (poll(fds, 1 + 2 * CHANNELS, 200) < 0)
			continue;
		for (int i = 0; i < 2 * CHANNELS; i++)
			if (fds[1 + i].revents && relays[i / 2].used)
				pass(&relays[i / 2], i & 1);
		if (fds[0].revents)
			accept_one(listener, port);
	}
}

int main(int argc, char **argv)
{
	struct capture_session session = {.id = "test", .vault = "test"};
	uint8_t digest[CAPTURE_DIGEST_SIZE];
	struct sigaction action = {.sa_handler = end};
	struct capture_pool *pool;
	struct error error = {0};
	int fd, r;

	stays = argc == 5;
	if (argc != 4 && !stays) {
		fprintf(stderr, "usage: spice_record LISTEN CONNECT FILE [stay]\n");
		return 2;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	fd = open(argv[3], O_RDWR | O_CREAT | O_TRUNC, 0644);
	if (fd < 0)
		die(argv[3]);
	r = capture_pool_new(&pool, 1, &error);
	if (!r)
		r = capture_writer_new(&writer, pool, fd, &session, &error);
	if (!r) {
		serve(tcp(atoi(argv[1]), true), atoi(argv[2]));
		r = capture_writer_finish(writer, &error);
	}
	while (!r && !(r = capture_writer_finished(writer, digest, &error)))
		usleep(10000);
	if (r < 0) {
		fprintf(stderr, "%s\n", error.text);
		return 1;
	}
	capture_writer_free(writer);
	capture_pool_free(pool);
	return 0;
}
