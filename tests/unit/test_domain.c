/* Definitions: complete, two never alike, safe from what people type. */
#include "daemon/domain.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/tree.h>

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "daemon/domain_text.h"
#include "daemon/folder.h"

#define UUID "5e0a3c1e-8d0c-4f0b-9d56-0123456789ab"

static struct domain_spec example(void)
{
	return (struct domain_spec){
		.name = "lesson",
		.uuid = UUID,
		.memory = UINT64_C(2) << 30,
		.cpus = 2,
		.heads = 1,
		.disk = "/vaults/x/disk.qcow2",
		.disk_format = "qcow2",
	};
}

/* A definition; the caller frees it. */
static char *create(const struct domain_spec *spec)
{
	struct error e = {0};
	char *xml;

	if (domain_create(spec, &xml, &e) < 0)
		fail_msg("%s", e.text);
	return xml;
}

static void reads_back_what_it_made(void **state)
{
	struct domain_spec spec = example();
	struct domain_facts facts;
	struct error e = {0};
	char *xml = create(&spec);

	(void)state;
	assert_int_equal(domain_read(xml, &facts, &e), 0);
	assert_string_equal(facts.name, "lesson");
	assert_string_equal(facts.uuid, UUID);
	assert_int_equal(facts.memory, UINT64_C(2) << 30);
	assert_int_equal(facts.cpus, 2);
	assert_int_equal(facts.heads, 1);
	assert_string_equal(facts.machine, DOMAIN_MACHINE);
	assert_string_equal(facts.cpu_model, "Nehalem");
	assert_int_equal(strncmp(facts.mac, "52:54:00:", 9), 0);
	assert_string_equal(facts.disk, "/vaults/x/disk.qcow2");
	free(xml);
}

/* Has no place on a bus that a guest could see. */
static bool needs_no_address(xmlNodePtr device)
{
	static const char *const names[] = {"audio", "graphics", "memballoon",
					    "serial", "tpm"};
	xmlChar *bus;
	bool ps2, root;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp((const char *)device->name, names[i]) == 0)
			return true;
	bus = xmlGetProp(device, BAD_CAST "bus");
	ps2 = bus && strcmp((const char *)bus, "ps2") == 0;
	xmlFree(bus);
	bus = xmlGetProp(device, BAD_CAST "model");
	root = bus && strcmp((const char *)bus, "pcie-root") == 0;
	xmlFree(bus);
	return ps2 || root;
}

/* What two devices must not share: all attributes of the address. */
static void describe(xmlNodePtr address, char text[200])
{
	text[0] = '\0';
	for (xmlAttrPtr a = address->properties; a; a = a->next) {
		xmlChar *value = xmlGetProp(address, a->name);

		if (strcmp((const char *)a->name, "multifunction") != 0)
			snprintf(text + strlen(text), 200 - strlen(text),
				 "%s=%s ", a->name, value);
		xmlFree(value);
	}
}

static void check_addresses(const struct domain_spec *spec)
{
	char seen[40][200], *xml = create(spec);
	size_t count = 0;
	xmlDocPtr document;

	assert_int_equal(domain_text_parse(xml, &document, NULL), 0);
	for (xmlNodePtr d = domain_text_child(xmlDocGetRootElement(document),
					      "devices")
				    ->children;
	     d; d = d->next) {
		xmlNodePtr address = domain_text_child(d, "address");

		if (d->type != XML_ELEMENT_NODE || needs_no_address(d))
			continue;
		if (!address)
			fail_msg("no address: %s", d->name);
		assert_true(count < 40);
		describe(address, seen[count]);
		for (size_t i = 0; i < count; i++)
			assert_string_not_equal(seen[i], seen[count]);
		count++;
	}
	assert_true(count >= 18);
	xmlFreeDoc(document);
	free(xml);
}

