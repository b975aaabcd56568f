/*
 * A vault goes to another host, or is kept as a backup: written into a bundle
 * (schema/bundle.md) and made of one. Both are jobs (job_work.h) that a
 * process without rights does the work of, and both go on, when the same is
 * asked for again, where a cut, a kill or the daemon's end has left them.
 */
#ifndef DAEMON_VAULT_MOVE_H
#define DAEMON_VAULT_MOVE_H

#include <stdbool.h>

#include "daemon/job.h"

struct control;

/* Texts are borrowed. */
struct vault_export {
	const char *vault;
	const char *to;     /* an absolute path of a file or folder, or a URL */
	bool move;          /* the lease goes along; see lease.h */
	const char *target; /* of a move: id of the host that it is for; NULL */
	const char *who;
};

/*
 * A stopped vault is locked until the end; of a running one it is the state at
 * this moment, held by a snapshot that is deleted afterwards.
 */
int job_export(struct jobs *jobs, const struct vault_export *order,
	       char id[JOB_ID_SIZE], struct error *error);

struct vault_import {
	const char *from;   /* an absolute path of a file, or a URL */
	const char *name;   /* NULL: the one it had */
	const char *signer; /* NULL, or id of the host that must have signed */
	bool check;         /* only verify it */
	const char *who;
};

int job_import(struct jobs *jobs, const struct vault_import *order,
	       char id[JOB_ID_SIZE], struct error *error);

/*
 * With the daemon's start, before vaults_recover: what was decided is brought
 * to its end, and what nobody went on with for a month is removed.
 */
void vault_import_recover(struct control *control);

#endif
