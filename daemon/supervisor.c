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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "daemon/control.h"
#include "daemon/event.h"
#include "daemon/ipc.h"
#include "daemon/log.h"
#include "daemon/session_live.h"
#include "daemon/spice_caps.h"
#include "daemon/supervisor_link.h"
#include "daemon/workers.h"

#define WORKERS 4
#define RECONCILE_MS 5000
#define BACKOFF_FIRST_MS 100
#define BACKOFF_MOST_MS 10000
#define STEADY_S 60 /* having lived so long, back-off begins anew */
#define QUIT_MS 5000
#define UNTOLD_MS 10000

/* A session's end, to be written when the catalogue takes it. */
struct untold {
	struct ipc_ended ended;
	struct untold *next;
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
	explicit_bzero(answer.password, sizeof(answer.password));
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

/* Writes a session's end down and says so; not, when that failed. */
static int take_end(struct supervisor *link, const struct ipc_ended *ended)
{
	struct ipc_session answer = {0};

	if (sessions_ended(link->control, ended))
		return -EAGAIN;
	memcpy(answer.session, ended->session, sizeof(answer.session));
	send_to(link, link->generation, IPC_ENDED_ACK, &answer, NULL, 0, NULL);
	return 0;
}

static void ended(struct supervisor *link, const struct ipc_ended *ended)
{
	struct untold *untold;

	link->ended++;
	if (!take_end(link, ended))
		return;
	/* A full disk, as a rule: later. */
	untold = malloc(sizeof(*untold));
	if (!untold)
		return;
	untold->ended = *ended;
	untold->next = link->untold;
	link->untold = untold;
}

static void retry_untold(struct supervisor *link)
{
	struct untold **at = &link->untold;

	while (*at) {
		struct untold *untold = *at;

		if (take_end(link, &untold->ended)) {
			at = &untold->next;
			continue;
		}
		*at = untold->next;
		free(untold);
	}
}

static void learn(struct supervisor *link, const struct ipc_caps *caps,
		  bool tell)
{
	struct ipc_caps all;
	bool changed;

	pthread_mutex_lock(&link->lock);
	changed = spice_caps_merge(&link->caps, caps);
	all = link->caps;
	pthread_mutex_unlock(&link->lock);
	if (!changed)
		return;
	spice_caps_store(link->control, &all);
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
		r = poll(p, 2,
			 !link->reconciled ? 200
			 : link->untold    ? UNTOLD_MS
					   : -1);
		if (r < 0 && errno != EINTR)
			return 1;
		if (r > 0 && p[1].revents)
			return 0;
		if (r == 0)
			retry_untold(link);
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
	return !supervisor_wait(link->stop, ms);
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
		supervisor_drop(link);
		supervisor_reap(link);
		if (now_ms() - begin > STEADY_S * 1000)
			backoff = BACKOFF_FIRST_MS;
		for (;;) {
			if (pause_or_stop(link, backoff))
				return NULL;
			backoff = backoff * 2 < BACKOFF_MOST_MS
					  ? backoff * 2
					  : BACKOFF_MOST_MS;
			if (!supervisor_establish(link, &error))
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
		r = supervisor_establish(link, error);
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
		spice_caps_load(control, &l->caps);
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
		while (!supervisor_wait(link->socket, QUIT_MS)) {
			struct ipc_packet packet;
			int r = ipc_receive(link->socket, 1, &packet, NULL);

			if (r <= 0)
				break;
			if (packet.type != IPC_REDEEM &&
			    packet.type != IPC_OPEN)
				handle(link, &packet);
			ipc_packet_close(&packet);
		}
		supervisor_reap(link);
	}
	supervisor_drop(link);
	while (link->untold) {
		struct untold *next = link->untold->next;

		free(link->untold);
		link->untold = next;
	}
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