static void every_device_has_its_own_address(void **state)
{
	static const char *const systems[] = {NULL, "debian12", "win7",
					      "win11"};

	(void)state;
	for (size_t i = 0; i < 4; i++)
		for (unsigned heads = 1; heads <= 4; heads++) {
			struct domain_spec spec = example();

			spec.os_id = systems[i];
			spec.heads = heads;
			spec.iso = "/vaults/x/cd.iso";
			check_addresses(&spec);
		}
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

static void monitors_are_as_the_driver_wants_them(void **state)
{
	struct domain_spec spec = example();
	struct domain_facts facts;
	char *xml;

	(void)state;
	spec.heads = 3;
	xml = create(&spec);
	assert_int_equal(count(xml, "<video>"), 1);
	assert_int_equal(domain_read(xml, &facts, NULL), 0);
	assert_int_equal(facts.heads, 3);
	free(xml);
	spec.os_id = "win10";
	xml = create(&spec);
	assert_int_equal(count(xml, "<video>"), 3);
	assert_int_equal(count(xml, "primary=\"yes\""), 1);
	assert_int_equal(domain_read(xml, &facts, NULL), 0);
	assert_int_equal(facts.heads, 3);
	free(xml);
}

static void windows_gets_what_it_needs(void **state)
{
	struct domain_spec spec = example();
	char *xml;

	(void)state;
	spec.os_id = "win11";
	spec.uefi = spec.tpm = true;
	spec.firmware = "/vaults/x/code.fd";
	spec.nvram = "/vaults/x/nvram.fd";
	xml = create(&spec);
	assert_non_null(strstr(xml, "<relaxed state=\"on\"/>"));
	assert_non_null(strstr(xml, "clock offset=\"localtime\""));
	assert_non_null(strstr(xml, "<smm state=\"on\"/>"));
	assert_non_null(strstr(xml, "secure=\"yes\">/vaults/x/code.fd<"));
	assert_non_null(strstr(xml, "<nvram>/vaults/x/nvram.fd</nvram>"));
	assert_non_null(strstr(xml, "tpm-crb"));
	assert_non_null(strstr(xml, "qemu-xhci"));
	assert_non_null(strstr(xml, "<rom enabled=\"no\"/>"));
	free(xml);
	spec = example();
	spec.os_id = "Windows10";
	xml = create(&spec);
	assert_non_null(strstr(xml, "clock offset=\"localtime\""));
	free(xml);
	spec = example();
	spec.os_id = "win7";
	xml = create(&spec);
	assert_non_null(strstr(xml, "ich9-ehci1"));
	assert_null(strstr(xml, "qemu-xhci"));
	free(xml);
}

/* Replaces what is random: "MV" and 12 of its letters, the MAC, the WWN. */
static void blank_random(char *xml)
{
	for (char *p = xml; (p = strstr(p, ">MV")); p++)
		memset(p + 1, 'x', 14);
	for (char *p = xml; (p = strstr(p, "52:54:00:")); p++)
		memset(p, 'x', 17);
	for (char *p = strstr(xml, "name=\"wwn\""); *p != '/'; p++)
		if (isdigit((unsigned char)*p))
			*p = 'x';
}

static void two_are_never_one_machine(void **state)
{
	struct domain_spec spec = example();
	struct domain_facts a, b;
	char *one = create(&spec), *two = create(&spec);

	(void)state;
	assert_int_equal(domain_read(one, &a, NULL), 0);
	assert_int_equal(domain_read(two, &b, NULL), 0);
	assert_string_not_equal(a.mac, b.mac);
	/* system, board, chassis, disk, CD-ROM */
	assert_int_equal(count(one, ">MV"), 5);
	for (char *p = one; (p = strstr(p, ">MV")); p++) {
		char serial[16];

		snprintf(serial, sizeof(serial), "%.15s", p);
		assert_null(strstr(two, serial));
		assert_int_equal(count(one, serial), 1);
	}
	assert_string_not_equal(strstr(one, "name=\"wwn\""),
				strstr(two, "name=\"wwn\""));
	blank_random(one);
	blank_random(two);
	assert_string_equal(one, two);
	free(one);
	free(two);
}

static void text_stays_text(void **state)
{
	static const char odd[] = "/v/a'\"<b>&amp;]]>%s/\xc3\xa4,b=c";
	struct domain_spec spec = example();
	struct domain_facts facts;
	xmlDocPtr document;
	xmlNodePtr os;
	xmlChar *cmdline;
	char *xml;

	(void)state;
	spec.disk = spec.iso = spec.kernel = spec.initrd = odd;
	spec.cmdline = "a=\"<b>\" </cmdline><loader>/x</loader> &lt;";
	xml = create(&spec);
	assert_int_equal(domain_read(xml, &facts, NULL), 0);
	assert_string_equal(facts.disk, odd);
	assert_int_equal(domain_text_parse(xml, &document, NULL), 0);
	os = domain_text_child(xmlDocGetRootElement(document), "os");
	cmdline = xmlNodeGetContent(domain_text_child(os, "cmdline"));
	assert_string_equal((char *)cmdline, spec.cmdline);
	assert_null(domain_text_child(os, "loader"));
	xmlFree(cmdline);
	xmlFreeDoc(document);
	free(xml);
}

static void refuse(const struct domain_spec *spec)
{
	struct error e = {0};
	char *xml;

	assert_int_equal(domain_create(spec, &xml, &e), -EINVAL);
	assert_null(xml);
	assert_true(strlen(e.text) > 10);
}

static void refuses_names(void **state)
{
	static const char *const bad[] = {"",    ".x",  "-x",       "a b",
					  "a/b", "a'b", "\xc3\xa4", "a\nb"};
	char longest[65];
	struct error e = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct domain_spec spec = example();

		spec.name = bad[i];
		refuse(&spec);
	}
	memset(longest, 'a', 64);
	longest[64] = '\0';
	assert_int_equal(domain_name_check(longest, &e), -EINVAL);
	longest[63] = '\0';
	assert_int_equal(domain_name_check(longest, &e), 0);
	assert_int_equal(domain_name_check("0-A.b_c", &e), 0);
}

