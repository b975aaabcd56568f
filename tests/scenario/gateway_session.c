/*
 * Sessions through the gateway, with a guest that echoes every message on
 * every type of channel; prints TAP. What the recording holds is read back.
 */
#include "tests/echo_guest.h"
#include "tests/gateway_harness.h"

#include <spice/enums.h>

#include "recorder/capture_reader.h"
#include "recorder/framer.h"

/* kB of an idle session with four channels */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SESSION_MEMORY (32 << 10)
#else
#define SESSION_MEMORY 1024
#endif

static struct harness h;
static SSL_CTX *tls;
static unsigned tests, failures;

static bool ok(bool good, const char *what)
{
	printf("%sok %u - %s\n", good ? "" : "not ", ++tests, what);
	failures += !good;
	return good;
}

/* Links; *result as peer_link's. */
static struct peer open_from(const char *from, const char *ticket,
			     unsigned type, unsigned id, bool mini, int *result)
{
	struct peer p = {.fd = harness_dial(h.port, from)};
	struct link_mess mess =
		peer_mess((uint8_t)type, (uint8_t)id, type != 1, mini);
	struct timeval patience = {.tv_sec = 20};

	setsockopt(p.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	*result = peer_start_tls(&p, tls);
	if (*result == 0)
		*result = peer_link(&p, &mess, ticket);
	return p;
}

static struct peer open_channel(const char *ticket, unsigned type, bool mini)
{
	int result;
	struct peer p = open_from(NULL, ticket, type, 0, mini, &result);

	if (result != 0)
		fprintf(stderr, "# channel %u: link result %d\n", type, result);
	return p;
}

static char capture_path[256];

static struct harness_ticket *new_ticket(const char *text, bool recorded)
{
	struct harness_ticket *t = harness_ticket(&h, text);

	if (recorded) {
		snprintf(capture_path, sizeof(capture_path), "%s/%s.zst",
			 h.folder, text);
		strcpy(t->capture, capture_path);
	}
	return t;
}

static const struct ipc_ended *end_of(const char *ticket)
{
	char id[IPC_ID_SIZE];

	snprintf(id, sizeof(id), "s-%.30s", ticket);
	for (int i = 0; i < 1500; i++) {
		for (unsigned n = 0; n < h.end_count; n++)
			if (strcmp(h.ends[n].session, id) == 0)
				return &h.ends[n];
		usleep(10000);
	}
	return NULL;
}

static bool ended_as(const char *ticket, enum ipc_end reason)
{
	const struct ipc_ended *e = end_of(ticket);

	if (e && e->reason != reason)
		printf("# ended: %s, %s\n", ipc_end_name(e->reason), e->text);
	return e && e->reason == reason;
}

/* A recording, added up. */
struct sum {
	unsigned messages[2], channels, tickets;
	uint64_t bytes[2];
	bool zero_ticket, is_signed, complete, damaged;
	uint8_t last_body[64];
	size_t last_size; /* of the last message to the guest */
};

static struct sum add_up(const char *path)
{
	struct capture_reader *reader;
	struct capture_summary summary;
	struct capture_item item;
	struct sum s = {.zero_ticket = true};
	int fd = open(path, O_RDONLY), r;

	if (fd < 0 || capture_reader_new(&reader, fd, NULL) < 0) {
		s.damaged = true;
		return s;
	}
	while ((r = capture_reader_next(reader, &item, NULL)) > 0) {
		if (item.kind == CAPTURE_OPEN)
			s.channels++;
		if (item.kind == CAPTURE_AUTH &&
		    item.size == LINK_TICKET_SIZE) {
			s.tickets++;
			for (size_t i = 0; i < item.size; i++)
				s.zero_ticket &= item.data[i] == 0;
		}
		if (item.kind != CAPTURE_MESSAGE)
			continue;
		s.messages[item.direction]++;
		s.bytes[item.direction] += item.size;
		if (item.direction == CAPTURE_TO_GUEST && item.size &&
		    item.size < 64) {
			memcpy(s.last_body, item.data, item.size);
			s.last_size = item.size;
		}
	}
	s.damaged = r < 0;
	capture_reader_summary(reader, &summary);
	s.is_signed = summary.is_signed;
	s.complete = summary.complete;
	capture_reader_free(reader);
	close(fd);
	return s;
}

static struct sum read_capture(const char *path)
{
	struct sum s = add_up(path);

	unlink(path);
	return s;
}

/* Every type of channel, both headers; the recording holds all of it. */
static void test_channels(bool mini)
{
	static const uint32_t sizes[] = {0, 1, 5, 4096, 300000};
	const char *ticket = mini ? "channels-mini" : "channels-full";
	struct harness_ticket *t = new_ticket(ticket, true);
	struct peer peers[12];
	unsigned messages = 0;
	uint64_t bytes = 0;
	struct sum s;
	char what[80];

	policy_set(&t->policy, "usb", "on", NULL);
	policy_set(&t->policy, "microphone", "on", NULL);
	policy_set(&t->policy, "file-transfer", "on", NULL);
	for (unsigned type = 1; type <= 11; type++) {
		bool good = true;

		peers[type] = open_channel(ticket, type, mini);
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			good = good && comes_back(&peers[type], ECHO, sizes[i]);
			messages++;
			bytes += sizes[i];
		}
		snprintf(what, sizeof(what), "channel type %u, %s headers",
			 type, mini ? "mini" : "full");
		ok(good, what);
	}
	for (unsigned type = 11; type >= 1; type--)
		peer_close(&peers[type]);
	ok(ended_as(ticket, IPC_END_CLIENT),
	   "the viewer's end is the session's");
	s = read_capture(capture_path);
	ok(!s.damaged && s.complete && s.is_signed,
	   "the recording is complete and signed");
	ok(s.messages[0] == messages && s.messages[1] == messages &&
		   s.bytes[0] == bytes && s.bytes[1] == bytes,
	   "it holds every message both ways");
	ok(s.channels == 11 && s.tickets == 11 && s.zero_ticket,
	   "and every link, without its ticket");
}

