/*
 * The files of a seal: what a report gives them, what is said of a difference,
 * and that no change of theirs goes unseen.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/domain.h"
#include "daemon/folder.h"
#include "daemon/probe_run.h"
#include "daemon/seal_file.h"
#include "recorder/bytes.h"

static char folder[64];

static int set_up(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/test_seal.XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	return folder_remove(folder, NULL);
}

static const char *in_folder(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

/* --- parts out of a report --------------------------------------------- */

static void put(struct buffer *b, unsigned kind, uint64_t key, const void *data,
		uint32_t size)
{
	buffer_put_le16(b, kind);
	buffer_put_le16(b, 0);
	buffer_put_le32(b, size);
	buffer_put_le64(b, key);
	buffer_put(b, data, size);
	while (b->size % 8)
		buffer_put_u8(b, 0);
}

#define FILES 5

static const struct {
	const char *name;
	unsigned size;
} files[FILES] = {
	{"etc/acpi/tables", 300},  {"etc/acpi/rsdp", 20},
	{"etc/table-loader", 256}, {"etc/tpm/config", 6},
	{"etc/tpm/log", 4000},
};

/* As the probe leaves it: of the log only that it is there. */
static struct probe_report *make_report(const uint8_t loader[256])
{
	uint8_t directory[4 + FILES * 64] = {0, 0, 0, FILES}, data[300];
	static const uint8_t structure[] = {4, 6, 0, 4, 1, 2, 'a', 'b', 0, 0};
	static const uint8_t board[] = {2, 4, 0, 2, 0, 0};
	struct probe_report *report;
	struct buffer b = {0};

	for (unsigned i = 0; i < FILES; i++) {
		uint8_t *entry = directory + 4 + 64 * i;

		entry[2] = files[i].size >> 8;
		entry[3] = files[i].size & 0xff;
		entry[5] = 0x20 + i;
		strcpy((char *)entry + 8, files[i].name);
	}
	put(&b, PROBE_FW_CFG_DIRECTORY, 0, directory, sizeof(directory));
	for (unsigned i = 0; i < FILES - 1; i++) {
		memset(data, 'a' + (int)i, sizeof(data));
		put(&b, PROBE_FW_CFG_FILE, 0x20 + i, i == 2 ? loader : data,
		    files[i].size);
	}
	put(&b, PROBE_SMBIOS, 4 << 16 | 0x400, structure, sizeof(structure));
	put(&b, PROBE_SMBIOS, 2 << 16 | 0x200, board, sizeof(board));
	assert_int_equal(probe_report_parse(b.data, b.size, &report, NULL), 0);
	buffer_free(&b);
	return report;
}

static void allocate(uint8_t loader[256], const char *name)
{
	memset(loader, 0, 256);
	loader[0] = 1;
	strcpy((char *)loader + 4, "etc/acpi/tables");
	loader[128] = 1;
	strcpy((char *)loader + 132, name);
}

static size_t size_of(const char *name)
{
	FILE *file = fopen(in_folder(name), "r");
	long size;

	if (!file)
		return 0;
	fseek(file, 0, SEEK_END);
	size = ftell(file);
	fclose(file);
	return (size_t)size;
}

static void a_report_gives_the_parts(void **state)
{
	struct probe_report *report;
	uint8_t loader[256];

	(void)state;
	allocate(loader, "etc/tpm/log");
	report = make_report(loader);
	assert_int_equal(seal_write_parts(report, folder, NULL), 0);
	probe_report_free(report);
	assert_int_equal(size_of("acpi_tables"), 300);
	assert_int_equal(size_of("rsdp"), 20);
	assert_int_equal(size_of("loader"), 256);
	assert_int_equal(size_of("tpm_config"), 6);
	assert_int_equal(size_of("tpm_log"), 4000);
	assert_int_equal(size_of("smbios-004-0400.bin"), 10);
	/* libvirt makes that one. */
	assert_int_equal(size_of("smbios-002-0200.bin"), 0);
}

static void a_script_that_needs_more_is_refused(void **state)
{
	struct probe_report *report;
	struct error error;
	uint8_t loader[256];

	(void)state;
	allocate(loader, "etc/vmgenid_guid");
	report = make_report(loader);
	assert_int_equal(seal_write_parts(report, folder, &error), -ENOTSUP);
	assert_non_null(strstr(error.text, "etc/vmgenid_guid"));
	probe_report_free(report);
}

/* --- the fingerprint --------------------------------------------------- */

static json_t *make_fingerprint(void)
{
	return json_pack("{s:i, s:i, s:s, s:[{s:s, s:s, s:s}]}", "version",
			 SEAL_VERSION, "epoch", 3, "digest", "00", "fields",
			 "name", "cpu.brand", "class", "sealed", "value",
			 "Intel");
}

