/* Listening sockets. */
#include "daemon/listen.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int bind_one(const struct addrinfo *info, int *fd)
{
	int on = 1;

	*fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return -errno;
	setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* "::" beside "0.0.0.0" must not take its port. */
	if (info->ai_family == AF_INET6)
		setsockopt(*fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (!bind(*fd, info->ai_addr, info->ai_addrlen) && !listen(*fd, 512))
		return 0;
	on = -errno;
	close(*fd);
	return on;
}

static int port_of(int fd)
{
	struct sockaddr_in6 address = {0};
	socklen_t size = sizeof(address);

	getsockname(fd, (struct sockaddr *)&address, &size);
	/* sin_port and sin6_port lie at the same place. */
	return ntohs(address.sin6_port);
}

static int listen_at(struct listeners *l, const char *address, int port,
		     struct error *error)
{
	const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
				       .ai_socktype = SOCK_STREAM};
	struct addrinfo *info;
	char service[8];
	int r;

	snprintf(service, sizeof(service), "%d", port);
	r = getaddrinfo(address, service, &hints, &info);
	if (r)
		return error_set(error, -EADDRNOTAVAIL,
				 "can't listen on %s: %s", address,
				 gai_strerror(r));
	r = bind_one(info, &l->fds[l->count]);
	freeaddrinfo(info);
	if (r == -EADDRINUSE)
		return error_set(error, r,
				 "port %d is in use at %s: end the program "
				 "that has it, or configure another port",
				 port, address);
	if (r == -EACCES)
		return error_set(error, r,
				 "no permission for port %d at %s: use one "
				 "over 1023, or run as root",
				 port, address);
	if (r)
		return error_errno(error, r, "can't listen on %s port %d",
				   address, port);
	l->port = port_of(l->fds[l->count]);
	l->count++;
	return 0;
}

int listen_tcp(struct listeners *l, const char *addresses, int port,
	       unsigned max, struct error *error)
{
	char copy[512], *save = NULL, *address;
	int r = 0;

	memset(l, 0, sizeof(*l));
	snprintf(copy, sizeof(copy), "%s", addresses);
	for (address = strtok_r(copy, " \t,", &save); !r && address;
	     address = strtok_r(NULL, " \t,", &save)) {
		if (l->count == max || l->count == LISTEN_MAX)
			r = error_set(error, -E2BIG,
				      "too many addresses to listen on: %s",
				      addresses);
		else
			r = listen_at(l, address, l->port ? l->port : port,
				      error);
	}
	if (!r && !l->count)
		r = error_set(error, -EINVAL, "no address to listen on");
	if (r)
		listen_close(l);
	return r;
}

void listen_close(struct listeners *l)
{
	while (l->count)
		close(l->fds[--l->count]);
}

int listen_unix(const char *path, unsigned mode, int *fd, struct error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path))
		return error_set(error, -ENAMETOOLONG,
				 "%s is too long for a socket (%zu characters "
				 "at most): choose a shorter folder",
				 path, sizeof(address.sun_path) - 1);
	strcpy(address.sun_path, path);
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return error_errno(error, errno, "no socket");
	unlink(path);
	if (!bind(*fd, (struct sockaddr *)&address, sizeof(address)) &&
	    !chmod(path, mode) && !listen(*fd, 64))
		return 0;
	error_errno(error, errno, "can't listen on %s", path);
	close(*fd);
	return error ? error->code : -EIO;
}
