/*
 * What bad input to the gateway gets; prints TAP. A session stays open all
 * the time and must not be disturbed.
 */
#include "tests/echo_guest.h"

#include <openssl/rand.h>

#define MANY 1000
#define PENDING 128
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEMORY_MAX (256 << 10) /* kB more; freed memory is kept for a while */
#else
#define MEMORY_MAX (16 << 10)
#endif

static struct harness h;
static SSL_CTX *tls;
static struct peer witness; /* the session that stays */
static unsigned tests, failures;

static bool ok(bool good, const char *what)
{
	printf("%sok %u - %s\n", good ? "" : "not ", ++tests, what);
	failures += !good;
	return good;
}

static struct peer dial(bool with_tls)
{
	struct peer p = {.fd = harness_dial(h.port, NULL)};
	struct timeval patience = {.tv_sec = 20};

	setsockopt(p.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (with_tls && peer_start_tls(&p, tls) < 0)
		printf("# no TLS\n");
	return p;
}

/* The peer closes, saying nothing more; a time-out is a failure. */
static bool closes(struct peer *p)
{
	uint8_t byte;
	ssize_t n = peer_some(p, &byte, 1);
	bool gone = p->ssl ? n <= 0 && errno != EAGAIN
			   : n == 0 || (n < 0 && errno == ECONNRESET);

	peer_close(p);
	return gone;
}

/* The error of the link reply that answers these bytes, -1: none. */
static int reply_to(bool with_tls, const void *bytes, size_t size)
{
	struct peer p = dial(with_tls);
	struct link_reply reply = {0};
	uint8_t *body = NULL;
	size_t n = 0;
	int r = -1;

	if (peer_write(&p, bytes, size) == 0)
		body = peer_read_pdu(&p, &n);
	if (body && link_reply_parse(body, n, &reply, NULL) == 0)
		r = (int)reply.error;
	free(body);
	errno = 0;
	if (!closes(&p))
		r = -2;
	return r;
}

/* A header with its fields, and some bytes of a body. */
static int reply_to_header(uint32_t major, uint32_t size, size_t body)
{
	uint8_t bytes[8192] = "REDQ";

	bytes_put_le32(bytes + 4, major);
	bytes_put_le32(bytes + 8, 2);
	bytes_put_le32(bytes + 12, size);
	return reply_to(true, bytes, 16 + body);
}

static int reply_to_caps(uint32_t commons, uint32_t channels, uint32_t offset)
{
	uint8_t bytes[16 + 18 + 8] = "REDQ";

	bytes_put_le32(bytes + 4, 2);
	bytes_put_le32(bytes + 8, 2);
	bytes_put_le32(bytes + 12, 26);
	bytes[20] = SPICE_CHANNEL_MAIN;
	bytes_put_le32(bytes + 22, commons);
	bytes_put_le32(bytes + 26, channels);
	bytes_put_le32(bytes + 30, offset);
	return reply_to(true, bytes, sizeof(bytes));
}

static void test_links(void)
{
	static const char http[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
	struct peer p;

	ok(reply_to(false, "REDQ\2\0\0\0\2\0\0\0\22\0\0\0", 16) ==
		   SPICE_LINK_ERR_NEED_SECURED,
	   "SPICE without TLS: need secured");
	p = dial(false);
	peer_write(&p, http, sizeof(http));
	ok(closes(&p), "HTTP: closed");
	p = dial(false);
	peer_write(&p, "\x16\x03\x01\x40\x00garbage garbage garbage", 28);
	ok(closes(&p), "garbage as TLS: closed");
	ok(reply_to(true, http, sizeof(http)) == SPICE_LINK_ERR_INVALID_MAGIC,
	   "HTTP in TLS: invalid magic");
	ok(reply_to_header(1, 18, 0) == SPICE_LINK_ERR_VERSION_MISMATCH,
	   "another version: version mismatch");
	ok(reply_to_header(2, 17, 0) == SPICE_LINK_ERR_INVALID_DATA,
	   "a link message of 17 bytes: invalid data");
	ok(reply_to_header(2, 4097, 4097) == SPICE_LINK_ERR_INVALID_DATA,
	   "of 4097 bytes: invalid data");
	ok(reply_to_header(2, UINT32_MAX, 0) == SPICE_LINK_ERR_INVALID_DATA,
	   "of 4 GiB: invalid data");
	ok(reply_to_caps(1000, 0, 18) == SPICE_LINK_ERR_INVALID_DATA,
	   "more capabilities than bytes: invalid data");
	ok(reply_to_caps(UINT32_MAX, 2, 18) == SPICE_LINK_ERR_INVALID_DATA,
	   "counts that overflow: invalid data");
	ok(reply_to_caps(1, 1, UINT32_MAX - 3) == SPICE_LINK_ERR_INVALID_DATA,
	   "capabilities far behind the end: invalid data");
}

/* Links up to the reply, then sends these bytes; the result, -1 closed. */
static int result_of(const void *bytes, size_t size)
{
	struct link_mess mess = peer_mess(SPICE_CHANNEL_MAIN, 0, 0, true);
	struct peer p = dial(true);
	struct buffer b = {0};
	uint8_t le[4], *body;
	size_t n;
	int r = -1;

	link_mess_build(&b, &mess);
	peer_write(&p, b.data, b.size);
	buffer_free(&b);
	body = peer_read_pdu(&p, &n);
	free(body);
	if (body && peer_write(&p, bytes, size) == 0 &&
	    peer_read(&p, le, 4) == 0)
		r = (int)bytes_get_le32(le);
	peer_close(&p);
	return r;
}

static void test_tickets(void)
{
	uint8_t bytes[4 + LINK_TICKET_SIZE];
	struct link_mess mess = peer_mess(SPICE_CHANNEL_MAIN, 0, 4711, true);
	struct peer p = dial(true);

	RAND_bytes(bytes, sizeof(bytes));
	bytes_put_le32(bytes, SPICE_COMMON_CAP_AUTH_SPICE);
	bytes[4] = 0;
	ok(result_of(bytes, sizeof(bytes)) == SPICE_LINK_ERR_PERMISSION_DENIED,
	   "a ticket of random bytes: permission denied");
	memset(bytes + 4, 0xff, LINK_TICKET_SIZE);
	ok(result_of(bytes, sizeof(bytes)) == SPICE_LINK_ERR_PERMISSION_DENIED,
	   "a ticket larger than the key: permission denied");
	bytes_put_le32(bytes, SPICE_COMMON_CAP_AUTH_SASL);
	ok(result_of(bytes, sizeof(bytes)) == SPICE_LINK_ERR_INVALID_DATA,
	   "SASL, which was not offered: invalid data");
	ok(peer_link(&p, &mess, "witness") == SPICE_LINK_ERR_BAD_CONNECTION_ID,
	   "a main channel of another session: bad connection id");
	peer_close(&p);
}

/* All of them are closed when the time of a link is over, not before. */
static void test_slow(void)
{
	struct link_mess mess = peer_mess(SPICE_CHANNEL_MAIN, 0, 0, true);
	struct peer silent = dial(false), half_hello = dial(false),
		    no_link = dial(true), half_link = dial(true),
		    no_ticket = dial(true), slow = dial(true);
	struct buffer b = {0};
	uint8_t *body;
	size_t n, at = 0;

	link_mess_build(&b, &mess);
	peer_write(&half_hello, "\x16\x03\x01\x02\x00\x01", 6);
	peer_write(&half_link, b.data, b.size / 2);
	peer_write(&no_ticket, b.data, b.size);
	body = peer_read_pdu(&no_ticket, &n);
	ok(body, "half links wait");
	free(body);
	while (at < b.size && peer_write(&slow, b.data + at, 1) == 0) {
		at++;
		usleep(200000);
	}
	ok(at > 2 && at < b.size, "a byte at a time: closed before its end");
	peer_close(&slow);
	buffer_free(&b);
	ok(closes(&silent), "a silent connection: closed");
	ok(closes(&half_hello), "half a TLS hello: closed");
	ok(closes(&no_link), "TLS and nothing more: closed");
	ok(closes(&half_link), "half a link message: closed");
	ok(closes(&no_ticket), "no ticket: closed");
}

static unsigned open_of(struct pollfd *p, unsigned n)
{
	unsigned still = 0;

	poll(p, n, 0);
	for (unsigned i = 0; i < n; i++)
		still += !(p[i].revents & (POLLIN | POLLHUP | POLLERR));
	return still;
}

/* `hello`: they begin TLS, so that the gateway has to hold more. */
static void test_many(bool hello)
{
	static struct pollfd p[MANY];
	unsigned long before = memory_of(h.gateway), most = 0;
	bool undisturbed = true;
	unsigned i, left;

	for (i = 0; i < MANY; i++) {
		p[i] = (struct pollfd){.fd = harness_dial(h.port, NULL),
				       .events = POLLIN};
		if (hello)
			send(p[i].fd, "\x16\x03\x01\x40\x00\x01", 6,
			     MSG_NOSIGNAL);
		if (i % 50 == 0) {
			unsigned long m = memory_of(h.gateway);

			undisturbed &= comes_back(&witness, ECHO, 1000);
			most = m > most ? m : most;
		}
	}
	undisturbed &= comes_back(&witness, ECHO, 100000);
	/* Those in the listener's queue have to be accepted first. */
	for (i = 0; (left = open_of(p, MANY)) > PENDING && i < 150; i++)
		usleep(10000);
	ok(left <= PENDING,
	   hello ? "1000 half TLS hellos: the oldest have to go"
		 : "1000 silent connections: the oldest go");
	if (!ok(most < before + MEMORY_MAX, "their memory is bounded"))
		printf("# %lu kB before, %lu kB at most\n", before, most);
	ok(undisturbed, "the session is undisturbed");
	for (i = 0; left && i < 1000; i++) {
		usleep(10000);
		left = open_of(p, MANY);
	}
	ok(left == 0, "after a while they are all closed");
	for (i = 0; i < MANY; i++)
		close(p[i].fd);
}

/* A linked viewer that breaks the protocol harms its own session only. */
static void test_messages(void)
{
	static const uint8_t huge[6] = {150, 0, 0xff, 0xff, 0xff, 0xff};
	static const uint8_t agent[6] = {107, 0, 1, 0, 2, 0};
	struct link_mess mess = peer_mess(SPICE_CHANNEL_MAIN, 0, 0, true);
	struct peer p = dial(true);

	harness_ticket(&h, "huge");
	harness_ticket(&h, "agent");
	peer_link(&p, &mess, "huge");
	peer_write(&p, huge, sizeof(huge));
	ok(harness_wait_ends(&h, 1) && h.ends[0].reason == IPC_END_PROTOCOL,
	   "a message of 4 GiB ends its session");
	peer_close(&p);
	p = dial(true);
	peer_link(&p, &mess, "agent");
	peer_write(&p, agent, sizeof(agent));
	ok(harness_wait_ends(&h, 2) && h.ends[1].reason == IPC_END_PROTOCOL,
	   "so does agent data that is too large");
	peer_close(&p);
	ok(comes_back(&witness, ECHO, 1000), "and no other");
}

/* A link as it should be, with a few bytes changed. */
static void test_random_links(void)
{
	struct link_mess mess = peer_mess(SPICE_CHANNEL_MAIN, 0, 0, true);
	struct buffer b = {0};
	unsigned seed = 4711;

	link_mess_build(&b, &mess);
	buffer_grow(&b, 132);
	for (int i = 0; i < 200; i++) {
		struct peer p = dial(true);
		uint8_t bytes[512];

		memcpy(bytes, b.data, b.size);
		for (int k = 0; k < 3; k++)
			bytes[(unsigned)rand_r(&seed) % b.size] =
				(uint8_t)rand_r(&seed);
		peer_write(&p, bytes, (unsigned)rand_r(&seed) % b.size);
		peer_close(&p);
	}
	buffer_free(&b);
	ok(comes_back(&witness, ECHO, 1000) &&
		   waitpid(h.gateway, NULL, WNOHANG) == 0,
	   "200 links with random bytes: nothing happens");
}

static unsigned lines(const char *text)
{
	unsigned n = 0;

	pthread_mutex_lock(&h.lock);
	for (; *text; text++)
		n += *text == '\n';
	pthread_mutex_unlock(&h.lock);
	return n;
}

int main(int argc, char **argv)
{
	struct link_mess mess = peer_mess(SPICE_CHANNEL_MAIN, 0, 0, true);

	HARNESS_MAIN(argc, argv);
	setvbuf(stdout, NULL, _IOLBF, 0);
	tls = peer_tls();
	h.connect = echo_dial;
	harness_link_timeout = 4000;
	harness_max_pending = PENDING;
	echo_start();
	harness_start(&h, "127.0.0.1");
	harness_ticket(&h, "witness");
	witness = dial(true);
	ok(peer_link(&witness, &mess, "witness") == 0, "a session is open");
	test_links();
	test_tickets();
	test_slow();
	test_many(false);
	test_many(true);
	test_messages();
	test_random_links();
	ok(lines(h.refused) > 5 && lines(h.refused) < 40,
	   "the audit log hears of refused links, but not of each");
	peer_close(&witness);
	ok(harness_wait_ends(&h, 3) && h.ends[2].reason == IPC_END_CLIENT,
	   "the session ends as it should");
	ok(harness_stop(&h) == 0, "and the gateway, too");
	printf("1..%u\n", tests);
	return failures != 0;
}
