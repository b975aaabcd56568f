/* The layers of a vault's disks; see layers.h. */
#include "daemon/layers.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

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

void layers_path(const char *folder, const struct layer *layer,
		 char path[PATH_MAX])
{
	if (layer->place[0])
		snprintf(path, PATH_MAX, "%s", layer->place);
	else if (snprintf(path, PATH_MAX, "%s/disks/%s", folder, layer->file) >=
		 PATH_MAX)
		path[0] = '\0';
}

const char *layers_reference(const struct layer *layer)
{
	return layer->is_named ? layer->place : layer->file;
}

/* The last of a chain; *length counts it. NULL when it has no end. */
static const struct layer *bottom_of(struct layers *layers, const char *file,
				     unsigned *length)
{
	const struct layer *at = layers_find(layers, file);

	for (*length = 1; at && at->backing[0]; (*length)++) {
		if (*length > layers->layer_count)
			return NULL;
		at = layers_find(layers, at->backing);
	}
	return at;
}

struct layered_disk *layers_disk(struct layers *layers, const char *file)
{
	unsigned length;
	const struct layer *bottom = bottom_of(layers, file, &length);

	for (unsigned i = 0; bottom && i < layers->disk_count; i++)
		if (!strcmp(layers->disks[i].base, bottom->file))
			return &layers->disks[i];
	return NULL;
}

bool layers_is_active(const struct layers *layers, const char *file)
{
	for (unsigned i = 0; i < layers->disk_count; i++)
		if (!strcmp(layers->disks[i].active, file))
			return true;
	return false;
}

struct layer *layers_add(struct layers *layers, const char *backing)
{
	struct layer *layer;
	unsigned length;

	if (layers->layer_count == LAYERS_MAX ||
	    !bottom_of(layers, backing, &length) || length == LAYERS_CHAIN)
		return NULL;
	layer = &layers->layers[layers->layer_count++];
	memset(layer, 0, sizeof(*layer));
	snprintf(layer->file, sizeof(layer->file), LAYERS_MADE "%u.qcow2",
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
		for (unsigned d = 0; d < layers->disk_count; d++)
			if (!strcmp(layers->snapshots[i].layers[d], file))
				return true;
	return false;
}

static int hold(const char *folder, int kind, int *fd, struct error *error)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/disks", folder);
	*fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0)
		return error_errno(error, errno, "can't use %s", path);
	if (!flock(*fd, kind | LOCK_NB))
		return 0;
	close(*fd);
	*fd = -1;
	return error_errno(error, errno == EWOULDBLOCK ? EBUSY : errno,
			   "%s is in use", path);
}

int layers_hold(const char *folder, int *fd, struct error *error)
{
	return hold(folder, LOCK_SH, fd, error);
}

int layers_hold_alone(const char *folder, int *fd, struct error *error)
{
	return hold(folder, LOCK_EX, fd, error);
}
