/*
 * A new vault: its row, its folder with copies of everything it was given,
 * and its definition, in that order.
 */
#include "daemon/vault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/catalogue.h"
#include "daemon/control.h"
#include "daemon/disk.h"
#include "daemon/domain.h"
#include "daemon/event.h"
#include "daemon/firmware.h"
#include "daemon/folder.h"
#include "daemon/lease.h"
#include "daemon/transfer.h"
#include "daemon/units.h"
#include "daemon/vault_make.h"

#define MIB (1ull << 20)
#define DEFAULT_MEMORY (2048 * MIB)
#define DEFAULT_DISK (51200 * MIB)

/* Paths inside the new vault's folder; "" for what it has not got. */
struct parts {
	char disk[PATH_MAX], iso[PATH_MAX], kernel[PATH_MAX], initrd[PATH_MAX];
	char firmware[PATH_MAX], nvram[PATH_MAX];
	struct disk_info disk_info;
};

static int check_file(const char *what, const char *path, struct error *error)
{
	struct stat st;

	if (!path)
		return 0;
	if (path[0] != '/')
		return error_set(error, -EINVAL,
				 "%s is \"%s\": give an absolute path", what,
				 path);
	if (stat(path, &st) || access(path, R_OK))
		return error_set(error, -EINVAL,
				 "%s %s can't be read by the daemon (%s): "
				 "check the path and its permissions",
				 what, path, strerror(errno));
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return error_set(error, -EINVAL, "%s %s is not a file", what,
				 path);
	return 0;
}

static int check_numbers(const struct vault_spec *spec, struct error *error)
{
	if (spec->memory && (spec->memory % MIB || spec->memory < 16 * MIB))
		return error_set(error, -EINVAL,
				 "memory must be whole MiB, 16M at least");
	if (spec->cpus > 64)
		return error_set(error, -EINVAL, "cpus may be 1 to 64");
	if (spec->heads > 4)
		return error_set(error, -EINVAL, "heads may be 1 to 4");
	if (spec->disk && spec->disk_size)
		return error_set(error, -EINVAL,
				 "give disk or disk_size, not both");
	if (spec->disk_size && spec->disk_size < MIB)
		return error_set(error, -EINVAL,
				 "disk_size must be 1M at least");
	if (spec->firmware && strcmp(spec->firmware, "bios") &&
	    strcmp(spec->firmware, "uefi"))
		return error_set(error, -EINVAL,
				 "firmware is \"%s\"; it may be bios or uefi",
				 spec->firmware);
	if (spec->secure_boot &&
	    (!spec->firmware || strcmp(spec->firmware, "uefi")))
		return error_set(error, -EINVAL,
				 "secure_boot goes with firmware uefi");
	if ((spec->initrd || spec->cmdline) && !spec->kernel)
		return error_set(error, -EINVAL,
				 "initrd and cmdline go with a kernel");
	return 0;
}

static int check(const struct vault_spec *spec, struct error *error)
{
	struct disk_info info;
	int r = domain_name_check(spec->name, error);

	if (!r)
		r = check_numbers(spec, error);
	if (!r)
		r = check_file("disk", spec->disk, error);
	if (!r)
		r = check_file("kernel", spec->kernel, error);
	if (!r)
		r = check_file("initrd", spec->initrd, error);
	if (!r && spec->iso && transfer_is_url(spec->iso))
		r = transfer_check(spec->iso, error);
	else if (!r)
		r = check_file("iso", spec->iso, error);
	if (!r)
		r = vault_iso_digest(spec, NULL, error);
	if (!r && spec->disk)
		r = disk_inspect(spec->disk, &info, error);
	if (!r && spec->disk && strcmp(info.format, "qcow2") &&
	    strcmp(info.format, "raw"))
		r = error_set(error, -EINVAL,
			      "disk %s is %s: convert it first (qemu-img "
			      "convert -O qcow2)",
			      spec->disk, info.format);
	return r;
}

void vault_make_uuid(char uuid[37])
{
	uint8_t b[16];

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		abort();
	b[6] = (b[6] & 0x0f) | 0x40; /* RFC 4122: version 4 */
	b[8] = (b[8] & 0x3f) | 0x80;
	snprintf(uuid, 37,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
		 "%02x%02x%02x%02x%02x%02x",
		 b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9],
		 b[10], b[11], b[12], b[13], b[14], b[15]);
}

int vault_insert(struct control *control, const char *name, const char *uuid,
		 struct error *error)
{
	int64_t r = catalogue_write(
		control->catalogue,
		"INSERT INTO vault (uuid, name, created_at) VALUES (?, ?, ?)",
		CATALOGUE_VALUES(catalogue_text(uuid), catalogue_text(name),
				 catalogue_int(units_now_us())),
		NULL, NULL, error);