#define REFUSE(field, value) \
	do { \
		struct domain_spec spec = example(); \
		spec.field = value; \
		refuse(&spec); \
	} while (0)

static void refuses_what_makes_no_vault(void **state)
{
	(void)state;
	REFUSE(uuid, "5e0a3c1e");
	REFUSE(uuid, "5e0a3c1e-8d0c-4f0b-9d56-0123456789a'");
	REFUSE(memory, 0);
	REFUSE(memory, (UINT64_C(1) << 30) + 1);
	REFUSE(cpus, 0);
	REFUSE(cpus, 65);
	REFUSE(heads, 0);
	REFUSE(heads, 5);
	REFUSE(cpu_model, "host-passthrough");
	REFUSE(cpu_model, "max");
	REFUSE(cpu_model, "Nehalem,+avx");
	REFUSE(machine, "q35");
	REFUSE(machine, "pc-q35-7.2,acpi=off");
	REFUSE(machine, "pc-i440fx-7.2");
	REFUSE(os_id, "win 10");
	REFUSE(disk, "disk.qcow2");
	REFUSE(disk_format, NULL);
	REFUSE(disk_format, "vmdk");
	REFUSE(iso, "/a\nb");
	REFUSE(iso, "/\xff");
	REFUSE(cmdline, "without a kernel");
	REFUSE(initrd, "/without/a/kernel");
	REFUSE(uefi, true);
}

static char *for_start(const char *xml, const struct domain_start *start)
{
	struct error e = {0};
	char *text;

	if (domain_for_start(xml, start, &text, &e) < 0)
		fail_msg("%s", e.text);
	return text;
}

