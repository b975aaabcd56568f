/*
 * The gateway's relay beside stunnel and HAProxy on the same bytes.
 *
 * A guest sends a mix of display messages as fast as it is read; a viewer
 * reads it through TLS 1.3 (AES-128-GCM). Runs of all relays are interleaved.
 * Delay: a message of 20 bytes sent 1000 times a second and sent back. The
 * relays' CPU time is that of their processes. Recordings go to TMPDIR.
 */
#include "tests/gateway_harness.h"
#include "tests/spice_peer.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <sys/stat.h>

#define RUNS 5

#define MIX_BYTES (24u << 20)
#define RUN_BYTES (10 * MIX_BYTES) /* whole messages */
#define PINGS 500                  /* a run */
#define SEND_BYTES 101             /* u64: so many bytes of the mix */
#define SEND_BACK 102

enum { DIRECT, GATEWAY, RECORDING, STUNNEL, HAPROXY, RELAYS };

static struct relay {
	const char *name;
	uint16_t port;
	pid_t pid;
	bool tls;
	double mbs[RUNS], cpu;
	double delays[RUNS * PINGS], p50, p99; /* us */
	char ticket[32];
} relays[RELAYS] = {
	[DIRECT] = {.name = "direct, no TLS"},
	[GATEWAY] = {.name = "gateway, not recording", .tls = true},
	[RECORDING] = {.name = "gateway, recording", .tls = true},
	[STUNNEL] = {.name = "stunnel", .tls = true},
	[HAPROXY] = {.name = "HAProxy", .tls = true},
};

static struct link_key *key;
static uint8_t *mix;
static char folder[128];

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/*
 * Fills and copies of some ten bytes, images of a few kB whose bytes repeat
 * about as much as GLZ's do, and frames of video.
 */
static void make_mix(void)
{
	size_t at = 0;
	unsigned seed = 1;

	mix = malloc(MIX_BYTES + (64 << 10));
	RAND_bytes(mix, MIX_BYTES + (64 << 10));
	while (at < MIX_BYTES) {
		unsigned kind = (unsigned)rand_r(&seed) % 10;
		uint32_t size =
			kind < 6   ? 60 + (unsigned)rand_r(&seed) % 40
			: kind < 9 ? 3000 + (unsigned)rand_r(&seed) % 12000
				   : 20000 + (unsigned)rand_r(&seed) % 20000;
		uint8_t *body = mix + at + 6;

		if (at + 6 + size + 6 > MIX_BYTES)
			size = (uint32_t)(MIX_BYTES - at - 6);
		bytes_put_le16(mix + at, kind < 6 ? 302 : kind < 9 ? 304 : 123);
		bytes_put_le32(mix + at + 2, size);
		for (uint32_t i = 0; kind < 9 && i + 64 < size; i += 64)
			memset(body + i, body[i] & 3, 44);
		at += 6 + size;
		if (MIX_BYTES - at < 7)
			break;
	}
}

static int send_mix(struct peer *p, uint64_t size)
{
	while (size) {
		size_t n = size < MIX_BYTES ? size : MIX_BYTES;

		if (peer_write(p, mix, n) < 0)
			return -1;
		size -= n;
	}
	return 0;
}

static void *serve_guest(void *cookie)
{
	struct peer p = {.fd = (int)(intptr_t)cookie};
	struct link_mess mess;
	uint8_t body[64];
	uint16_t type;
	ssize_t n;

	setsockopt(p.fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	if (peer_accept_link(&p, key, 0, 0, &mess) == 0)
		while ((n = peer_receive(&p, &type, body, sizeof(body))) >= 0)
			if (type == SEND_BYTES
				    ? send_mix(&p, bytes_get_le32(body)) < 0
				    : peer_send(&p, type, body, (uint32_t)n) <
					      0)
				break;
	peer_close(&p);
	return NULL;
}

static void *accept_guests(void *cookie)
{
	int listener = (int)(intptr_t)cookie, fd;
	pthread_t thread;

	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		pthread_create(&thread, NULL, serve_guest,
			       (void *)(intptr_t)fd);
		pthread_detach(thread);
	}
	return NULL;
}

static uint16_t guest_port;

static int dial_guest(void *cookie, unsigned type, unsigned id)
{
	(void)cookie;
	(void)type;
	(void)id;
	return harness_dial(guest_port, NULL);
}

static struct peer open_channel(struct relay *r, SSL_CTX *tls, unsigned type)
{
	struct peer p = {.fd = harness_dial(r->port, NULL)};
	struct link_mess mess = peer_mess((uint8_t)type, 0, type != 1, true);

	if (p.fd < 0 || (r->tls && peer_start_tls(&p, tls) < 0) ||
	    peer_link(&p, &mess, r->ticket) != 0) {
		fprintf(stderr, "relay: no session through %s\n", r->name);
		exit(1);
	}
	return p;
}

