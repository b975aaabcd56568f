/* An identity out of a report of the probe; see identity.h. */
#include "daemon/identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/probe_run.h"
#include "recorder/bytes.h"

struct counts {
	unsigned smbios[256], disks, cdroms, nvmes, nics, memory, tables;
};

static uint64_t get(const struct probe_record *record, size_t at, size_t size)
{
	uint64_t value = 0;

	while (size--)
		value = value << 8 |
			(at + size < record->size ? record->bytes[at + size]
						  : 0);
	return value;
}

/*
 * Intel's processors show SYSCALL in 64-bit mode only (SDM volume 2A, CPUID,
 * leaf 80000001H), and so does the emulation of newer QEMUs; the probe in a
 * BIOS guest looks from 32-bit mode.
 */
static unsigned without_mode(unsigned leaf, unsigned nth, unsigned value)
{
	return leaf == 0x80000001 && nth == 3 ? value & ~(1u << 11) : value;
}

/* "cpu1." for the second processor, "" for the first. */
static int put_processor(char name[64], const struct probe_record *record)
{
	name[0] = '\0';
	return record->index ? snprintf(name, 64, "cpu%u.", record->index) : 0;
}

static void add_cpuid(struct identity *identity,
		      const struct probe_record *record,
		      const struct probe_record *first)
{
	static const char *const registers[] = {"eax", "ebx", "ecx", "edx"};
	unsigned leaf = record->key >> 32, subleaf = (uint32_t)record->key;
	char name[64];
	int n = put_processor(name, record);

	n += snprintf(name + n, sizeof(name) - (size_t)n, "cpuid.%08x.", leaf);
	if (subleaf)
		n += snprintf(name + n, sizeof(name) - (size_t)n, "%u.",
			      subleaf);
	for (unsigned i = 0; i < 4; i++) {
		unsigned value = (unsigned)get(record, 4 * i, 4);

		if (first && get(first, 4 * i, 4) == value)
			continue;
		strcpy(name + n, registers[i]);
		identity_add(identity, name, "%08x",
			     without_mode(leaf, i, value));
	}
}

static void add_msr(struct identity *identity,
		    const struct probe_record *record,
		    const struct probe_record *first)
{
	char name[64];
	int n = put_processor(name, record);

	if (first && first->size == record->size &&
	    get(first, 0, 8) == get(record, 0, 8))
		return;
	snprintf(name + n, sizeof(name) - (size_t)n, "msr.%08x",
		 (unsigned)record->key);
	if (record->size == 8)
		identity_add(identity, name, "%016llx",
			     (unsigned long long)get(record, 0, 8));
	else
		identity_add(identity, name, "#GP");
}

/* Of another processor only what is not as with the first. */
static void add_processor(struct identity *identity,
			  const struct probe_report *report,
			  const struct probe_record *record)
{
	const struct probe_record *first = NULL;
	struct probe_record found;

	if (record->index &&
	    !probe_report_find(report, record->kind, record->key, &found) &&
	    !found.index)
		first = &found;
	if (record->kind == PROBE_CPUID)
		add_cpuid(identity, record, first);
	else
		add_msr(identity, record, first);
}

/* The texts that CPUID spells in registers. */
static void add_cpu_texts(struct identity *identity,
			  const struct probe_report *report)
{
	struct probe_record record;
	uint8_t text[48] = {0};

	if (!probe_report_find(report, PROBE_CPUID, 0, &record) &&
	    record.size == 16) {
		memcpy(text, record.bytes + 4, 4);
		memcpy(text + 4, record.bytes + 12, 4);
		memcpy(text + 8, record.bytes + 8, 4);
		identity_add_text(identity, "cpu.vendor", text, 12);
	}
	for (uint64_t i = 0; i < 3; i++) {
		if (probe_report_find(report, PROBE_CPUID,
				      (UINT64_C(0x80000002) + i) << 32,
				      &record) ||
		    record.size != 16)
			return;
		memcpy(text + 16 * i, record.bytes, 16);
	}
	identity_add_text(identity, "cpu.brand", text,
			  strnlen((char *)text, sizeof(text)));
}

