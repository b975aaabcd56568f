/* Vaults: rows, policies, who works on one, what a crash left. */
#include "daemon/vault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/attach.h"
#include "daemon/catalogue.h"
#include "daemon/control.h"
#include "daemon/folder.h"
#include "daemon/lease.h"
#include "daemon/log.h"
#include "daemon/machine.h"
#include "daemon/probe_run.h"
#include "daemon/seal.h"
#include "daemon/snapshot.h"
#include "daemon/units.h"
#include "daemon/upkeep.h"
#include "daemon/vault_make.h"
#include "daemon/vault_move.h"

#define COLUMNS \
	"uuid, name, created_at, started_at, policy, spec, crashed, why, " \
	"accelerator, accelerator_reason"

/* Somebody changes this vault; few at a time. */
struct busy {
	char uuid[37];
	bool starting;
	volatile bool *cut; /* of work that can wait, else NULL */
	struct busy *next;
};

struct vaults {
	pthread_mutex_t lock;
	pthread_cond_t freed;
	struct busy *busy;
};

int vaults_new(struct vaults **vaults, struct error *error)
{
	*vaults = calloc(1, sizeof(**vaults));
	if (!*vaults)
		return error_set(error, -ENOMEM, "no memory");
	pthread_mutex_init(&(*vaults)->lock, NULL);
	pthread_cond_init(&(*vaults)->freed, NULL);
	return 0;
}

void vaults_free(struct vaults *vaults)
{
	if (!vaults)
		return;
	while (vaults->busy) {
		struct busy *next = vaults->busy->next;

		free(vaults->busy);
		vaults->busy = next;
	}
	pthread_cond_destroy(&vaults->freed);
	pthread_mutex_destroy(&vaults->lock);
	free(vaults);
}

static struct busy **find_busy(struct vaults *vaults, const char *uuid)
{
	struct busy **at = &vaults->busy;

	while (*at && strcmp((*at)->uuid, uuid))
		at = &(*at)->next;
	return at;
}

bool vaults_is_starting(struct vaults *vaults, const char *uuid)
{
	struct busy *busy;
	bool starting;

	pthread_mutex_lock(&vaults->lock);
	busy = *find_busy(vaults, uuid);
	starting = busy && busy->starting;
	pthread_mutex_unlock(&vaults->lock);
	return starting;
}

/* With the lock held. */
static int add_busy(struct vaults *vaults, const char *uuid, bool starting,
		    volatile bool *cut, struct error *error)
{
	struct busy **at = find_busy(vaults, uuid);

	if (*at)
		return error_set(error, -EBUSY,
				 "another command is at work on this vault: "
				 "try again in a moment");
	*at = calloc(1, sizeof(**at));
	if (!*at)
		return error_set(error, -ENOMEM, "no memory");
	strcpy((*at)->uuid, uuid);
	(*at)->starting = starting;
	(*at)->cut = cut;
	return 0;
}

int vaults_lock(struct vaults *vaults, const char *uuid, bool starting,
		struct error *error)
{
	struct busy *busy;
	int r;

	pthread_mutex_lock(&vaults->lock);
	while ((busy = *find_busy(vaults, uuid)) && busy->cut) {
		*busy->cut = true;
		pthread_cond_wait(&vaults->freed, &vaults->lock);
	}
	r = add_busy(vaults, uuid, starting, NULL, error);
	pthread_mutex_unlock(&vaults->lock);
	return r;
}

int vaults_lock_loosely(struct vaults *vaults, const char *uuid,
			volatile bool *cut, struct error *error)
{
	int r;

	pthread_mutex_lock(&vaults->lock);
	r = add_busy(vaults, uuid, false, cut, error);
	pthread_mutex_unlock(&vaults->lock);
	return r;
}

void vaults_unlock(struct vaults *vaults, const char *uuid)
{
	struct busy **at, *busy;

	pthread_mutex_lock(&vaults->lock);
	at = find_busy(vaults, uuid);
	busy = *at;
	if (busy)
		*at = busy->next;
	free(busy);
	pthread_cond_broadcast(&vaults->freed);
	pthread_mutex_unlock(&vaults->lock);
}

