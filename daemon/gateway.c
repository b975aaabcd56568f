/*
 * The gateway role: set up by control, serves until it is told to quit, or
 * until nobody needs it any more. See gateway.h and schema/ipc.h.
 */
#include "daemon/gateway.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/gateway_front.h"

#define INLET 3
#define LONELY_NS (30 * GATEWAY_SECOND) /* without control and sessions */
#define QUIT_NS (10 * GATEWAY_SECOND)   /* for sessions to be completed */
#define OUTBOX_STATES 64                /* further ones are left out */

static struct gateway *gateway_of(struct gateway_source *source, size_t offset)
{
	return (struct gateway *)((char *)source - offset);
}

static void flush_outbox(struct gateway *g);

static void lose_control(struct gateway *g)
{
	struct letter *letter;

	if (g->control < 0)
		return;
	gateway_loop_unwatch(&g->loop, g->control);
	close(g->control);
	g->control = -1;
	while ((letter = g->outbox)) {
		g->outbox = letter->next;
		free(letter);
	}
	g->outbox_end = &g->outbox;
	g->exit_at = g->loop.now + LONELY_NS;
	gateway_loop_at(&g->loop, g->exit_at);
}

static struct letter *new_letter(enum ipc_type type, const void *body,
				 size_t size)
{
	struct letter *letter = calloc(1, sizeof(*letter));

	if (!letter)
		return NULL;
	letter->type = type;
	memcpy(&letter->body, body, size);
	return letter;
}

int gateway_tell(struct gateway *g, enum ipc_type type, const void *body,
		 size_t size)
{
	struct letter *letter;
	unsigned n = 0;

	if (g->control < 0)
		return -1;
	for (letter = g->outbox; letter; letter = letter->next)
		n++;
	if (type == IPC_STATE && n > OUTBOX_STATES)
		return 0;
	letter = new_letter(type, body, size);
	if (!letter)
		return -1;
	*g->outbox_end = letter;
	g->outbox_end = &letter->next;
	flush_outbox(g);
	return 0;
}

static void flush_outbox(struct gateway *g)
{
	struct letter *letter;
	int r;

	while ((letter = g->outbox)) {
		r = ipc_send(g->control, letter->type, &letter->body, NULL, 0,
			     NULL);
		if (r == -EAGAIN)
			break;
		if (r < 0) {
			lose_control(g);
			return;
		}
		g->outbox = letter->next;
		if (!g->outbox)
			g->outbox_end = &g->outbox;
		free(letter);
	}
	gateway_loop_change(&g->loop, g->control,
			    g->outbox ? EPOLLIN | EPOLLOUT : EPOLLIN,
			    &g->control_source);
}

/* A worker's word for control. */
struct telling {
	struct gateway_task task; /* first */
	struct gateway *gateway;
	enum ipc_type type;
	size_t size;
	union ipc_body body;
};

static void forget_session(struct gateway *g, const char *id)
{
	struct known_session **at = &g->sessions, *s;

	while ((s = *at) && strcmp(s->id, id) != 0)
		at = &s->next;
	if (!s)
		return;
	*at = s->next;
	free(s);
}

/* Kept until control has acknowledged it. */
static void keep_ended(struct gateway *g, const struct ipc_ended *ended)
{
	struct letter *letter = new_letter(IPC_ENDED, ended, sizeof(*ended));

	forget_session(g, ended->session);
	if (!letter)
		return;
	letter->next = g->ended;
	g->ended = letter;
	if (g->control < 0) {
		g->exit_at = g->loop.now + LONELY_NS;
		gateway_loop_at(&g->loop, g->exit_at);
	}
}

static void on_telling(struct gateway_loop *loop, struct gateway_task *task)
{
	struct telling *t = (struct telling *)task;
	struct gateway *g = t->gateway;

	(void)loop;
	if (t->type == IPC_ENDED)
		keep_ended(g, &t->body.ENDED);
	if (t->type == IPC_LEARNED)
		gateway_caps_learn(g, &t->body.LEARNED);
	gateway_tell(g, t->type, &t->body, t->size);
	free(t);
}

void gateway_tell_from(struct gateway_worker *worker, enum ipc_type type,
		       const void *body, size_t size)
{
	struct telling *t = calloc(1, sizeof(*t));

	if (!t)
		return;
	t->task.run = on_telling;
	t->gateway = worker->gateway;
	t->type = type;
	t->size = size;
	memcpy(&t->body, body, size);
	gateway_loop_post(&worker->gateway->loop, &t->task);
}

/* To every worker; those that it does not concern pass over it. */
static void order(struct gateway *g, enum ipc_type type, const void *body,
		  size_t size)
{
	for (unsigned i = 0; i < g->worker_count; i++) {
		struct gateway_order *o = calloc(1, sizeof(*o));

		if (!o)
			return;
		o->task.run = session_order;
		o->type = type;
		if (size)
			memcpy(&o->kill, body, size);
		gateway_loop_post(&g->workers[i].loop, &o->task);
	}
}

