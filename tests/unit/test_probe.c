/*
 * Reports of the identity probe, sound and hostile, and what becomes of them:
 * fields, classes, digests and differences.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "daemon/identity.h"
#include "daemon/probe_run.h"
#include "recorder/bytes.h"
#include "schema/embed.h"

static void put(struct buffer *b, unsigned kind, unsigned index, uint64_t key,
		const void *data, uint32_t size)
{
	buffer_put_le16(b, kind);
	buffer_put_le16(b, index);
	buffer_put_le32(b, size);
	buffer_put_le64(b, key);
	buffer_put(b, data, size);
	while (b->size % 8)
		buffer_put_u8(b, 0);
}

/* --- header ------------------------------------------------------------ */

static void make_header(uint8_t page[4096], uint64_t address, uint32_t size)
{
	static const uint32_t magic[4] = PROBE_MAGIC;

	memset(page, 0, 4096);
	for (unsigned i = 0; i < 4; i++)
		bytes_put_le32(page + 4 * i, magic[i]);
	bytes_put_le32(page + 16, PROBE_VERSION);
	bytes_put_le64(page + 24, address);
	bytes_put_le32(page + 32, size);
	bytes_put_le32(page + 36, 0x12345678);
	bytes_put_le32(page + 40, (uint32_t)crc32(0, page, 40));
}

#define MEMORY (UINT64_C(64) << 20)

static void header_is_found(void **state)
{
	struct probe_header header;
	uint8_t page[4096] = {0};

	(void)state;
	assert_int_equal(probe_header_check(page, MEMORY, &header, NULL),
			 -EAGAIN);
	make_header(page, 0x1001000, 4096);
	assert_memory_equal(page, "mediavm probe 1\n", 16);
	assert_int_equal(probe_header_check(page, MEMORY, &header, NULL), 0);
	assert_int_equal(header.address, 0x1001000);
	assert_int_equal(header.size, 4096);
	assert_int_equal(header.crc, 0x12345678);
}

static void header_that_is_being_written_is_waited_for(void **state)
{
	struct probe_header header;
	uint8_t page[4096];

	(void)state;
	for (unsigned i = 0; i < 44; i++) {
		make_header(page, 0x1001000, 4096);
		page[i] ^= 0x10;
		assert_int_equal(
			probe_header_check(page, MEMORY, &header, NULL),
			-EAGAIN);
	}
}

static void header_that_points_outside_is_refused(void **state)
{
	static const struct {
		uint64_t address;
		uint32_t size;
	} bad[] = {
		{0x1001000, 0},
		{0x1001000, 4095},
		{0x1001000, PROBE_MAX + 8},
		{MEMORY, 8},
		{MEMORY - 8, 16},
		{UINT64_MAX - 7, 16},
		{UINT64_MAX & ~UINT64_C(7), 8},
	};
	struct probe_header header;
	struct error error;
	uint8_t page[4096];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		make_header(page, bad[i].address, bad[i].size);
		assert_int_equal(
			probe_header_check(page, MEMORY, &header, &error),
			-EPROTO);
	}
	make_header(page, 0x1001000, 4096);
	bytes_put_le32(page + 20, 3); /* lost */
	bytes_put_le32(page + 40, (uint32_t)crc32(0, page, 40));
	assert_int_equal(probe_header_check(page, MEMORY, &header, &error),
			 -EPROTO);
	assert_non_null(strstr(error.text, "3 records"));
}

/* --- records ----------------------------------------------------------- */

static void records_come_in_order(void **state)
{
	struct probe_report *report;
	struct probe_record record;
	struct buffer b = {0};
	size_t pos = 0;

	(void)state;
	put(&b, PROBE_CMOS, 0, 0, "0123456789", 10);
	put(&b, PROBE_MSR, 0, 0x8b, NULL, 0);
	put(&b, PROBE_ACPI, 1, 0x54445353, "SSDT", 4);
	assert_int_equal(probe_report_parse(b.data, b.size, &report, NULL), 0);
	assert_true(probe_report_next(report, &pos, &record));
	assert_int_equal(record.kind, PROBE_CMOS);
	assert_int_equal(record.size, 10);
	assert_memory_equal(record.bytes, "0123456789", 10);
	assert_true(probe_report_next(report, &pos, &record));
	assert_int_equal(record.key, 0x8b);
	assert_int_equal(record.size, 0);
	assert_true(probe_report_next(report, &pos, &record));
	assert_int_equal(record.index, 1);
	assert_false(probe_report_next(report, &pos, &record));
	assert_int_equal(probe_report_find(report, PROBE_MSR, 0x8b, &record),
			 0);
	assert_int_equal(probe_report_find(report, PROBE_MSR, 0x8c, &record),
			 -ENOENT);
	probe_report_free(report);
	buffer_free(&b);
}

