/*
 * What this host knows of the machines that are, or were, vaults on it: one
 * lease (lease_file.h) for each, IDENTITY.json in one folder that belongs to
 * no state folder, so that a state folder that was copied or put back from a
 * backup does not agree with it. The folder survives reboots, and entries
 * survive their vaults. It has a name of its own (the file `id`): a vault's
 * lease says which registry gave it.
 *
 * The folder: daemon.registry of the configuration, else
 * /var/lib/mediavm-registry for root, else mediavm-registry in
 * $XDG_STATE_HOME or ~/.local/state. Several hosts can share one on a network
 * file system that has locks.
 */
#ifndef DAEMON_REGISTRY_H
#define DAEMON_REGISTRY_H

#include <limits.h>

#include "daemon/lease_file.h"

struct config;

/* While it is there, no other thread or process changes an entry. */
struct registry {
	char folder[PATH_MAX];
	char id[LEASE_TOKEN_SIZE];
	char host_name[65]; /* of this host */
	int lock;
};

/* Makes what is missing. Waits for others, who are done in a moment. */
int registry_lock(struct registry *registry, const struct config *config,
		  struct error *error);
void registry_unlock(struct registry *registry);

/* Only to look (lock is -1 then); makes nothing: -ENOENT when not there yet. */
int registry_look(struct registry *registry, const struct config *config,
		  struct error *error);

/* As lease_file_read and lease_file_write. */
int registry_read(const struct registry *registry, const char *identity,
		  struct lease *lease, struct error *error);
int registry_write(const struct registry *registry, const struct lease *lease,
		   struct error *error);

#endif
