/*
 * Copying a QEMU; see machine_make.h.
 *
 * Where its parts lie is learned of a QEMU that runs (and so of a wrapper
 * script, too): /proc/PID/maps names program, dynamic loader and the folders
 * of its libraries, and that of its modules once it has loaded one. What else
 * a module needs is asked of the dynamic loader.
 */
#include "daemon/machine_make.h"

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
#include "daemon/firmware.h"
#include "daemon/folder.h"
#include "daemon/machine_qemu.h"
#include "daemon/spawn.h"
#include "daemon/units.h"

#define LOADER "ld-linux-x86-64.so.2"
#define PROGRAM "qemu-system-x86_64"
#define FOLDERS_MAX 64

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char script[] =
	"#!/bin/sh\n"
	"# Starts the QEMU of this vault with what lies beside it; SASL and\n"
	"# GStreamer would look for plugins of the host.\n"
	"d=${0%/*}\n"
	"QEMU_MODULE_DIR=$d/modules SASL_PATH=$d/none \\\n"
	"GST_PLUGIN_SYSTEM_PATH_1_0=$d/none \\\n"
	"exec \"$d/lib/" LOADER "\" --library-path \"$d/lib\" \\\n"
	"\t\"$d/bin/" PROGRAM "\" \"$@\" -L \"$d/share\"\n";

/* Modules of what a definition may have. */
static const char *const modules[] = {
	"accel-*-x86_64.so",  "audio-spice.so",        "chardev-spice.so",
	"hw-display-qxl.so",  "hw-display-virtio*.so", "hw-usb-host.so",
	"hw-usb-redirect.so", "ui-opengl.so",          "ui-spice-core.so",
};

struct parts {
	char program[PATH_MAX], loader[PATH_MAX], modules[PATH_MAX];
	char *folders[FOLDERS_MAX]; /* of libraries */
	unsigned count;
	char outside[PATH_MAX]; /* a library not below `inside` */
};

/* --- where its parts lie ----------------------------------------------- */

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_loader(const char *path)
{
	return strncmp(base_name(path), "ld-", 3) == 0;
}

static void add_folder(struct parts *parts, const char *path)
{
	size_t length = (size_t)(base_name(path) - path) - 1;

	for (unsigned i = 0; i < parts->count; i++)
		if (strlen(parts->folders[i]) == length &&
		    memcmp(parts->folders[i], path, length) == 0)
			return;
	if (parts->count < FOLDERS_MAX &&
	    (parts->folders[parts->count] = strndup(path, length)))
		parts->count++;
}

static void take_mapping(struct parts *parts, const char *path,
			 const char *inside)
{
	const char *name = base_name(path);

	if (strstr(name, PROGRAM))
		snprintf(parts->program, PATH_MAX, "%s", path);
	else if (is_loader(path))
		snprintf(parts->loader, PATH_MAX, "%s", path);
	else if (strcmp(name, "hw-display-qxl.so") == 0)
		snprintf(parts->modules, PATH_MAX, "%.*s",
			 (int)(name - path - 1), path);
	else if (strstr(name, ".so"))
		add_folder(parts, path);
	else
		return;
	if (inside && strncmp(path, inside, strlen(inside)) != 0)
		snprintf(parts->outside, PATH_MAX, "%s", path);
}

static int read_maps(struct parts *parts, pid_t pid, const char *inside,
		     struct error *error)
{
	char path[64], *line = NULL, *file;
	size_t size = 0;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	if (!maps)
		return error_errno(error, errno, "can't read %s", path);
	while (getline(&line, &size, maps) > 0) {
		line[strcspn(line, "\n")] = '\0';
		file = strchr(line, '/');
		if (file && strlen(file) < PATH_MAX)
			take_mapping(parts, file, inside);
	}
	free(line);
	fclose(maps);
	return 0;
}

