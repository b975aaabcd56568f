/* The loop, clock and connections of a wire replay; see replay_wire.h. */
#include "recorder/replay_wire.h"

#include <fcntl.h>
#include <poll.h>
#include <spice/enums.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "recorder/capture_index.h"
#include "recorder/replay_channel.h"

#define CONNECTIONS_MAX 64
#define FDS_AT_ONCE 8
#define SPEED_MIN 0.01
#define SPEED_MAX 1e6

struct replay_wire {
	struct replay_shared shared;
	bool loop;
	uint64_t length;
	uint64_t first; /* time of the first packet */
	struct replay_channel *channels[CONNECTIONS_MAX];
	unsigned count;
	struct replay_channel *main; /* of the client, when up */
	uint64_t grace;              /* monotonic: the clock starts then */
	uint64_t told;               /* monotonic: the time, to main */
	bool had_client;
	struct error damage;
};

int replay_wire_new(struct replay_wire **replay, int capture_fd,
		    const struct replay_wire_options *options,
		    struct error *error)
{
	struct replay_wire *r;
	struct capture_index *index = NULL;
	double speed = options->speed;
	int e;

	*replay = NULL;
	if (!(speed >= SPEED_MIN && speed <= SPEED_MAX))
		return error_set(error, EINVAL,
				 "a replay's speed is %g to %g, not %g",
				 SPEED_MIN, SPEED_MAX, speed);
	r = calloc(1, sizeof(*r));
	if (!r)
		return error_errno(error, ENOMEM, "cannot replay");
	r->shared.fd = capture_fd;
	r->shared.speed = speed;
	r->loop = options->loop;
	e = capture_index_load(&index, capture_fd, error);
	if (e < 0 && !index) {
		free(r);
		return e;
	}
	r->first = index->totals.first_time;
	r->length = index->totals.last_time - index->totals.first_time;
	capture_index_free(index);
	e = link_key_new(&r->shared.key, error);
	if (e < 0) {
		free(r);
		return e;
	}
	*replay = r;
	return 0;
}

void replay_wire_free(struct replay_wire *r)
{
	if (!r)
		return;
	while (r->count)
		replay_channel_free(r->channels[--r->count]);
	link_key_free(r->shared.key);
	free(r);
}

int replay_wire_add_client(struct replay_wire *r, int fd, struct error *error)
{
	struct replay_channel *c;
	int e;

	if (r->count == CONNECTIONS_MAX) {
		close(fd);
		return error_set(error, EMFILE,
				 "the replay has %d connections already",
				 CONNECTIONS_MAX);
	}
	e = replay_channel_new(&c, &r->shared, fd, error);
	if (e < 0)
		return e;
	r->channels[r->count++] = c;
	return 0;
}

static void remove_channel(struct replay_wire *r, unsigned i)
{
	struct replay_channel *c = r->channels[i];

	if (c->damage.code)
		r->damage = c->damage;
	r->channels[i] = r->channels[--r->count];
	replay_channel_free(c);
}

/* Not so a connection that may be the first of another client. */
static bool is_of_client(const struct replay_wire *r,
			 const struct replay_channel *c)
{
	return c == r->main || (c->state >= REPLAY_FIND &&
				c->mess.channel_type != SPICE_CHANNEL_MAIN);
}

/* The client is gone: the next one starts at the beginning. */
static void end_client(struct replay_wire *r)
{
	struct replay_shared *s = &r->shared;

	for (unsigned i = r->count; i-- > 0;)
		if (is_of_client(r, r->channels[i]))
			remove_channel(r, i);
	r->main = NULL;
	r->grace = 0;
	s->running = s->listed = s->mm_known = false;
	s->base = 0;
	s->wanted.count = 0;
}

/* Main's link is made: a client begins, and takes the place of another. */
static void begin_client(struct replay_wire *r, struct replay_channel *main)
{
	if (r->main)
		end_client(r);
	r->main = main;
	r->had_client = true;
}

static void bury_dead(struct replay_wire *r)
{
	bool gone = false;

	for (unsigned i = r->count; i-- > 0;) {
		if (r->channels[i]->state != REPLAY_DEAD)
			continue;
		if (r->channels[i] == r->main)
			gone = true;
		else
			remove_channel(r, i);
	}
	if (gone)
		end_client(r);
}

static bool is_up(const struct replay_wire *r, struct replay_pair pair)
{
	for (unsigned i = 0; i < r->count; i++) {
		const struct replay_channel *c = r->channels[i];

		if (c->state == REPLAY_UP &&
		    c->mess.channel_type == pair.type &&
		    c->mess.channel_id == pair.id)
			return true;
	}
	return false;
}