static void a_start_changes_the_host_side_only(void **state)
{
	struct domain_spec spec = example();
	struct domain_start kvm = {
		.kvm = true,
		.emulator = "/usr/bin/q'emu",
		.serial_log = "/log/a&b",
	};
	struct domain_start tcg = {.emulator = "/usr/bin/qemu"};
	char *xml, *a, *b, *c;

	(void)state;
	spec.os_id = "win10";
	xml = create(&spec);
	a = for_start(xml, &kvm);
	b = for_start(a, &kvm);
	assert_string_equal(a, b);
	assert_non_null(strstr(a, "type=\"kvm\""));
	assert_non_null(strstr(a, "<emulator>/usr/bin/q'emu</emulator>"));
	assert_non_null(strstr(a, "path=\"/log/a&amp;b\""));
	assert_non_null(strstr(a, "<hyperv"));
	c = for_start(a, &tcg);
	assert_non_null(strstr(c, "<domain xmlns:qemu="));
	assert_non_null(strstr(c, "type=\"qemu\""));
	assert_null(strstr(c, "/log/"));
	assert_null(strstr(c, "<hyperv"));
	assert_non_null(strstr(c, "<serial type=\"null\">"));
	free(xml);
	free(a);
	free(b);
	free(c);
}

static void nothing_listens(void **state)
{
	static const char adopted[] =
		"<domain type='kvm'><name>old</name><uuid>" UUID "</uuid>"
		"<memory unit='GiB'>3</memory><vcpu>4</vcpu>"
		"<devices><graphics type='vnc' port='5900' listen='0.0.0.0'/>"
		"<graphics type='spice' port='5901' passwd='secret'>"
		"<listen type='address' address='0.0.0.0'/></graphics>"
		"<video><model type='qxl'/></video></devices></domain>";
	struct domain_start start = {.kvm = true, .emulator = "/usr/bin/qemu"};
	struct domain_facts facts;
	char *text = for_start(adopted, &start);

	(void)state;
	assert_int_equal(count(text, "<graphics"), 1);
	assert_int_equal(count(text, "<listen"), 1);
	assert_non_null(strstr(text, "<listen type=\"none\"/>"));
	assert_null(strstr(text, "590"));
	assert_null(strstr(text, "secret"));
	assert_int_equal(domain_read(text, &facts, NULL), 0);
	assert_int_equal(facts.memory, UINT64_C(3) << 30);
	assert_int_equal(facts.cpus, 4);
	assert_int_equal(facts.heads, 1);
	free(text);
}

static void refuses_what_is_no_definition(void **state)
{
	static const char *const bad[] = {
		"",
		"<",
		"hello",
		"<network/>",
		"<domain/>",
		"<!DOCTYPE domain [<!ENTITY a SYSTEM '/etc/passwd'>]>"
		"<domain><name>&a;</name><uuid>" UUID "</uuid>"
		"<memory>1</memory><vcpu>1</vcpu><devices/></domain>",
		"<domain><name>a</name><uuid>" UUID "</uuid>"
		"<memory "
		"unit='TiB'>99999999999</memory><vcpu>1</vcpu></domain>",
		"<domain><name>a</name><uuid>" UUID "</uuid>"
		"<memory>-1</memory><vcpu>1</vcpu></domain>",
		"<domain><name>a</name><uuid>1</uuid>"
		"<memory>1</memory><vcpu>1</vcpu></domain>",
		"<domain><name>a</name><uuid>" UUID "</uuid>"
		"<memory>1</memory><vcpu>x</vcpu></domain>",
	};
	struct domain_start start = {.kvm = true, .emulator = "/usr/bin/qemu"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct domain_facts facts;
		struct error e = {0};

		assert_int_equal(domain_read(bad[i], &facts, &e), -EINVAL);
		assert_true(strlen(e.text) > 10);
	}
	for (size_t i = 0; i < 6; i++) {
		struct error e = {0};
		char *text;

		assert_int_equal(domain_for_start(bad[i], &start, &text, &e),
				 -EINVAL);
		assert_null(text);
	}
}

