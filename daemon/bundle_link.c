/* Questions of a job to the control role; see bundle_link.h. */
#include "daemon/bundle_link.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct message {
	int32_t what; /* of an answer: 0 or a negative errno */
	uint32_t number;
	char text[BUNDLE_LINK_MAX + 1];
};

#define MESSAGE_HEAD offsetof(struct message, text)

/* fd: passed along, or -1. */
static int send_message(int socket, const struct message *message, size_t size,
			int fd)
{
	struct iovec part = {(void *)message, MESSAGE_HEAD + size};
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr whole = {.msg_iov = &part, .msg_iovlen = 1};

	if (fd >= 0) {
		whole.msg_control = &control;
		whole.msg_controllen = sizeof(control);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	}
	return sendmsg(socket, &whole, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Bytes of its text; -ENODATA: the other end is closed. */
static ssize_t receive(int socket, struct message *message, int *fd)
{
	struct iovec part = {message, sizeof(*message) - 1};
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr whole = {.msg_iov = &part,
			       .msg_iovlen = 1,
			       .msg_control = &control,
			       .msg_controllen = sizeof(control)};
	struct cmsghdr *head;
	ssize_t n;

	*fd = -1;
	do
		n = recvmsg(socket, &whole, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : -ENODATA;
	head = CMSG_FIRSTHDR(&whole);
	if (head && head->cmsg_level == SOL_SOCKET &&
	    head->cmsg_type == SCM_RIGHTS &&
	    head->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(head), sizeof(*fd));
	if ((size_t)n < MESSAGE_HEAD || whole.msg_flags & MSG_TRUNC) {
		if (*fd >= 0)
			close(*fd);
		*fd = -1;
		return -EPROTO;
	}
	n -= (ssize_t)MESSAGE_HEAD;
	message->text[n] = '\0';
	return n;
}

static void drop(int fd)
{
	if (fd >= 0)
		close(fd);
}

int bundle_ask(int socket, enum bundle_ask what, unsigned number,
	       const void *text, size_t size, struct buffer *answer, int *fd,
	       struct error *error)
{
	struct message message = {.what = (int32_t)what, .number = number};
	int got = -1;
	ssize_t n;

	if (size > BUNDLE_LINK_MAX)
		return error_set(error, -EMSGSIZE, "a record is too long");
	if (size)
		memcpy(message.text, text, size);
	n = send_message(socket, &message, size, -1);
	if (!n)
		n = receive(socket, &message, &got);
	if (n < 0 || message.what) {
		drop(got);
		return n < 0 ? error_errno(error, (int)n,
					   "the control role is gone")
			     : error_set(error, message.what, "%s",
					 message.text);
	}
	if (answer)
		buffer_put(answer, message.text, (size_t)n);
	if (fd)
		*fd = got;
	else
		drop(got);
	return fd && got < 0
		       ? error_set(error, -EPROTO, "no descriptor was given")
		       : 0;
}

void bundle_serve(int socket,
		  int (*answer)(void *data, const struct bundle_question *asked,
				struct buffer *text, int *fd,
				struct error *error),
		  void *data)
{
	struct message message;
	ssize_t n;
	int got;

	while ((n = receive(socket, &message, &got)) >= 0) {
		struct bundle_question asked = {(enum bundle_ask)message.what,
						message.number, message.text,
						(size_t)n};
		struct buffer text = {.limit = BUNDLE_LINK_MAX};
		struct error error = {0};
		int fd = -1, r;

		drop(got);
		r = answer(data, &asked, &text, &fd, &error);
		if (!r && text.failed)
			r = error_set(&error, -EMSGSIZE,
				      "an answer is too "
				      "long");
		message.what = r;
		if (r) {
			text.size = 0;
			text.failed = false;
			buffer_put(&text, error.text, strlen(error.text));
		}
		if (!text.failed && text.size)
			memcpy(message.text, text.data, text.size);
		r = send_message(socket, &message, text.size, fd);
		drop(fd);
		buffer_free(&text);
		if (r)
			break;
	}
}