static void test_tickets(void)
{
	struct peer p, q;
	int r;

	new_ticket("mine", false);
	new_ticket("hers", false);
	new_ticket("bare", false)->policy.bind_address = POLICY_BIND_OFF;
	p = open_from(NULL, "guess", 1, 0, true, &r);
	ok(r == SPICE_LINK_ERR_PERMISSION_DENIED, "a wrong ticket is refused");
	peer_close(&p);
	p = open_from(NULL, "mine", 2, 0, true, &r);
	ok(r == SPICE_LINK_ERR_PERMISSION_DENIED,
	   "a channel before its main channel is refused");
	peer_close(&p);
	p = open_channel("mine", 1, true);
	ok(comes_back(&p, ECHO, 10), "the right ticket opens a session");
	q = open_from(NULL, "mine", 1, 0, true, &r);
	ok(r == SPICE_LINK_ERR_PERMISSION_DENIED, "its second use is refused");
	peer_close(&q);
	q = open_from(NULL, "hers", 2, 0, true, &r);
	ok(r == SPICE_LINK_ERR_PERMISSION_DENIED,
	   "another vault's ticket opens no channel");
	peer_close(&q);
	q = open_from("127.0.0.2", "mine", 2, 0, true, &r);
	ok(r == SPICE_LINK_ERR_PERMISSION_DENIED,
	   "nor does the ticket from another address");
	peer_close(&q);
	q = open_from(NULL, "mine", SPICE_CHANNEL_USBREDIR, 0, true, &r);
	ok(r == SPICE_LINK_ERR_CHANNEL_NOT_AVAILABLE,
	   "a channel that the policy forbids is not available");
	peer_close(&q);
	q = open_from(NULL, "mine", 2, ECHO_NO_CHANNEL, true, &r);
	ok(r == SPICE_LINK_ERR_CHANNEL_NOT_AVAILABLE,
	   "nor is one that the guest has not got");
	peer_close(&q);
	ok(comes_back(&p, ECHO, 10), "the session is undisturbed by all this");
	peer_close(&p);
	ok(ended_as("mine", IPC_END_CLIENT), "it ends");
	p = open_channel("bare", 1, true);
	q = open_from("127.0.0.2", "bare", 2, 0, true, &r);
	ok(r == 0 && comes_back(&q, ECHO, 10),
	   "with bind-address=off another address may open a channel");
	peer_close(&q);
	peer_close(&p);
	ended_as("bare", IPC_END_CLIENT);
	pthread_mutex_lock(&h.lock);
	ok(strstr(h.refused, "ticket of no session") != NULL,
	   "the audit log hears of it");
	pthread_mutex_unlock(&h.lock);
}

