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

/* A program of that name that waits; returns when it is that. */
static pid_t start(const char *program, const char *argument)
{
	int ends[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		execlp("sh", program, "-c", "sleep 60; true", argument, NULL);
		_exit(127);
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 0);
	close(ends[0]);
	return pid;
}

static void test_clean(void **data)
{
	char root[] = "/tmp/mvm.root.XXXXXX", path[256], number[16];
	pid_t mine, other, asked;
	int status;

	(void)data;
	assert_non_null(mkdtemp(root));
	snprintf(path, sizeof(path), "%s/run/qemu", root);
	assert_int_equal(folder_make_all(path, 0700, NULL), 0);
	snprintf(path, sizeof(path), "%s/run/swtpm", root);
	assert_int_equal(folder_make_all(path, 0700, NULL), 0);
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
	snprintf(path, sizeof(path), "%s/lib/qemu/qmp-A1B2C3", root);
	assert_int_equal(folder_make_all(path, 0700, NULL), 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_clean)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