/* inside: libraries from elsewhere are noted; or NULL. */
static int find_parts(const char *emulator, struct parts *parts,
		      const char *inside, struct error *error)
{
	struct machine_qemu *qemu;
	int r = machine_qemu_start(emulator, &qemu, error);

	if (r)
		return r;
	/* It loads the module with QXL, and that the one with SPICE. */
	r = machine_qemu_ask(qemu, "device-list-properties",
			     json_pack("{s:s}", "typename", "qxl-vga"), NULL,
			     error);
	if (r)
		r = error_set(error, -ENOTSUP,
			      "%s has no QXL: install "
			      "qemu-system-modules-spice, or what else has "
			      "SPICE for it",
			      emulator);
	/* And this all that there are, as libvirt has it do. */
	if (!r && inside)
		r = machine_qemu_ask(qemu, "qom-list-types", NULL, NULL, error);
	if (!r)
		r = read_maps(parts, machine_qemu_pid(qemu), inside, error);
	machine_qemu_end(qemu);
	if (!r && (!parts->program[0] || !parts->loader[0]))
		r = error_set(error, -ENOTSUP,
			      "%s is no " PROGRAM " with shared libraries",
			      emulator);
	return r;
}

static void forget(struct parts *parts)
{
	for (unsigned i = 0; i < parts->count; i++)
		free(parts->folders[i]);
}

/* --- copying ----------------------------------------------------------- */

static int copy(const char *from, const char *folder, const char *below,
		const char *name, struct error *error)
{
	char to[PATH_MAX + 512];
	int r;

	snprintf(to, sizeof(to), "%s/%s/%s", folder, below, name);
	r = disk_copy(from, to, error);
	if (r == -EEXIST) {
		error_clear(error);
		return 0;
	}
	return r                 ? r
	       : chmod(to, 0700) ? error_errno(error, errno, "%s", to)
				 : 0;
}

/* "	libz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x00007f…)" */
static int take_library(char *line, const char *folder, struct error *error)
{
	char *arrow = strstr(line, " => "), *path, *name, *end;

	if (!arrow)
		return 0;
	name = line + strspn(line, " \t");
	path = arrow + 4;
	*arrow = '\0';
	if (strncmp(path, "not found", 9) == 0)
		return error_set(error, -ENOENT,
				 "its library %s is not there: reinstall "
				 "QEMU's packages",
				 name);
	end = strrchr(path, '(');
	if (path[0] != '/' || !end || end == path || strchr(name, '/'))
		return 0;
	end[-1] = '\0';
	return copy(path, folder, "lib", name, error);
}

static int copy_libraries(const struct parts *parts, const char *of,
			  const char *folder, struct error *error)
{
	char line[2 * PATH_MAX], path[8192] = "";
	const char *const list[] = {
		parts->loader, "--library-path", path, "--list", of, NULL};
	FILE *output;
	size_t n = 0;
	pid_t pid;
	int r;

	for (unsigned i = 0; i < parts->count && n < sizeof(path); i++)
		n += (size_t)snprintf(path + n, sizeof(path) - n, "%s%s",
				      n ? ":" : "", parts->folders[i]);
	r = spawn_output(list, &output, &pid, error);
	if (r)
		return r;
	while (!r && fgets(line, sizeof(line), output))
		r = take_library(line, folder, error);
	fclose(output);
	waitpid(pid, NULL, 0);
	return r;
}

static bool is_wanted(const char *name)
{
	for (unsigned i = 0; i < COUNT(modules); i++)
		if (fnmatch(modules[i], name, 0) == 0)
			return true;
	return false;
}

static int copy_modules(const struct parts *parts, const char *folder,
			struct error *error)
{
	char path[2 * PATH_MAX];
	const struct dirent *entry;
	DIR *entries;
	int r = 0;

	/* Not every QEMU is cut into modules. */
	if (!parts->modules[0])
		return 0;
	entries = opendir(parts->modules);
	if (!entries)
		return error_errno(error, errno, "can't read %s",
				   parts->modules);
	while (!r && (entry = readdir(entries))) {
		if (!is_wanted(entry->d_name))
			continue;
		snprintf(path, sizeof(path), "%s/%s", parts->modules,
			 entry->d_name);
		r = copy(path, folder, "modules", entry->d_name, error);
		if (!r)
			r = copy_libraries(parts, path, folder, error);
	}
	closedir(entries);
	return r;
}

