/* What of a vault goes into a bundle; see bundle_pack.h. */
#include "daemon/bundle_pack.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/disk.h"
#include "daemon/folder.h"

#define PLAN BUNDLE_PACK_FOLDER "/plan"
#define FILES BUNDLE_PACK_FOLDER "/files.json"

struct found {
	char *path, *from;
};

struct walk {
	const char *folder;
	const struct layers *layers;
	const char *snapshot;
	struct found *list;
	size_t count, room;
};

/* --- which files ------------------------------------------------------ */

static int add(struct walk *w, const char *path, const char *from,
	       struct error *error)
{
	struct found *found;

	if (!bundle_path_is_good(path))
		return error_set(error, -EINVAL,
				 "%s/%s cannot go into a bundle: it is not a "
				 "vault's file; move it away",
				 w->folder, path);
	if (w->count == BUNDLE_FILES_MAX)
		return error_set(error, -E2BIG,
				 "it has more than %d files: delete snapshots",
				 BUNDLE_FILES_MAX);
	if (w->count == w->room) {
		size_t room = w->room ? 2 * w->room : 64;
		void *list = realloc(w->list, room * sizeof(*w->list));

		if (!list)
			return error_set(error, -ENOMEM, "no memory");
		w->list = list;
		w->room = room;
	}
	found = &w->list[w->count];
	found->path = strdup(path);
	found->from = strdup(from);
	if (!found->path || !found->from) {
		free(found->path);
		free(found->from);
		return error_set(error, -ENOMEM, "no memory");
	}
	w->count++;
	return 0;
}

/* Not as the vault was at the moment: it has come since. */
static bool is_later(const struct walk *w, const char *path)
{
	if (!w->snapshot)
		return false;
	if (!strcmp(path, "disks/layers.json"))
		return true;
	if (!strncmp(path, "snapshots/", 10))
		return !strcmp(path + 10, w->snapshot);
	return !strncmp(path, "disks/layer-", 12) &&
	       !layers_find((struct layers *)w->layers, path + 6);
}

/* What was left in place goes as the file that the link leads to. */
static int follow(struct walk *w, const char *path, const char *link,
		  struct error *error)
{
	char target[PATH_MAX];

	if (strncmp(path, "disks/", 6) != 0 || strchr(path + 6, '/'))
		return error_set(error, -EINVAL,
				 "%s is a link: a bundle holds files only",
				 link);
	if (!realpath(link, target))
		return error_errno(error, errno,
				   "can't read what %s leads to; put it back",
				   link);
	return add(w, path, target, error);
}

static int walk(struct walk *w, const char *path, const char *from,
		struct error *error)
{
	char place[PATH_MAX], below[PATH_MAX], source[PATH_MAX];
	struct dirent *entry;
	struct stat st;
	DIR *list;
	int r = 0;

	snprintf(place, sizeof(place), "%s/%s", w->folder, from);
	if (lstat(place, &st))
		return errno == ENOENT ? 0
				       : error_errno(error, errno, "%s", place);
	if (S_ISREG(st.st_mode) && bundle_path_is_passing(path))
		return 0;
	if (S_ISREG(st.st_mode))
		return add(w, path, from, error);
	if (S_ISLNK(st.st_mode))
		return follow(w, path, place, error);
	/* Sockets and pipes of programs that run. */
	if (!S_ISDIR(st.st_mode))
		return 0;
	list = opendir(place);
	if (!list)
		return error_errno(error, errno, "can't read %s", place);
	while (!r && (entry = readdir(list))) {
		snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
		snprintf(source, sizeof(source), "%s/%s", from, entry->d_name);
		if (entry->d_name[0] == '.' || is_later(w, below))
			continue;
		r = strlen(below) < BUNDLE_PATH_SIZE
			    ? walk(w, below, source, error)
			    : error_set(error, -EINVAL, "%s is too deep",
					below);
	}
	closedir(list);
	return r;
}

/* What may change while a guest runs, as it is now. */
static int freeze(struct walk *w, const char *name, struct error *error)
{
	char from[PATH_MAX], to[PATH_MAX], frozen[64];
	int r;

	snprintf(from, sizeof(from), "%s/%s", w->folder, name);
	if (access(from, F_OK))
		return 0;
	snprintf(frozen, sizeof(frozen), BUNDLE_PACK_FOLDER "/%s", name);
	snprintf(to, sizeof(to), "%s/%s", w->folder, frozen);
	r = disk_copy(from, to, error);
	return r ? r : add(w, name, frozen, error);
}