/* User and system time of a process so far, seconds. */
static double cpu_of(pid_t pid)
{
	unsigned long user = 0, kernel = 0;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	if (!f)
		return 0;
	if (fscanf(f,
		   "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
		   "%lu %lu",
		   &user, &kernel) != 2)
		user = kernel = 0;
	fclose(f);
	return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

static double run_throughput(struct relay *r, struct peer *p, uint64_t size)
{
	static uint8_t sink[256 << 10];
	uint8_t wish[8];
	double begin = now();

	bytes_put_le64(wish, size);
	if (peer_send(p, SEND_BYTES, wish, sizeof(wish)) < 0)
		exit(1);
	for (uint64_t got = 0; got < size;) {
		ssize_t n = peer_some(p, sink, sizeof(sink));

		if (n <= 0) {
			fprintf(stderr, "relay: %s closed\n", r->name);
			exit(1);
		}
		got += (uint64_t)n;
	}
	return (double)size / 1e6 / (now() - begin);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void run_delay(struct relay *r, struct peer *p, int run)
{
	uint8_t body[20] = {0};
	uint16_t type;
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	for (int i = 0; i < PINGS; i++) {
		double begin;

		at.tv_nsec += 1000000;
		if (at.tv_nsec >= 1000000000) {
			at.tv_nsec -= 1000000000;
			at.tv_sec++;
		}
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
		begin = now();
		if (peer_send(p, SEND_BACK, body, sizeof(body)) < 0 ||
		    peer_receive(p, &type, body, sizeof(body)) < 0)
			exit(1);
		r->delays[run * PINGS + i] = (now() - begin) * 1e6;
	}
}

__attribute__((format(printf, 2, 3))) static void
write_text(const char *name, const char *format, ...)
{
	char path[256];
	va_list args;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "w");
	if (!f)
		harness_die(path);
	va_start(args, format);
	vfprintf(f, format, args);
	va_end(args);
	fclose(f);
}

static uint16_t free_port(void)
{
	uint16_t port = 0;

	close(harness_listen("127.0.0.1", &port));
	return port;
}

static pid_t start(const char *program, const char *option, const char *name)
{
	char path[256];
	pid_t pid = fork();

	if (pid)
		return pid;
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	freopen("/dev/null", "w", stderr);
	freopen("/dev/null", "w", stdout);
	if (option)
		execlp(program, program, option, path, NULL);
	else
		execlp(program, program, path, NULL);
	_exit(127);
}

static void wait_listening(struct relay *r)
{
	for (int i = 0; i < 100; i++) {
		int fd = harness_dial(r->port, NULL);

		if (fd >= 0) {
			close(fd);
			return;
		}
		usleep(50000);
	}
	fprintf(stderr, "relay: %s does not listen; is it installed?\n",
		r->name);
	exit(1);
}

static void start_others(const struct harness *h)
{
	struct relay *s = &relays[STUNNEL], *p = &relays[HAPROXY];
	char command[512];

	s->port = free_port();
	write_text("stunnel.conf",
		   "foreground = quiet\npid =\n"
		   "socket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n"
		   "[spice]\naccept = 127.0.0.1:%u\nconnect = 127.0.0.1:%u\n"
		   "cert = %s/gateway.pem\nkey = %s/gateway.key\n"
		   "sslVersionMin = TLSv1.3\n"
		   "ciphersuites = TLS_AES_128_GCM_SHA256\n",
		   s->port, guest_port, h->folder, h->folder);
	s->pid = start("stunnel4", NULL, "stunnel.conf");
	p->port = free_port();
	snprintf(command, sizeof(command),
		 "cat '%s/gateway.pem' '%s/gateway.key' >'%s/both.pem'",
		 h->folder, h->folder, folder);
	if (system(command) != 0)
		harness_die("both.pem");
	write_text("haproxy.conf",
		   "defaults\n mode tcp\n timeout connect 5s\n"
		   " timeout client 1h\n timeout server 1h\n"
		   "frontend f\n bind 127.0.0.1:%u ssl crt %s/both.pem "
		   "ssl-min-ver TLSv1.3 ciphersuites TLS_AES_128_GCM_SHA256\n"
		   " default_backend b\n"
		   "backend b\n server s 127.0.0.1:%u\n",
		   p->port, folder, guest_port);
	p->pid = start("haproxy", "-f", "haproxy.conf");
	wait_listening(s);
	wait_listening(p);
}

/* Sessions of the gateway begin with a main channel. */
static void open_all(SSL_CTX *tls, struct peer *mains, struct peer *displays)
{
	for (int i = 0; i < RELAYS; i++) {
		mains[i] = (struct peer){.fd = -1};
		if (i == GATEWAY || i == RECORDING)
			mains[i] = open_channel(&relays[i], tls, 1);
		displays[i] = open_channel(&relays[i], tls, 2);
	}
}

/* The first run warms up; each begins with another relay. */
static void measure(struct peer *displays)
{
	for (int run = -1; run < RUNS; run++)
		for (int k = 0; k < RELAYS; k++) {
			int i = (k + run + 1) % RELAYS;
			struct relay *r = &relays[i];
			double cpu = cpu_of(r->pid), mbs;

			mbs = run_throughput(r, &displays[i], RUN_BYTES);
			if (i == RECORDING)
				usleep(300000); /* its backlog is its cost */
			if (run < 0)
				continue;
			r->mbs[run] = mbs;
			r->cpu += cpu_of(r->pid) - cpu;
			run_delay(r, &displays[i], run);
		}
}

static void print(void)
{
	struct stat st;
	char path[256];

	printf("relay: %u MiB of display messages a run, median of %d "
	       "interleaved runs; %s\n",
	       RUN_BYTES >> 20, RUNS, OpenSSL_version(OPENSSL_VERSION));
	printf("%-24s %8s %12s %10s %10s %12s\n", "", "MB/s", "CPU s/GB",
	       "p50 us", "p99 us", "p99 added us");
	for (int i = 0; i < RELAYS; i++) {
		struct relay *r = &relays[i];

		qsort(r->mbs, RUNS, sizeof(r->mbs[0]), by_value);
		qsort(r->delays, RUNS * PINGS, sizeof(r->delays[0]), by_value);
		r->p50 = r->delays[RUNS * PINGS / 2];
		r->p99 = r->delays[RUNS * PINGS * 99 / 100];
		printf("%-24s %8.0f ", r->name, r->mbs[RUNS / 2]);
		if (i == DIRECT)
			printf("%12s ", "-");
		else
			printf("%12.2f ",
			       r->cpu / ((double)RUNS * RUN_BYTES / 1e9));
		printf("%10.1f %10.1f %12.1f\n", r->p50, r->p99,
		       r->p99 - relays[DIRECT].p99);
	}
	printf("cost of recording: %.0f%% of the throughput\n",
	       100 - 100 * relays[RECORDING].mbs[RUNS / 2] /
			       relays[GATEWAY].mbs[RUNS / 2]);
	snprintf(path, sizeof(path), "%s/capture", folder);
	if (stat(path, &st) == 0)
		printf("recorded %.0f MB into %.0f MB\n",
		       (double)(RUNS + 1) * RUN_BYTES / 1e6,
		       (double)st.st_size / 1e6);
}

static void clean_up(struct harness *h)
{
	static const char *const names[] = {"capture", "stunnel.conf",
					    "haproxy.conf", "both.pem"};
	char path[256];

	kill(relays[STUNNEL].pid, SIGTERM);
	kill(relays[HAPROXY].pid, SIGTERM);
	waitpid(relays[STUNNEL].pid, NULL, 0);
	waitpid(relays[HAPROXY].pid, NULL, 0);
	harness_stop(h);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		unlink(path);
	}
	rmdir(folder);
}

