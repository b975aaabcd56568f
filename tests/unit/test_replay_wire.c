/* A recording served to clients that are more or less like the recorded. */
#include "tests/unit/capture_fixture.h"

#include <pthread.h>
#include <spice/enums.h>
#include <sys/socket.h>

#include "recorder/replay_wire.h"

#define SPEED 100000

/* The replay runs in a thread; sockets go to it through `control`. */
struct server {
	struct replay_wire *replay;
	int control, other;
	pthread_t thread;
	int result;
};

static void *run(void *cookie)
{
	struct server *s = cookie;

	s->result = replay_wire_run(s->replay, s->other, NULL);
	return NULL;
}

static void server_start(struct server *s, int capture, bool loop)
{
	/* As fast as can be, but in order. */
	struct replay_wire_options options = {.speed = SPEED, .loop = loop};
	struct error e = {0};
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	s->control = pair[0];
	s->other = pair[1];
	assert_int_equal(replay_wire_new(&s->replay, capture, &options, &e), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, run, s), 0);
}

static int server_end(struct server *s)
{
	pthread_join(s->thread, NULL);
	replay_wire_free(s->replay);
	close(s->control);
	close(s->other);
	return s->result;
}

/* A connected socket whose other end the server has. */
static int server_connect(struct server *s)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(replay_wire_hand(s->control, pair[1]), 0);
	close(pair[1]);
	return pair[0];
}

static void get(int fd, void *data, size_t size)
{
	assert_int_equal(recv(fd, data, size, MSG_WAITALL), size);
}

static void put(int fd, const void *data, size_t size)
{
	assert_int_equal(send(fd, data, size, MSG_NOSIGNAL), size);
}

/* The server has closed: the end, or a reset with bytes unread. */
static void expect_closed(int fd)
{
	char c;

	assert_true(recv(fd, &c, 1, MSG_WAITALL) <= 0);
	close(fd);
}

static int send_mess(struct server *s, uint8_t type, uint8_t id, bool mini)
{
	struct link_mess mess = {.channel_type = type, .channel_id = id};
	struct buffer b = {0};
	int fd = server_connect(s);

	fixture_caps(&mess.common, mini);
	link_mess_build(&b, &mess);
	put(fd, b.data, b.size);
	buffer_free(&b);
	return fd;
}

static int connect_channel(struct server *s, uint8_t type, uint8_t id,
			   bool mini)
{
	uint8_t head[LINK_HEADER_SIZE], body[LINK_BODY_MAX];
	uint8_t ticket[LINK_TICKET_SIZE], result[4];
	int fd = send_mess(s, type, id, mini);
	struct link_reply reply;
	uint32_t link_error;
	size_t size;

	get(fd, head, sizeof(head));
	assert_int_equal(link_header_parse(head, &size, &link_error, NULL), 0);
	get(fd, body, size);
	assert_int_equal(link_reply_parse(body, size, &reply, NULL), 0);
	assert_int_equal(reply.error, 0);
	assert_int_equal(
		link_ticket_encrypt(reply.key, "anything", ticket, NULL), 0);
	put(fd, "\1\0\0\0", 4);
	put(fd, ticket, sizeof(ticket));
	get(fd, result, 4);
	assert_memory_equal(result, "\0\0\0\0", 4);
	return fd;
}

/* The next message; returns the size of its body. */
static size_t next_message(int fd, bool mini, uint64_t *serial, uint16_t *type,
			   uint8_t *body, size_t room)
{
	uint8_t head[FRAMER_HEADER_FULL];
	struct bytes b = bytes_of(head, mini ? 6 : 18);
	uint32_t size;

	get(fd, head, b.size);
	*serial = mini ? 0 : bytes_le64(&b);
	*type = bytes_le16(&b);
	size = bytes_le32(&b);
	assert_true(size <= room);
	if (size)
		get(fd, body, size);
	return size;
}

static void expect(int fd, bool mini, uint16_t type, const void *body,
		   size_t size)
{
	uint8_t actual[4096];
	uint64_t serial;
	uint16_t got;

	assert_int_equal(
		next_message(fd, mini, &serial, &got, actual, sizeof(actual)),
		size);
	assert_int_equal(got, type);
	if (size)
		assert_memory_equal(actual, body, size);
}

static const uint8_t init[32] = {7, 0, 0, 0, 1, 0, 0,  0, 3, 0, 0, 0,  2, 0,
				 0, 0, 1, 0, 0, 0, 10, 0, 0, 0, 0, 16, 0, 0};

/* What the multimedia clock shows 2 ms later, when the channels are listed. */
#define CLOCK (0x1000 + 2)

