/* The layers of a vault's disk; see layers.h. */
#include "daemon/layers.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "daemon/disk.h"
#include "daemon/folder.h"

#define FILE_MAX (1 << 20)
#define MADE "layer-" /* what our layers' names begin with */

static void place(const char *folder, const char *name, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s", folder, name);
}

struct layer *layers_find(struct layers *layers, const char *file)
{
	for (unsigned i = 0; i < layers->layer_count; i++)
		if (!strcmp(layers->layers[i].file, file))
			return &layers->layers[i];
	return NULL;
}

struct snapshot *layers_snapshot(struct layers *layers, const char *name)
{
	for (unsigned i = 0; i < layers->snapshot_count; i++)
		if (!strcmp(layers->snapshots[i].name, name))
			return &layers->snapshots[i];
	return NULL;
}

struct layer *layers_add(struct layers *layers, const char *backing)
{
	struct layer *layer;

	if (layers->layer_count == LAYERS_MAX)
		return NULL;
	layer = &layers->layers[layers->layer_count++];
	memset(layer, 0, sizeof(*layer));
	snprintf(layer->file, sizeof(layer->file), MADE "%u.qcow2",
		 layers->next++);
	strcpy(layer->format, "qcow2");
	snprintf(layer->backing, sizeof(layer->backing), "%s", backing);
	return layer;
}

void layers_remove(struct layers *layers, const char *file)
{
	struct layer *layer = layers_find(layers, file);

	if (!layer)
		return;
	layers->layer_count--;
	memmove(layer, layer + 1,
		(size_t)(&layers->layers[layers->layer_count] - layer) *
			sizeof(*layer));
}

unsigned layers_children(struct layers *layers, const char *file,
			 struct layer **one)
{
	unsigned count = 0;

	*one = NULL;
	for (unsigned i = layers->layer_count; i--;)
		if (!strcmp(layers->layers[i].backing, file)) {
			*one = &layers->layers[i];
			count++;
		}
	return count;
}

bool layers_is_held(const struct layers *layers, const char *file)
{
	for (unsigned i = 0; i < layers->snapshot_count; i++)
		if (!strcmp(layers->snapshots[i].layer, file))
			return true;
	return false;
}

/* --- reading ---------------------------------------------------------- */