static void records_that_do_not_fit_are_refused(void **state)
{
	static const uint32_t sizes[] = {9, 16, 0x7fffffff, 0xfffffff8,
					 0xffffffff};
	struct probe_report *report;
	struct error error;
	struct buffer b = {0};

	(void)state;
	put(&b, PROBE_CMOS, 0, 0, "01234567", 8);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		bytes_put_le32(b.data + 4, sizes[i]);
		assert_int_equal(
			probe_report_parse(b.data, b.size, &report, &error),
			-EPROTO);
		assert_null(report);
	}
	bytes_put_le32(b.data + 4, 8);
	assert_int_equal(probe_report_parse(b.data, 8, &report, NULL), -EPROTO);
	assert_int_equal(probe_report_parse(b.data, 0, &report, NULL), -EPROTO);
	assert_int_equal(probe_report_parse(b.data, b.size - 1, &report, NULL),
			 -EPROTO);
	assert_int_equal(
		probe_report_parse(b.data, PROBE_MAX + 8, &report, NULL),
		-EPROTO);
	buffer_free(&b);
}

static void put_directory(struct buffer *b, uint32_t count)
{
	uint8_t directory[4 + 64] = {0};

	directory[0] = count >> 24;
	directory[3] = count & 0xff;
	directory[7] = 5; /* size */
	directory[9] = 0x28;
	strcpy((char *)directory + 12, "etc/table-loader");
	put(b, PROBE_FW_CFG_DIRECTORY, 0, 0, directory, sizeof(directory));
}

static void files_are_found_by_name(void **state)
{
	struct probe_report *report;
	struct probe_record record;
	struct buffer b = {0};

	(void)state;
	put_directory(&b, 0xff000002); /* more than there are */
	put(&b, PROBE_FW_CFG_FILE, 0, 0x28, "abcde", 5);
	assert_int_equal(probe_report_parse(b.data, b.size, &report, NULL), 0);
	assert_int_equal(probe_report_file(report, "etc/table-loader", &record),
			 0);
	assert_memory_equal(record.bytes, "abcde", 5);
	assert_int_equal(probe_report_file(report, "etc/table", &record),
			 -ENOENT);
	probe_report_free(report);
	buffer_free(&b);
}

/* --- identity ---------------------------------------------------------- */

/* A machine with little in it; `serial` is that of SMBIOS. */
static struct buffer machine(const char *serial, uint8_t command)
{
	static const uint32_t cpu[4] = {0x106a3, 0x800, 0x80982201, 0xfebfbff};
	uint8_t smbios[64] = {1, 27, 0, 1, 0, 0, 0, 1};
	uint8_t table[48] = "FACP0", pci[256] = {0x86, 0x80, 0xc0, 0x29};
	uint8_t mac[6] = {0x52, 0x54, 0, 1, 2, 3};
	uint16_t words[256] = {0};
	struct buffer b = {0};

	smbios[8] = 0x11; /* of the UUID */
	strcpy((char *)smbios + 27, serial);
	table[4] = sizeof(table);
	table[5] = 0;
	table[36] = command; /* a pointer */
	pci[4] = command;
	words[10] = 'S' << 8 | '1';
	words[27] = 'M' << 8 | 'D';
	words[100] = 1000;
	words[88] = command; /* modes */
	put(&b, PROBE_CPUID, 0, UINT64_C(1) << 32, cpu, sizeof(cpu));
	put(&b, PROBE_SMBIOS, 0, 1 << 16 | 0x100, smbios,
	    27 + (uint32_t)strlen(serial) + 2);
	put(&b, PROBE_ACPI, 0, 0x50434146, table, sizeof(table));
	memcpy(table, "DSDT", 4);
	table[36] = 0;
	put(&b, PROBE_ACPI, 0, 0x54445344, table, sizeof(table));
	put(&b, PROBE_PCI, 0, 0, pci, sizeof(pci));
	put(&b, PROBE_ATA, 0, 0xfa << 8, words, sizeof(words));
	put(&b, PROBE_MAC, 0, 0x100, mac, sizeof(mac));
	put(&b, PROBE_CPUID, 0, UINT64_C(0x80000001) << 32, cpu, 16);
	put(&b, PROBE_MSR, 0, 0x8b, NULL, 0);
	return b;
}

