/*
 * Control's side of schema/ipc.h.
 *
 * One thread owns the connection: it receives, answers what is quick, and
 * gives to the workers what may wait for a guest. A connection that ends
 * means a gateway that died (or another version): the next one is connected
 * to or started. `generation` counts connections, so that an answer is never
 * sent to a gateway that did not ask.
 */
#include "daemon/supervisor.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/catalogue.h"
#include "daemon/control.h"
#include "daemon/event.h"
#include "daemon/hypervisor.h"
#include "daemon/ipc.h"
#include "daemon/listen.h"
#include "daemon/log.h"
#include "daemon/session_live.h"
#include "daemon/spawn.h"
#include "daemon/workers.h"

#define WORKERS 4
#define SEND_SECONDS 10
#define HELLO_MS 5000
#define RECONCILE_MS 5000
#define BACKOFF_FIRST_MS 100
#define BACKOFF_MOST_MS 10000
#define STEADY_S 60 /* having lived so long, back-off begins anew */
#define QUIT_MS 5000

struct supervisor {
	struct control *control;
	struct workers *workers;
	pthread_t thread;
	bool has_thread;
	int stop;             /* eventfd */
	pthread_mutex_t lock; /* of what follows */
	int socket;           /* -1: none */
	unsigned generation;
	int port; /* kept over restarts */
	pid_t pid;
	bool is_child;
	unsigned restarts;
	struct ipc_caps caps;
	/* Of the thread alone. */
	unsigned expected, ended; /* sessions told of in HELLO; ended ones */
	bool reconciled;
};

