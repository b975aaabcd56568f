/*
 * A control role for tests and benches of the gateway: starts a gateway of
 * its own, sets it up with a certificate in a temporary folder, and answers
 * it from a table of tickets. One per process; every function is static so
 * that a test stays one file.
 */
#ifndef TESTS_GATEWAY_HARNESS_H
#define TESTS_GATEWAY_HARNESS_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/sha.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spice/protocol.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/gateway.h"
#include "daemon/ipc.h"
#include "daemon/tls_files.h"

#define HARNESS_TICKETS 128
#define HARNESS_ENDS 128

struct harness_ticket {
	char text[64];
	char session[IPC_ID_SIZE];
	struct policy policy;
	bool view_only, replay;
	char capture[256]; /* file, "" none, "fd" in capture_fd */
	int capture_fd;
	bool must_record; /* even if there is no file: a mistake */
	bool used;
};

struct harness {
	char folder[128];
	struct tls_files files;
	int inlet; /* RUN/gateway.sock's socket */
	struct sockaddr_un address;
	int control;
	pid_t gateway;
	uint16_t port;
	pthread_t thread;
	pthread_mutex_t lock;
	bool mute;    /* answers nothing */
	bool verbose; /* prints what comes */
	/* A connected socket of the guest, or -1: no such channel. */
	int (*connect)(void *cookie, unsigned type, unsigned id);
	void *cookie;
	struct harness_ticket tickets[HARNESS_TICKETS];
	unsigned ticket_count;
	struct ipc_ended ends[HARNESS_ENDS];
	atomic_uint end_count;
	struct ipc_state state; /* the last one */
	char refused[4096];     /* texts of REFUSED, a line each */
	atomic_uint redeems, opens, learned;
};

/* At the beginning of main(): the gateway is this program, run again. */
#define HARNESS_MAIN(argc, argv) \
	do { \
		if ((argc) > 1 && strcmp((argv)[1], "gateway") == 0) \
			return gateway_main((argc)-1, (argv) + 1); \
	} while (0)

/* Setup the tests may change before harness_start. */
static uint32_t harness_link_timeout = 5000;
static uint32_t harness_max_pending = 256;
static uint32_t harness_threads;

__attribute__((noreturn, unused)) static void harness_die(const char *what)
{
	fprintf(stderr, "harness: %s: %s\n", what, strerror(errno));
	exit(99);
}

__attribute__((unused)) static struct harness_ticket *
harness_ticket(struct harness *h, const char *text)
{
	struct harness_ticket *t = &h->tickets[h->ticket_count];

	*t = (struct harness_ticket){.capture_fd = -1};
	snprintf(t->text, sizeof(t->text), "%s", text);
	snprintf(t->session, sizeof(t->session), "s-%s", text);
	policy_default(&t->policy);
	pthread_mutex_lock(&h->lock);
	h->ticket_count++;
	pthread_mutex_unlock(&h->lock);
	return t;
}

static struct harness_ticket *harness_find(struct harness *h,
					   const uint8_t *digest)
{
	uint8_t d[32];

	for (unsigned i = 0; i < h->ticket_count; i++) {
		const char *text = h->tickets[i].text;

		SHA256((const uint8_t *)text, strlen(text), d);
		if (memcmp(d, digest, 32) == 0)
			return &h->tickets[i];
	}
	return NULL;
}

static void harness_send(struct harness *h, enum ipc_type type,
			 const void *body, const int *fds, unsigned n)
{
	struct error error;

	if (ipc_send(h->control, type, body, fds, n, &error) < 0)
		fprintf(stderr, "harness: %s\n", error.text);
}

static void harness_redeem(struct harness *h, const struct ipc_redeem *ask)
{
	struct ipc_redeemed r = {
		.request = ask->request,
		.result = SPICE_LINK_ERR_PERMISSION_DENIED,
	};
	struct harness_ticket *t = harness_find(h, ask->digest);
	int fds[2] = {-1, -1};
	unsigned n = 0;

	atomic_fetch_add(&h->redeems, 1);
	if (t && !t->used && (fds[0] = h->connect(h->cookie, 1, 0)) >= 0) {
		t->used = true;
		r.result = SPICE_LINK_ERR_OK;
		r.view_only = t->view_only;
		r.is_replay = t->replay;
		r.policy = t->policy;
		strcpy(r.session, t->session);
		strcpy(r.vault, "demo");
		n = 1;
		if (strcmp(t->capture, "fd") == 0)
			fds[n++] = t->capture_fd;
		else if (t->capture[0])
			fds[n++] = open(t->capture,
					O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC,
					0600);
		r.recorded = n == 2;
		if (!r.recorded && !t->must_record)
			r.policy.record = POLICY_RECORD_OFF;
	}
	harness_send(h, IPC_REDEEMED, &r, fds, n);
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
}

