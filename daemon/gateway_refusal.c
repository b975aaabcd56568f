/*
 * Connections that did not become a channel, for the audit log. The first of
 * its kind is told at once, those alike are counted and told every ten
 * seconds, so that a flood of them costs little.
 */
#include "daemon/gateway_front.h"

#include <stdio.h>

#define AGAIN_NS (10 * GATEWAY_SECOND)

static int tell(struct gateway *g, const struct refusal *r, uint32_t count)
{
	struct ipc_refused refused = {.client = r->client, .count = count};

	snprintf(refused.text, sizeof(refused.text), "%s", r->why);
	return gateway_tell(g, IPC_REFUSED, &refused, sizeof(refused));
}

/* Its row, or a free one, or the last: "from many addresses". */
static struct refusal *row_of(struct gateway *g, const struct ipc_address *host,
			      const char *why)
{
	struct refusal *unused = NULL;

	for (unsigned i = 0; i < FRONT_REFUSALS - 1; i++) {
		struct refusal *r = &g->refusals[i];

		if (!r->why && !unused)
			unused = r;
		if (r->why == why &&
		    memcmp(&r->client, host, sizeof(*host)) == 0)
			return r;
	}
	return unused ? unused : &g->refusals[FRONT_REFUSALS - 1];
}

void refusal_note(struct gateway *g, const struct ipc_address *client,
		  const char *why)
{
	struct ipc_address host = *client;
	struct refusal *r;

	host.port = 0;
	r = row_of(g, &host, why);
	r->count++;
	if (r->why)
		return;
	r->client = host;
	r->why = why;
	if (r == &g->refusals[FRONT_REFUSALS - 1]) {
		r->client = (struct ipc_address){0};
		r->why = "refused, and more such from other addresses";
	}
	r->due = g->loop.now + AGAIN_NS;
	gateway_loop_at(&g->loop, r->due);
	if (tell(g, r, 1) == 0)
		r->count = 0;
}

void refusal_on_due(struct gateway *g)
{
	for (unsigned i = 0; i < FRONT_REFUSALS; i++) {
		struct refusal *r = &g->refusals[i];

		if (!r->why)
			continue;
		if (g->loop.now >= r->due) {
			if (r->count == 0) {
				r->why = NULL;
				continue;
			}
			/* Without control they are counted on. */
			if (tell(g, r, r->count) == 0)
				r->count = 0;
			r->due = g->loop.now + AGAIN_NS;
		}
		gateway_loop_at(&g->loop, r->due);
	}
}
