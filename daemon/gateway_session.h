/*
 * Sessions and their channels, on a worker loop of the gateway.
 *
 * A session begins with its main channel and ends with it. Everything here is
 * called on the worker's thread; other threads post tasks.
 */
#ifndef DAEMON_GATEWAY_SESSION_H
#define DAEMON_GATEWAY_SESSION_H

#include "daemon/gateway_filter.h"
#include "daemon/gateway_stream.h"
#include "recorder/capture_writer.h"
#include "recorder/framer.h"
#include "recorder/link.h"
#include "schema/ipc.h"

struct gateway;		/* the front loop's, gateway_front.h */

struct gateway_worker {
	struct gateway_loop loop;	/* first */
	struct gateway *gateway;
	struct capture_pool *pool;
	pthread_t thread;
	struct session *sessions;
	struct channel *closing;	/* say goodbye, without a session */
	struct channel *again, *turn;	/* have more to do at once */
	bool has_ending;		/* a session is to be ended */
};

/* One direction of a channel in its relay. */
struct direction {
	struct framer framer;
	enum filter_action action;	/* for the present message */
	struct buffer body;	/* of a message that is collected */
	struct buffer inject;	/* messages of ours for the next boundary */
	bool midway;		/* a message has gone on in part */
	const uint8_t *run;	/* bytes to go on, not yet written */
	size_t run_size;
	uint64_t time;		/* CLOCK_REALTIME of the bytes at hand */
};

enum channel_phase {
	CHANNEL_REPLY,		/* waits for the guest's link reply */
	CHANNEL_RESULT,		/* waits for the guest's link result */
	CHANNEL_RELAY,
	CHANNEL_CLOSING,	/* has no session any more */
};

struct channel {
	struct stream client;	/* first */
	struct stream guest;
	struct channel *next;		/* of the session, or closing */
	struct channel *again_next;
	bool is_again;
	struct gateway_worker *worker;
	struct session *session;
	enum channel_phase phase;
	uint64_t deadline;		/* monotonic ns, 0: none */
	int number;			/* in the recording */
	bool early;			/* TLS may hold bytes from the link */
	bool has_shut_down;		/* of the viewer's side */
	struct link_mess mess;		/* as sent to the guest */
	struct link_caps told_common, told_channel;	/* to the viewer */
	struct link_reply reply;	/* the guest's */
	struct buffer in;		/* of the guest's link */
	size_t want;
	struct direction directions[2];	/* by enum capture_direction */
	struct filter filter;
};

enum session_phase {
	SESSION_LIVE,
	SESSION_FINISHING,	/* the recording is being completed */
	SESSION_SEALED,		/* waits for its signature */
};

struct session {
	struct gateway_source writer_source;	/* first */
	struct session *next;
	struct gateway_worker *worker;
	char id[IPC_ID_SIZE];
	struct policy policy;
	char password[LINK_PASSWORD_MAX + 1];	/* of the guest's server */
	struct filter_rules rules;
	struct capture_writer *writer;	/* NULL: not recorded */
	bool is_behind;			/* the recording must catch up */
	struct channel *main, *channels;	/* main is among channels */
	enum session_phase phase;
	bool is_ending;
	enum ipc_end reason;
	char text[IPC_TEXT_SIZE];	/* of the end, or a note before */
	uint64_t ended_at;		/* ns since 1970 */
	uint64_t bytes[2];		/* by enum capture_direction */
	uint64_t capture_bytes;
	uint64_t last_input;		/* monotonic ns */
	/* Monotonic ns, 0: nothing due. */
	uint64_t state_due, tick_due, idle_due, sign_due;
	unsigned ticks;			/* still to come */
	uint8_t digest[IPC_DIGEST_SIZE];	/* to be signed */
};

/*
 * A linked connection on its way from the front loop to a worker: the main
 * channel of a new session, or a further channel of a live one.
 */
struct gateway_arrival {
	struct gateway_task task;	/* first */
	struct stream client;		/* fd -1: it has gone already */
	struct link_mess mess;		/* the viewer's */
	struct link_caps told_common, told_channel;
	int upstream;
	uint64_t deadline;		/* of the link, monotonic ns */
	bool is_new;
	char session[IPC_ID_SIZE];
	/* Of a new session: */
	int capture;			/* -1: not recorded */
	struct ipc_redeemed redeemed;
	char client_text[64];
};
void session_arrive(struct gateway_loop *loop, struct gateway_task *task);

/* Something control said about one session, or about all of them. */
struct gateway_order {
	struct gateway_task task;	/* first */
	enum ipc_type type;	/* KILL, SIGNATURE, QUIT, or HELLO: report */
	union {
		struct ipc_kill kill;
		struct ipc_signature signature;
	};
};
void session_order(struct gateway_loop *loop, struct gateway_task *task);

void session_on_due(struct gateway_loop *loop);
bool session_on_round(struct gateway_loop *loop);

/*
 * Ends the session at the end of this round; the first reason stands. With
 * `text` the viewer is told.
 */
void session_end(struct session *s, enum ipc_end reason, const char *format,
		 ...) __attribute__((format(printf, 3, 4)));
/*
 * Records bytes of a channel before they go on. 0, or negative: they must
 * not, the session ends.
 */
int session_record(struct session *s, struct channel *ch,
		   enum capture_direction direction, uint64_t time,
		   const void *head, size_t head_size, const void *data,
		   size_t size);
/* Bytes have moved: the time of the next STATE. */
void session_moved(struct session *s);

/* gateway_channel.c */
/* number: in the recording, -1 without one. */
void channel_arrive(struct gateway_worker *worker, struct session *s,
		    struct gateway_arrival *arrival, int number);
/* The deadline of its link is over. */
void channel_late(struct channel *ch);
/* Link result for the viewer, then goodbye; without a session. */
void channel_refuse(struct gateway_worker *worker,
		    struct gateway_arrival *arrival, uint32_t result);
/* Takes it out of its session and says goodbye to the viewer. */
void channel_retire(struct channel *ch);
void channel_pump(struct channel *ch);
/* Closed without more ado. */
void channel_free(struct channel *ch);

/* gateway_relay.c */
void relay_start(struct channel *ch, bool mini);
void relay_clear(struct channel *ch);
/* Moves what can be moved; 1 something moved, 0 nothing, -1 a side closed or
 * the session ends (said to session_end when it must). */
int relay_to_client(struct channel *ch);
int relay_to_guest(struct channel *ch);
/* A message of ours, at the next boundary between messages. */
int relay_inject(struct channel *ch, enum capture_direction direction,
		 uint16_t type, const void *body, uint32_t size);
/* Completes a message to the viewer that has gone on in part, by zeros. */
int relay_complete(struct channel *ch);

/* gateway.c: to control, from a worker. */
void gateway_tell_from(struct gateway_worker *worker, enum ipc_type type,
		       const void *body, size_t size);

#endif
