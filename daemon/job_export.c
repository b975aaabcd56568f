/*
 * The export of a vault, a job; see vault_move.h. Its work is done by a process
 * that is given what it asks for, to a file or to a URL.
 */
#include "daemon/job_export.h"

#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/attach.h"
#include "daemon/bundle_process.h"
#include "daemon/control.h"
#include "daemon/disk.h"
#include "daemon/event.h"
#include "daemon/folder.h"
#include "daemon/job_list.h"
#include "daemon/lease.h"
#include "daemon/transfer.h"
#include "daemon/vault_move.h"

/* --- the process ------------------------------------------------------ */

static int sign(struct export_job *e, const struct bundle_question *asked,
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

static int hand_over(struct export_job *e, struct buffer *text,
		     struct error *error)
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
	struct export_job *e = data;
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
	struct export_job *e = data;
	uint64_t all = e->pack->plan->data;

	job_work_bytes(e->work, (uint64_t)((double)all * done), all);
}

static int start_process(struct export_job *e, int fd, struct error *error)
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

/*
 * A new one; or one that a kill has left between these lines, in which there
 * is nothing yet.
 */
static int make_part(const char *path, struct error *error)
{
	struct stat st;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 && (errno == EROFS || errno == EACCES || errno == EPERM))
		return error_errno(
			error, errno,
			"can't write %s: give a folder that belongs "
			"to the daemon's user and that its unit lets "
			"it write to (ReadWritePaths)",
			path);
	if (fd < 0)
		return error_errno(error, errno, "can't write %s", path);
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && !st.st_size &&
	    st.st_uid == geteuid())
		return fd;
	close(fd);
	return error_set(error, -EEXIST,
			 "%s is there already, and not of this export: remove "
			 "it first",
			 path);
}

/* Of an earlier part nothing is left to go on with. */
static int begin_part(struct export_job *e, const char *path,
		      struct error *error)
{
	char folder[PATH_MAX];
	int r;

	snprintf(folder, sizeof(folder), "%s", path);
	/* How much it will be is seen when it is written. */
	r = disk_check_space(dirname(folder), 0, error);
	if (!r && ftruncate(e->journal, 0))
		r = error_errno(error, errno, "can't write the journal");
	/* It will be there; which file it is, is not known yet. */
	json_object_set_new(e->order, "part", json_array());
	if (!r)
		r = export_save(e, error);
	return r ? r : make_part(path, error);
}

static int open_part(struct export_job *e, struct error *error)
{
	char path[PATH_MAX];
	struct stat st;

	export_part_path(e->to, path);
	if (export_is_part(e, path)) {
		e->part = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	} else {
		e->part = begin_part(e, path, error);
		if (e->part < 0)
			return e->part;
	}
	if (e->part < 0 || fstat(e->part, &st))
		return error_errno(error, errno, "can't write %s", path);
	e->have = (uint64_t)st.st_size;
	json_object_set_new(e->order, "part",
			    json_pack("[I, I]", (json_int_t)st.st_dev,
				      (json_int_t)st.st_ino));
	return export_save(e, error);
}

/* Over nothing that is there, also where (NFS) a rename can't see to that. */
static int give_name(const char *from, const char *to)
{
	if (!renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE))
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	if (!link(from, to))
		return unlink(from) ? -errno : 0;
	if (errno == EEXIST)
		return -EEXIST;
	if (!access(to, F_OK))
		return -EEXIST;
	return rename(from, to) ? -errno : 0;
}

static bool is_whole(const struct export_job *e)
{
	return json_is_true(json_object_get(e->order, "whole"));
}

static int show_file(struct export_job *e, struct error *error)
{
	char path[PATH_MAX];
	int r;

	json_object_set_new(e->order, "whole", json_true());
	r = export_save(e, error);
	if (r)
		return r;
	export_part_path(e->to, path);
	r = give_name(path, e->to);
	if (r)
		return error_errno(error, r,
				   "can't name the bundle %s, which is whole "
				   "in %s",
				   e->to, path);
	snprintf(path, sizeof(path), "%s", e->to);
	return folder_sync(dirname(path), error);
}

static int to_file(struct export_job *e, struct error *error)
{
	char path[PATH_MAX];
	int r;

	/* It was finished, and a crash came before it was said. */
	if (is_whole(e) && export_is_part(e, e->to))
		return 0;
	if (!access(e->to, F_OK))
		return error_set(error, -EEXIST,
				 "%s is there already: choose another name",
				 e->to);
	export_part_path(e->to, path);
	if (is_whole(e) && export_is_part(e, path))
		return show_file(e, error);
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
	struct export_job *e = data;
	int r;

	e->have = offset;
	r = start_process(e, fd, error);
	close(fd);
	return r;
}

static int end_stream(void *data, bool whole, struct error *error)
{
	struct export_job *e = data;
	struct bundle_process *process = e->process;

	e->process = NULL;
	if (whole && process)
		return bundle_process_wait(process, e->work, error);
	bundle_process_kill(process);
	return 0;
}

