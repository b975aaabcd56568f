/*
 * Disk images; see disk.h. qemu-img looks into images that people bring along,
 * so it runs in a process of its own, without a shell, with the path behind
 * "file:" so that no name can mean a protocol, and limited in memory and time.
 */
#include "daemon/disk.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "daemon/spawn.h"
#include "recorder/bytes.h"

#define QEMU_IMG "/usr/bin/qemu-img"
#define OUTPUT_MAX (1 << 20)
#define LOOK_MS 200 /* between looks whether it is cancelled */
#define MAP_MAX (256u << 20)
#define SECONDS_MAX 60
#define SECONDS_LONG (24 * 3600) /* of what moves whole images */
#define SPACE_MARGIN (UINT64_C(64) << 20)
#define MEMORY_MAX (UINT64_C(2) << 30) /* address space of qemu-img */
#define COPY_STEP (UINT64_C(64) << 20)

/* Puts "file:" in front of a path; free() it. */
static char *file_name(const char *path)
{
	char *name;

	return asprintf(&name, "file:%s", path) < 0 ? NULL : name;
}

/*
 * Starts qemu-img with its output and its messages in the pipe, and with an
 * environment without surprises. It ends with us.
 */
static int spawn(const char *const arguments[], int output, pid_t *pid,
		 struct error *error)
{
	static const char *const environment[] = {"PATH=/usr/bin:/bin",
						  "LC_ALL=C", NULL};
	const struct spawn spawn = {.program = QEMU_IMG,
				    .arguments = arguments,
				    .output = output,
				    .environment = environment,
				    .dies_with_us = true,
				    .memory = MEMORY_MAX};

	if (access(QEMU_IMG, X_OK))
		return error_set(error, ENOTSUP,
				 "cannot run " QEMU_IMG "; install the "
				 "package qemu-utils");
	return spawn_self(&spawn, pid, error);
}

static _Thread_local const volatile bool *cancelled;

void disk_set_cancel(const volatile bool *cancel)
{
	cancelled = cancel;
}

static int milliseconds_left(const struct timespec *end)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int)((end->tv_sec - now.tv_sec) * 1000 +
		     (end->tv_nsec - now.tv_nsec) / 1000000);
}

/* Reads to the end of the pipe. */
static int read_output(int fd, struct buffer *text, int seconds)
{
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += seconds;
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int left = milliseconds_left(&end);
		uint8_t part[4096];
		ssize_t n;

		if (left <= 0)
			return -ETIMEDOUT;
		if (cancelled && *cancelled)
			return -ECANCELED;
		if (poll(&p, 1, left < LOOK_MS ? left : LOOK_MS) == 0)
			continue;
		n = read(fd, part, sizeof(part));
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (n > 0)
			buffer_put(text, part, (size_t)n);
		if (text->failed)
			return -EFBIG;
	}
}

/* What its words mean. */
static int code_of(const char *said)
{
	if (strstr(said, "No space left"))
		return ENOSPC;
	return strstr(said, "Is another process using the image") ? EBUSY
								  : EINVAL;
}

