/*
 * The front loop of the gateway, its main thread: the socket to control, the
 * listeners, links up to their ticket, and who is where.
 */
#ifndef DAEMON_GATEWAY_FRONT_H
#define DAEMON_GATEWAY_FRONT_H

#include "daemon/gateway_session.h"
#include "daemon/ipc.h"

#define FRONT_REFUSALS 32

struct gateway_listener {
	struct gateway_source source;	/* first */
	struct gateway *gateway;
	int fd;
};

/* A session from REDEEMED to ENDED. */
struct known_session {
	struct known_session *next;
	char id[IPC_ID_SIZE];
	uint8_t digest[IPC_DIGEST_SIZE];	/* of its ticket */
	struct ipc_address client;
	bool is_bound;			/* to the client's address */
	struct filter_rules rules;
	unsigned worker;
};

/* Connections refused alike, told at most every ten seconds. */
struct refusal {
	struct ipc_address client;	/* port 0 */
	const char *why;		/* static; NULL: free */
	uint32_t count;			/* since it was told */
	uint64_t due;
};

/* Something for control: waits for its socket, or (ENDED) for the ack. */
struct letter {
	struct letter *next;
	enum ipc_type type;
	union ipc_body body;
};

struct gateway {
	struct gateway_loop loop;	/* first */
	struct gateway_source inlet;	/* fd 3 */
	struct gateway_source control_source;
	int control;			/* -1: gone */
	struct letter *outbox, **outbox_end;
	struct letter *ended;
	struct gateway_source signals;
	int signal_fd;

	bool is_set_up, is_quitting;
	uint64_t exit_at;		/* monotonic ns, 0: not now */
	SSL_CTX *tls;
	struct link_key *key;
	struct gateway_listener listeners[IPC_MAX_LISTENERS];
	unsigned listener_count;
	uint32_t port;
	uint64_t link_timeout;		/* ns */
	unsigned max_pending;
	struct ipc_caps caps;
	struct capture_pool *pool;
	struct gateway_worker *workers;
	unsigned worker_count;
	struct known_session *sessions;

	struct link *oldest, *newest;	/* connections in their link */
	unsigned pending;
	uint64_t last_request;
	struct refusal refusals[FRONT_REFUSALS];
};

/* gateway_link.c */
void gateway_link_on_accept(struct gateway_source *source, uint32_t events);
void gateway_link_on_due(struct gateway *g);
/* Asks again what was asked of a control that is gone. */
void gateway_link_ask_again(struct gateway *g);
void gateway_link_close_all(struct gateway *g);
const struct link_caps *gateway_caps_of(struct gateway *g, unsigned type);
/* gateway_caps.c */
void gateway_caps_init(struct gateway *g);
void gateway_caps_learn(struct gateway *g, const struct ipc_caps *caps);

/* gateway_arrival.c; descriptors taken over become -1 in the packet. */
void gateway_arrival_redeemed(struct gateway *g, struct ipc_packet *packet);
void gateway_arrival_opened(struct gateway *g, struct ipc_packet *packet);

/* gateway_refusal.c: what the audit log hears of failed links. */
void refusal_note(struct gateway *g, const struct ipc_address *client,
		  const char *why);
void refusal_on_due(struct gateway *g);

/* gateway.c; -1 when there is no control to hear it. */
int gateway_tell(struct gateway *g, enum ipc_type type, const void *body,
		 size_t size);

/* gateway_sandbox.c: the process gives up what it does not need any more. */
int gateway_sandbox(struct error *error);

#endif
