/*
 * The last steps of an import; see vault_import.h.
 *
 * An import lies in STATE/import/KEY/ (job_import.c). When all of it is there
 * and good, the file `decided` in it says which vault it becomes; from then on
 * the vault comes to be, now or with the daemon's next start: the folder is
 * renamed, the row marked ready, the rest removed.
 */
#include "daemon/vault_import.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/bundle_judge.h"
#include "daemon/catalogue.h"
#include "daemon/control.h"
#include "daemon/domain.h"
#include "daemon/folder.h"
#include "daemon/lease.h"
#include "daemon/log.h"
#include "daemon/policy.h"
#include "daemon/vault.h"
#include "daemon/vault_make.h"
#include "daemon/vault_move.h"

#define DECIDED "decided"
#define DONE ".done" /* ends the name of a folder that goes */
#define DECIDED_MAX (1 << 20)
#define FORGET_S (30 * 86400)

int vault_import_check(struct control *control, const struct bundle_plan *plan,
		       const char *name, struct error *error)
{
	struct vault vault;
	int r = domain_name_check(name, error);

	if (r)
		return r;
	if (!vault_find(control, name, &vault, NULL)) {
		vault_release(&vault);
		return error_set(error, -EEXIST,
				 "there is a vault \"%s\" already: give "
				 "another name (--name)",
				 name);
	}
	if (!vault_find_uuid(control, plan->uuid, &vault, NULL)) {
		r = error_set(error, -EEXIST,
			      "this machine is here already, as vault \"%s\": "
			      "delete that one first",
			      vault.name);
		vault_release(&vault);
	}
	return r;
}

/* --- deciding --------------------------------------------------------- */

/* Of the properties, those that are known and harmless. */
static json_t *clean_spec(const json_t *spec)
{
	static const char *const texts[] = {"firmware", "os", "iso"};
	static const char *const truths[] = {"tpm", "adopted"};
	const json_t *disk = json_object_get(spec, "disk");
	const json_t *format = json_object_get(disk, "format");
	const json_t *size = json_object_get(disk, "virtual_size");
	json_t *clean = json_object(), *value;

	for (unsigned i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		value = json_object_get(spec, texts[i]);
		if (json_is_string(value))
			json_object_set(clean, texts[i], value);
	}
	for (unsigned i = 0; i < sizeof(truths) / sizeof(*truths); i++) {
		value = json_object_get(spec, truths[i]);
		if (json_is_boolean(value))
			json_object_set(clean, truths[i], value);
	}
	if (json_is_string(format) && json_is_integer(size))
		json_object_set_new(clean, "disk",
				    json_pack("{s:O, s:O}", "format", format,
					      "virtual_size", size));
	return clean;
}

static json_t *clean_policy(const json_t *given)
{
	struct policy policy;
	const json_t *value;
	const char *key;

	policy_default(&policy);
	json_object_foreach((json_t *)given, key, value)
	{
		if (json_is_string(value))
			policy_set(&policy, key, json_string_value(value),
				   NULL);
	}
	return vault_policy_json(&policy);
}

static int decide(const char *folder, const struct bundle_plan *plan,
		  const char *name, struct error *error)
{
	json_t *json = json_pack(
		"{s:s, s:s, s:I, s:o, s:o}", "uuid", plan->uuid, "name", name,
		"created_at", (json_int_t)plan->created_at, "spec",
		clean_spec(plan->spec), "policy", clean_policy(plan->policy));
	char *text = json_dumps(json, JSON_COMPACT), path[PATH_MAX];
	int r;

	json_decref(json);
	if (!text)
		return error_set(error, -ENOMEM, "no memory");
	snprintf(path, sizeof(path), "%s/" DECIDED, folder);
	r = folder_write(path, text, strlen(text), 0600, error);
	free(text);
	return r;
}

/* --- coming to be ----------------------------------------------------- */

static int take_count(void *data, const struct catalogue_row *row)
{
	*(int64_t *)data = catalogue_row_int(row, 0);
	return 1;
}

static bool has_row(struct control *control, const char *uuid)
{
	int64_t count = 0;

	catalogue_read(control->catalogue,
		       "SELECT count(*) FROM vault WHERE uuid = ?",
		       CATALOGUE_VALUES(catalogue_text(uuid)), take_count,
		       &count, NULL);
	return count > 0;
}

static int place(struct control *control, const char *folder, const char *uuid,
		 struct error *error)
{
	char from[PATH_MAX], to[PATH_MAX];
	int r;

	snprintf(from, sizeof(from), "%s/%s", folder, uuid);
	vault_path(control, uuid, NULL, to);
	if (access(from, F_OK) && !access(to, F_OK))
		return 0; /* it was, before */
	if (rename(from, to))
		return error_errno(error, errno, "can't make %s", to);
	snprintf(to, sizeof(to), "%s/vaults", control->config.state);
	r = folder_sync(to, error);
	return r ? r : folder_sync(folder, error);
}