static void harness_open(struct harness *h, const struct ipc_open *ask)
{
	struct ipc_opened r = {.request = ask->request};
	int fd = h->connect(h->cookie, ask->channel_type, ask->channel_id);

	atomic_fetch_add(&h->opens, 1);
	if (fd < 0)
		r.result = SPICE_LINK_ERR_CHANNEL_NOT_AVAILABLE;
	harness_send(h, IPC_OPENED, &r, &fd, fd >= 0);
	if (fd >= 0)
		close(fd);
}

static void harness_handle(struct harness *h, struct ipc_packet *p)
{
	struct ipc_signature s = {{0}, {0}};
	struct ipc_session ack;

	if (h->verbose && p->type == IPC_ENDED)
		printf("ENDED %s %s \"%s\" to client %lu, to guest %lu, "
		       "capture %lu%s\n",
		       p->body.ENDED.session,
		       ipc_end_name(p->body.ENDED.reason), p->body.ENDED.text,
		       p->body.ENDED.bytes_to_client,
		       p->body.ENDED.bytes_to_guest,
		       p->body.ENDED.capture_bytes,
		       p->body.ENDED.is_signed ? " signed" : "");
	else if (h->verbose)
		printf("%s %s\n", ipc_type_name(p->type),
		       p->type == IPC_REFUSED ? p->body.REFUSED.text : "");
	fflush(stdout);
	switch (p->type) {
	case IPC_REDEEM:
		harness_redeem(h, &p->body.REDEEM);
		break;
	case IPC_OPEN:
		harness_open(h, &p->body.OPEN);
		break;
	case IPC_STATE:
		h->state = p->body.STATE;
		break;
	case IPC_SEAL:
		memcpy(s.session, p->body.SEAL.session, sizeof(s.session));
		if (tls_files_sign(&h->files, p->body.SEAL.digest, s.signature,
				   NULL) == 0)
			harness_send(h, IPC_SIGNATURE, &s, NULL, 0);
		break;
	case IPC_ENDED:
		if (h->end_count < HARNESS_ENDS) {
			h->ends[h->end_count] = p->body.ENDED;
			atomic_fetch_add(&h->end_count, 1);
		}
		memcpy(ack.session, p->body.ENDED.session, sizeof(ack.session));
		harness_send(h, IPC_ENDED_ACK, &ack, NULL, 0);
		break;
	case IPC_REFUSED:
		if (strlen(h->refused) + 202 < sizeof(h->refused))
			sprintf(h->refused + strlen(h->refused), "%s x%u\n",
				p->body.REFUSED.text, p->body.REFUSED.count);
		break;
	case IPC_LEARNED:
		atomic_fetch_add(&h->learned, 1);
		break;
	default:
		break;
	}
}

static void *harness_run(void *cookie)
{
	struct harness *h = cookie;
	struct ipc_packet p;

	while (ipc_receive(h->control, 1, &p, NULL) > 0) {
		pthread_mutex_lock(&h->lock);
		if (!h->mute)
			harness_handle(h, &p);
		pthread_mutex_unlock(&h->lock);
		ipc_packet_close(&p);
	}
	return NULL;
}

/* A TCP socket that listens on a free port of an address. */
__attribute__((unused)) static int harness_listen(const char *host,
						  uint16_t *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = 0};
	socklen_t size = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, host, &a.sin_addr);
	a.sin_port = htons(*port);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(fd, 1024) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &size) < 0)
		harness_die("listen");
	*port = ntohs(a.sin_port);
	return fd;
}