static int run_to_end(char *const argv[], struct buffer *text, int pipe_fds[2],
		      int seconds, struct error *error)
{
	int result, status = 0;
	pid_t pid;

	/* Behind its name. */
	result = spawn((const char *const *)argv + 1, pipe_fds[1], &pid, error);
	close(pipe_fds[1]);
	if (result < 0)
		return result;
	result = read_output(pipe_fds[0], text, seconds);
	if (result < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	buffer_put_u8(text, '\0');
	if (result < 0 || text->failed)
		return error_set(error, result < 0 ? result : ENOMEM,
				 "qemu-img did not come to an end");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return error_set(error, code_of((char *)text->data), "%s",
			 (char *)text->data);
}

/* Runs qemu-img; what it printed is in text, with a NUL behind it. */
static int qemu_img_for(char *const argv[], struct buffer *text, int seconds,
			struct error *error)
{
	int pipe_fds[2], result;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return error_errno(error, errno, "cannot make a pipe");
	result = run_to_end(argv, text, pipe_fds, seconds, error);
	close(pipe_fds[0]);
	return result;
}

static int qemu_img(char *const argv[], struct buffer *text,
		    struct error *error)
{
	text->limit = OUTPUT_MAX;
	return qemu_img_for(argv, text, SECONDS_MAX, error);
}

static int check_backing(const char *path, json_t *info, struct error *error)
{
	const char *backing =
		json_string_value(json_object_get(info, "backing-filename"));
	json_t *data = json_object_get(json_object_get(info, "format-specific"),
				       "data");

	if (backing)
		return error_set(error, EINVAL,
				 "%s needs the other image %.120s; flatten it "
				 "with qemu-img convert, or where it is with "
				 "qemu-img rebase -b \"\"",
				 path, backing);
	if (json_object_get(data, "data-file"))
		return error_set(error, EINVAL,
				 "%s keeps its data in another file; flatten "
				 "it with qemu-img convert",
				 path);
	return 0;
}

static int read_info(const char *path, const char *text, struct disk_info *info,
		     struct error *error)
{
	json_error_t where;
	json_t *json = json_loads(text, 0, &where);
	const char *format = json_string_value(json_object_get(json, "format"));
	json_int_t size =
		json_integer_value(json_object_get(json, "virtual-size"));
	json_int_t actual =
		json_integer_value(json_object_get(json, "actual-size"));
	int result;

	if (!format || strlen(format) >= sizeof(info->format) || size < 0)
		result = error_set(error, EINVAL,
				   "qemu-img said something else than the "
				   "properties of %s",
				   path);
	else
		result = check_backing(path, json, error);
	if (result == 0) {
		strcpy(info->format, format);
		info->virtual_size = (uint64_t)size;
		info->actual_size = actual < 0 ? 0 : (uint64_t)actual;
	}
	json_decref(json);
	return result;
}

/*
 * A raw image begins with whatever its guest wrote: one that looks like
 * another format would be taken for it. So the format is read here, and used
 * as a fixed one ever after.
 */
int disk_inspect(const char *path, struct disk_info *info, struct error *error)
{
	return disk_inspect_as(path, NULL, info, error);
}

int disk_inspect_as(const char *path, const char *format,
		    struct disk_info *info, struct error *error)
{
	struct buffer text = {0};
	struct stat st;
	char *name;
	int result;

	memset(info, 0, sizeof(*info));
	if (stat(path, &st) < 0)
		return error_errno(error, errno, "cannot use the image %s",
				   path);
	if (!S_ISREG(st.st_mode))
		return error_set(error, EINVAL,
				 "%s is not a file; a vault's disk is an image "
				 "file",
				 path);
	if (st.st_size == 0)
		return error_set(error, EINVAL, "%s is empty", path);
	name = file_name(path);
	if (!name)
		return error_set(error, ENOMEM, "out of memory");
	result = qemu_img(
		(char *[]){"qemu-img", "info", "--force-share", "--output=json",
			   name, format ? "-f" : NULL, (char *)format, NULL},
		&text, error);
	if (result == 0)
		result = read_info(path, (char *)text.data, info, error);
	else
		error_prefix(error, "%s is not a usable image", path);
	buffer_free(&text);
	free(name);
	/* What qemu-img does not know it calls raw. */
	if (result == 0 && strcmp(info->format, "raw") == 0 && st.st_size % 512)
		result = error_set(error, EINVAL,
				   "%s is no disk image: it is of no format "
				   "that qemu-img knows, and a raw image is a "
				   "multiple of 512 bytes",
				   path);
	return result;
}

int disk_create(const char *path, uint64_t virtual_size, struct error *error)
{
	struct buffer text = {0};
	char size[24], *name;
	int result, fd;

	if (virtual_size == 0 || virtual_size % 512 || virtual_size > INT64_MAX)
		return error_set(error, EINVAL,
				 "a disk's size is a multiple of 512 bytes");
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_errno(error, errno, "cannot make the image %s",
				   path);
	close(fd);
	name = file_name(path);
	if (!name) {
		unlink(path);
		return error_set(error, ENOMEM, "out of memory");
	}
	snprintf(size, sizeof(size), "%llu", (unsigned long long)virtual_size);
	result = qemu_img((char *[]){"qemu-img", "create", "-q", "-f", "qcow2",
				     name, size, NULL},
			  &text, error);
	if (result == 0)
		result = disk_sync(path, error);
	if (result < 0) {
		error_prefix(error, "cannot make the image %s", path);
		unlink(path);
	}
	buffer_free(&text);
	free(name);
	return result;
}

/* For file systems between which the kernel does not copy. */
static ssize_t copy_by_hand(int from, int to, off_t *in, off_t *out,
			    size_t size)
{
	char block[65536];
	ssize_t n = pread(from, block,
			  size < sizeof(block) ? size : sizeof(block), *in);

	if (n <= 0)
		return n;
	n = pwrite(to, block, (size_t)n, *out);
	if (n > 0) {
		*in += n;
		*out += n;
	}
	return n;
}

static int copy_range(int from, int to, off_t at, off_t end)
{
	off_t in = at, out = at;
	bool by_hand = false;

	while (in < end) {
		size_t step = (uint64_t)(end - in) < COPY_STEP
				      ? (size_t)(end - in)
				      : COPY_STEP;
		ssize_t n =
			by_hand ? copy_by_hand(from, to, &in, &out, step)
				: copy_file_range(from, &in, to, &out, step, 0);

		if (n > 0 || (n < 0 && errno == EINTR))
			continue;
		if (by_hand)
			return n == 0 ? -EIO : -errno;
		by_hand = true;
	}
	return 0;
}

/* Copies what is data and leaves the holes. */
static int copy_sparse(int from, int to, off_t size)
{
	off_t at = 0, end;
	int result = ftruncate(to, size) < 0 ? -errno : 0;

	while (result == 0 && at < size) {
		at = lseek(from, at, SEEK_DATA);
		if (at < 0)
			return errno == ENXIO ? 0 : -errno;
		end = lseek(from, at, SEEK_HOLE);
		if (end < 0)
			return -errno;
		result = copy_range(from, to, at, end < size ? end : size);
		at = end;
	}
	return result;
}

static int copy_to(int from, const char *draft, const char *to)
{
	struct stat st;
	int fd = open(draft, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int result = 0;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, FICLONE, from) < 0)
		result = fstat(from, &st) < 0
				 ? -errno
				 : copy_sparse(from, fd, st.st_size);
	if (result == 0 && fsync(fd) < 0)
		result = -errno;
	if (close(fd) < 0 && result == 0)
		result = -errno;
	/* Unlike rename(), link() does not replace what is there. */
	if (result == 0 && link(draft, to) < 0)
		result = -errno;
	unlink(draft);
	return result;
}

