/*
 * What a start pins besides the definition: firmware of the vault's own, the
 * place of the TPM's state, the lock by which a machine runs once.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "daemon/control.h"
#include "daemon/domain.h"
#include "daemon/firmware.h"
#include "daemon/folder.h"
#include "daemon/hypervisor_root.h"
#include "daemon/instance.h"

#define UUID "5e0a3c1e-8d0c-4f0b-9d56-0123456789ab"

static char work[64];

static int make_work(void **state)
{
	(void)state;
	strcpy(work, "/tmp/test_pins.XXXXXX");
	return mkdtemp(work) ? 0 : -1;
}

static int remove_work(void **state)
{
	(void)state;
	return folder_remove(work, NULL);
}

/* The path of a name in the work folder; four at a time. */
static const char *at(const char *name)
{
	static char paths[4][200];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, 200, "%s/%s", work, name);
	return path;
}

static void put(const char *name, const void *data, size_t size, mode_t mode)
{
	struct error e = {0};

	if (folder_write(at(name), data, size, mode, &e) < 0)
		fail_msg("%s", e.text);
}

static void make(const char *name)
{
	assert_int_equal(mkdir(at(name), 0700), 0);
}

static bool says(const char *name, const char *text)
{
	char *found = NULL;
	bool same = folder_read(at(name), 1000, &found, NULL) == 0 &&
		    strcmp(found, text) == 0;

	free(found);
	return same;
}

/* An "emulator" whose folders are two of ours and one that is not there. */
static void make_emulator(void)
{
	char script[600];

	make("one");
	make("two");
	snprintf(script, sizeof(script),
		 "#!/bin/sh\n[ \"$*\" = '-L help' ] || exit 1\n"
		 "echo %s/none\necho %s/one\necho %s/two\n",
		 work, work, work);
	put("qemu", script, strlen(script), 0700);
}

static void firmware_is_what_the_emulator_finds_first(void **state)
{
	static const char bios[] = "GCC: 12.2\0"
				   "rel-1.16.3-0-ga6ed6b7\0\0";
	struct error e = {0};
	char version[64];

	(void)state;
	make_emulator();
	make("fw");
	put("one/vgabios-qxl.bin", "first", 5, 0600);
	put("two/vgabios-qxl.bin", "second", 6, 0600);
	put("two/efi-e1000e.rom", "rom", 3, 0600);
	put("two/slof.bin", "not a PC's", 10, 0600);
	assert_int_equal(firmware_copy(at("qemu"), at("fw"), false, &e),
			 -ENOENT);
	assert_non_null(strstr(e.text, "seabios"));
	put("two/bios-256k.bin", bios, sizeof(bios), 0600);
	assert_int_equal(firmware_copy(at("qemu"), at("fw"), false, &e), 0);
	assert_true(firmware_is_there(at("fw")));
	assert_true(says("fw/vgabios-qxl.bin", "first"));
	assert_int_equal(access(at("fw/efi-e1000e.rom"), F_OK), -1);
	assert_int_equal(access(at("fw/slof.bin"), F_OK), -1);
	firmware_version(at("fw"), version, sizeof(version));
	assert_string_equal(version, "rel-1.16.3-0-ga6ed6b7");
	assert_int_equal(firmware_copy(at("qemu"), at("fw"), true, &e), 0);
	assert_true(says("fw/efi-e1000e.rom", "rom"));
	assert_int_equal(firmware_copy(at("none"), at("fw"), true, &e),
			 -ENOENT);
}

