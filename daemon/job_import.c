/*
 * The import of a vault, and the check of a bundle; see vault_move.h.
 *
 * STATE/import/KEY/, KEY made of where the bundle comes from, holds what is
 * there of it: `plan` as it was in the bundle, the journal of records that are
 * written, order.json (the plan's digest, what a transfer keeps), and UUID/,
 * the vault's folder to be. It is gone on with when the same is asked for
 * again, and removed when the bundle is bad.
 */
#include "daemon/vault_move.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "daemon/bundle_process.h"
#include "daemon/bundle_read.h"
#include "daemon/control.h"
#include "daemon/disk.h"
#include "daemon/domain.h"
#include "daemon/event.h"
#include "daemon/folder.h"
#include "daemon/host_key.h"
#include "daemon/job_list.h"
#include "daemon/log.h"
#include "daemon/transfer.h"
#include "daemon/vault.h"
#include "daemon/vault_import.h"

#define ORDER_MAX (1 << 20)
#define KEY_SIZE 33

struct import {
	struct control *control;
	struct job_work *work;
	char *from;
	char name[64], signer[HOST_KEY_ID_SIZE], who[64];
	bool is_url, check;
	char key[KEY_SIZE];
	char folder[PATH_MAX]; /* STATE/import/KEY */
	int lock, plan_fd, journal, input;
	pthread_mutex_t order_lock; /* two threads tell what to keep */
	json_t *order;
	struct bundle_plan *plan;
	uint32_t plan_size;
	uint8_t plan_digest[BUNDLE_DIGEST];
	char signed_by[HOST_KEY_ID_SIZE];
	json_t *record; /* the lease that came along */
	struct bundle_process *process;
	int r; /* of the stream: it is bad for good */
	struct error error;
};

/* PATH_MAX is more than enough: STATE is short. */
static void below(const struct import *i, const char *name, char path[PATH_MAX])
{
	if (snprintf(path, PATH_MAX, "%s/%s", i->folder, name) >= PATH_MAX)
		path[0] = '\0';
}

static const char *vault_name(const struct import *i)
{
	return i->name[0] ? i->name : i->plan->name;
}

/* Writes the order with another member; takes value. NULL: as it is. */
static int save_order(struct import *i, const char *key, json_t *value,
		      struct error *error)
{
	char *text, path[PATH_MAX];
	int r;

	pthread_mutex_lock(&i->order_lock);
	if (key)
		json_object_set_new(i->order, key, value);
	text = json_dumps(i->order, JSON_COMPACT);
	below(i, "order.json", path);
	r = text ? folder_write(path, text, strlen(text), 0600, error)
		 : error_set(error, -ENOMEM, "no memory");
	pthread_mutex_unlock(&i->order_lock);
	free(text);
	return r;
}

/* --- the folder ------------------------------------------------------- */