int disk_copy(const char *from, const char *to, struct error *error)
{
	char *draft;
	int fd = open(from, O_RDONLY | O_CLOEXEC), result;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		result = error_errno(error, errno, "cannot read %s", from);
		if (fd >= 0)
			close(fd);
		return result;
	}
	if (!S_ISREG(st.st_mode) || asprintf(&draft, "%s.part", to) < 0) {
		close(fd);
		return error_set(error, EINVAL, "%s is not a file", from);
	}
	result = copy_to(fd, draft, to);
	if (result < 0)
		error_errno(error, result, "cannot copy %s to %s", from, to);
	free(draft);
	close(fd);
	return result;
}

int disk_size(const char *path, const char *format, uint64_t *size,
	      struct error *error)
{
	/* QEMU's docs/interop/qcow2.txt: "QFI" 0xfb, …, the size at 24. */
	uint8_t head[32];
	struct bytes b = bytes_of(head, sizeof(head));
	struct stat st;
	int fd, result = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st)) {
		result = error_errno(error, errno, "the disk %s", path);
	} else if (strcmp(format, "qcow2") != 0) {
		*size = (uint64_t)st.st_size;
		if (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, size))
			result = error_errno(error, errno, "the disk %s", path);
	} else if (pread(fd, head, sizeof(head), 0) != sizeof(head) ||
		   bytes_be32(&b) != 0x514649fb) {
		result = error_set(error, EINVAL, "the disk %s is not qcow2",
				   path);
	} else {
		bytes_seek(&b, 24);
		*size = bytes_be64(&b);
	}
	if (fd >= 0)
		close(fd);
	return result;
}

/*
 * QEMU's block/file-posix.c: who writes has byte 101 locked, and looks for
 * byte 201, which those have who let nobody write.
 */
int disk_hold(const char *path, int *hold, struct error *error)
{
	struct flock nobody = {.l_type = F_RDLCK,
			       .l_whence = SEEK_SET,
			       .l_start = 201,
			       .l_len = 1};
	struct flock writer = {.l_type = F_WRLCK,
			       .l_whence = SEEK_SET,
			       .l_start = 101,
			       .l_len = 1};

	*hold = open(path, O_RDONLY | O_CLOEXEC);
	if (*hold < 0)
		return error_errno(error, errno, "the disk %s", path);
	/* A file system without locks has none of QEMU's either. */
	if (fcntl(*hold, F_OFD_SETLK, &nobody) ||
	    fcntl(*hold, F_OFD_GETLK, &writer) || writer.l_type == F_UNLCK)
		return 0;
	close(*hold);
	*hold = -1;
	return error_set(error, EBUSY,
			 "another program writes to the disk %s: end that "
			 "first",
			 path);
}