/* A request on its way through a worker. */
struct request {
	struct supervisor *link;
	unsigned generation;
	enum ipc_type type;
	union ipc_body body;
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* To the gateway of that generation; 0 stands for the present one. */
static int send_to(struct supervisor *link, unsigned generation,
		   enum ipc_type type, const void *body, const int *fds,
		   unsigned fd_count, struct error *error)
{
	int r;

	pthread_mutex_lock(&link->lock);
	if (link->socket < 0 || (generation && generation != link->generation))
		r = error_set(error, -EPIPE,
			      "the gateway is being restarted: try again in a "
			      "moment");
	else
		r = ipc_send(link->socket, type, body, fds, fd_count, error);
	pthread_mutex_unlock(&link->lock);
	return r;
}

static void do_redeem(struct request *request)
{
	struct control *control = request->link->control;
	struct ipc_redeemed answer;
	struct error error;
	unsigned fd_count;
	int fds[2];

	sessions_redeem(control, &request->body.REDEEM, &answer, fds,
			&fd_count);
	if (send_to(request->link, request->generation, IPC_REDEEMED, &answer,
		    fds, fd_count, &error)) {
		log_warning("a viewer's session did not begin: %s", error.text);
		sessions_unredeem(control, answer.session);
	}
	while (fd_count)
		close(fds[--fd_count]);
}

static void do_open(struct request *request)
{
	struct ipc_opened answer;
	int fd;

	sessions_open(request->link->control, &request->body.OPEN, &answer,
		      &fd);
	send_to(request->link, request->generation, IPC_OPENED, &answer, &fd,
		fd >= 0, NULL);
	if (fd >= 0)
		close(fd);
}

static void do_request(void *data)
{
	struct request *request = data;

	if (request->type == IPC_REDEEM)
		do_redeem(request);
	else
		do_open(request);
	free(request);
}

static int give_to_worker(struct supervisor *link,
			  const struct ipc_packet *packet)
{
	struct request *request = malloc(sizeof(*request));

	if (!request)
		return -ENOMEM;
	request->link = link;
	request->generation = link->generation;
	request->type = packet->type;
	request->body = packet->body;
	if (!workers_add(link->workers, do_request, request))
		return 0;
	free(request);
	return -ENOMEM;
}

static void sign(struct supervisor *link, const struct ipc_seal *seal)
{
	struct ipc_signature answer = {0};
	struct error error;

	memcpy(answer.session, seal->session, sizeof(answer.session));
	if (tls_files_sign(&link->control->tls, seal->digest, answer.signature,
			   &error)) {
		log_error("session %s stays unsigned: %s", seal->session,
			  error.text);
		return;
	}
	send_to(link, link->generation, IPC_SIGNATURE, &answer, NULL, 0, NULL);
}

static void ended(struct supervisor *link, const struct ipc_ended *ended)
{
	struct ipc_session answer = {0};

	link->ended++;
	if (sessions_ended(link->control, ended))
		return;
	memcpy(answer.session, ended->session, sizeof(answer.session));
	send_to(link, link->generation, IPC_ENDED_ACK, &answer, NULL, 0, NULL);
}

static int fact_write(struct control *control, const struct ipc_caps *caps)
{
	char version[120] = "";

	hypervisor_version(control->hypervisor, version, sizeof(version), NULL);
	return catalogue_write(
		       control->catalogue,
		       "INSERT OR REPLACE INTO fact (name, key, value) "
		       "VALUES ('spice-caps', ?, ?)",
		       CATALOGUE_VALUES(catalogue_text(version),
					catalogue_blob(caps, sizeof(*caps))),
		       NULL, NULL, NULL) < 0;
}

static int take_caps(void *data, const struct catalogue_row *row)
{
	size_t size;
	const void *blob = catalogue_row_blob(row, 0, &size);

	if (size == sizeof(struct ipc_caps))
		memcpy(data, blob, size);
	return 1;
}

static void load_caps(struct supervisor *link)
{
	char version[120] = "";

	hypervisor_version(link->control->hypervisor, version, sizeof(version),
			   NULL);
	catalogue_read(link->control->catalogue,
		       "SELECT value FROM fact "
		       "WHERE name = 'spice-caps' AND key = ?",
		       CATALOGUE_VALUES(catalogue_text(version)), take_caps,
		       &link->caps, NULL);
	if (link->caps.count > IPC_MAX_CAPS)
		link->caps.count = 0;
}

/* Adds rows of types that are new, replaces those that changed. */
static bool merge_caps(struct ipc_caps *all, const struct ipc_caps *some)
{
	bool changed = false;

	for (unsigned i = 0; i < some->count && i < IPC_MAX_CAPS; i++) {
		unsigned j = 0;

		while (j < all->count &&
		       all->rows[j].channel_type != some->rows[i].channel_type)
			j++;
		if (j == IPC_MAX_CAPS ||
		    (j < all->count && !memcmp(&all->rows[j], &some->rows[i],
					       sizeof(all->rows[j]))))
			continue;
		all->rows[j] = some->rows[i];
		if (j == all->count)
			all->count++;
		changed = true;
	}
	return changed;
}

static void learn(struct supervisor *link, const struct ipc_caps *caps,
		  bool tell)
{
	struct ipc_caps all;
	bool changed;

	pthread_mutex_lock(&link->lock);
	changed = merge_caps(&link->caps, caps);
	all = link->caps;
	pthread_mutex_unlock(&link->lock);
	if (!changed)
		return;
	fact_write(link->control, &all);
	if (tell)
		send_to(link, 0, IPC_CAPS, &all, NULL, 0, NULL);
}

void supervisor_learned(struct control *control, const struct ipc_caps *caps)
{
	if (control->gateway)
		learn(control->gateway, caps, true);
}

static int handle(struct supervisor *link, const struct ipc_packet *packet)
{
	switch (packet->type) {
	case IPC_REDEEM:
	case IPC_OPEN:
		return give_to_worker(link, packet);
	case IPC_LEARNED:
		learn(link, &packet->body.LEARNED, false);
		return 0;
	case IPC_STATE:
		sessions_state(link->control, &packet->body.STATE);
		return 0;
	case IPC_SEAL:
		sign(link, &packet->body.SEAL);
		return 0;
	case IPC_ENDED:
		ended(link, &packet->body.ENDED);
		return 0;
	case IPC_REFUSED:
		sessions_refused(link->control, &packet->body.REFUSED);
		return 0;
	default:
		return -EPROTO;
	}
}

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

static int wait_readable(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int r;

	do
		r = poll(&p, 1, ms);
	while (r < 0 && errno == EINTR);
	return r > 0 ? 0 : -ETIMEDOUT;
}

/* Ends a gateway that can't be talked to. */
static void end_process(struct supervisor *link, int fd)
{
	struct ucred peer = {0};
	socklen_t size = sizeof(peer);

	if (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) &&
	    peer.pid > 1 && peer.uid == geteuid())
		kill(peer.pid, SIGTERM);
	(void)link;
}

