/*
 * What of a vault's folder goes into a bundle: its plan, where each file of
 * it lies, and by what is seen that none has changed since. A file lies in the
 * folder; or, a disk or medium that was left in place and is a link in disks/,
 * at an absolute path.
 */
#ifndef DAEMON_BUNDLE_PACK_H
#define DAEMON_BUNDLE_PACK_H

#include <stdbool.h>

#include "daemon/bundle.h"
#include "daemon/layers.h"

/* In the vault's: journals of an export. */
#define BUNDLE_PACK_FOLDER "export"

struct bundle_pack {
	struct bundle_plan *plan;
	char *text;       /* the plan's */
	char **from;      /* of each file: where it lies */
	int64_t *changed; /* of each file: when, ns since 1970 */
};

/*
 * meta: a plan without files; it is taken. layers: what the vault had at the
 * moment of the export. snapshot: of a running guest the one that holds that
 * moment (then nvram/ and tpm/ are its), else NULL. -EINVAL when there is
 * what no vault has.
 */
int bundle_pack_make(struct bundle_pack **pack, const char *folder,
		     struct bundle_plan *meta, const struct layers *layers,
		     const char *snapshot, struct error *error);
void bundle_pack_free(struct bundle_pack *pack);

/* Kept in the folder, so that the export can go on; -ENOENT, -ESTALE. */
int bundle_pack_save(const struct bundle_pack *pack, const char *folder,
		     struct error *error);
int bundle_pack_load(struct bundle_pack **pack, const char *folder,
		     struct error *error);

/* -ESTALE when a file is not what it was, naming it. */
int bundle_pack_check(const struct bundle_pack *pack, const char *folder,
		      struct error *error);

/* File n, to be read; follows no links. */
int bundle_pack_open(const struct bundle_pack *pack, const char *folder,
		     unsigned n, int *fd, struct error *error);

#endif
