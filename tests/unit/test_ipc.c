/* Packets between control and gateway: what passes, what is refused. */
#include "daemon/ipc.h"

#include <fcntl.h>
#include <stdarg.h>
#include <setjmp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static int pair[2];

static int setup(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int teardown(void **state)
{
	(void)state;
	close(pair[0]);
	close(pair[1]);
	return 0;
}

static unsigned open_fds(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void carries_body_and_descriptors(void **state)
{
	struct ipc_redeemed sent = {.request = 7, .recorded = 1};
	struct ipc_packet got;
	unsigned before = open_fds();
	char c = 0;
	int fds[2];

	(void)state;
	strcpy(sent.session, "a session");
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(ipc_send(pair[0], IPC_REDEEMED, &sent, fds, 2, NULL),
			 0);
	assert_int_equal(ipc_receive(pair[1], 0, &got, NULL), 1);
	assert_int_equal(got.type, IPC_REDEEMED);
	assert_int_equal(got.fd_count, 2);
	assert_memory_equal(&got.body.REDEEMED, &sent, sizeof(sent));
	assert_true(fcntl(got.fds[0], F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(got.fds[1], "x", 1), 1);
	assert_int_equal(read(fds[0], &c, 1), 1);
	assert_int_equal(c, 'x');
	ipc_packet_close(&got);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(open_fds(), before);
}

static void every_type_passes_one_way_only(void **state)
{
	static const char directions[] = {0,
#define DIRECTION(NAME, structure, direction, least, most) (#direction)[0],
					  IPC_MESSAGES(DIRECTION)};
	static const unsigned least[] = {0,
#define LEAST(NAME, structure, direction, least, most) least,
					 IPC_MESSAGES(LEAST)};
	union ipc_body body;
	struct ipc_packet got;
	int fds[2] = {0, 0};

	(void)state;
	memset(&body, 0, sizeof(body));
	for (int type = 1; type < IPC_TYPES; type++) {
		int is_g = directions[type] == 'G';

		assert_int_equal(
			ipc_send(pair[0], type, &body, fds, least[type], NULL),
			0);
		assert_int_equal(ipc_receive(pair[1], is_g, &got, NULL), 1);
		assert_int_equal(got.type, type);
		ipc_packet_close(&got);
		assert_int_equal(
			ipc_send(pair[0], type, &body, fds, least[type], NULL),
			0);
		assert_int_equal(ipc_receive(pair[1], !is_g, &got, NULL),
				 -EPROTO);
	}
}

/* Sends raw bytes with n descriptors. */
static void raw(const void *data, size_t size, unsigned n)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * 20)];
	} control = {0};
	struct iovec part = {(void *)data, size};
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
	int fds[20] = {0};

	if (n) {
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int) * n);
		memcpy(CMSG_DATA(&control.align), fds, sizeof(int) * n);
		m.msg_control = control.bytes;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * n);
	}
	assert_int_equal(sendmsg(pair[0], &m, 0), (ssize_t)size);
}

static void refuses(const void *data, size_t size, unsigned fds)
{
	struct ipc_packet got;
	unsigned before = open_fds();

	raw(data, size, fds);
	assert_int_equal(ipc_receive(pair[1], 0, &got, NULL), -EPROTO);
	assert_int_equal(open_fds(), before);
}

static void refuses_what_is_malformed(void **state)
{
	struct {
		struct ipc_header header;
		struct ipc_kill kill;
		char more[4096];
	} p = {.header = {IPC_KILL, sizeof(p.header) + sizeof(p.kill)}};
	size_t size = p.header.size;
	struct ipc_packet got;

	(void)state;
	raw(&p, size, 0);
	assert_int_equal(ipc_receive(pair[1], 0, &got, NULL), 1);
	refuses(&p, size - 1, 0);
	refuses(&p, size + 1, 0);
	refuses(&p, 3, 0);
	refuses(&p, sizeof(p), 0);
	refuses(&p, size, 1);
	refuses(&p, size, 15);
	p.header.size++;
	refuses(&p, size, 0);
	refuses(&p, size + 1, 0);
	p.header.size--;
	p.header.type = IPC_TYPES;
	refuses(&p, size, 0);
	p.header.type = IPC_NONE;
	refuses(&p, size, 0);
	p.header.type = IPC_KILL;
	memset(p.kill.text, 'x', sizeof(p.kill.text));
	refuses(&p, size, 0);
}

static void says_when_the_other_end_is_gone(void **state)
{
	struct ipc_quit quit = {0};
	struct ipc_packet got;

	(void)state;
	assert_int_equal(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(ipc_receive(pair[1], 0, &got, NULL), -EAGAIN);
	close(pair[0]);
	assert_int_equal(ipc_receive(pair[1], 0, &got, NULL), 0);
	assert_int_equal(ipc_send(pair[1], IPC_QUIT, &quit, NULL, 0, NULL),
			 -EPIPE);
	pair[0] = dup(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(carries_body_and_descriptors),
		TEST(every_type_passes_one_way_only),
		TEST(refuses_what_is_malformed),
		TEST(says_when_the_other_end_is_gone),
	};

	return cmocka_run_group_tests_name("ipc", tests, NULL, NULL);
}
