/* socketpair() for TCP; see loopback.h. */
#include "daemon/loopback.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

static bool same_end(const struct sockaddr_in *a, const struct sockaddr_in *b)
{
	return a->sin_addr.s_addr == b->sin_addr.s_addr &&
	       a->sin_port == b->sin_port;
}

/*
 * Takes connections until the one from `client` comes: between listen and
 * accept any process of this host can connect.
 */
static int accept_own(int listener, const struct sockaddr_in *client)
{
	for (int i = 0; i < 16; i++) {
		struct sockaddr_in peer;
		socklen_t size = sizeof(peer);
		int fd = accept4(listener, (struct sockaddr *)&peer, &size,
				 SOCK_CLOEXEC);

		if (fd < 0)
			return -errno;
		if (same_end(&peer, client))
			return fd;
		close(fd);
	}
	return -EAGAIN;
}

static int connect_pair(int listener, int client, int pair[2])
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t size = sizeof(address);
	const int on = 1;
	int server;

	if (bind(listener, (struct sockaddr *)&address, size) < 0 ||
	    listen(listener, 1) < 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &size) < 0 ||
	    connect(client, (struct sockaddr *)&address, size) < 0 ||
	    getsockname(client, (struct sockaddr *)&address, &size) < 0)
		return -errno;
	server = accept_own(listener, &address);
	if (server < 0)
		return server;
	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	pair[0] = client;
	pair[1] = server;
	return 0;
}

int loopback_pair(int pair[2], struct error *error)
{
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int result = -EMFILE;

	if (listener >= 0 && client >= 0)
		result = connect_pair(listener, client, pair);
	if (listener >= 0)
		close(listener);
	if (result == 0)
		return 0;
	if (client >= 0)
		close(client);
	return error_errno(error, result,
			   "cannot make a TCP connection over 127.0.0.1");
}
