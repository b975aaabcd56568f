/*
 * The seal of a vault: its identity as the probe read it when its owner
 * sealed it, and what gives it back, byte for byte, to every later QEMU.
 *
 * In the vault's folder:
 *   seal/             acpi_tables, rsdp, loader, smbios-TYPE-HANDLE.bin: what a
 *                     start gives to the firmware (domain_start.seal);
 *                     domain.xml, fingerprint.json: as they were sealed
 *   domain.xml        the same definition; a start takes this one
 *   fingerprint.json  the same, and `check`: when the identity was last
 *                     compared, on which host, with what outcome
 *   seal.next/        a seal that is being made
 *   seals/EPOCH/      former seals; sealing anew begins another epoch
 *
 * A first seal is there from the moment that seal.next is renamed to seal, a
 * new one from the moment that the former is renamed to seals/EPOCH. What a
 * crash left before is undone, what it left after is finished, by
 * seal_recover. A start compares again when the host or the definition is not
 * as it was at the last check, and refuses a machine that has become another.
 */
#ifndef DAEMON_SEAL_H
#define DAEMON_SEAL_H

#include <jansson.h>
#include <stdbool.h>

#include "daemon/job.h"
#include "recorder/error.h"

struct control;
struct identity;
struct job_work;
struct vault;

/* It is sealed, or was and has lost its seal. */
bool seal_is(const struct control *control, const struct vault *vault);

/* Its definition is not the one that was sealed. */
bool seal_is_redefined(const struct control *control,
		       const struct vault *vault);

/*
 * Before each start, by a caller who holds the vault's lock: 0 for a vault
 * that is not sealed, or is as it was sealed. -EPERM and the first fields that
 * differ; -EBADMSG for a seal that is damaged; errors of the probe.
 */
int seal_preflight(struct control *control, const struct vault *vault,
		   struct error *error);

/* Brings what was interrupted to its end, or undoes it; with the lock. */
int seal_recover(struct control *control, const struct vault *vault,
		 struct error *error);

/*
 * The member `identity` of vault show: sealed, digest, checked_at, drift
 * ([{name, class, old, new}]); of a sealed vault also noted (the same, of
 * fields of class notice), epoch, sealed_at, snapshot and host.
 */
json_t *seal_json(const struct control *control, const struct vault *vault);

/*
 * The fields that differ from the sealed ones, as in seal_json, of all
 * classes; NULL for a vault that is not sealed, and when the seal is damaged.
 */
json_t *seal_diff(const struct control *control, const struct vault *vault,
		  const struct identity *now);

/*
 * Probes again and compares; the caller holds the lock. *result: digest,
 * drift, noted; it is there whenever a comparison was made. -EINVAL when it is
 * not sealed; else as seal_preflight.
 */
int seal_verify(struct control *control, const struct vault *vault,
		json_t **result, struct error *error);

/*
 * Seals a stopped vault, as a job: result digest, epoch, fields, snapshot, and
 * changed (the sealed fields that a former seal had otherwise). again: also
 * one that is sealed already (else -EEXIST).
 */
int job_seal(struct jobs *jobs, const char *name, bool again, const char *who,
	     char id[JOB_ID_SIZE], struct error *error);

/*
 * seal_verify as a part of a job; takes the lock. *result is NULL, and it is 0,
 * for a vault that is not sealed, or runs.
 */
int job_verify_seal(struct job_work *work, const struct vault *vault,
		    json_t **result, struct error *error);

/* seal_verify as a job; its result is that of the job. */
int job_verify_identity(struct jobs *jobs, const char *name,
			char id[JOB_ID_SIZE], struct error *error);

#endif
