/* What was unpacked from a bundle: our own is taken, an enemy's is not. */
#include "daemon/bundle_judge.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "daemon/disk.h"
#include "daemon/domain.h"
#include "daemon/folder.h"
#include "recorder/bytes.h"

#define UUID "5e0a3c1e-8d0c-4f0b-9d56-0123456789ab"
#define HOME "/var/lib/mediavm/vaults/" UUID "/"

static struct error e;
static struct bundle_plan plan;
static char folder[] = "/tmp/judge-XXXXXX";

static char *create(const char *os, bool uefi, bool boot)
{
	const struct domain_spec spec = {
		.name = "lesson",
		.uuid = UUID,
		.memory = UINT64_C(2) << 30,
		.cpus = 2,
		.heads = 2,
		.os_id = os,
		.uefi = uefi,
		.tpm = uefi,
		.disk = HOME "disks/disk.qcow2",
		.disk_format = "qcow2",
		.iso = HOME "disks/cd.iso",
		.firmware = HOME "fw/code.fd",
		.nvram = uefi ? HOME "nvram/vars.fd" : NULL,
		.kernel = boot ? HOME "boot/kernel" : NULL,
		.cmdline = boot ? "init=/sbin/init root=/dev/sda" : NULL,
	};
	char *xml;

	assert_int_equal(domain_create(&spec, &xml, &e), 0);
	return xml;
}

static int judge(const char *xml)
{
	error_clear(&e);
	return bundle_judge_domain(xml, &plan, &e);
}

static void our_own_are_taken(void **state)
{
	static const char *const oses[] = {NULL, "win10", "win7", "debian12"};

	(void)state;
	for (unsigned i = 0; i < 16; i++) {
		char *xml = create(oses[i % 4], i & 4, i & 8);
		int r = judge(xml);

		if (r)
			fail_msg("%s", e.text);
		free(xml);
	}
}

/* The definition with something else in place of a part, which must be there */
static int with(const char *part, const char *other)
{
	char *xml = create("win10", true, true), *text;
	const char *at = strstr(xml, part);
	int r;

	if (!at)
		fail_msg("there is no %s", part);
	assert_true(asprintf(&text, "%.*s%s%s", (int)(at - xml), xml, other,
			     at + strlen(part)) > 0);
	r = judge(text);
	free(text);
	free(xml);
	return r;
}

