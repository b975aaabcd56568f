/* A server of the test's own answers the probe, well and badly. */
#include "daemon/spice_probe.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <spice/enums.h>
#include <spice/protocol.h>

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "recorder/bytes.h"
#include "recorder/link.h"

/* What the server does on a channel of the type it is set to be bad at. */
enum manner { ANSWER, NOT_AVAILABLE, REFUSE, CLOSE, CLOSE_EARLY, GARBAGE };

struct server {
	enum manner manner;
	uint8_t type;
	unsigned connections;
};

static void answer(int fd, uint8_t type, enum manner manner)
{
	struct link_reply reply = {.error = SPICE_LINK_ERR_OK};
	struct buffer out = {0};

	if (manner == NOT_AVAILABLE)
		reply.error = SPICE_LINK_ERR_CHANNEL_NOT_AVAILABLE;
	if (manner == REFUSE)
		reply.error = SPICE_LINK_ERR_NEED_SECURED;
	link_caps_set(&reply.channel, type, true);
	link_caps_set(&reply.channel, 40, true);
	link_reply_build(&out, &reply);
	if (manner == GARBAGE)
		out.data[0] = 'X';
	/* In two pieces: the reader must wait for the second. */
	assert_int_equal(send(fd, out.data, 7, 0), 7);
	if (manner != CLOSE_EARLY)
		assert_int_equal(send(fd, out.data + 7, out.size - 7, 0),
				 out.size - 7);
	buffer_free(&out);
}

struct call {
	struct server *server;
	int fd;
};

/* Serves one connection; the socket pair's buffer holds both directions. */
static void *serve(void *data)
{
	struct call *call = data;
	uint8_t header[LINK_HEADER_SIZE], body[LINK_BODY_MAX];
	struct link_mess mess = {0};
	uint32_t link_error = 0;
	size_t size = 0;
	enum manner manner;

	assert_int_equal(recv(call->fd, header, sizeof(header), MSG_WAITALL),
			 sizeof(header));
	assert_int_equal(link_header_parse(header, &size, &link_error, NULL),
			 0);
	assert_int_equal(recv(call->fd, body, size, MSG_WAITALL), size);
	assert_int_equal(link_mess_parse(body, size, &mess, NULL), 0);
	manner = mess.channel_type == call->server->type ? call->server->manner
							 : ANSWER;
	if (manner != CLOSE)
		answer(call->fd, mess.channel_type, manner);
	close(call->fd);
	free(call);
	return NULL;
}

static int open_server(void *data, int *fd, struct error *error)
{
	struct server *server = data;
	struct call *call = malloc(sizeof(*call));
	pthread_t thread;
	int pair[2];

	(void)error;
	server->connections++;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	*call = (struct call){server, pair[1]};
	*fd = pair[0];
	assert_int_equal(pthread_create(&thread, NULL, serve, call), 0);
	pthread_detach(thread);
	return 0;
}

static void learns_every_type(void **state)
{
	struct server server = {.manner = ANSWER};
	struct error e = {0};
	struct ipc_caps caps;

	(void)state;
	assert_int_equal(spice_probe(open_server, &server, &caps, &e), 0);
	assert_int_equal(caps.count, 10);
	assert_int_equal(server.connections, 10);
	for (uint32_t i = 0; i < caps.count; i++) {
		unsigned type = caps.rows[i].channel_type;

		assert_true(link_caps_test(&caps.rows[i].caps, type));
		assert_true(link_caps_test(&caps.rows[i].caps, 40));
		assert_false(link_caps_test(&caps.rows[i].caps, type + 1));
	}
}

static void leaves_out_what_is_not_there(void **state)
{
	static const enum manner manners[] = {NOT_AVAILABLE, CLOSE};
	struct error e = {0};
	struct ipc_caps caps;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct server server = {manners[i], SPICE_CHANNEL_USBREDIR, 0};

		assert_int_equal(spice_probe(open_server, &server, &caps, &e),
				 0);
		assert_int_equal(e.code, 0);
		assert_int_equal(caps.count, 9);
		for (uint32_t n = 0; n < caps.count; n++)
			assert_int_not_equal(caps.rows[n].channel_type,
					     SPICE_CHANNEL_USBREDIR);
	}
}

static void says_what_went_wrong(void **state)
{
	static const struct server servers[] = {
		{REFUSE, SPICE_CHANNEL_INPUTS, 0},
		{GARBAGE, SPICE_CHANNEL_INPUTS, 0},
		{CLOSE_EARLY, SPICE_CHANNEL_INPUTS, 0},
		{CLOSE, SPICE_CHANNEL_MAIN, 0},
	};
	struct ipc_caps caps;

	(void)state;
	for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++) {
		struct server server = servers[i];
		struct error e = {0};

		assert_true(spice_probe(open_server, &server, &caps, &e) < 0);
		assert_non_null(strstr(e.text, "channel type"));
	}
}

static int no_server(void *data, int *fd, struct error *error)
{
	(void)data;
	*fd = -1;
	return error_set(error, ENOENT, "the guest does not run");
}

static void passes_on_that_it_cannot_connect(void **state)
{
	struct error e = {0};
	struct ipc_caps caps;

	(void)state;
	assert_int_equal(spice_probe(no_server, NULL, &caps, &e), -ENOENT);
	assert_string_equal(e.text, "the guest does not run");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(learns_every_type),
		cmocka_unit_test(leaves_out_what_is_not_there),
		cmocka_unit_test(says_what_went_wrong),
		cmocka_unit_test(passes_on_that_it_cannot_connect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
