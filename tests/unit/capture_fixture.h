/* Small captures for tests: sessions with links and messages, in a memfd. */
#ifndef TESTS_UNIT_CAPTURE_FIXTURE_H
#define TESTS_UNIT_CAPTURE_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <poll.h>
#include <spice/protocol.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/bytes.h"
#include "recorder/capture_reader.h"
#include "recorder/capture_writer.h"
#include "recorder/framer.h"
#include "recorder/link.h"

#define FIXTURE_TIME UINT64_C(1700000000000000000)
#define MS UINT64_C(1000000)

struct fixture {
	struct capture_pool *pool;
	struct capture_writer *writer;
	int fd;        /* of the file, for reading */
	uint64_t time; /* of what is added next; goes on by itself */
	bool mini;
};

static inline int fixture_memfd(void)
{
	int fd = memfd_create("capture", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static inline struct fixture fixture_on(int fd)
{
	struct fixture f = {.time = FIXTURE_TIME, .mini = true};
	struct capture_session session = {"0001", "player", "127.0.0.1:4000"};
	struct error e = {0};

	f.fd = dup(fd);
	assert_int_equal(capture_pool_new(&f.pool, 2, &e), 0);
	assert_int_equal(
		capture_writer_new(&f.writer, f.pool, fd, &session, &e), 0);
	return f;
}

static inline struct fixture fixture_new(void)
{
	return fixture_on(fixture_memfd());
}

/* Adds and waits as long as the writer is behind. */
static inline void fixture_add(struct fixture *f, int channel,
			       enum capture_direction direction,
			       const void *data, size_t size)
{
	struct pollfd p = {capture_writer_eventfd(f->writer), POLLIN, 0};
	struct error e = {0};
	eventfd_t n;
	int r;

	while ((r = capture_writer_add(f->writer, channel, direction, f->time,
				       data, size, &e)) == -EAGAIN) {
		poll(&p, 1, -1);
		eventfd_read(p.fd, &n);
	}
	assert_int_equal(r, 0);
	f->time += MS;
}

static inline void fixture_caps(struct link_caps *caps, bool mini)
{
	link_caps_set(caps, SPICE_COMMON_CAP_PROTOCOL_AUTH_SELECTION, true);
	link_caps_set(caps, SPICE_COMMON_CAP_MINI_HEADER, mini);
}

/* A channel with its whole link; returns its number. */
static inline int fixture_channel(struct fixture *f, uint8_t type, uint8_t id)
{
	struct link_mess mess = {
		.connection_id = type == SPICE_CHANNEL_MAIN ? 0 : 77,
		.channel_type = type,
		.channel_id = id,
	};
	struct link_reply reply = {0};
	uint8_t ticket[LINK_TICKET_SIZE] = {0};
	struct buffer b = {0};
	struct error e = {0};
	int n = capture_writer_open_channel(f->writer, f->time, &e);

	assert_true(n >= 0);
	fixture_caps(&mess.common, f->mini);
	fixture_caps(&reply.common, true);
	link_mess_build(&b, &mess);
	fixture_add(f, n, CAPTURE_TO_GUEST, b.data, b.size);
	b.size = 0;
	link_reply_build(&b, &reply);
	fixture_add(f, n, CAPTURE_TO_CLIENT, b.data, b.size);
	fixture_add(f, n, CAPTURE_TO_GUEST, "\1\0\0\0", 4);
	fixture_add(f, n, CAPTURE_TO_GUEST, ticket, sizeof(ticket));
	fixture_add(f, n, CAPTURE_TO_CLIENT, "\0\0\0\0", 4);
	buffer_free(&b);
	return n;
}

static inline void fixture_message(struct fixture *f, int channel,
				   enum capture_direction direction,
				   uint64_t serial, uint16_t type,
				   const void *body, size_t size)
{
	struct buffer b = {0};

	if (!f->mini)
		buffer_put_le64(&b, serial);
	buffer_put_le16(&b, type);
	buffer_put_le32(&b, (uint32_t)size);
	if (!f->mini)
		buffer_put_le32(&b, 0);
	buffer_put(&b, body, size);
	fixture_add(f, channel, direction, b.data, b.size);
	buffer_free(&b);
}

static inline void fixture_finish(struct fixture *f, bool sign)
{
	struct pollfd p = {capture_writer_eventfd(f->writer), POLLIN, 0};
	uint8_t signature[CAPTURE_SIGNATURE_SIZE] = {1, 2, 3};
	uint8_t digest[CAPTURE_DIGEST_SIZE];
	struct error e = {0};
	uint64_t size;
	eventfd_t n;
	int r;

	assert_int_equal(capture_writer_finish(f->writer, &e), 0);
	while ((r = capture_writer_finished(f->writer, digest, &e)) == 0) {
		poll(&p, 1, -1);
		eventfd_read(p.fd, &n);
	}
	assert_int_equal(r, 1);
	if (sign) {
		assert_int_equal(capture_writer_sign(f->writer, signature,
						     digest, &size, &e),
				 0);
		assert_int_equal(size, capture_writer_bytes(f->writer));
	}
}

/* Everything that was added is in the file afterwards. */
static inline void fixture_end(struct fixture *f)
{
	capture_writer_free(f->writer);
	capture_pool_free(f->pool);
	f->writer = NULL;
	f->pool = NULL;
}

static inline uint64_t fixture_size(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_size;
}

#endif