/* ATA strings have their bytes swapped in each word (ACS-3, 3.4.9). */
static void add_words(struct identity *identity, const char *name,
		      const struct probe_record *record, unsigned first,
		      unsigned last)
{
	char text[64];
	unsigned n = 0;

	for (unsigned i = first; i <= last; i++) {
		text[n++] = (char)get(record, 2 * i + 1, 1);
		text[n++] = (char)get(record, 2 * i, 1);
	}
	identity_add_text(identity, name, text, n);
}

static void add_ata(struct identity *identity,
		    const struct probe_record *record, const char *kind,
		    unsigned nth)
{
	/* words that drivers set: geometry, modes, features, checksum */
	static const uint8_t set[] = {54, 55, 56, 57, 58, 59, 62,
				      63, 85, 86, 87, 88, 93, 255};
	uint8_t words[512];
	char name[64];
	int n = snprintf(name, sizeof(name), "%s.%u.", kind, nth);

	if (record->size != sizeof(words))
		return;
	memcpy(words, record->bytes, sizeof(words));
	for (size_t i = 0; i < sizeof(set); i++)
		memset(words + 2 * set[i], 0, 2);
	strcpy(name + n, "place");
	identity_add(identity, name, "%02x:%02x.%x port %u",
		     (unsigned)(record->key >> 16 & 0xff),
		     (unsigned)(record->key >> 11 & 0x1f),
		     (unsigned)(record->key >> 8 & 7),
		     (unsigned)(record->key & 0xff));
	strcpy(name + n, "serial");
	add_words(identity, name, record, 10, 19);
	strcpy(name + n, "firmware");
	add_words(identity, name, record, 23, 26);
	strcpy(name + n, "model");
	add_words(identity, name, record, 27, 46);
	strcpy(name + n, "wwn");
	identity_add(
		identity, name, "%04x%04x%04x%04x",
		(unsigned)get(record, 216, 2), (unsigned)get(record, 218, 2),
		(unsigned)get(record, 220, 2), (unsigned)get(record, 222, 2));
	strcpy(name + n, "sectors");
	identity_add(identity, name, "%llu",
		     (unsigned long long)(get(record, 200, 8)
						  ? get(record, 200, 8)
						  : get(record, 120, 4)));
	strcpy(name + n, "identify");
	identity_add_sum(identity, name, words, sizeof(words));
}

static void add_nvme(struct identity *identity,
		     const struct probe_record *record, unsigned nth)
{
	static const struct {
		const char *name;
		unsigned at, size;
	} texts[] = {{"serial", 4, 20}, {"model", 24, 40}, {"firmware", 64, 8}};
	char name[64];

	for (size_t i = 0; i < 3 && record->size >= 72; i++) {
		snprintf(name, sizeof(name), "nvme.%u.%s", nth, texts[i].name);
		identity_add_text(identity, name, record->bytes + texts[i].at,
				  texts[i].size);
	}
}

static void add_mac(struct identity *identity,
		    const struct probe_record *record, unsigned nth)
{
	const uint8_t *p = record->bytes;
	char name[64];

	snprintf(name, sizeof(name), "nic.%u.mac", nth);
	if (record->size == 6)
		identity_add(identity, name, "%02x:%02x:%02x:%02x:%02x:%02x",
			     p[0], p[1], p[2], p[3], p[4], p[5]);
}

static void add_cmos(struct identity *identity,
		     const struct probe_record *record)
{
	uint8_t cmos[128];

	if (record->size != sizeof(cmos))
		return;
	memcpy(cmos, record->bytes, sizeof(cmos));
	memset(cmos, 0, 0x0e); /* the clock */
	cmos[0x32] = 0;        /* its century */
	identity_add_hex(identity, "cmos", cmos, sizeof(cmos));
}