static struct identity *identify(struct buffer b)
{
	struct probe_report *report;
	struct identity *identity;

	assert_int_equal(probe_report_parse(b.data, b.size, &report, NULL), 0);
	assert_int_equal(identity_from_report(report, &identity, NULL), 0);
	probe_report_free(report);
	buffer_free(&b);
	return identity;
}

static void is(const struct identity *identity, const char *name,
	       const char *value)
{
	const struct identity_field *field = identity_find(identity, name);

	assert_non_null(field);
	assert_string_equal(field->value, value);
}

static void fields_have_names(void **state)
{
	struct identity *identity = identify(machine("MV1", 7));

	(void)state;
	is(identity, "cpuid.00000001.eax", "000106a3");
	/* all but SYSCALL, which depends on the mode of the probe */
	is(identity, "cpuid.80000001.edx", "0febf3ff");
	is(identity, "smbios.1.serial", "MV1");
	is(identity, "smbios.1.uuid", "00000011-0000-0000-0000-000000000000");
	is(identity, "pci.00:00.0.id", "8086:29c0");
	is(identity, "disk.0.serial", "S1");
	is(identity, "disk.0.model", "MD");
	is(identity, "disk.0.sectors", "1000");
	is(identity, "nic.0.mac", "52:54:00:01:02:03");
	is(identity, "msr.0000008b", "#GP");
	for (size_t i = 1; i < identity->count; i++)
		assert_true(strcmp(identity->fields[i - 1].name,
				   identity->fields[i].name) < 0);
	identity_free(identity);
}

static void other_processors_tell_what_differs(void **state)
{
	static const uint32_t cpu[4] = {0x106a3, 0x1000800, 0x80982201,
					0xfebfbff};
	static const uint8_t revision[8] = {0, 0, 0, 0, 1};
	struct buffer b = machine("MV1", 7);
	struct identity *identity;

	(void)state;
	put(&b, PROBE_CPUID, 1, UINT64_C(1) << 32, cpu, sizeof(cpu));
	put(&b, PROBE_CPUID, 1, UINT64_C(4) << 32 | 1, cpu, sizeof(cpu));
	put(&b, PROBE_MSR, 1, 0x8b, revision, sizeof(revision));
	put(&b, PROBE_MSR, 2, 0x8b, NULL, 0);
	put(&b, PROBE_MSR, 2, 0x200, revision, sizeof(revision));
	identity = identify(b);
	is(identity, "cpuid.00000001.ebx", "00000800");
	is(identity, "cpu1.cpuid.00000001.ebx", "01000800");
	assert_null(identity_find(identity, "cpu1.cpuid.00000001.eax"));
	is(identity, "cpu1.cpuid.00000004.1.eax", "000106a3");
	is(identity, "cpu1.msr.0000008b", "0000000100000000");
	assert_null(identity_find(identity, "cpu2.msr.0000008b"));
	assert_int_equal(identity_find(identity, "cpu1.msr.0000008b")->class,
			 IDENTITY_SEALED);
	assert_int_equal(identity_find(identity, "cpu2.msr.00000200")->class,
			 IDENTITY_MASKED);
	assert_int_equal(identity_class_of("cpu7.cpuid.40000010.eax"),
			 IDENTITY_MASKED);
	identity_free(identity);
}

