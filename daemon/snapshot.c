/* Snapshots of a vault; see snapshot.h. */
#include "daemon/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "daemon/control.h"
#include "daemon/disk.h"
#include "daemon/domain.h"
#include "daemon/folder.h"
#include "daemon/log.h"
#include "daemon/snapshot_state.h"
#include "daemon/units.h"
#include "daemon/upkeep.h"
#include "daemon/vault.h"

#define DEFINITION_MAX (1 << 20)
#define STATE_ROOM (UINT64_C(32) << 20) /* NVRAM, TPM state, a new layer */

int snapshot_name_check(const char *name, struct error *error)
{
	if (!domain_name_check(name, NULL))
		return 0;
	return error_set(error, -EINVAL,
			 "\"%.80s\" is no name for a snapshot: 1 to 63 "
			 "letters, digits, dots, - and _, first a letter or "
			 "digit",
			 name);
}

static void root_of(struct control *control, const struct vault *vault,
		    char folder[PATH_MAX])
{
	vault_path(control, vault->uuid, NULL, folder);
}

static void layer_path(struct control *control, const struct vault *vault,
		       const struct layer *layer, char path[PATH_MAX])
{
	char folder[PATH_MAX];

	root_of(control, vault, folder);
	layers_path(folder, layer, path);
}

static int read_definition(struct control *control, const struct vault *vault,
			   char **xml, struct error *error)
{
	char path[PATH_MAX];

	vault_path(control, vault->uuid, "domain.xml", path);
	return folder_read(path, DEFINITION_MAX, xml, error);
}

int snapshot_layers(struct control *control, const struct vault *vault,
		    struct layers **layers, struct error *error)
{
	char folder[PATH_MAX], *xml;
	int r = read_definition(control, vault, &xml, error);

	*layers = NULL;
	if (r)
		return r;
	root_of(control, vault, folder);
	r = layers_read(layers, folder, xml, error);
	free(xml);
	return r;
}

static json_t *describe_disk(struct control *control, const struct vault *vault,
			     struct layers *layers,
			     const struct layered_disk *disk)
{
	const struct layer *active = layers_find(layers, disk->active);
	const struct layer *base = layers_find(layers, disk->base);
	char path[PATH_MAX];
	uint64_t all = 0;

	for (unsigned i = 0; i < layers->layer_count; i++) {
		if (layers_disk(layers, layers->layers[i].file) != disk)
			continue;
		layer_path(control, vault, &layers->layers[i], path);
		all += disk_actual_size(path);
	}
	layer_path(control, vault, active, path);
	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:b}", "target",
			 disk->target, "path", path, "format", active->format,
			 "virtual_size", (json_int_t)disk->size, "actual_size",
			 (json_int_t)disk_actual_size(path), "all_size",
			 (json_int_t)all, "in_place", base->place[0] != '\0');
}

int snapshot_disks(struct control *control, const struct vault *vault,
		   json_t **list, struct error *error)
{
	struct layers *layers;
	int r = snapshot_layers(control, vault, &layers, error);

	*list = json_array();
	for (unsigned i = 0; !r && i < layers->disk_count; i++)
		json_array_append_new(*list,
				      describe_disk(control, vault, layers,
						    &layers->disks[i]));
	free(layers);
	return r;
}

/* --- what was interrupted --------------------------------------------- */

static bool is_there(struct control *control, const struct vault *vault)
{
	enum hypervisor_state state =
		hypervisor_state(control->hypervisor, vault->uuid);

	return state != HYPERVISOR_STOPPED && state != HYPERVISOR_CRASHED;
}

/*
 * Whether the guest has gone, of which libvirt hears a moment later than its
 * monitor breaks off.
 */
static bool has_gone(struct control *control, const struct vault *vault)
{
	for (unsigned i = 0; i < 100 && is_there(control, vault); i++)
		usleep(50000);
	return !is_there(control, vault);
}

/* Whether the guest writes to what was prepared: to all of it, or to none. */
static int has_switched(struct control *control, const struct vault *vault,
			struct layers *prepared, bool *done,
			struct error *error)
{
	char path[PATH_MAX];
	int r;

	*done = false;
	if (!prepared->disk_count)
		return 0;
	layer_path(control, vault,
		   layers_find(prepared, prepared->disks[0].active), path);
	r = hypervisor_has_drive(control->hypervisor, vault->uuid, path, done,
				 error);
	return r && has_gone(control, vault) ? 0 : r;
}

