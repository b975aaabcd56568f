/*
 * What control answers to a link: a new session, or a further channel of a
 * live one, goes to its worker; everything else is the viewer's to read.
 */
#include <arpa/inet.h>
#include <openssl/rand.h>
#include <spice/protocol.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/gateway_link.h"

static struct link *find_asked(struct gateway *g, uint64_t request)
{
	struct link *l = g->oldest;

	while (l && (l->phase != LINK_ASKED || l->request != request))
		l = l->newer;
	return l;
}

static struct gateway_arrival *new_arrival(struct gateway *g, struct link *l)
{
	struct gateway_arrival *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->task.run = session_arrive;
	a->capture = -1;
	stream_init(&a->client, -1);
	a->deadline = g->loop.now + g->link_timeout;
	if (!l)
		return a;
	a->mess = l->mess;
	a->told_common = l->told_common;
	a->told_channel = l->told_channel;
	a->deadline = l->deadline;
	stream_detach(&l->stream);
	a->client = l->stream;
	gateway_link_unlink(l);
	return a;
}

static void print_address(const struct ipc_address *a, char text[64])
{
	char host[INET6_ADDRSTRLEN] = "";

	inet_ntop(a->family, a->address, host, sizeof(host));
	snprintf(text, 64, a->family == AF_INET6 ? "[%s]:%u" : "%s:%u", host,
		 a->port);
}

static unsigned idlest_worker(const struct gateway *g)
{
	unsigned best = 0, least = UINT32_MAX;

	for (unsigned i = 0; i < g->worker_count; i++) {
		unsigned n = 0;

		for (struct known_session *s = g->sessions; s; s = s->next)
			n += s->worker == i;
		if (n < least) {
			least = n;
			best = i;
		}
	}
	return best;
}

static struct known_session *know(struct gateway *g, const struct link *l,
				  const struct ipc_redeemed *r)
{
	struct known_session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	memcpy(s->id, r->session, sizeof(s->id));
	s->worker = idlest_worker(g);
	s->is_bound = r->policy.bind_address == POLICY_BIND_ON;
	filter_rules_set(&s->rules, &r->policy, r->view_only, r->is_replay);
	if (l) {
		memcpy(s->digest, l->digest, sizeof(s->digest));
		s->client = l->client;
	} else {
		RAND_bytes(s->digest, sizeof(s->digest));
	}
	s->next = g->sessions;
	g->sessions = s;
	return s;
}

/*
 * A session begins, even if the viewer has left in the meantime: control has
 * made it, so it gets an end.
 */
void gateway_arrival_redeemed(struct gateway *g, struct ipc_packet *packet)
{
	const struct ipc_redeemed *r = &packet->body.REDEEMED;
	struct link *l = find_asked(g, r->request);
	struct gateway_arrival *a;
	struct known_session *s;

	if (r->result != SPICE_LINK_ERR_OK || packet->fd_count < 1) {
		if (l)
			gateway_link_answer(l, r->result
						       ? r->result
						       : SPICE_LINK_ERR_ERROR);
		return;
	}
	s = know(g, l, r);
	if (!s)
		return;
	a = new_arrival(g, l);
	if (!a)
		return;
	a->is_new = true;
	a->redeemed = *r;
	a->upstream = packet->fds[0];
	packet->fds[0] = -1;
	if (packet->fd_count > 1) {
		a->capture = packet->fds[1];
		packet->fds[1] = -1;
	}
	print_address(&s->client, a->client_text);
	gateway_loop_post(&g->workers[s->worker].loop, &a->task);
}

void gateway_arrival_opened(struct gateway *g, struct ipc_packet *packet)
{
	const struct ipc_opened *o = &packet->body.OPENED;
	struct link *l = find_asked(g, o->request);
	struct known_session *s = g->sessions;
	struct gateway_arrival *a;

	if (!l)
		return;
	while (s && strcmp(s->id, l->session_id) != 0)
		s = s->next;
	if (o->result != SPICE_LINK_ERR_OK || packet->fd_count < 1 || !s) {
		gateway_link_answer(l, o->result ? o->result
						 : SPICE_LINK_ERR_ERROR);
		return;
	}
	a = new_arrival(g, l);
	if (!a)
		return;
	memcpy(a->session, s->id, sizeof(a->session));
	a->upstream = packet->fds[0];
	packet->fds[0] = -1;
	gateway_loop_post(&g->workers[s->worker].loop, &a->task);
}
