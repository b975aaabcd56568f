/* Packets between control and gateway; see ipc.h and schema/ipc.h. */
#include "daemon/ipc.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static const struct {
	const char *name;
	char direction; /* 'C' from control, 'G' from the gateway */
	size_t size;    /* of the structure */
	unsigned least, most;
} types[IPC_TYPES] = {
#define IPC_ROW(NAME, structure, direction, least, most) \
	[IPC_##NAME] = {#NAME, (#direction)[0], \
			sizeof(struct ipc_##structure), least, most},
	IPC_MESSAGES(IPC_ROW)
#undef IPC_ROW
};

/* Where the texts are that must end within their array. */
static const struct {
	enum ipc_type type;
	size_t offset, size;
} texts[] = {
#define IPC_STRING(NAME, structure, member) \
	{ \
		IPC_##NAME, offsetof(struct ipc_##structure, member), \
			sizeof(((struct ipc_##structure *)0)->member) \
	}
	IPC_STRING(REDEEMED, redeemed, session),
	IPC_STRING(REDEEMED, redeemed, vault),
	IPC_STRING(REDEEMED, redeemed, password),
	IPC_STRING(OPEN, open, session),
	IPC_STRING(STATE, state, session),
	IPC_STRING(SEAL, seal, session),
	IPC_STRING(SIGNATURE, signature, session),
	IPC_STRING(ENDED, ended, session),
	IPC_STRING(ENDED, ended, text),
	IPC_STRING(ENDED_ACK, session, session),
	IPC_STRING(KILL, kill, session),
	IPC_STRING(KILL, kill, text),
	IPC_STRING(REFUSED, refused, text),
#undef IPC_STRING
};

const char *ipc_type_name(enum ipc_type type)
{
	if (type <= IPC_NONE || type >= IPC_TYPES)
		return "unknown";
	return types[type].name;
}

const char *ipc_end_name(unsigned reason)
{
	static const char *const names[] = {
		[IPC_END_CLIENT] = "client",
		[IPC_END_GUEST] = "guest",
		[IPC_END_KILLED] = "killed",
		[IPC_END_IDLE] = "idle",
		[IPC_END_RECORDING] = "recording",
		[IPC_END_PROTOCOL] = "protocol",
		[IPC_END_SHUTDOWN] = "shutdown",
	};

	if (reason >= sizeof(names) / sizeof(names[0]))
		return "unknown";
	return names[reason];
}

union control_buffer {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int) * IPC_MAX_FDS)];
};

int ipc_send(int socket, enum ipc_type type, const void *body, const int *fds,
	     unsigned fd_count, struct error *error)
{
	struct ipc_header header = {.type = type};
	union control_buffer control = {0};
	struct iovec parts[2];
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
	ssize_t n;

	assert(type > IPC_NONE && type < IPC_TYPES);
	assert(fd_count >= types[type].least && fd_count <= types[type].most);
	header.size = (uint32_t)(sizeof(header) + types[type].size);
	parts[0] = (struct iovec){&header, sizeof(header)};
	parts[1] = (struct iovec){(void *)body, types[type].size};
	if (fd_count) {
		struct cmsghdr *c = &control.align;

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * fd_count);
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
	}
	do
		n = sendmsg(socket, &message, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_errno(error, errno, "cannot send %s",
				   ipc_type_name(type));
	return 0;
}

static void take_fds(struct msghdr *message, struct ipc_packet *packet)
{
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int),
			       sizeof(int));
			if (packet->fd_count < IPC_MAX_FDS)
				packet->fds[packet->fd_count++] = fd;
			else
				close(fd);
		}
	}
}

static int texts_end(enum ipc_type type, const union ipc_body *body)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].type == type &&
		    !memchr((const char *)body + texts[i].offset, 0,
			    texts[i].size))
			return 0;
	return 1;
}

static int check(const struct ipc_header *header, size_t size, int from_gateway,
		 struct ipc_packet *packet, struct error *error)
{
	enum ipc_type type = (enum ipc_type)header->type;

	if (size < sizeof(*header) || header->size != size ||
	    header->type <= IPC_NONE || header->type >= IPC_TYPES)
		return error_set(error, EPROTO,
				 "a packet of %zu bytes and type %u is none "
				 "of ours; are mediavmd and its gateway of "
				 "different versions?",
				 size, header->type);
	if (size != sizeof(*header) + types[type].size ||
	    types[type].direction != (from_gateway ? 'G' : 'C') ||
	    packet->fd_count < types[type].least ||
	    packet->fd_count > types[type].most ||
	    !texts_end(type, &packet->body))
		return error_set(error, EPROTO,
				 "malformed %s of %zu bytes with %u "
				 "descriptors",
				 types[type].name, size, packet->fd_count);
	packet->type = type;
	return 1;
}

int ipc_receive(int socket, int from_gateway, struct ipc_packet *packet,
		struct error *error)
{
	struct ipc_header header = {0};
	union control_buffer control;
	struct iovec parts[2] = {
		{&header, sizeof(header)},
		{&packet->body, sizeof(packet->body)},
	};
	struct msghdr message = {
		.msg_iov = parts,
		.msg_iovlen = 2,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t n;
	int r;

	packet->type = IPC_NONE;
	packet->fd_count = 0;
	do
		n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_errno(error, errno, "cannot receive a packet");
	take_fds(&message, packet);
	if (n == 0 && packet->fd_count == 0)
		return 0;
	if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		r = error_set(error, EPROTO, "a packet that is too large");
	else
		r = check(&header, (size_t)n, from_gateway, packet, error);
	if (r < 0)
		ipc_packet_close(packet);
	return r;
}

void ipc_packet_close(struct ipc_packet *packet)
{
	for (unsigned i = 0; i < packet->fd_count; i++)
		if (packet->fds[i] >= 0)
			close(packet->fds[i]);
	packet->fd_count = 0;
}