void vault_path(const struct control *control, const char *uuid,
		const char *name, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/vaults/%s%s%s", control->config.state,
		 uuid, name ? "/" : "", name ? name : "");
}

static void read_policy(struct vault *vault, const char *text)
{
	json_t *json = json_loads(text, 0, NULL), *value;
	struct error error;
	const char *key;

	policy_default(&vault->policy);
	json_object_foreach(json, key, value)
	{
		const char *string = json_string_value(value);

		if (string && policy_set(&vault->policy, key, string, &error))
			log_warning("vault %s: %s", vault->name, error.text);
	}
	json_decref(json);
}

static void copy_text(char *to, size_t size, const char *text)
{
	snprintf(to, size, "%s", text ? text : "");
}

static void read_row(struct vault *vault, const struct catalogue_row *row)
{
	memset(vault, 0, sizeof(*vault));
	copy_text(vault->uuid, sizeof(vault->uuid), catalogue_row_text(row, 0));
	copy_text(vault->name, sizeof(vault->name), catalogue_row_text(row, 1));
	vault->created_at = catalogue_row_int(row, 2);
	vault->started_at = catalogue_row_int(row, 3);
	read_policy(vault, catalogue_row_text(row, 4));
	vault->spec = json_loads(catalogue_row_text(row, 5), 0, NULL);
	vault->crashed = catalogue_row_int(row, 6) != 0;
	copy_text(vault->why, sizeof(vault->why), catalogue_row_text(row, 7));
	copy_text(vault->accelerator, sizeof(vault->accelerator),
		  catalogue_row_text(row, 8));
	copy_text(vault->accelerator_why, sizeof(vault->accelerator_why),
		  catalogue_row_text(row, 9));
}

static int take_vault(void *data, const struct catalogue_row *row)
{
	read_row(data, row);
	return 1;
}

static int find(struct control *control, const char *sql, const char *key,
		struct vault *vault, struct error *error)
{
	int64_t r = catalogue_read(control->catalogue, sql,
				   CATALOGUE_VALUES(catalogue_text(key)),
				   take_vault, vault, error);

	if (r < 0)
		return (int)r;
	if (!r)
		return error_set(error, -ENOENT, "there is no vault \"%s\"",
				 key);
	return 0;
}

int vault_find(struct control *control, const char *name, struct vault *vault,
	       struct error *error)
{
	return find(control,
		    "SELECT " COLUMNS " FROM vault WHERE name = ? AND ready",
		    name, vault, error);
}

int vault_find_uuid(struct control *control, const char *uuid,
		    struct vault *vault, struct error *error)
{
	return find(control,
		    "SELECT " COLUMNS " FROM vault WHERE uuid = ? AND ready",
		    uuid, vault, error);
}

void vault_release(struct vault *vault)
{
	json_decref(vault->spec);
	vault->spec = NULL;
}

int vault_set_policy(struct control *control, const struct vault *vault,
		     const struct policy *policy, struct error *error)
{
	json_t *json = vault_policy_json(policy);
	char *text = json_dumps(json, JSON_COMPACT);
	int64_t r;

	json_decref(json);
	if (!text)
		return error_set(error, -ENOMEM, "no memory");
	r = catalogue_write(control->catalogue,
			    "UPDATE vault SET policy = ? WHERE uuid = ?",
			    CATALOGUE_VALUES(catalogue_text(text),
					     catalogue_text(vault->uuid)),
			    NULL, NULL, error);
	free(text);
	upkeep_poke(control);
	return r < 0 ? (int)r : 0;
}

/* A list that grows while a statement runs. */
struct list {
	struct vault *vaults;
	size_t count, room;
};

static int take_listed(void *data, const struct catalogue_row *row)
{
	struct list *list = data;

	if (list->count == list->room) {
		size_t room = list->room ? list->room * 2 : 16;
		void *grown =
			realloc(list->vaults, room * sizeof(struct vault));

		if (!grown)
			return 1;
		list->vaults = grown;
		list->room = room;
	}
	read_row(&list->vaults[list->count++], row);
	return 0;
}

