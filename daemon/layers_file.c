/* layers.json: reading and writing it, and what it does not know; layers.h. */
#include "daemon/layers.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "daemon/disk.h"
#include "daemon/folder.h"

#define FILE_MAX (1 << 20)

static void place(const char *folder, const char *name, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s", folder, name);
}

/* --- reading ---------------------------------------------------------- */

/* A text that fits and is no path. */
static bool take_text(const json_t *json, char *to, size_t size)
{
	const char *text = json_string_value(json);

	if (!text || strlen(text) >= size || strchr(text, '/') ||
	    text[0] == '.')
		return false;
	strcpy(to, text);
	return true;
}

static bool take(const json_t *object, const char *key, char *to, size_t size)
{
	return take_text(json_object_get(object, key), to, size);
}

static bool take_layer(const json_t *json, struct layer *layer)
{
	return take(json, "file", layer->file, sizeof(layer->file)) &&
	       layer->file[0] &&
	       take(json, "format", layer->format, sizeof(layer->format)) &&
	       (!strcmp(layer->format, "qcow2") ||
		!strcmp(layer->format, "raw")) &&
	       take(json, "backing", layer->backing, sizeof(layer->backing));
}

/* Version 1 knew one disk, and called its layer "layer". */
static bool take_held(const json_t *json, struct snapshot *s)
{
	const json_t *list = json_object_get(json, "layers"), *one;
	size_t i;

	if (!list)
		return take(json, "layer", s->layers[0], LAYER_NAME_SIZE);
	if (json_array_size(list) > LAYERS_DISKS)
		return false;
	json_array_foreach(list, i, one)
	{
		if (!take_text(one, s->layers[i], LAYER_NAME_SIZE))
			return false;
	}
	return true;
}

static bool take_snapshot(const json_t *json, struct snapshot *s)
{
	s->created_at = json_integer_value(json_object_get(json, "created_at"));
	s->automatic = json_is_true(json_object_get(json, "automatic"));
	s->running = json_is_true(json_object_get(json, "running"));
	return take(json, "name", s->name, sizeof(s->name)) && s->name[0] &&
	       take_held(json, s) &&
	       take(json, "parent", s->parent, sizeof(s->parent)) &&
	       take(json, "definition", s->definition, sizeof(s->definition));
}

static bool take_disk(const json_t *json, struct layered_disk *disk)
{
	json_int_t size = json_integer_value(json_object_get(json, "size"));

	disk->size = (uint64_t)size;
	return size > 0 && take(json, "base", disk->base, sizeof(disk->base)) &&
	       take(json, "active", disk->active, sizeof(disk->active));
}

/* Of version 1 the file itself says them of the only disk. */
static bool take_disks(const json_t *json, struct layers *layers)
{
	const json_t *list = json_object_get(json, "disks"), *one;
	const char *active = json_string_value(json_object_get(json, "active"));
	size_t i;

	if (!list) {
		layers->disk_count = active && active[0];
		return !layers->disk_count ||
		       take_disk(json, &layers->disks[0]);
	}
	if (json_array_size(list) > LAYERS_DISKS)
		return false;
	json_array_foreach(list, i, one)
	{
		struct layered_disk *disk = &layers->disks[i];

		if (!take_disk(one, disk) ||
		    !take(one, "target", disk->target, sizeof(disk->target)) ||
		    !disk->target[0])
			return false;
		layers->disk_count++;
	}
	return true;
}

static bool is_sound_disk(struct layers *layers, unsigned n)
{
	const struct layered_disk *disk = &layers->disks[n];

	for (unsigned i = 0; i < n; i++)
		if (!strcmp(layers->disks[i].base, disk->base) ||
		    !strcmp(layers->disks[i].target, disk->target))
			return false;
	for (unsigned i = 0; i < layers->snapshot_count; i++) {
		const char *held = layers->snapshots[i].layers[n];

		if (held[0] && layers_disk(layers, held) != disk)
			return false;
	}
	return layers_disk(layers, disk->active) == disk;
}

