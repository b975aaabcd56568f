/* Digests of a vault's frozen layers and files; see digest.h. */
#include "daemon/digest.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/control.h"
#include "daemon/digest_files.h"
#include "daemon/digest_image.h"
#include "daemon/digest_tree.h"
#include "daemon/folder.h"
#include "daemon/seal_file.h"
#include "daemon/snapshot.h"
#include "daemon/units.h"
#include "daemon/vault.h"

#define DAMAGE_MAX 100 /* entries that are listed */

struct run {
	struct control *control;
	const struct vault *vault;
	const struct digest_options *options;
	struct layers *layers;
	bool done[LAYERS_MAX];
	char folder[PATH_MAX];
	uint64_t all, before; /* bytes of disks: all, of layers that are done */
	uint64_t read, read_before; /* bytes of files */
	int64_t began;              /* us, units_steady_us */
	unsigned compared, made, files;
	json_t *damage;
	unsigned damage_count;
	const struct layer *layer; /* at work */
};

static void path_of(const struct run *run, const char *file, const char *end,
		    char path[PATH_MAX])
{
	if (snprintf(path, PATH_MAX, "%s/digests/%s%s", run->folder, file,
		     end) >= PATH_MAX)
		path[0] = '\0';
}

static bool is_there(const struct run *run, const char *file, const char *end)
{
	char path[PATH_MAX];

	path_of(run, file, end, path);
	return !access(path, F_OK);
}

/* --- damage ------------------------------------------------------------ */

static void add_damage(struct run *run, json_t *entry)
{
	if (run->damage_count++ < DAMAGE_MAX)
		json_array_append_new(run->damage, entry);
	else
		json_decref(entry);
}

/* The path of the layer's file as a user looks for it. */
static const char *shown(const struct layer *layer, char name[600])
{
	if (layer->place[0])
		snprintf(name, 600, "%s", layer->place);
	else
		snprintf(name, 600, "disks/%s", layer->file);
	return name;
}

static void found_range(void *data, uint64_t from, uint64_t to)
{
	struct run *run = data;
	char text[160], name[600];

	snprintf(text, sizeof(text),
		 "has changed: bytes %llu to %llu of the disk",
		 (unsigned long long)from, (unsigned long long)to - 1);
	add_damage(run,
		   json_pack("{s:s, s:s, s:s, s:I, s:I}", "file",
			     shown(run->layer, name), "text", text, "disk",
			     layers_disk(run->layers, run->layer->file)->target,
			     "from", (json_int_t)from, "to", (json_int_t)to));
}

static void found_text(struct run *run, const char *file, const char *text)
{
	add_damage(run, json_pack("{s:s, s:s}", "file", file, "text", text));
}

void digest_damage(const json_t *result, char *text, unsigned size)
{
	const json_t *list = json_object_get(result, "damage");
	const json_t *first = json_array_get(list, 0);
	json_int_t count =
		json_integer_value(json_object_get(result, "damage_count"));
	int n;

	text[0] = '\0';
	if (!first)
		return;
	n = snprintf(text, size, "%s %s",
		     json_string_value(json_object_get(first, "file")),
		     json_string_value(json_object_get(first, "text")));
	if (count > 1 && n > 0 && (unsigned)n < size)
		snprintf(text + n, size - (unsigned)n, ", and %lld more",
			 (long long)count - 1);
}

/* --- one layer --------------------------------------------------------- */

static void pause_briefly(void)
{
	const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};

	nanosleep(&pause, NULL);
}

/* How far the layer at work is; waits as the rate demands. */
static int tell(void *data, uint64_t done, uint64_t read, struct error *error)
{
	struct run *run = data;
	const struct digest_options *o = run->options;
	int r = 0;

	run->read = run->read_before + read;
	for (;;) {
		int64_t us = units_steady_us() - run->began;

		if (o->tell)
			r = o->tell(o->data, run->before + done, run->all,
				    error);
		if (r || !o->rate ||
		    (double)us * (double)o->rate >= (double)run->read * 1e6)
			return r;
		pause_briefly();
	}
}

static int read_tree(const struct run *run, const char *file, const char *end,
		     struct digest_tree **tree, struct error *error)
{
	char path[PATH_MAX];
	int fd, r;