static void what_reaches_for_the_host_is_refused(void **state)
{
	static const char *const changes[][2] = {
		/* files */
		{HOME "disks/disk.qcow2", "/etc/shadow"},
		{HOME "disks/disk.qcow2", HOME "../../../../etc/shadow"},
		{HOME "disks/disk.qcow2", HOME "disks/../../../x"},
		{HOME "disks/disk.qcow2", "shadow"},
		{HOME "disks/disk.qcow2", "nbd://host/x"},
		{HOME "fw/code.fd", "/etc/shadow"},
		{HOME "nvram/vars.fd", "/root/.ssh/authorized_keys"},
		{HOME "boot/kernel", "/etc/shadow"},
		{"<source file=", "<source index='1' dir='/etc' file="},
		{"<backingStore/>", "<backingStore type='file'><source "
				    "file='/etc/shadow'/></backingStore>"},
		{"<disk type=\"file\" device=\"disk\">",
		 "<disk type=\"block\" device=\"disk\">"},
		/* Nobody looks at a medium's image: it may stand on any. */
		{"type=\"raw\"", "type=\"qcow2\""},
		{"type=\"raw\"", "type=\"vmdk\""},
		{"device=\"disk\">", "device=\"lun\">"},
		{"type=\"qcow2\"", "type=\"vmdk\""},
		{"device=\"disk\">",
		 "device=\"disk\"><source file='" HOME "disks/disk.qcow2'/>"},
		{"<nvram>", "<nvram format='qcow2'>"},
		{"<loader ", "<loader format='qcow2' "},
		/* devices */
		{"<backend type=\"emulator\"",
		 "<backend type='passthrough' model='builtin'"},
		{"<devices>",
		 "<devices><hostdev mode='subsystem' type='usb'/>"},
		{"<devices>", "<devices><filesystem><source dir='/'/>"
			      "<target dir='x'/></filesystem>"},
		{"<devices>", "<devices><shmem name='x'/>"},
		{"<devices>", "<devices><input type='evdev'><source "
			      "dev='/dev/input/event0'/></input>"},
		{"<devices>", "<devices><serial type='file'><source "
			      "path='/root/x'/></serial>"},
		{"<devices>", "<devices><console type='null'><log "
			      "file='/root/x'/></console>"},
		{"<devices>", "<devices><channel type='unix'><source "
			      "mode='connect' path='/run/x'/></channel>"},
		{"<devices>", "<devices><serial type='tcp'><source "
			      "host='1.2.3.4' service='5'/></serial>"},
		{"<devices>", "<devices><rng model='virtio'><backend "
			      "model='random'>/dev/sda</backend></rng>"},
		{"<devices>", "<devices><audio id='2' type='oss'/>"},
		{"<backend type=\"emulator\"", "<backend type=\"passthrough\""},
		{"<interface type=\"user\">", "<interface type=\"network\">"},
		{"<devices>", "<devices><interface type='user'>"
			      "<mac address='52:54:00:12:34:56'/></interface>"},
		{"value=\"isolated\"", "value=\"hostua-net0\""},
		/* QEMU */
		{"hubport,id=isolated,hubid=0", "user,id=isolated"},
		{"<qemu:commandline>",
		 "<qemu:commandline><qemu:arg value='-chardev'/><qemu:arg "
		 "value='socket,id=x'/>"},
		{"<qemu:commandline>",
		 "<qemu:commandline><qemu:arg value='-fw_cfg'/><qemu:arg "
		 "value='name=opt/x,file=/etc/shadow'/>"},
		{"<qemu:commandline>",
		 "<qemu:commandline><qemu:arg value='-smbios'/><qemu:arg "
		 "value='file=x'/>"},
		{"<qemu:commandline>",
		 "<qemu:commandline><qemu:arg value='-global'/><qemu:arg "
		 "value='e1000e.romfile=x'/>"},
		{"<qemu:commandline>",
		 "<qemu:commandline><qemu:env name='LD_PRELOAD' "
		 "value='x.so'/>"},
		{"<qemu:commandline>",
		 "<qemu:commandline><qemu:arg value='-snapshot'/>"},
		{"name=\"ver\"", "name=\"drive\""},
		/* Of another namespace it is nothing to libvirt. */
		{"<qemu:override>", "<override xmlns='urn:x'/><qemu:override>"},
		{"<qemu:override>", "<qemu:override xmlns:qemu='urn:x'>"},
		{"<qemu:frontend>", "<qemu:frontend xmlns:qemu='urn:x'>"},
		{"<interface type=\"user\">",
		 "<interface type=\"user\"><x:alias xmlns:x='urn:x' "
		 "name='ua-net0'/>"},
		{"<source file=", "<source xmlns:x='urn:x' x:file='" HOME
				  "disks/disk.qcow2' file="},
		/* the rest */
		{"<uuid>5e0a3c1e", "<uuid>5e0a3c1f"},
		{"<devices>", "<seclabel type='none'/><devices>"},
		{"<devices>", "<memoryBacking><source type='file'/>"
			      "</memoryBacking><devices>"},
		{"<devices>", "<launchSecurity type='sev'/><devices>"},
		{"</devices>", "</devices><devices><hostdev/></devices>"},
		{"<sysinfo type=\"smbios\">", "<sysinfo type=\"fwcfg\">"},
		{"<domain ", "<!DOCTYPE domain [<!ENTITY x SYSTEM "
			     "'/etc/shadow'>]><domain "},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(changes) / sizeof(*changes); i++)
		if (with(changes[i][0], changes[i][1]) != -EINVAL)
			fail_msg("%s was taken", changes[i][1]);
}