/* One import of a source at a time; the lock goes with the process. */
static int open_folder(struct import *i, struct error *error)
{
	char path[PATH_MAX];
	int r;

	snprintf(path, sizeof(path), "%s/" IMPORT_FOLDER,
		 i->control->config.state);
	r = folder_make(path, 0700, error);
	if (!r)
		r = folder_make(i->folder, 0700, error);
	if (r)
		return r;
	i->lock = open(i->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (i->lock < 0)
		return error_errno(error, errno, "can't use %s", i->folder);
	if (flock(i->lock, LOCK_EX | LOCK_NB))
		return error_set(error, -EBUSY, "it is being imported already");
	return 0;
}

static int open_files(struct import *i, struct error *error)
{
	char path[PATH_MAX];

	below(i, "plan", path);
	i->plan_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	below(i, "journal", path);
	i->journal = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (i->plan_fd < 0 || i->journal < 0)
		return error_errno(error, errno, "can't write %s", path);
	return 0;
}

/* The plan's file: at most as large as a record. */
static int read_plan(struct import *i, uint32_t size, struct error *error)
{
	char *text;
	int r;

	if (size > BUNDLE_STORED_MAX)
		return error_set(error, -EINVAL, "the plan is too large");
	text = malloc(size + 1);
	if (!text)
		return error_set(error, -ENOMEM, "no memory");
	if (pread(i->plan_fd, text, size, 0) != (ssize_t)size)
		r = error_set(error, -EIO, "can't read the bundle's plan");
	else
		r = bundle_plan_read(&i->plan, text, size, error);
	if (!r)
		i->plan_size = size;
	free(text);
	return r;
}

/* Whether there is something to go on with: i->plan. */
static bool load(struct import *i)
{
	const char *digest;
	char path[PATH_MAX], *text;
	struct stat st;

	below(i, "order.json", path);
	if (folder_read(path, ORDER_MAX, &text, NULL))
		return false;
	i->order = json_loads(text, 0, NULL);
	free(text);
	digest = json_string_value(json_object_get(i->order, "plan"));
	return bundle_unhex(digest, i->plan_digest, BUNDLE_DIGEST) &&
	       !fstat(i->plan_fd, &st) && st.st_size <= BUNDLE_STORED_MAX &&
	       !read_plan(i, (uint32_t)st.st_size, NULL);
}

/* Empties it, but for the lock. */
static int begin_anew(struct import *i, struct error *error)
{
	char path[PATH_MAX];
	int r = 0;

	if (i->plan) {
		below(i, i->plan->uuid, path);
		r = folder_remove(path, error);
	}
	bundle_plan_free(i->plan);
	i->plan = NULL;
	i->plan_size = 0;
	json_decref(i->order);
	i->order = json_object();
	if (ftruncate(i->journal, 0) || ftruncate(i->plan_fd, 0))
		return error_errno(error, errno, "can't write %s", i->folder);
	return r ? r : save_order(i, NULL, NULL, error);
}

static int prepare(struct import *i, struct error *error)
{
	int r;

	if (i->check) {
		i->plan_fd = memfd_create("plan", MFD_CLOEXEC);
		return i->plan_fd < 0
			       ? error_errno(error, errno, "no memory file")
			       : 0;
	}
	r = open_folder(i, error);
	if (!r)
		r = open_files(i, error);
	if (!r && !load(i))
		r = begin_anew(i, error);
	return r;
}

/* --- what the process asks for ---------------------------------------- */

/* Makes every folder on the way; there are no links below ours. */
static int make_way(const char *folder, const char *path, struct error *error)
{
	char place[PATH_MAX];
	int r = folder_make(folder, 0700, error);

	for (const char *at = strchr(path, '/'); !r && at;
	     at = strchr(at + 1, '/')) {
		snprintf(place, sizeof(place), "%s/%.*s", folder,
			 (int)(at - path), path);
		r = folder_make(place, 0700, error);
	}
	return r;
}

static int open_file(struct import *i, unsigned n, int *fd, struct error *error)
{
	const struct bundle_file *file;
	char folder[PATH_MAX], path[PATH_MAX + BUNDLE_PATH_SIZE];
	int r;

	if (!i->plan || i->check || n >= i->plan->count)
		return error_set(error, -EPROTO, "there is no file %u", n);
	file = &i->plan->files[n];
	below(i, i->plan->uuid, folder);
	r = make_way(folder, file->path, error);
	if (r)
		return r;
	snprintf(path, sizeof(path), "%s/%s", folder, file->path);
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
		   file->program ? 0700 : 0600);
	return *fd < 0 ? error_errno(error, errno, "can't write %s", path) : 0;
}

static int take_plan(struct import *i, const struct bundle_question *asked,
		     struct error *error)
{
	char hex[2 * BUNDLE_DIGEST + 1];
	int r;

