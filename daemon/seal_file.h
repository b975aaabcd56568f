/*
 * The files of a seal; between seal*.c.
 *
 * fingerprint.json: version, epoch, uuid, sealed_at, sealed_by, accelerator,
 * digest, snapshot, host (as seal_host gives it), fields (as identity_json
 * gives them), files (SHA-256 by name: seal/… and fw/…), before ({epoch,
 * digest, sealed_at} of the former seal, each maybe null), changed (what it had
 * otherwise), disks (as digest_roots gives them), and sum, the SHA-256 of all
 * this as compact JSON with sorted names. `check` is not in the sum: of the
 * vault's own copy it is when the identity was compared last ("at"), on which
 * host, with which definition, and what differed (drift, noted).
 */
#ifndef DAEMON_SEAL_FILE_H
#define DAEMON_SEAL_FILE_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>

#include "daemon/identity.h"
#include "recorder/error.h"

#define SEAL_VERSION 1
#define SEAL_EPOCH_MAX 1000000
#define SEAL_DIGEST_SIZE 65

struct control;
struct probe_report;
struct vault;
struct vault_source;

struct seal {
	json_t *json;
	struct identity *identity;
};

/* -ENOENT; -EBADMSG when it is not as it was written. */
int seal_file_read(const char *path, struct seal **seal, struct error *error);
void seal_free(struct seal *seal);

/* From 1 on. */
json_int_t seal_epoch(const struct seal *seal);

/* Sets the sum, and writes it whole. */
int seal_file_write(const char *path, json_t *json, struct error *error);

/*
 * SHA-256 of every file of the seal in `folder` (its fingerprint excepted), and
 * of the vault's firmware, by name.
 */
int seal_list_files(const struct control *control, const struct vault *vault,
		    const char *folder, json_t **files, struct error *error);

/* Compares them with those that were sealed: -EBADMSG names the first. */
int seal_check_files(const struct control *control, const struct vault *vault,
		     const struct seal *seal, struct error *error);

/* SHA-256 of a file, in hex. */
int seal_file_digest(const char *path, char hex[SEAL_DIGEST_SIZE],
		     struct error *error);
void seal_bytes_digest(const void *data, size_t size,
		       char hex[SEAL_DIGEST_SIZE]);

/*
 * What of the host has a say in a guest's identity, each as a text: QEMU,
 * libvirt, kernel, processor, accelerator, … last: an earlier one or NULL, of
 * which QEMU's version is taken while its files are the same.
 */
int seal_host(struct control *control, const struct vault *vault,
	      const json_t *last, json_t **host, struct error *error);
/* "QEMU (7.2 before, 10.0 now), kernel (…)"; "" when they are equal. */
void seal_host_diff(const json_t *before, const json_t *now, char *text,
		    size_t size);

/* [{name, class, old, new}, …] of one class, NULL: no memory. */
json_t *seal_fields_diff(const struct identity *before,
			 const struct identity *now, enum identity_class class);

/*
 * "smbios.1.serial was "A", is "B"; …", and how many more there are.
 */
void seal_describe(const json_t *diff, char *text, size_t size);

/*
 * The same of two definitions (XML), as far as they are the guest's machine
 * and not the host's side of it; -EINVAL for what is no definition.
 */
int seal_definition_diff(const char *before, const char *now, json_t **diff,
			 struct error *error);

/*
 * Whether disks, TPM and firmware variables of the vault are those that were
 * sealed, as far as their files tell; where not, a probe has to look.
 * -EBADMSG when one is missing that the guest would get a new one for.
 */
int seal_state_check(struct control *control, const struct vault *vault,
		     const struct seal *seal, bool *same, struct error *error);

/* What a fingerprint says of a new seal. */
struct seal_new {
	struct control *control;
	const struct vault *vault;
	const struct identity *identity;
	const struct seal *former; /* or NULL */
	const char *who;
};

/*
 * The fingerprint of the seal in `folder`, whose other files are there; with
 * the name of a snapshot that is not there yet.
 */
int seal_record(const struct seal_new *new, const char *folder, json_t **json,
		struct error *error);

/* What a vault's probe reads now; the caller holds the lock. */
int seal_probe(struct control *control, const struct vault *vault,
	       const struct vault_source *source, struct identity **identity,
	       struct probe_report **report, struct error *error);

/*
 * Writes what a seal gives back into the folder: ACPI tables and SMBIOS
 * structures of a report.
 */
int seal_write_parts(const struct probe_report *report, const char *folder,
		     struct error *error);

#endif
