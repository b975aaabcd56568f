/*
 * Where an import lies until it is a vault, and what its process asks for; see
 * job_import.h.
 */
#include "daemon/job_import.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/bundle_process.h"
#include "daemon/bundle_read.h"
#include "daemon/control.h"
#include "daemon/disk.h"
#include "daemon/folder.h"
#include "daemon/vault_import.h"

#define ORDER_MAX (1 << 20)

/* PATH_MAX is more than enough: STATE is short. */
void import_path(const struct import_job *i, const char *name,
		 char path[PATH_MAX])
{
	if (snprintf(path, PATH_MAX, "%s/%s", i->folder, name) >= PATH_MAX)
		path[0] = '\0';
}

const char *import_name(const struct import_job *i)
{
	return i->name[0] ? i->name : i->plan->name;
}

/* Writes the order with another member; takes value. NULL: as it is. */
int import_save(struct import_job *i, const char *key, json_t *value,
		struct error *error)
{
	char *text, path[PATH_MAX];
	int r;

	pthread_mutex_lock(&i->order_lock);
	if (key)
		json_object_set_new(i->order, key, value);
	text = json_dumps(i->order, JSON_COMPACT);
	import_path(i, "order.json", path);
	r = text ? folder_write(path, text, strlen(text), 0600, error)
		 : error_set(error, -ENOMEM, "no memory");
	pthread_mutex_unlock(&i->order_lock);
	free(text);
	return r;
}

/* --- the folder ------------------------------------------------------- */

/* One import of a source at a time; the lock goes with the process. */
static int open_folder(struct import_job *i, struct error *error)
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
	if (!flock(i->lock, LOCK_EX | LOCK_NB))
		return 0;
	close(i->lock);
	i->lock = -1;
	return error_set(error, -EBUSY, "it is being imported already");
}

static int open_files(struct import_job *i, struct error *error)
{
	char path[PATH_MAX];

	import_path(i, "plan", path);
	i->plan_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	import_path(i, "journal", path);
	i->journal = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (i->plan_fd < 0 || i->journal < 0)
		return error_errno(error, errno, "can't write %s", path);
	return bundle_process_take(i->journal, error);
}

/* The plan's file: at most as large as a record. */
static int read_plan(struct import_job *i, uint32_t size, struct error *error)
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
static bool load(struct import_job *i)
{
	const char *digest;
	char path[PATH_MAX], *text;
	struct stat st;

	import_path(i, "order.json", path);
	if (folder_read(path, ORDER_MAX, &text, NULL))
		return false;
	i->order = json_loads(text, 0, NULL);
	free(text);
	digest = json_string_value(json_object_get(i->order, "plan"));
	return bundle_unhex(digest, i->plan_digest, BUNDLE_DIGEST) &&
	       !fstat(i->plan_fd, &st) && st.st_size <= BUNDLE_STORED_MAX &&
	       !read_plan(i, (uint32_t)st.st_size, NULL);
}

/* What was to be a vault, of whatever bundle. */
static int remove_vaults(const struct import_job *i, struct error *error)
{
	DIR *list = opendir(i->folder);
	struct dirent *entry;
	char path[PATH_MAX];
	struct stat st;
	int r = list ? 0 : error_errno(error, errno, "%s", i->folder);

	while (!r && (entry = readdir(list))) {
		import_path(i, entry->d_name, path);
		if (entry->d_name[0] != '.' && !lstat(path, &st) &&
		    S_ISDIR(st.st_mode))
			r = folder_remove(path, error);
	}
	if (list)
		closedir(list);
	return r;
}

/*
 * Empties it, but for the lock. The order first: without one, nothing of the
 * rest is gone on with, wherever this is cut.
 */
int import_begin_anew(struct import_job *i, struct error *error)
{
	int r;

	bundle_plan_free(i->plan);
	i->plan = NULL;
	i->plan_size = 0;
	json_decref(i->order);
	i->order = json_object();
	r = import_save(i, NULL, NULL, error);
	if (!r && (ftruncate(i->journal, 0) || ftruncate(i->plan_fd, 0)))
		r = error_errno(error, errno, "can't write %s", i->folder);
	return r ? r : remove_vaults(i, error);
}

int import_prepare(struct import_job *i, struct error *error)
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
		r = import_begin_anew(i, error);
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

static int open_file(struct import_job *i, unsigned n, int *fd,
		     struct error *error)
{
	const struct bundle_file *file;
	char folder[PATH_MAX], path[PATH_MAX + BUNDLE_PATH_SIZE];
	int r;

	if (!i->plan || i->check || n >= i->plan->count)
		return error_set(error, -EPROTO, "there is no file %u", n);
	file = &i->plan->files[n];
	import_path(i, i->plan->uuid, folder);
	r = make_way(folder, file->path, error);
	if (r)
		return r;
	snprintf(path, sizeof(path), "%s/%s", folder, file->path);
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
		   file->program ? 0700 : 0600);
	return *fd < 0 ? error_errno(error, errno, "can't write %s", path) : 0;
}

static int take_plan(struct import_job *i, const struct bundle_question *asked,
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
	r = vault_import_check(i->control, i->plan, import_name(i), error);
	if (!r)
		r = disk_check_space(i->folder, i->plan->data, error);
	if (!r && fsync(i->plan_fd))
		r = error_errno(error, errno, "can't write the plan");
	if (r)
		return r;
	bundle_hex((const uint8_t *)asked->text, BUNDLE_DIGEST, hex);
	return import_save(i, "plan", json_string(hex), error);
}

static int take_signer(struct import_job *i,
		       const struct bundle_question *asked, struct error *error)
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
	struct import_job *i = data;
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
	struct import_job *i = data;
	uint64_t all = i->plan ? i->plan->data : 0;

	job_work_bytes(i->work, (uint64_t)((double)all * done), all);
}

int import_start(struct import_job *i, int fd, struct error *error)
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
int import_position(struct import_job *i, uint64_t *position,
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