	*tree = NULL;
	path_of(run, file, end, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0
				       : error_errno(error, errno,
						     "can't read %s", path);
	r = digest_tree_read(tree, fd, error);
	close(fd);
	if (r)
		error_prefix(error, "%s", path);
	return r;
}

/* A tree that is damaged itself is told of, and then there is none. */
static int read_kept(struct run *run, const char *file,
		     struct digest_tree **tree, struct error *error)
{
	char name[LAYER_NAME_SIZE + 24];
	int r = read_tree(run, file, ".tree", tree, error);

	if (r != -EBADMSG && r != -ENODATA)
		return r;
	error_clear(error);
	snprintf(name, sizeof(name), "digests/%s.tree", file);
	if (run->layer && !strcmp(run->layer->file, file))
		found_text(run, name,
			   "is damaged: remove it, and digests are "
			   "made anew of what there is now");
	return 0;
}

static bool is_older(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec
				      : a->tv_nsec < b->tv_nsec;
}

/*
 * Whether what a run that was interrupted has left of a layer still goes: not
 * if it is too old (or from a clock that was wrong), or if somebody has
 * written to the layer since.
 */
static bool is_fresh(const struct run *run, const struct layer *layer,
		     const char *left)
{
	char path[PATH_MAX];
	struct stat of, st;
	time_t age;

	layers_path(run->folder, layer, path);
	if (stat(left, &st) || stat(path, &of))
		return false;
	age = time(NULL) - st.st_mtime;
	return age >= -1 && age <= (time_t)run->options->resume_s &&
	       is_older(&of.st_mtim, &st.st_mtim);
}

static int open_part(struct run *run, int *fd, struct error *error)
{
	char path[PATH_MAX];

	path_of(run, run->layer->file, ".part", path);
	if (!is_fresh(run, run->layer, path))
		unlink(path);
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return *fd < 0 ? error_errno(error, errno, "can't write %s", path) : 0;
}

/* Paths of the layer and of all that it stands on. */
static int make_part(struct run *run, const struct digest_tree *below,
		     struct error *error)
{
	char(*paths)[PATH_MAX] = calloc(LAYERS_CHAIN, PATH_MAX);
	const char *names[LAYERS_CHAIN];
	struct digest_image image = {
		.paths = names,
		.format = run->layer->format,
		.size = layers_disk(run->layers, run->layer->file)->size,
		.below = below,
		.from_medium = run->options->verify,
		.tell = tell,
		.data = run,
	};
	const struct layer *at = run->layer;
	int fd = -1, r = 0;

	if (!paths)
		return error_set(error, -ENOMEM, "no memory");
	for (; at && image.path_count < LAYERS_CHAIN; image.path_count++) {
		names[image.path_count] = paths[image.path_count];
		layers_path(run->folder, at, paths[image.path_count]);
		at = layers_find(run->layers, at->backing);
	}
	r = open_part(run, &fd, error);
	run->read_before = run->read;
	if (!r) {
		r = digest_image_make(&image, fd, error);
		close(fd);
	}
	free(paths);
	return r;
}

/* The new tree is there: compared, or kept as the first one. */
static int judge(struct run *run, const struct digest_tree *kept,
		 struct error *error)
{
	char part[PATH_MAX], to[PATH_MAX];
	struct digest_tree *now;
	int r;

	path_of(run, run->layer->file, ".part", part);
	if (!kept) {
		run->made++;
		path_of(run, run->layer->file, ".tree", to);
		return rename(part, to)
			       ? error_errno(error, errno, "can't write %s", to)
			       : 0;
	}
	run->compared++;
	r = read_tree(run, run->layer->file, ".part", &now, error);
	if (!r && now) {
		unsigned before = run->damage_count;

		digest_tree_diff(kept, now, found_range, run);
		path_of(run, run->layer->file, ".checked", to);
		if (run->damage_count == before)
			r = folder_write(to, "", 0, 0600, error);
	}
	digest_tree_free(now);
	unlink(part);
	return r;
}

/* Compared by a run that was interrupted, and not long ago. */
static bool is_checked(const struct run *run, const struct layer *layer)
{
	char path[PATH_MAX];

	path_of(run, layer->file, ".checked", path);
	if (is_fresh(run, layer, path))
		return true;
	unlink(path);
	return false;
}

static int hash_layer(struct run *run, const struct layer *layer,
		      struct error *error)
{
	struct digest_tree *kept = NULL, *below = NULL;
	char name[600];
	int r;