/* A text that fits and is no path. */
static bool take(const json_t *object, const char *key, char *to, size_t size)
{
	const char *text = json_string_value(json_object_get(object, key));

	if (!text || strlen(text) >= size || strchr(text, '/') ||
	    text[0] == '.')
		return false;
	strcpy(to, text);
	return true;
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

static bool take_snapshot(const json_t *json, struct snapshot *s)
{
	s->created_at = json_integer_value(json_object_get(json, "created_at"));
	s->automatic = json_is_true(json_object_get(json, "automatic"));
	s->running = json_is_true(json_object_get(json, "running"));
	return take(json, "name", s->name, sizeof(s->name)) && s->name[0] &&
	       take(json, "layer", s->layer, sizeof(s->layer)) &&
	       take(json, "parent", s->parent, sizeof(s->parent)) &&
	       take(json, "definition", s->definition, sizeof(s->definition));
}

/* Whether each name means something, and every chain has an end. */
static bool is_sound(struct layers *layers)
{
	for (unsigned i = 0; i < layers->layer_count; i++) {
		const struct layer *at = &layers->layers[i];
		unsigned steps = 0;

		if (layers_find(layers, at->file) != at)
			return false;
		while (at && at->backing[0] && steps++ < LAYERS_MAX)
			at = layers_find(layers, at->backing);
		if (!at || steps > LAYERS_MAX)
			return false;
	}
	for (unsigned i = 0; i < layers->snapshot_count; i++) {
		const struct snapshot *s = &layers->snapshots[i];

		if (layers_snapshot(layers, s->name) != s ||
		    (s->layer[0] && !layers_find(layers, s->layer)))
			return false;
	}
	return (!layers->active[0] || layers_find(layers, layers->active)) &&
	       (!layers->restore[0] ||
		layers_snapshot(layers, layers->restore));
}

static bool take_all(const json_t *json, struct layers *layers)
{
	const json_t *list = json_object_get(json, "layers");
	const json_t *snapshots = json_object_get(json, "snapshots");
	json_int_t size = json_integer_value(json_object_get(json, "size"));
	json_int_t next = json_integer_value(json_object_get(json, "next"));
	bool good =
		take(json, "base", layers->base, sizeof(layers->base)) &&
		take(json, "active", layers->active, sizeof(layers->active)) &&
		take(json, "parent", layers->parent, sizeof(layers->parent)) &&
		take(json, "restore", layers->restore,
		     sizeof(layers->restore)) &&
		size >= 0 && next > 0 && next < INT_MAX &&
		json_array_size(list) <= LAYERS_MAX &&
		json_array_size(snapshots) <= LAYERS_MAX;

	layers->size = (uint64_t)size;
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
	return !strncmp(name, MADE, strlen(MADE));
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

/* A vault that has only the disk of its definition. */
static int begin(struct layers *layers, const char *folder, const char *disk,
		 struct error *error)
{
	struct layer *base = &layers->layers[0];
	struct disk_info info;
	char path[PATH_MAX];
	const char *name = strrchr(disk, '/');
	int r = check_lone(folder, error);

	layers->next = 1;
	if (r || !disk[0])
		return r;
	name = name ? name + 1 : disk;
	place(folder, "disks", path);
	strncat(path, "/", sizeof(path) - strlen(path) - 1);
	strncat(path, name, sizeof(path) - strlen(path) - 1);
	if (access(path, F_OK) || strlen(name) >= sizeof(base->file))
		return error_set(error, -ENOTSUP,
				 "its disk %s is not in the vault's folder",
				 disk);
	r = disk_inspect(path, &info, error);
	if (r)
		return r;
	layers->size = info.virtual_size;
	layers->layer_count = 1;
	strcpy(base->file, name);
	strcpy(base->format, info.format);
	strcpy(layers->active, name);
	strcpy(layers->base, name);
	return 0;
}

int layers_read(struct layers **result, const char *folder, const char *disk,
		struct error *error)
{
	struct layers *layers = calloc(1, sizeof(*layers));
	char path[PATH_MAX];
	int r;

	*result = NULL;
	if (!layers)
		return error_set(error, -ENOMEM, "no memory");
	place(folder, "disks/layers.json", path);
	if (!access(path, F_OK) || errno != ENOENT)
		r = read_file(layers, path, error);
	else
		r = begin(layers, folder, disk, error);
	if (r)
		free(layers);
	else
		*result = layers;
	return r;
}

int layers_read_prepared(struct layers **result, const char *folder,
			 struct error *error)
{
	struct layers *layers;
	char path[PATH_MAX];
	int r;

	*result = NULL;
	place(folder, "disks/layers.json.next", path);
	if (access(path, F_OK))
		return 0;
	layers = calloc(1, sizeof(*layers));
	r = layers ? read_file(layers, path, error)
		   : error_set(error, -ENOMEM, "no memory");
	if (r)
		free(layers);
	else
		*result = layers;
	return r;
}

/* --- writing ---------------------------------------------------------- */

static json_t *as_json(const struct layers *layers)
{
	json_t *list = json_array(), *snapshots = json_array();

	for (unsigned i = 0; i < layers->layer_count; i++) {
		const struct layer *l = &layers->layers[i];

		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:s}", "file",
						l->file, "format", l->format,
						"backing", l->backing));
	}
	for (unsigned i = 0; i < layers->snapshot_count; i++) {
		const struct snapshot *s = &layers->snapshots[i];

		json_array_append_new(
			snapshots,
			json_pack("{s:s, s:s, s:s, s:I, s:b, s:b, s:s}", "name",
				  s->name, "layer", s->layer, "parent",
				  s->parent, "created_at",
				  (json_int_t)s->created_at, "automatic",
				  s->automatic, "running", s->running,
				  "definition", s->definition));
	}
	return json_pack("{s:i, s:s, s:I, s:i, s:s, s:s, s:s, s:o, s:o}",
			 "version", 1, "base", layers->base, "size",
			 (json_int_t)layers->size, "next", (int)layers->next,
			 "active", layers->active, "parent", layers->parent,
			 "restore", layers->restore, "layers", list,
			 "snapshots", snapshots);
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
	return (is_made(name) || !strcmp(name, layers->base)) &&
	       !is_known_layer(layers, name);
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