static void list_release(struct list *list)
{
	for (size_t i = 0; i < list->count; i++)
		vault_release(&list->vaults[i]);
	free(list->vaults);
}

int vault_list(struct control *control, json_t **json, struct error *error)
{
	struct list list = {0};
	int64_t r = catalogue_read(control->catalogue,
				   "SELECT " COLUMNS
				   " FROM vault WHERE ready ORDER BY name",
				   CATALOGUE_NONE, take_listed, &list, error);

	*json = json_array();
	for (size_t i = 0; r >= 0 && i < list.count; i++)
		json_array_append_new(*json,
				      vault_json(control, &list.vaults[i]));
	list_release(&list);
	return r < 0 ? (int)r : 0;
}

static void remove_half_made(struct control *control, const struct vault *vault)
{
	char path[PATH_MAX];
	struct error error;

	vault_path(control, vault->uuid, NULL, path);
	if (folder_remove(path, &error) ||
	    catalogue_write(control->catalogue,
			    "DELETE FROM vault WHERE uuid = ?",
			    CATALOGUE_VALUES(catalogue_text(vault->uuid)), NULL,
			    NULL, &error) < 0)
		log_warning("half-made vault %s: %s", vault->name, error.text);
	else
		log_info("removed what was left of vault %s", vault->name);
}

/* Brings a row to what the hypervisor says. */
static void agree(struct control *control, const struct vault *vault)
{
	enum hypervisor_state state =
		hypervisor_state(control->hypervisor, vault->uuid);
	bool runs = state != HYPERVISOR_STOPPED && state != HYPERVISOR_CRASHED;

	lease_recover(control, vault, runs);
	/* It may have been paused when that was last heard of. */
	if (runs == (vault->started_at != 0) &&
	    !(state == HYPERVISOR_RUNNING && vault->why[0]))
		return;
	if (runs)
		vault_changed(control, vault->uuid, HYPERVISOR_RUNNING, NULL);
	else
		vault_changed(control, vault->uuid, state,
			      "it ended while the daemon was not running");
}

/* What goes wrong here is said again when somebody starts the vault. */
static void recover_keeping(struct control *control, const struct vault *vault)
{
	struct error error = {0};
	int r;

	if (attach_is(vault))
		return;
	r = snapshot_recover(control, vault, &error);
	machine_recover(control, vault);
	if (!r)
		r = seal_recover(control, vault, &error);
	if (r)
		log_warning("vault %s: %s", vault->name, error.text);
}

static void remove_parts(struct control *control, const struct vault *vault)
{
	static const char *const names[] = {NULL, "disks", "snapshots"};
	char path[PATH_MAX];

	for (unsigned i = 0; i < 3; i++) {
		vault_path(control, vault->uuid, names[i], path);
		folder_remove_parts(path);
	}
}

int vaults_recover(struct control *control, struct error *error)
{
	struct list half = {0}, whole = {0};
	int64_t r;

	vault_import_recover(control);
	r = catalogue_read(control->catalogue,
			   "SELECT " COLUMNS " FROM vault WHERE NOT ready",
			   CATALOGUE_NONE, take_listed, &half, error);

	if (r >= 0)
		r = catalogue_read(control->catalogue,
				   "SELECT " COLUMNS " FROM vault WHERE ready",
				   CATALOGUE_NONE, take_listed, &whole, error);
	for (size_t i = 0; r >= 0 && i < half.count; i++)
		if (!vault_fetch_is_begun(control, half.vaults[i].uuid))
			remove_half_made(control, &half.vaults[i]);
	for (size_t i = 0; r >= 0 && i < whole.count; i++) {
		remove_parts(control, &whole.vaults[i]);
		vault_fetch_clean(control, whole.vaults[i].uuid);
		probe_clean(control, whole.vaults[i].uuid);
		agree(control, &whole.vaults[i]);
		recover_keeping(control, &whole.vaults[i]);
	}
	list_release(&half);
	list_release(&whole);
	return r < 0 ? (int)r : 0;
}