static int receive_hello(struct supervisor *link, int fd,
			 struct ipc_hello *hello, struct error *error)
{
	struct ipc_packet packet;
	int r = wait_readable(fd, HELLO_MS);

	(void)link;
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
	int r = receive_hello(link, fd, &hello, error);

	if (r == -EPROTO || (!r && hello.version != IPC_VERSION)) {
		if (!r && hello.sessions)
			return error_set(
				error, -EBUSY,
				"a gateway of another version (process "
				"%u) still has %u sessions: wait for "
				"their end or end it",
				hello.pid, hello.sessions);
		end_process(link, fd);
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

static void drop(struct supervisor *link)
{
	pthread_mutex_lock(&link->lock);
	if (link->socket >= 0)
		close(link->socket);
	link->socket = -1;
	pthread_mutex_unlock(&link->lock);
}

/* Collects a child that is ending; kills it when it does not. */
static void reap(struct supervisor *link)
{
	int status = 0;

	if (!link->is_child)
		return;
	for (int waited = 0; waited < QUIT_MS; waited += 20) {
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

/* Connects to the gateway, and starts it first when there is none. */
static int establish(struct supervisor *link, struct error *error)
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
		reap(link);
	}
	return r;
}

static void reconcile_when_told(struct supervisor *link, bool now)
{
	if (link->reconciled)
		return;
	if (!now &&
	    sessions_claimed(link->control) + link->ended < link->expected)
		return;
	link->reconciled = true;
	sessions_reconcile(link->control, "the gateway crashed");
}

/* Receives until the connection ends (1) or we shall stop (0). */
static int serve(struct supervisor *link)
{
	int64_t until = now_ms() + RECONCILE_MS;
	struct pollfd p[2] = {{.fd = link->socket, .events = POLLIN},
			      {.fd = link->stop, .events = POLLIN}};
	struct ipc_packet packet;
	struct error error = {0};
	int r;

	for (;;) {
		reconcile_when_told(link, now_ms() >= until);
		r = poll(p, 2, link->reconciled ? -1 : 200);
		if (r < 0 && errno != EINTR)
			return 1;
		if (r > 0 && p[1].revents)
			return 0;
		if (r <= 0 || !p[0].revents)
			continue;
		r = ipc_receive(link->socket, 1, &packet, &error);
		if (r == -EINTR || r == -EAGAIN)
			continue;
		if (r <= 0)
			return 1;
		r = handle(link, &packet);
		ipc_packet_close(&packet);
		if (r) {
			log_error("the gateway sent what it must not: %s",
				  ipc_type_name(packet.type));
			return 1;
		}
	}
}

/* Waits before another try; true when we shall stop instead. */
static bool pause_or_stop(struct supervisor *link, int ms)
{
	return !wait_readable(link->stop, ms);
}

static void *supervise(void *data)
{
	struct supervisor *link = data;
	int backoff = BACKOFF_FIRST_MS;

	for (;;) {
		int64_t begin = now_ms();
		struct error error = {0};

		if (!serve(link))
			break;
		drop(link);
		reap(link);
		if (now_ms() - begin > STEADY_S * 1000)
			backoff = BACKOFF_FIRST_MS;
		for (;;) {
			if (pause_or_stop(link, backoff))
				return NULL;
			backoff = backoff * 2 < BACKOFF_MOST_MS
					  ? backoff * 2
					  : BACKOFF_MOST_MS;
			if (!establish(link, &error))
				break;
			log_error("gateway: %s", error.text);
		}
		pthread_mutex_lock(&link->lock);
		link->restarts++;
		pthread_mutex_unlock(&link->lock);
		events_post(link->control->events, "gateway.restarted", NULL,
			    json_pack("{s:s, s:i}", "text",
				      "the gateway died and was restarted",
				      "pid", (int)link->pid));
	}
	return NULL;
}

static int establish_first(struct supervisor *link, struct error *error)
{
	int r = -EAGAIN;

	/* One that was just told to end needs a moment. */
	for (int i = 0; r == -EAGAIN && i < 20; i++) {
		if (i)
			usleep(100000);
		r = establish(link, error);
	}
	return r;
}

int supervisor_new(struct supervisor **link, struct control *control,
		   struct error *error)
{
	struct supervisor *l = calloc(1, sizeof(*l));
	int r;

	*link = NULL;
	if (!l)
		return error_set(error, -ENOMEM, "no memory");
	l->control = control;
	l->socket = -1;
	pthread_mutex_init(&l->lock, NULL);
	l->stop = eventfd(0, EFD_CLOEXEC);
	r = workers_new(&l->workers, WORKERS, error);
	if (!r) {
		load_caps(l);
		r = establish_first(l, error);
	}
	if (!r) {
		*link = l;
		control->gateway = l;
		l->has_thread = !pthread_create(&l->thread, NULL, supervise, l);
		if (!l->has_thread)
			r = error_set(error, -EAGAIN, "can't start a thread");
	}
	if (r) {
		*link = NULL;
		control->gateway = NULL;
		supervisor_free(l, l->is_child);
	}
	return r;
}

bool supervisor_started_it(const struct supervisor *link)
{
	return link && link->is_child;
}

void supervisor_free(struct supervisor *link, bool quit)
{
	uint64_t one = 1;

	if (!link)
		return;
	if (link->has_thread) {
		if (write(link->stop, &one, sizeof(one)) < 0)
			abort();
		pthread_join(link->thread, NULL);
	}
	workers_free(link->workers);
	if (quit && link->socket >= 0) {
		struct ipc_quit body = {0};

		ipc_send(link->socket, IPC_QUIT, &body, NULL, 0, NULL);
		/* It tells how its sessions ended, and goes. */
		while (!wait_readable(link->socket, QUIT_MS)) {
			struct ipc_packet packet;
			int r = ipc_receive(link->socket, 1, &packet, NULL);

			if (r <= 0)
				break;
			if (packet.type != IPC_REDEEM &&
			    packet.type != IPC_OPEN)
				handle(link, &packet);
			ipc_packet_close(&packet);
		}
		reap(link);
	}
	drop(link);
	close(link->stop);
	pthread_mutex_destroy(&link->lock);
	free(link);
}

void supervisor_status(struct supervisor *link, struct gateway_status *status)
{
	memset(status, 0, sizeof(*status));
	if (!link)
		return;
	pthread_mutex_lock(&link->lock);
	status->running = link->socket >= 0;
	status->pid = (int)link->pid;
	status->port = link->port;
	status->restarts = link->restarts;
	pthread_mutex_unlock(&link->lock);
}

int supervisor_kill(struct supervisor *link, const char *session,
		    const char *text, struct error *error)
{
	struct ipc_kill body = {0};

	snprintf(body.session, sizeof(body.session), "%s", session);
	snprintf(body.text, sizeof(body.text), "%s", text);
	return send_to(link, 0, IPC_KILL, &body, NULL, 0, error);
}
