/* What is left in libvirt's root of a start that was killed. */
#include "daemon/hypervisor_left.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/folder.h"

static void write_file(const char *root, const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int is_there(const char *root, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	return access(path, F_OK) == 0;
}

/* A program of that name that does so; returns when it is that. */
static pid_t run(const char *program, const char *script, const char *argument)
{
	int ends[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		execlp("sh", program, "-c", script, argument, NULL);
		_exit(127);
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 0);
	close(ends[0]);
	return pid;
}

static pid_t start(const char *program, const char *argument)
{
	return run(program, "sleep 60; true", argument);
}

static void make_folder(const char *root, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	assert_int_equal(folder_make_all(path, 0700, NULL), 0);
}

static void test_clean(void **data)
{
	char root[] = "/tmp/mvm.root.XXXXXX", number[16];
	pid_t mine, other, asked;
	int status;

	(void)data;
	assert_non_null(mkdtemp(root));
	make_folder(root, "run/qemu");
	make_folder(root, "run/swtpm");
	write_file(root, "run/qemu/012345678901234567-12345.xml",
		   "<!-- pid='7' -->\n<domstatus state='paused' "
		   "reason='starting up' pid='0'>\n</domstatus>");
	write_file(root, "run/qemu/two.xml",
		   "<domstatus state='running' pid='7'>\n<a pid='0'/>");
	mine = start("swtpm", root);
	other = start("swtpm", "elsewhere");
	snprintf(number, sizeof(number), "%d", mine);
	write_file(root, "run/swtpm/3-012345678901234567-1-swtpm.pid", number);
	snprintf(number, sizeof(number), "%d", other);
	write_file(root, "run/swtpm/2-012345678901234567-1-swtpm.pid", number);
	make_folder(root, "lib/qemu/qmp-A1B2C3");
	asked = start("qemu-system-x86_64", root);
	snprintf(number, sizeof(number), "%d", asked);
	write_file(root, "lib/qemu/qmp-A1B2C3/qmp.pid", number);

	assert_int_equal(hypervisor_left_clean(root, NULL), 0);
	assert_false(is_there(root, "run/qemu/012345678901234567-12345.xml"));
	assert_true(is_there(root, "run/qemu/two.xml"));
	assert_int_equal(waitpid(mine, &status, 0), mine);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(waitpid(asked, &status, 0), asked);
	assert_true(WIFSIGNALED(status));
	assert_false(is_there(root, "lib/qemu/qmp-A1B2C3"));
	/* That number belongs to a process of somebody else by now. */
	assert_int_equal(waitpid(other, &status, WNOHANG), 0);
	kill(other, SIGKILL);
	waitpid(other, &status, 0);
	folder_remove(root, NULL);
}

/* The TPM of a guest, which libvirt calls by a name and a number. */
static pid_t start_tpm(const char *root, const char *file)
{
	pid_t pid = start("swtpm", root);
	char number[16];

	snprintf(number, sizeof(number), "%d", pid);
	write_file(root, file, number);
	return pid;
}

static void test_tpms(void **data)
{
	static const char *const files[] = {
		"run/swtpm/1-two-swtpm.pid", "run/swtpm/7-two-swtpm.pid",
		"run/swtpm/7-one-swtpm.pid", "run/swtpm/8-spoiled-swtpm.pid"};
	char root[] = "/tmp/mvm.root.XXXXXX";
	pid_t pids[4];
	int status;

	(void)data;
	assert_non_null(mkdtemp(root));
	make_folder(root, "run/qemu");
	make_folder(root, "run/swtpm");
	make_folder(root, "run/qemu/spoiled.xml");
	write_file(root, "run/qemu/two.xml",
		   "<domstatus state='running' pid='9'>\n"
		   "<domain type='kvm' id='7'>");
	for (unsigned i = 0; i < 4; i++)
		pids[i] = start_tpm(root, files[i]);
	assert_int_equal(hypervisor_left_clean(root, NULL), 0);
	for (unsigned i = 0; i < 4; i++) {
		int known = i % 2;

		if (known)
			kill(pids[i], SIGKILL);
		waitpid(pids[i], &status, 0);
		assert_int_equal(WTERMSIG(status), known ? SIGKILL : SIGTERM);
		assert_int_equal(is_there(root, files[i]), known);
	}
	folder_remove(root, NULL);
}

/* A TPM is made to its end before anybody can start its guest. */
static void test_setup(void **data)
{
	char root[] = "/tmp/mvm.root.XXXXXX", path[64];
	pid_t pid;
	int status;

	(void)data;
	assert_non_null(mkdtemp(root));
	snprintf(path, sizeof(path), "%s/done", root);
	pid = run("swtpm_setup", "sleep 0.3; : >\"$0\"", path);
	assert_int_equal(hypervisor_left_clean(root, NULL), 0);
	assert_true(is_there(root, "done"));
	waitpid(pid, &status, 0);
	folder_remove(root, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_clean),
					   cmocka_unit_test(test_tpms),
					   cmocka_unit_test(test_setup)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