/* The n-th argument for QEMU of a text; "" past the last. */
static char *argument(const char *text, unsigned n)
{
	static char value[600];
	xmlDocPtr document;
	xmlNodePtr node;

	value[0] = '\0';
	assert_int_equal(domain_text_parse(text, &document, NULL), 0);
	node = domain_text_child(
		domain_text_child(xmlDocGetRootElement(document),
				  "commandline"),
		"arg");
	while (node && n-- > 0)
		node = domain_text_next(node);
	if (node) {
		xmlChar *v = xmlGetProp(node, BAD_CAST "value");

		assert_non_null(node->ns);
		assert_string_equal((char *)node->ns->href,
				    DOMAIN_QEMU_NAMESPACE);
		snprintf(value, sizeof(value), "%s", v);
		xmlFree(v);
	}
	xmlFreeDoc(document);
	return value;
}

static void touch(const char *folder, const char *name)
{
	char path[300];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
}

/* A folder with a comma in its name, which QEMU wants written twice. */
static void make_seal(char folder[64])
{
	static const char *const names[] = {
		"smbios-17-1100.bin", "smbios-4-0400.bin", "smbios-1-0100.bin",
		"smbios-4-0401.bin.tmp", "other"};

	snprintf(folder, 64, "/tmp/test_domain,XXXXXX");
	assert_non_null(mkdtemp(folder));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		touch(folder, names[i]);
}

static void remove_seal(const char *folder)
{
	struct error e = {0};

	if (folder_remove(folder, &e) < 0)
		fail_msg("%s", e.text);
}

static const char bare[] =
	"<domain type='kvm'><name>old</name><uuid>" UUID "</uuid>"
	"<memory unit='GiB'>3</memory><vcpu>4</vcpu><os><type>hvm</type></os>"
	"<devices/></domain>";

static void a_seal_is_given_back(void **state)
{
	char folder[64], expected[200];
	struct domain_start start = {
		.emulator = "/usr/bin/qemu",
		.firmware = "/v/fw",
		.pidfile = "/run/x.pid",
		.seal = folder,
	};
	char *text;

	(void)state;
	make_seal(folder);
	touch(folder, "rsdp");
	touch(folder, "loader");
	assert_int_equal(domain_for_start(bare, &start, &text, NULL), -EINVAL);
	touch(folder, "acpi_tables");
	text = for_start(bare, &start);
	assert_string_equal(argument(text, 0), "-L");
	assert_string_equal(argument(text, 1), "/v/fw");
	assert_string_equal(argument(text, 2), "-pidfile");
	assert_string_equal(argument(text, 3), "/run/x.pid");
	assert_string_equal(argument(text, 4), "-machine");
	assert_string_equal(argument(text, 5), "acpi=off");
	snprintf(expected, sizeof(expected),
		 "name=etc/acpi/tables,file=/tmp/test_domain,,%s/acpi_tables",
		 strchr(folder, ',') + 1);
	assert_string_equal(argument(text, 7), expected);
	assert_non_null(strstr(argument(text, 9), "etc/acpi/rsdp,file="));
	assert_non_null(strstr(argument(text, 11), "etc/table-loader,file="));
	assert_string_equal(argument(text, 12), "-smbios");
	assert_non_null(strstr(argument(text, 13), "/smbios-17-1100.bin"));
	assert_non_null(strstr(argument(text, 15), "/smbios-4-0400.bin"));
	assert_string_equal(argument(text, 16), "");
	free(text);
	remove_seal(folder);
	assert_int_equal(domain_for_start(bare, &start, &text, NULL), -ENOENT);
}

