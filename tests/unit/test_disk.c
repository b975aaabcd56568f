/* Images: made, inspected, refused, copied. */
#include "daemon/disk.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include "daemon/spawn.h"

#define MIB (UINT64_C(1) << 20)

static char folder[] = "/tmp/disk-XXXXXX";

static int enter(void **state)
{
	(void)state;
	return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static void write_file(const char *name, const void *data, size_t size)
{
	FILE *f = fopen(name, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, size, f), size);
	assert_int_equal(fclose(f), 0);
}

static void makes_a_disk(void **state)
{
	struct error e = {0};
	struct disk_info info;

	(void)state;
	assert_int_equal(disk_create("new.qcow2", 64 * MIB, &e), 0);
	assert_int_equal(disk_inspect("new.qcow2", &info, &e), 0);
	assert_string_equal(info.format, "qcow2");
	assert_int_equal(info.virtual_size, 64 * MIB);
	assert_true(info.actual_size < MIB);
	assert_int_equal(disk_create("new.qcow2", MIB, &e), -EEXIST);
	assert_int_equal(disk_create("odd.qcow2", 1000, &e), -EINVAL);
	assert_int_equal(disk_create("huge.qcow2", INT64_MAX & ~511, &e),
			 -EINVAL);
	assert_int_equal(access("huge.qcow2", F_OK), -1);
	assert_int_equal(disk_create("none/x.qcow2", MIB, &e), -ENOENT);
}

static void odd_names_are_files(void **state)
{
	static const char *const names[] = {"-f raw", "json:{}", "nbd:x",
					    "a,b=c", "$(touch oops)"};
	struct error e = {0};
	struct disk_info info;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(disk_create(names[i], MIB, &e), 0);
		assert_int_equal(disk_inspect(names[i], &info, &e), 0);
		assert_string_equal(info.format, "qcow2");
	}
	assert_int_equal(access("oops", F_OK), -1);
}

static void refuses_what_is_no_image(void **state)
{
	static const char zeros[512];
	struct error e = {0};
	struct disk_info info;

	(void)state;
	assert_int_equal(disk_inspect("none", &info, &e), -ENOENT);
	assert_int_equal(disk_inspect("/dev/null", &info, &e), -EINVAL);
	assert_int_equal(disk_inspect(".", &info, &e), -EINVAL);
	write_file("empty", "", 0);
	assert_int_equal(disk_inspect("empty", &info, &e), -EINVAL);
	write_file("cut.qcow2", "QFI\xfb\0\0\0\3", 8);
	assert_int_equal(disk_inspect("cut.qcow2", &info, &e), -EINVAL);
	assert_non_null(strstr(e.text, "cut.qcow2 is not a usable image"));
	write_file("raw.img", zeros, sizeof(zeros));
	assert_int_equal(disk_inspect("raw.img", &info, &e), 0);
	assert_string_equal(info.format, "raw");
	write_file("text.img", "hello\n", 6);
	assert_int_equal(disk_inspect("text.img", &info, &e), -EINVAL);
	assert_non_null(strstr(e.text, "no disk image"));
	assert_int_equal(info.virtual_size, 512);
}

static void refuses_images_of_two_files(void **state)
{
	struct error e = {0};
	struct disk_info info;

	(void)state;
	assert_int_equal(disk_create("base.qcow2", MIB, &e), 0);
	assert_int_equal(system("qemu-img create -q -f qcow2 -F qcow2 "
				"-b base.qcow2 top.qcow2"),
			 0);
	assert_int_equal(disk_inspect("top.qcow2", &info, &e), -EINVAL);
	assert_non_null(strstr(e.text, "base.qcow2"));
	assert_int_equal(system("qemu-img create -q -f qcow2 -o "
				"data_file=data.raw outside.qcow2 1M"),
			 0);
	assert_int_equal(disk_inspect("outside.qcow2", &info, &e), -EINVAL);
	assert_non_null(strstr(e.text, "another file"));
}