/* Whether each name means something, and every chain ends at a disk. */
static bool is_sound(struct layers *layers)
{
	for (unsigned i = 0; i < layers->layer_count; i++) {
		const struct layer *at = &layers->layers[i];

		if (layers_find(layers, at->file) != at ||
		    !layers_disk(layers, at->file))
			return false;
	}
	for (unsigned i = 0; i < layers->snapshot_count; i++) {
		const struct snapshot *s = &layers->snapshots[i];

		if (layers_snapshot(layers, s->name) != s)
			return false;
		for (unsigned d = layers->disk_count; d < LAYERS_DISKS; d++)
			if (s->layers[d][0])
				return false;
	}
	for (unsigned i = 0; i < layers->disk_count; i++)
		if (!is_sound_disk(layers, i))
			return false;
	return !layers->restore[0] || layers_snapshot(layers, layers->restore);
}

static bool take_all(const json_t *json, struct layers *layers)
{
	const json_t *list = json_object_get(json, "layers");
	const json_t *snapshots = json_object_get(json, "snapshots");
	json_int_t version =
		json_integer_value(json_object_get(json, "version"));
	json_int_t next = json_integer_value(json_object_get(json, "next"));
	bool good =
		(version == 1 || version == 2) && take_disks(json, layers) &&
		take(json, "parent", layers->parent, sizeof(layers->parent)) &&
		take(json, "restore", layers->restore,
		     sizeof(layers->restore)) &&
		next > 0 && next < INT_MAX &&
		json_array_size(list) <= LAYERS_MAX &&
		json_array_size(snapshots) <= SNAPSHOTS_MAX;

	layers->next = (unsigned)next;
	for (size_t i = 0; good && i < json_array_size(list); i++)
		good = take_layer(json_array_get(list, i),
				  &layers->layers[layers->layer_count++]);
	for (size_t i = 0; good && i < json_array_size(snapshots); i++)
		good = take_snapshot(
			json_array_get(snapshots, i),
			&layers->snapshots[layers->snapshot_count++]);
	return good && is_sound(layers);
}

static int read_file(struct layers *layers, const char *path,
		     struct error *error)
{
	json_t *json;
	char *text;
	int r = folder_read(path, FILE_MAX, &text, error);

	if (r)
		return r;
	json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	if (!take_all(json, layers))
		r = error_set(error, -EINVAL,
			      "%s is damaged: put it back from a backup", path);
	json_decref(json);
	return r;
}

static bool is_made(const char *name)
{
	return !strncmp(name, LAYERS_MADE, strlen(LAYERS_MADE));
}

/* Layers of which nothing is known any more must not be forgotten silently. */
static int check_lone(const char *folder, struct error *error)
{
	char path[PATH_MAX];
	struct dirent *entry;
	bool found = false;
	DIR *list;

	place(folder, "disks", path);
	list = opendir(path);
	while (list && (entry = readdir(list)))
		found = found || is_made(entry->d_name);
	if (list)
		closedir(list);
	return found ? error_set(error, -EINVAL,
				 "%s/layers.json is missing, but there are "
				 "layers: put it back from a backup",
				 path)
		     : 0;
}

/* What follows vaults/UUID/disks/ in a path; NULL when it is outside. */
static const char *inside(const char *folder, const char *path)
{
	const char *uuid = strrchr(folder, '/');
	char through[80];
	const char *found;

	snprintf(through, sizeof(through), "/vaults/%.40s/disks/",
		 uuid ? uuid + 1 : folder);
	found = strstr(path, through);
	return found ? found + strlen(through) : NULL;
}

/* Where a disk lies that the definition has at `path`; a link leads outside. */
static int find_place(struct layer *base, const char *folder, const char *path,
		      struct error *error)
{
	char link[PATH_MAX];
	ssize_t n;

	base->is_named = !inside(folder, path);
	if (base->is_named) {
		strcpy(base->place, path);
		return 0;
	}
	base->place[0] = '\0';
	layers_path(folder, base, link);
	n = readlink(link, base->place, sizeof(base->place));
	if (n >= (ssize_t)sizeof(base->place) ||
	    (n > 0 && base->place[0] != '/'))
		return error_set(error, -EINVAL,
				 "%s must be a link to an absolute path of "
				 "less than %zu bytes",
				 link, sizeof(base->place));
	base->place[n > 0 ? n : 0] = '\0';
	return 0;
}

/* A disk that layers.json does not know has the definition's image only. */
static int add_disk(struct layers *layers, const char *folder,
		    const struct domain_disk *from, const char *name,
		    struct error *error)
{
	struct layered_disk *disk = &layers->disks[layers->disk_count];
	struct layer *base = &layers->layers[layers->layer_count];
	char path[PATH_MAX];
	int r;