static void devices_have_names(void **state)
{
	static const uint8_t inquiry[36] = "\0\0\5\2\37\0\0\0"
					   "ACME    Rocket disk     2.5+";
	static const uint8_t capacity[8] = {0, 0, 0x4f, 0xff, 0, 0, 2, 0};
	static const uint8_t serial[8] = {0, 0x80, 0, 4, 'S', '1', ' ', ' '};
	static const uint8_t device[18] = {18, 1, 0, 2, 0, 0, 0, 8, 0x27, 6, 1};
	static const uint8_t text[6] = {6, 3, 'S', 0, '2', 0};
	uint8_t block[32] = "VIRTIO1",
		edid[256] = {0, 0xff, [8] = 0x49, 0x14, 0x34, 0x12, 5};
	struct buffer b = machine("MV1", 7);
	struct identity *identity;

	(void)state;
	block[20] = 9;
	block[29] = 2;
	put(&b, PROBE_SCSI, 0, 0x0200010300, inquiry, 36);
	put(&b, PROBE_SCSI, 0, 0x0200010380, serial, 8);
	put(&b, PROBE_SCSI, 0, 0x0200010325, capacity, 8);
	put(&b, PROBE_VIRTIO_BLK, 0, 0x118, block, 32);
	put(&b, PROBE_USB, 0, 0x03001001, device, 18);
	put(&b, PROBE_USB, 0, 0x03001012, text, 6);
	put(&b, PROBE_EDID, 0, 8, edid, 256);
	identity = identify(b);
	is(identity, "scsi.02:00.0.1.3.product", "Rocket disk");
	is(identity, "scsi.02:00.0.1.3.serial", "S1");
	is(identity, "scsi.02:00.0.1.3.sectors", "20480 of 512 bytes");
	is(identity, "virtio.01:03.0.serial", "VIRTIO1");
	is(identity, "virtio.01:03.0.sectors", "9");
	is(identity, "virtio.01:03.0.block", "512");
	is(identity, "usb.03:00.0.port16.id", "0627:0001");
	is(identity, "usb.03:00.0.port16.serial", "S2");
	is(identity, "edid.00:01.0.maker", "RHT-1234");
	is(identity, "edid.00:01.0.serial", "00000005");
	identity_free(identity);
}

static void classes_follow_names(void **state)
{
	(void)state;
	assert_int_equal(identity_class_of("smbios.1.serial"), IDENTITY_SEALED);
	assert_int_equal(identity_class_of("acpi.DSDT"), IDENTITY_SEALED);
	assert_int_equal(identity_class_of("acpi.FACP.pointers"),
			 IDENTITY_MASKED);
	assert_int_equal(identity_class_of("pci.00:01.0.resources"),
			 IDENTITY_MASKED);
	assert_int_equal(identity_class_of("pci.00:01.0.config"),
			 IDENTITY_SEALED);
	assert_int_equal(identity_class_of("tpm.ek"), IDENTITY_SEALED);
	assert_int_equal(identity_class_of("tpm.pcr.sha256.00"),
			 IDENTITY_NOTICE);
	assert_int_equal(identity_class_of("tpm.pcr.sha256.04"),
			 IDENTITY_MASKED);
	assert_int_equal(identity_class_of("rom.c0000"), IDENTITY_NOTICE);
	assert_int_equal(identity_class_of("uefi.variable.MTC"),
			 IDENTITY_MASKED);
	assert_int_equal(identity_class_of("uefi.variable.PK"),
			 IDENTITY_SEALED);
}

struct seen {
	char text[512];
};

static void note(void *data, const char *name, enum identity_class class,
		 const char *before, const char *now)
{
	struct seen *seen = data;
	size_t n = strlen(seen->text);

	if (class == IDENTITY_SEALED)
		snprintf(seen->text + n, sizeof(seen->text) - n, "%s %s %s\n",
			 name, before ? before : "-", now ? now : "-");
}

static void what_is_masked_makes_no_difference(void **state)
{
	struct identity *a = identify(machine("MV1", 7));
	struct identity *b = identify(machine("MV1", 3));
	char first[IDENTITY_DIGEST_SIZE], second[IDENTITY_DIGEST_SIZE];
	struct seen seen = {""};

	(void)state;
	/* the pointer, and the command register */
	assert_int_equal(identity_diff(a, b, note, &seen), 2);
	assert_string_equal(seen.text, "");
	identity_digest(a, first);
	identity_digest(b, second);
	assert_int_equal(strlen(first), 64);
	assert_string_equal(first, second);
	identity_free(a);
	identity_free(b);
}

static void what_is_sealed_does(void **state)
{
	struct identity *a = identify(machine("MV1", 7));
	struct identity *b = identify(machine("MV2", 7));
	char first[IDENTITY_DIGEST_SIZE], second[IDENTITY_DIGEST_SIZE];
	struct seen seen = {""};

	(void)state;
	assert_int_equal(identity_diff(a, b, note, &seen), 1);
	assert_string_equal(seen.text, "smbios.1.serial MV1 MV2\n");
	identity_digest(a, first);
	identity_digest(b, second);
	assert_string_not_equal(first, second);
	/* a field that is gone */
	free(b->fields[0].name);
	free(b->fields[0].value);
	memmove(b->fields, b->fields + 1, --b->count * sizeof(*b->fields));
	assert_int_equal(identity_diff(a, b, NULL, NULL), 2);
	identity_free(a);
	identity_free(b);
}

