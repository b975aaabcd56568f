/*
 * Joins layers that no snapshot holds to their neighbours.
 *
 * Such a layer L has one child C. Whichever of the two is smaller is copied:
 * C into L (then L takes C's place), or what C has from L into C (then C
 * stands on what L stood on). In both, each image that somebody needs shows
 * the same at every moment, and layers.json says when it is done.
 */
#include "daemon/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/control.h"
#include "daemon/disk.h"
#include "daemon/folder.h"
#include "daemon/upkeep.h"
#include "daemon/vault.h"

struct place {
	char root[PATH_MAX], disks[PATH_MAX], digests[PATH_MAX];
};

static void path_of(const struct place *place, const struct layer *layer,
		    char path[PATH_MAX])
{
	layers_path(place->root, layer, path);
}

/* Digests of a layer that is about to show something else. */
static void drop_digests(const struct place *place, const char *file)
{
	static const char *const ends[] = {"tree", "part", "checked"};
	char path[PATH_MAX];

	for (unsigned i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		if (snprintf(path, sizeof(path), "%s/%s.%s", place->digests,
			     file, ends[i]) < PATH_MAX)
			unlink(path);
	folder_sync(place->digests, NULL);
}

/* The digests of one are those of the other from now on. */
static void share_digests(const struct place *place, const char *from,
			  const char *to)
{
	char a[PATH_MAX], b[PATH_MAX];

	if (snprintf(a, sizeof(a), "%s/%s.tree", place->digests, from) <
		    PATH_MAX &&
	    snprintf(b, sizeof(b), "%s/%s.tree", place->digests, to) <
		    PATH_MAX &&
	    !link(a, b))
		folder_sync(place->digests, NULL);
}

/* In everything that is known, `to` takes the place of `from`. */
static void put_in_place(struct layers *layers, const char *from,
			 const char *to)
{
	for (unsigned i = 0; i < layers->layer_count; i++)
		if (!strcmp(layers->layers[i].backing, from))
			strcpy(layers->layers[i].backing, to);
	for (unsigned i = 0; i < layers->snapshot_count; i++)
		for (unsigned d = 0; d < layers->disk_count; d++)
			if (!strcmp(layers->snapshots[i].layers[d], from))
				strcpy(layers->snapshots[i].layers[d], to);
	for (unsigned i = 0; i < layers->disk_count; i++)
		if (!strcmp(layers->disks[i].active, from))
			strcpy(layers->disks[i].active, to);
	layers_remove(layers, from);
}

/* Those that stand on `from` name `to`, which shows the same. */
static int move_children(const struct place *place, struct layers *layers,
			 const char *from, const struct layer *to,
			 struct error *error)
{
	char path[PATH_MAX];
	int r = 0;

	for (unsigned i = 0; !r && i < layers->layer_count; i++) {
		if (strcmp(layers->layers[i].backing, from))
			continue;
		path_of(place, &layers->layers[i], path);
		r = disk_rename_backing(path, layers_reference(to), to->format,
					error);
		if (!r)
			r = disk_sync(path, error);
	}
	return r;
}

static int join_down(const struct place *place, struct layers *layers,
		     struct layer lower, struct layer upper,
		     struct error *error)
{
	char path[PATH_MAX];
	int r;

	path_of(place, &upper, path);
	r = disk_check_space(place->disks, disk_actual_size(path), error);
	if (r)
		return r;
	drop_digests(place, lower.file);
	r = disk_commit(path, error);
	path_of(place, &lower, path);
	if (!r)
		r = disk_sync(path, error);
	if (!r)
		r = move_children(place, layers, upper.file, &lower, error);
	if (r)
		return r;
	share_digests(place, upper.file, lower.file);
	put_in_place(layers, upper.file, lower.file);
	return 0;
}

static int join_up(const struct place *place, struct layers *layers,
		   struct layer lower, struct layer upper, struct error *error)
{
	const struct layer *base = layers_find(layers, lower.backing);
	char path[PATH_MAX];
	int r;

	path_of(place, &lower, path);
	r = disk_check_space(place->disks, disk_actual_size(path), error);
	path_of(place, &upper, path);
	if (!r)
		r = disk_rebase(path, base ? layers_reference(base) : NULL,
				base ? base->format : NULL, error);
	if (!r)
		r = disk_sync(path, error);
	/* A join down that was cut has left them on the lower one. */
	if (!r)
		r = move_children(place, layers, upper.file, &upper, error);
	if (r)
		return r;
	strcpy(layers_find(layers, upper.file)->backing, lower.backing);
	layers_remove(layers, lower.file);
	return 0;
}

/* The definition's own disk stays: it is what others know the vault by. */
static bool is_down(const struct layer *layer, const char *lower,
		    const char *upper)
{
	return !layer->backing[0] ||
	       disk_actual_size(upper) <= disk_actual_size(lower);
}

/* The first layer that can go; 1 when there was one. */
static int join_one(const struct place *place, struct layers *layers,
		    struct error *error)
{
	char lower[PATH_MAX], upper[PATH_MAX];

	for (unsigned i = 0; i < layers->layer_count; i++) {
		struct layer *layer = &layers->layers[i], *child;
		unsigned children =
			layers_children(layers, layer->file, &child);
		int r;

		if (layers_is_active(layers, layer->file) ||
		    layers_is_held(layers, layer->file) || children > 1)
			continue;
		if (children == 0) {
			layers_remove(layers, layer->file);
			return 1;
		}
		path_of(place, layer, lower);
		path_of(place, child, upper);
		r = is_down(layer, lower, upper)
			    ? join_down(place, layers, *layer, *child, error)
			    : join_up(place, layers, *layer, *child, error);
		return r ? r : 1;
	}
	return 0;
}

/* Digests that are made in the background give way; -EBUSY: others do not. */
static int hold_alone(struct control *control, const struct vault *vault,
		      const char *folder, int *hold, struct error *error)
{
	int r = layers_hold_alone(folder, hold, error);

	for (int i = 0; i < 20 && r == -EBUSY; i++) {
		error_clear(error);
		upkeep_want(control, vault->uuid);
		usleep(100000);
		r = layers_hold_alone(folder, hold, error);
	}
	upkeep_want(control, "");
	return r;
}

int snapshot_compact(struct control *control, const struct vault *vault,
		     struct error *error)
{
	enum hypervisor_state state =
		hypervisor_state(control->hypervisor, vault->uuid);
	struct place *place;
	struct layers *layers = NULL;
	int r, more = 0, hold = -1;
	bool joined = false;

	if (state != HYPERVISOR_STOPPED && state != HYPERVISOR_CRASHED)
		return 0;
	place = calloc(1, sizeof(*place));
	if (!place)
		return error_set(error, -ENOMEM, "no memory");
	vault_path(control, vault->uuid, NULL, place->root);
	r = hold_alone(control, vault, place->root, &hold, error);
	if (r == -EBUSY) {
		error_clear(error);
		free(place);
		return 0;
	}
	if (!r)
		r = snapshot_layers(control, vault, &layers, error);
	vault_path(control, vault->uuid, "disks", place->disks);
	vault_path(control, vault->uuid, "digests", place->digests);
	while (!r && (more = join_one(place, layers, error)) == 1) {
		joined = true;
		r = layers_commit(place->root, layers, error);
		if (!r)
			r = layers_collect(place->root, layers, error);
	}
	if (hold >= 0)
		close(hold);
	free(place);
	free(layers);
	if (joined)
		upkeep_poke(control); /* digests may be missing */
	return r ? r : more < 0 ? more : 0;
}