/* --- images ----------------------------------------------------------- */

static int enter(void **state)
{
	(void)state;
	strcpy(plan.uuid, UUID);
	return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave(void **state)
{
	(void)state;
	return chdir("/") == 0 && folder_remove(folder, &e) == 0 ? 0 : -1;
}

static int judge_image(const char *path, const char *format,
		       const char *backing)
{
	const char *on = backing ? "qcow2" : NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC), r;

	error_clear(&e);
	r = bundle_judge_image(fd, format, backing, on, &e);
	close(fd);
	return r;
}

static void images_stand_on_what_is_said(void **state)
{
	(void)state;
	assert_int_equal(disk_create("one.qcow2", 1 << 24, &e), 0);
	assert_int_equal(
		disk_create_on("two.qcow2", "one.qcow2", "qcow2", 1 << 24, &e),
		0);
	assert_int_equal(judge_image("one.qcow2", "qcow2", NULL), 0);
	assert_int_equal(judge_image("two.qcow2", "qcow2", "one.qcow2"), 0);
	assert_int_equal(judge_image("two.qcow2", "qcow2", NULL), -EINVAL);
	assert_int_equal(judge_image("two.qcow2", "qcow2", "one.qcow"),
			 -EINVAL);
	assert_int_equal(judge_image("one.qcow2", "qcow2", "two.qcow2"),
			 -EINVAL);
	/* A raw image is its guest's, whatever it looks like. */
	assert_int_equal(judge_image("two.qcow2", "raw", NULL), 0);
	assert_int_equal(judge_image("two.qcow2", "raw", "one.qcow2"), -EINVAL);
	/* A raw one below would be opened as what it looks like. */
	assert_int_equal(disk_create_on("raw-below.qcow2", "one.qcow2", "raw",
					1 << 24, &e),
			 0);
	assert_int_equal(judge_image("raw-below.qcow2", "qcow2", "one.qcow2"),
			 -EINVAL);
	assert_int_equal(
		system("qemu-img create -q -f qcow2 unsaid.qcow2 16M &&"
		       "printf '\\0\\0\\0\\0\\0\\0\\4\\0\\0\\0\\0\\11' |"
		       "dd of=unsaid.qcow2 bs=1 seek=8 conv=notrunc "
		       "status=none &&"
		       "printf one.qcow2 |"
		       "dd of=unsaid.qcow2 bs=1 seek=1024 conv=notrunc "
		       "status=none"),
		0);
	assert_int_equal(judge_image("unsaid.qcow2", "qcow2", "one.qcow2"),
			 -EINVAL);
	assert_int_equal(
		disk_create_on("bad.qcow2", "json:{}", "raw", 1 << 24, &e), 0);
	assert_int_equal(judge_image("bad.qcow2", "qcow2", NULL), -EINVAL);
}

static void data_in_other_files_is_refused(void **state)
{
	(void)state;
	assert_int_equal(
		system("qemu-img create -q -f qcow2 -o data_file=data.raw "
		       "out.qcow2 16M"),
		0);
	assert_int_equal(judge_image("out.qcow2", "qcow2", NULL), -EINVAL);
}

static void damaged_headers_are_refused(void **state)
{
	uint8_t head[4096];
	FILE *file;

	(void)state;
	assert_int_equal(disk_create("good.qcow2", 1 << 24, &e), 0);
	file = fopen("good.qcow2", "r");
	assert_int_equal(fread(head, 1, sizeof(head), file), sizeof(head));
	fclose(file);
	for (unsigned i = 0; i < 6; i++) {
		static const struct {
			unsigned at;
			uint8_t byte;
		} changes[] = {{0, 'X'},    {7, 9},  {72, 0xff},
			       {102, 0xff}, {14, 1}, {79, 4}};
		uint8_t bad[4096];

		memcpy(bad, head, sizeof(bad));
		bad[changes[i].at] = changes[i].byte;
		file = fopen("bad.qcow2", "w");
		fwrite(bad, 1, sizeof(bad), file);
		fclose(file);
		assert_int_equal(judge_image("bad.qcow2", "qcow2", NULL),
				 -EINVAL);
	}
	assert_int_equal(truncate("good.qcow2", 90), 0);
	assert_int_equal(judge_image("good.qcow2", "qcow2", NULL), -EINVAL);
}

