/*
 * What a seal gives back: QEMU's tables, out of a probe's report.
 *
 * ACPI tables are kept as QEMU gave them to the firmware, with the loader's
 * script that relocates them (QEMU: hw/acpi/bios-linker-loader.c; entries of
 * 128 bytes, a command in the first 4). Of SMBIOS the types are kept that
 * libvirt's <sysinfo> does not make.
 */
#include "daemon/seal_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/folder.h"
#include "daemon/probe_run.h"
#include "recorder/bytes.h"

#define ENTRY 128
#define ALLOCATE 1
#define WRITE_POINTER 4
#define LOG_MAX (1 << 20)

static const struct {
	const char *file, *name;
	bool needed;
} blobs[] = {
	{"acpi_tables", "etc/acpi/tables", true},
	{"rsdp", "etc/acpi/rsdp", true},
	{"loader", "etc/table-loader", true},
	{"tpm_config", "etc/tpm/config", false},
};

static int write_part(const char *folder, const char *name,
		      const struct probe_record *record, struct error *error)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return folder_write(path, record->bytes, record->size, 0644, error);
}

static bool is_known(const char *name)
{
	for (size_t i = 0; i < sizeof(blobs) / sizeof(*blobs); i++)
		if (strcmp(name, blobs[i].name) == 0)
			return true;
	return strcmp(name, "etc/tpm/log") == 0;
}

/* Nothing that the firmware would look for in vain. */
static int check_loader(const struct probe_record *loader, struct error *error)
{
	for (size_t at = 0; at + ENTRY <= loader->size; at += ENTRY) {
		const uint8_t *entry = loader->bytes + at;
		unsigned command = bytes_get_le32(entry);
		char name[57] = "";

		memcpy(name, entry + 4, 56);
		if (command == WRITE_POINTER ||
		    (command == ALLOCATE && !is_known(name)))
			return error_set(
				error, -ENOTSUP,
				"its ACPI tables need %.56s, which can't be "
				"sealed: take the device that makes it "
				"(vmgenid, NVDIMM) out of the definition",
				name);
	}
	return 0;
}

/* Of a file that the probe does not read: how long it is; 0 when not there. */
static uint32_t size_of(const struct probe_report *report, const char *name)
{
	struct probe_record directory;
	const uint8_t *entry;
	struct bytes b;

	if (probe_report_find(report, PROBE_FW_CFG_DIRECTORY, 0, &directory))
		return 0;
	b = bytes_of(directory.bytes, directory.size);
	bytes_take(&b, 4);
	while ((entry = bytes_take(&b, 64)))
		if (strncmp((const char *)entry + 8, name, 56) == 0)
			return bytes_get_be32(entry);
	return 0;
}

/* The log is empty until the firmware writes its copy. */
static int write_log(const struct probe_report *report, const char *folder,
		     struct error *error)
{
	struct probe_record record = {
		.size = size_of(report, "etc/tpm/log"),
	};
	uint8_t *zeros;
	int r;

	if (!record.size || record.size > LOG_MAX)
		return 0;
	zeros = calloc(1, record.size);
	if (!zeros)
		return error_set(error, -ENOMEM, "no memory");
	record.bytes = zeros;
	r = write_part(folder, "tpm_log", &record, error);
	free(zeros);
	return r;
}

static int write_tables(const struct probe_report *report, const char *folder,
			struct error *error)
{
	struct probe_record record;
	int r = 0;

	if (!probe_report_file(report, "etc/table-loader", &record))
		r = check_loader(&record, error);
	for (size_t i = 0; !r && i < sizeof(blobs) / sizeof(*blobs); i++) {
		if (!probe_report_file(report, blobs[i].name, &record))
			r = write_part(folder, blobs[i].file, &record, error);
		else if (blobs[i].needed)
			r = error_set(error, -EPROTO,
				      "the probe did not find %s",
				      blobs[i].name);
	}
	return r ? r : write_log(report, folder, error);
}

static bool is_kept(unsigned type)
{
	return type == 4 || type == 16 || type == 17 || type == 19 ||
	       type == 32;
}

int seal_write_parts(const struct probe_report *report, const char *folder,
		     struct error *error)
{
	struct probe_record record;
	char name[64];
	size_t pos = 0;
	int r = write_tables(report, folder, error);

	while (!r && probe_report_next(report, &pos, &record)) {
		unsigned type = record.key >> 16 & 0xff;

		if (record.kind != PROBE_SMBIOS || !is_kept(type))
			continue;
		snprintf(name, sizeof(name), "smbios-%03u-%04x.bin", type,
			 (unsigned)record.key & 0xffff);
		r = write_part(folder, name, &record, error);
	}
	return r;
}
