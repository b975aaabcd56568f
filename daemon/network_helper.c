/*
 * Starting passt; see network_helper.h.
 *
 * An alarm outlives exec(): the process is ended by SIGALRM at its time. That
 * it serves is seen from its answer to an ARP request (RFC 826), which comes
 * after it has entered its own sandbox.
 */
#include "daemon/network_helper.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/network.h"
#include "daemon/spawn.h"

#define ANSWER_MS 5000
#define ASK_MS 250

/* From 10.0.2.15: who has 10.0.2.2? Behind the length of the frame. */
static const uint8_t question[] = {
	0,    0,    0,    42,                      /* bytes that follow */
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff,        /* to everybody */
	0x52, 0x54, 0x00, 0x00, 0x00, 0x01,        /* from */
	0x08, 0x06, 0,    1,    0x08, 0,    6,  4, /* ARP, Ethernet, IPv4 */
	0,    1,                                   /* request */
	0x52, 0x54, 0x00, 0x00, 0x00, 0x01,        /* sender */
	10,   0,    2,    15,                      /* */
	0,    0,    0,    0,    0,    0,    10, 0, 2, 2, /* target */
};

static int spawn_passt(int fd, unsigned seconds, pid_t *pid,
		       struct error *error)
{
	static const char *const arguments[] = {
		"--foreground",  "--quiet",     "--stderr",
		"--fd",          "3",           "--ipv4-only",
		"--address",     "10.0.2.15",   "--netmask",
		"255.255.255.0", "--gateway",   "10.0.2.2",
		"--no-map-gw",   "--tcp-ports", "none",
		"--udp-ports",   "none",        NULL};
	const struct spawn spawn = {
		.program = NETWORK_HELPER,
		.arguments = arguments,
		.fds = {fd},
		.fd_count = 1,
		.alarm_s = seconds,
	};

	if (access(NETWORK_HELPER, X_OK))
		return error_set(error, -ENOENT,
				 "the program " NETWORK_HELPER
				 ", which is a window's way out, is missing: "
				 "install the package passt");
	return spawn_self(&spawn, pid, error);
}

/* Reads one frame whole, when something is there: 1, 0 not yet, -1 closed. */
static int take_frame(int fd)
{
	uint8_t bytes[2048];
	uint32_t size;

	if (recv(fd, bytes, 4, MSG_WAITALL) != 4)
		return -1;
	size = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
	       (uint32_t)bytes[2] << 8 | bytes[3];
	if (size > sizeof(bytes) ||
	    recv(fd, bytes, size, MSG_WAITALL) != (ssize_t)size)
		return -1;
	return size >= 22 && bytes[12] == 0x08 && bytes[13] == 0x06 &&
	       bytes[21] == 2; /* an ARP reply */
}

static int wait_for_answer(int fd)
{
	for (int waited = 0; waited < ANSWER_MS; waited += ASK_MS) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int r = 0;

		if (waited == 0 && send(fd, question, sizeof(question),
					MSG_NOSIGNAL) != sizeof(question))
			return -EPIPE;
		if (poll(&p, 1, ASK_MS) > 0)
			r = take_frame(fd);
		if (r < 0)
			return -EPIPE;
		if (r > 0)
			return 0;
	}
	return -ETIMEDOUT;
}

int network_helper_start(unsigned seconds, pid_t *pid, int *fd,
			 struct error *error)
{
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return error_errno(error, errno, "no socket");
	r = spawn_passt(pair[1], seconds, pid, error);
	close(pair[1]);
	if (r) {
		close(pair[0]);
		return r;
	}
	r = wait_for_answer(pair[0]);
	if (!r) {
		*fd = pair[0];
		return 0;
	}
	close(pair[0]);
	kill(*pid, SIGKILL);
	waitpid(*pid, NULL, 0);
	return error_set(error, r,
			 "passt, which is the window's way out, %s; the "
			 "daemon's log says why",
			 r == -EPIPE ? "ended at once" : "does not answer");
}
