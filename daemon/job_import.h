/*
 * An import, or the check of a bundle: what job_import.c and
 * job_import_stage.c share.
 *
 * STATE/import/KEY/, KEY made of where the bundle comes from, holds what is
 * there of it: `plan` as it was in the bundle, the journal of records that are
 * written, order.json (the plan's digest, what a transfer keeps), and UUID/,
 * the vault's folder to be. It is gone on with when the same is asked for
 * again, and removed when the bundle is bad. A check has no folder.
 */
#ifndef DAEMON_JOB_IMPORT_H
#define DAEMON_JOB_IMPORT_H

#include <jansson.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/bundle.h"
#include "daemon/host_key.h"

struct bundle_process;
struct control;
struct job_work;

#define IMPORT_KEY_SIZE 33

struct import_job {
	struct control *control;
	struct job_work *work;
	char *from;
	char name[64], signer[HOST_KEY_ID_SIZE], who[64];
	bool is_url, check;
	char key[IMPORT_KEY_SIZE];
	char folder[PATH_MAX]; /* STATE/import/KEY */
	int lock, plan_fd, journal, input;
	pthread_mutex_t order_lock; /* two threads tell what to keep */
	json_t *order;
	struct bundle_plan *plan;
	uint32_t plan_size;
	uint8_t plan_digest[BUNDLE_DIGEST];
	char signed_by[HOST_KEY_ID_SIZE];
	json_t *record; /* the lease that came along */
	struct bundle_process *process;
	int r; /* of the stream: it is bad for good */
	struct error error;
};

/* The folder, locked, with what an earlier run has left, or empty. */
int import_prepare(struct import_job *i, struct error *error);
/* Empties it, but for the lock. */
int import_begin_anew(struct import_job *i, struct error *error);

/* Where in the bundle it goes on; 0: at its beginning. */
int import_position(struct import_job *i, uint64_t *position,
		    struct error *error);

/* The process that reads the bundle from fd, which stays the caller's. */
int import_start(struct import_job *i, int fd, struct error *error);

/* What the vault will be called; after the plan has come. */
const char *import_name(const struct import_job *i);

/* Writes the order with another member; takes value. NULL: as it is. */
int import_save(struct import_job *i, const char *key, json_t *value,
		struct error *error);

#endif