static void quit(struct gateway *g)
{
	if (g->is_quitting)
		return;
	g->is_quitting = true;
	for (unsigned i = 0; i < g->listener_count; i++) {
		gateway_loop_unwatch(&g->loop, g->listeners[i].fd);
		close(g->listeners[i].fd);
	}
	g->listener_count = 0;
	gateway_link_close_all(g);
	order(g, IPC_QUIT, NULL, 0);
	g->exit_at = g->loop.now + QUIT_NS;
	gateway_loop_at(&g->loop, g->exit_at);
}

static void *run_worker(void *cookie)
{
	struct gateway_worker *w = cookie;

	gateway_loop_run(&w->loop);
	return NULL;
}

static int start_workers(struct gateway *g, unsigned n, struct error *error)
{
	int r;

	g->workers = calloc(n, sizeof(*g->workers));
	if (!g->workers)
		return error_errno(error, ENOMEM, "cannot start a loop");
	for (; g->worker_count < n; g->worker_count++) {
		struct gateway_worker *w = &g->workers[g->worker_count];

		r = gateway_loop_init(&w->loop, error);
		if (r < 0)
			return r;
		w->gateway = g;
		w->pool = g->pool;
		w->loop.on_due = session_on_due;
		w->loop.on_round = session_on_round;
		r = pthread_create(&w->thread, NULL, run_worker, w);
		if (r)
			return error_errno(error, r, "cannot start a loop");
	}
	return 0;
}

static int start_listeners(struct gateway *g, struct ipc_packet *p,
			   struct error *error)
{
	for (unsigned i = 0; i < p->body.SETUP.listeners; i++) {
		struct gateway_listener *l = &g->listeners[i];

		l->source.ready = gateway_link_on_accept;
		l->gateway = g;
		l->fd = p->fds[2 + i];
		p->fds[2 + i] = -1;
		g->listener_count++;
		if (fcntl(l->fd, F_SETFL, O_NONBLOCK) < 0 ||
		    gateway_loop_watch(&g->loop, l->fd, EPOLLIN, &l->source) <
			    0)
			return error_errno(error, errno,
					   "cannot use a listener");
	}
	return 0;
}

static int set_up(struct gateway *g, struct ipc_packet *p, struct error *error)
{
	const struct ipc_setup *s = &p->body.SETUP;
	unsigned cores = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	SSL_CTX *tls;
	int r;

	if (s->listeners != p->fd_count - 2)
		return error_set(error, EPROTO,
				 "SETUP speaks of %u listeners and brings %u",
				 s->listeners, p->fd_count - 2);
	r = stream_tls_new(&tls, p->fds[0], p->fds[1], error);
	if (r < 0)
		return r;
	SSL_CTX_free(g->tls);
	g->tls = tls;
	g->link_timeout = (uint64_t)s->link_timeout * 1000000;
	g->max_pending = s->max_pending ? s->max_pending : 1;
	if (g->is_set_up)
		return 0; /* a new certificate, from a new control */
	r = link_key_new(&g->key, error);
	if (r == 0)
		r = capture_pool_new(&g->pool, cores, error);
	if (r == 0)
		r = start_workers(g, s->threads ? s->threads : cores, error);
	if (r == 0)
		r = start_listeners(g, p, error);
	if (r == 0)
		r = gateway_sandbox(error);
	g->port = s->port;
	g->is_set_up = r == 0;
	return r;
}

static void acknowledged(struct gateway *g, const char *id)
{
	struct letter **at = &g->ended, *letter;

	while ((letter = *at) && strcmp(letter->body.ENDED.session, id) != 0)
		at = &letter->next;
	if (!letter)
		return;
	*at = letter->next;
	free(letter);
}

static int obey(struct gateway *g, struct ipc_packet *p, struct error *error)
{
	switch (p->type) {
	case IPC_SETUP:
		return set_up(g, p, error);
	case IPC_CAPS:
		gateway_caps_learn(g, &p->body.CAPS);
		break;
	case IPC_REDEEMED:
		gateway_arrival_redeemed(g, p);
		break;
	case IPC_OPENED:
		gateway_arrival_opened(g, p);
		break;
	case IPC_SIGNATURE:
		order(g, p->type, &p->body.SIGNATURE,
		      sizeof(p->body.SIGNATURE));
		break;
	case IPC_KILL:
		order(g, p->type, &p->body.KILL, sizeof(p->body.KILL));
		break;
	case IPC_ENDED_ACK:
		acknowledged(g, p->body.ENDED_ACK.session);
		break;
	case IPC_QUIT:
		quit(g);
		break;
	default:
		break;
	}
	return 0;
}

