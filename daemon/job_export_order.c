/* What an export has begun, and goes on with; see job_export.h. */
#include "daemon/job_export.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/bundle_judge.h"
#include "daemon/bundle_process.h"
#include "daemon/control.h"
#include "daemon/disk.h"
#include "daemon/folder.h"
#include "daemon/log.h"
#include "daemon/snapshot.h"
#include "daemon/transfer.h"
#include "daemon/units.h"

#define ORDER_MAX (1 << 20)
#define DEFINITION_MAX (1 << 20)
#define RESUME_US (24 * INT64_C(3600000000))

void export_path(const struct export_job *e, const char *name,
		 char path[PATH_MAX])
{
	char inside[64];

	snprintf(inside, sizeof(inside), BUNDLE_PACK_FOLDER "%s%s",
		 name ? "/" : "", name ? name : "");
	vault_path(e->control, e->vault.uuid, inside, path);
}

const char *export_text(const struct export_job *e, const char *key)
{
	const char *text = json_string_value(json_object_get(e->order, key));

	return text ? text : "";
}

int export_save(struct export_job *e, struct error *error)
{
	char *text = json_dumps(e->order, JSON_COMPACT), path[PATH_MAX];
	int r;

	if (!text)
		return error_set(error, -ENOMEM, "no memory");
	export_path(e, "order.json", path);
	r = folder_write(path, text, strlen(text), 0600, error);
	free(text);
	return r;
}

static void load_order(struct export_job *e)
{
	char path[PATH_MAX], *text;

	export_path(e, "order.json", path);
	if (folder_read(path, ORDER_MAX, &text, NULL))
		return;
	e->order = json_loads(text, 0, NULL);
	free(text);
}

int export_lock(struct export_job *e, struct error *error)
{
	int r = e->locked ? 0
			  : vaults_lock(e->control->vaults, e->vault.uuid,
					false, error);

	e->locked = !r;
	return r;
}

void export_unlock(struct export_job *e)
{
	if (e->locked)
		vaults_unlock(e->control->vaults, e->vault.uuid);
	e->locked = false;
}

/* The last of holds was tried. */
static int held(struct export_job *e, int r)
{
	e->hold_count += !r;
	return r;
}

int export_hold(struct export_job *e, struct error *error)
{
	struct layers *layers;
	int r = held(e, layers_hold(e->folder, e->holds, error));

	if (r)
		return r;
	r = snapshot_layers(e->control, &e->vault, &layers, error);
	for (unsigned i = 0; !r && i < layers->layer_count; i++)
		if (layers->layers[i].place[0])
			r = held(e, disk_hold(layers->layers[i].place,
					      &e->holds[e->hold_count], error));
	free(layers);
	return r;
}

void export_release(struct export_job *e)
{
	while (e->hold_count)
		close(e->holds[--e->hold_count]);
}

bool export_guest_runs(struct export_job *e)
{
	enum hypervisor_state state =
		hypervisor_state(e->control->hypervisor, e->vault.uuid);

	return state != HYPERVISOR_STOPPED && state != HYPERVISOR_CRASHED;
}

/* --- an export that was begun ----------------------------------------- */

void export_part_path(const char *to, char path[PATH_MAX])
{
	if (snprintf(path, PATH_MAX, "%s.part", to) >= PATH_MAX)
		path[0] = '\0'; /* set_destination sees to it */
}

/* Whether a path is the file that this order writes to. */
bool export_is_part(const struct export_job *e, const char *path)
{
	const json_t *part = json_object_get(e->order, "part");
	struct stat st;

	return json_array_size(part) == 2 && !lstat(path, &st) &&
	       S_ISREG(st.st_mode) &&
	       (json_int_t)st.st_dev ==
		       json_integer_value(json_array_get(part, 0)) &&
	       (json_int_t)st.st_ino ==
		       json_integer_value(json_array_get(part, 1));
}