	if (i->plan || asked->size != BUNDLE_DIGEST)
		return error_set(error, -EPROTO, "a second plan");
	r = read_plan(i, asked->number, error);
	memcpy(i->plan_digest, asked->text, BUNDLE_DIGEST);
	if (r || i->check)
		return r;
	r = vault_import_check(i->control, i->plan, vault_name(i), error);
	if (!r)
		r = disk_check_space(i->folder, i->plan->data, error);
	if (!r && fsync(i->plan_fd))
		r = error_errno(error, errno, "can't write the plan");
	if (r)
		return r;
	bundle_hex((const uint8_t *)asked->text, BUNDLE_DIGEST, hex);
	return save_order(i, "plan", json_string(hex), error);
}

static int take_signer(struct import *i, const struct bundle_question *asked,
		       struct error *error)
{
	int r = host_key_id_of(asked->text, i->signed_by, error);

	if (!r && i->signer[0] && strcmp(i->signer, i->signed_by) != 0)
		r = error_set(error, -EPERM,
			      "the bundle was signed by the host with key "
			      "%.16s…, and not by %.16s…",
			      i->signed_by, i->signer);
	return r;
}

static int answer(void *data, const struct bundle_question *asked,
		  struct buffer *text, int *fd, struct error *error)
{
	struct import *i = data;
	struct bundle_orders orders = {.plan_size = i->plan_size,
				       .is_check = i->check};

	switch (asked->what) {
	case BUNDLE_ASK_BEGIN:
		memcpy(orders.plan_digest, i->plan_digest, BUNDLE_DIGEST);
		buffer_put(text, &orders, sizeof(orders));
		return 0;
	case BUNDLE_ASK_PLAN:
		return take_plan(i, asked, error);
	case BUNDLE_ASK_OPEN:
		return open_file(i, asked->number, fd, error);
	case BUNDLE_ASK_SYNC:
		return i->lock >= 0 && syncfs(i->lock)
			       ? error_errno(error, errno, "can't write %s",
					     i->folder)
			       : 0;
	case BUNDLE_TELL_SIGNER:
		return take_signer(i, asked, error);
	case BUNDLE_TELL_HANDOVER:
		json_decref(i->record);
		i->record = json_loadb(asked->text, asked->size,
				       JSON_REJECT_DUPLICATES, NULL);
		return json_is_object(i->record)
			       ? 0
			       : error_set(
					 error, -EINVAL,
					 "the lease in the bundle is no JSON");
	default:
		return error_set(error, -EPROTO, "a question of another kind");
	}
}

static void progressed(void *data, double done)
{
	struct import *i = data;
	uint64_t all = i->plan ? i->plan->data : 0;

	job_work_bytes(i->work, (uint64_t)((double)all * done), all);
}

static int start_process(struct import *i, int fd, struct error *error)
{
	const struct bundle_start start = {.kind = "import",
					   .vault = i->key,
					   .bundle = fd,
					   .plan = i->plan_fd,
					   .journal = i->journal,
					   .answer = answer,
					   .progress = progressed,
					   .data = i};

	return bundle_process_start(&i->process, &start, error);
}

/* Where in the bundle it goes on; 0: at its beginning. */
static int find_position(struct import *i, uint64_t *position,
			 struct error *error)
{
	*position = 0;
	if (i->check) {
		bundle_plan_free(i->plan);
		i->plan = NULL;
	}
	return i->plan ? bundle_position(i->journal, i->plan_size, position,
					 error)
		       : 0;
}

/* --- from a file ------------------------------------------------------ */

/* Whether the file begins with the plan that is known. */
static bool is_same(struct import *i)
{
	uint64_t size = bundle_start(i->plan_size);
	char *file = malloc(size), *plan = malloc(size);
	bool same = file && plan &&
		    pread(i->input, file, size, 0) == (ssize_t)size &&
		    pread(i->plan_fd, plan, i->plan_size, 0) ==
			    (ssize_t)i->plan_size &&
		    !memcmp(file + size - i->plan_size, plan, i->plan_size);

	free(file);
	free(plan);
	return same;
}

