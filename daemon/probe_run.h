/*
 * The identity probe of a vault: its own hardware, booted for a moment with a
 * small program of ours (daemon/probe/) that reads identity from inside.
 *
 * The licensed disks are not touched: the guest gets empty stand-ins of the
 * same size and identity, and copies of firmware variables and TPM state; a
 * TPM that has no state yet gets the one that was made for the probe. It
 * is a guest of its own for the hypervisor, but is told the vault's UUID. All
 * that is made for it is gone when probe_run returns; what a killed daemon
 * leaves behind goes with probe_clean.
 */
#ifndef DAEMON_PROBE_RUN_H
#define DAEMON_PROBE_RUN_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/probe/report.h"
#include "recorder/error.h"

struct control;
struct vault;
struct vault_source;

struct probe_report {
	uint8_t *data; /* records, see daemon/probe/report.h */
	size_t size;
	int64_t read_at;    /* s since 1970; 0: not known */
	unsigned start_ms;  /* until QEMU ran */
	unsigned report_ms; /* until the report was read */
	unsigned total_ms;  /* until nothing of the probe was left */
};

struct probe_record {
	enum probe_kind kind;
	unsigned index;
	uint64_t key;
	const uint8_t *bytes; /* borrowed of the report */
	uint32_t size;
};

/*
 * Probes a vault that does not run; holds its lock (vaults_lock) meanwhile.
 * -EBUSY: it runs or is being changed; -ETIMEDOUT: no report came; -EPIPE:
 * QEMU ended before; -EPROTO: the report is damaged.
 */
int probe_run(struct control *control, const struct vault *vault,
	      struct probe_report **report, struct error *error);
/* The same for a caller who holds the lock; source: see vault_start_text. */
int probe_run_locked(struct control *control, const struct vault *vault,
		     const struct vault_source *source,
		     struct probe_report **report, struct error *error);
void probe_report_free(struct probe_report *report);

/* Ends a probe that a killed daemon left, and removes its files. */
void probe_clean(struct control *control, const char *vault_uuid);

/* A report from its bytes, which are copied: -EPROTO unless it is sound. */
int probe_report_parse(const void *data, size_t size,
		       struct probe_report **report, struct error *error);

/*
 * The record at *pos, which begins at 0: 1, or 0 after the last. The guest is
 * not trusted, but the records of a parsed report are within its bounds.
 */
int probe_report_next(const struct probe_report *report, size_t *pos,
		      struct probe_record *record);

/* The first record of a kind and key; 0, or -ENOENT. */
int probe_report_find(const struct probe_report *report, enum probe_kind kind,
		      uint64_t key, struct probe_record *record);

/* A file of fw_cfg by its name, such as "etc/acpi/tables"; 0, or -ENOENT. */
int probe_report_file(const struct probe_report *report, const char *name,
		      struct probe_record *record);

/* Where a header may be, and what it says: 0, -EAGAIN when there is none yet,
 * -EPROTO when it is damaged or points outside memory (bytes). */
int probe_header_check(const void *page, uint64_t memory,
		       struct probe_header *header, struct error *error);

#endif
