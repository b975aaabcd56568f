/*
 * The export of a vault; see vault_move.h.
 *
 * The folder export/ in the vault's says what is being exported: order.json
 * (where to, how), the plan with its files (bundle_pack.h), and the journal of
 * records that are written. While it is there, and none of the files has
 * changed, the same order goes on with it; another order takes it away. A
 * bundle in a file is NAME.part until its end.
 */
#include "daemon/vault_move.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/attach.h"
#include "daemon/bundle_judge.h"
#include "daemon/bundle_pack.h"
#include "daemon/bundle_process.h"
#include "daemon/control.h"
#include "daemon/disk.h"
#include "daemon/event.h"
#include "daemon/folder.h"
#include "daemon/host_key.h"
#include "daemon/job_list.h"
#include "daemon/lease.h"
#include "daemon/log.h"
#include "daemon/snapshot.h"
#include "daemon/transfer.h"
#include "daemon/units.h"
#include "daemon/vault.h"

#define ORDER_MAX (1 << 20)
#define DEFINITION_MAX (1 << 20)
#define RESUME_US (24 * INT64_C(3600000000))

struct export
{
	struct control *control;
	struct job_work *work;
	struct vault vault;
	char to[PATH_MAX]; /* the file's path, or the URL */
	bool is_url, moved;
	char target[HOST_KEY_ID_SIZE], who[64];
	char folder[PATH_MAX]; /* the vault's */
	bool locked;
	json_t *order;
	struct bundle_pack *pack;
	int plan, journal, part, hold;
	uint64_t have;
	struct bundle_process *process;
};

static void below(const struct export *e, const char *name, char path[PATH_MAX])
{
	char inside[64];

	snprintf(inside, sizeof(inside), BUNDLE_PACK_FOLDER "%s%s",
		 name ? "/" : "", name ? name : "");
	vault_path(e->control, e->vault.uuid, inside, path);
}

static const char *order_text(const struct export *e, const char *key)
{
	const char *text = json_string_value(json_object_get(e->order, key));

	return text ? text : "";
}

static int save_order(struct export *e, struct error *error)
{
	char *text = json_dumps(e->order, JSON_COMPACT), path[PATH_MAX];
	int r;

	if (!text)
		return error_set(error, -ENOMEM, "no memory");
	below(e, "order.json", path);
	r = folder_write(path, text, strlen(text), 0600, error);
	free(text);
	return r;
}

static void load_order(struct export *e)
{
	char path[PATH_MAX], *text;

	below(e, "order.json", path);
	if (folder_read(path, ORDER_MAX, &text, NULL))
		return;
	e->order = json_loads(text, 0, NULL);
	free(text);
}

static int lock(struct export *e, struct error *error)
{
	int r = e->locked ? 0
			  : vaults_lock(e->control->vaults, e->vault.uuid,
					false, error);

	e->locked = !r;
	return r;
}

static void unlock(struct export *e)
{
	if (e->locked)
		vaults_unlock(e->control->vaults, e->vault.uuid);
	e->locked = false;
}

static bool runs(struct export *e)
{
	enum hypervisor_state state =
		hypervisor_state(e->control->hypervisor, e->vault.uuid);

	return state != HYPERVISOR_STOPPED && state != HYPERVISOR_CRASHED;
}

/* --- an export that was begun ----------------------------------------- */

static void part_path(const char *to, char path[PATH_MAX])
{
	if (snprintf(path, PATH_MAX, "%s.part", to) >= PATH_MAX)
		path[0] = '\0'; /* set_destination sees to it */
}

/* Whether a path is the file that this order writes to. */
static bool is_part(const struct export *e, const char *path)
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

static void delete_snapshot(struct export *e)
{
	const char *name = order_text(e, "snapshot");
	struct error error = {0};
	int r;

	if (!name[0])
		return;
	r = snapshot_delete(e->control, &e->vault, name, false, &error);
	if (r && r != -ENOENT)
		log_warning("vault %s: the snapshot %s of an export: %s",
			    e->vault.name, name, error.text);
}