static int copy_parts(const char *emulator, const struct parts *parts,
		      const char *folder, struct error *error)
{
	char path[PATH_MAX];
	int r = copy(parts->program, folder, "bin", PROGRAM, error);

	if (!r)
		r = copy(parts->loader, folder, "lib", LOADER, error);
	if (!r)
		r = copy_libraries(parts, parts->program, folder, error);
	if (!r)
		r = copy_modules(parts, folder, error);
	if (!r)
		r = machine_leave_out(parts->program, folder, error);
	snprintf(path, sizeof(path), "%s/share", folder);
	if (!r)
		r = firmware_copy(emulator, path, true, error);
	snprintf(path, sizeof(path), "%s/run", folder);
	if (!r)
		r = folder_write(path, script, strlen(script), 0700, error);
	return r;
}

static int make_folders(const char *folder, struct error *error)
{
	static const char *const names[] = {"", "/bin", "/lib", "/modules",
					    "/share"};
	char path[PATH_MAX];
	int r = 0;

	for (unsigned i = 0; !r && i < COUNT(names); i++) {
		snprintf(path, sizeof(path), "%s%s", folder, names[i]);
		r = folder_make(path, 0700, error);
	}
	return r;
}

/* --- the copy itself --------------------------------------------------- */

/* It runs, has the machine, and needs nothing of this host's packages. */
static int try_it(const char *folder, const char *machine, json_t **facts,
		  struct error *error)
{
	struct parts *parts = calloc(1, sizeof(*parts));
	char path[PATH_MAX];
	int r;

	*facts = NULL;
	if (!parts)
		return error_set(error, -ENOMEM, "no memory");
	snprintf(path, sizeof(path), "%s/run", folder);
	r = find_parts(path, parts, folder, error);
	if (!r && parts->outside[0])
		r = error_set(error, -ENOTSUP,
			      "its copy still loads %s: this QEMU can't be "
			      "taken along",
			      parts->outside);
	if (!r)
		r = machine_qemu_facts(path, facts, error);
	if (!r && !machine_qemu_has(*facts, machine))
		r = error_set(
			error, -ENOTSUP, "QEMU %s has no machine type %s",
			json_string_value(json_object_get(*facts, "version")),
			machine);
	forget(parts);
	free(parts);
	return r;
}

static int write_manifest(const char *folder, const char *machine,
			  const json_t *facts, char digest[MACHINE_DIGEST_SIZE],
			  struct error *error)
{
	char now[UNITS_TIME_SIZE];
	json_t *manifest;
	int r;

	units_time_format(units_now_us(), now);
	manifest = json_pack("{s:i, s:O, s:O, s:s, s:s}", "format", 1, "qemu",
			     json_object_get(facts, "version"), "package",
			     json_object_get(facts, "package"), "made_at", now,
			     "machine", machine);
	r = manifest ? machine_files_write(folder, manifest, digest, error)
		     : error_set(error, -ENOMEM, "no memory");
	json_decref(manifest);
	return r;
}

int machine_make(const char *emulator, const char *machine, const char *folder,
		 char digest[MACHINE_DIGEST_SIZE], struct error *error)
{
	struct parts *parts = calloc(1, sizeof(*parts));
	json_t *facts = NULL;
	int r = parts ? make_folders(folder, error)
		      : error_set(error, -ENOMEM, "no memory");

	if (!r)
		r = find_parts(emulator, parts, NULL, error);
	if (!r)
		r = copy_parts(emulator, parts, folder, error);
	if (!r)
		r = try_it(folder, machine, &facts, error);
	if (!r)
		r = write_manifest(folder, machine, facts, digest, error);
	if (parts)
		forget(parts);
	free(parts);
	json_decref(facts);
	return r;
}