/* Reads on until NOTIFY; its text and what came after. */
static bool told(struct peer *p, char text[256])
{
	static uint8_t body[BODY_MAX];
	uint16_t type = 0;
	ssize_t n;

	while ((n = peer_receive(p, &type, body, BODY_MAX)) >= 0)
		if (type == SPICE_MSG_NOTIFY && n > 24 && n < 280) {
			memcpy(text, body + 24, (size_t)n - 24);
			return peer_receive(p, &type, body, BODY_MAX) == 12 &&
			       type == SPICE_MSG_DISCONNECTING &&
			       peer_receive(p, &type, body, BODY_MAX) < 0;
		}
	return false;
}

static void test_ends(void)
{
	struct ipc_kill kill = {"s-killed", "the lesson is over"};
	char text[256] = "";
	struct peer p;

	new_ticket("killed", true);
	p = open_channel("killed", 1, true);
	comes_back(&p, ECHO, 10);
	harness_send(&h, IPC_KILL, &kill, NULL, 0);
	ok(told(&p, text) && strcmp(text, kill.text) == 0,
	   "a killed session's viewer is told why");
	ok(ended_as("killed", IPC_END_KILLED), "and it ends as killed");
	peer_close(&p);
	ok(read_capture(capture_path).is_signed, "with its recording signed");

	new_ticket("crash", false);
	p = open_channel("crash", 1, true);
	comes_back(&p, ECHO, 10);
	shutdown(echo_main, SHUT_RDWR);
	ok(ended_as("crash", IPC_END_GUEST), "a guest that goes ends it");
	peer_close(&p);

	policy_set(&new_ticket("idle", false)->policy, "idle-timeout", "1",
		   NULL);
	p = open_channel("idle", 1, true);
	ok(told(&p, text) && strstr(text, "idle"),
	   "an idle session ends and says so");
	ok(ended_as("idle", IPC_END_IDLE), "as idle");
	peer_close(&p);

	echo_result = SPICE_LINK_ERR_BAD_CONNECTION_ID;
	new_ticket("refused", true);
	{
		int r;

		p = open_from(NULL, "refused", 1, 0, true, &r);
		ok(r == SPICE_LINK_ERR_BAD_CONNECTION_ID,
		   "the guest's link result is the viewer's");
	}
	echo_result = 0;
	ok(ended_as("refused", IPC_END_GUEST), "and the end of the session");
	peer_close(&p);
	ok(read_capture(capture_path).complete, "with a whole recording");
}

static bool all_are(const uint8_t *bytes, size_t size, uint8_t value)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != value)
			return false;
	return true;
}

/* The gateway has something to say while a message is half-way. */
static void test_midway(void)
{
	struct ipc_kill kill = {"s-midway", "enough"};
	struct peer p, guest = {.mini = true};
	uint8_t head[18], bytes[1000], got[1000];
	char text[256] = "";
	uint16_t type = 0;
	bool good;

	memset(bytes, 0x55, sizeof(bytes));
	new_ticket("midway", false);
	p = open_channel("midway", 1, true);
	comes_back(&p, ECHO, 1);
	guest.fd = echo_main;
	peer_header(&guest, head, 160, sizeof(bytes));
	peer_write(&guest, head, FRAMER_HEADER_MINI);
	peer_write(&guest, bytes, 500);
	peer_read(&p, got, FRAMER_HEADER_MINI);
	good = peer_read(&p, got, 500) == 0;
	/* Before AGENT_START it is dropped, and its token given back. */
	peer_send(&p, SPICE_MSGC_MAIN_AGENT_DATA, bytes, 40);
	usleep(200000);
	peer_write(&guest, bytes, 500);
	good = good && peer_read(&p, got + 500, 500) == 0 &&
	       all_are(got, sizeof(got), 0x55);
	ok(good && peer_receive(&p, &type, got, 4) == 4 &&
		   type == SPICE_MSG_MAIN_AGENT_TOKEN,
	   "a message of the gateway waits for the end of the guest's");

	peer_write(&guest, head, FRAMER_HEADER_MINI);
	peer_write(&guest, bytes, 400);
	peer_read(&p, got, FRAMER_HEADER_MINI);
	good = peer_read(&p, got, 400) == 0;
	harness_send(&h, IPC_KILL, &kill, NULL, 0);
	ok(good && peer_read(&p, got, 600) == 0 && all_are(got, 600, 0) &&
		   told(&p, text) && strcmp(text, kill.text) == 0,
	   "at the end, the guest's half message is completed by zeros");
	peer_close(&p);
	ended_as("midway", IPC_END_KILLED);
}