/* from: NULL, or the local address to come from. */
__attribute__((unused)) static int harness_dial(uint16_t port, const char *from)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (from) {
		inet_pton(AF_INET, from, &a.sin_addr);
		if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
			harness_die("bind");
	}
	a.sin_port = htons(port);
	inet_pton(AF_INET, "127.0.0.1", &a.sin_addr);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		close(fd);
		return -1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	return fd;
}

static void harness_make_inlet(struct harness *h)
{
	h->address.sun_family = AF_UNIX;
	snprintf(h->address.sun_path, sizeof(h->address.sun_path),
		 "%.90s/gateway.sock", h->folder);
	h->inlet = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (bind(h->inlet, (struct sockaddr *)&h->address, sizeof(h->address)) <
		    0 ||
	    listen(h->inlet, 4) < 0)
		harness_die("gateway.sock");
}

/* Connects to the gateway as control does; returns its HELLO. */
__attribute__((unused)) static struct ipc_hello
harness_connect(struct harness *h)
{
	struct ipc_packet p;

	h->control = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (connect(h->control, (struct sockaddr *)&h->address,
		    sizeof(h->address)) < 0 ||
	    ipc_receive(h->control, 1, &p, NULL) != 1 || p.type != IPC_HELLO)
		harness_die("HELLO");
	return p.body.HELLO;
}

__attribute__((unused)) static void harness_serve(struct harness *h)
{
	if (pthread_create(&h->thread, NULL, harness_run, h))
		harness_die("thread");
}

/* As a control that was killed: the gateway stays. */
__attribute__((unused)) static void harness_vanish(struct harness *h)
{
	shutdown(h->control, SHUT_RDWR);
	pthread_join(h->thread, NULL);
	close(h->control);
}

static void harness_fork(struct harness *h)
{
	int log;

	h->gateway = fork();
	if (h->gateway)
		return;
	/* GATEWAY_LOG: keep what a sanitizer says. */
	if (getenv("GATEWAY_LOG") &&
	    (log = open(getenv("GATEWAY_LOG"), O_WRONLY | O_CREAT | O_APPEND,
			0600)) >= 0)
		dup2(log, 2);
	dup2(h->inlet, 3);
	close_range(4, ~0u, 0);
	execl("/proc/self/exe", "mediavmd", "gateway", NULL);
	_exit(127);
}

/* host: address to listen on; h->connect is set. */
__attribute__((unused)) static void harness_start(struct harness *h,
						  const char *host)
{
	static const char *const names[] = {NULL};
	struct ipc_setup setup = {.listeners = 1};
	struct error error;
	int fds[3];

	signal(SIGPIPE, SIG_IGN);
	pthread_mutex_init(&h->lock, NULL);
	snprintf(h->folder, sizeof(h->folder), "%s/gateway.XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(h->folder))
		harness_die(h->folder);
	if (tls_files_prepare(&h->files, h->folder, names, &error) < 0 ||
	    tls_files_open(&h->files, &fds[0], &fds[1], &error) < 0) {
		errno = -error.code;
		harness_die(error.text);
	}
	harness_make_inlet(h);
	harness_fork(h);
	harness_connect(h);
	fds[2] = harness_listen(host, &h->port);
	setup.port = h->port;
	setup.link_timeout = harness_link_timeout;
	setup.max_pending = harness_max_pending;
	setup.threads = harness_threads;
	harness_send(h, IPC_SETUP, &setup, fds, 3);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	harness_serve(h);
}

__attribute__((unused)) static bool harness_wait_ends(struct harness *h,
						      unsigned n)
{
	for (int i = 0; i < 1000 && h->end_count < n; i++)
		usleep(10000);
	return h->end_count >= n;
}

/* Its exit status as waitpid gives it; h->gateway -1: it is gone already. */
__attribute__((unused)) static int harness_stop(struct harness *h)
{
	static const char *const names[] = {
		"ca.pem",   "ca.key",   "gateway.pem",  "gateway.key",
		"sign.key", "sign.pem", "gateway.sock",
	};
	struct ipc_quit quit = {0};
	char path[256];
	int status = -1;

	if (h->gateway > 0) {
		harness_send(h, IPC_QUIT, &quit, NULL, 0);
		waitpid(h->gateway, &status, 0);
	}
	harness_vanish(h);
	close(h->inlet);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", h->folder, names[i]);
		unlink(path);
	}
	rmdir(h->folder);
	return status;
}

#endif