	struct vault other;

	if (r != -EEXIST)
		return r < 0 ? (int)r : 0;
	if (vault_find_uuid(control, uuid, &other, NULL))
		return error_set(error, -EEXIST,
				 "there is a vault \"%s\" already: choose "
				 "another name",
				 name);
	error_set(error, -EEXIST,
		  "this machine is here already, as vault \"%s\": delete that "
		  "one first",
		  other.name);
	vault_release(&other);
	return -EEXIST;
}

/* Its files were, each when it was written. */
static int make_last(struct control *control, const char *uuid,
		     struct error *error)
{
	char path[PATH_MAX];
	int r;

	vault_path(control, uuid, NULL, path);
	r = folder_sync_all(path, error);
	*strrchr(path, '/') = '\0';
	return r ? r : folder_sync(path, error);
}

int vault_mark_ready(struct control *control, const char *uuid, json_t *spec,
		     struct error *error)
{
	char *text = json_dumps(spec, JSON_COMPACT);
	int64_t r;

	json_decref(spec);
	if (!text)
		return error_set(error, -EINVAL, "os or iso is not UTF-8");
	r = make_last(control, uuid, error);
	if (r) {
		free(text);
		return (int)r;
	}
	r = catalogue_write(
		control->catalogue,
		"UPDATE vault SET ready = 1, spec = ? "
		"WHERE uuid = ?",
		CATALOGUE_VALUES(catalogue_text(text), catalogue_text(uuid)),
		NULL, NULL, error);
	free(text);
	return r < 0 ? (int)r : 0;
}

/* Copied; one from a URL is there already. */
static int take_iso(struct control *control, const struct vault_spec *spec,
		    const char *uuid, struct parts *parts, struct error *error)
{
	char path[PATH_MAX];
	int r;

	if (!spec->iso)
		return 0;
	vault_path(control, uuid, VAULT_ISO, path);
	strcpy(parts->iso, path);
	if (transfer_is_url(spec->iso))
		return 0;
	r = disk_copy(spec->iso, path, error);
	return r ? r : vault_iso_check(spec, path, error);
}

/* From now on it is a vault; with what its definition does not say. */
static int mark_ready(struct control *control, const struct vault_spec *spec,
		      const char *uuid, const struct disk_info *disk,
		      struct error *error)
{
	char shown[TRANSFER_URL_SIZE];
	const char *iso = spec->iso;
	json_t *json;

	if (iso && transfer_is_url(iso)) {
		transfer_shown(iso, shown);
		iso = shown;
	}
	json = json_pack("{s:s, s:b, s:s*, s:s*, s:o*}", "firmware",
			 spec->firmware ? spec->firmware : "bios", "tpm",
			 spec->tpm, "os", spec->os, "iso", iso, "disk",
			 disk->format[0]
				 ? json_pack("{s:s, s:I}", "format",
					     disk->format, "virtual_size",
					     (json_int_t)disk->virtual_size)
				 : NULL);

	return vault_mark_ready(control, uuid, json, error);
}

int vault_make_folders(struct control *control, const char *uuid,
		       struct error *error)
{
	static const char *const names[] = {NULL,  "disks", "nvram",
					    "tpm", "boot",  "fw"};
	char path[PATH_MAX];
	int r = 0;

	for (unsigned i = 0; !r && i < sizeof(names) / sizeof(*names); i++) {
		vault_path(control, uuid, names[i], path);
		r = folder_make(path, 0700, error);
	}
	return r;
}

static int make_disk(struct control *control, const struct vault_spec *spec,
		     const char *uuid, struct parts *parts, struct error *error)
{
	uint64_t size = spec->disk_size;
	int r;

	if (!spec->disk && !size && spec->kernel)
		return 0;
	if (!spec->disk) {
		vault_path(control, uuid, "disks/disk.qcow2", parts->disk);
		r = disk_create(parts->disk, size ? size : DEFAULT_DISK, error);
	} else {
		r = disk_inspect(spec->disk, &parts->disk_info, error);
		if (r)
			return r;
		vault_path(control, uuid,
			   strcmp(parts->disk_info.format, "raw")
				   ? "disks/disk.qcow2"
				   : "disks/disk.raw",
			   parts->disk);
		r = disk_copy(spec->disk, parts->disk, error);
	}
	return r ? r : disk_inspect(parts->disk, &parts->disk_info, error);
}

static int copy_part(struct control *control, const char *uuid,
		     const char *from, const char *name, char path[PATH_MAX],
		     struct error *error)
{
	if (!from)
		return 0;
	vault_path(control, uuid, name, path);
	return disk_copy(from, path, error);
}

static const char *or_null(const char *path)
{
	return path[0] ? path : NULL;
}