/* qemu-img on one image, its last argument; what it prints is not needed. */
static int run_on(char *const argv[], const char *path, bool is_long,
		  struct error *error)
{
	struct buffer text = {.limit = OUTPUT_MAX};
	char *words[16], *name = file_name(path);
	unsigned n = 0;
	int result;

	if (!name)
		return error_set(error, ENOMEM, "out of memory");
	for (; argv[n]; n++)
		words[n] = argv[n];
	words[n] = name;
	words[n + 1] = NULL;
	result = qemu_img_for(words, &text,
			      is_long ? SECONDS_LONG : SECONDS_MAX, error);
	if (result < 0)
		error_prefix(error, "image %s", path);
	buffer_free(&text);
	free(name);
	return result;
}

int disk_create_on(const char *path, const char *backing, const char *format,
		   uint64_t virtual_size, struct error *error)
{
	struct buffer text = {0};
	char size[24], *name;
	int result;

	if (access(path, F_OK) == 0)
		return error_set(error, EEXIST, "%s is there already", path);
	snprintf(size, sizeof(size), "%llu", (unsigned long long)virtual_size);
	name = file_name(path);
	if (!name)
		return error_set(error, ENOMEM, "out of memory");
	result = qemu_img((char *[]){"qemu-img", "create", "-q", "-u", "-f",
				     "qcow2", "-b", (char *)backing, "-F",
				     (char *)format, name, size, NULL},
			  &text, error);
	buffer_free(&text);
	free(name);
	if (result == 0 && chmod(path, 0600) < 0)
		result = error_errno(error, errno, "image %s", path);
	if (result == 0)
		result = disk_sync(path, error);
	if (result < 0)
		error_prefix(error, "cannot make a new layer");
	return result;
}

int disk_commit(const char *path, struct error *error)
{
	return run_on((char *[]){"qemu-img", "commit", "-q", "-d", "-f",
				 "qcow2", NULL},
		      path, true, error);
}

int disk_rebase(const char *path, const char *backing, const char *format,
		struct error *error)
{
	if (!backing)
		return run_on((char *[]){"qemu-img", "rebase", "-q", "-f",
					 "qcow2", "-b", "", NULL},
			      path, true, error);
	return run_on((char *[]){"qemu-img", "rebase", "-q", "-f", "qcow2",
				 "-b", (char *)backing, "-F", (char *)format,
				 NULL},
		      path, true, error);
}

int disk_rename_backing(const char *path, const char *backing,
			const char *format, struct error *error)
{
	return run_on((char *[]){"qemu-img", "rebase", "-q", "-u", "-f",
				 "qcow2", "-b", (char *)backing, "-F",
				 (char *)format, NULL},
		      path, false, error);
}

int disk_map(const char *path, const char *format, char **json,
	     struct error *error)
{
	struct buffer text = {.limit = MAP_MAX};
	char *name = file_name(path);
	int result;

	*json = NULL;
	if (!name)
		return error_set(error, ENOMEM, "out of memory");
	result = qemu_img_for((char *[]){"qemu-img", "map", "--output=json",
					 "-f", (char *)format, name, NULL},
			      &text, SECONDS_LONG, error);
	if (result == 0)
		*json = (char *)text.data;
	else
		buffer_free(&text);
	free(name);
	return result;
}

uint64_t disk_actual_size(const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 ? 0 : (uint64_t)st.st_blocks * 512;
}

int disk_check_space(const char *folder, uint64_t bytes, struct error *error)
{
	struct statvfs fs;
	uint64_t left;

	if (statvfs(folder, &fs) < 0)
		return error_errno(error, errno, "cannot use %s", folder);
	left = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (left >= bytes + SPACE_MARGIN)
		return 0;
	return error_set(error, ENOSPC,
			 "it needs %llu MiB in %s, where %llu MiB are left: "
			 "make room first",
			 (unsigned long long)((bytes + SPACE_MARGIN) >> 20),
			 folder, (unsigned long long)(left >> 20));
}

int disk_sync(const char *path, struct error *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int result = fd < 0 || fsync(fd) < 0 ? errno : 0;

	if (fd >= 0)
		close(fd);
	return result ? error_errno(error, result, "cannot sync %s", path) : 0;
}