/* disks/layers.json of before the snapshot. */
static int freeze_layers(struct walk *w, struct error *error)
{
	char folder[PATH_MAX];
	int r;

	if (!w->layers->layer_count)
		return 0;
	snprintf(folder, sizeof(folder), "%s/" BUNDLE_PACK_FOLDER "/disks",
		 w->folder);
	r = folder_make(folder, 0700, error);
	snprintf(folder, sizeof(folder), "%s/" BUNDLE_PACK_FOLDER, w->folder);
	if (!r)
		r = layers_commit(folder, w->layers, error);
	return r ? r
		 : add(w, "disks/layers.json",
		       BUNDLE_PACK_FOLDER "/disks/layers.json", error);
}

static int walk_state(struct walk *w, const char *name, struct error *error)
{
	char from[PATH_MAX];

	snprintf(from, sizeof(from), "snapshots/%s/%s", w->snapshot, name);
	return walk(w, name, from, error);
}

static int find_all(struct walk *w, struct error *error)
{
	static const char *const still[] = {"fw",      "boot",   "seal",
					    "seals",   "disks",  "snapshots",
					    "digests", "machine"};
	static const char *const lone[] = {"domain.xml", "fingerprint.json"};
	static const char *const state[] = {"nvram", "tpm"};
	int r = 0;

	for (unsigned i = 0; !r && i < 2; i++)
		r = w->snapshot ? freeze(w, lone[i], error)
				: walk(w, lone[i], lone[i], error);
	for (unsigned i = 0; !r && i < 2; i++)
		r = w->snapshot ? walk_state(w, state[i], error)
				: walk(w, state[i], state[i], error);
	for (unsigned i = 0; !r && i < sizeof(still) / sizeof(*still); i++)
		r = walk(w, still[i], still[i], error);
	if (!r && w->snapshot)
		r = freeze_layers(w, error);
	return r;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct found *)a)->path,
		      ((const struct found *)b)->path);
}

/* --- what they hold --------------------------------------------------- */

static int64_t changed_at(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

/* Blocks that are no holes. */
static uint64_t data_of(int fd, off_t size)
{
	uint64_t sum = 0;
	off_t at = 0, end;

	while (at < size) {
		at = lseek(fd, at, SEEK_DATA);
		if (at < 0 && errno == ENXIO)
			return sum;
		end = at < 0 ? -1 : lseek(fd, at, SEEK_HOLE);
		if (end < 0)
			return (uint64_t)size;
		at -= at % BUNDLE_BLOCK;
		end = end < size ? (end + BUNDLE_BLOCK - 1) / BUNDLE_BLOCK *
					   BUNDLE_BLOCK
				 : size;
		sum += (uint64_t)(end - at);
		at = end;
	}
	return sum < (uint64_t)size ? sum : (uint64_t)size;
}

static void path_of(const char *folder, const char *from, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s%s%s", from[0] == '/' ? "" : folder,
		 from[0] == '/' ? "" : "/", from);
}

static int open_from(const char *folder, const char *from, int *fd,
		     struct stat *st, struct error *error)
{
	char path[PATH_MAX];

	path_of(folder, from, path);
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (*fd < 0 || fstat(*fd, st)) {
		int r = error_errno(error, errno, "can't read %s", path);

		if (*fd >= 0)
			close(*fd);
		return r;
	}
	if (S_ISREG(st->st_mode))
		return 0;
	close(*fd);
	return error_set(error, -EINVAL, "%s is no file", path);
}

static int fill(struct bundle_pack *pack, const struct walk *w,
		struct error *error)
{
	struct bundle_plan *plan = pack->plan;
	int r = 0;

	for (size_t i = 0; !r && i < w->count; i++) {
		struct bundle_file *file = &plan->files[i];
		struct stat st;
		int fd;

		r = open_from(w->folder, w->list[i].from, &fd, &st, error);
		if (r)
			break;
		file->path = strdup(w->list[i].path);
		pack->from[i] = strdup(w->list[i].from);
		plan->count = (unsigned)i + 1;
		if (!file->path || !pack->from[i])
			r = error_set(error, -ENOMEM, "no memory");
		file->size = (uint64_t)st.st_size;
		file->data = data_of(fd, st.st_size);
		file->program = st.st_mode & S_IXUSR &&
				!strncmp(w->list[i].path, "machine/", 8);
		plan->data += file->data;
		pack->changed[i] = changed_at(&st);
		close(fd);
	}
	return r;
}

static int allocate(struct bundle_pack *pack, size_t count, struct error *error)
{
	pack->from = calloc(count + 1, sizeof(*pack->from));
	pack->changed = calloc(count + 1, sizeof(*pack->changed));
	return pack->from && pack->changed
		       ? 0
		       : error_set(error, -ENOMEM, "no memory");
}

static int make(struct bundle_pack *pack, struct walk *w, struct error *error)
{
	int r = find_all(w, error);

	if (r)
		return r;
	qsort(w->list, w->count, sizeof(*w->list), by_path);
	r = allocate(pack, w->count, error);
	pack->plan->files = calloc(w->count + 1, sizeof(struct bundle_file));
	if (!r && !pack->plan->files)
		r = error_set(error, -ENOMEM, "no memory");
	if (!r)
		r = fill(pack, w, error);
	if (r)
		return r;
	pack->text = bundle_plan_print(pack->plan);
	return pack->text ? 0 : error_set(error, -ENOMEM, "no memory");
}