static struct domain_spec describe(const struct vault_spec *spec,
				   const char *uuid, const struct parts *parts)
{
	return (struct domain_spec){
		.name = spec->name,
		.uuid = uuid,
		.memory = spec->memory ? spec->memory : DEFAULT_MEMORY,
		.cpus = spec->cpus ? spec->cpus : 2,
		.cpu_model = spec->cpu,
		.heads = spec->heads ? spec->heads : 1,
		.uefi = spec->firmware && !strcmp(spec->firmware, "uefi"),
		.secure_boot = spec->secure_boot,
		.tpm = spec->tpm,
		.os_id = spec->os,
		.disk = or_null(parts->disk),
		.disk_format = parts->disk_info.format,
		.iso = or_null(parts->iso),
		.kernel = or_null(parts->kernel),
		.initrd = or_null(parts->initrd),
		.cmdline = spec->cmdline,
		.firmware = or_null(parts->firmware),
		.nvram = or_null(parts->nvram),
	};
}

/* The host's firmware, as it is today, becomes the vault's. */
static int copy_firmware(struct control *control, const struct vault_spec *spec,
			 const char *uuid, struct parts *parts,
			 struct error *error)
{
	struct domain_spec domain = describe(spec, uuid, parts);
	const char *code, *variables;
	char path[PATH_MAX];
	int r;

	vault_path(control, uuid, "fw", path);
	r = firmware_copy(control->config.emulator, path, false, error);
	if (!r && !domain.uefi)
		vault_path(control, uuid, "fw/bios-256k.bin", parts->firmware);
	if (r || !domain.uefi)
		return r;
	r = domain_firmware(&domain, &code, &variables, error);
	if (!r)
		r = copy_part(control, uuid, code, "fw/code.fd",
			      parts->firmware, error);
	if (!r)
		r = copy_part(control, uuid, variables, "nvram/vars.fd",
			      parts->nvram, error);
	return r;
}

static int define(struct control *control, const struct vault_spec *spec,
		  const char *uuid, const struct parts *parts,
		  struct error *error)
{
	struct domain_spec domain = describe(spec, uuid, parts);
	char path[PATH_MAX], *xml;
	int r = domain_create(&domain, &xml, error);

	if (r)
		return r;
	if (spec->cpu)
		r = hypervisor_check_cpu(control->hypervisor, spec->cpu, error);
	if (r) {
		free(xml);
		return r;
	}
	vault_path(control, uuid, "domain.xml", path);
	r = folder_write(path, xml, strlen(xml), 0600, error);
	free(xml);
	return r;
}

int vault_fill(struct control *control, const struct vault_spec *spec,
	       const char *uuid, struct error *error)
{
	struct parts *parts = calloc(1, sizeof(*parts));
	int r = parts ? 0 : error_set(error, -ENOMEM, "no memory");

	if (!r)
		r = make_disk(control, spec, uuid, parts, error);
	if (!r)
		r = take_iso(control, spec, uuid, parts, error);
	if (!r)
		r = copy_part(control, uuid, spec->kernel, "boot/kernel",
			      parts->kernel, error);
	if (!r)
		r = copy_part(control, uuid, spec->initrd, "boot/initrd",
			      parts->initrd, error);
	if (!r)
		r = copy_firmware(control, spec, uuid, parts, error);
	if (!r)
		r = define(control, spec, uuid, parts, error);
	if (!r)
		r = lease_make(control, uuid, spec->name, spec->who, error);
	if (!r)
		r = mark_ready(control, spec, uuid, &parts->disk_info, error);
	free(parts);
	if (!r)
		events_post(control->events, "vault.created", spec->name,
			    json_pack("{s:s, s:s, s:s}", "vault", spec->name,
				      "uuid", uuid, "who", spec->who));
	return r;
}

void vault_undo(struct control *control, const char *uuid)
{
	char path[PATH_MAX];

	vault_path(control, uuid, NULL, path);
	/* What can't be removed now is at the next start. */
	if (!folder_remove(path, NULL))
		catalogue_write(control->catalogue,
				"DELETE FROM vault WHERE uuid = ?",
				CATALOGUE_VALUES(catalogue_text(uuid)), NULL,
				NULL, NULL);
}

int vault_create(struct control *control, const struct vault_spec *spec,
		 char job[JOB_ID_SIZE], struct error *error)
{
	char uuid[37];
	int r = check(spec, error);

	job[0] = '\0';
	if (r)
		return r;
	vault_make_uuid(uuid);
	r = vault_insert(control, spec->name, uuid, error);
	if (r)
		return r;
	r = vault_make_folders(control, uuid, error);
	if (!r && spec->iso && transfer_is_url(spec->iso))
		return vault_fetch(control, spec, uuid, job, error);
	if (!r)
		r = vault_fill(control, spec, uuid, error);
	if (r)
		vault_undo(control, uuid);
	return r;
}