/* --- a whole folder --------------------------------------------------- */

static void write_text(const char *path, const char *text)
{
	assert_int_equal(folder_write(path, text, strlen(text), 0600, &e), 0);
}

static struct bundle_file files[] = {
	{.path = "disks/cd.iso"},        {.path = "disks/disk.qcow2"},
	{.path = "disks/layer-1.qcow2"}, {.path = "disks/layers.json"},
	{.path = "domain.xml"},          {.path = "seal/domain.xml"},
};

static int judge_folder(void)
{
	char path[100];

	snprintf(path, sizeof(path), "%s/" UUID, folder);
	plan.files = files;
	plan.count = sizeof(files) / sizeof(*files);
	error_clear(&e);
	return bundle_judge(path, &plan, &e);
}

static void layers(const char *active, const char *backing)
{
	char text[600];

	snprintf(text, sizeof(text),
		 "{\"version\":1,\"base\":\"disk.qcow2\",\"size\":16777216,"
		 "\"next\":2,\"active\":\"%s\",\"parent\":\"\",\"restore\":"
		 "\"\",\"layers\":[{\"file\":\"disk.qcow2\",\"format\":"
		 "\"qcow2\",\"backing\":\"\"},{\"file\":\"layer-1.qcow2\","
		 "\"format\":\"qcow2\",\"backing\":\"%s\"}],\"snapshots\":[]}",
		 active, backing);
	write_text(UUID "/disks/layers.json", text);
}

static void folders_are_judged(void **state)
{
	char *xml = create("win10", true, false);
	char *bad;

	(void)state;
	assert_int_equal(mkdir(UUID, 0700) | mkdir(UUID "/disks", 0700) |
				 mkdir(UUID "/seal", 0700),
			 0);
	write_text(UUID "/domain.xml", xml);
	write_text(UUID "/seal/domain.xml", xml);
	assert_int_equal(disk_create(UUID "/disks/disk.qcow2", 1 << 24, &e), 0);
	assert_int_equal(disk_create_on(UUID "/disks/layer-1.qcow2",
					"disk.qcow2", "qcow2", 1 << 24, &e),
			 0);
	layers("layer-1.qcow2", "disk.qcow2");
	if (judge_folder())
		fail_msg("%s", e.text);
	layers("layer-1.qcow2", "");
	assert_int_equal(judge_folder(), -EINVAL);
	layers("layer-7.qcow2", "disk.qcow2");
	assert_int_equal(judge_folder(), -EINVAL);
	layers("layer-1.qcow2", "../x");
	assert_int_equal(judge_folder(), -EINVAL);
	layers("layer-1.qcow2", "disk.qcow2");
	/* The sealed definition takes the other's place in a recovery. */
	bad = strdup(xml);
	memcpy(strstr(bad, "type=\"user\""), "type=\"vdpa\"", 11);
	write_text(UUID "/seal/domain.xml", bad);
	assert_int_equal(judge_folder(), -EINVAL);
	assert_non_null(strstr(e.text, "seal/domain.xml"));
	write_text(UUID "/seal/domain.xml", xml);
	assert_int_equal(unlink(UUID "/disks/disk.qcow2"), 0);
	assert_int_not_equal(judge_folder(), 0);
	free(bad);
	free(xml);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(our_own_are_taken),
		cmocka_unit_test(what_reaches_for_the_host_is_refused),
		cmocka_unit_test(images_stand_on_what_is_said),
		cmocka_unit_test(data_in_other_files_is_refused),
		cmocka_unit_test(damaged_headers_are_refused),
		cmocka_unit_test(folders_are_judged),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