static void start_gateway(struct harness *h)
{
	struct harness_ticket *t;

	h->connect = dial_guest;
	harness_start(h, "127.0.0.1");
	for (int i = GATEWAY; i <= RECORDING; i++) {
		strcpy(relays[i].ticket, i == GATEWAY ? "plain" : "recorded");
		relays[i].port = h->port;
		relays[i].pid = h->gateway;
		t = harness_ticket(h, relays[i].ticket);
		t->policy.keystrokes = POLICY_KEYSTROKES_STORE;
		if (i == RECORDING)
			snprintf(t->capture, sizeof(t->capture), "%s/capture",
				 folder);
	}
}

int main(int argc, char **argv)
{
	static struct harness h;
	struct peer mains[RELAYS], displays[RELAYS];
	SSL_CTX *tls = peer_tls();
	pthread_t thread;
	int listener;

	HARNESS_MAIN(argc, argv);
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	snprintf(folder, sizeof(folder), "%s/relay.XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(folder))
		harness_die(folder);
	start_gateway(&h);
	if (link_key_new(&key, NULL) < 0)
		harness_die("key");
	make_mix();
	listener = harness_listen("127.0.0.1", &guest_port);
	pthread_create(&thread, NULL, accept_guests,
		       (void *)(intptr_t)listener);
	relays[DIRECT].port = guest_port;
	start_others(&h);
	open_all(tls, mains, displays);
	measure(displays);
	for (int i = 0; i < RELAYS; i++) {
		peer_close(&displays[i]);
		peer_close(&mains[i]);
	}
	harness_wait_ends(&h, 2);
	print();
	clean_up(&h);
	return 0;
}
