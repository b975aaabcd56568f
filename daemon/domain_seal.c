/*
 * What a start adds on QEMU's command line for a sealed machine, and what it
 * puts in place of the guest for a probe; see domain.h.
 *
 * With acpi=off QEMU makes no ACPI tables of its own, and firmware takes the
 * ones that are given under the same names. A structure given by -smbios file=
 * takes the place of QEMU's own of that type.
 */
#include "daemon/domain_parts.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/domain_text.h"

void domain_add_argument(xmlNodePtr root, const char *value)
{
	xmlNodePtr commandline = domain_text_child(root, "commandline");

	if (!commandline) {
		xmlNsPtr space = xmlSearchNsByHref(
			root->doc, root, BAD_CAST DOMAIN_QEMU_NAMESPACE);

		if (!space)
			space = xmlNewNs(root, BAD_CAST DOMAIN_QEMU_NAMESPACE,
					 BAD_CAST "qemu");
		commandline =
			xmlNewChild(root, space, BAD_CAST "commandline", NULL);
	}
	xmlSetProp(
		xmlNewChild(commandline, commandline->ns, BAD_CAST "arg", NULL),
		BAD_CAST "value", BAD_CAST value);
}

/* A path in a list of QEMU's options: a comma is written twice. */
static void add_file(xmlNodePtr root, const char *option, const char *before,
		     const char *path)
{
	char text[2 * PATH_MAX + 64];
	size_t n = (size_t)snprintf(text, 64, "%sfile=", before);

	for (; *path && n < sizeof(text) - 2; path++) {
		text[n++] = *path;
		if (*path == ',')
			text[n++] = ',';
	}
	text[n] = '\0';
	domain_add_argument(root, option);
	domain_add_argument(root, text);
}

/* The files of a seal by their names in fw_cfg; the first three it has to have.
 * The others are of a machine with a TPM: the script makes room for its log. */
static const struct {
	const char *file, *name;
} blobs[] = {
	{"acpi_tables", "name=etc/acpi/tables,"},
	{"rsdp", "name=etc/acpi/rsdp,"},
	{"loader", "name=etc/table-loader,"},
	{"tpm_log", "name=etc/tpm/log,"},
	{"tpm_config", "name=etc/tpm/config,"},
};

#define BLOBS (sizeof(blobs) / sizeof(*blobs))

static int add_tables(xmlNodePtr root, const char *folder, struct error *error)
{
	char path[BLOBS][PATH_MAX];
	bool there[BLOBS];

	for (unsigned i = 0; i < BLOBS; i++) {
		snprintf(path[i], PATH_MAX, "%s/%s", folder, blobs[i].file);
		there[i] = access(path[i], R_OK) == 0;
	}
	if (!there[0] && !there[1] && !there[2])
		return 0;
	if (!there[0] || !there[1] || !there[2])
		return error_set(error, EINVAL,
				 "the seal in %s is not whole: it needs "
				 "acpi_tables, rsdp and loader; put them back "
				 "from a backup",
				 folder);
	domain_add_argument(root, "-machine");
	domain_add_argument(root, "acpi=off");
	for (unsigned i = 0; i < BLOBS; i++)
		if (there[i])
			add_file(root, "-fw_cfg", blobs[i].name, path[i]);
	return 0;
}

/* smbios-TYPE-HANDLE.bin of a type that <sysinfo> does not make. */
static int is_structure(const struct dirent *entry)
{
	unsigned type, handle;
	int end = 0;

	if (sscanf(entry->d_name, "smbios-%3u-%4x.bin%n", &type, &handle,
		   &end) != 2 ||
	    end == 0 || entry->d_name[end])
		return 0;
	return type == 4 || type == 16 || type == 17 || type == 19 ||
	       type == 32;
}

int domain_add_seal(xmlNodePtr root, const char *folder, struct error *error)
{
	struct dirent **entries;
	char path[PATH_MAX];
	int count, result = add_tables(root, folder, error);

	if (result < 0)
		return result;
	count = scandir(folder, &entries, is_structure, alphasort);
	if (count < 0)
		return error_errno(error, errno, "the seal in %s", folder);
	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder,
			 entries[i]->d_name);
		add_file(root, "-smbios", "", path);
		free(entries[i]);
	}
	free(entries);
	return 0;
}