static void a_moved_vault_starts_from_where_it_is(void **state)
{
	struct domain_start start = {
		.emulator = "/usr/bin/qemu",
		.folder = "/new/place",
	};
	struct domain_spec spec = example();
	struct domain_facts facts;
	char *xml, *text;

	(void)state;
	spec.disk = "/old & state/vaults/" UUID "/disks/disk.qcow2";
	spec.kernel = "/old/vaults/" UUID "/boot/kernel";
	spec.initrd = "/elsewhere/" UUID "/initrd";
	spec.cmdline = "/old/vaults is not a path";
	xml = create(&spec);
	text = for_start(xml, &start);
	assert_int_equal(domain_read(text, &facts, NULL), 0);
	assert_string_equal(facts.disk, "/new/place/disks/disk.qcow2");
	assert_non_null(strstr(text, "<kernel>/new/place/boot/kernel<"));
	assert_non_null(strstr(text, "<initrd>/elsewhere/" UUID "/initrd<"));
	assert_non_null(strstr(text, "<cmdline>/old/vaults is not a path<"));
	free(text);
	free(xml);
}

static void a_probe_reaches_no_disk(void **state)
{
	static const struct domain_stand_in disk = {"/vaults/x/disk.qcow2",
						    "/tmp/empty", "raw"};
	struct domain_start start = {.emulator = "/usr/bin/qemu",
				     .kernel = "/lib/probe"};
	struct domain_spec spec = example();
	char *xml, *text;

	(void)state;
	spec.iso = "/vaults/x/cd.iso";
	spec.kernel = "/vaults/x/kernel";
	spec.initrd = "/vaults/x/initrd";
	spec.cmdline = "quiet";
	spec.uefi = true;
	spec.firmware = "/vaults/x/code.fd";
	spec.nvram = "/vaults/x/nvram.fd";
	xml = create(&spec);
	assert_int_equal(domain_for_start(xml, &start, &text, NULL), -EINVAL);
	start.stand_ins = &disk;
	start.stand_in_count = 1;
	assert_int_equal(domain_for_start(xml, &start, &text, NULL), -EINVAL);
	start.nvram = "/tmp/nvram";
	text = for_start(xml, &start);
	assert_non_null(strstr(text, "<kernel>/lib/probe</kernel>"));
	assert_non_null(strstr(text, "<source file=\"/tmp/empty\"/>"));
	assert_non_null(strstr(text, "<driver name=\"qemu\" type=\"raw\""));
	assert_non_null(strstr(text, "<nvram>/tmp/nvram</nvram>"));
	assert_non_null(strstr(text, "/vaults/x/code.fd"));
	assert_null(strstr(text, "disk.qcow2"));
	assert_null(strstr(text, "cd.iso"));
	assert_null(strstr(text, "/vaults/x/nvram.fd"));
	assert_null(strstr(text, "initrd"));
	assert_null(strstr(text, "quiet"));
	/* Emulated firmware does not wait for what is not there. */
	assert_non_null(strstr(text, "\"-icount\""));
	free(text);
	start.kvm = true;
	text = for_start(xml, &start);
	assert_null(strstr(text, "-icount"));
	free(text);
	free(xml);
	start.kvm = false;
	spec.tpm = true;
	xml = create(&spec);
	text = for_start(xml, &start);
	assert_null(strstr(text, "-icount"));
	free(text);
	free(xml);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_back_what_it_made),
		cmocka_unit_test(every_device_has_its_own_address),
		cmocka_unit_test(monitors_are_as_the_driver_wants_them),
		cmocka_unit_test(windows_gets_what_it_needs),
		cmocka_unit_test(two_are_never_one_machine),
		cmocka_unit_test(text_stays_text),
		cmocka_unit_test(refuses_names),
		cmocka_unit_test(refuses_what_makes_no_vault),
		cmocka_unit_test(a_start_changes_the_host_side_only),
		cmocka_unit_test(nothing_listens),
		cmocka_unit_test(a_seal_is_given_back),
		cmocka_unit_test(a_moved_vault_starts_from_where_it_is),
		cmocka_unit_test(a_probe_reaches_no_disk),
		cmocka_unit_test(refuses_what_is_no_definition),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