	run->layer = layer;
	r = read_kept(run, layer->file, &kept, error);
	if (!r && layer->backing[0])
		r = read_kept(run, layer->backing, &below, error);
	if (!r)
		r = make_part(run, below, error);
	/* -EINVAL: qemu-img can't make sense of it. */
	if (r == -EIO || r == -ENOENT || r == -EINVAL) {
		found_text(run, shown(layer, name), error->text);
		error_clear(error);
		r = 0;
	} else if (!r) {
		r = judge(run, kept, error);
	}
	digest_tree_free(kept);
	digest_tree_free(below);
	return r;
}

/* Those below first: what this one has from them has their digests. */
static int do_layer(struct run *run, unsigned i, struct error *error)
{
	const struct layer *layer = &run->layers->layers[i];
	const struct layer *below = layers_find(run->layers, layer->backing);
	int r = 0;

	if (run->done[i])
		return 0;
	run->done[i] = true;
	if (below)
		r = do_layer(run, (unsigned)(below - run->layers->layers),
			     error);
	if (r)
		return r;
	if (!is_there(run, layer->file, ".tree"))
		r = hash_layer(run, layer, error);
	else if (run->options->verify && is_checked(run, layer))
		run->compared++;
	else if (run->options->verify)
		r = hash_layer(run, layer, error);
	run->before += layers_disk(run->layers, layer->file)->size;
	return r;
}

static int do_layers(struct run *run, struct error *error)
{
	int r = 0;

	run->before = run->all = 0;
	memset(run->done, 0, sizeof(run->done));
	for (unsigned i = 0; i < run->layers->layer_count; i++) {
		const char *file = run->layers->layers[i].file;

		if (!layers_is_active(run->layers, file))
			run->all += layers_disk(run->layers, file)->size;
	}
	for (unsigned i = 0; !r && i < run->layers->layer_count; i++)
		if (!layers_is_active(run->layers, run->layers->layers[i].file))
			r = do_layer(run, i, error);
	return r;
}

/* --- small files ------------------------------------------------------- */

struct listed {
	struct run *run;
	const char *folder; /* below the vault's */
};

static void found_file(void *data, const char *name, const char *what)
{
	const struct listed *listed = data;
	char file[PATH_MAX];

	snprintf(file, sizeof(file), "%.200s/%.800s", listed->folder, name);
	found_text(listed->run, file, what);
}

/* Whether a folder of small files has its list, or is not there. */
static bool is_listed(const struct run *run, const char *folder)
{
	char path[PATH_MAX], list[120];

	vault_path(run->control, run->vault->uuid, folder, path);
	if (access(path, F_OK))
		return true;
	snprintf(list, sizeof(list), "%.80s/" DIGEST_FILES, folder);
	vault_path(run->control, run->vault->uuid, list, path);
	return !access(path, F_OK);
}

static int do_folder(struct run *run, const char *folder, struct error *error)
{
	struct listed listed = {run, folder};
	char path[PATH_MAX], list[120];
	int r = -ENOENT;

	snprintf(list, sizeof(list), "%.80s/" DIGEST_FILES, folder);
	vault_path(run->control, run->vault->uuid, folder, path);
	if (access(path, F_OK))
		return 0;
	run->files++;
	if (run->options->verify)
		r = digest_files_check(path, found_file, &listed, error);
	if (r == -EBADMSG) {
		error_clear(error);
		found_text(run, list, "is damaged");
		return 0;
	}
	if (r != -ENOENT)
		return r;
	error_clear(error);
	if (is_listed(run, folder))
		return 0;
	return digest_files_write(path, error);
}

/* The seal knows the digests of all layers that there were: one of them. */
static bool is_as_sealed(const json_t *disks, const char *target,
			 const char root[DIGEST_HEX_SIZE])
{
	bool known = false;
	json_t *one;
	size_t i;

	json_array_foreach((json_t *)disks, i, one)
	{
		const char *disk =
			json_string_value(json_object_get(one, "disk"));
		const char *sha256 =
			json_string_value(json_object_get(one, "sha256"));

		if (!disk || !sha256 || strcmp(disk, target))
			continue;
		if (!strcmp(sha256, root))
			return true;
		known = true;
	}
	return !known;
}

/* Trees can be lost, and made anew of what there is; the seal remembers. */
static void check_sealed_disks(struct run *run, const json_t *seal)
{
	const char *name = json_string_value(json_object_get(seal, "snapshot"));
	const struct snapshot *s =
		name ? layers_snapshot(run->layers, name) : NULL;
	char root[DIGEST_HEX_SIZE], file[600];

	for (unsigned i = 0; s && i < run->layers->disk_count; i++) {
		const struct layer *layer =
			layers_find(run->layers, s->layers[i]);
		struct digest_tree *tree = NULL;

		if (!layer ||
		    read_tree(run, layer->file, ".tree", &tree, NULL) || !tree)
			continue;
		digest_tree_root(tree, root);
		digest_tree_free(tree);
		if (!is_as_sealed(json_object_get(seal, "disks"),
				  run->layers->disks[i].target, root))
			found_text(run, shown(layer, file),
				   "is not what was sealed, though it agrees "
				   "with its digests: they were made anew");
	}
}

/* A seal has digests of its own, of the vault's firmware, too. */
static int check_seal(struct run *run, struct error *error)
{
	char path[PATH_MAX], text[320];
	struct seal *seal = NULL;
	int r;

	vault_path(run->control, run->vault->uuid, "seal/fingerprint.json",
		   path);
	if (access(path, F_OK))
		return 0;
	run->files++;
	r = seal_file_read(path, &seal, error);
	if (!r)
		r = seal_check_files(run->control, run->vault, seal, error);
	if (!r)
		check_sealed_disks(run, seal->json);
	seal_free(seal);
	if (r != -EBADMSG)
		return r;
	snprintf(text, sizeof(text), "is damaged: %.290s", error->text);
	error_clear(error);
	found_text(run, "seal", text);
	return 0;
}

static int do_folders(struct run *run, struct error *error)
{
	char name[SNAPSHOT_NAME_SIZE + 16];
	int r = 0;

	for (unsigned i = 0; !r && i < run->layers->snapshot_count; i++) {
		snprintf(name, sizeof(name), "snapshots/%s",
			 run->layers->snapshots[i].name);
		r = do_folder(run, name, error);
	}
	return r || !run->options->verify ? r : check_seal(run, error);
}

/* --- all of a vault ---------------------------------------------------- */

/* Waits for a lock that others hold for long. */
static int await(struct run *run,
		 int (*take)(struct run *, int *fd, struct error *), int *fd,
		 struct error *error)
{
	const struct digest_options *o = run->options;
	int r;