	if (layers->disk_count == LAYERS_DISKS ||
	    layers->layer_count == LAYERS_MAX)
		return error_set(error, -E2BIG, "it has too many disks");
	if (strlen(name) >= sizeof(base->file) || strchr(name, '/') ||
	    layers_find(layers, name) ||
	    (strcmp(from->format, "qcow2") && strcmp(from->format, "raw")))
		return error_set(error, -EINVAL,
				 "its disk %s can't have layers: the name is "
				 "too long or taken, or the format is neither "
				 "qcow2 nor raw",
				 from->path);
	strcpy(base->file, name);
	strcpy(base->format, from->format);
	strcpy(disk->target, from->target);
	strcpy(disk->base, name);
	strcpy(disk->active, name);
	r = find_place(base, folder, from->path, error);
	if (r)
		return r;
	layers_path(folder, base, path);
	if (access(path, F_OK))
		return error_errno(error, errno,
				   "its disk %s is missing: put it back from a "
				   "backup",
				   path);
	r = disk_size(path, base->format, &disk->size, error);
	layers->layer_count += !r;
	layers->disk_count += !r;
	return r;
}

static struct layered_disk *find_disk(struct layers *layers, const char *target)
{
	for (unsigned i = 0; i < layers->disk_count; i++)
		if (!strcmp(layers->disks[i].target, target))
			return &layers->disks[i];
	return NULL;
}

/* Disks of the definition: where they are, and those that are new. */
static int add_disks(struct layers *layers, const char *folder, const char *xml,
		     struct error *error)
{
	struct domain_disk disks[DOMAIN_DISKS];
	unsigned count;
	int r = domain_disks(xml, disks, &count, error);

	if (r)
		return r;
	if (layers->disk_count == 1 && !layers->disks[0].target[0] && count)
		strcpy(layers->disks[0].target, disks[0].target);
	for (unsigned i = 0; !r && i < count; i++) {
		const char *name = inside(folder, disks[i].path);
		char outside[sizeof(disks[i].target) + 16];
		struct layered_disk *disk = find_disk(layers, disks[i].target);

		snprintf(outside, sizeof(outside), "%s.outside",
			 disks[i].target);
		if (!disk)
			r = add_disk(layers, folder, &disks[i],
				     name ? name : outside, error);
		else
			r = find_place(layers_find(layers, disk->base), folder,
				       disks[i].path, error);
	}
	return r;
}

static int read_layers(struct layers **result, const char *folder,
		       const char *file, const char *xml, struct error *error)
{
	struct layers *layers = calloc(1, sizeof(*layers));
	char path[PATH_MAX];
	int r;

	*result = NULL;
	if (!layers)
		return error_set(error, -ENOMEM, "no memory");
	layers->next = 1;
	place(folder, file, path);
	if (!access(path, F_OK) || errno != ENOENT)
		r = read_file(layers, path, error);
	else
		r = check_lone(folder, error);
	if (!r)
		r = add_disks(layers, folder, xml, error);
	if (r)
		free(layers);
	else
		*result = layers;
	return r;
}

int layers_read(struct layers **layers, const char *folder, const char *xml,
		struct error *error)
{
	return read_layers(layers, folder, "disks/layers.json", xml, error);
}

int layers_read_prepared(struct layers **layers, const char *folder,
			 const char *xml, struct error *error)
{
	char path[PATH_MAX];

	*layers = NULL;
	place(folder, "disks/layers.json.next", path);
	if (access(path, F_OK))
		return 0;
	return read_layers(layers, folder, "disks/layers.json.next", xml,
			   error);
}

/* --- writing ---------------------------------------------------------- */

static json_t *snapshot_json(const struct layers *layers,
			     const struct snapshot *s)
{
	json_t *held = json_array();

	for (unsigned i = 0; i < layers->disk_count; i++)
		json_array_append_new(held, json_string(s->layers[i]));
	return json_pack("{s:s, s:o, s:s, s:I, s:b, s:b, s:s}", "name", s->name,
			 "layers", held, "parent", s->parent, "created_at",
			 (json_int_t)s->created_at, "automatic", s->automatic,
			 "running", s->running, "definition", s->definition);
}

