/* The SPICE agent's port. */
#include "agent.h"

#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/uio.h>
#include <spice/vd_agent.h>

/* Without udev a port is /dev/vportNpM; its name is in sysfs. */
void agent_open(struct agent *a)
{
	char name[64], path[64];
	glob_t g;

	*a = (struct agent){.fd = -1};
	if (glob("/sys/class/virtio-ports/vport*", 0, NULL, &g) != 0)
		return;
	for (size_t i = 0; i < g.gl_pathc && a->fd < 0; i++) {
		FILE *f;

		snprintf(path, sizeof(path), "%s/name", g.gl_pathv[i]);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fgets(name, sizeof(name), f) &&
		    strcmp(name, "com.redhat.spice.0\n") == 0) {
			snprintf(path, sizeof(path), "/dev/%s",
				 strrchr(g.gl_pathv[i], '/') + 1);
			a->fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		}
		fclose(f);
	}
	globfree(&g);
}

static void answer(struct agent *a, uint32_t type, const void *data,
		   uint32_t size)
{
	VDIChunkHeader chunk = {VDP_CLIENT_PORT,
				(uint32_t)sizeof(VDAgentMessage) + size};
	VDAgentMessage message = {
		.protocol = VD_AGENT_PROTOCOL, .type = type, .size = size};
	struct iovec parts[] = {{&chunk, sizeof(chunk)},
				{&message, sizeof(message)},
				{(void *)data, size}};

	/* Nobody listening is no fault. */
	if (writev(a->fd, parts, 3) < 0)
		return;
}

static void take_message(struct agent *a)
{
	VDAgentMessage m;
	uint32_t word;

	memcpy(&m, a->message, sizeof(m));
	memcpy(&word, a->message + sizeof(m), sizeof(word));
	if (m.type == VD_AGENT_MONITORS_CONFIG) {
		uint32_t reply[] = {m.type, VD_AGENT_SUCCESS};

		answer(a, VD_AGENT_REPLY, reply, sizeof(reply));
	} else if (m.type == VD_AGENT_ANNOUNCE_CAPABILITIES && word) {
		uint32_t can[] = {0, 1u << VD_AGENT_CAP_MONITORS_CONFIG |
					     1u << VD_AGENT_CAP_REPLY};

		answer(a, VD_AGENT_ANNOUNCE_CAPABILITIES, can, sizeof(can));
	}
}

/* One byte of the stream: chunk headers cut messages into pieces. */
static void take(struct agent *a, uint8_t byte)
{
	VDAgentMessage m;

	if (a->chunk_left == 0) {
		a->chunk[a->n_chunk++] = byte;
		if (a->n_chunk == sizeof(a->chunk)) {
			memcpy(&a->chunk_left, a->chunk + 4, 4);
			a->n_chunk = 0;
		}
		return;
	}
	a->chunk_left--;
	if (a->n_message < sizeof(a->message))
		a->message[a->n_message] = byte;
	a->n_message++;
	if (a->n_message < sizeof(m))
		return;
	if (a->n_message == sizeof(m)) {
		memcpy(&m, a->message, sizeof(m));
		a->message_left = m.size;
	} else {
		a->message_left--;
	}
	if (a->message_left == 0) {
		take_message(a);
		a->n_message = 0;
	}
}

void agent_read(struct agent *a)
{
	uint8_t bytes[4096];
	ssize_t n = read(a->fd, bytes, sizeof(bytes));

	for (ssize_t i = 0; i < n; i++)
		take(a, bytes[i]);
}