/* Main, two displays (one that links again) and inputs; record is listed. */
static int capture(bool mini)
{
	static const uint8_t channels[] = {5, 0, 0, 0, 2, 0, 3,
					   0, 6, 0, 2, 1, 4, 0};
	struct fixture f = fixture_new();
	int main, inputs, first, second;
	uint8_t frame[9] = {1, 0, 0, 0, 0, 0, 0, 0, 'f'};

	bytes_put_le32(frame + 4, CLOCK + 3 * SPEED);
	f.mini = mini;
	main = fixture_channel(&f, SPICE_CHANNEL_MAIN, 0);
	fixture_message(&f, main, CAPTURE_TO_CLIENT, 1, 103, init, 32);
	fixture_message(&f, main, CAPTURE_TO_CLIENT, 2, 107, NULL, 0);
	fixture_message(&f, main, CAPTURE_TO_CLIENT, 3, 104, channels,
			sizeof(channels));
	first = fixture_channel(&f, SPICE_CHANNEL_DISPLAY, 0);
	second = fixture_channel(&f, SPICE_CHANNEL_DISPLAY, 1);
	inputs = fixture_channel(&f, SPICE_CHANNEL_INPUTS, 0);
	fixture_channel(&f, SPICE_CHANNEL_RECORD, 0);
	fixture_message(&f, inputs, CAPTURE_TO_CLIENT, 1, 101, "\2\0", 2);
	fixture_message(&f, inputs, CAPTURE_TO_CLIENT, 2, 111, NULL, 0);
	fixture_message(&f, first, CAPTURE_TO_CLIENT, 1, 304, "first", 5);
	fixture_message(&f, first, CAPTURE_TO_CLIENT, 2, 123, frame, 9);
	fixture_message(&f, second, CAPTURE_TO_CLIENT, 1, 304, "second", 6);
	capture_writer_close_channel(f.writer, second, f.time, NULL);
	fixture_message(&f, main, CAPTURE_TO_CLIENT, 4, 111, "away", 4);
	fixture_message(&f, main, CAPTURE_TO_CLIENT, 5, 109, "clip", 4);
	second = fixture_channel(&f, SPICE_CHANNEL_DISPLAY, 1);
	fixture_message(&f, second, CAPTURE_TO_CLIENT, 1, 304, "again", 5);
	fixture_message(&f, first, CAPTURE_TO_CLIENT, 2, 6, "bye", 3);
	fixture_finish(&f, false);
	fixture_end(&f);
	return f.fd;
}

/* Until the clock starts: INIT without the agent, and the list. */
static void expect_main(int fd, bool mini)
{
	static const uint8_t channels[] = {3, 0, 0, 0, 2, 0, 3, 0, 2, 1};
	uint8_t patched[32];

	memcpy(patched, init, 32);
	patched[16] = 0;
	expect(fd, mini, 103, patched, 32);
	expect(fd, mini, 104, channels, sizeof(channels));
}

/* What is left for main: neither agent nor migration. */
static void expect_only_time(int fd, bool mini)
{
	uint8_t body[64];
	uint64_t serial;
	uint16_t type;

	do {
		next_message(fd, mini, &serial, &type, body, sizeof(body));
		assert_int_equal(type, SPICE_MSG_MAIN_MULTI_MEDIA_TIME);
		assert_int_equal(bytes_get_le32(body), CLOCK);
	} while (recv(fd, body, 1, MSG_DONTWAIT | MSG_PEEK) == 1);
}

/* Frames' times come together as the recorded clock does. */
static void expect_frame(int fd, bool mini)
{
	uint8_t frame[9] = {1, 0, 0, 0, 0, 0, 0, 0, 'f'};

	bytes_put_le32(frame + 4, CLOCK + 3);
	expect(fd, mini, 123, frame, sizeof(frame));
}

static void whole_session(bool recorded_mini, bool client_mini)
{
	bool mini = recorded_mini && client_mini;
	int in = capture(recorded_mini), main, inputs, first, second;
	struct server s;

	server_start(&s, in, false);
	main = connect_channel(&s, SPICE_CHANNEL_MAIN, 0, client_mini);
	expect_main(main, mini);
	first = connect_channel(&s, SPICE_CHANNEL_DISPLAY, 0, client_mini);
	second = connect_channel(&s, SPICE_CHANNEL_DISPLAY, 1, client_mini);
	inputs = connect_channel(&s, SPICE_CHANNEL_INPUTS, 0, client_mini);
	expect(first, mini, 304, "first", 5);
	expect_frame(first, mini);
	expect(second, mini, 304, "second", 6);
	expect(second, mini, 304, "again", 5);
	expect(inputs, mini, 101, "\2\0", 2);
	for (int i = 0; i < 9; i++) {
		uint8_t motion[28] = {0};

		bytes_put_le16(motion + (mini ? 0 : 8),
			       SPICE_MSGC_INPUTS_MOUSE_MOTION);
		bytes_put_le32(motion + (mini ? 2 : 10), 10);
		put(inputs, motion, mini ? 16 : 28);
	}
	expect(inputs, mini, 111, NULL, 0);
	expect(inputs, mini, 111, NULL, 0);
	expect_only_time(main, mini);
	/* Nothing goes away at the end of the recording, until main does. */
	assert_int_equal(recv(first, &(char){0}, 1, MSG_DONTWAIT), -1);
	close(main);
	expect_closed(first);
	expect_closed(second);
	expect_closed(inputs);
	assert_int_equal(server_end(&s), 0);
	close(in);
}

