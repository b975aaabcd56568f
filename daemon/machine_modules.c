/*
 * Modules that a copied QEMU does without; see machine_make.h.
 *
 * A module that QEMU knows and does not find beside it, it would take from the
 * host, whose modules belong to another QEMU: that can end it. An empty file
 * is found, and is none. The names stand in the program; what only looks like
 * one does no harm.
 */
#include "daemon/machine_make.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const kinds[] = {"accel-", "audio-", "block-", "chardev-",
				    "hw-",    "ui-",    "tools-"};

static int leave_out(const char *name, const char *folder, struct error *error)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/modules/%s.so", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
	if (fd >= 0)
		close(fd);
	else if (errno != EEXIST)
		return error_errno(error, errno, "can't make %s", path);
	return 0;
}

static int leave_out_at(const char *at, const char *end, const char *folder,
			struct error *error)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-_";
	size_t length = strnlen(at, (size_t)(end - at));

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (length < 48 && at + length < end &&
		    strncmp(at, kinds[i], strlen(kinds[i])) == 0 &&
		    strspn(at, letters) == length)
			return leave_out(at, folder, error);
	return 0;
}

int machine_leave_out(const char *program, const char *folder,
		      struct error *error)
{
	int fd = open(program, O_RDONLY | O_CLOEXEC), r = 0;
	struct stat st;
	char *data;

	if (fd < 0 || fstat(fd, &st))
		r = error_errno(error, errno, "can't read %s", program);
	data = r ? NULL
		 : mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd,
			0);
	if (data == MAP_FAILED)
		r = error_errno(error, errno, "can't read %s", program);
	for (off_t i = 0; !r && i < st.st_size; i++)
		if (strchr("abchtu", data[i]) && data[i])
			r = leave_out_at(data + i, data + st.st_size, folder,
					 error);
	if (data && data != MAP_FAILED)
		munmap(data, (size_t)st.st_size);
	if (fd >= 0)
		close(fd);
	return r;
}
