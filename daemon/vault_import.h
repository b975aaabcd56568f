/*
 * The last steps of an import: what was unpacked beside the vaults is judged
 * and becomes one.
 */
#ifndef DAEMON_VAULT_IMPORT_H
#define DAEMON_VAULT_IMPORT_H

#include <jansson.h>

#include "daemon/bundle.h"
#include "recorder/error.h"

struct control;

/* In STATE, a folder for each import; in that, UUID becomes the vault's. */
#define IMPORT_FOLDER "import"

/* Whether there is room for it: its name and its machine; -EEXIST. */
int vault_import_check(struct control *control, const struct bundle_plan *plan,
		       const char *name, struct error *error);

/* Removes an import's folder, from which nothing is gone on with any more. */
int vault_import_remove(const char *folder, struct error *error);

/*
 * The folder holds all files of the plan. -EINVAL when they are not what an
 * export of ours makes: a definition that reaches for the host, an image on
 * somebody's file. record: the lease that came along, or NULL.
 */
int vault_import_finish(struct control *control, const char *folder,
			const struct bundle_plan *plan, const char *name,
			const json_t *record, const char *who,
			struct error *error);

#endif
