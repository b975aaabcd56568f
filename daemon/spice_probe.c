/*
 * Learns a SPICE server's capabilities; see spice_probe.h. The reply to a
 * link comes before any ticket; a server disconnects nobody for a link that
 * ends there.
 */
#include "daemon/spice_probe.h"

#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <spice/enums.h>
#include <spice/protocol.h>

#include "recorder/bytes.h"
#include "recorder/link.h"

/* For the reply on one channel; a busy guest's server answers in its turn. */
#define REPLY_SECONDS 10

/* Those that are more than one have the capabilities of the first. */
static const uint8_t types[] = {
	SPICE_CHANNEL_MAIN,      SPICE_CHANNEL_DISPLAY,  SPICE_CHANNEL_INPUTS,
	SPICE_CHANNEL_CURSOR,    SPICE_CHANNEL_PLAYBACK, SPICE_CHANNEL_RECORD,
	SPICE_CHANNEL_SMARTCARD, SPICE_CHANNEL_USBREDIR, SPICE_CHANNEL_PORT,
	SPICE_CHANNEL_WEBDAV,
};

_Static_assert(sizeof(types) <= IPC_MAX_CAPS, "a row for each type");

static int milliseconds_left(const struct timespec *end)
{
	struct timespec now;
	int64_t left;

	clock_gettime(CLOCK_MONOTONIC, &now);
	left = (int64_t)(end->tv_sec - now.tv_sec) * 1000 +
	       (end->tv_nsec - now.tv_nsec) / 1000000;
	return left > 0 ? (int)left : 0;
}

/*
 * Waits for and reads `size` bytes. -ENOTCONN when the server closed before
 * the first.
 */
static int receive(int fd, void *to, size_t size, const struct timespec *end,
		   struct error *error)
{
	size_t got = 0;

	while (got < size) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n = 0;

		if (poll(&p, 1, milliseconds_left(end)) == 0)
			return error_set(error, ETIMEDOUT,
					 "no answer within %d s",
					 REPLY_SECONDS);
		n = recv(fd, (uint8_t *)to + got, size - got, MSG_DONTWAIT);
		if (n > 0)
			got += (size_t)n;
		else if (n == 0 && got == 0)
			return error_set(error, ENOTCONN,
					 "the server closed without an answer");
		else if (n == 0)
			return error_set(error, EPROTO,
					 "the server closed in mid-message");
		else if (errno != EINTR && errno != EAGAIN)
			return error_errno(error, errno, "cannot read");
	}
	return 0;
}

/* A link message is far smaller than any socket's buffer. */
static int send_mess(int fd, uint8_t type, struct error *error)
{
	struct link_mess mess = {.channel_type = type};
	struct buffer out = {0};
	ssize_t n;

	link_caps_set(&mess.common, SPICE_COMMON_CAP_PROTOCOL_AUTH_SELECTION,
		      true);
	link_caps_set(&mess.common, SPICE_COMMON_CAP_AUTH_SPICE, true);
	link_caps_set(&mess.common, SPICE_COMMON_CAP_MINI_HEADER, true);
	link_mess_build(&out, &mess);
	if (out.failed) {
		buffer_free(&out);
		return error_set(error, ENOMEM, "out of memory");
	}
	n = send(fd, out.data, out.size, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 || (size_t)n != out.size) {
		int code = n < 0 ? errno : EIO;

		buffer_free(&out);
		return error_errno(error, code, "cannot send a link message");
	}
	buffer_free(&out);
	return 0;
}

static int receive_reply(int fd, struct link_reply *reply, struct error *error)
{
	uint8_t header[LINK_HEADER_SIZE], body[LINK_BODY_MAX];
	struct timespec end;
	uint32_t link_error;
	size_t size;
	int result;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += REPLY_SECONDS;
	result = receive(fd, header, sizeof(header), &end, error);
	if (result == 0)
		result = link_header_parse(header, &size, &link_error, error);
	if (result == 0)
		result = receive(fd, body, size, &end, error);
	if (result == 0)
		result = link_reply_parse(body, size, reply, error);
	return result;
}

/* *found is false when the server has no such channel. */
static int ask(int fd, uint8_t type, struct link_caps *caps, bool *found,
	       struct error *error)
{
	struct link_reply reply;
	int result = send_mess(fd, type, error);

	*found = false;
	if (result == 0)
		result = receive_reply(fd, &reply, error);
	if ((result == -ENOTCONN || result == -ECONNRESET) &&
	    type != SPICE_CHANNEL_MAIN) {
		error_clear(error);
		return 0;
	}
	if (result < 0)
		return result;
	if (reply.error == SPICE_LINK_ERR_CHANNEL_NOT_AVAILABLE)
		return 0;
	if (reply.error != SPICE_LINK_ERR_OK)
		return error_set(error, EPROTO, "link error %u", reply.error);
	*caps = reply.channel;
	*found = true;
	return 0;
}

int spice_probe(spice_probe_connect *connect, void *data, struct ipc_caps *caps,
		struct error *error)
{
	int result = 0;

	memset(caps, 0, sizeof(*caps));
	for (size_t i = 0; i < sizeof(types) && result == 0; i++) {
		struct link_caps row;
		bool found = false;
		int fd;

		result = connect(data, &fd, error);
		if (result < 0)
			return result;
		result = ask(fd, types[i], &row, &found, error);
		close(fd);
		if (result < 0)
			error_prefix(error,
				     "asking the guest's SPICE server for "
				     "channel type %u",
				     types[i]);
		if (!found)
			continue;
		caps->rows[caps->count].channel_type = types[i];
		caps->rows[caps->count++].caps = row;
	}
	return result;
}
