/*
 * Sessions that the gateway has: who may begin one, and what it tells.
 *
 * Functions with ipc_ structures answer the messages of the same name.
 */
#ifndef DAEMON_SESSION_LIVE_H
#define DAEMON_SESSION_LIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/error.h"
#include "schema/ipc.h"

struct control;
struct sessions;

int sessions_new(struct sessions **sessions, struct error *error);
void sessions_free(struct sessions *sessions);

/* fds: what travels with the answer; the caller's to close. */
void sessions_redeem(struct control *control, const struct ipc_redeem *redeem,
		     struct ipc_redeemed *answer, int fds[2],
		     unsigned *fd_count);
/* The answer of redeem did not reach the gateway. */
void sessions_unredeem(struct control *control, const char *session);
void sessions_open(struct control *control, const struct ipc_open *open,
		   struct ipc_opened *answer, int *fd);
void sessions_state(struct control *control, const struct ipc_state *state);
/* 0 when the catalogue has it, so that it can be acknowledged. */
int sessions_ended(struct control *control, const struct ipc_ended *ended);
void sessions_refused(struct control *control,
		      const struct ipc_refused *refused);

/* Forgets which sessions a gateway has; it will tell. */
void sessions_unclaim(struct control *control);
/* How many it has told since. */
unsigned sessions_claimed(struct control *control);
/* Those that it did not tell are recovered. */
void sessions_reconcile(struct control *control, const char *text);

struct session_figures {
	uint64_t bytes_to_client, bytes_to_guest, capture_bytes;
	unsigned channels;
};

/* Of a live session, as last told; false when it is not there. */
bool sessions_figures(struct control *control, const char *id,
		      struct session_figures *figures);
unsigned sessions_count(struct control *control);

#endif
