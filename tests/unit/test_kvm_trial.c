/* The KVM trial: its payload, its judge, and this host. */
#include "daemon/kvm_trial.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static const char qemu[] = "qemu-system-x86_64";

/* A program in QEMU's place. */
static void fake_qemu(char *path, const char *script)
{
	FILE *f;

	strcpy(path, "/tmp/kvm-trial-XXXXXX");
	f = fdopen(mkstemp(path), "w");
	assert_non_null(f);
	fprintf(f, "#!/bin/sh\n%s\n", script);
	fclose(f);
	chmod(path, 0700);
}

static bool run_fake(const char *script, char *reason, size_t size)
{
	struct error error = {0};
	char path[32];
	bool works = true;

	fake_qemu(path, script);
	assert_int_equal(
		kvm_trial_run(path, "kvm", &works, reason, size, &error), 0);
	unlink(path);
	return works;
}

/* The emulator is a right x86 processor, so the payload must pass on it. */
static void payload_passes_on_tcg(void **state)
{
	struct error error = {0};
	char reason[400] = "";
	bool works = false;

	(void)state;
	assert_int_equal(kvm_trial_run(qemu, "tcg", &works, reason,
				       sizeof(reason), &error),
			 0);
	if (!works)
		fail_msg("%s", reason);
	assert_non_null(strstr(reason, "ran to their end"));
}

static void passing_needs_every_step(void **state)
{
	char reason[400];

	(void)state;
	assert_true(run_fake("printf lmpfuhse; exit 33", reason, 400));
	assert_false(run_fake("printf lmpfuhs; exit 33", reason, 400));
	assert_false(run_fake("exit 33", reason, 400));
}

static void failures_are_named(void **state)
{
	char reason[400];

	(void)state;
	assert_false(run_fake("printf 'lmp?'; exit 35", reason, 400));
	assert_non_null(strstr(reason, "using SSE registers went wrong"));
	assert_false(run_fake("printf l; exit 0", reason, 400));
	assert_non_null(strstr(reason, "reset itself at setting a kernel's"));
	assert_false(run_fake("echo 'q: warning: x' >&2; echo 'q: no kvm' >&2;"
			      "exit 1",
			      reason, 400));
	assert_non_null(strstr(reason, "status 1: q: no kvm"));
	assert_false(run_fake("kill -SEGV $$", reason, 400));
	assert_non_null(strstr(reason, "signal 11"));
}

/* After this error QEMU stays, paused: it must not be waited for. */
static void internal_error_ends_the_trial(void **state)
{
	char reason[400];

	(void)state;
	assert_false(run_fake("printf lmp; echo 'KVM internal error. "
			      "Suberror: 1' >&2; exec sleep 1000",
			      reason, 400));
	assert_non_null(strstr(reason, "gave up at using SSE registers (KVM "
				       "internal error. Suberror: 1)"));
}

static void an_interpreter_is_found_out(void **state)
{
	char reason[400];

	(void)state;
	assert_false(
		run_fake("printf lmpfuhs; while :; do :; done", reason, 400));
	assert_non_null(strstr(reason, "this KVM interprets kernels"));
	assert_non_null(strstr(reason, "100 million instructions"));
}

/* It may be the host's fault, so it is no answer. */
static void a_hang_proves_nothing(void **state)
{
	struct error error = {0};
	char path[32], reason[400];
	bool works = true;

	(void)state;
	fake_qemu(path, "printf lmpfuh; exec sleep 1000");
	assert_int_equal(kvm_trial_run(path, "kvm", &works, reason,
				       sizeof(reason), &error),
			 -ETIMEDOUT);
	unlink(path);
	assert_false(works);
	assert_non_null(strstr(error.text, "hung at sleeping"));
	assert_non_null(strstr(error.text, "try again"));
}

static void no_such_qemu_is_an_error(void **state)
{
	struct error error = {0};
	char reason[400] = "";
	bool works = true;

	(void)state;
	assert_int_equal(kvm_trial_run("/nonexistent/qemu", "kvm", &works,
				       reason, sizeof(reason), &error),
			 -ENOENT);
	assert_false(works);
	assert_non_null(strstr(error.text, "/nonexistent/qemu"));
}

static void devices_are_told_apart(void **state)
{
	char reason[400];

	(void)state;
	assert_false(kvm_trial_device("/nonexistent/kvm", reason, 400));
	assert_non_null(strstr(reason, "load the module"));
	assert_false(kvm_trial_device("/dev/null", reason, 400));
	assert_non_null(strstr(reason, "is not KVM"));
}

static void permission_says_which_group(void **state)
{
	char path[] = "/tmp/kvm-device-XXXXXX", reason[400];
	int fd = mkstemp(path);

	(void)state;
	if (geteuid() != 0) {
		fchmod(fd, 0);
		assert_false(kvm_trial_device(path, reason, 400));
		assert_non_null(strstr(reason, "chgrp kvm"));
	} else {
		assert_int_equal(fchown(fd, 0, 1), 0);
		fchmod(fd, 0660);
		assert_int_equal(seteuid(65534), 0);
		assert_false(kvm_trial_device(path, reason, 400));
		assert_int_equal(seteuid(0), 0);
		assert_non_null(strstr(reason, "usermod -aG daemon"));
		fchmod(fd, 0600);
		assert_int_equal(seteuid(65534), 0);
		assert_false(kvm_trial_device(path, reason, 400));
		assert_int_equal(seteuid(0), 0);
		assert_non_null(strstr(reason, "chgrp kvm"));
	}
	close(fd);
	unlink(path);
}

/* Whatever this host is, there is an answer and it has a reason. */
static void this_host_gets_an_answer(void **state)
{
	struct error error = {0};
	char reason[400] = "";
	bool works;

	(void)state;
	assert_int_equal(
		kvm_trial(qemu, &works, reason, sizeof(reason), &error), 0);
	assert_true(strlen(reason) > 20);
	assert_true(works == (strstr(reason, "ran to their end") != NULL));
	print_message("# KVM %s: %s\n", works ? "works" : "does not work",
		      reason);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(payload_passes_on_tcg),
		cmocka_unit_test(passing_needs_every_step),
		cmocka_unit_test(failures_are_named),
		cmocka_unit_test(internal_error_ends_the_trial),
		cmocka_unit_test(an_interpreter_is_found_out),
		cmocka_unit_test(a_hang_proves_nothing),
		cmocka_unit_test(no_such_qemu_is_an_error),
		cmocka_unit_test(devices_are_told_apart),
		cmocka_unit_test(permission_says_which_group),
		cmocka_unit_test(this_host_gets_an_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