static void copies_whole_and_sparse(void **state)
{
	struct error e = {0};
	struct stat st;
	int fd = open("sparse", O_WRONLY | O_CREAT, 0600);

	(void)state;
	assert_int_equal(pwrite(fd, "begin", 5, 0), 5);
	assert_int_equal(pwrite(fd, "middle", 6, 40 * MIB + 3), 6);
	assert_int_equal(ftruncate(fd, 100 * MIB + 1), 0);
	close(fd);
	assert_int_equal(disk_copy("sparse", "copy", &e), 0);
	assert_int_equal(system("cmp sparse copy"), 0);
	assert_int_equal(stat("copy", &st), 0);
	assert_true(st.st_blocks * 512 < 2 * (off_t)MIB);
	assert_int_equal(access("copy.part", F_OK), -1);
}

static void copies_nothing_else(void **state)
{
	struct error e = {0};

	(void)state;
	write_file("one", "1", 1);
	write_file("two", "2", 1);
	assert_int_equal(disk_copy("one", "two", &e), -EEXIST);
	assert_int_equal(system("printf 2 | cmp - two"), 0);
	assert_int_equal(disk_copy("none", "three", &e), -ENOENT);
	assert_int_equal(disk_copy("/dev/zero", "three", &e), -EINVAL);
	assert_int_equal(disk_copy("one", "none/three", &e), -ENOENT);
	assert_int_equal(access("three", F_OK), -1);
}

/* Whether a qemu-img waits for that pipe; within a few seconds. */
static bool qemu_img_comes_to(bool wanted, const char *name)
{
	char command[160];

	snprintf(command, sizeof(command), "pgrep -f '^/usr/bin/qemu-img.*%s'",
		 name);
	strcat(command, " >/dev/null");
	for (int i = 0; i < 200; i++) {
		if ((system(command) == 0) == wanted)
			return true;
		usleep(50000);
	}
	return false;
}

static void its_work_ends_with_us(void **state)
{
	char path[64], *json;
	pid_t child;

	(void)state;
	snprintf(path, sizeof(path), "%s/pipe", folder);
	assert_int_equal(mkfifo(path, 0600), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(disk_map(path, "raw", &json, NULL) != 0);
	assert_true(qemu_img_comes_to(true, path));
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_true(qemu_img_comes_to(false, path));
}

static void *cancel_soon(void *data)
{
	usleep(300000);
	*(volatile bool *)data = true;
	return NULL;
}

static void its_work_can_be_cancelled(void **state)
{
	volatile bool cancel = false;
	struct error e = {0};
	char path[64], *json;
	pthread_t thread;

	(void)state;
	snprintf(path, sizeof(path), "%s/pipe2", folder);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(pthread_create(&thread, NULL, cancel_soon,
					(void *)&cancel),
			 0);
	disk_set_cancel(&cancel);
	assert_int_equal(disk_map(path, "raw", &json, &e), -ECANCELED);
	disk_set_cancel(NULL);
	pthread_join(thread, NULL);
	assert_true(qemu_img_comes_to(false, path));
}

static void *wide;

/* In a child of ours, before it becomes the program. */
static void take_memory(void)
{
	if (!wide)
		return;
	usleep(20000);
	if (mmap(NULL, MIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	    MAP_FAILED)
		_exit(126);
}

/* However much we hold ourselves. */
static void limits_are_the_programs(void **state)
{
	static const size_t size = 4096 * MIB;
	static const char *const arguments[] = {
		"-c", "(ulimit -c; ulimit -v) >limits", NULL};
	const struct spawn shell = {
		.program = "/bin/sh",
		.arguments = arguments,
		.memory = 1024 * MIB,
	};
	struct error e = {0};
	struct disk_info info;
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(pthread_atfork(NULL, NULL, take_memory), 0);
	wide = mmap(NULL, size, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(wide != MAP_FAILED);
	assert_int_equal(disk_create("wide.qcow2", MIB, &e), 0);
	assert_int_equal(disk_inspect("wide.qcow2", &info, &e), 0);
	assert_int_equal(spawn_self(&shell, &pid, &e), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(system("printf '0\\n1048576\\n' | cmp - limits"), 0);
	munmap(wide, size);
	wide = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_a_disk),
		cmocka_unit_test(odd_names_are_files),
		cmocka_unit_test(refuses_what_is_no_image),
		cmocka_unit_test(refuses_images_of_two_files),
		cmocka_unit_test(copies_whole_and_sparse),
		cmocka_unit_test(copies_nothing_else),
		cmocka_unit_test(limits_are_the_programs),
		cmocka_unit_test(its_work_ends_with_us),
		cmocka_unit_test(its_work_can_be_cancelled),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
