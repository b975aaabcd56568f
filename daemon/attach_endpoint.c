/* Where an attached vault is; see attach_endpoint.h. */
#include "daemon/attach_endpoint.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int read_unix(struct attach_endpoint *endpoint, const char *path,
		     struct error *error)
{
	endpoint->is_unix = true;
	if (path[0] != '/')
		return error_set(error, -EINVAL,
				 "the socket \"%s\" needs an absolute path",
				 path);
	if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return error_set(error, -EINVAL,
				 "the socket's path is too long");
	strcpy(endpoint->host, path);
	return 0;
}

int attach_endpoint_read(struct attach_endpoint *endpoint, const char *text,
			 struct error *error)
{
	const char *colon, *host;
	size_t size;
	char *end;
	long port;

	*endpoint = (struct attach_endpoint){.tls = false};
	if (strncmp(text, "unix:", 5) == 0)
		return read_unix(endpoint, text + 5, error);
	endpoint->tls = strncmp(text, "tls:", 4) == 0;
	host = text + (endpoint->tls ? 4 : 0);
	colon = strrchr(host, ':');
	port = colon ? strtol(colon + 1, &end, 10) : 0;
	size = colon ? (size_t)(colon - host) : 0;
	if (size > 2 && host[0] == '[' && colon[-1] == ']') {
		host++;
		size -= 2;
	} else if (size && (host[0] == '[' || memchr(host, ':', size))) {
		size = 0; /* which of them is the port? */
	}
	if (size == 0 || size >= sizeof(endpoint->host) || port < 1 ||
	    port > 65535 || *end)
		return error_set(error, -EINVAL,
				 "\"%s\" is none of HOST:PORT, tls:HOST:PORT, "
				 "unix:PATH ([HOST] for IPv6)",
				 text);
	memcpy(endpoint->host, host, size);
	snprintf(endpoint->port, sizeof(endpoint->port), "%ld", port);
	return 0;
}

/* Connects within ms; a negative errno. */
static int connect_within(int fd, const struct sockaddr *address,
			  socklen_t size, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int failed = 0;

	if (connect(fd, address, size) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return -errno;
	if (poll(&p, 1, ms) <= 0)
		return -ETIMEDOUT;
	size = sizeof(failed);
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size);
	return -failed;
}

static int try_address(int family, const struct sockaddr *address,
		       socklen_t size, int ms, int *fd)
{
	const int on = 1;
	int r;

	*fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd < 0)
		return -errno;
	r = connect_within(*fd, address, size, ms);
	if (r) {
		close(*fd);
		*fd = -1;
		return r;
	}
	fcntl(*fd, F_SETFL, 0);
	if (family != AF_UNIX)
		setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return 0;
}

static int connect_tcp(const struct attach_endpoint *endpoint, int ms, int *fd,
		       struct error *error)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *all;
	int r = getaddrinfo(endpoint->host, endpoint->port, &hints, &all);

	if (r)
		return error_set(error, -EHOSTUNREACH, "host %s: %s",
				 endpoint->host, gai_strerror(r));
	r = -EHOSTUNREACH;
	for (struct addrinfo *a = all; a && r; a = a->ai_next)
		r = try_address(a->ai_family, a->ai_addr, a->ai_addrlen, ms,
				fd);
	freeaddrinfo(all);
	return r ? error_errno(error, r, "can't connect to %s port %s",
			       endpoint->host, endpoint->port)
		 : 0;
}

int attach_endpoint_connect(const struct attach_endpoint *endpoint, int ms,
			    int *fd, struct error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int r;

	*fd = -1;
	if (!endpoint->is_unix)
		return connect_tcp(endpoint, ms, fd, error);
	memcpy(address.sun_path, endpoint->host, strlen(endpoint->host) + 1);
	r = try_address(AF_UNIX, (struct sockaddr *)&address, sizeof(address),
			ms, fd);
	return r ? error_errno(error, r, "can't connect to %s", endpoint->host)
		 : 0;
}