/* Nothing of it stays; done: but what it has made. Needs the lock. */
static void forget(struct export *e, bool done)
{
	char path[PATH_MAX];
	struct error error = {0};

	if (!done && !e->is_url) {
		part_path(order_text(e, "to"), path);
		if (is_part(e, path))
			unlink(path);
	}
	delete_snapshot(e);
	below(e, NULL, path);
	if (folder_remove(path, &error))
		log_warning("vault %s: %s", e->vault.name, error.text);
	json_decref(e->order);
	e->order = NULL;
	bundle_pack_free(e->pack);
	e->pack = NULL;
}

/* What a guest was some time ago is not what is asked for. */
static bool is_stale(const struct export *e)
{
	return e->pack->plan->running &&
	       units_now_us() - e->pack->plan->made_at > RESUME_US;
}

/* Whether what is there can be gone on with: e->pack. */
static bool go_on(struct export *e)
{
	struct error error = {0};

	if (!json_is_true(json_object_get(e->order, "ready")) ||
	    strcmp(order_text(e, "to"), e->to) != 0 ||
	    json_is_true(json_object_get(e->order, "moved")) != e->moved ||
	    strcmp(order_text(e, "target"), e->target) != 0)
		return false;
	if (!bundle_pack_load(&e->pack, e->folder, &error) &&
	    !bundle_pack_check(e->pack, e->folder, &error) && !is_stale(e))
		return true;
	log_info("vault %s: its export begins anew: %s", e->vault.name,
		 error.code ? error.text : "it was begun long ago");
	return false;
}

/* --- a new one -------------------------------------------------------- */

static struct bundle_plan *describe(struct export *e)
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
	plan->running = runs(e);
	plan->spec = e->vault.spec ? json_incref(e->vault.spec) : json_object();
	plan->policy = vault_policy_json(&e->vault.policy);
	return plan;
}

/* The moment of a running guest. */
static int take_snapshot(struct export *e, struct error *error)
{
	char name[SNAPSHOT_NAME_SIZE];
	time_t now = time(NULL);
	struct tm tm;
	int r;

	strftime(name, sizeof(name), "export-%Y%m%d-%H%M%S",
		 gmtime_r(&now, &tm));
	/* Written down first: whatever comes, it will be deleted. */
	json_object_set_new(e->order, "snapshot", json_string(name));
	r = save_order(e, error);
	return r ? r : snapshot_create(e->control, &e->vault, name, error);
}

