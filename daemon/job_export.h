/*
 * An export: what job_export.c and job_export_order.c share.
 *
 * The folder export/ in the vault's says what is being exported: order.json
 * (where to, how), the plan with its files (bundle_pack.h), and the journal of
 * records that are written. While it is there, and none of the files has
 * changed, the same order goes on with it; another order takes it away. A
 * bundle in a file is NAME.part until its end.
 */
#ifndef DAEMON_JOB_EXPORT_H
#define DAEMON_JOB_EXPORT_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/bundle_pack.h"
#include "daemon/host_key.h"
#include "daemon/vault.h"

struct bundle_process;
struct control;
struct job_work;

struct export_job {
	struct control *control;
	struct job_work *work;
	struct vault vault;
	char to[PATH_MAX]; /* the file's path, or the URL */
	bool is_url, moved;
	char target[HOST_KEY_ID_SIZE], who[64];
	char folder[PATH_MAX]; /* the vault's */
	bool locked;
	json_t *order;
	struct bundle_pack *pack;
	int plan, journal, part;
	int holds[1 + LAYERS_DISKS]; /* what stays as it is meanwhile */
	unsigned hold_count;
	uint64_t have;
	struct bundle_process *process;
};

/* Nobody else changes the vault, until export_unlock or the end. -EBUSY. */
int export_lock(struct export_job *e, struct error *error);
void export_unlock(struct export_job *e);
bool export_guest_runs(struct export_job *e);

/*
 * What is exported: what an earlier run has left, or begun anew, with a
 * snapshot of a guest that runs. Sets order, pack, plan and journal.
 */
int export_prepare(struct export_job *e, struct error *error);

/*
 * No layer is joined to another while they are read, and nobody writes to a
 * disk that was left in place; until export_release. -EBUSY.
 */
int export_hold(struct export_job *e, struct error *error);
void export_release(struct export_job *e);

/* Nothing of it stays; done: but what it has made. Needs the lock. */
void export_forget(struct export_job *e, bool done);

/* A path in export/, or the folder for NULL. */
void export_path(const struct export_job *e, const char *name,
		 char path[PATH_MAX]);

/* A text of the order, "" where it has none. */
const char *export_text(const struct export_job *e, const char *key);
int export_save(struct export_job *e, struct error *error);

/* NAME.part; and whether a path is the file that this order writes to. */
void export_part_path(const char *to, char path[PATH_MAX]);
bool export_is_part(const struct export_job *e, const char *path);

#endif
