/*
 * The identity of a vault: what its guest sees of its hardware, field by
 * field, as the probe read it (probe_run.h).
 *
 * A field has a name ("smbios.1.serial", "cpuid.00000001.eax"), a value as
 * text, and a class that follows from the name:
 *   sealed  must never change;
 *   notice  may change for a reason that the owner should know of (firmware,
 *           TPM measurements, the guest's own UEFI variables);
 *   masked  says nothing of the machine: addresses, BARs, counters.
 */
#ifndef DAEMON_IDENTITY_H
#define DAEMON_IDENTITY_H

#include <jansson.h>
#include <stddef.h>

#include "recorder/error.h"

struct probe_report;

enum identity_class {
	IDENTITY_SEALED,
	IDENTITY_NOTICE,
	IDENTITY_MASKED,
};

struct identity_field {
	char *name, *value;
	enum identity_class class;
};

/* Sorted by name; no name is there twice. */
struct identity {
	struct identity_field *fields;
	size_t count, room;
};

#define IDENTITY_DIGEST_SIZE 65

/* -ENOMEM, or -EPROTO for a report that lacks what every machine has. */
int identity_from_report(const struct probe_report *report,
			 struct identity **identity, struct error *error);
void identity_free(struct identity *identity);

/* NULL when there is none of that name. */
const struct identity_field *identity_find(const struct identity *identity,
					   const char *name);

enum identity_class identity_class_of(const char *name);
const char *identity_class_name(enum identity_class class);

/* SHA-256, in hex, of names and values of what is sealed. */
void identity_digest(const struct identity *identity,
		     char digest[IDENTITY_DIGEST_SIZE]);

/*
 * Calls back for each field that differs, in order; a value is NULL where the
 * field is missing. Returns how many they are, of all classes. A field that
 * the probe of `before`, an earlier version, could not read is no difference.
 */
size_t identity_diff(const struct identity *before, const struct identity *now,
		     void (*each)(void *data, const char *name,
				  enum identity_class class, const char *before,
				  const char *now),
		     void *data);

/* [{"name", "class", "value"}, …] and back; -EINVAL. NULL: no memory. */
json_t *identity_json(const struct identity *identity);
int identity_read(const json_t *json, struct identity **identity,
		  struct error *error);

/* --- between identity*.c ----------------------------------------------- */

struct probe_record;

/* A field; after a failed allocation nothing is added any more. */
void identity_add(struct identity *identity, const char *name,
		  const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void identity_add_hex(struct identity *identity, const char *name,
		      const void *data, size_t size);
/* Length and SHA-256. */
void identity_add_sum(struct identity *identity, const char *name,
		      const void *data, size_t size);
/* Printable ASCII; other bytes become '?'; blanks at the ends are dropped. */
void identity_add_text(struct identity *identity, const char *name,
		       const void *text, size_t size);

/* Sorts; of fields with one name the least value stays. -ENOMEM. */
int identity_finish(struct identity *identity, struct error *error);

void identity_add_pci(struct identity *identity,
		      const struct probe_record *record);
void identity_add_acpi(struct identity *identity,
		       const struct probe_record *record);
void identity_add_smbios(struct identity *identity,
			 const struct probe_record *record, unsigned nth);
void identity_add_tpm(struct identity *identity,
		      const struct probe_record *record);
/*
 * How far the guest's clock is from UTC, which it was at the time `at` (s): a
 * zone where it has local time. Nothing where the clock says nothing.
 */
void identity_add_clock(struct identity *identity,
			const struct probe_record *cmos, int64_t at);
/* Of disks that are neither ATA nor NVMe, displays and USB devices. */
void identity_add_device(struct identity *identity,
			 const struct probe_record *record);

#endif
