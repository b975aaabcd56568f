/*
 * Starts that ended with the process that made them; see hypervisor_root.h.
 *
 * libvirt 9.0 writes a guest's status with pid='0' before QEMU is there, and
 * finds such a guest again as one that starts for ever: each call that asks
 * for it waits 30 s. QEMU itself waits for libvirt's word before it becomes
 * QEMU, and ends without it; only the TPM's process may be left.
 */
#include "daemon/hypervisor_root.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The beginning of a file; "" when it can't be read. */
static void read_beginning(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	text[n > 0 ? n : 0] = '\0';
	if (fd >= 0)
		close(fd);
}

static bool has_no_process(const char *path)
{
	char text[4096], *element, *end;

	read_beginning(path, text, sizeof(text));
	element = strstr(text, "<domstatus ");
	end = element ? strchr(element, '>') : NULL;
	if (!end)
		return false;
	*end = '\0';
	return strstr(element, " pid='0'") != NULL;
}

/* Its number may be another process's by now: that is not of this root. */
static void end_process(const char *root, const char *folder, const char *file)
{
	char path[PATH_MAX + 256], text[4096];
	int pid = 0, fd;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	read_beginning(path, text, sizeof(text));
	if (sscanf(text, "%d", &pid) != 1 || pid < 2)
		return;
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return;
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	memset(text, 0, sizeof(text));
	read_beginning(path, text, sizeof(text));
	/* Arguments are parted by zeros. */
	if (memmem(text, sizeof(text), root, strlen(root)))
		syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
	close(fd);
}

/* "-NAME-swtpm.pid" at the end, with 20 bytes of the name. */
static void end_tpm(const char *root, const char *name)
{
	char folder[PATH_MAX], end[64];
	const struct dirent *entry;
	DIR *entries;

	snprintf(folder, sizeof(folder), "%s/run/swtpm", root);
	snprintf(end, sizeof(end), "-%.20s-swtpm.pid", name);
	entries = opendir(folder);
	while (entries && (entry = readdir(entries))) {
		size_t length = strlen(entry->d_name);

		if (length > strlen(end) &&
		    !strcmp(entry->d_name + length - strlen(end), end))
			end_process(root, folder, entry->d_name);
	}
	if (entries)
		closedir(entries);
}

void hypervisor_root_clean(const char *root)
{
	char folder[PATH_MAX], path[PATH_MAX + 256], name[256];
	const struct dirent *entry;
	DIR *entries;

	snprintf(folder, sizeof(folder), "%s/run/qemu", root);
	entries = opendir(folder);
	while (entries && (entry = readdir(entries))) {
		size_t length = strlen(entry->d_name);

		if (length < 5 || strcmp(entry->d_name + length - 4, ".xml"))
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (!has_no_process(path))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)length - 4,
			 entry->d_name);
		end_tpm(root, name);
		unlink(path);
	}
	if (entries)
		closedir(entries);
}