/* What no host would take is not sent on its way. */
static int judge(struct export *e, const struct bundle_plan *plan,
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

static int pack(struct export *e, struct error *error)
{
	struct bundle_plan *plan = describe(e);
	struct layers *layers = NULL;
	int r = snapshot_recover(e->control, &e->vault, error);

	if (!r && !plan)
		r = error_set(error, -ENOMEM, "no memory");
	if (!r)
		r = judge(e, plan, error);
	if (!r)
		r = snapshot_layers(e->control, &e->vault, &layers, error);
	if (!r && plan->running)
		r = take_snapshot(e, error);
	if (r) {
		bundle_plan_free(plan);
		free(layers);
		return r;
	}
	r = bundle_pack_make(&e->pack, e->folder, plan, layers,
			     plan->running ? order_text(e, "snapshot") : NULL,
			     error);
	free(layers);
	return r ? r : bundle_pack_save(e->pack, e->folder, error);
}

static int begin_anew(struct export *e, struct error *error)
{
	char path[PATH_MAX];
	int r;

	forget(e, false);
	below(e, NULL, path);
	r = folder_make(path, 0700, error);
	if (r)
		return r;
	e->order = json_pack("{s:s, s:b, s:s}", "to", e->to, "moved", e->moved,
			     "target", e->target);
	r = save_order(e, error);
	if (!r)
		r = pack(e, error);
	if (!r) {
		json_object_set_new(e->order, "ready", json_true());
		r = save_order(e, error);
	}
	return r;
}

static int prepare(struct export *e, struct error *error)
{
	char path[PATH_MAX];
	int r;

	load_order(e);
	if (!go_on(e)) {
		r = begin_anew(e, error);
		if (r)
			return r;
	}
	below(e, "plan", path);
	e->plan = open(path, O_RDONLY | O_CLOEXEC);
	below(e, "journal", path);
	e->journal = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (e->plan < 0 || e->journal < 0)
		return error_errno(error, errno, "can't write %s", path);
	return 0;
}

/* --- the process ------------------------------------------------------ */

static int sign(struct export *e, const struct bundle_question *asked,
		struct buffer *text, struct error *error)
{
	struct host_key *key;
	uint8_t signature[HOST_KEY_SIGNATURE];
	char hex[2 * HOST_KEY_SIGNATURE + 1], *json;
	json_t *object;
	int r;

	/* All of it was read: it is signed if it was one state. */
	r = bundle_pack_check(e->pack, e->folder, error);
	if (!r)
		r = host_key_open(&key, e->control->config.state, error);
	if (r)
		return r;
	r = host_key_sign(key, asked->text, asked->size, signature, error);
	host_key_hex(signature, sizeof(signature), hex);
	object = json_pack("{s:s, s:s}", "key", host_key_public(key),
			   "signature", hex);
	host_key_free(key);
	json = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	if (!r && json)
		buffer_put(text, json, strlen(json));
	free(json);
	return r;
}

static int hand_over(struct export *e, struct buffer *text, struct error *error)
{
	json_t *record;
	char *json;
	int r = lease_fence(e->control, &e->vault,
			    e->target[0] ? e->target : NULL, e->who, &record,
			    error);

	if (r)
		return r;
	json = json_dumps(record, JSON_COMPACT);
	json_decref(record);
	if (!json)
		return error_set(error, -ENOMEM, "no memory");
	buffer_put(text, json, strlen(json));
	free(json);
	return 0;
}

static int answer(void *data, const struct bundle_question *asked,
		  struct buffer *text, int *fd, struct error *error)
{
	struct export *e = data;
	struct bundle_orders orders = {.have = e->have,
				       .plan_size =
					       (uint32_t)strlen(e->pack->text),
				       .is_file = !e->is_url};

	switch (asked->what) {
	case BUNDLE_ASK_BEGIN:
		buffer_put(text, &orders, sizeof(orders));
		return 0;
	case BUNDLE_ASK_OPEN:
		return bundle_pack_open(e->pack, e->folder, asked->number, fd,
					error);
	case BUNDLE_ASK_SIGN:
		return sign(e, asked, text, error);
	case BUNDLE_ASK_HANDOVER:
		return hand_over(e, text, error);
	default:
		return error_set(error, -EPROTO, "a question of another kind");
	}
}

static void progressed(void *data, double done)
{
	struct export *e = data;
	uint64_t all = e->pack->plan->data;

	job_work_bytes(e->work, (uint64_t)((double)all * done), all);
}

static int start_process(struct export *e, int fd, struct error *error)
{
	const struct bundle_start start = {.kind = "export",
					   .vault = e->vault.uuid,
					   .bundle = fd,
					   .plan = e->plan,
					   .journal = e->journal,
					   .answer = answer,
					   .progress = progressed,
					   .data = e};

	return bundle_process_start(&e->process, &start, error);
}

/* --- to a file -------------------------------------------------------- */

static int open_part(struct export *e, struct error *error)
{
	char path[PATH_MAX], folder[PATH_MAX];
	struct stat st;
	int r;

	part_path(e->to, path);
	snprintf(folder, sizeof(folder), "%s", e->to);
	if (is_part(e, path)) {
		e->part = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	} else {
		r = disk_check_space(dirname(folder), e->pack->plan->data,
				     error);
		if (r)
			return r;
		/* Of an earlier one nothing is left to go on with. */
		below(e, "journal", folder);
		if (ftruncate(e->journal, 0))
			return error_errno(error, errno, "can't write %s",
					   folder);
		e->part =
			open(path,
			     O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
			     0600);
	}
	if (e->part < 0 && errno == EEXIST)
		return error_set(error, -EEXIST,
				 "%s is there already, and not of this export: "
				 "remove it first",
				 path);
	if (e->part < 0 || fstat(e->part, &st))
		return error_errno(error, errno, "can't write %s", path);
	e->have = (uint64_t)st.st_size;
	json_object_set_new(e->order, "part",
			    json_pack("[I, I]", (json_int_t)st.st_dev,
				      (json_int_t)st.st_ino));
	return save_order(e, error);
}

static int show_file(struct export *e, struct error *error)
{
	char path[PATH_MAX];

	part_path(e->to, path);
	if (renameat2(AT_FDCWD, path, AT_FDCWD, e->to, RENAME_NOREPLACE))
		return error_errno(error, errno, "can't name the bundle %s",
				   e->to);
	snprintf(path, sizeof(path), "%s", e->to);
	return folder_sync(dirname(path), error);
}

static int to_file(struct export *e, struct error *error)
{
	int r;

	/* It was finished, and a crash came before it was said. */
	if (is_part(e, e->to))
		return 0;
	if (!access(e->to, F_OK))
		return error_set(error, -EEXIST,
				 "%s is there already: choose another name",
				 e->to);
	r = open_part(e, error);
	if (!r)
		r = start_process(e, e->part, error);
	if (!r)
		r = bundle_process_wait(e->process, e->work, error);
	e->process = NULL;
	return r ? r : show_file(e, error);
}

/* --- to a URL --------------------------------------------------------- */

static int begin_stream(void *data, uint64_t offset, int fd,
			struct error *error)
{
	struct export *e = data;
	int r;

	e->have = offset;
	r = start_process(e, fd, error);
	close(fd);
	return r;
}

static int end_stream(void *data, bool whole, struct error *error)
{
	struct export *e = data;
	struct bundle_process *process = e->process;

	e->process = NULL;
	if (whole && process)
		return bundle_process_wait(process, e->work, error);
	bundle_process_kill(process);
	return 0;
}

static int keep_state(void *data, const json_t *state, struct error *error)
{
	struct export *e = data;

	json_object_set(e->order, "state", (json_t *)state);
	return save_order(e, error);
}

/* The process tells how far it is. */
static void no_progress(void *data, uint64_t done)
{
	(void)data;
	(void)done;
}

/* What can't be compressed grows a little; heads, plan and manifest come on
 * top. */
static uint64_t size_at_most(const struct export *e)
{
	uint64_t data = e->pack->plan->data;

	return data + data / 64 + 4 * BUNDLE_STORED_MAX;
}

static int to_url(struct export *e, struct error *error)
{
	json_t *state = json_incref(json_object_get(e->order, "state"));
	const struct transfer_send send = {.url = e->to,
					   .id = e->pack->plan->id,
					   .state = state,
					   .size = size_at_most(e),
					   .data = e,
					   .begin = begin_stream,
					   .end = end_stream,
					   .keep = keep_state,
					   .progress = no_progress};
	int r = transfer_send(e->work, &send, error);

	json_decref(state);
	bundle_process_kill(e->process);
	e->process = NULL;
	return r;
}

/* --- the job ---------------------------------------------------------- */

/* Where it ended, is there something to go on with? */
static bool is_for_good(const struct export *e, int r)
{
	switch (r) {
	case 0:
	case -ESTALE:
	case -EEXIST:
	case -EINVAL:
		return true;
	case -ECANCELED:
		return !job_work_is_interrupted(e->work);
	default:
		return false;
	}
}

static json_t *result(const struct export *e)
{
	const struct bundle_plan *plan = e->pack->plan;
	char shown[TRANSFER_URL_SIZE];
	struct stat st;
	json_t *result;

	if (e->is_url)
		transfer_shown(e->to, shown);
	result = json_pack("{s:s, s:s, s:s, s:b, s:b, s:I}", "vault",
			   e->vault.name, "to", e->is_url ? shown : e->to,
			   "bundle", plan->id, "moved", e->moved, "running",
			   plan->running, "data", (json_int_t)plan->data);
	if (!e->is_url && !stat(e->to, &st))
		json_object_set_new(result, "bytes",
				    json_integer((json_int_t)st.st_size));
	return result;
}

/* Before hours of work: a lease that is not here can't be handed over. */
static int check_move(struct export *e, struct error *error)
{
	json_t *lease;
	const char *state, *why;
	int r = 0;

	if (runs(e))
		return error_set(error, -EBUSY,
				 "it runs; stop it first, then it can move");
	lease = lease_json(e->control, &e->vault);
	state = json_string_value(json_object_get(lease, "state"));
	why = json_string_value(json_object_get(lease, "why"));
	/* By this export, before it was cut. */
	if (why && (!state || strcmp(state, "handed-over") != 0))
		r = error_set(error, -EPERM, "it can't be moved: %s", why);
	json_decref(lease);
	return r;
}

static int work(struct export *e, struct error *error)
{
	int r = lock(e, error);

	if (!r && e->moved)
		r = check_move(e, error);
	if (!r)
		r = prepare(e, error);
	/* No layer is joined to another while they are read. */
	if (!r)
		r = layers_hold(e->folder, &e->hold, error);
	if (r)
		return r;
	/* A frozen moment of a guest that goes on. */
	if (order_text(e, "snapshot")[0])
		unlock(e);
	return e->is_url ? to_url(e, error) : to_file(e, error);
}

static int run(struct job_work *job, void *data, struct error *error)
{
	struct export *e = data;
	int r;

	e->work = job;
	r = work(e, error);
	if (!r) {
		json_t *done = result(e);

		job_work_result(job, json_incref(done));
		json_object_set_new(done, "who", json_string(e->who));
		/* If it can't be removed now: it is not gone on with. */
		json_object_set_new(e->order, "ready", json_false());
		save_order(e, NULL);
		events_post(e->control->events, "vault.exported", e->vault.name,
			    done);
	}
	if (e->hold >= 0)
		close(e->hold);
	e->hold = -1;
	for (int i = 0; i < 50 && is_for_good(e, r) && lock(e, NULL); i++)
		usleep(100000);
	if (e->order && e->locked && is_for_good(e, r))
		forget(e, !r);
	unlock(e);
	if (r)
		error_prefix(error, "vault %s", e->vault.name);
	return r;
}

static void export_free(void *data)
{
	struct export *e = data;

	if (e->plan >= 0)
		close(e->plan);
	if (e->journal >= 0)
		close(e->journal);
	if (e->part >= 0)
		close(e->part);
	bundle_pack_free(e->pack);
	json_decref(e->order);
	vault_release(&e->vault);
	free(e);
}

static const struct job_work_kind kind = {"export", run, export_free};

/* A folder stands for a file in it, with the vault's name. */
static int set_destination(struct export *e, const char *to,
			   struct error *error)
{
	struct stat st;
	int n;

	e->is_url = transfer_is_url(to);
	if (e->is_url) {
		n = snprintf(e->to, sizeof(e->to), "%s", to);
		return n < (int)sizeof(e->to)
			       ? transfer_check(to, error)
			       : error_set(error, -ENAMETOOLONG,
					   "the URL is too long");
	}
	if (to[0] != '/')
		return error_set(error, -EINVAL,
				 "\"%.200s\" is not an absolute path", to);
	if (!stat(to, &st) && S_ISDIR(st.st_mode))
		n = snprintf(e->to, sizeof(e->to), "%s/%s.mvault", to,
			     e->vault.name);
	else
		n = snprintf(e->to, sizeof(e->to), "%s", to);
	if (n > PATH_MAX - 10)
		return error_set(error, -ENAMETOOLONG, "the path is too long");
	return 0;
}

int job_export(struct jobs *jobs, const struct vault_export *order,
	       char id[JOB_ID_SIZE], struct error *error)
{
	struct export *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return error_set(error, -ENOMEM, "no memory");
	e->control = jobs->control;
	e->plan = e->journal = e->part = e->hold = -1;
	e->moved = order->move;
	snprintf(e->who, sizeof(e->who), "%s", order->who);
	snprintf(e->target, sizeof(e->target), "%s",
		 order->target ? order->target : "");
	r = vault_find(e->control, order->vault, &e->vault, error);
	if (!r)
		r = attach_refuse(&e->vault, error);
	if (!r)
		r = set_destination(e, order->to, error);
	if (r) {
		export_free(e);
		return r;
	}
	vault_path(e->control, e->vault.uuid, NULL, e->folder);
	return job_work_start(jobs, &kind, e->vault.uuid, e, id, error);
}