/*
 * A change of the running guest's layers: done if QEMU has made it, else not.
 * A guest that is gone was paused all the time, so that either would be right,
 * and what was prepared is not looked at: it may be damaged.
 */
static int settle(struct control *control, const struct vault *vault,
		  struct error *error)
{
	struct layers *prepared = NULL;
	char folder[PATH_MAX], *xml;
	bool done = false;
	int r;

	root_of(control, vault, folder);
	if (!is_there(control, vault))
		return layers_drop_prepared(folder, error);
	r = read_definition(control, vault, &xml, error);
	if (r)
		return r;
	r = layers_read_prepared(&prepared, folder, xml, error);
	free(xml);
	if (r || !prepared)
		return r;
	r = has_switched(control, vault, prepared, &done, error);
	free(prepared);
	if (r)
		return r;
	return done ? layers_commit_prepared(folder, error)
		    : layers_drop_prepared(folder, error);
}

/* A guest that we have paused goes on. */
static int go_on(struct control *control, const struct vault *vault,
		 struct error *error)
{
	int r = 0;

	if (!snapshot_state_is_marked(control, vault))
		return 0;
	if (is_there(control, vault))
		r = hypervisor_resume(control->hypervisor, vault->uuid, error);
	if (!r || has_gone(control, vault)) {
		snapshot_state_unmark(control, vault);
		r = 0;
	}
	return r;
}

static int finish_revert(struct control *control, const struct vault *vault,
			 struct layers *layers, struct error *error)
{
	char folder[PATH_MAX];
	int r;

	if (!layers->restore[0] || is_there(control, vault))
		return 0;
	r = snapshot_state_restore(control, vault, layers->restore, error);
	if (r)
		return r;
	layers->restore[0] = '\0';
	root_of(control, vault, folder);
	return layers_commit(folder, layers, error);
}

int snapshot_recover(struct control *control, const struct vault *vault,
		     struct error *error)
{
	char folder[PATH_MAX];
	struct layers *layers = NULL;
	int r = settle(control, vault, error);

	root_of(control, vault, folder);
	if (!r)
		r = go_on(control, vault, error);
	if (!r)
		r = snapshot_layers(control, vault, &layers, error);
	if (!r)
		r = finish_revert(control, vault, layers, error);
	if (!r)
		r = layers_collect(folder, layers, error);
	free(layers);
	return r;
}

/* --- create ----------------------------------------------------------- */

