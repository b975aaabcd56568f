/* What of the host has a say in a guest's identity; see seal_file.h. */
#include "daemon/seal_file.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/control.h"
#include "daemon/domain.h"
#include "daemon/firmware.h"
#include "daemon/folder.h"
#include "daemon/machine.h"
#include "daemon/spawn.h"
#include "daemon/vault.h"

#define DEFINITION_MAX (1 << 20)

static const char *const labels[][2] = {
	{"qemu", "QEMU"},
	{"libvirt", "libvirt"},
	{"firmware", "firmware"},
	{"accelerator", "accelerator"},
	{"cpu", "processor"},
	{"kernel", "kernel"},
	{"programs", "files of QEMU or libvirt"},
};

static const char *text_of(const json_t *json, const char *name)
{
	const char *text = json_string_value(json_object_get(json, name));

	return text ? text : "";
}

/* --- programs ---------------------------------------------------------- */

/* Another file under the path shows in one of these. */
static void add_stat(FILE *to, const char *path)
{
	struct stat st;

	if (!stat(path, &st))
		fprintf(to, "%s %lld %lld.%09ld\n", path, (long long)st.st_size,
			(long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

/*
 * libvirt and its driver are in this process. What it loads besides, when
 * there is a use for it, has no say.
 */
static bool is_driver(const char *path)
{
	const char *name = strrchr(path, '/') + 1;

	return strncmp(name, "libvirt.so", 10) == 0 ||
	       strncmp(name, "libvirt_driver_qemu", 19) == 0;
}

static void add_libraries(FILE *to)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[PATH_MAX + 128], last[PATH_MAX] = "";

	while (maps && fgets(line, sizeof(line), maps)) {
		char *path = strchr(line, '/');

		if (!path || !is_driver(path))
			continue;
		path[strcspn(path, "\n")] = '\0';
		if (strcmp(path, last))
			add_stat(to, path);
		snprintf(last, sizeof(last), "%s", path);
	}
	if (maps)
		fclose(maps);
}

static json_t *programs(const char *emulator)
{
	char *text = NULL, hex[SEAL_DIGEST_SIZE];
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);

	if (!to)
		return NULL;
	add_stat(to, emulator);
	add_libraries(to);
	fclose(to);
	seal_bytes_digest(text, size, hex);
	free(text);
	return json_string(hex);
}

/* The first line that a program prints; "" when it does not run. */
static void first_line(const char *program, const char *argument, char *line,
		       int size)
{
	const char *const arguments[] = {program, argument, NULL};
	FILE *output;
	pid_t pid;

	line[0] = '\0';
	if (spawn_output(arguments, &output, &pid, NULL))
		return;
	if (fgets(line, size, output))
		line[strcspn(line, "\n")] = '\0';
	fclose(output);
	waitpid(pid, NULL, 0);
}

/* "7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)" */
static json_t *qemu_version(const char *emulator)
{
	static const char before[] = "QEMU emulator version ";
	char line[240];

	first_line(emulator, "--version", line, sizeof(line));
	return json_string(strncmp(line, before, strlen(before)) == 0
				   ? line + strlen(before)
				   : line);
}

static json_t *libvirt_version(struct control *control)
{
	char text[120], version[40];

	if (hypervisor_version(control->hypervisor, text, sizeof(text), NULL) ||
	    sscanf(text, "libvirt %39[0-9.]", version) != 1)
		strcpy(version, "?");
	return json_string(version);
}

/* --- firmware, processor, kernel --------------------------------------- */

/* Firmware of its own is a file of the seal; else the host's. */
static json_t *firmware(struct control *control, const struct vault *vault)
{
	static const char *const places[] = {
		"/usr/share/seabios/bios-256k.bin",
		"/usr/share/qemu/bios-256k.bin",
	};
	char path[PATH_MAX], *text = NULL, hex[SEAL_DIGEST_SIZE];
	size_t size = 0;
	FILE *to;

	vault_path(control, vault->uuid, "fw", path);
	if (firmware_is_there(path))
		return json_string("the vault's own");
	to = open_memstream(&text, &size);
	if (!to)
		return NULL;
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		if (!seal_file_digest(places[i], hex, NULL))
			fprintf(to, "%s\n", hex);
	fclose(to);
	seal_bytes_digest(text, size, hex);
	free(text);
	return json_sprintf("the host's, sha256 %s", hex);
}

static void copy_value(char *to, size_t size, const char *line)
{
	const char *value = strchr(line, ':');

	if (*to || !value)
		return;
	snprintf(to, size, "%s", value + 1 + (value[1] == ' '));
	to[strcspn(to, "\n")] = '\0';
}

/* "Intel(R) … , family 6, model 85, stepping 7, flags 1f2e3d4c5b6a7988" */
static json_t *processor(void)
{
	static const char *const names[] = {"model name\t", "cpu family\t",
					    "model\t", "stepping\t", "flags\t"};
	char values[5][4096] = {{0}}, hex[SEAL_DIGEST_SIZE];
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[4096];

	while (file && fgets(line, sizeof(line), file) && line[0] != '\n')
		for (unsigned i = 0; i < 5; i++)
			if (!strncmp(line, names[i], strlen(names[i])))
				copy_value(values[i], sizeof(values[i]), line);
	if (file)
		fclose(file);
	seal_bytes_digest(values[4], strlen(values[4]), hex);
	return json_sprintf("%.120s, family %.8s, model %.8s, stepping %.8s, "
			    "flags %.16s",
			    values[0], values[1], values[2], values[3], hex);
}

static json_t *kernel(void)
{
	struct utsname name = {0};

	uname(&name);
	return json_sprintf("%s %s", name.release, name.version);
}

/* --- all of it --------------------------------------------------------- */

int seal_host(struct control *control, const struct vault *vault,
	      const json_t *last, json_t **host, struct error *error)
{
	char emulator[PATH_MAX], why[MACHINE_WHY_SIZE];
	char accelerator[ACCELERATOR_WHY_SIZE];
	int r = machine_emulator(control, vault, emulator, why, error);
	json_t *files;

	*host = NULL;
	if (r)
		return r;
	files = programs(emulator);
	*host = json_pack(
		"{s:s, s:o, s:o, s:o, s:s, s:o, s:o}", "emulator", emulator,
		"qemu",
		*text_of(last, "qemu") &&
				json_equal(files,
					   json_object_get(last, "programs"))
			? json_incref(json_object_get(last, "qemu"))
			: qemu_version(emulator),
		"libvirt", libvirt_version(control), "firmware",
		firmware(control, vault), "accelerator",
		machine_is_kvm(control, vault, accelerator) ? "kvm" : "tcg",
		"cpu", processor(), "kernel", kernel());
	if (!*host || json_object_set_new(*host, "programs", files)) {
		json_decref(*host);
		*host = NULL;
		return error_set(error, -ENOMEM, "no memory");
	}
	return 0;
}

void seal_host_diff(const json_t *before, const json_t *now, char *text,
		    size_t size)
{
	bool version = false;
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < sizeof(labels) / sizeof(*labels); i++) {
		const char *old = text_of(before, labels[i][0]);
		const char *new = text_of(now, labels[i][0]);

		/* A new version has new files. */
		if (strcmp(old, new) == 0 ||
		    (version && strcmp(labels[i][0], "programs") == 0))
			continue;
		version = version || i < 2;
		if (n < size)
			n += (size_t)snprintf(
				text + n, size - n,
				strcmp(labels[i][0], "programs")
					? "%s%s (%.60s, now %.60s)"
					: "%s%s",
				n ? ", " : "", labels[i][1],
				*old ? old : "none", *new ? new : "none");
	}
}
