/* An image through qemu-nbd; see nbd.h. */
#include "daemon/nbd.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/spawn.h"
#include "recorder/bytes.h"

#define QEMU_NBD "/usr/bin/qemu-nbd"

#define START_MS 10000

/* proto.md */
#define OPTION_MAGIC "IHAVEOPT"
#define OPTION_GO 7
#define REPLY_MAGIC 0x0003e889045565a9ull
#define REPLY_ACK 1
#define REPLY_INFO 3
#define REQUEST_MAGIC 0x25609513u
#define SIMPLE_MAGIC 0x67446698u

struct nbd {
	int fd;
	pid_t pid;
	uint64_t size;
	char folder[32];
};

static bool get(int fd, void *data, size_t size)
{
	uint8_t *to = data;

	while (size) {
		ssize_t n = recv(fd, to, size, 0);

		if (n == 0 || (n < 0 && errno != EINTR))
			return false;
		if (n > 0) {
			to += n;
			size -= (size_t)n;
		}
	}
	return true;
}

static bool put(int fd, const void *data, size_t size)
{
	return send(fd, data, size, MSG_NOSIGNAL) == (ssize_t)size;
}

static void put_be(uint8_t *to, uint64_t value, unsigned bytes)
{
	while (bytes--) {
		to[bytes] = (uint8_t)value;
		value >>= 8;
	}
}

/* Asks for the only export, and reads its size. */
static bool negotiate(struct nbd *nbd)
{
	uint8_t head[20], flags[4] = {0, 0, 0, 3}, ask[22];
	uint8_t info[256];

	/* Magic numbers and flags of the server; ours: fixed, no zeroes. */
	if (!get(nbd->fd, head, 18) || !put(nbd->fd, flags, 4))
		return false;
	memcpy(ask, OPTION_MAGIC, 8);
	put_be(ask + 8, OPTION_GO, 4);
	put_be(ask + 12, 6, 4);
	memset(ask + 16, 0, 6); /* the name "", no wishes */
	if (!put(nbd->fd, ask, sizeof(ask)))
		return false;
	for (;;) {
		struct bytes b = bytes_of(head, sizeof(head));
		uint32_t kind, length;

		if (!get(nbd->fd, head, sizeof(head)) ||
		    bytes_be64(&b) != REPLY_MAGIC)
			return false;
		bytes_be32(&b);
		kind = bytes_be32(&b);
		length = bytes_be32(&b);
		if (kind == REPLY_ACK)
			return nbd->size != 0;
		if (kind != REPLY_INFO || length > sizeof(info) ||
		    !get(nbd->fd, info, length))
			return false;
		if (length == 12 && !info[0] && !info[1]) {
			b = bytes_of(info + 2, 8);
			nbd->size = bytes_be64(&b);
		}
	}
}

/* It ends with the calling thread. */
static int start(struct nbd *nbd, const char *path, const char *format,
		 const char *socket, int output, struct error *error)
{
	static const char *const environment[] = {"PATH=/usr/bin:/bin",
						  "LC_ALL=C", NULL};
	const char *const arguments[] = {"-r",   "-f", format, "-k",
					 socket, path, NULL};
	const struct spawn spawn = {.program = QEMU_NBD,
				    .arguments = arguments,
				    .output = output,
				    .environment = environment,
				    .dies_with_us = true};
	int r;

	if (access(QEMU_NBD, X_OK))
		return error_set(error, -ENOTSUP,
				 "can't run " QEMU_NBD "; install the "
				 "package qemu-utils");
	r = spawn_self(&spawn, &nbd->pid, error);
	if (r)
		nbd->pid = 0;
	else
		setpriority(PRIO_PROCESS, (id_t)nbd->pid, 19);
	return r;
}

/* Until it listens; it ends when it can't use the image. */
static int reach(struct nbd *nbd, const char *socket_path, struct error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	strcpy(address.sun_path, socket_path);
	nbd->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	for (int waited = 0; nbd->fd >= 0 && waited < START_MS; waited += 10) {
		if (!connect(nbd->fd, (struct sockaddr *)&address,
			     sizeof(address)))
			return 0;
		if (waitpid(nbd->pid, NULL, WNOHANG) == nbd->pid) {
			nbd->pid = 0;
			break;
		}
		usleep(10000);
	}
	return error_set(error, -EBUSY,
			 "qemu-nbd can't open it; is it in use?");
}

int nbd_open(struct nbd **result, const char *path, const char *format,
	     struct error *error)
{
	struct nbd *nbd = calloc(1, sizeof(*nbd));
	char socket[64];
	int null = -1, r = 0;

	*result = NULL;
	if (!nbd)
		return error_set(error, -ENOMEM, "no memory");
	nbd->fd = -1;
	strcpy(nbd->folder, "/tmp/mediavm-nbd-XXXXXX");
	if (!mkdtemp(nbd->folder)) {
		nbd->folder[0] = '\0';
		r = error_errno(error, errno, "no folder for a socket");
	}
	snprintf(socket, sizeof(socket), "%s/nbd", nbd->folder);
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (!r)
		r = start(nbd, path, format, socket, null < 0 ? 0 : null,
			  error);
	if (null >= 0)
		close(null);
	if (!r)
		r = reach(nbd, socket, error);
	if (!r && !negotiate(nbd))
		r = error_set(error, -EIO,
			      "qemu-nbd did not answer as it "
			      "should");
	if (r) {
		error_prefix(error, "image %s", path);
		nbd_close(nbd);
	} else {
		*result = nbd;
	}
	return r;
}

void nbd_close(struct nbd *nbd)
{
	char socket[64];

	if (!nbd)
		return;
	if (nbd->fd >= 0)
		close(nbd->fd);
	if (nbd->pid) {
		kill(nbd->pid, SIGTERM);
		waitpid(nbd->pid, NULL, 0);
	}
	if (nbd->folder[0]) {
		snprintf(socket, sizeof(socket), "%s/nbd", nbd->folder);
		unlink(socket);
		rmdir(nbd->folder);
	}
	free(nbd);
}

uint64_t nbd_size(const struct nbd *nbd)
{
	return nbd->size;
}

int nbd_ask(struct nbd *nbd, uint64_t at, uint32_t size, struct error *error)
{
	uint8_t request[28] = {0};

	put_be(request, REQUEST_MAGIC, 4);
	put_be(request + 16, at, 8);
	put_be(request + 24, size, 4);
	return put(nbd->fd, request, sizeof(request))
		       ? 0
		       : error_set(error, -EIO, "qemu-nbd has ended");
}

int nbd_answer(struct nbd *nbd, void *data, uint32_t size, struct error *error)
{
	uint8_t reply[16];
	struct bytes b = bytes_of(reply, sizeof(reply));
	uint32_t failed;

	if (!get(nbd->fd, reply, sizeof(reply)) ||
	    bytes_be32(&b) != SIMPLE_MAGIC)
		return error_set(error, -EIO, "qemu-nbd has ended");
	failed = bytes_be32(&b);
	if (failed)
		return error_set(error, -EIO, "it can't be read (error %u)",
				 failed);
	return get(nbd->fd, data, size)
		       ? 0
		       : error_set(error, -EIO, "qemu-nbd has ended");
}