/* Or one that a kill has left before the order knew which file it is. */
static bool is_empty_part(const struct export_job *e, const char *path)
{
	const json_t *part = json_object_get(e->order, "part");
	struct stat st;

	return json_is_array(part) && !json_array_size(part) &&
	       !lstat(path, &st) && S_ISREG(st.st_mode) && !st.st_size &&
	       st.st_uid == geteuid();
}

static void delete_snapshot(struct export_job *e)
{
	const char *name = export_text(e, "snapshot");
	struct error error = {0};
	int r;

	if (!name[0])
		return;
	r = snapshot_delete(e->control, &e->vault, name, false, &error);
	if (r && r != -ENOENT)
		log_warning("vault %s: the snapshot %s of an export: %s",
			    e->vault.name, name, error.text);
}

/* An upload that nobody will go on with; the far end may not be there. */
static void forget_upload(struct export_job *e)
{
	const struct transfer_send send = {
		.url = export_text(e, "to"),
		.id = export_text(e, "id"),
		.state = json_object_get(e->order, "state")};
	struct error error = {0};

	if (transfer_forget(e->work, &send, &error))
		log_warning("vault %s: what an unfinished export left: %s",
			    e->vault.name, error.text);
}

static void forget_part(struct export_job *e)
{
	char path[PATH_MAX];

	export_part_path(export_text(e, "to"), path);
	if (export_is_part(e, path) || is_empty_part(e, path))
		unlink(path);
}

/* Nothing of it stays; done: but what it has made. Needs the lock. */
void export_forget(struct export_job *e, bool done)
{
	char path[PATH_MAX];
	struct error error = {0};

	if (!done && !transfer_is_url(export_text(e, "to")))
		forget_part(e);
	else if (!done && export_text(e, "id")[0])
		forget_upload(e);
	delete_snapshot(e);
	export_path(e, NULL, path);
	if (folder_remove(path, &error))
		log_warning("vault %s: %s", e->vault.name, error.text);
	json_decref(e->order);
	e->order = NULL;
	bundle_pack_free(e->pack);
	e->pack = NULL;
}

/*
 * What a guest was some time ago is not what is asked for, nor what it was
 * before it was started.
 */
static bool is_stale(struct export_job *e)
{
	return e->pack->plan->running
		       ? units_now_us() - e->pack->plan->made_at > RESUME_US
		       : export_guest_runs(e);
}

/* Whether what is there can be gone on with: e->pack. */
static bool go_on(struct export_job *e)
{
	struct error error = {0};

	if (!json_is_true(json_object_get(e->order, "ready")) ||
	    strcmp(export_text(e, "to"), e->to) != 0 ||
	    json_is_true(json_object_get(e->order, "moved")) != e->moved ||
	    strcmp(export_text(e, "target"), e->target) != 0)
		return false;
	if (!bundle_pack_load(&e->pack, e->folder, &error) &&
	    !bundle_pack_check(e->pack, e->folder, &error) && !is_stale(e))
		return true;
	log_info("vault %s: its export begins anew: %s", e->vault.name,
		 error.code ? error.text : "it is of another moment");
	return false;
}

/* --- a new one -------------------------------------------------------- */

static struct bundle_plan *describe(struct export_job *e)
{
	struct bundle_plan *plan = calloc(1, sizeof(*plan));
	uint8_t id[16];

	if (!plan || getrandom(id, sizeof(id), 0) != sizeof(id)) {
		free(plan);
		return NULL;
	}
	bundle_hex(id, sizeof(id), plan->id);
	strcpy(plan->name, e->vault.name);
	strcpy(plan->uuid, e->vault.uuid);
	plan->created_at = e->vault.created_at;
	plan->made_at = units_now_us();
	plan->moved = e->moved;
	plan->running = export_guest_runs(e);
	plan->spec = e->vault.spec ? json_incref(e->vault.spec) : json_object();
	plan->policy = vault_policy_json(&e->vault.policy);
	return plan;
}

