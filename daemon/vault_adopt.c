/*
 * A vault of a guest that libvirt had already; see domain_adopt.h for what
 * becomes of its definition. Its files are copied (or stay, in place), its row
 * and folder come to be as those of a new vault.
 */
#include "daemon/vault.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/control.h"
#include "daemon/disk.h"
#include "daemon/domain.h"
#include "daemon/domain_adopt.h"
#include "daemon/event.h"
#include "daemon/firmware.h"
#include "daemon/folder.h"
#include "daemon/layers.h"
#include "daemon/lease.h"
#include "daemon/vault_make.h"

#define SYSTEM_TPM "/var/lib/libvirt/swtpm"

struct work {
	struct control *control;
	const struct vault_adoption *adoption;
	struct domain_facts facts; /* of the domain */
	struct domain_adoption domain;
	struct disk_info disk; /* the first */
	json_t *changed, *unpinned;
	char bios[PATH_MAX];
};

static void note_changed(void *data, const char *text)
{
	json_array_append_new(((struct work *)data)->changed,
			      json_string(text));
}

static void note_unpinned(void *data, const char *text)
{
	json_array_append_new(((struct work *)data)->unpinned,
			      json_string(text));
}

static int take_file(struct work *w, const char *what, const char *from,
		     const char *name, char *place, struct error *error)
{
	int r;

	vault_path(w->control, w->facts.uuid, name, place);
	r = disk_copy(from, place, error);
	if (r)
		error_prefix(error, "%s", what);
	return r;
}

/* It stays where it is, and is a link in the vault. */
static int leave_file(struct work *w, const char *from, const char *name,
		      char *place, struct error *error)
{
	char folder[PATH_MAX];

	if (from[0] != '/' || strlen(from) >= LAYER_PLACE_SIZE)
		return error_set(error, -EINVAL,
				 "%.100s is no absolute path of less than %d "
				 "bytes",
				 from, LAYER_PLACE_SIZE);
	vault_path(w->control, w->facts.uuid, name, place);
	if (symlink(from, place))
		return error_errno(error, errno, "can't make %s", place);
	vault_path(w->control, w->facts.uuid, "disks", folder);
	return folder_sync(folder, error);
}

/* It must be whole by itself, and what libvirt took it for. */
static int check_disk(struct work *w, const struct domain_file *file,
		      struct disk_info *info, struct error *error)
{
	const char *format = file->format[0] ? file->format : "raw";
	int r;

	(void)w;
	if (strcmp(format, "qcow2") && strcmp(format, "raw"))
		return error_set(error, -EINVAL,
				 "disk %s is %s: convert it first (qemu-img "
				 "convert -O qcow2)",
				 file->target, format);
	/* No guess: a raw image may look like anything. */
	r = disk_inspect_as(file->path, format, info, error);
	if (r)
		error_prefix(error, "disk %s", file->target);
	return r;
}

static int take_disk(struct work *w, const struct domain_file *file,
		     char *place, struct error *error)
{
	struct disk_info info;
	char name[160];
	int r = check_disk(w, file, &info, error);

	if (r)
		return r;
	if (!w->disk.format[0])
		w->disk = info;
	snprintf(name, sizeof(name), "disks/%s.%s", file->target, info.format);
	if (w->adoption->in_place) {
		domain_note_changed(&w->domain.notes,
				    "disk %s: stays at %s, outside the vault",
				    file->target, file->path);
		return leave_file(w, file->path, name, place, error);
	}
	r = take_file(w, "disk", file->path, name, place, error);
	if (!r)
		domain_note_changed(
			&w->domain.notes,
			"disk %s: copied into the vault; do not start anything "
			"from %s any more",
			file->target, file->path);
	return r;
}

static int take_medium(struct work *w, const struct domain_file *file,
		       char *place, struct error *error)
{
	char name[160];

	if (access(file->path, R_OK)) {
		place[0] = '\0';
		domain_note_changed(&w->domain.notes,
				    "drive %s: is empty, %s can't be read",
				    file->target, file->path);
		return 0;
	}
	snprintf(name, sizeof(name), "disks/%s.iso", file->target);
	if (w->adoption->in_place)
		return leave_file(w, file->path, name, place, error);
	return take_file(w, "medium", file->path, name, place, error);
}

static int on_file(void *data, const struct domain_file *file, char *place,
		   struct error *error)
{
	struct work *w = data;
	char name[160];

	switch (file->kind) {
	case DOMAIN_FILE_DISK:
		return take_disk(w, file, place, error);
	case DOMAIN_FILE_MEDIUM:
		return take_medium(w, file, place, error);
	case DOMAIN_FILE_LOADER:
		return take_file(w, "firmware", file->path, "fw/code.fd", place,
				 error);
	case DOMAIN_FILE_BOOT:
		snprintf(name, sizeof(name), "boot/%s", file->target);
		return take_file(w, file->target, file->path, name, place,
				 error);
	case DOMAIN_FILE_NVRAM:
		return take_file(w, "UEFI variables", file->path,
				 "nvram/vars.fd", place, error);
	}
	return 0;
}

