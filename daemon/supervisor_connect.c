/* Finding the gateway, or starting it, and the first words with it. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/control.h"
#include "daemon/ipc.h"
#include "daemon/listen.h"
#include "daemon/log.h"
#include "daemon/session_live.h"
#include "daemon/spawn.h"
#include "daemon/supervisor_link.h"

#define SEND_SECONDS 10
#define HELLO_MS 5000
#define END_MS 5000

static int socket_address(const struct control *control,
			  struct sockaddr_un *address, struct error *error)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if ((size_t)snprintf(address->sun_path, sizeof(address->sun_path),
			     "%s/gateway.sock",
			     control->config.run) >= sizeof(address->sun_path))
		return error_set(error, -ENAMETOOLONG,
				 "%s is too long for a socket: choose a "
				 "shorter run folder",
				 control->config.run);
	return 0;
}

/* A gateway that runs already: its socket, or -1 when there is none. */
static int connect_to(struct supervisor *link, struct error *error)
{
	struct timeval wait = {.tv_sec = SEND_SECONDS};
	struct sockaddr_un address;
	int fd;

	if (socket_address(link->control, &address, error))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_errno(error, errno, "no socket");
	if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	return fd;
}

bool supervisor_is_found(struct control *control)
{
	struct supervisor link = {.control = control};
	int fd = connect_to(&link, NULL);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

static int spawn_gateway(struct supervisor *link, struct error *error)
{
	const struct control *control = link->control;
	const char *const arguments[] = {"gateway", "--run",
					 control->config.run, NULL};
	struct spawn spawn = {.arguments = arguments, .fd_count = 1};
	struct sockaddr_un address;
	int r = socket_address(control, &address, error);

	if (r)
		return r;
	unlink(address.sun_path);
	spawn.fds[0] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (spawn.fds[0] < 0)
		return error_errno(error, errno, "no socket");
	if (bind(spawn.fds[0], (struct sockaddr *)&address, sizeof(address)) ||
	    chmod(address.sun_path, 0600) || listen(spawn.fds[0], 4))
		r = error_errno(error, errno, "can't listen on %s",
				address.sun_path);
	if (!r)
		r = spawn_self(&spawn, &link->pid, error);
	link->is_child = !r;
	/* The gateway alone holds it: when it dies nobody can connect. */
	close(spawn.fds[0]);
	return r;
}

static int send_setup(struct supervisor *link, int fd, struct error *error)
{
	const struct config *config = &link->control->config;
	struct listeners listeners = {0};
	int fds[IPC_MAX_FDS];
	struct ipc_setup setup = {
		.link_timeout = (uint32_t)config->link_timeout,
		.max_pending = (uint32_t)config->max_pending,
	};
	int port = link->port ? link->port : (int)config->gateway_port;
	int r = tls_files_open(&link->control->tls, &fds[0], &fds[1], error);

	if (r)
		return r;
	r = listen_tcp(&listeners, config->gateway_address, port,
		       IPC_MAX_LISTENERS, error);
	if (!r) {
		setup.listeners = listeners.count;
		setup.port = (uint32_t)listeners.port;
		memcpy(fds + 2, listeners.fds, listeners.count * sizeof(int));
		r = ipc_send(fd, IPC_SETUP, &setup, fds, 2 + listeners.count,
			     error);
		link->port = listeners.port;
	}
	close(fds[0]);
	close(fds[1]);
	listen_close(&listeners);
	return r;
}

int supervisor_wait(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int r;

	do
		r = poll(&p, 1, ms);
	while (r < 0 && errno == EINTR);
	return r > 0 ? 0 : -ETIMEDOUT;
}

/* Ends a gateway that can't be talked to. */
static void end_process(int fd)
{
	struct ucred peer = {0};
	socklen_t size = sizeof(peer);

	if (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) &&
	    peer.pid > 1 && peer.uid == geteuid())
		kill(peer.pid, SIGTERM);
}

static int receive_hello(int fd, struct ipc_hello *hello, struct error *error)
{
	struct ipc_packet packet;
	int r = supervisor_wait(fd, HELLO_MS);

	if (r)
		return error_set(error, r, "the gateway does not answer");
	r = ipc_receive(fd, 1, &packet, error);
	if (r == 0)
		return error_set(error, -EAGAIN,
				 "the gateway ended instead of saying hello");
	if (r < 0)
		return r;
	if (packet.type == IPC_HELLO)
		*hello = packet.body.HELLO;
	else
		r = error_set(error, -EPROTO, "the gateway says no hello");
	ipc_packet_close(&packet);
	return r < 0 ? r : 0;
}

/* Shakes hands on a new connection; takes fd over when it returns 0. */
static int greet(struct supervisor *link, int fd, struct error *error)
{
	struct ipc_hello hello;
	int r = receive_hello(fd, &hello, error);

	if (r == -EPROTO || (!r && hello.version != IPC_VERSION)) {
		if (!r && hello.sessions)
			return error_set(
				error, -EBUSY,
				"a gateway of another version (process "
				"%u) still has %u sessions: wait for "
				"their end or end it",
				hello.pid, hello.sessions);
		end_process(fd);
		return error_set(error, -EAGAIN,
				 "a gateway of another version was ended");
	}
	if (r)
		return r;
	if (hello.is_set_up)
		link->port = (int)hello.port;
	else
		r = send_setup(link, fd, error);
	if (!r && link->caps.count)
		r = ipc_send(fd, IPC_CAPS, &link->caps, NULL, 0, error);
	if (r)
		return r;
	link->expected = hello.sessions;
	link->ended = 0;
	link->reconciled = false;
	sessions_unclaim(link->control);
	pthread_mutex_lock(&link->lock);
	link->pid = (pid_t)hello.pid;
	link->socket = fd;
	link->generation++;
	pthread_mutex_unlock(&link->lock);
	log_info("gateway: process %u, TLS port %d%s", hello.pid, link->port,
		 hello.is_set_up ? ", running since earlier" : "");
	return 0;
}

void supervisor_drop(struct supervisor *link)
{
	pthread_mutex_lock(&link->lock);
	if (link->socket >= 0)
		close(link->socket);
	link->socket = -1;
	pthread_mutex_unlock(&link->lock);
}

void supervisor_reap(struct supervisor *link)
{
	int status = 0;

	if (!link->is_child)
		return;
	for (int waited = 0; waited < END_MS; waited += 20) {
		if (waitpid(link->pid, &status, WNOHANG)) {
			if (WIFSIGNALED(status))
				log_error("the gateway was killed by signal %d",
					  WTERMSIG(status));
			link->is_child = false;
			return;
		}
		usleep(20000);
	}
	kill(link->pid, SIGKILL);
	waitpid(link->pid, &status, 0);
	link->is_child = false;
}

int supervisor_establish(struct supervisor *link, struct error *error)
{
	int fd = connect_to(link, error);
	int r;

	if (fd < -1)
		return fd;
	if (fd < 0) {
		/* Nobody has the sessions that the catalogue calls live. */
		sessions_unclaim(link->control);
		sessions_reconcile(link->control, "the gateway crashed");
		r = spawn_gateway(link, error);
		if (r)
			return r;
		fd = connect_to(link, error);
		if (fd < 0)
			return error_set(error, -ECONNREFUSED,
					 "the gateway ended at once");
	}
	r = greet(link, fd, error);
	if (r) {
		close(fd);
		if (link->is_child)
			kill(link->pid, SIGTERM);
		supervisor_reap(link);
	}
	return r;
}
