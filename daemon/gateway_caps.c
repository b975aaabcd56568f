/*
 * What the gateway says a guest's spice-server can do, before it knows which
 * guest it will be: what control told, or was learned from a reply, or what
 * libspice-server 0.15 was seen to advertise.
 */
#include "daemon/gateway_front.h"

#include <spice/enums.h>

#define ROWS_MAX IPC_MAX_CAPS

static const struct {
	unsigned type;
	uint32_t word;
} initial[] = {
	{SPICE_CHANNEL_MAIN, 0xf},   {SPICE_CHANNEL_DISPLAY, 0x1052},
	{SPICE_CHANNEL_INPUTS, 0x1}, {SPICE_CHANNEL_PLAYBACK, 0xa},
	{SPICE_CHANNEL_RECORD, 0x6}, {SPICE_CHANNEL_USBREDIR, 0x1},
	{SPICE_CHANNEL_PORT, 0x1},   {SPICE_CHANNEL_WEBDAV, 0x1},
};

const struct link_caps *gateway_caps_of(struct gateway *g, unsigned type)
{
	static const struct link_caps none;

	for (uint32_t i = 0; i < g->caps.count; i++)
		if (g->caps.rows[i].channel_type == type)
			return &g->caps.rows[i].caps;
	return &none;
}

static void set_row(struct gateway *g, uint32_t type,
		    const struct link_caps *caps)
{
	uint32_t i = 0;

	while (i < g->caps.count && g->caps.rows[i].channel_type != type)
		i++;
	if (i == ROWS_MAX)
		return;
	g->caps.rows[i].channel_type = type;
	g->caps.rows[i].caps = *caps;
	if (i == g->caps.count)
		g->caps.count++;
}

void gateway_caps_learn(struct gateway *g, const struct ipc_caps *caps)
{
	for (uint32_t i = 0; i < caps->count && i < IPC_MAX_CAPS; i++)
		if (caps->rows[i].caps.count <= LINK_MAX_CAPS)
			set_row(g, caps->rows[i].channel_type,
				&caps->rows[i].caps);
}

void gateway_caps_init(struct gateway *g)
{
	for (size_t i = 0; i < sizeof(initial) / sizeof(initial[0]); i++) {
		struct link_caps caps = {.words = {initial[i].word},
					 .count = 1};

		set_row(g, initial[i].type, &caps);
	}
}
