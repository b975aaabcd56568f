/* QEMUs that vaults carry: ages of machine types, copies, damaged copies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/folder.h"
#include "daemon/machine_age.h"
#include "daemon/machine_files.h"
#include "daemon/machine_make.h"
#include "daemon/machine_qemu.h"

#define QEMU "/usr/bin/qemu-system-x86_64"

static char folder[] = "/tmp/test_machine.XXXXXX";
static char made[100];

static const char *below(const char *name)
{
	static char path[200];

	snprintf(path, sizeof(path), "%s/%s", made, name);
	return path;
}

/* --- ages -------------------------------------------------------------- */

static void ages_are_the_releases(void **state)
{
	static const struct {
		const char *machine, *released, *deprecated, *removed;
	} known[] = {
		{"pc-q35-7.2", "2022-12", "2025-12", "2028-12"},
		{"pc-q35-2.4", "2015-08", "2018-08", "2021-08"},
		{"pc-i440fx-2.12", "2018-04", "2021-04", "2024-04"},
		{"pc-q35-3.1", "2018-12", "2021-12", "2024-12"},
		{"pc-q35-5.2", "2020-12", "2023-12", "2026-12"},
		{"pc-i440fx-6.0", "2021-04", "2024-04", "2027-04"},
		{"pc-q35-8.1", "2023-08", "2026-08", "2029-08"},
		{"pc-q35-10.0", "2025-04", "2028-04", "2031-04"},
	};
	static const char *const others[] = {"q35",
					     "pc",
					     "pc-q35-rhel9.2.0",
					     "pc-q35-7.3",
					     "pc-q35-7.2-hpb",
					     "pc-q35-jammy",
					     "pc-q35-2.13",
					     "pc-q35-",
					     "pc-q35-7",
					     "microvm",
					     "",
					     "pc-q35-3.2"};
	struct machine_age age;

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		assert_true(machine_age(known[i].machine, &age));
		assert_string_equal(age.released, known[i].released);
		assert_string_equal(age.deprecated, known[i].deprecated);
		assert_string_equal(age.removed, known[i].removed);
		assert_int_equal(age.removed_major, age.major + 6);
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		assert_false(machine_age(others[i], &age));
}

/* --- a QEMU ------------------------------------------------------------ */

static void qemu_tells_its_machines(void **state)
{
	struct error error = {0};
	json_t *facts;

	(void)state;
	assert_int_equal(machine_qemu_facts(QEMU, &facts, &error), 0);
	assert_non_null(machine_qemu_has(facts, "pc-q35-7.2"));
	assert_non_null(machine_qemu_has(facts, "q35"));
	assert_null(machine_qemu_has(facts, "pc-q35-0.1"));
	json_decref(facts);
}

static void what_is_no_qemu_is_told(void **state)
{
	struct error error = {0};
	json_t *facts;

	(void)state;
	assert_int_equal(machine_qemu_facts("/bin/true", &facts, &error),
			 -EPIPE);
	assert_int_equal(machine_qemu_facts("/nonexistent", &facts, &error),
			 -EPIPE);
	assert_int_equal(machine_qemu_facts("/bin/cat", &facts, &error),
			 -EPIPE);
}

static void a_script_is_no_qemu_to_copy(void **state)
{
	char digest[MACHINE_DIGEST_SIZE];
	struct error error = {0};
	char to[PATH_MAX];

	(void)state;
	snprintf(to, sizeof(to), "%s/true", folder);
	assert_int_equal(
		machine_make("/bin/true", "pc-q35-7.2", to, digest, &error),
		-EPIPE);
}

static void a_machine_that_is_not_there_is_told(void **state)
{
	char digest[MACHINE_DIGEST_SIZE];
	struct error error = {0};
	char to[PATH_MAX];

	(void)state;
	snprintf(to, sizeof(to), "%s/none", folder);
	assert_int_equal(machine_make(QEMU, "pc-q35-0.1", to, digest, &error),
			 -ENOTSUP);
	assert_non_null(strstr(error.text, "pc-q35-0.1"));
}

static int verify(const char *expected, struct error *error)
{
	char digest[MACHINE_DIGEST_SIZE];
	json_t *manifest;
	int r = machine_files_read(made, &manifest, digest, error);

	if (!r && expected)
		assert_string_equal(digest, expected);
	if (!r)
		r = machine_files_verify(made, manifest, error);
	json_decref(manifest);
	return r;
}

