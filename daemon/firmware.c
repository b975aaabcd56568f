/* SeaBIOS and option ROMs; see firmware.h. */
#include "daemon/firmware.h"

#include <dirent.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/disk.h"
#include "daemon/folder.h"
#include "daemon/spawn.h"

/* QEMU takes this one for a PC. */
#define BIOS "bios-256k.bin"
#define BIOS_MAX (1 << 20)

/* What a PC can load, of what lies in QEMU's folders. */
static const char *const patterns[] = {
	"bios*.bin",      "vgabios*.bin", "kvmvapic.bin", "linuxboot*.bin",
	"multiboot*.bin", "pvh.bin",      "sgabios.bin",
};
static const char *const network_patterns[] = {"efi-*.rom", "pxe-*.rom"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool is_wanted(const char *name, bool network_roms)
{
	for (size_t i = 0; i < COUNT(patterns); i++)
		if (fnmatch(patterns[i], name, 0) == 0)
			return true;
	for (size_t i = 0; network_roms && i < COUNT(network_patterns); i++)
		if (fnmatch(network_patterns[i], name, 0) == 0)
			return true;
	return false;
}

static int copy_from(const char *source, const char *folder, bool network_roms,
		     struct error *error)
{
	DIR *entries = opendir(source);
	const struct dirent *entry;
	int result = 0;

	/* QEMU passes over a folder that is not there. */
	if (!entries)
		return 0;
	while (result == 0 && (entry = readdir(entries))) {
		char from[PATH_MAX + 256], to[PATH_MAX + 256];
		struct stat st;

		if (!is_wanted(entry->d_name, network_roms))
			continue;
		snprintf(from, sizeof(from), "%s/%s", source, entry->d_name);
		snprintf(to, sizeof(to), "%s/%s", folder, entry->d_name);
		if (stat(from, &st) < 0 || !S_ISREG(st.st_mode))
			continue;
		result = disk_copy(from, to, error);
		if (result == -EEXIST)
			result = 0;
	}
	closedir(entries);
	return result;
}

int firmware_copy(const char *emulator, const char *folder, bool network_roms,
		  struct error *error)
{
	char line[PATH_MAX];
	FILE *output;
	pid_t pid;
	/* Its folders, a line each; the first found wins. */
	const char *const help[] = {emulator, "-L", "help", NULL};
	int result = spawn_output(help, &output, &pid, error);

	if (result < 0)
		return result;
	while (result == 0 && fgets(line, sizeof(line), output)) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '/')
			result = copy_from(line, folder, network_roms, error);
	}
	fclose(output);
	waitpid(pid, NULL, 0);
	if (result == 0 && !firmware_is_there(folder))
		return error_set(error, ENOENT,
				 "%s has no %s in its folders (%s -L help "
				 "prints them): install the package seabios",
				 emulator, BIOS, emulator);
	return result ? result : folder_sync(folder, error);
}

bool firmware_is_there(const char *folder)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", folder, BIOS);
	return access(path, R_OK) == 0;
}

/* "1.16.2-debian-1.16.2-1" or "rel-1.16.3-0-ga6ed6b701f0a": a whole text. */
static bool is_version(const char *text, size_t length)
{
	unsigned a, b, c;

	if (strncmp(text, "rel-", 4) == 0)
		text += 4;
	if (length < 5 || length > 60 ||
	    sscanf(text, "%3u.%3u.%3u", &a, &b, &c) != 3)
		return false;
	return strspn(text, "0123456789.-+~_abcdefghijklmnopqrstuvwxyz") ==
	       strlen(text);
}

void firmware_version(const char *folder, char *version, size_t size)
{
	char path[PATH_MAX], *data = malloc(BIOS_MAX + 1);
	size_t length = 0, end;
	FILE *file;

	version[0] = '\0';
	snprintf(path, sizeof(path), "%s/%s", folder, BIOS);
	file = data ? fopen(path, "re") : NULL;
	if (file) {
		length = fread(data, 1, BIOS_MAX, file);
		fclose(file);
	}
	for (size_t at = 0; at < length; at = end + 1) {
		data[length] = '\0';
		end = at + strlen(data + at);
		if (is_version(data + at, end - at)) {
			snprintf(version, size, "%s", data + at);
			break;
		}
	}
	free(data);
}
