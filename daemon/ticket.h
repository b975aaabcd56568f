/*
 * Tickets: a random text that opens one session of one vault (or one replay)
 * once. Only its SHA-256 is kept.
 */
#ifndef DAEMON_TICKET_H
#define DAEMON_TICKET_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/error.h"

struct catalogue;

#define TICKET_BYTES 20 /* random: 160 bits */
#define TICKET_SIZE 33  /* as base32, with NUL; SPICE allows 60 */
#define TICKET_DIGEST_SIZE 32

struct ticket_spec {
	const char *vault; /* uuid; or NULL and */
	const char *job;   /* a replay job */
	bool view_only;
	const char *address; /* only from there; NULL: from anywhere */
	const char *made_by;
	int64_t now, lifetime; /* us */
};

int ticket_make(struct catalogue *catalogue, const struct ticket_spec *spec,
		char text[TICKET_SIZE], struct error *error);

void ticket_digest(const char *text, uint8_t digest[TICKET_DIGEST_SIZE]);

enum ticket_verdict {
	TICKET_GOOD,
	TICKET_UNKNOWN,
	TICKET_USED,
	TICKET_EXPIRED,
	TICKET_FOREIGN, /* asked from another address */
};

/* "used", … for the audit log; the client learns nothing of it. */
const char *ticket_verdict_name(enum ticket_verdict verdict);

struct ticket_grant {
	char vault[40]; /* also of a bad ticket, if known; or "" */
	char job[40];
	bool view_only;
};

/*
 * Uses a ticket up, by one statement: of any number of callers at the same
 * time one gets TICKET_GOOD. Returns 0 with a verdict, or a failure of the
 * catalogue.
 */
int ticket_redeem(struct catalogue *catalogue,
		  const uint8_t digest[TICKET_DIGEST_SIZE], const char *address,
		  int64_t now, enum ticket_verdict *verdict,
		  struct ticket_grant *grant, struct error *error);

/* Forgets tickets that expired before the time. */
void ticket_sweep(struct catalogue *catalogue, int64_t before);

#endif
