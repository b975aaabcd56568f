/*
 * One copy of a vault runs.
 *
 * A vault carries a lease (lease.json in its folder): whether it may run here,
 * and its run epoch, which each start raises. The host keeps the same in its
 * registry (registry.h), outside of any state folder and keyed by the
 * machine's identity. A start asks both: a copy, whether of a disk, a vault's
 * folder or a whole state folder, does not agree with the registry and is
 * refused. The lease goes to another host by a fencing record, signed by the
 * one that gives it up and accepted once; or, when the other copy is lost, by
 * its owner's word (lease_restore).
 *
 * What each write leaves when it is cut is in lease.c. Calls are thread-safe;
 * where a vault is named, the caller holds its lock (vaults_lock) unless told
 * otherwise.
 */
#ifndef DAEMON_LEASE_H
#define DAEMON_LEASE_H

#include <jansson.h>
#include <stdbool.h>

#include "recorder/error.h"

struct control;
struct host_key;
struct leases;
struct vault;

/* Opens the host's key; needs STATE. The registry comes with its first use. */
int leases_new(struct leases **leases, struct control *control,
	       struct error *error);
void leases_free(struct leases *leases);
const struct host_key *leases_host_key(const struct leases *leases);

/*
 * A new vault's, when domain.xml is there and before it is marked ready. When
 * this host knows of another copy of the machine (adopted twice), the new one
 * is a copy that may not start until lease_restore.
 */
int lease_make(struct control *control, const char *uuid, const char *name,
	       const char *who, struct error *error);

/*
 * With the daemon's start: a vault of an older version gets a lease; the
 * folder of one that runs is locked. What goes wrong is logged.
 */
void lease_recover(struct control *control, const struct vault *vault,
		   bool runs);

/*
 * Before each start: raises the epoch here and in the registry. -EBUSY: the
 * machine runs on this host, or another daemon works on the folder; -EPERM:
 * another copy has the lease. The text says which, since when, and what to
 * do. force goes past -EPERM and is written to the audit log (lease.forced).
 */
int lease_take(struct control *control, const struct vault *vault, bool force,
	       const char *who, struct error *error);

/*
 * Gives the lease up, of a stopped vault: from here on it does not start here.
 * target: id of the host that alone may accept it, or NULL for whichever. The
 * record is a new reference; a second call gives the same one (then target is
 * ignored), so that what was cut before it was carried away can go on.
 */
int lease_fence(struct control *control, const struct vault *vault,
		const char *target, const char *who, json_t **record,
		struct error *error);

/*
 * The lease of what is imported, into `folder` (with domain.xml, not yet a
 * vault): call it last, before the vault is marked ready; a second call is as
 * one. record: the fencing record, or NULL for a backup, which may not start
 * until lease_restore. -EBADMSG: the record is none, was changed, or is of
 * another machine; -EPERM: it is for another host; -EEXIST: it was accepted
 * already or is older than what this host knows; but where that is lost
 * (deleted, or its folder is gone) it is as a backup. The record is borrowed.
 */
int lease_accept(struct control *control, const char *folder,
		 const json_t *record, const char *who, struct error *error);

/*
 * Its owner states that every other copy is retired: the lease is here from
 * now on, its epoch is raised, and the statement is kept, signed. -EEXIST
 * when it is here; -EINVAL without a statement; -EBUSY when a copy runs here.
 */
int lease_restore(struct control *control, const struct vault *vault,
		  const char *statement, const char *who, struct error *error);

/* Member `lease` of a vault; needs no lock. */
json_t *lease_json(struct control *control, const struct vault *vault);

/* The vault is deleted: nobody has it here any more. Before domain.xml goes. */
void lease_forget(struct control *control, const struct vault *vault);

#endif