static int keep_state(void *data, const json_t *state, struct error *error)
{
	struct export_job *e = data;

	json_object_set(e->order, "state", (json_t *)state);
	return export_save(e, error);
}

/* The process tells how far it is. */
static void no_progress(void *data, uint64_t done)
{
	(void)data;
	(void)done;
}

/* What can't be compressed grows a little; heads, plan and manifest come on
 * top. */
static uint64_t size_at_most(const struct export_job *e)
{
	uint64_t data = e->pack->plan->data;

	return data + data / 64 + 4 * BUNDLE_STORED_MAX;
}

static int to_url(struct export_job *e, struct error *error)
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

	bundle_process_kill(e->process);
	e->process = NULL;
	json_decref(state);
	return r;
}

/* --- the job ---------------------------------------------------------- */

/* Where it ended, is there something to go on with? */
static bool is_for_good(const struct export_job *e, int r)
{
	/* Nobody can go on with it, or it lacks but its name. */
	if (e->order && !json_is_true(json_object_get(e->order, "ready")))
		return true;
	if (r && is_whole(e))
		return false;
	switch (r) {
	case 0:
	case -ESTALE:
	case -EEXIST:
	case -EINVAL:
		return true;
	case -ECANCELED:
		return !job_work_is_interrupted(e->work);
	case -ENOSPC:
	case -EROFS:
	case -EACCES:
	case -EPERM:
	case -ENOENT:
	case -ENOTDIR:
		/* Not a byte was written. */
		return !e->is_url && e->part < 0;
	default:
		return false;
	}
}

static json_t *result(const struct export_job *e)
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
static int check_move(struct export_job *e, struct error *error)
{
	json_t *lease;
	const char *state, *why;
	int r = 0;

	if (export_guest_runs(e))
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

static int work(struct export_job *e, struct error *error)
{
	int r = export_lock(e, error);

	if (!r && e->moved)
		r = check_move(e, error);
	if (!r)
		r = export_prepare(e, error);
	if (!r)
		r = export_hold(e, error);
	if (r)
		return r;
	/* A frozen moment of a guest that goes on. */
	if (export_text(e, "snapshot")[0])
		export_unlock(e);
	return e->is_url ? to_url(e, error) : to_file(e, error);
}

static int run(struct job_work *job, void *data, struct error *error)
{
	struct export_job *e = data;
	int r;

	e->work = job;
	r = work(e, error);
	if (!r) {
		json_t *done = result(e);

		job_work_result(job, json_incref(done));
		json_object_set_new(done, "who", json_string(e->who));
		/* If it can't be removed now: it is not gone on with. */
		json_object_set_new(e->order, "ready", json_false());
		export_save(e, NULL);
		events_post(e->control->events, "vault.exported", e->vault.name,
			    done);
	}
	export_release(e);
	for (int i = 0; i < 50 && is_for_good(e, r) && export_lock(e, NULL);
	     i++)
		usleep(100000);
	if (e->order && e->locked && is_for_good(e, r))
		export_forget(e, !r);
	export_unlock(e);
	if (r)
		error_prefix(error, "vault %s", e->vault.name);
	return r;
}

static void export_free(void *data)
{
	struct export_job *e = data;

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

static bool same(const void *runs, const void *ordered)
{
	const struct export_job *a = runs, *b = ordered;

	return strcmp(a->to, b->to) == 0 && a->moved == b->moved &&
	       strcmp(a->target, b->target) == 0;
}

static const struct job_work_kind kind = {"export", run, export_free, same};

/* A folder stands for a file in it, with the vault's name. */
static int set_destination(struct export_job *e, const char *to,
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

/* Before hours of work, too. */
static int check_target(const char *target, struct error *error)
{
	uint8_t id[(HOST_KEY_ID_SIZE - 1) / 2];
	int r = host_key_unhex(target, id, sizeof(id), error);

	if (r)
		error_prefix(error, "the key of the host to move to (its "
				    "mediavmctl status shows it)");
	return r;
}

int job_export(struct jobs *jobs, const struct vault_export *order,
	       char id[JOB_ID_SIZE], struct error *error)
{
	struct export_job *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return error_set(error, -ENOMEM, "no memory");
	e->control = jobs->control;
	e->plan = e->journal = e->part = -1;
	e->moved = order->move;
	snprintf(e->who, sizeof(e->who), "%s", order->who);
	snprintf(e->target, sizeof(e->target), "%s",
		 order->target ? order->target : "");
	r = vault_find(e->control, order->vault, &e->vault, error);
	if (!r)
		r = attach_refuse(&e->vault, error);
	if (!r && order->target)
		r = check_target(order->target, error);
	if (!r)
		r = set_destination(e, order->to, error);
	if (r) {
		export_free(e);
		return r;
	}
	vault_path(e->control, e->vault.uuid, NULL, e->folder);
	return job_work_start(jobs, &kind, e->vault.uuid, e, id, error);
}