/* The TPM's keys are nowhere else. */
static int take_tpm(struct work *w, struct error *error)
{
	const char *given = w->adoption->tpm_state;
	char from[PATH_MAX], path[2 * PATH_MAX], to[2 * PATH_MAX];
	char folder[PATH_MAX];
	struct dirent *entry;
	DIR *entries;
	int r = 0;

	if (!w->facts.tpm)
		return 0;
	if (given)
		snprintf(from, sizeof(from), "%s/tpm2", given);
	else
		snprintf(from, sizeof(from), SYSTEM_TPM "/%s/tpm2",
			 w->facts.uuid);
	entries = opendir(from);
	if (!entries)
		return error_errno(error, errno,
				   "the state of its TPM is not in %s; without "
				   "it the guest would have another TPM: name "
				   "the folder that has tpm2 in it (tpm_state, "
				   "--tpm-state)",
				   from);
	vault_path(w->control, w->facts.uuid, "tpm/tpm2", folder);
	r = folder_make(folder, 0700, error);
	while (!r && (entry = readdir(entries))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", from, entry->d_name);
		snprintf(to, sizeof(to), "%s/%s", folder, entry->d_name);
		r = disk_copy(path, to, error);
	}
	closedir(entries);
	return r;
}

static int take_firmware(struct work *w, struct error *error)
{
	char path[PATH_MAX];
	int r;

	vault_path(w->control, w->facts.uuid, "fw", path);
	r = firmware_copy(w->control->config.emulator, path, true, error);
	vault_path(w->control, w->facts.uuid, "fw/bios-256k.bin", w->bios);
	if (!r)
		domain_note_changed(
			&w->domain.notes,
			"firmware: this host's files of today were copied into "
			"the vault and are used from now on");
	return r;
}

static void note_machine(struct work *w, const char *expanded)
{
	struct domain_facts facts;

	if (domain_read(expanded, &facts, NULL) == 0 &&
	    strcmp(facts.machine, w->facts.machine))
		domain_note_changed(
			&w->domain.notes, "machine type: %s is written as %s",
			w->facts.machine[0] ? w->facts.machine : "the default",
			facts.machine);
}

/* Makes the definition complete and writes it. */
static int define(struct work *w, const char *xml, struct error *error)
{
	char *plain = NULL, *expanded = NULL, *text = NULL, path[PATH_MAX];
	int r = domain_adopt(xml, &w->domain, &plain, error);

	if (!r)
		r = hypervisor_expand(w->control->hypervisor, plain, &expanded,
				      error);
	if (!r)
		note_machine(w, expanded);
	if (!r)
		r = domain_adopt_finish(expanded, &w->domain, &text, error);
	vault_path(w->control, w->facts.uuid, "domain.xml", path);
	if (!r)
		r = folder_write(path, text, strlen(text), 0600, error);
	free(plain);
	free(expanded);
	free(text);
	return r;
}

static int fill(struct work *w, const char *xml, struct error *error)
{
	int r = vault_make_folders(w->control, w->facts.uuid, error);

	if (!r)
		r = take_firmware(w, error);
	if (!r)
		r = define(w, xml, error);
	if (!r)
		r = take_tpm(w, error);
	if (!r)
		r = lease_make(w->control, w->facts.uuid, w->domain.name,
			       w->adoption->who, error);
	if (r)
		return r;
	return vault_mark_ready(
		w->control, w->facts.uuid,
		json_pack("{s:s, s:b, s:b, s:o*}", "firmware",
			  w->facts.nvram[0] ? "uefi" : "bios", "tpm",
			  w->facts.tpm, "adopted", 1, "disk",
			  w->disk.format[0]
				  ? json_pack("{s:s, s:I}", "format",
					      w->disk.format, "virtual_size",
					      (json_int_t)w->disk.virtual_size)
				  : NULL),
		error);
}

static int adopt(struct work *w, const char *xml, struct error *error)
{
	int r = domain_adopt_check(xml, error);

	if (!r)
		r = domain_read(xml, &w->facts, error);
	if (r)
		return r;
	w->domain = (struct domain_adoption){
		.name = w->adoption->name ? w->adoption->name : w->facts.name,
		.emulator = w->control->config.emulator,
		.bios = w->bios,
		.notes = {note_changed, note_unpinned, w},
		.file = on_file,
		.data = w,
	};
	r = domain_name_check(w->domain.name, error);
	if (!r)
		r = vault_insert(w->control, w->domain.name, w->facts.uuid,
				 error);
	if (r)
		return r;
	r = fill(w, xml, error);
	if (r)
		vault_undo(w->control, w->facts.uuid);
	return r;
}

static int get_xml(const struct vault_adoption *adoption, char **xml,
		   struct error *error)
{
	int r;

	if (!adoption->domain == !adoption->xml)
		return error_set(error, -EINVAL,
				 "give either xml or the name of a domain");
	if (adoption->domain)
		return hypervisor_foreign_xml(adoption->uri ? adoption->uri
							    : "qemu:///system",
					      adoption->domain, xml, error);
	*xml = strdup(adoption->xml);
	r = *xml ? 0 : error_set(error, -ENOMEM, "no memory");
	return r;
}

int vault_adopt(struct control *control, const struct vault_adoption *adoption,
		json_t **report, struct error *error)
{
	struct work *w = calloc(1, sizeof(*w));
	char *xml = NULL;
	int r = w ? get_xml(adoption, &xml, error)
		  : error_set(error, -ENOMEM, "no memory");

	*report = NULL;
	if (!r) {
		w->control = control;
		w->adoption = adoption;
		w->changed = json_array();
		w->unpinned = json_array();
		r = adopt(w, xml, error);
	}
	if (!r) {
		*report = json_pack("{s:s, s:O, s:O}", "name", w->domain.name,
				    "changed", w->changed, "unpinned",
				    w->unpinned);
		events_post(control->events, "vault.created", w->domain.name,
			    json_pack("{s:s, s:s, s:b, s:s}", "vault",
				      w->domain.name, "uuid", w->facts.uuid,
				      "adopted", 1, "who", adoption->who));
	}
	if (w) {
		json_decref(w->changed);
		json_decref(w->unpinned);
	}
	free(w);
	free(xml);
	return r;
}