static void same_headers(void **state)
{
	(void)state;
	whole_session(true, true);
	whole_session(false, false);
}

static void other_headers(void **state)
{
	(void)state;
	whole_session(true, false);
	whole_session(false, true);
}

static void serials_count_what_is_sent(void **state)
{
	int in = capture(true), main;
	uint8_t body[64];
	uint64_t serial;
	uint16_t type;
	struct server s;

	(void)state;
	server_start(&s, in, false);
	main = connect_channel(&s, SPICE_CHANNEL_MAIN, 0, false);
	next_message(main, false, &serial, &type, body, sizeof(body));
	assert_int_equal(serial, 1);
	next_message(main, false, &serial, &type, body, sizeof(body));
	assert_int_equal(serial, 2);
	assert_int_equal(type, 104);
	close(main);
	assert_int_equal(server_end(&s), 0);
	close(in);
}

/* One that comes late gets all there was; one never recorded gets nothing. */
static void late_and_foreign_channels(void **state)
{
	int in = capture(true), main, first, inputs;
	struct server s;

	(void)state;
	server_start(&s, in, false);
	main = connect_channel(&s, SPICE_CHANNEL_MAIN, 0, true);
	expect_main(main, true);
	first = connect_channel(&s, SPICE_CHANNEL_DISPLAY, 0, true);
	/* Display 1 stays away, so the grace passes before this comes. */
	expect(first, true, 304, "first", 5);
	expect_frame(first, true);
	inputs = connect_channel(&s, SPICE_CHANNEL_INPUTS, 0, true);
	expect(inputs, true, 101, "\2\0", 2);
	expect_closed(send_mess(&s, SPICE_CHANNEL_DISPLAY, 9, true));
	expect_closed(send_mess(&s, SPICE_CHANNEL_RECORD, 0, true));
	close(main);
	expect_closed(first);
	expect_closed(inputs);
	assert_int_equal(server_end(&s), 0);
	close(in);
}

static void loop_starts_again(void **state)
{
	int in = capture(true), main, other;
	struct server s;

	(void)state;
	server_start(&s, in, true);
	main = connect_channel(&s, SPICE_CHANNEL_MAIN, 0, true);
	expect_main(main, true);
	/* A second client takes the place of the first. */
	other = connect_channel(&s, SPICE_CHANNEL_MAIN, 0, true);
	expect_closed(main);
	expect_main(other, true);
	close(other);
	main = connect_channel(&s, SPICE_CHANNEL_MAIN, 0, true);
	expect_main(main, true);
	/* The caller wants it to end. */
	shutdown(s.control, SHUT_RDWR);
	assert_int_equal(server_end(&s), 0);
	expect_closed(main);
	close(in);
}

static void bad_links(void **state)
{
	uint8_t reply[LINK_HEADER_SIZE + LINK_REPLY_SIZE];
	int in = capture(true), fd, main;
	struct server s;

	(void)state;
	server_start(&s, in, false);
	fd = server_connect(&s);
	put(fd, "GET / HTTP/1.0\r\n", 16);
	get(fd, reply, sizeof(reply));
	assert_int_equal(bytes_get_le32(reply + LINK_HEADER_SIZE),
			 SPICE_LINK_ERR_INVALID_MAGIC);
	expect_closed(fd);
	fd = send_mess(&s, SPICE_CHANNEL_MAIN, 0, true);
	get(fd, reply, sizeof(reply));
	get(fd, reply, 4);
	memset(reply, 0, sizeof(reply));
	put(fd, "\1\0\0\0", 4);
	put(fd, reply, LINK_TICKET_SIZE);
	get(fd, reply, 4);
	assert_int_equal(bytes_get_le32(reply),
			 SPICE_LINK_ERR_PERMISSION_DENIED);
	expect_closed(fd);
	main = connect_channel(&s, SPICE_CHANNEL_MAIN, 0, true);
	expect_main(main, true);
	close(main);
	assert_int_equal(server_end(&s), 0);
	close(in);
}

static void speeds(void **state)
{
	static const double bad[] = {0, -1, 0.001, 1e7, 0.0 / 0.0};
	int in = capture(true);
	struct replay_wire *r;
	struct error e = {0};

	(void)state;
	for (int i = 0; i < 5; i++) {
		struct replay_wire_options options = {.speed = bad[i]};

		assert_int_equal(replay_wire_new(&r, in, &options, &e),
				 -EINVAL);
		assert_null(r);
	}
	close(in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_headers),
		cmocka_unit_test(other_headers),
		cmocka_unit_test(serials_count_what_is_sent),
		cmocka_unit_test(late_and_foreign_channels),
		cmocka_unit_test(loop_starts_again),
		cmocka_unit_test(bad_links),
		cmocka_unit_test(speeds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
