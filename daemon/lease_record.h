/*
 * What one host writes down about a lease for others to read, signed with its
 * key (host_key.h):
 *
 *   fence    the host gives the lease up: whoever accepts the record (on the
 *            target, when it names one) may run the machine, once
 *   restore  the owner's statement that every other copy is retired
 *
 * Members: format, id, kind, identity, vault, uuid, epoch, at, who,
 * source {key, host, name}, target and statement (text or null), signature:
 * Ed25519 in hexadecimal over the JSON of the rest, compact, with sorted keys.
 *
 * A signature shows that nothing was changed since, and whose key it was. It
 * does not show that the signer is to be trusted.
 */
#ifndef DAEMON_LEASE_RECORD_H
#define DAEMON_LEASE_RECORD_H

#include <jansson.h>
#include <stdint.h>

#include "daemon/host_key.h"
#include "recorder/error.h"

struct lease;

/* What a new one says; target and statement may be NULL. */
struct lease_record {
	const char *kind, *uuid, *target, *statement;
	const struct lease *lease; /* identity, vault, epoch, who, at, host */
};

int lease_record_make(const struct host_key *key,
		      const struct lease_record *says, json_t **record,
		      struct error *error);

/* What a record that was checked says; texts are the record's. */
struct lease_fence {
	const char *id, *identity, *host, *host_name, *target;
	int64_t epoch;
};

/* -EBADMSG: it is no fencing record, or was changed after it was signed. */
int lease_record_read_fence(const json_t *record, struct lease_fence *fence,
			    struct error *error);

#endif