static void a_fingerprint_is_read_back(void **state)
{
	json_t *json = make_fingerprint();
	struct seal *seal;

	(void)state;
	assert_int_equal(seal_file_write(in_folder("f"), json, NULL), 0);
	json_object_set_new(json, "check", json_string("later"));
	assert_int_equal(seal_file_write(in_folder("g"), json, NULL), 0);
	json_decref(json);
	assert_int_equal(seal_file_read(in_folder("f"), &seal, NULL), 0);
	assert_string_equal(identity_find(seal->identity, "cpu.brand")->value,
			    "Intel");
	seal_free(seal);
	/* `check` is not sealed. */
	assert_int_equal(seal_file_read(in_folder("g"), &seal, NULL), 0);
	seal_free(seal);
	assert_int_equal(seal_file_read(in_folder("h"), &seal, NULL), -ENOENT);
}

/* Without folder_write's waiting for the disk. */
static bool is_good(const char *text, size_t size)
{
	FILE *file = fopen(in_folder("f"), "w");
	struct seal *seal;

	assert_non_null(file);
	fwrite(text, 1, size, file);
	fclose(file);
	seal_file_read(in_folder("f"), &seal, NULL);
	seal_free(seal);
	return seal != NULL;
}

/* Whatever byte is another, and wherever the file ends. */
static void no_change_of_a_fingerprint_goes_unseen(void **state)
{
	json_t *json = make_fingerprint();
	char *text, *other;
	size_t size, unseen = 0;

	(void)state;
	assert_int_equal(seal_file_write(in_folder("f"), json, NULL), 0);
	json_decref(json);
	assert_int_equal(folder_read(in_folder("f"), 10000, &text, NULL), 0);
	size = strlen(text);
	other = malloc(size + 1);
	assert_non_null(other);
	for (size_t i = 0; i < size; i++) {
		memcpy(other, text, size + 1);
		other[i] ^= 1;
		/* Blanks between are no part of it. */
		if (text[i] == ' ' || text[i] == '\n')
			other[i] = 'x';
		unseen += is_good(other, size);
		unseen += is_good(text, i);
	}
	assert_int_equal(unseen, 0);
	assert_true(is_good(text, size));
	free(other);
	free(text);
}

/* --- what is said ------------------------------------------------------ */

static void a_difference_is_told_plainly(void **state)
{
	json_t *diff = json_pack(
		"[{s:s, s:s, s:s}, {s:s, s:s, s:s}, {s:s, s:n, s:s}, "
		"{s:s, s:s, s:n}, {s:s, s:s, s:s}]",
		"name", "disk.0.identify", "old",
		"512 bytes, sha256 0123456789012345678901234567890123456789",
		"new",
		"512 bytes, sha256 1123456789012345678901234567890123456789",
		"name", "cpu.brand", "old", "Intel", "new", "Other", "name",
		"nic.1.mac", "old", "new", "52:54:00:00:00:01", "name",
		"tpm.ek", "old", "00", "new", "name", "cpuid.1.eax", "old", "1",
		"new", "2");
	char text[240], little[40];

	(void)state;
	assert_non_null(diff);
	seal_describe(diff, text, sizeof(text));
	assert_string_equal(text,
			    "cpu.brand was \"Intel\", is \"Other\"; "
			    "nic.1.mac was absent, is "
			    "\"52:54:00:00:00:01\"; tpm.ek was \"00\", is "
			    "absent; and 2 more");
	seal_describe(diff, little, sizeof(little));
	assert_int_equal(strncmp(little, "cpu.brand was", 13), 0);
	json_decref(diff);
}

static void a_change_of_the_host_is_told(void **state)
{
	json_t *before = json_pack("{s:s, s:s, s:s}", "qemu", "7.2", "kernel",
				   "6.1", "programs", "aa");
	json_t *now = json_pack("{s:s, s:s, s:s}", "qemu", "10.0", "kernel",
				"6.1", "programs", "bb");
	char text[200];

	(void)state;
	seal_host_diff(before, now, text, sizeof(text));
	assert_string_equal(text, "QEMU (7.2, now 10.0)");
	json_object_set_new(now, "qemu", json_string("7.2"));
	seal_host_diff(before, now, text, sizeof(text));
	assert_string_equal(text, "files of QEMU or libvirt");
	seal_host_diff(before, before, text, sizeof(text));
	assert_string_equal(text, "");
	json_decref(before);
	json_decref(now);
}

/* --- features ---------------------------------------------------------- */