static int write_row(struct control *control, const char *uuid,
		     const json_t *json, struct error *error)
{
	char *policy =
		json_dumps(json_object_get(json, "policy"), JSON_COMPACT);
	int64_t r;

	if (!policy)
		return error_set(error, -EINVAL, "the vault has no policy");
	r = catalogue_write(
		control->catalogue,
		"UPDATE vault SET policy = ?, created_at = ? WHERE uuid = ?",
		CATALOGUE_VALUES(catalogue_text(policy),
				 catalogue_int(json_integer_value(
					 json_object_get(json, "created_at"))),
				 catalogue_text(uuid)),
		NULL, NULL, error);
	free(policy);
	return r < 0 ? (int)r : 0;
}

/* Under another name first: a part of it would be an import to go on with. */
int vault_import_remove(const char *folder, struct error *error)
{
	char done[PATH_MAX];
	int r;

	snprintf(done, sizeof(done), "%.4000s" DONE, folder);
	r = folder_remove(done, error); /* an earlier one's */
	if (!r && rename(folder, done))
		r = error_errno(error, errno, "can't rename %s", folder);
	return r ? r : folder_remove(done, error);
}

/* What was decided, from wherever it was cut. */
static int come_to_be(struct control *control, const char *folder,
		      struct error *error)
{
	char path[PATH_MAX], *text;
	const char *uuid, *name;
	json_t *json;
	int r;

	snprintf(path, sizeof(path), "%s/" DECIDED, folder);
	r = folder_read(path, DECIDED_MAX, &text, error);
	if (r)
		return r;
	json = json_loads(text, 0, NULL);
	free(text);
	uuid = json_string_value(json_object_get(json, "uuid"));
	name = json_string_value(json_object_get(json, "name"));
	if (!uuid || !name)
		r = error_set(error, -EINVAL, "%s is damaged", path);
	if (!r && !has_row(control, uuid))
		r = vault_insert(control, name, uuid, error);
	if (!r)
		r = place(control, folder, uuid, error);
	if (!r)
		r = write_row(control, uuid, json, error);
	if (!r)
		r = vault_mark_ready(control, uuid,
				     json_incref(json_object_get(json, "spec")),
				     error);
	json_decref(json);
	return r ? r : vault_import_remove(folder, error);
}

int vault_import_finish(struct control *control, const char *folder,
			const struct bundle_plan *plan, const char *name,
			const json_t *record, const char *who,
			struct error *error)
{
	static const char *const folders[] = {"disks", "nvram", "tpm", "boot",
					      "fw"};
	char vault[PATH_MAX], path[PATH_MAX + 16];
	int r;

	snprintf(vault, sizeof(vault), "%s/%s", folder, plan->uuid);
	r = bundle_judge(vault, plan, error);
	for (unsigned i = 0; !r && i < sizeof(folders) / sizeof(*folders);
	     i++) {
		snprintf(path, sizeof(path), "%s/%s", vault, folders[i]);
		r = folder_make(path, 0700, error);
	}
	if (!r)
		r = vault_import_check(control, plan, name, error);
	/* From here on the name is taken; without `decided` it is undone. */
	if (!r)
		r = vault_insert(control, name, plan->uuid, error);
	if (r)
		return r;
	r = lease_accept(control, vault, record, who, error);
	if (r == -EEXIST) /* no other name would help */
		r = -EPERM;
	if (!r)
		r = folder_sync(vault, error);
	if (!r)
		r = decide(folder, plan, name, error);
	if (r) {
		vault_undo(control, plan->uuid);
		return r;
	}
	return come_to_be(control, folder, error);
}

/* --- with the daemon's start ------------------------------------------ */

static void recover(struct control *control, const char *folder)
{
	struct error error = {0};
	const char *end = strrchr(folder, '.');
	char path[PATH_MAX + 300];
	struct stat st;
	int r = 0;

	snprintf(path, sizeof(path), "%s/" DECIDED, folder);
	if (end && !strcmp(end, DONE))
		r = folder_remove(folder, &error);
	else if (!access(path, F_OK))
		r = come_to_be(control, folder, &error);
	else if (!stat(folder, &st) && time(NULL) - st.st_mtime > FORGET_S)
		r = vault_import_remove(folder, &error);
	if (r)
		log_warning("import %s: %s", folder, error.text);
}

void vault_import_recover(struct control *control)
{
	char folder[PATH_MAX], one[PATH_MAX + 256];
	struct dirent *entry;
	DIR *list;

	snprintf(folder, sizeof(folder), "%s/" IMPORT_FOLDER,
		 control->config.state);
	list = opendir(folder);
	while (list && (entry = readdir(list))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(one, sizeof(one), "%s/%s", folder, entry->d_name);
		recover(control, one);
	}
	if (list)
		closedir(list);
}