static bool all_up(const struct replay_wire *r)
{
	const struct replay_pairs *wanted = &r->shared.wanted;

	for (unsigned i = 0; i < wanted->count; i++)
		if (!is_up(r, wanted->pairs[i]))
			return false;
	return true;
}

/*
 * Starts the clock when the listed channels are there or the grace is over,
 * and tells the client what its clock should show by then: otherwise every
 * video frame would be late by the time that linking took.
 */
static void run_clock(struct replay_wire *r, uint64_t *due)
{
	struct replay_shared *s = &r->shared;
	uint64_t now = replay_monotonic();

	if (!r->main || !s->listed)
		return;
	if (!s->running) {
		if (!r->grace)
			r->grace = now + REPLAY_WIRE_GRACE_NS;
		if (!all_up(r) && now < r->grace) {
			if (r->grace < *due)
				*due = r->grace;
			return;
		}
		s->running = true;
		s->started = now;
		replay_channel_tell_time(r->main);
	}
}

/* All that can be done now; true when there is more to do at once. */
static bool work(struct replay_wire *r, uint64_t *due)
{
	bool more = false;

	for (unsigned i = 0; i < r->count; i++) {
		struct replay_channel *c = r->channels[i];

		if (c->state == REPLAY_UP && c != r->main &&
		    c->mess.channel_type == SPICE_CHANNEL_MAIN) {
			begin_client(r, c);
			return true;
		}
		more |= replay_channel_send(c, due);
	}
	run_clock(r, due);
	return more;
}

/* Sockets out of a control message become clients. */
static void add_received(struct replay_wire *r, struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int fds[FDS_AT_ONCE];

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(fds, CMSG_DATA(c), n * sizeof(int));
		for (size_t i = 0; i < n; i++)
			replay_wire_add_client(r, fds[i], NULL);
	}
}

/* False when the other side is gone. */
static bool receive_control(struct replay_wire *r, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(FDS_AT_ONCE * sizeof(int))];
	} control;
	char bytes[4096];
	struct iovec v = {bytes, sizeof(bytes)};
	struct msghdr m = {
		.msg_iov = &v,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	add_received(r, &m);
	return n > 0;
}

static void wait_for(struct replay_wire *r, struct pollfd *fds, int control_fd,
		     bool more, uint64_t due)
{
	uint64_t now = replay_monotonic();
	uint64_t wait = more || due <= now ? 0 : due - now;
	struct timespec t = {(time_t)(wait / 1000000000),
			     (long)(wait % 1000000000)};

	for (unsigned i = 0; i < r->count; i++) {
		struct replay_channel *c = r->channels[i];

		fds[i] = (struct pollfd){.fd = c->fd, .events = POLLIN};
		if (replay_channel_waits_to_write(c))
			fds[i].events |= POLLOUT;
	}
	fds[r->count] = (struct pollfd){.fd = control_fd, .events = POLLIN};
	if (ppoll(fds, r->count + 1, due == UINT64_MAX && !more ? NULL : &t,
		  NULL) < 0)
		for (unsigned i = 0; i <= r->count; i++)
			fds[i].revents = 0;
}

int replay_wire_hand(int control_fd, int client_fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec byte = {.iov_base = (void *)"c", .iov_len = 1};
	struct msghdr message = {.msg_iov = &byte,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &client_fd, sizeof(client_fd));
	return sendmsg(control_fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == 1
		       ? 0
		       : -errno;
}

int replay_wire_run(struct replay_wire *r, int control_fd, struct error *error)
{
	struct pollfd fds[CONNECTIONS_MAX + 1];

	for (;;) {
		uint64_t due = UINT64_MAX;
		bool more = work(r, &due);
		unsigned count = r->count;

		bury_dead(r);
		if (r->had_client && !r->main && !r->loop)
			break;
		if (control_fd < 0 && !r->count)
			break;
		if (count != r->count)
			continue;
		wait_for(r, fds, control_fd, more, due);
		for (unsigned i = 0; i < count; i++)
			if (fds[i].revents)
				replay_channel_receive(r->channels[i]);
		if (fds[count].revents && !receive_control(r, control_fd))
			break;
	}
	if (r->damage.code) {
		if (error)
			*error = r->damage;
		return r->damage.code;
	}
	return 0;
}

uint64_t replay_wire_position(const struct replay_wire *r)
{
	uint64_t now = replay_now(&r->shared);

	if (now < r->first)
		return 0;
	return now - r->first < r->length ? now - r->first : r->length;
}

uint64_t replay_wire_length(const struct replay_wire *r)
{
	return r->length;
}