static void a_tpm_keeps_its_state_in_the_vault(void **state)
{
	struct error e = {0};
	char target[200] = "";

	(void)state;
	make("root");
	make("root/lib");
	make("root/lib/swtpm");
	make("root/lib/swtpm/" UUID);
	put("root/lib/swtpm/" UUID "/state", "key", 3, 0600);
	make("tpm");
	make("elsewhere");
	/* State of an earlier time moves over. */
	assert_int_equal(
		hypervisor_root_place_tpm(at("root"), UUID, at("tpm"), &e), 0);
	assert_true(says("tpm/state", "key"));
	assert_true(says("root/lib/swtpm/" UUID "/state", "key"));
	assert_int_equal(
		hypervisor_root_place_tpm(at("root"), UUID, at("tpm"), &e), 0);
	/* The vault was moved. */
	assert_int_equal(hypervisor_root_place_tpm(at("root"), UUID,
						   at("elsewhere"), &e),
			 0);
	assert_true(readlink(at("root/lib/swtpm/" UUID), target, 199) > 0);
	assert_string_equal(target, at("elsewhere"));
	/* State at both places: which one is right is not for us to say. */
	assert_int_equal(unlink(at("root/lib/swtpm/" UUID)), 0);
	make("root/lib/swtpm/" UUID);
	put("root/lib/swtpm/" UUID "/state", "other", 5, 0600);
	assert_int_equal(
		hypervisor_root_place_tpm(at("root"), UUID, at("tpm"), &e),
		-EEXIST);
	assert_true(says("tpm/state", "key"));
}

static char *definition(const char *name, const char *mac, const char *disk)
{
	char *xml;

	assert_true(asprintf(&xml,
			     "<domain type='kvm'><name>%s</name><uuid>" UUID
			     "</uuid><memory unit='GiB'>1</memory>"
			     "<vcpu>1</vcpu><os><type>hvm</type></os><devices>"
			     "<disk><source file='%s'/><serial>S1</serial>"
			     "</disk><interface type='user'><mac address='%s'/>"
			     "</interface></devices></domain>",
			     name, disk, mac) > 0);
	return xml;
}

static void a_copy_is_the_same_machine(void **state)
{
	char *one = definition("a", "52:54:00:00:00:01", "/a");
	char *copy = definition("b", "52:54:00:00:00:01", "/b");
	char *other = definition("a", "52:54:00:00:00:02", "/a");
	char x[DOMAIN_IDENTITY_SIZE], y[DOMAIN_IDENTITY_SIZE];

	(void)state;
	assert_int_equal(domain_identity(one, x, NULL), 0);
	assert_int_equal(strlen(x), 64);
	assert_int_equal(domain_identity(copy, y, NULL), 0);
	assert_string_equal(x, y);
	assert_int_equal(domain_identity(other, y, NULL), 0);
	assert_string_not_equal(x, y);
	assert_int_equal(domain_identity("<x/>", y, NULL), -EINVAL);
	free(one);
	free(copy);
	free(other);
}

/* As QEMU holds it. */
static int hold(const char *path)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
	dprintf(fd, "%d\n", getpid());
	return fd;
}

static void a_machine_runs_once(void **state)
{
	struct control *control = calloc(1, sizeof(*control));
	char *xml = definition("a", "52:54:00:00:00:01", "/a");
	char path[PATH_MAX], number[24];
	struct error e = {0};
	int fd;

	(void)state;
	config_default(&control->config);
	snprintf(control->config.identity, CONFIG_TEXT_SIZE, "%s",
		 at("identity"));
	assert_int_equal(instance_file(control, xml, path, &e), 0);
	assert_int_equal(
		strncmp(path, at("identity/"), strlen(at("identity/"))), 0);
	fd = hold(path);
	assert_int_equal(instance_file(control, xml, path, &e), -EBUSY);
	snprintf(number, sizeof(number), " %d ", getpid());
	assert_non_null(strstr(e.text, number));
	instance_forget(control, xml);
	assert_int_equal(access(path, F_OK), 0);
	close(fd);
	assert_int_equal(instance_file(control, xml, path, &e), 0);
	instance_forget(control, xml);
	assert_int_equal(access(path, F_OK), -1);
	/* QEMU is another user there. */
	strcpy(control->config.libvirt_uri, "qemu:///system");
	control->config.identity[0] = '\0';
	assert_int_equal(instance_file(control, xml, path, &e), 0);
	assert_string_equal(path, "");
	free(control);
	free(xml);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(firmware_is_what_the_emulator_finds_first),
		cmocka_unit_test(a_tpm_keeps_its_state_in_the_vault),
		cmocka_unit_test(a_copy_is_the_same_machine),
		cmocka_unit_test(a_machine_runs_once),
	};

	return cmocka_run_group_tests(tests, make_work, remove_work);
}