static void add_memory(struct identity *identity,
		       const struct probe_record *record, bool uefi,
		       unsigned nth)
{
	char name[64];

	snprintf(name, sizeof(name), "memory.%s.%03u", uefi ? "uefi" : "e820",
		 nth);
	identity_add(identity, name, "%016llx %016llx %llu",
		     (unsigned long long)get(record, 0, 8),
		     (unsigned long long)get(record, 8, 8),
		     (unsigned long long)get(record, 16, 8));
}

static void add_rom(struct identity *identity,
		    const struct probe_record *record)
{
	char name[64];

	snprintf(name, sizeof(name), "rom.%05x", (unsigned)record->key);
	identity_add(identity, name, "%u bytes, crc32 %08x",
		     (unsigned)get(record, 0, 4), (unsigned)get(record, 4, 4));
}

/* What QEMU told the firmware, each file by its name. */
static void add_files(struct identity *identity,
		      const struct probe_report *report)
{
	struct probe_record directory, file;
	const uint8_t *entry;
	struct bytes b;
	char name[80];

	if (probe_report_find(report, PROBE_FW_CFG_DIRECTORY, 0, &directory))
		return;
	b = bytes_of(directory.bytes, directory.size);
	bytes_take(&b, 4);
	while ((entry = bytes_take(&b, 64))) {
		int n = snprintf(name, sizeof(name), "fw_cfg.%.56s",
				 (const char *)entry + 8);

		for (int i = 0; i < n; i++)
			if (name[i] <= ' ' || name[i] > '~')
				name[i] = '?';
		if (!probe_report_find(report, PROBE_FW_CFG_FILE,
				       (unsigned)entry[4] << 8 | entry[5],
				       &file))
			identity_add_sum(identity, name, file.bytes, file.size);
		else
			identity_add(identity, name, "%u bytes",
				     bytes_get_be32(entry));
	}
}

static void add_guid(struct identity *identity, const char *name,
		     const uint8_t *p)
{
	identity_add(identity, name,
		     "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
		     "%02x%02x%02x%02x%02x%02x",
		     p[3], p[2], p[1], p[0], p[5], p[4], p[7], p[6], p[8], p[9],
		     p[10], p[11], p[12], p[13], p[14], p[15]);
}

/* UTF-16 as ASCII; size in bytes. */
static size_t narrow(char *to, size_t room, const uint8_t *from, size_t size)
{
	size_t n = 0;

	for (; n + 1 < room && 2 * n + 1 < size; n++)
		to[n] = from[2 * n + 1] || from[2 * n] <= ' ' ||
					from[2 * n] > '~'
				? (from[2 * n] == ' ' ? ' ' : '?')
				: (char)from[2 * n];
	to[n] = '\0';
	return n;
}

static void add_uefi_system(struct identity *identity,
			    const struct probe_record *record)
{
	char vendor[129];

	if (record->size < 8)
		return;
	identity_add(identity, "uefi.specification", "%08x",
		     (unsigned)get(record, 0, 4));
	identity_add(identity, "uefi.revision", "%08x",
		     (unsigned)get(record, 4, 4));
	narrow(vendor, sizeof(vendor), record->bytes + 8, record->size - 8);
	identity_add(identity, "uefi.vendor", "%s", vendor);
}

static void add_uefi_variable(struct identity *identity,
			      const struct probe_record *record)
{
	struct bytes b = bytes_of(record->bytes, record->size);
	const uint8_t *text;
	char name[128] = "uefi.variable.";
	size_t length;

	bytes_take(&b, 20); /* vendor, attributes */
	length = bytes_le32(&b);
	text = bytes_take(&b, length);
	if (!text)
		return;
	narrow(name + strlen(name), sizeof(name) - strlen(name), text, length);
	/* with vendor and attributes */
	identity_add_sum(identity, name, record->bytes, record->size);
}