	while ((r = take(run, fd, error)) == -EBUSY) {
		error_clear(error);
		r = o->tell ? o->tell(o->data, 0, 1, error) : 0;
		if (r)
			return r;
		pause_briefly();
	}
	return r;
}

static int take_layers(struct run *run, int *fd, struct error *error)
{
	return layers_hold(run->folder, fd, error);
}

/* One at a time makes digests of a vault: a lock on their folder. */
static int take_digests(struct run *run, int *fd, struct error *error)
{
	char path[PATH_MAX];

	path_of(run, "", "", path);
	*fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd >= 0 && !flock(*fd, LOCK_EX | LOCK_NB))
		return 0;
	if (*fd >= 0)
		close(*fd);
	return error_errno(error, errno == EWOULDBLOCK ? EBUSY : errno,
			   "can't use %s", path);
}

static bool is_missing(struct run *run)
{
	char name[SNAPSHOT_NAME_SIZE + 16];

	for (unsigned i = 0; i < run->layers->layer_count; i++) {
		const char *file = run->layers->layers[i].file;

		if (!layers_is_active(run->layers, file) &&
		    !is_there(run, file, ".tree"))
			return true;
	}
	for (unsigned i = 0; i < run->layers->snapshot_count; i++) {
		snprintf(name, sizeof(name), "snapshots/%s",
			 run->layers->snapshots[i].name);
		if (!is_listed(run, name))
			return true;
	}
	return false;
}

