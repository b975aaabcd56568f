/*
 * The layers of a vault's disk: image files in disks/, each standing on
 * another or on none, and the snapshots that hold some of them.
 *
 * The guest writes to the active layer only; all others are frozen. Which
 * layer is which, and which snapshots there are, is said by one file,
 * disks/layers.json. It is replaced by one rename, and that rename decides
 * whether something was done: a file in disks/, snapshots/ or digests/ that
 * it does not know is left from something that was not, and is removed. A
 * vault without the file has one layer, the disk of its definition.
 *
 * While a running guest is moved to a new layer, disks/layers.json.next says
 * what layers.json becomes if the guest's QEMU is found on that layer.
 * Backing files are named without a folder, so that the vault can be moved.
 */
#ifndef DAEMON_LAYERS_H
#define DAEMON_LAYERS_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/error.h"

#define LAYERS_MAX 120	    /* libvirt takes a chain of 200 */
#define LAYER_NAME_SIZE 64  /* of a file in disks/ */
#define SNAPSHOT_NAME_SIZE 64

struct layer {
	char file[LAYER_NAME_SIZE];
	char format[16];	       /* "qcow2" or "raw" */
	char backing[LAYER_NAME_SIZE]; /* "" for none */
};

struct snapshot {
	char name[SNAPSHOT_NAME_SIZE];
	char layer[LAYER_NAME_SIZE];	 /* "" for a vault without a disk */
	char parent[SNAPSHOT_NAME_SIZE]; /* what it was made on, or "" */
	int64_t created_at;		 /* us since 1970 */
	bool automatic;			 /* made by a revert */
	bool running;			 /* the guest ran */
	char definition[65];		 /* SHA-256 of domain.xml, hex */
};

struct layers {
	uint64_t size;		      /* bytes that the guest sees */
	unsigned next;		      /* number of the next new layer */
	char base[LAYER_NAME_SIZE];   /* the definition's disk */
	char active[LAYER_NAME_SIZE]; /* "" for a vault without a disk */
	char parent[SNAPSHOT_NAME_SIZE];
	/* NVRAM and TPM state of this one are still to be put back. */
	char restore[SNAPSHOT_NAME_SIZE];
	unsigned layer_count, snapshot_count;
	struct layer layers[LAYERS_MAX];
	struct snapshot snapshots[LAYERS_MAX]; /* oldest first */
};

/*
 * What layers.json of the vault's folder says; free() it. disk: path of the
 * definition's disk, "" for none, for a vault that has not got the file yet.
 * -EINVAL when the file is damaged, or missing where it was, -ENOTSUP when the
 * disk is not in the vault's folder.
 */
int layers_read(struct layers **layers, const char *folder, const char *disk,
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
			 struct error *error);

/* Removes what layers.json does not know; only when there is the file. */
int layers_collect(const char *folder, const struct layers *layers,
		   struct error *error);

struct layer *layers_find(struct layers *layers, const char *file);
struct snapshot *layers_snapshot(struct layers *layers, const char *name);

/* A new, empty layer on `backing`, not yet in any file; NULL when full. */
struct layer *layers_add(struct layers *layers, const char *backing);
void layers_remove(struct layers *layers, const char *file);

/* How many stand on it; *one is the first of them. */
unsigned layers_children(struct layers *layers, const char *file,
			 struct layer **one);
/* Whether a snapshot holds it. */
bool layers_is_held(const struct layers *layers, const char *file);

#endif