/* A vault that was sealed before the probe knew of USB is as it was. */
static void
what_an_earlier_probe_could_not_see_makes_no_difference(void **state)
{
	static const uint8_t device[18] = {18, 1, 0, 2};
	struct identity *before = identify(machine("MV1", 7)), *now, *old;
	struct buffer b = machine("MV1", 7);
	json_t *json, *field;
	size_t i;

	(void)state;
	put(&b, PROBE_USB, 0, 0x03001001, device, 18);
	now = identify(b);
	assert_int_equal(identity_diff(before, now, NULL, NULL), 2);
	json = identity_json(before);
	json_array_foreach(json, i, field)
	{
		if (strcmp(json_string_value(json_object_get(field, "name")),
			   "probe.version") == 0)
			json_array_remove(json, i);
	}
	assert_int_equal(identity_read(json, &old, NULL), 0);
	json_decref(json);
	assert_int_equal(old->count, before->count - 1);
	assert_int_equal(identity_diff(old, now, NULL, NULL), 0);
	assert_int_equal(identity_diff(now, old, NULL, NULL), 3);
	identity_free(old);
	identity_free(now);
	identity_free(before);
}

static const char *offset_of(const uint8_t cmos[128], int64_t at)
{
	const struct probe_record record = {
		.kind = PROBE_CMOS, .bytes = cmos, .size = 128};
	struct identity *identity = calloc(1, sizeof(*identity));
	const struct identity_field *field;
	static char text[16];

	identity_add_clock(identity, &record, at);
	field = identity_find(identity, "rtc.offset");
	snprintf(text, sizeof(text), "%s", field ? field->value : "");
	identity_free(identity);
	return text;
}

static void the_clock_tells_a_zone(void **state)
{
	/* 2026-03-01 00:30:05 in BCD, of 24 hours */
	uint8_t cmos[128] = {0x05, 0, 0x30, 0,    0x00, 0, 0,
			     0x01, 3, 0x26, 0x26, 0x02, 0, 0x80};
	const int64_t utc = 1772325005;

	(void)state;
	cmos[0x32] = 0x20;
	assert_string_equal(offset_of(cmos, utc), "+00:00");
	assert_string_equal(offset_of(cmos, utc + 20), "+00:00");
	assert_string_equal(offset_of(cmos, utc - 20), "+00:00");
	assert_string_equal(offset_of(cmos, utc - 3600), "+01:00");
	assert_string_equal(offset_of(cmos, utc + 12600 + 9), "-03:30");
	assert_string_equal(offset_of(cmos, utc - 20700 - 9), "+05:45");
	assert_string_equal(offset_of(cmos, 0), "");
	cmos[2] = 0x3a;
	assert_string_equal(offset_of(cmos, utc), "");
	cmos[2] = 30;
	cmos[0] = 5;
	cmos[9] = 26;
	cmos[0x32] = 20;
	cmos[0x0b] = 0x06; /* binary */
	assert_string_equal(offset_of(cmos, utc), "+00:00");
	assert_int_equal(identity_class_of("rtc.offset"), IDENTITY_NOTICE);
}

/* The work that a report makes must not grow with its square for ever. */
static void too_many_records_are_refused(void **state)
{
	struct probe_report *report;
	struct buffer b = {0};
	struct error error;

	(void)state;
	for (unsigned i = 0; i < 32768; i++)
		put(&b, PROBE_MSR, 1, i, NULL, 0);
	assert_int_equal(probe_report_parse(b.data, b.size, &report, &error),
			 0);
	probe_report_free(report);
	put(&b, PROBE_MSR, 1, 0, NULL, 0);
	assert_int_equal(probe_report_parse(b.data, b.size, &report, &error),
			 -EPROTO);
	assert_null(report);
	buffer_free(&b);
}

static void json_there_and_back(void **state)
{
	struct identity *a = identify(machine("MV1", 7)), *b;
	json_t *json = identity_json(a);

	(void)state;
	assert_int_equal(identity_read(json, &b, NULL), 0);
	assert_int_equal(b->count, a->count);
	assert_int_equal(identity_diff(a, b, NULL, NULL), 0);
	identity_free(b);
	json_array_append_new(json, json_pack("{s:s}", "name", "x"));
	assert_int_equal(identity_read(json, &b, NULL), -EINVAL);
	assert_null(b);
	json_decref(json);
	identity_free(a);
}

