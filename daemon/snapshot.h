/*
 * Snapshots of a vault: its disks, firmware variables and TPM state as one, of
 * a stopped or a running vault.
 *
 * A snapshot freezes the layers that the guest writes to (layers.h) and copies
 * NVRAM and TPM state to snapshots/NAME/; the guest goes on in new layers. Of
 * a running guest it has what a power failure at that moment would leave:
 * memory is not kept. Every operation is whole or undone, whenever daemon,
 * QEMU or host end; what is half-done is brought to one of the two by
 * snapshot_recover, before each start and with the daemon.
 *
 * The caller holds the vault's lock (vaults_lock) unless told otherwise.
 */
#ifndef DAEMON_SNAPSHOT_H
#define DAEMON_SNAPSHOT_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>

#include "daemon/layers.h"
#include "recorder/error.h"

struct control;
struct vault;

/* The state in which a vault was sealed; later ones are "sealed-2", … */
#define SNAPSHOT_SEALED "sealed"

/* 1 to 63 of a-z A-Z 0-9 . _ -, first a letter or digit. */
int snapshot_name_check(const char *name, struct error *error);

/* -EEXIST, -ENOSPC, -E2BIG when there are too many. */
int snapshot_create(struct control *control, const struct vault *vault,
		    const char *name, struct error *error);

/*
 * Back to a snapshot, of a stopped vault (-EBUSY), whose firmware variables and
 * TPM state are as they were (-EBADMSG). What the vault was before
 * is kept as a snapshot of its own, named `before-TIME` and given in kept;
 * with discard it is lost, and kept is "".
 */
int snapshot_revert(struct control *control, const struct vault *vault,
		    const char *name, bool discard,
		    char kept[SNAPSHOT_NAME_SIZE], struct error *error);

/*
 * Forgets a snapshot; others and the vault stay as they are. Its space is
 * given back at once if the vault is stopped, else by a later
 * snapshot_compact. SNAPSHOT_SEALED only with force_sealed, else -EPERM.
 */
int snapshot_delete(struct control *control, const struct vault *vault,
		    const char *name, bool force_sealed, struct error *error);

/* All, oldest first: name, created_at, layer, parent, …. Needs no lock. */
int snapshot_list(struct control *control, const struct vault *vault,
		  json_t **list, struct error *error);

/*
 * Joins layers that no snapshot holds to their neighbours. Does nothing for a
 * running vault, or while others read its frozen layers (layers_hold). May take
 * long; it can be interrupted at any moment.
 */
int snapshot_compact(struct control *control, const struct vault *vault,
		     struct error *error);

/*
 * Brings what was interrupted to its end, or undoes it. Called with the
 * daemon's start, and before each start of the vault.
 */
int snapshot_recover(struct control *control, const struct vault *vault,
		     struct error *error);

/*
 * What the guest writes to, disk by disk: target, path, format, virtual_size,
 * actual_size, all_size (bytes of all its layers), in_place. Needs no lock.
 */
int snapshot_disks(struct control *control, const struct vault *vault,
		   json_t **list, struct error *error);

/* The vault's layers; free() them. Needs no lock. */
int snapshot_layers(struct control *control, const struct vault *vault,
		    struct layers **layers, struct error *error);

#endif
