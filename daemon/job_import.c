/* The import of a vault, and the check of a bundle, jobs; see vault_move.h. */
#include "daemon/job_import.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "daemon/bundle_process.h"
#include "daemon/bundle_read.h"
#include "daemon/control.h"
#include "daemon/domain.h"
#include "daemon/event.h"
#include "daemon/folder.h"
#include "daemon/job_list.h"
#include "daemon/lease.h"
#include "daemon/log.h"
#include "daemon/transfer.h"
#include "daemon/units.h"
#include "daemon/vault.h"
#include "daemon/vault_import.h"
#include "daemon/vault_move.h"

/* --- from a file ------------------------------------------------------ */

/* Whether the file begins with the plan that is known. */
static bool is_same(struct import_job *i)
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

static int open_input(struct import_job *i, struct error *error)
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

static int from_file(struct import_job *i, struct error *error)
{
	uint64_t position = 0;
	int r = open_input(i, error);

	if (!r && i->plan && !is_same(i))
		r = import_begin_anew(i, error);
	if (!r)
		r = import_position(i, &position, error);
	if (!r && lseek(i->input, (off_t)position, SEEK_SET) < 0)
		r = error_errno(error, errno, "can't read %s", i->from);
	if (!r)
		r = import_start(i, i->input, error);
	if (!r)
		r = bundle_process_wait(i->process, i->work, error);
	i->process = NULL;
	return r;
}

/* --- from a URL ------------------------------------------------------- */

static int begin_stream(void *data, uint64_t *offset, int *fd,
			struct error *error)
{
	struct import_job *i = data;
	int pipe[2], r;

	if (i->r)
		return error_set(error, i->r, "%s", i->error.text);
	r = import_position(i, offset, error);
	if (!r && pipe2(pipe, O_CLOEXEC))
		r = error_errno(error, errno, "no pipe");
	if (r)
		return r;
	r = import_start(i, pipe[0], error);
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
	struct import_job *i = data;
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
	struct import_job *i = data;

	if (i->check)
		return 0;
	return import_save(i, "state", json_deep_copy(state), error);
}

/* The process tells how far it is. */
static void no_progress(void *data, uint64_t done, uint64_t size)
{
	(void)data;
	(void)done;
	(void)size;
}

static int from_url(struct import_job *i, struct error *error)
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

/* Of a bundle that was taken before, the lease comes only once. */
static bool has_lease(const struct import_job *i)
{
	struct vault vault;
	const char *state;
	json_t *lease;
	bool has;

	if (vault_find_uuid(i->control, i->plan->uuid, &vault, NULL))
		return false;
	lease = lease_json(i->control, &vault);
	state = json_string_value(json_object_get(lease, "state"));
	has = state && !strcmp(state, "here");
	json_decref(lease);
	vault_release(&vault);
	return has;
}

static json_t *result(const struct import_job *i)
{
	const struct bundle_plan *plan = i->plan;
	bool moved = plan->moved && (i->check || has_lease(i));

	return json_pack("{s:s, s:s, s:s, s:b, s:b, s:o, s:i, s:I, s:s, s:b}",
			 "vault", i->check ? plan->name : import_name(i),
			 "uuid", plan->uuid, "bundle", plan->id, "moved", moved,
			 "running", plan->running, "made_at",
			 units_time_json(plan->made_at), "files",
			 (int)plan->count, "data", (json_int_t)plan->data,
			 "signer", i->signed_by, "checked", i->check);
}

static int unpack(struct import_job *i, struct error *error)
{
	json_t *done;
	int r = import_prepare(i, error);

	if (!r)
		r = i->is_url ? from_url(i, error) : from_file(i, error);
	if (!r && !i->check)
		r = vault_import_finish(i->control, i->folder, i->plan,
					import_name(i), i->record, i->who,
					error);
	if (r)
		return r;
	done = result(i);
	job_work_result(i->work, json_incref(done));
	json_object_set_new(done, "who", json_string(i->who));
	if (i->check)
		json_decref(done);
	else
		events_post(i->control->events, "vault.imported",
			    import_name(i), done);
	return 0;
}

/* Is there nothing to go on with? The folder has been looked at, and locked. */
static bool is_for_good(const struct import_job *i, int r)
{
	struct stat st;

	if (!i->plan)
		return true; /* it never came */
	switch (r) {
	case -EBUSY:
		return false;
	case -EBADMSG: /* it is bad, or not what it was */
	case -EINVAL:
	case -ESTALE:
	case -EPERM:
		return true;
	case -ECANCELED:
		if (!job_work_is_interrupted(i->work))
			return true;
		break;
	default: /* of the network, the disk, or a name that is taken */
		break;
	}
	return fstat(i->journal, &st) || !st.st_size;
}

static int run(struct job_work *work, void *data, struct error *error)
{
	struct import_job *i = data;
	char shown[TRANSFER_URL_SIZE] = "";
	struct error later = {0};
	int r;

	i->work = work;
	r = unpack(i, error);
	if (!r)
		return 0;
	if (i->lock >= 0 && i->order && is_for_good(i, r) &&
	    vault_import_remove(i->folder, &later))
		log_warning("import: %s", later.text);
	if (i->is_url)
		transfer_shown(i->from, shown);
	error_prefix(error, "%.200s", i->is_url ? shown : i->from);
	return r;
}

static void import_free(void *data)
{
	struct import_job *i = data;
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

static bool same(const void *runs, const void *ordered)
{
	const struct import_job *a = runs, *b = ordered;

	return strcmp(a->from, b->from) == 0 && strcmp(a->name, b->name) == 0 &&
	       strcmp(a->signer, b->signer) == 0;
}

static const struct job_work_kind kind = {"import", run, import_free, same};
static const struct job_work_kind kind_check = {"check", run, import_free,
						same};

static int set_source(struct import_job *i, const struct vault_import *order,
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
	bundle_hex(digest, (IMPORT_KEY_SIZE - 1) / 2, i->key);
	snprintf(i->folder, sizeof(i->folder), "%s/" IMPORT_FOLDER "/%s",
		 i->control->config.state, i->key);
	return 0;
}

int job_import(struct jobs *jobs, const struct vault_import *order,
	       char id[JOB_ID_SIZE], struct error *error)
{
	struct import_job *i = calloc(1, sizeof(*i));
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