/* A recording that can't be written: /dev/full takes nothing. */
static void test_recording_fails(void)
{
	struct harness_ticket *t = harness_ticket(&h, "full");
	char text[256] = "";
	struct peer p, q;

	strcpy(t->capture, "/dev/full");
	p = open_channel("full", 1, true);
	comes_back(&p, ECHO, 10);
	ok(told(&p, text) && strstr(text, "recording"),
	   "record=required: the viewer is told that it can't be recorded");
	ok(ended_as("full", IPC_END_RECORDING), "and the session ends");
	peer_close(&p);

	t = harness_ticket(&h, "partly");
	strcpy(t->capture, "/dev/full");
	policy_set(&t->policy, "record", "best-effort", NULL);
	p = open_channel("partly", 1, true);
	q = open_channel("partly", 2, true);
	comes_back(&q, ECHO, 10);
	usleep(1500000); /* the frame is closed and fails */
	ok(comes_back(&q, ECHO, 10) && comes_back(&p, ECHO, 10),
	   "record=best-effort: the session goes on");
	peer_close(&q);
	peer_close(&p);
	ok(ended_as("partly", IPC_END_CLIENT) &&
		   strstr(end_of("partly")->text, "recorded in part"),
	   "and its end says what is missing");
}

/* Control made a mistake: nothing to record into. */
static void test_no_recording(void)
{
	struct peer p;
	int r;

	harness_ticket(&h, "nowhere")->must_record = true;
	p = open_from(NULL, "nowhere", 1, 0, true, &r);
	ok(r == SPICE_LINK_ERR_ERROR && ended_as("nowhere", IPC_END_RECORDING),
	   "record=required without a file is no session");
	peer_close(&p);
}

#define IDLE 20

static unsigned long switches_of(pid_t pid)
{
	char command[160];
	unsigned long n = 0;
	FILE *f;

	snprintf(command, sizeof(command),
		 "cat /proc/%d/task/*/status | awk '/^voluntary/ {n += $2} "
		 "END {print n}'",
		 (int)pid);
	f = popen(command, "r");
	if (!f || fscanf(f, "%lu", &n) != 1)
		n = 0;
	if (f)
		pclose(f);
	return n;
}

/* Recorded sessions of four channels each, in which nothing moves. */
static void test_idle(void)
{
	unsigned long before = memory_of(h.gateway), after, switches;
	struct peer p[IDLE][4];
	char name[32], path[IDLE][256];
	bool is_quiet = false;

	for (int i = 0; i < IDLE; i++) {
		snprintf(name, sizeof(name), "idle-%d", i);
		new_ticket(name, true);
		strcpy(path[i], capture_path);
		for (unsigned type = 1; type <= 4; type++) {
			p[i][type - 1] = open_channel(name, type, true);
			comes_back(&p[i][type - 1], ECHO, 50000);
		}
	}
	/* Frames are closed, files on disk, refused links counted ... */
	for (int i = 0; i < 10 && !is_quiet; i++) {
		switches = switches_of(h.gateway);
		sleep(2);
		is_quiet = switches && switches_of(h.gateway) == switches;
	}
	ok(is_quiet, "idle sessions wake nobody up");
	after = memory_of(h.gateway);
	if (!ok(after < before + IDLE * SESSION_MEMORY,
		"and are small in memory"))
		printf("# %lu kB before, %lu kB with %d sessions\n", before,
		       after, IDLE);
	for (int i = 0; i < IDLE; i++) {
		for (int k = 3; k >= 0; k--)
			peer_close(&p[i][k]);
		snprintf(name, sizeof(name), "idle-%d", i);
		end_of(name);
		unlink(path[i]);
	}
}

