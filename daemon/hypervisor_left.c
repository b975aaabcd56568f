/* Guests in the driver's root that are not its own; see hypervisor_left.h. */
#include "daemon/hypervisor_left.h"

#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/folder.h"
#include "daemon/hypervisor_root.h"
#include "daemon/log.h"

#define STATUS_MOST (4 << 20)

/*
 * What libvirt knows of running guests is of the folder that it was written
 * in: read from a copy of that folder, it would lead to the monitors of
 * somebody else's guests.
 */
static int drop_others_guests(const char *root, struct error *error)
{
	char path[HYPERVISOR_ROOT_MAX + 32], here[64], *text = NULL;
	struct stat st;
	int result;

	if (stat(root, &st) < 0)
		return error_errno(error, errno, "cannot use the folder %s",
				   root);
	snprintf(here, sizeof(here), "%ju %ju\n", (uintmax_t)st.st_dev,
		 (uintmax_t)st.st_ino);
	snprintf(path, sizeof(path), "%.*s/place", HYPERVISOR_ROOT_MAX, root);
	if (folder_read(path, sizeof(here), &text, NULL) == 0 &&
	    strcmp(text, here) == 0) {
		free(text);
		return 0;
	}
	if (text) {
		snprintf(path, sizeof(path), "%.*s/run", HYPERVISOR_ROOT_MAX,
			 root);
		result = folder_remove(path, error);
		free(text);
		if (result < 0)
			return result;
		snprintf(path, sizeof(path), "%.*s/place", HYPERVISOR_ROOT_MAX,
			 root);
	}
	return folder_write(path, here, strlen(here), 0600, error);
}

/* Whether a process runs a program (a part of its name) for this root. */
static bool is_ours(long pid, const char *program, const char *root)
{
	char path[48], line[4096];
	size_t length = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%ld/cmdline", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	length = fread(line, 1, sizeof(line), file);
	fclose(file);
	return memmem(line, length, program, strlen(program)) &&
	       memmem(line, length, root, strlen(root));
}

/* Of the number in a file, if it still is what it was. */
static void end_process(const char *file, const char *program, int signal,
			const char *root)
{
	char *text;
	long pid;

	if (folder_read(file, 32, &text, NULL))
		return;
	pid = strtol(text, NULL, 10);
	free(text);
	if (pid > 1 && is_ours(pid, program, root))
		kill((pid_t)pid, signal);
}

/* libvirt notes a guest before its QEMU is there: process 0. */
static bool is_unborn(const char *path)
{
	char *text;
	const char *pid;
	bool unborn;

	if (folder_read(path, STATUS_MOST, &text, NULL))
		return false;
	pid = strstr(text, "<domstatus ");
	pid = pid ? strstr(pid, " pid='") : NULL;
	unborn = pid && strtol(pid + strlen(" pid='"), NULL, 10) <= 0;
	free(text);
	return unborn;
}

/*
 * libvirt would have such a guest run for ever. (QEMU ends by itself when
 * libvirt is gone before that number is known.)
 */
static void drop_unborn(const char *root)
{
	char folder[PATH_MAX], path[2 * PATH_MAX], name[256];
	struct dirent *entry;
	DIR *list;

	snprintf(folder, sizeof(folder), "%s/run/qemu", root);
	list = opendir(folder);
	while (list && (entry = readdir(list))) {
		size_t length = strlen(entry->d_name);

		if (length < 5 || strcmp(entry->d_name + length - 4, ".xml"))
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (!is_unborn(path))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)length - 4,
			 entry->d_name);
		log_info("the start of guest %s was cut; it is forgotten",
			 name);
		unlink(path);
	}
	if (list)
		closedir(list);
}

/* Whether a note is of the guest with that number; yes if it can't be read. */
static bool has_number(const char *path, long number)
{
	const char *id;
	char *text;
	bool same;

	if (folder_read(path, STATUS_MOST, &text, NULL))
		return true;
	id = strstr(text, "<domain ");
	id = id ? strstr(id, " id='") : NULL;
	same = id && strtol(id + strlen(" id='"), NULL, 10) == number;
	free(text);
	return same;
}

/* Whether libvirt has noted a guest whose name begins so. */
static bool is_noted(const char *root, long number, const char *name,
		     size_t length)
{
	char folder[PATH_MAX], path[2 * PATH_MAX];
	struct dirent *entry;
	bool noted = false;
	DIR *list;

	snprintf(folder, sizeof(folder), "%s/run/qemu", root);
	list = opendir(folder);
	while (list && !noted && (entry = readdir(list))) {
		size_t n = strlen(entry->d_name);

		if (n < length + 4 || strncmp(entry->d_name, name, length) ||
		    strcmp(entry->d_name + n - 4, ".xml"))
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		noted = has_number(path, number);
	}
	if (list)
		closedir(list);
	return noted;
}

/*
 * TPMs that no QEMU has come to, nor will: libvirt starts them before it notes
 * the guest, and calls them by its number and 20 bytes of its name.
 */
static void end_tpms(const char *root)
{
	static const char end[] = "-swtpm.pid";
	char folder[PATH_MAX], path[2 * PATH_MAX];
	struct dirent *entry;
	DIR *list;

	snprintf(folder, sizeof(folder), "%s/run/swtpm", root);
	list = opendir(folder);
	while (list && (entry = readdir(list))) {
		char *name;
		long number = strtol(entry->d_name, &name, 10);
		size_t n = strlen(name);

		if (*name != '-' || n <= strlen(end) + 1 ||
		    strcmp(name + n - strlen(end), end) ||
		    is_noted(root, number, name + 1, n - strlen(end) - 1))
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		end_process(path, "swtpm", SIGTERM, root);
		unlink(path);
	}
	if (list)
		closedir(list);
}

static bool runs(const char *program, const char *root)
{
	DIR *list = opendir("/proc");
	struct dirent *entry;
	bool found = false;

	while (list && !found && (entry = readdir(list))) {
		long pid = strtol(entry->d_name, NULL, 10);

		found = pid > 1 && is_ours(pid, program, root);
	}
	if (list)
		closedir(list);
	return found;
}

/*
 * The first state of a TPM is being made, and will be the guest's: a start
 * would find it locked, and half made.
 */
static void await_setups(const char *root)
{
	for (unsigned i = 0; i < 200 && runs("swtpm_setup", root); i++)
		usleep(50000);
}

/* QEMUs that libvirt was asking what they can do; they have no guest. */
static void end_questioned(const char *root)
{
	char folder[PATH_MAX], path[2 * PATH_MAX], file[2 * PATH_MAX + 16];
	struct dirent *entry;
	DIR *list;

	snprintf(folder, sizeof(folder), "%s/lib/qemu", root);
	list = opendir(folder);
	while (list && (entry = readdir(list))) {
		if (strncmp(entry->d_name, "qmp-", 4) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		snprintf(file, sizeof(file), "%s/qmp.pid", path);
		end_process(file, "qemu", SIGKILL, root);
		folder_remove(path, NULL);
	}
	if (list)
		closedir(list);
}

int hypervisor_left_clean(const char *root, struct error *error)
{
	int result = drop_others_guests(root, error);

	if (result == 0) {
		drop_unborn(root);
		end_tpms(root);
		await_setups(root);
		end_questioned(root);
	}
	return result;
}
