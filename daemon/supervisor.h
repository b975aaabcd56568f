/*
 * Control's side of schema/ipc.h: starts the gateway, finds one that runs
 * since an earlier control, answers it, and restarts it when it died.
 */
#ifndef DAEMON_SUPERVISOR_H
#define DAEMON_SUPERVISOR_H

#include <stdbool.h>

#include "recorder/error.h"
#include "schema/ipc.h"

struct control;
struct supervisor;

/* Whether a gateway of this run folder runs since earlier. */
bool supervisor_is_found(struct control *control);

/*
 * Returns when viewers can connect. -EADDRINUSE and the like when it can't
 * listen, -EBUSY for a gateway of another version that has sessions.
 */
int supervisor_new(struct supervisor **link, struct control *control,
		   struct error *error);

/* Whether this daemon started the gateway, rather than found it. */
bool supervisor_started_it(const struct supervisor *s);

/* Leaves the gateway running, or, with quit, ends it and its sessions. */
void supervisor_free(struct supervisor *s, bool quit);

struct gateway_status {
	bool running;
	int pid, port;
	unsigned restarts;
};

void supervisor_status(struct supervisor *s, struct gateway_status *status);

/* Ends a session; the text is for the viewer and the catalogue. */
int supervisor_kill(struct supervisor *s, const char *session, const char *text,
		    struct error *error);

/* What a SPICE server advertises: kept, and told to the gateway. */
void supervisor_learned(struct control *control, const struct ipc_caps *caps);

#endif