static void say_error(const struct error *error)
{
	fprintf(stderr, "mediavmd gateway: %s\n", error->text);
}

static void on_control(struct gateway_source *source, uint32_t events)
{
	struct gateway *g =
		gateway_of(source, offsetof(struct gateway, control_source));
	struct ipc_packet packet;
	struct error error;
	int r = 1;

	if (events & EPOLLOUT)
		flush_outbox(g);
	while (g->control >= 0 && r > 0) {
		r = ipc_receive(g->control, 0, &packet, &error);
		if (r <= 0)
			break;
		if (obey(g, &packet, &error) < 0) {
			/* What it was told can't be done; control hears it. */
			say_error(&error);
			exit(1);
		}
		ipc_packet_close(&packet);
	}
	if (r == -EPROTO)
		say_error(&error);
	if (r != -EAGAIN)
		lose_control(g);
}

/* Only the user who runs the gateway may tell it what to do. */
static bool is_own(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
	       peer.uid == geteuid();
}

static void greet(struct gateway *g)
{
	struct ipc_hello hello = {
		.version = IPC_VERSION,
		.pid = (uint32_t)getpid(),
		.is_set_up = g->is_set_up,
		.port = g->port,
	};

	for (struct known_session *s = g->sessions; s; s = s->next)
		hello.sessions++;
	for (struct letter *l = g->ended; l; l = l->next)
		hello.sessions++;
	gateway_tell(g, IPC_HELLO, &hello, sizeof(hello));
	order(g, IPC_HELLO, NULL, 0);
	for (struct letter *l = g->ended; l; l = l->next)
		gateway_tell(g, IPC_ENDED, &l->body.ENDED,
			     sizeof(l->body.ENDED));
	gateway_link_ask_again(g);
}

static void on_inlet(struct gateway_source *source, uint32_t events)
{
	struct gateway *g = gateway_of(source, offsetof(struct gateway, inlet));
	int fd = accept4(INLET, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd < 0)
		return;
	if (!is_own(fd)) {
		close(fd);
		return;
	}
	lose_control(g); /* the new one takes over */
	g->control = fd;
	g->exit_at = g->is_quitting ? g->exit_at : 0;
	if (gateway_loop_watch(&g->loop, fd, EPOLLIN, &g->control_source) < 0)
		lose_control(g);
	else
		greet(g);
}

static void on_signal(struct gateway_source *source, uint32_t events)
{
	struct gateway *g =
		gateway_of(source, offsetof(struct gateway, signals));
	struct signalfd_siginfo info;

	(void)events;
	if (read(g->signal_fd, &info, sizeof(info)) == sizeof(info))
		quit(g);
}

static void on_due(struct gateway_loop *loop)
{
	struct gateway *g = (struct gateway *)loop;

	gateway_link_on_due(g);
	refusal_on_due(g);
	if (!g->exit_at)
		return;
	if (loop->now >= g->exit_at && (g->is_quitting || !g->sessions))
		loop->stop = true;
	else if (loop->now < g->exit_at)
		gateway_loop_at(loop, g->exit_at);
}

/* Told to quit, and everything is completed and known to control. */
static bool on_round(struct gateway_loop *loop)
{
	struct gateway *g = (struct gateway *)loop;

	if (g->is_quitting && !g->sessions && !g->outbox &&
	    (!g->ended || g->control < 0))
		loop->stop = true;
	return false;
}

static int prepare(struct gateway *g, struct error *error)
{
	struct rlimit files;
	sigset_t set;
	int r = gateway_loop_init(&g->loop, error);

	if (r < 0)
		return r;
	g->loop.on_due = on_due;
	g->loop.on_round = on_round;
	g->control = -1;
	g->outbox_end = &g->outbox;
	g->inlet.ready = on_inlet;
	g->control_source.ready = on_control;
	g->signals.ready = on_signal;
	gateway_caps_init(g);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	/* SIGINT of a terminal is control's to think about. */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	g->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (g->signal_fd < 0 ||
	    gateway_loop_watch(&g->loop, g->signal_fd, EPOLLIN, &g->signals) <
		    0 ||
	    fcntl(INLET, F_SETFL, O_NONBLOCK) < 0 ||
	    gateway_loop_watch(&g->loop, INLET, EPOLLIN, &g->inlet) < 0)
		return error_errno(error, errno,
				   "descriptor 3 is not the socket of control; "
				   "the gateway is started by mediavmd only");
	g->exit_at = g->loop.now + LONELY_NS;
	gateway_loop_at(&g->loop, g->exit_at);
	return 0;
}

int gateway_main(int argc, char **argv)
{
	static struct gateway g; /* lives as long as the process */
	struct error error;

	(void)argc;
	(void)argv;
	if (prepare(&g, &error) < 0) {
		say_error(&error);
		return 1;
	}
	gateway_loop_run(&g.loop);
	return 0;
}