/* The moment of a running guest. */
static int take_snapshot(struct export_job *e, struct error *error)
{
	char name[SNAPSHOT_NAME_SIZE];
	time_t now = time(NULL);
	struct tm tm;
	int r;

	strftime(name, sizeof(name), "export-%Y%m%d-%H%M%S",
		 gmtime_r(&now, &tm));
	/* Written down first: whatever comes, it will be deleted. */
	json_object_set_new(e->order, "snapshot", json_string(name));
	r = export_save(e, error);
	return r ? r : snapshot_create(e->control, &e->vault, name, error);
}

/* What no host would take is not sent on its way. */
static int judge(struct export_job *e, const struct bundle_plan *plan,
		 struct error *error)
{
	char path[PATH_MAX], *xml;
	int r;

	vault_path(e->control, e->vault.uuid, "domain.xml", path);
	r = folder_read(path, DEFINITION_MAX, &xml, error);
	if (r)
		return r;
	r = bundle_judge_domain(xml, plan, error);
	free(xml);
	if (r)
		error_prefix(error, "its definition ties it to this host");
	return r;
}

/* A disk that was left in place may be another than it was. */
static int judge_disks(const struct layers *layers, struct error *error)
{
	struct disk_info info;
	int r = 0;

	for (unsigned i = 0; !r && i < layers->layer_count; i++) {
		const struct layer *layer = &layers->layers[i];

		if (layer->is_named)
			r = error_set(error, -EINVAL,
				      "its definition names the disk %s "
				      "outside of the vault: delete the "
				      "snapshots and the vault, and adopt the "
				      "machine again",
				      layer->place);
		else if (layer->place[0])
			r = disk_inspect_as(layer->place, layer->format, &info,
					    error);
	}
	return r;
}

static int pack(struct export_job *e, struct error *error)
{
	struct bundle_plan *plan = describe(e);
	struct layers *layers = NULL;
	int r = snapshot_recover(e->control, &e->vault, error);

	if (!r && !plan)
		r = error_set(error, -ENOMEM, "no memory");
	if (!r)
		r = snapshot_layers(e->control, &e->vault, &layers, error);
	if (!r)
		r = judge_disks(layers, error);
	if (!r)
		r = judge(e, plan, error);
	if (!r && plan->running)
		r = take_snapshot(e, error);
	if (r) {
		bundle_plan_free(plan);
		free(layers);
		return r;
	}
	r = bundle_pack_make(&e->pack, e->folder, plan, layers,
			     plan->running ? export_text(e, "snapshot") : NULL,
			     error);
	free(layers);
	return r ? r : bundle_pack_save(e->pack, e->folder, error);
}

static int begin_anew(struct export_job *e, struct error *error)
{
	char path[PATH_MAX];
	int r;

	export_forget(e, false);
	export_path(e, NULL, path);
	r = folder_make(path, 0700, error);
	if (r)
		return r;
	e->order = json_pack("{s:s, s:b, s:s}", "to", e->to, "moved", e->moved,
			     "target", e->target);
	r = export_save(e, error);
	if (!r)
		r = pack(e, error);
	if (!r) {
		json_object_set_new(e->order, "ready", json_true());
		json_object_set_new(e->order, "id",
				    json_string(e->pack->plan->id));
		r = export_save(e, error);
	}
	return r;
}

int export_prepare(struct export_job *e, struct error *error)
{
	char path[PATH_MAX];
	int r;

	load_order(e);
	if (!go_on(e)) {
		r = begin_anew(e, error);
		if (r)
			return r;
	}
	export_path(e, "plan", path);
	e->plan = open(path, O_RDONLY | O_CLOEXEC);
	export_path(e, "journal", path);
	e->journal = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (e->plan < 0 || e->journal < 0)
		return error_errno(error, errno, "can't write %s", path);
	return bundle_process_take(e->journal, error);
}
