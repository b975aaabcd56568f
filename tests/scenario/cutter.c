/*
 * A TCP proxy on loopback that cuts: the first connections that carry so many
 * bytes are reset in the middle; the ones after them are left alone.
 *
 *   cutter TARGET-PORT BYTES [TIMES]
 *
 * TIMES -1: bytes of all connections count, and after the cut none carries
 * anything any more.
 * Prints its port, then "cut N" for each connection that it cuts after N
 * bytes, counting both directions.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAIRS 64
#define BUFFER 16384 /* small, so that the cut is about where it was said */

struct pair {
	int fd[2];     /* -1: free */
	bool ended[2]; /* its reading side */
	uint64_t bytes;
};

static struct pair pairs[PAIRS];
static uint64_t limit, total;
static int times = 1;

static int loopback(int fd, uint16_t port, bool listens)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(port),
				      .sin_addr.s_addr =
					      htonl(INADDR_LOOPBACK)};

	return listens ? bind(fd, (struct sockaddr *)&address, sizeof(address))
		       : connect(fd, (struct sockaddr *)&address,
				 sizeof(address));
}

static void drop(struct pair *pair, bool reset)
{
	const struct linger now = {1, 0};

	for (int i = 0; i < 2; i++) {
		if (reset)
			setsockopt(pair->fd[i], SOL_SOCKET, SO_LINGER, &now,
				   sizeof(now));
		close(pair->fd[i]);
		pair->fd[i] = -1;
	}
}

static void take(int server, uint16_t target)
{
	int client = accept(server, NULL, NULL);
	int far = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int i = 0;

	while (i < PAIRS && pairs[i].fd[0] >= 0)
		i++;
	if (client < 0 || far < 0 || i == PAIRS ||
	    loopback(far, target, false)) {
		close(client);
		close(far);
		return;
	}
	pairs[i] = (struct pair){.fd = {client, far}};
}

/* false: the pair has gone. */
static bool copy(struct pair *pair, int from)
{
	char buffer[BUFFER];
	ssize_t n = read(pair->fd[from], buffer, sizeof(buffer)), done = 0;

	if (n == 0) {
		pair->ended[from] = true;
		shutdown(pair->fd[!from], SHUT_WR);
		if (pair->ended[!from])
			drop(pair, false);
		return pair->fd[0] >= 0;
	}
	while (n > 0 && done < n) {
		ssize_t put = write(pair->fd[!from], buffer + done,
				    (size_t)(n - done));

		if (put <= 0)
			break;
		done += put;
	}
	if (n < 0 || done < n) {
		drop(pair, true);
		return false;
	}
	pair->bytes += (uint64_t)n;
	total += (uint64_t)n;
	if (times && (times < 0 ? total : pair->bytes) >= limit) {
		if (times > 0)
			times--;
		else
			limit = 0;
		printf("cut %llu\n", (unsigned long long)pair->bytes);
		drop(pair, true);
		return false;
	}
	return true;
}

static void turn(int server, uint16_t target)
{
	struct pollfd fds[1 + 2 * PAIRS] = {{.fd = server, .events = POLLIN}};

	for (int i = 0; i < 2 * PAIRS; i++) {
		const struct pair *pair = &pairs[i / 2];

		fds[1 + i].fd = pair->ended[i % 2] ? -1 : pair->fd[i % 2];
		fds[1 + i].events = POLLIN;
	}
	if (poll(fds, 1 + 2 * PAIRS, -1) < 0)
		return;
	for (int i = 0; i < 2 * PAIRS; i++)
		if (fds[1 + i].revents && !copy(&pairs[i / 2], i % 2))
			i |= 1;
	if (fds[0].revents)
		take(server, target);
}

int main(int argc, char **argv)
{
	struct sockaddr_in address;
	socklen_t size = sizeof(address);
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (argc < 3 || server < 0 || loopback(server, 0, true) ||
	    listen(server, 16) ||
	    getsockname(server, (struct sockaddr *)&address, &size)) {
		perror("cutter");
		return 1;
	}
	limit = strtoull(argv[2], NULL, 10);
	times = argc > 3 ? atoi(argv[3]) : 1;
	for (int i = 0; i < PAIRS; i++)
		pairs[i].fd[0] = pairs[i].fd[1] = -1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	printf("%d\n", ntohs(address.sin_port));
	for (;;)
		turn(server, (uint16_t)atoi(argv[1]));
}