static void test_inputs(void)
{
	static const uint8_t down[] = {0x1e, 0, 0, 0}, zeros[4];
	uint8_t body[16] = {0};
	struct peer p, q;
	struct sum s;
	uint16_t type;
	unsigned before;

	new_ticket("keys", true);
	p = open_channel("keys", 1, true);
	q = open_channel("keys", 3, true);
	ok(peer_send(&q, SPICE_MSGC_INPUTS_KEY_DOWN, down, 4) == 0 &&
		   peer_receive(&q, &type, body, 16) == 4 &&
		   memcmp(body, down, 4) == 0,
	   "a key reaches the guest");
	peer_close(&q);
	peer_close(&p);
	ended_as("keys", IPC_END_CLIENT);
	s = read_capture(capture_path);
	ok(s.messages[CAPTURE_TO_GUEST] == 1 && s.last_size == 4 &&
		   memcmp(s.last_body, zeros, 4) == 0,
	   "and is zero in the recording");

	new_ticket("view", true)->view_only = true;
	p = open_channel("view", 1, true);
	q = open_channel("view", 3, true);
	before = echo_messages;
	for (int i = 0; i < 8; i++)
		peer_send(&q, SPICE_MSGC_INPUTS_MOUSE_MOTION, body, 10);
	peer_send(&q, SPICE_MSGC_INPUTS_KEY_DOWN, down, 4);
	ok(peer_receive(&q, &type, body, 16) == 0 &&
		   type == SPICE_MSG_INPUTS_MOUSE_MOTION_ACK &&
		   peer_receive(&q, &type, body, 16) == 0 &&
		   type == SPICE_MSG_INPUTS_MOUSE_MOTION_ACK,
	   "a viewer who only views has its mouse acknowledged");
	ok(comes_back(&p, ECHO, 1) && echo_messages == before + 1,
	   "and nothing of it reaches the guest");
	peer_close(&q);
	peer_close(&p);
	ended_as("view", IPC_END_CLIENT);
	ok(read_capture(capture_path).messages[CAPTURE_TO_GUEST] == 1,
	   "nor the recording");
}

/*
 * spice-gtk waits for its socket even when OpenSSL holds a message more: one
 * that shared a TLS record with another would wait for the next.
 */
static void test_records(void)
{
	struct peer p, guest = {0};
	uint8_t both[2][6] = {{0}}, body[16];
	uint16_t type;
	bool good = true;

	new_ticket("records", false);
	p = open_channel("records", SPICE_CHANNEL_MAIN, true);
	comes_back(&p, ECHO, 1);
	guest.fd = echo_main;
	bytes_put_le16(both[0], ECHO);
	bytes_put_le16(both[1], ECHO + 1);
	good = peer_write(&guest, both, sizeof(both)) == 0 &&
	       peer_receive(&p, &type, body, sizeof(body)) == 0 &&
	       type == ECHO && SSL_pending(p.ssl) == 0;
	ok(good, "a message has a TLS record of its own");
	ok(peer_receive(&p, &type, body, sizeof(body)) == 0 && type == ECHO + 1,
	   "the one behind it comes in the next");
	peer_close(&p);
	ended_as("records", IPC_END_CLIENT);
}

/*
 * A message of 200 MB to a viewer that does not read: the gateway passes what
 * it can and holds no more than a few hundred kB of it.
 */
static void test_back_pressure(void)
{
	struct peer p, guest = {.mini = true};
	uint8_t header[18], block[65536] = {0};
	uint64_t sent = 0, got = 0;
	unsigned long before;

	new_ticket("slow", false);
	p = open_channel("slow", 1, true);
	comes_back(&p, ECHO, 1);
	before = memory_of(h.gateway);
	guest.fd = echo_main;
	fcntl(guest.fd, F_SETFL, O_NONBLOCK);
	peer_header(&guest, header, 160, 200u << 20);
	peer_write(&guest, header, FRAMER_HEADER_MINI);
	for (int quiet = 0; quiet < 20; usleep(10000)) {
		ssize_t n = send(guest.fd, block, sizeof(block), MSG_NOSIGNAL);

		quiet = n > 0 ? 0 : quiet + 1;
		sent += n > 0 ? (uint64_t)n : 0;
	}
	ok(sent < (32u << 20) && memory_of(h.gateway) < before + 4096,
	   "a viewer that does not read holds up its guest, not memory");
	while (got < sent + 6) {
		ssize_t n = peer_some(&p, block, sizeof(block));

		if (n <= 0)
			break;
		got += (uint64_t)n;
	}
	ok(got == sent + 6, "and gets everything in the end");
	peer_close(&p);
	ended_as("slow", IPC_END_CLIENT);
}