static void add_record(struct identity *identity,
		       const struct probe_report *report,
		       const struct probe_record *record, bool uefi,
		       struct counts *counts)
{
	char name[64];

	switch (record->kind) {
	case PROBE_CPUID:
	case PROBE_MSR:
		add_processor(identity, report, record);
		break;
	case PROBE_SMBIOS_ENTRY:
		identity_add_hex(identity, "smbios.entry", record->bytes,
				 record->size);
		break;
	case PROBE_SMBIOS:
		identity_add_smbios(identity, record,
				    counts->smbios[record->key >> 16 & 0xff]++);
		break;
	case PROBE_ACPI_RSDP:
		identity_add_hex(identity, "acpi.rsdp", record->bytes,
				 record->size);
		break;
	case PROBE_ACPI:
		identity_add_acpi(identity, record);
		break;
	case PROBE_PCI:
		identity_add_pci(identity, record);
		break;
	case PROBE_ATA:
		add_ata(identity, record, "disk", counts->disks++);
		break;
	case PROBE_ATAPI:
		add_ata(identity, record, "cdrom", counts->cdroms++);
		break;
	case PROBE_NVME:
		add_nvme(identity, record, counts->nvmes++);
		break;
	case PROBE_MAC:
		add_mac(identity, record, counts->nics++);
		break;
	case PROBE_CMOS:
		add_cmos(identity, record);
		identity_add_clock(identity, record, report->read_at);
		break;
	case PROBE_MEMORY:
		add_memory(identity, record, uefi, counts->memory++);
		break;
	case PROBE_ROM:
		add_rom(identity, record);
		break;
	case PROBE_TPM:
		identity_add_tpm(identity, record);
		break;
	case PROBE_UEFI_SYSTEM:
		add_uefi_system(identity, record);
		break;
	case PROBE_UEFI_TABLE:
		snprintf(name, sizeof(name), "uefi.table.%02u",
			 counts->tables++);
		if (record->size == 16)
			add_guid(identity, name, record->bytes);
		break;
	case PROBE_UEFI_VARIABLE:
		add_uefi_variable(identity, record);
		break;
	case PROBE_VIRTIO_BLK:
	case PROBE_SCSI:
	case PROBE_EDID:
	case PROBE_USB:
		identity_add_device(identity, record);
		break;
	default:
		break;
	}
}

/* Without these no machine has been looked at. */
static int check(const struct identity *identity, struct error *error)
{
	static const char *const needed[] = {"cpuid.00000001.eax",
					     "smbios.1.uuid", "acpi.FACP",
					     "acpi.DSDT", "pci.00:00.0.id"};

	for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++)
		if (!identity_find(identity, needed[i]))
			return error_set(error, -EPROTO,
					 "the probe did not find %s",
					 needed[i]);
	return 0;
}

int identity_from_report(const struct probe_report *report,
			 struct identity **identity, struct error *error)
{
	struct counts *counts = calloc(1, sizeof(*counts));
	struct probe_record record;
	size_t pos = 0;
	bool uefi = !probe_report_find(report, PROBE_UEFI_SYSTEM, 0, &record);
	int r;

	*identity = calloc(1, sizeof(**identity));
	if (!*identity || !counts) {
		free(*identity);
		*identity = NULL;
		free(counts);
		return error_set(error, -ENOMEM, "no memory");
	}
	while (probe_report_next(report, &pos, &record))
		add_record(*identity, report, &record, uefi, counts);
	add_cpu_texts(*identity, report);
	identity_add(*identity, "probe.version", "%u", PROBE_VERSION);
	add_files(*identity, report);
	free(counts);
	r = identity_finish(*identity, error);
	if (!r)
		r = check(*identity, error);
	if (r) {
		identity_free(*identity);
		*identity = NULL;
	}
	return r;
}