int bundle_pack_make(struct bundle_pack **result, const char *folder,
		     struct bundle_plan *meta, const struct layers *layers,
		     const char *snapshot, struct error *error)
{
	struct bundle_pack *pack = calloc(1, sizeof(*pack));
	struct walk w = {
		.folder = folder, .layers = layers, .snapshot = snapshot};
	int r;

	*result = NULL;
	if (!pack) {
		bundle_plan_free(meta);
		return error_set(error, -ENOMEM, "no memory");
	}
	pack->plan = meta;
	r = make(pack, &w, error);
	for (size_t i = 0; i < w.count; i++) {
		free(w.list[i].path);
		free(w.list[i].from);
	}
	free(w.list);
	if (r)
		bundle_pack_free(pack);
	else
		*result = pack;
	return r;
}

void bundle_pack_free(struct bundle_pack *pack)
{
	if (!pack)
		return;
	for (unsigned i = 0; pack->from && pack->from[i]; i++)
		free(pack->from[i]);
	free(pack->from);
	free(pack->changed);
	free(pack->text);
	bundle_plan_free(pack->plan);
	free(pack);
}

/* --- kept ------------------------------------------------------------- */

static int write_below(const char *folder, const char *name, const char *text,
		       struct error *error)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return folder_write(path, text, strlen(text), 0600, error);
}

int bundle_pack_save(const struct bundle_pack *pack, const char *folder,
		     struct error *error)
{
	json_t *list = json_array();
	char *text;
	int r;

	for (unsigned i = 0; i < pack->plan->count; i++)
		json_array_append_new(list,
				      json_pack("[s, I]", pack->from[i],
						(json_int_t)pack->changed[i]));
	text = json_dumps(list, JSON_COMPACT);
	json_decref(list);
	if (!text)
		return error_set(error, -ENOMEM, "no memory");
	r = write_below(folder, PLAN, pack->text, error);
	if (!r)
		r = write_below(folder, FILES, text, error);
	free(text);
	return r;
}

static int read_below(const char *folder, const char *name, char **text,
		      struct error *error)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return folder_read(path, 2 * BUNDLE_STORED_MAX, text, error);
}

static int take_files(struct bundle_pack *pack, const json_t *list,
		      struct error *error)
{
	size_t count = json_array_size(list);
	int r = allocate(pack, count, error);

	if (!r && count != pack->plan->count)
		r = -ESTALE;
	for (size_t i = 0; !r && i < count; i++) {
		const json_t *one = json_array_get(list, i);
		const char *from = json_string_value(json_array_get(one, 0));

		pack->from[i] = from ? strdup(from) : NULL;
		pack->changed[i] = json_integer_value(json_array_get(one, 1));
		if (!pack->from[i])
			r = -ESTALE;
	}
	return r == -ESTALE
		       ? error_set(error, r, "the export's journal is damaged")
		       : r;
}

int bundle_pack_load(struct bundle_pack **result, const char *folder,
		     struct error *error)
{
	struct bundle_pack *pack = calloc(1, sizeof(*pack));
	char *files = NULL;
	json_t *list = NULL;
	int r;

	*result = NULL;
	if (!pack)
		return error_set(error, -ENOMEM, "no memory");
	r = read_below(folder, PLAN, &pack->text, error);
	if (!r)
		r = bundle_plan_read(&pack->plan, pack->text,
				     strlen(pack->text), error);
	if (!r)
		r = read_below(folder, FILES, &files, error);
	if (!r) {
		list = json_loads(files, 0, NULL);
		r = take_files(pack, list, error);
	}
	json_decref(list);
	free(files);
	if (r)
		bundle_pack_free(pack);
	else
		*result = pack;
	return r;
}

int bundle_pack_check(const struct bundle_pack *pack, const char *folder,
		      struct error *error)
{
	char path[PATH_MAX];
	struct stat st;

	for (unsigned i = 0; i < pack->plan->count; i++) {
		path_of(folder, pack->from[i], path);
		if (lstat(path, &st) ||
		    (uint64_t)st.st_size != pack->plan->files[i].size ||
		    changed_at(&st) != pack->changed[i])
			return error_set(error, -ESTALE,
					 "%s has changed since the export "
					 "began: export it anew",
					 path);
	}
	return 0;
}

int bundle_pack_open(const struct bundle_pack *pack, const char *folder,
		     unsigned n, int *fd, struct error *error)
{
	struct stat st;

	if (n >= pack->plan->count)
		return error_set(error, -EINVAL, "there is no file %u", n);
	return open_from(folder, pack->from[n], fd, &st, error);
}