/* Once more for what was frozen meanwhile. */
static int do_all(struct run *run, struct error *error)
{
	int r;

	do {
		free(run->layers);
		run->layer = NULL;
		r = snapshot_layers(run->control, run->vault, &run->layers,
				    error);
		if (!r)
			r = do_layers(run, error);
		if (!r)
			r = do_folders(run, error);
		free(run->layers);
		run->layers = NULL;
		if (!r)
			r = snapshot_layers(run->control, run->vault,
					    &run->layers, error);
	} while (!r && !run->damage_count && is_missing(run));
	return r;
}

/* The next run begins anew. */
static void forget_checked(struct run *run)
{
	char path[PATH_MAX];

	for (unsigned i = 0; run->layers && i < run->layers->layer_count; i++) {
		path_of(run, run->layers->layers[i].file, ".checked", path);
		unlink(path);
	}
}

static int lock_and_do(struct run *run, struct error *error)
{
	int layers = -1, digests = -1;
	int r = await(run, take_layers, &layers, error);

	if (r)
		return r;
	r = await(run, take_digests, &digests, error);
	if (!r) {
		run->began = units_steady_us();
		r = do_all(run, error);
		if (!r && run->options->verify)
			forget_checked(run);
		close(digests);
	}
	close(layers);
	return r;
}

static int open_run(struct run **result, struct control *control,
		    const struct vault *vault, struct error *error)
{
	struct run *run = calloc(1, sizeof(*run));

	*result = run;
	if (!run)
		return error_set(error, -ENOMEM, "no memory");
	run->control = control;
	run->vault = vault;
	vault_path(control, vault->uuid, NULL, run->folder);
	return 0;
}

int digest_run(struct control *control, const struct vault *vault,
	       const struct digest_options *options, json_t **result,
	       struct error *error)
{
	char path[PATH_MAX];
	struct run *run;
	int r = open_run(&run, control, vault, error);

	*result = NULL;
	if (r)
		return r;
	run->options = options;
	run->damage = json_array();
	vault_path(control, vault->uuid, "digests", path);
	r = folder_make(path, 0700, error);
	if (!r)
		r = lock_and_do(run, error);
	*result = json_pack("{s:i, s:i, s:i, s:I, s:i, s:o}", "layers",
			    (int)run->compared, "made", (int)run->made, "files",
			    (int)run->files, "bytes", (json_int_t)run->read,
			    "damage_count", (int)run->damage_count, "damage",
			    run->damage);
	free(run->layers);
	free(run);
	return r;
}

bool digest_is_missing(struct control *control, const struct vault *vault)
{
	bool missing = false;
	struct run *run;

	if (open_run(&run, control, vault, NULL))
		return false;
	if (!snapshot_layers(control, vault, &run->layers, NULL))
		missing = is_missing(run);
	free(run->layers);
	free(run);
	return missing;
}

static int add_root(struct run *run, const struct layer *layer, json_t *list,
		    struct error *error)
{
	const struct layered_disk *disk = layers_disk(run->layers, layer->file);
	char hex[DIGEST_HEX_SIZE];
	struct digest_tree *tree;
	int r = read_tree(run, layer->file, ".tree", &tree, error);

	if (r)
		return r;
	if (!tree)
		return error_set(error, -ENODATA, "%s has no digests yet",
				 layer->file);
	digest_tree_root(tree, hex);
	json_array_append_new(
		list, json_pack("{s:s, s:s, s:I, s:s}", "disk", disk->target,
				"layer", layer->file, "size",
				(json_int_t)disk->size, "sha256", hex));
	digest_tree_free(tree);
	return 0;
}

int digest_roots(struct control *control, const struct vault *vault,
		 json_t **list, struct error *error)
{
	struct run *run;
	int r = open_run(&run, control, vault, error);

	*list = NULL;
	if (r)
		return r;
	r = snapshot_layers(control, vault, &run->layers, error);
	*list = json_array();
	for (unsigned i = 0; !r && i < run->layers->layer_count; i++)
		if (!layers_is_active(run->layers, run->layers->layers[i].file))
			r = add_root(run, &run->layers->layers[i], *list,
				     error);
	if (r) {
		json_decref(*list);
		*list = NULL;
	}
	free(run->layers);
	free(run);
	return r;
}
