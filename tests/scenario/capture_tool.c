/*
 * Captures without the daemon: what the scenarios of the recorder need.
 *
 *   capture_tool export FILE [tshark]        pcapng on stdout
 *   capture_tool stats FILE                  JSON on stdout
 *   capture_tool dump FILE [json|hex|contents...]  text on stdout
 *   capture_tool replay FILE PORT [SPEED]    serve until the client goes
 */
#include "recorder/capture_export.h"
#include "recorder/capture_stats.h"
#include "recorder/dump.h"
#include "recorder/replay_wire.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int fail(const struct error *e)
{
	fprintf(stderr, "capture_tool: %s\n", e->text);
	return 1;
}

static int listen_on(uint16_t port)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(fd, 16) < 0) {
		perror("capture_tool: listen");
		exit(1);
	}
	return fd;
}

struct acceptor {
	int listener, control;
};

/* Hands every connection to the replay. */
static void *accept_all(void *cookie)
{
	struct acceptor *a = cookie;
	int fd;

	while ((fd = accept(a->listener, NULL, NULL)) >= 0) {
		replay_wire_hand(a->control, fd);
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
	replay_wire_free(r);
	return 0;
}

static int dump(int argc, char **argv, int in, struct error *e)
{
	struct dump_options options = {.id = -1};

	for (int i = 3; i < argc; i++) {
		options.json |= !strcmp(argv[i], "json");
		options.hex |= !strcmp(argv[i], "hex");
		options.contents |= !strcmp(argv[i], "contents");
	}
	return dump_capture(in, 1, &options, e);
}

int main(int argc, char **argv)
{
	struct error e = {0};
	int in, r;

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
	else if (strcmp(argv[1], "dump") == 0)
		r = dump(argc, argv, in, &e);
	else if (argc > 3 && strcmp(argv[1], "replay") == 0)
		return replay(argc, argv, in);
	else
		return 2;
	return r < 0 ? fail(&e) : 0;
}