static json_t *as_json(const struct layers *layers)
{
	json_t *disks = json_array(), *list = json_array();
	json_t *snapshots = json_array();

	for (unsigned i = 0; i < layers->disk_count; i++) {
		const struct layered_disk *d = &layers->disks[i];

		json_array_append_new(
			disks, json_pack("{s:s, s:I, s:s, s:s}", "target",
					 d->target, "size", (json_int_t)d->size,
					 "base", d->base, "active", d->active));
	}
	for (unsigned i = 0; i < layers->layer_count; i++) {
		const struct layer *l = &layers->layers[i];

		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:s}", "file",
						l->file, "format", l->format,
						"backing", l->backing));
	}
	for (unsigned i = 0; i < layers->snapshot_count; i++)
		json_array_append_new(
			snapshots,
			snapshot_json(layers, &layers->snapshots[i]));
	return json_pack("{s:i, s:i, s:s, s:s, s:o, s:o, s:o}", "version", 2,
			 "next", (int)layers->next, "parent", layers->parent,
			 "restore", layers->restore, "disks", disks, "layers",
			 list, "snapshots", snapshots);
}

static int write_file(const char *folder, const char *name,
		      const struct layers *layers, struct error *error)
{
	json_t *json = as_json(layers);
	char *text = json_dumps(json, JSON_INDENT(1));
	char path[PATH_MAX];
	int r;

	json_decref(json);
	if (!text)
		return error_set(error, -ENOMEM, "no memory");
	place(folder, name, path);
	r = folder_write(path, text, strlen(text), 0600, error);
	free(text);
	return r;
}

int layers_commit(const char *folder, const struct layers *layers,
		  struct error *error)
{
	return write_file(folder, "disks/layers.json", layers, error);
}

int layers_prepare(const char *folder, const struct layers *layers,
		   struct error *error)
{
	return write_file(folder, "disks/layers.json.next", layers, error);
}

int layers_commit_prepared(const char *folder, struct error *error)
{
	char from[PATH_MAX], to[PATH_MAX];

	place(folder, "disks/layers.json.next", from);
	place(folder, "disks/layers.json", to);
	if (rename(from, to))
		return error_errno(error, errno, "can't write %s", to);
	place(folder, "disks", to);
	return folder_sync(to, error);
}

int layers_drop_prepared(const char *folder, struct error *error)
{
	char path[PATH_MAX];

	place(folder, "disks/layers.json.next", path);
	if (unlink(path) && errno != ENOENT)
		return error_errno(error, errno, "can't remove %s", path);
	return 0;
}

/* --- what is left over ------------------------------------------------ */

/* Our layers' files, and digests of layers by their names. */
static bool is_known_layer(struct layers *layers, const char *name)
{
	char file[LAYER_NAME_SIZE];
	size_t n = strlen(name);

	for (unsigned i = 0; i < layers->layer_count; i++) {
		strcpy(file, layers->layers[i].file);
		if (n >= strlen(file) && !strncmp(name, file, strlen(file)) &&
		    (name[strlen(file)] == '\0' || name[strlen(file)] == '.'))
			return true;
	}
	return false;
}

static int collect(const char *folder, const char *name,
		   const struct layers *layers,
		   bool (*is_left)(struct layers *, const char *),
		   struct error *error)
{
	char path[PATH_MAX], one[PATH_MAX + 256];
	struct dirent *entry;
	DIR *list;
	int r = 0;

	place(folder, name, path);
	list = opendir(path);
	while (!r && list && (entry = readdir(list))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (!is_left((struct layers *)layers, entry->d_name))
			continue;
		snprintf(one, sizeof(one), "%s/%s", path, entry->d_name);
		r = folder_remove(one, error);
	}
	if (list)
		closedir(list);
	return r;
}

static bool is_left_disk(struct layers *layers, const char *name)
{
	return is_made(name) && !is_known_layer(layers, name);
}

static bool is_left_digest(struct layers *layers, const char *name)
{
	return !is_known_layer(layers, name);
}

static bool is_left_snapshot(struct layers *layers, const char *name)
{
	return name[0] != '.' && !layers_snapshot(layers, name);
}

int layers_collect(const char *folder, const struct layers *layers,
		   struct error *error)
{
	char path[PATH_MAX];
	int r;

	place(folder, "disks/layers.json", path);
	if (access(path, F_OK))
		return 0;
	r = collect(folder, "disks", layers, is_left_disk, error);
	if (!r)
		r = collect(folder, "snapshots", layers, is_left_snapshot,
			    error);
	if (!r)
		r = collect(folder, "digests", layers, is_left_digest, error);
	return r;
}