static int open_input(struct import *i, struct error *error)
{
	struct stat st;

	i->input = open(i->from, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (i->input < 0 || fstat(i->input, &st))
		return error_errno(error, errno, "can't read %s", i->from);
	if (!S_ISREG(st.st_mode))
		return error_set(error, -EINVAL, "%s is no file", i->from);
	posix_fadvise(i->input, 0, 0, POSIX_FADV_SEQUENTIAL);
	return 0;
}

static int from_file(struct import *i, struct error *error)
{
	uint64_t position = 0;
	int r = open_input(i, error);

	if (!r && i->plan && !is_same(i))
		r = begin_anew(i, error);
	if (!r)
		r = find_position(i, &position, error);
	if (!r && lseek(i->input, (off_t)position, SEEK_SET) < 0)
		r = error_errno(error, errno, "can't read %s", i->from);
	if (!r)
		r = start_process(i, i->input, error);
	if (!r)
		r = bundle_process_wait(i->process, i->work, error);
	i->process = NULL;
	return r;
}

/* --- from a URL ------------------------------------------------------- */

static int begin_stream(void *data, uint64_t *offset, int *fd,
			struct error *error)
{
	struct import *i = data;
	int pipe[2], r;

	if (i->r)
		return error_set(error, i->r, "%s", i->error.text);
	r = find_position(i, offset, error);
	if (!r && pipe2(pipe, O_CLOEXEC))
		r = error_errno(error, errno, "no pipe");
	if (r)
		return r;
	r = start_process(i, pipe[0], error);
	close(pipe[0]);
	if (r)
		close(pipe[1]);
	else
		*fd = pipe[1];
	return r;
}

/* A stream that broke off (-ENODATA) is asked for again. */
static int end_stream(void *data, bool whole, struct error *error)
{
	struct import *i = data;
	struct bundle_process *process = i->process;
	struct error mine = {0};
	int r;

	i->process = NULL;
	if (!process)
		return 0;
	r = bundle_process_wait(process, i->work, &mine);
	if (r == -ENODATA && !whole)
		return 0;
	if (r)
		error_set(error, r, "%s", mine.text);
	i->r = r;
	i->error = mine;
	return r;
}

static int keep_state(void *data, const json_t *state, struct error *error)
{
	struct import *i = data;

	if (i->check)
		return 0;
	return save_order(i, "state", json_deep_copy(state), error);
}

/* The process tells how far it is. */
static void no_progress(void *data, uint64_t done, uint64_t size)
{
	(void)data;
	(void)done;
	(void)size;
}

static int from_url(struct import *i, struct error *error)
{
	json_t *state =
		i->plan ? json_incref(json_object_get(i->order, "state"))
			: NULL;
	const struct transfer_fetch fetch = {.url = i->from,
					     .state = state,
					     .data = i,
					     .begin = begin_stream,
					     .end = end_stream,
					     .keep = keep_state,
					     .progress = no_progress};
	int r = transfer_fetch(i->work, &fetch, error);

	json_decref(state);
	bundle_process_kill(i->process);
	i->process = NULL;
	return r;
}

/* --- the job ---------------------------------------------------------- */

static json_t *result(const struct import *i)
{
	const struct bundle_plan *plan = i->plan;

	return json_pack("{s:s, s:s, s:s, s:b, s:b, s:I, s:i, s:I, s:s, s:b}",
			 "vault", i->check ? plan->name : vault_name(i), "uuid",
			 plan->uuid, "bundle", plan->id, "moved", plan->moved,
			 "running", plan->running, "made_at",
			 (json_int_t)plan->made_at, "files", (int)plan->count,
			 "data", (json_int_t)plan->data, "signer", i->signed_by,
			 "checked", i->check);
}

static int unpack(struct import *i, struct error *error)
{
	json_t *done;
	int r = prepare(i, error);

	if (!r)
		r = i->is_url ? from_url(i, error) : from_file(i, error);
	if (!r && !i->check)
		r = vault_import_finish(i->control, i->folder, i->plan,
					vault_name(i), i->record, i->who,
					error);
	if (r)
		return r;
	done = result(i);
	job_work_result(i->work, json_incref(done));
	json_object_set_new(done, "who", json_string(i->who));
	if (i->check)
		json_decref(done);
	else
		events_post(i->control->events, "vault.imported", vault_name(i),
			    done);
	return 0;
}

/* Is there something to go on with? */
static bool is_for_good(const struct import *i, int r)
{
	struct stat st;

	switch (r) {
	case 0: /* nothing is left anyway */
	case -EBUSY:
	case -ENODATA:
	case -ENOSPC:
	case -EIO:
	case -EINTR:
	case -ENOMEM:
		return false;
	case -EEXIST: /* under another name it goes on */
		return fstat(i->journal, &st) || !st.st_size;
	case -ECANCELED:
		return !job_work_is_interrupted(i->work);
	default:
		return true;
	}
}

static int run(struct job_work *work, void *data, struct error *error)
{
	struct import *i = data;
	char shown[TRANSFER_URL_SIZE] = "";
	struct error later = {0};
	int r;

	i->work = work;
	r = unpack(i, error);
	if (!r)
		return 0;
	if (i->lock >= 0 && is_for_good(i, r) &&
	    folder_remove(i->folder, &later))
		log_warning("import: %s", later.text);
	if (i->is_url)
		transfer_shown(i->from, shown);
	error_prefix(error, "%.200s", i->is_url ? shown : i->from);
	return r;
}

static void import_free(void *data)
{
	struct import *i = data;
	const int fds[] = {i->plan_fd, i->journal, i->input, i->lock};

	for (unsigned n = 0; n < sizeof(fds) / sizeof(*fds); n++)
		if (fds[n] >= 0)
			close(fds[n]);
	bundle_plan_free(i->plan);
	json_decref(i->order);
	pthread_mutex_destroy(&i->order_lock);
	json_decref(i->record);
	free(i->from);
	free(i);
}

static const struct job_work_kind kind = {"import", run, import_free};
static const struct job_work_kind kind_check = {"check", run, import_free};

static int set_source(struct import *i, const struct vault_import *order,
		      struct error *error)
{
	uint8_t digest[32];

	i->is_url = transfer_is_url(order->from);
	if (i->is_url && transfer_check(order->from, error))
		return -EINVAL;
	if (!i->is_url && order->from[0] != '/')
		return error_set(error, -EINVAL,
				 "\"%.200s\" is not an absolute path",
				 order->from);
	i->from = strdup(order->from);
	if (!i->from || !EVP_Digest(i->from, strlen(i->from), digest, NULL,
				    EVP_sha256(), NULL))
		return error_set(error, -ENOMEM, "no memory");
	bundle_hex(digest, (KEY_SIZE - 1) / 2, i->key);
	snprintf(i->folder, sizeof(i->folder), "%s/" IMPORT_FOLDER "/%s",
		 i->control->config.state, i->key);
	return 0;
}

int job_import(struct jobs *jobs, const struct vault_import *order,
	       char id[JOB_ID_SIZE], struct error *error)
{
	struct import *i = calloc(1, sizeof(*i));
	int r = 0;

	if (!i)
		return error_set(error, -ENOMEM, "no memory");
	i->control = jobs->control;
	pthread_mutex_init(&i->order_lock, NULL);
	i->lock = i->plan_fd = i->journal = i->input = -1;
	i->check = order->check;
	snprintf(i->who, sizeof(i->who), "%s", order->who);
	if (order->name)
		r = domain_name_check(order->name, error);
	if (!r && order->signer &&
	    strlen(order->signer) != HOST_KEY_ID_SIZE - 1)
		r = error_set(error, -EINVAL,
			      "the signer is the id of a host's key, 64 "
			      "hexadecimal digits");
	if (!r)
		r = set_source(i, order, error);
	if (r) {
		import_free(i);
		return r;
	}
	snprintf(i->name, sizeof(i->name), "%s",
		 order->name ? order->name : "");
	snprintf(i->signer, sizeof(i->signer), "%s",
		 order->signer ? order->signer : "");
	return job_work_start(jobs, i->check ? &kind_check : &kind, i->key, i,
			      id, error);
}
