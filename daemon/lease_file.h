/*
 * A lease as a file: lease.json of a vault, and the registry's entry for its
 * machine, which are of one form. The file may come from another host: nothing
 * in it is believed but its own consistency.
 */
#ifndef DAEMON_LEASE_FILE_H
#define DAEMON_LEASE_FILE_H

#include <jansson.h>
#include <limits.h>
#include <stdint.h>

#include "daemon/domain.h"
#include "daemon/host_key.h"
#include "recorder/error.h"

#define LEASE_TOKEN_SIZE 27 /* 16 random bytes, units_random_text */
#define LEASE_EPOCH_MOST (1ll << 53)
/* From elsewhere: so that starts can't ever raise it to the end. */
#define LEASE_EPOCH_TAKEN (1ll << 52)

enum lease_state {
	LEASE_NONE,   /* there is no file */
	LEASE_HELD,   /* the vault may run */
	LEASE_HANDED, /* it was handed over; `record` says how */
	LEASE_COPY,   /* another copy has the right to run, or had it */
	LEASE_GONE,   /* only in the registry: the vault was deleted */
};

struct lease {
	enum lease_state state;
	char identity[DOMAIN_IDENTITY_SIZE];
	int64_t epoch; /* starts, and what else raised it */
	/* Changed with every write, and the registry's before that. */
	char token[LEASE_TOKEN_SIZE], before[LEASE_TOKEN_SIZE];
	char registry[LEASE_TOKEN_SIZE]; /* which one has the entry */
	char host[HOST_KEY_ID_SIZE], host_name[65];
	char vault[64], folder[PATH_MAX]; /* where it is, or was */
	char who[128];
	int64_t at;     /* us since 1970 */
	json_t *record; /* by which it came or went, or NULL */
};

/* -EBADMSG for a text that is no lease; release it then, too. */
int lease_file_parse(const char *text, struct lease *lease,
		     struct error *error);

/*
 * No such file: 0 and LEASE_NONE. -EBADMSG for one that is no lease. Release
 * with lease_file_release in any case.
 */
int lease_file_read(const char *path, struct lease *lease, struct error *error);
int lease_file_write(const char *path, const struct lease *lease,
		     struct error *error);
void lease_file_release(struct lease *lease);

#endif