static bool is_cdrom(xmlNodePtr disk)
{
	xmlChar *device = xmlGetProp(disk, BAD_CAST "device");
	bool is = device && (strcmp((char *)device, "cdrom") == 0 ||
			     strcmp((char *)device, "floppy") == 0);

	xmlFree(device);
	return is;
}

/* No byte of the guest's own disk is in reach of a probe. */
static int replace_disk(xmlNodePtr disk, const struct domain_start *start,
			struct error *error)
{
	xmlNodePtr source = domain_text_child(disk, "source");
	xmlChar *path;
	unsigned i;

	if (is_cdrom(disk)) {
		domain_text_drop(disk, "source");
		return 0;
	}
	path = source ? xmlGetProp(source, BAD_CAST "file") : NULL;
	for (i = 0; path && i < start->stand_in_count; i++)
		if (strcmp((char *)path, start->stand_ins[i].path) == 0)
			break;
	if (!path || i == start->stand_in_count) {
		int result = error_set(
			error, EINVAL, "there is no stand-in for the disk %s",
			path ? (char *)path : "that is not a file");

		xmlFree(path);
		return result;
	}
	xmlFree(path);
	domain_text_drop(disk, "backingStore");
	domain_text_append(disk, "<backingStore/>");
	domain_text_fill(disk, "source", "file", start->stand_ins[i].with);
	if (!domain_text_child(disk, "driver"))
		domain_text_append(disk, "<driver name='qemu'/>");
	domain_text_fill(disk, "driver", "type", start->stand_ins[i].format);
	return 0;
}

static bool is_uuid(xmlNodePtr entry)
{
	xmlChar *name = xmlGetProp(entry, BAD_CAST "name");
	bool is = name && strcmp((char *)name, "uuid") == 0;

	xmlFree(name);
	return is;
}

/*
 * libvirt wants its own UUID in <sysinfo>; without one there QEMU takes what
 * -uuid said last.
 */
static void set_uuid(xmlNodePtr root, const char *uuid)
{
	xmlNodePtr system = domain_text_child(
			   domain_text_child(root, "sysinfo"), "system"),
		   entry = domain_text_child(system, "entry");
	xmlChar *seen = xmlNodeGetContent(domain_text_child(root, "uuid"));

	while (entry && !is_uuid(entry))
		entry = domain_text_next(entry);
	if (entry) {
		xmlUnlinkNode(entry);
		xmlFreeNode(entry);
	}
	domain_text_fill(root, "uuid", NULL, uuid);
	domain_text_fill(root, "name", NULL, uuid);
	domain_add_argument(root, "-uuid");
	domain_add_argument(root, seen ? (char *)seen : uuid);
	xmlFree(seen);
}

/*
 * Firmware waits 1.5 s for a TPM that is not there, and for keyboard and USB,
 * all by a clock: emulated, it runs ahead of the world's by this. Not beside a
 * TPM, whose answers come from outside.
 */
static void hurry(xmlNodePtr root)
{
	domain_add_argument(root, "-icount");
	domain_add_argument(root, "shift=7");
}

int domain_set_probe(xmlNodePtr root, const struct domain_start *start,
		     struct error *error)
{
	xmlNodePtr os = domain_text_child(root, "os"), disk;
	int result = 0;

	if (!os)
		return error_set(error, EINVAL, "the definition has no <os>");
	domain_text_drop(os, "kernel");
	domain_text_drop(os, "initrd");
	domain_text_drop(os, "cmdline");
	domain_text_append(os, "<kernel/>");
	domain_text_fill(os, "kernel", NULL, start->kernel);
	if (domain_text_child(os, "nvram")) {
		if (!start->nvram)
			return error_set(error, EINVAL,
					 "there is no copy of the firmware "
					 "variables for the probe");
		domain_text_fill(os, "nvram", NULL, start->nvram);
	}
	if (start->uuid)
		set_uuid(root, start->uuid);
	if (!start->kvm && start->nvram &&
	    !domain_text_child(domain_text_child(root, "devices"), "tpm"))
		hurry(root);
	for (disk = domain_text_child(domain_text_child(root, "devices"),
				      "disk");
	     disk && result == 0; disk = domain_text_next(disk))
		result = replace_disk(disk, start, error);
	return result;
}