static void *open_waiting(void *cookie)
{
	*(struct peer *)cookie = open_channel("waits", 1, true);
	return NULL;
}

static void test_control_restarts(void)
{
	struct peer p, q;
	struct peer waiting;
	struct ipc_hello hello;
	pthread_t thread;
	int r;

	new_ticket("outlive", true);
	new_ticket("waits", false);
	new_ticket("late", false);
	p = open_channel("outlive", 1, true);
	comes_back(&p, ECHO, 10);
	harness_vanish(&h);
	ok(comes_back(&p, ECHO, 5000), "a session outlives control");
	q = open_from(NULL, "outlive", 2, 0, true, &r);
	ok(r == SPICE_LINK_ERR_ERROR,
	   "a channel that control can't open in time is refused");
	peer_close(&q);
	peer_close(&p);
	usleep(300000);
	pthread_create(&thread, NULL, open_waiting, &waiting);
	usleep(300000);
	hello = harness_connect(&h);
	ok(hello.is_set_up == 1 && hello.sessions == 1 && hello.port == h.port,
	   "control finds the gateway and its session again");
	harness_serve(&h);
	ok(ended_as("outlive", IPC_END_CLIENT) && end_of("outlive")->is_signed,
	   "and signs what ended in between");
	ok(read_capture(capture_path).is_signed, "its recording is signed");
	pthread_join(thread, NULL);
	ok(comes_back(&waiting, ECHO, 1),
	   "a viewer that came in between has waited for it");
	peer_close(&waiting);
	ended_as("waits", IPC_END_CLIENT);
	p = open_channel("late", 1, true);
	ok(comes_back(&p, ECHO, 1), "new sessions are let in again");
	peer_close(&p);
	ended_as("late", IPC_END_CLIENT);
}

/* The last of all: the gateway is gone afterwards. */
static void test_kill_gateway(void)
{
	struct peer p, q;
	struct sum s;

	new_ticket("torn", true);
	p = open_channel("torn", 1, true);
	q = open_channel("torn", 2, true);
	for (int i = 0; i < 20; i++)
		comes_back(&q, ECHO, 100000);
	/* Half a second is promised; a busy machine may take longer. */
	for (int i = 0; i < 100; i++) {
		s = add_up(capture_path);
		if (s.messages[CAPTURE_TO_CLIENT] >= 20)
			break;
		usleep(100000);
	}
	comes_back(&q, ECHO, 100000);
	kill(h.gateway, SIGKILL);
	waitpid(h.gateway, NULL, 0);
	h.gateway = -1;
	s = read_capture(capture_path);
	ok(!s.damaged && !s.complete && s.messages[CAPTURE_TO_CLIENT] >= 20,
	   "a gateway killed in mid-session leaves a readable recording");
	peer_close(&q);
	peer_close(&p);
}

int main(int argc, char **argv)
{
	HARNESS_MAIN(argc, argv);
	setvbuf(stdout, NULL, _IOLBF, 0);
	tls = peer_tls();
	h.connect = echo_dial;
	harness_link_timeout = 1500;
	harness_threads = 2;
	echo_start();
	harness_start(&h, "0.0.0.0");
	test_channels(true);
	test_channels(false);
	test_tickets();
	test_ends();
	test_midway();
	test_recording_fails();
	test_no_recording();
	test_inputs();
	test_idle();
	test_records();
	test_back_pressure();
	test_control_restarts();
	ok(harness_stop(&h) == 0, "told to quit, the gateway exits");
	h.ticket_count = 0;
	h.end_count = 0;
	harness_start(&h, "0.0.0.0");
	test_kill_gateway();
	harness_stop(&h);
	printf("1..%u\n", tests);
	return failures != 0;
}