static int digest_definition(struct control *control, const struct vault *vault,
			     char hex[65], struct error *error)
{
	unsigned char digest[32];
	char *xml;
	int r = read_definition(control, vault, &xml, error);

	if (r)
		return r;
	if (!EVP_Digest(xml, strlen(xml), digest, NULL, EVP_sha256(), NULL))
		r = error_set(error, -EIO, "no SHA-256");
	free(xml);
	for (unsigned i = 0; !r && i < sizeof(digest); i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	return r;
}

/* Recovered, and with layers.json: what can be changed. */
static int open_layers(struct control *control, const struct vault *vault,
		       struct layers **layers, struct error *error)
{
	char folder[PATH_MAX], path[PATH_MAX];
	int r = snapshot_recover(control, vault, error);

	*layers = NULL;
	if (!r)
		r = snapshot_layers(control, vault, layers, error);
	root_of(control, vault, folder);
	vault_path(control, vault->uuid, "disks/layers.json", path);
	if (!r && access(path, F_OK))
		r = layers_commit(folder, *layers, error);
	if (r) {
		free(*layers);
		*layers = NULL;
	}
	return r;
}

static int check_space(struct control *control, const struct vault *vault,
		       struct error *error)
{
	char folder[PATH_MAX];

	root_of(control, vault, folder);
	return disk_check_space(folder, STATE_ROOM, error);
}

/* Freezes the active layers for a snapshot; new ones are not there yet. */
static int add_snapshot(struct control *control, const struct vault *vault,
			struct layers *layers, const char *name, bool automatic,
			struct error *error)
{
	struct snapshot *snapshot;

	if (layers_snapshot(layers, name))
		return error_set(error, -EEXIST,
				 "there is a snapshot \"%s\" already: choose "
				 "another name, or delete it",
				 name);
	if (layers->snapshot_count == SNAPSHOTS_MAX)
		return error_set(error, -E2BIG,
				 "there are %d snapshots: delete one first",
				 SNAPSHOTS_MAX);
	snapshot = &layers->snapshots[layers->snapshot_count++];
	memset(snapshot, 0, sizeof(*snapshot));
	strcpy(snapshot->name, name);
	for (unsigned i = 0; i < layers->disk_count; i++)
		strcpy(snapshot->layers[i], layers->disks[i].active);
	strcpy(snapshot->parent, layers->parent);
	snapshot->created_at = units_now_us();
	snapshot->automatic = automatic;
	snapshot->running = is_there(control, vault);
	strcpy(layers->parent, name);
	return digest_definition(control, vault, snapshot->definition, error);
}

/* QEMU may be another user, to whom libvirt has given the disk. */
static int give_to_owner(struct control *control, const struct vault *vault,
			 const struct layer *like, const char *path,
			 struct error *error)
{
	char other[PATH_MAX];
	struct stat st;

	layer_path(control, vault, like, other);
	if (stat(other, &st) ||
	    (st.st_uid != geteuid() && chown(path, st.st_uid, st.st_gid)))
		return error_errno(error, errno, "can't give %s to QEMU", path);
	return 0;
}

/* A new file on a layer; it becomes the active one of its disk. */
static int add_layer(struct control *control, const struct vault *vault,
		     struct layers *layers, unsigned n, const char *on,
		     struct error *error)
{
	struct layered_disk *disk = &layers->disks[n];
	struct layer *layer = layers_add(layers, on);
	const struct layer *below = layers_find(layers, on);
	char path[PATH_MAX];
	int r;

	if (!layer)
		return error_set(error, -E2BIG,
				 "disk %s has too many layers: delete a "
				 "snapshot first",
				 disk->target);
	layer_path(control, vault, layer, path);
	r = disk_create_on(path, layers_reference(below), below->format,
			   disk->size, error);
	if (!r)
		r = give_to_owner(control, vault, below, path, error);
	strcpy(disk->active, layer->file);
	return r;
}

/*
 * One for each disk, on what the snapshot holds; on what it is now where that
 * knows nothing of the disk (or for none). They are lasting.
 */
static int add_layers(struct control *control, const struct vault *vault,
		      struct layers *layers, const char *snapshot,
		      struct error *error)
{
	const struct snapshot *target =
		snapshot ? layers_snapshot(layers, snapshot) : NULL;
	char path[PATH_MAX], on[LAYER_NAME_SIZE];
	int r = 0;

	for (unsigned i = 0; !r && i < layers->disk_count; i++) {
		bool knows = target && target->layers[i][0];

		strcpy(on, knows ? target->layers[i] : layers->disks[i].active);
		r = add_layer(control, vault, layers, i, on, error);
	}
	vault_path(control, vault->uuid, "disks", path);
	return r ? r : folder_sync(path, error);
}

/* All its disks at once, from the layers that a snapshot holds. */
static int switch_guest(struct control *control, const struct vault *vault,
			struct layers *layers, const char *name,
			struct error *error)
{
	const struct snapshot *before = layers_snapshot(layers, name);
	struct hypervisor_switch disks[LAYERS_DISKS];
	char(*paths)[PATH_MAX] = calloc(2 * LAYERS_DISKS, PATH_MAX);
	int r;

	if (!paths)
		return error_set(error, -ENOMEM, "no memory");
	for (unsigned i = 0; i < layers->disk_count; i++) {
		layer_path(control, vault,
			   layers_find(layers, before->layers[i]),
			   paths[2 * i]);
		layer_path(control, vault,
			   layers_find(layers, layers->disks[i].active),
			   paths[2 * i + 1]);
		disks[i] = (struct hypervisor_switch){paths[2 * i],
						      paths[2 * i + 1]};
	}
	r = hypervisor_switch_disks(control->hypervisor, vault->uuid, disks,
				    layers->disk_count, error);
	free(paths);
	return r;
}

/* Files are there and the new layers known: the moment itself. */
static int take_running(struct control *control, const struct vault *vault,
			struct layers *layers, const char *name,
			struct error *error)
{
	char folder[PATH_MAX];
	struct error later = {0};
	int r, done;

	root_of(control, vault, folder);
	r = layers_prepare(folder, layers, error);
	if (!r && hypervisor_state(control->hypervisor, vault->uuid) ==
			  HYPERVISOR_RUNNING)
		r = snapshot_state_mark(control, vault, error);
	if (!r)
		r = hypervisor_pause(control->hypervisor, vault->uuid, error);
	if (!r)
		r = snapshot_state_save(control, vault, name, error);
	if (!r)
		r = switch_guest(control, vault, layers, name, error);
	if (!r)
		r = layers_commit_prepared(folder, error);
	/* Whatever failed, what QEMU has done is what is so. */
	done = settle(control, vault, &later);
	if (!done)
		done = go_on(control, vault, &later);
	if (!r && done)
		r = error_set(error, done, "%s", later.text);
	return r;
}

static int take(struct control *control, const struct vault *vault,
		struct layers *layers, const char *name, struct error *error)
{
	char folder[PATH_MAX];
	int r = check_space(control, vault, error);

	if (!r)
		r = add_snapshot(control, vault, layers, name, false, error);
	if (!r)
		r = add_layers(control, vault, layers, NULL, error);
	if (r)
		return r;
	if (is_there(control, vault)) {
		vault_path(control, vault->uuid, "snapshots", folder);
		r = folder_make(folder, 0700, error);
		return r ? r
			 : take_running(control, vault, layers, name, error);
	}
	root_of(control, vault, folder);
	r = snapshot_state_save(control, vault, name, error);
	return r ? r : layers_commit(folder, layers, error);
}

/* Removes what an operation that failed has left. */
static void tidy(struct control *control, const struct vault *vault)
{
	struct error error = {0};

	if (snapshot_recover(control, vault, &error))
		log_warning("vault %s: %s", vault->name, error.text);
}

int snapshot_create(struct control *control, const struct vault *vault,
		    const char *name, struct error *error)
{
	struct layers *layers;
	int r = snapshot_name_check(name, error);

	if (!r)
		r = open_layers(control, vault, &layers, error);
	if (r)
		return r;
	r = take(control, vault, layers, name, error);
	free(layers);
	if (r)
		tidy(control, vault);
	else
		upkeep_poke(control); /* its digests are missing */
	return r;
}

/* --- revert ----------------------------------------------------------- */

static struct snapshot *find(struct layers *layers, const char *name,
			     struct error *error)
{
	struct snapshot *snapshot = layers_snapshot(layers, name);

	if (!snapshot)
		error_set(error, -ENOENT, "there is no snapshot \"%.80s\"",
			  name);
	return snapshot;
}

/* before-20260131-120000, and with a number while that is taken. */
static void name_kept(struct layers *layers, char name[SNAPSHOT_NAME_SIZE])
{
	time_t now = time(NULL);
	struct tm tm;
	size_t n;

	n = strftime(name, SNAPSHOT_NAME_SIZE, "before-%Y%m%d-%H%M%S",
		     gmtime_r(&now, &tm));
	for (unsigned i = 2; layers_snapshot(layers, name); i++)
		snprintf(name + n, SNAPSHOT_NAME_SIZE - n, "-%u", i);
}

static int revert(struct control *control, const struct vault *vault,
		  struct layers *layers, const char *name, char *kept,
		  struct error *error)
{
	char folder[PATH_MAX];
	int r = find(layers, name, error) ? 0 : -ENOENT;

	if (!r)
		r = snapshot_state_check(control, vault, name, error);
	if (!r)
		r = check_space(control, vault, error);
	if (!r && kept) {
		name_kept(layers, kept);
		r = add_snapshot(control, vault, layers, kept, true, error);
		if (!r)
			r = snapshot_state_save(control, vault, kept, error);
	}
	if (!r)
		r = add_layers(control, vault, layers, name, error);
	if (r)
		return r;
	strcpy(layers->parent, name);
	strcpy(layers->restore, name);
	root_of(control, vault, folder);
	return layers_commit(folder, layers, error);
}

/* What is done is done; layers that can't be joined now are by upkeep. */
static void compact(struct control *control, const struct vault *vault)
{
	struct error error = {0};

	if (snapshot_compact(control, vault, &error))
		log_warning("vault %s: layers are joined later: %s",
			    vault->name, error.text);
}

static int check_stopped(struct control *control, const struct vault *vault,
			 struct error *error)
{
	return is_there(control, vault)
		       ? error_set(error, -EBUSY, "it runs; stop it first")
		       : 0;
}

int snapshot_revert(struct control *control, const struct vault *vault,
		    const char *name, bool discard,
		    char kept[SNAPSHOT_NAME_SIZE], struct error *error)
{
	struct layers *layers;
	int r = check_stopped(control, vault, error);

	kept[0] = '\0';
	if (!r)
		r = open_layers(control, vault, &layers, error);
	if (r)
		return r;
	r = revert(control, vault, layers, name, discard ? NULL : kept, error);
	free(layers);
	if (r) {
		kept[0] = '\0';
		tidy(control, vault);
		return r;
	}
	r = snapshot_recover(control, vault, error);
	if (!r)
		compact(control, vault);
	upkeep_poke(control);
	return r;
}

/* --- delete ----------------------------------------------------------- */

static void forget(struct layers *layers, struct snapshot *snapshot)
{
	struct snapshot gone = *snapshot;

	layers->snapshot_count--;
	memmove(snapshot, snapshot + 1,
		(size_t)(&layers->snapshots[layers->snapshot_count] -
			 snapshot) *
			sizeof(*snapshot));
	for (unsigned i = 0; i < layers->snapshot_count; i++)
		if (!strcmp(layers->snapshots[i].parent, gone.name))
			strcpy(layers->snapshots[i].parent, gone.parent);
	if (!strcmp(layers->parent, gone.name))
		strcpy(layers->parent, gone.parent);
}

int snapshot_delete(struct control *control, const struct vault *vault,
		    const char *name, bool force_sealed, struct error *error)
{
	char folder[PATH_MAX];
	struct snapshot *snapshot;
	struct layers *layers;
	int r;

	/* Of a later seal: "sealed-2". */
	if (!strncmp(name, SNAPSHOT_SEALED, strlen(SNAPSHOT_SEALED)) &&
	    !force_sealed)
		return error_set(error, -EPERM,
				 "\"%s\" is the state in which the vault was "
				 "sealed; only --force-sealed deletes it",
				 name);
	r = open_layers(control, vault, &layers, error);
	if (r)
		return r;
	snapshot = find(layers, name, error);
	r = snapshot ? 0 : -ENOENT;
	if (!r) {
		forget(layers, snapshot);
		root_of(control, vault, folder);
		r = layers_commit(folder, layers, error);
	}
	if (!r)
		r = layers_collect(folder, layers, error);
	free(layers);
	if (!r)
		compact(control, vault);
	return r;
}

/* --- list ------------------------------------------------------------- */

/* What it holds of each disk, and the bytes of all. */
static json_t *describe_layers(struct control *control,
			       const struct vault *vault, struct layers *layers,
			       const struct snapshot *s, uint64_t *bytes)
{
	json_t *list = json_array();
	char path[PATH_MAX];

	*bytes = 0;
	for (unsigned i = 0; i < layers->disk_count; i++) {
		const struct layer *layer = layers_find(layers, s->layers[i]);

		if (!layer)
			continue;
		layer_path(control, vault, layer, path);
		*bytes += disk_actual_size(path);
		json_array_append_new(list, json_pack("{s:s, s:s}", "disk",
						      layers->disks[i].target,
						      "layer", layer->file));
	}
	return list;
}

static json_t *describe(struct control *control, const struct vault *vault,
			struct layers *layers, const struct snapshot *s)
{
	uint64_t bytes;
	json_t *list = describe_layers(control, vault, layers, s, &bytes);

	return json_pack(
		"{s:s, s:o, s:o, s:s, s:o, s:b, s:b, s:b, s:s, s:I}", "name",
		s->name, "created_at", units_time_json(s->created_at), "layers",
		list, "layer", s->layers[0], "parent",
		s->parent[0] ? json_string(s->parent) : json_null(),
		"automatic", s->automatic, "running", s->running, "current",
		!strcmp(layers->parent, s->name), "definition", s->definition,
		"bytes", (json_int_t)bytes);
}

int snapshot_list(struct control *control, const struct vault *vault,
		  json_t **list, struct error *error)
{
	struct layers *layers;
	int r = snapshot_layers(control, vault, &layers, error);

	if (r)
		return r;
	*list = json_array();
	for (unsigned i = 0; i < layers->snapshot_count; i++)
		json_array_append_new(*list, describe(control, vault, layers,
						      &layers->snapshots[i]));
	free(layers);
	return 0;
}
