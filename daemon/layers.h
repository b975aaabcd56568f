/*
 * The layers of a vault's disks: image files in disks/, each standing on
 * another or, the disk of the definition, on none; and the snapshots, of which
 * each holds one layer of every disk.
 *
 * The guest writes to the active layers only; all others are frozen. Which
 * layer is which, and which snapshots there are, is said by one file,
 * disks/layers.json. It is replaced by one rename, and that rename decides
 * whether something was done: a file in disks/, snapshots/ or digests/ that
 * it does not know is left from something that was not, and is removed. A
 * disk that the file does not know has one layer, that of the definition.
 *
 * While a running guest is moved to new layers, disks/layers.json.next says
 * what layers.json becomes if the guest's QEMU is found on them. Backing files
 * are named without a folder, so that the vault can be moved. A disk that was
 * adopted in place is a link in disks/ to where it lies. An earlier version had
 * no link, but its path in the definition and in the layer on top.
 *
 * layers.json of version 1 knew the definition's first disk only. Read, it
 * becomes version 2: its snapshots hold nothing of other disks.
 */
#ifndef DAEMON_LAYERS_H
#define DAEMON_LAYERS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/domain.h"
#include "recorder/error.h"

#define LAYERS_DISKS DOMAIN_DISKS
#define LAYERS_CHAIN 120 /* of one disk; libvirt takes 200 */
#define LAYERS_MAX 480   /* of all disks */
#define SNAPSHOTS_MAX 120
#define LAYER_NAME_SIZE 64   /* of a file in disks/ */
#define LAYERS_MADE "layer-" /* what the names of ours begin with */
#define LAYER_PLACE_SIZE 512
#define SNAPSHOT_NAME_SIZE 64

struct layer {
	char file[LAYER_NAME_SIZE];
	char format[16];               /* "qcow2" or "raw" */
	char backing[LAYER_NAME_SIZE]; /* "" for none */
	/* Its path when it is outside of the vault, or "". */
	char place[LAYER_PLACE_SIZE];
	bool is_named; /* by that path in the definition, without a link */
};

struct layered_disk {
	char target[16];              /* "sda", as the definition calls it */
	uint64_t size;                /* bytes that the guest sees */
	char base[LAYER_NAME_SIZE];   /* the definition's image */
	char active[LAYER_NAME_SIZE]; /* what the guest writes to */
};

struct snapshot {
	char name[SNAPSHOT_NAME_SIZE];
	/* By the disk's number; "" for a disk that it knows nothing of. */
	char layers[LAYERS_DISKS][LAYER_NAME_SIZE];
	char parent[SNAPSHOT_NAME_SIZE]; /* what it was made on, or "" */
	int64_t created_at;              /* us since 1970 */
	bool automatic;                  /* made by a revert */
	bool running;                    /* the guest ran */
	char definition[65];             /* SHA-256 of domain.xml, hex */
};

struct layers {
	unsigned next; /* number of the next new layer */
	char parent[SNAPSHOT_NAME_SIZE];
	/* NVRAM and TPM state of this one are still to be put back. */
	char restore[SNAPSHOT_NAME_SIZE];
	unsigned disk_count, layer_count, snapshot_count;
	struct layered_disk disks[LAYERS_DISKS]; /* in the definition's order */
	struct layer layers[LAYERS_MAX];
	struct snapshot snapshots[SNAPSHOTS_MAX]; /* oldest first */
};

/*
 * What layers.json of the vault's folder (…/vaults/UUID) says, and of disks
 * that it does not know, what the definition says; free() it. -EINVAL when the
 * file is damaged, or missing where it was; -ENOENT when a disk is not there.
 */
int layers_read(struct layers **layers, const char *folder, const char *xml,
		struct error *error);

/* Replaces layers.json: from here on it is so. */
int layers_commit(const char *folder, const struct layers *layers,
		  struct error *error);

/* The same in two steps, and undone between them (0 when there is none). */
int layers_prepare(const char *folder, const struct layers *layers,
		   struct error *error);
int layers_commit_prepared(const char *folder, struct error *error);
int layers_drop_prepared(const char *folder, struct error *error);
/* NULL and 0 when nothing is prepared. */
int layers_read_prepared(struct layers **layers, const char *folder,
			 const char *xml, struct error *error);

/* Where a layer's file is. */
void layers_path(const char *folder, const struct layer *layer,
		 char path[PATH_MAX]);
/* The name by which a layer on top has it as its backing file. */
const char *layers_reference(const struct layer *layer);
/* The disk that a layer is of; NULL for none. */
struct layered_disk *layers_disk(struct layers *layers, const char *file);
/* Whether it is what a guest writes to. */
bool layers_is_active(const struct layers *layers, const char *file);

/* Removes what layers.json does not know; only when there is the file. */
int layers_collect(const char *folder, const struct layers *layers,
		   struct error *error);

/*
 * Frozen layers stay as they are while somebody holds them: a lock on disks/,
 * which ends with close(*hold) or its process. -EBUSY while layers are being
 * joined, and, for who would join them (layers_hold_alone), while others hold
 * them.
 */
int layers_hold(const char *folder, int *hold, struct error *error);
int layers_hold_alone(const char *folder, int *hold, struct error *error);

struct layer *layers_find(struct layers *layers, const char *file);
struct snapshot *layers_snapshot(struct layers *layers, const char *name);

/* A new, empty layer on `backing`, not yet in any file; NULL when there are
 * too many, of all or in the chain. */
struct layer *layers_add(struct layers *layers, const char *backing);
void layers_remove(struct layers *layers, const char *file);

/* How many stand on it; *one is the first of them. */
unsigned layers_children(struct layers *layers, const char *file,
			 struct layer **one);
/* Whether a snapshot holds it. */
bool layers_is_held(const struct layers *layers, const char *file);

#endif