#define DOMAIN \
	"<domain type='kvm'><cpu><model>Nehalem</model>" \
	"<feature policy='disable' name='vme'/></cpu></domain>"

static void features_are_written_out(void **state)
{
	char cpu[2000] = "<cpu><model>Nehalem</model>"
			 "<feature policy='require' name='vme'/>"
			 "<feature policy='disable' name='avx'/>",
	     name[32], *xml;

	(void)state;
	for (unsigned i = 0; i < 20; i++)
		sprintf(cpu + strlen(cpu),
			"<feature policy='require' name='f%u'/>", i);
	strcat(cpu, "</cpu>");
	assert_int_equal(domain_add_features(DOMAIN, cpu, &xml, NULL), 0);
	for (unsigned i = 0; i < 20; i++) {
		sprintf(name, "name=\"f%u\"", i);
		assert_non_null(strstr(xml, name));
	}
	/* What the definition says of one stays. */
	assert_null(strstr(strstr(xml, "vme") + 1, "vme"));
	assert_null(strstr(xml, "avx"));
	free(xml);
	/* Another model's say nothing of this one. */
	memcpy(strstr(cpu, "Nehalem"), "Penryn ", 7);
	assert_int_equal(domain_add_features(DOMAIN, cpu, &xml, NULL), 0);
	assert_null(strstr(xml, "f1"));
	free(xml);
}

/* --- definitions ------------------------------------------------------- */

#define QEMU "xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'"
#define MACHINE \
	"<domain type='kvm' " QEMU "><name>a</name>" \
	"<clock offset='utc'/><features><acpi/><apic/></features><devices>" \
	"<disk type='file'><driver cache='none'/><source file='/a'/>" \
	"<serial>A</serial></disk>" \
	"<disk><serial>B</serial><boot order='1'/></disk>" \
	"<sound model='ich9'><codec type='duplex'/></sound></devices>" \
	"<qemu:commandline><qemu:arg value='-L'/><qemu:arg value='x'/>" \
	"</qemu:commandline></domain>"

/* The text of a definition in which one piece is another. */
static char *edit(const char *piece, const char *by)
{
	const char *at = strstr(MACHINE, piece);
	char *text;

	assert_non_null(at);
	assert_true(asprintf(&text, "%.*s%s%s", (int)(at - MACHINE), MACHINE,
			     by, at + strlen(piece)) > 0);
	return text;
}

static void changed_definitions_are_told(void **state)
{
	static const struct {
		const char *piece, *by, *told;
	} edits[] = {
		{"'kvm'", "'qemu'", ""},
		{"<name>a</name>", "<title>t</title><!-- c -->", ""},
		{"<driver cache='none'/><source file='/a'/>", "", ""},
		{"<boot order='1'/>", "<boot order='2'/>", ""},
		{"</qemu:commandline>",
		 "<qemu:arg value='-fw_cfg'/>"
		 "<qemu:arg value='name=opt/a,string=b'/></qemu:commandline>",
		 ""},
		{"'utc'", "'localtime'",
		 "definition.clock.offset was \"utc\", is \"localtime\""},
		{"<acpi/>", "",
		 "definition.features.acpi was \"yes\", is absent"},
		{"<acpi/>", "<acpi/><pae/>",
		 "definition.features.pae was absent, is \"yes\""},
		{"B</s", "C</s",
		 "definition.devices.disk#2.serial was \"B\", is \"C\""},
		{"duplex", "micro",
		 "definition.devices.sound.codec.type was \"duplex\", is "
		 "\"micro\""},
		{"'x'", "'y'",
		 "definition.commandline.arg#2.value was \"x\", is \"y\""},
	};
	char *now, told[200];
	json_t *diff;

	(void)state;
	for (size_t i = 0; i < sizeof(edits) / sizeof(*edits); i++) {
		now = edit(edits[i].piece, edits[i].by);
		assert_int_equal(
			seal_definition_diff(MACHINE, now, &diff, NULL), 0);
		seal_describe(diff, told, sizeof(told));
		assert_string_equal(told, edits[i].told);
		json_decref(diff);
		free(now);
	}
	assert_int_equal(seal_definition_diff(MACHINE, "<x/>", &diff, NULL),
			 -EINVAL);
	assert_null(diff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_report_gives_the_parts,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_script_that_needs_more_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_fingerprint_is_read_back,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			no_change_of_a_fingerprint_goes_unseen, set_up,
			tear_down),
		cmocka_unit_test(a_difference_is_told_plainly),
		cmocka_unit_test(a_change_of_the_host_is_told),
		cmocka_unit_test(features_are_written_out),
		cmocka_unit_test(changed_definitions_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