static void a_report_without_a_machine_is_refused(void **state)
{
	struct probe_report *report;
	struct identity *identity;
	struct buffer b = {0};
	struct error error;

	(void)state;
	put(&b, PROBE_CMOS, 0, 0, "01234567", 8);
	assert_int_equal(probe_report_parse(b.data, b.size, &report, NULL), 0);
	assert_int_equal(identity_from_report(report, &identity, &error),
			 -EPROTO);
	assert_null(identity);
	probe_report_free(report);
	buffer_free(&b);
}

/* Every kind, with contents of every small size, of all zeros and all ones. */
static void contents_are_not_trusted(void **state)
{
	static uint8_t zeros[4200], ones[4200];
	struct probe_report *report;
	struct identity *identity;
	struct buffer b;

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	for (unsigned kind = 0; kind <= PROBE_KINDS; kind++)
		for (uint32_t size = 0; size < 600; size++) {
			uint64_t key = (uint64_t)0x17e << 32 | 0xb00;

			b = machine("MV1", 7);
			put(&b, kind, 0, kind == PROBE_TPM ? key : size, zeros,
			    size);
			put(&b, kind, 0, kind == PROBE_TPM ? key : ~0ull, ones,
			    size);
			put(&b, kind, 1, kind == PROBE_TPM ? key : size, ones,
			    size);
			assert_int_equal(probe_report_parse(b.data, b.size,
							    &report, NULL),
					 0);
			assert_int_equal(
				identity_from_report(report, &identity, NULL),
				0);
			identity_free(identity);
			probe_report_free(report);
			buffer_free(&b);
		}
}

/* A sound report with bytes changed here and there. */
static void damage_is_survived(void **state)
{
	struct probe_report *report;
	struct identity *identity;
	unsigned seed = 1;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		struct buffer b = machine("MV1", 7);

		for (unsigned j = 0; j < 3; j++)
			b.data[rand_r(&seed) % b.size] = (uint8_t)rand_r(&seed);
		if (probe_report_parse(b.data, b.size, &report, NULL) == 0) {
			if (!identity_from_report(report, &identity, NULL))
				identity_free(identity);
			probe_report_free(report);
		}
		buffer_free(&b);
	}
}

/* --- the programs ------------------------------------------------------ */

static void both_programs_are_built(void **state)
{
	const struct schema_embedded *elf = probe_files, *efi = elf + 1;

	(void)state;
	assert_string_equal(elf->name, "probe.elf");
	assert_memory_equal(elf->data,
			    "\x7f"
			    "ELF\1",
			    5);
	assert_true(elf->size < 65536);
	assert_string_equal(efi->name, "probe.efi");
	assert_memory_equal(efi->data, "MZ", 2);
	assert_memory_equal(efi->data + 0x40, "PE\0\0\x64\x86", 6);
	/* and a Linux kernel, for Secure Boot */
	assert_memory_equal(efi->data + 0x202, "HdrS", 4);
	assert_true(efi->size % 4096 == 0 && efi->size < 65536);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_is_found),
		cmocka_unit_test(header_that_is_being_written_is_waited_for),
		cmocka_unit_test(header_that_points_outside_is_refused),
		cmocka_unit_test(records_come_in_order),
		cmocka_unit_test(records_that_do_not_fit_are_refused),
		cmocka_unit_test(files_are_found_by_name),
		cmocka_unit_test(fields_have_names),
		cmocka_unit_test(other_processors_tell_what_differs),
		cmocka_unit_test(devices_have_names),
		cmocka_unit_test(classes_follow_names),
		cmocka_unit_test(what_is_masked_makes_no_difference),
		cmocka_unit_test(what_is_sealed_does),
		cmocka_unit_test(
			what_an_earlier_probe_could_not_see_makes_no_difference),
		cmocka_unit_test(the_clock_tells_a_zone),
		cmocka_unit_test(too_many_records_are_refused),
		cmocka_unit_test(json_there_and_back),
		cmocka_unit_test(a_report_without_a_machine_is_refused),
		cmocka_unit_test(contents_are_not_trusted),
		cmocka_unit_test(damage_is_survived),
		cmocka_unit_test(both_programs_are_built),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