static void a_copy_runs_and_verifies(void **state)
{
	char digest[MACHINE_DIGEST_SIZE];
	struct error error = {0};
	char moved[100];
	json_t *facts;

	(void)state;
	if (machine_make(QEMU, "pc-q35-7.2", made, digest, &error))
		fail_msg("%s", error.text);
	if (verify(digest, &error))
		fail_msg("%s", error.text);
	/* the mode is made good */
	assert_int_equal(chmod(below("run"), 0600), 0);
	assert_int_equal(verify(digest, &error), 0);
	assert_int_equal(machine_qemu_facts(below("run"), &facts, &error), 0);
	assert_non_null(machine_qemu_has(facts, "pc-q35-7.2"));
	json_decref(facts);
	/* also from elsewhere */
	snprintf(moved, sizeof(moved), "%s/moved", folder);
	assert_int_equal(rename(made, moved), 0);
	strcat(moved, "/run");
	assert_int_equal(machine_qemu_facts(moved, &facts, &error), 0);
	json_decref(facts);
	moved[strlen(moved) - 4] = '\0';
	assert_int_equal(rename(moved, made), 0);
}

/* --- damage ------------------------------------------------------------ */

static void expect_refusal(const char *text)
{
	struct error error = {0};

	assert_int_equal(verify(NULL, &error), -EBADMSG);
	if (!strstr(error.text, text))
		fail_msg("\"%s\" does not say \"%s\"", error.text, text);
}

static void a_changed_byte_is_found(void **state)
{
	char byte = '#';
	int fd = open(below("run"), O_RDWR);

	(void)state;
	assert_int_equal(pwrite(fd, "!", 1, 0), 1);
	expect_refusal("run is not as it was made");
	assert_int_equal(pwrite(fd, &byte, 1, 0), 1);
	assert_int_equal(ftruncate(fd, 10), 0);
	expect_refusal("run is not as it was made");
	close(fd);
}

static void a_file_more_or_less_is_found(void **state)
{
	(void)state;
	assert_int_equal(unlink(below("run")), 0);
	expect_refusal("run is missing");
	assert_int_equal(symlink("/bin/sh", below("run")), 0);
	assert_int_not_equal(verify(NULL, NULL), 0);
	unlink(below("run"));
	assert_int_equal(mkfifo(below("run"), 0600), 0);
	expect_refusal("run is not a file");
	unlink(below("run"));
	/* ld.so would look there first */
	mkdir(below("lib/glibc-hwcaps"), 0700);
	mkdir(below("lib/glibc-hwcaps/x86-64-v2"), 0700);
	close(open(below("lib/glibc-hwcaps/x86-64-v2/libz.so.1"),
		   O_CREAT | O_WRONLY, 0700));
	expect_refusal("does not belong to it");
	assert_int_equal(folder_remove(below("lib/glibc-hwcaps"), NULL), 0);
	expect_refusal("run is missing");
}

static void a_bad_manifest_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{\"format\": 1}",
		"{\"format\": 2, \"qemu\": \"1\", \"package\": \"\", "
		"\"made_at\": \"\", \"machine\": \"\", \"files\": [{}]}",
		"{\"format\": 1, \"qemu\": \"1\", \"package\": \"\", "
		"\"made_at\": \"\", \"machine\": \"\", \"files\": []}",
		"{\"format\": 1, \"qemu\": \"1\", \"package\": \"\", "
		"\"made_at\": \"\", \"machine\": \"\", \"files\": [{}]}",
		"{\"format\": 1, \"qemu\": \"1\", \"package\": \"\", "
		"\"made_at\": \"\", \"machine\": \"\", \"files\": "
		"[{\"path\": \"../run\", \"size\": 1, \"sha256\": \"0\"}]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(folder_write(below("manifest.json"), bad[i],
					      strlen(bad[i]), 0600, NULL),
				 0);
		assert_int_equal(verify(NULL, NULL), -EBADMSG);
	}
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(made, sizeof(made), "%s/machine", folder);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return folder_remove(folder, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ages_are_the_releases),
		cmocka_unit_test(qemu_tells_its_machines),
		cmocka_unit_test(what_is_no_qemu_is_told),
		cmocka_unit_test(a_script_is_no_qemu_to_copy),
		cmocka_unit_test(a_machine_that_is_not_there_is_told),
		cmocka_unit_test(a_copy_runs_and_verifies),
		cmocka_unit_test(a_changed_byte_is_found),
		cmocka_unit_test(a_file_more_or_less_is_found),
		cmocka_unit_test(a_bad_manifest_is_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
