/*
 * What can be asked of the control role, one function for each route of
 * schema/api_routes.h. The HTTP server (webui/) calls them on its threads;
 * they may block and take whatever locks they need themselves.
 *
 * An operation returns 0 and fills the answer, or a negative errno with the
 * error's text for the user: -EINVAL 400, -ENOENT 404, -EEXIST and -EBUSY
 * 409, -EACCES and -EPERM 403, -ENOSPC 507, everything else 500. The body of
 * an error is {"error": text}.
 */
#ifndef DAEMON_OPERATIONS_H
#define DAEMON_OPERATIONS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "recorder/error.h"

struct control;

struct operation_call {
	const char *path[2];	/* the {…} segments, percent-decoded */
	const json_t *body;	/* an object, maybe empty; not NULL */
	/* A query argument or NULL. */
	const char *(*query)(const struct operation_call *call,
			     const char *key);
	void *http;		/* the HTTP server's */
	const char *host;	/* name under which the caller reached us */
	char who[64];		/* for the audit log: "uid 1000", "page" */
};

struct operation_answer {
	json_t *json;		/* the answer, owned by the caller */
	int fd;			/* or a file to send (else -1), owned likewise */
	uint64_t size;		/* of the file; UINT64_MAX: a pipe, to its end */
	const char *content_type;	/* of the file, static */
	char file_name[128];	/* for Content-Disposition, "" for none */
};

#define API_ROUTE(METHOD, path, name)                                       \
	int operation_##name(struct control *control,                       \
			     const struct operation_call *call,             \
			     struct operation_answer *answer,               \
			     struct error *error);
#include "schema/api_routes.h"
#undef API_ROUTE

/*
 * The stream of events: one JSON object each,
 *   {"seq": 17, "at": "2026-01-31T12:00:00.000Z", "type": "vault.state", …}
 * Types: vault.state, vault.created, vault.deleted, vault.sealed,
 * vault.checked, vault.verified, snapshot.created, snapshot.deleted,
 * snapshot.reverted, vault.exported, vault.imported, session.started, session.progress, session.ended,
 * ticket.made, ticket.refused, link.refused, job.progress, job.ended,
 * gateway.restarted, network.opened, network.closed.
 * lease.forced, lease.handed_over, lease.accepted, lease.restored,
 * machine.added, machine.trusted, machine.removed.
 * All but the two .progress are stored in the audit log.
 */

/*
 * Calls back, on any thread, whenever there are new events after it was set;
 * the callback must not block. One observer at a time; NULL takes it away.
 */
void control_observe(struct control *control, void (*changed)(void *),
		     void *data);

/*
 * Events with a seq greater than `after`, oldest first, at most `limit`, as
 * a JSON array (the last 1024 are kept in memory; older ones are in the
 * audit log). *last is the newest seq there is.
 */
json_t *control_events(struct control *control, uint64_t after, unsigned limit,
		       uint64_t *last);

/* Text for /metrics in Prometheus' format; free() it. */
char *control_metrics(struct control *control);

/* 0 when the daemon works as it should, for /healthz. */
int control_health(struct control *control, struct error *error);

#endif
