/*
 * The deep verification of a vault: every frozen layer of its disk is read
 * and its tree of digests compared with the one that was kept. Of a sealed
 * vault that does not run, the identity is compared as well.
 *
 * What a layer itself holds is hashed; a block that it has from the layer
 * below has that one's digest. A layer that has no tree yet gets one. The new
 * tree grows in digests/LAYER.part: a run that was interrupted is resumed by
 * the next one, if that is within a day.
 */
#include "daemon/job_work.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/control.h"
#include "daemon/digest_tree.h"
#include "daemon/disk.h"
#include "daemon/event.h"
#include "daemon/folder.h"
#include "daemon/job_list.h"
#include "daemon/nbd.h"
#include "daemon/seal.h"
#include "daemon/snapshot.h"
#include "daemon/vault.h"

#define RESUME_S (24 * 3600)

struct verify {
	struct control *control;
	struct job_work *work;
	struct vault vault;
	struct layers *layers;
	struct digest_tree *kept[LAYERS_MAX]; /* of layers that are done */
	bool done[LAYERS_MAX];
	unsigned count;
	unsigned made, damaged; /* layers without a tree; ranges */
	char text[300];         /* the first damage */
	/* Of the layer at work. */
	const struct layer *layer;
	uint64_t size; /* of its disk */
	json_t *map;
	size_t extent;
	struct nbd *nbd;
	uint8_t block[DIGEST_BLOCK];
};

static void path_of(struct verify *v, const char *folder, const char *end,
		    char path[PATH_MAX])
{
	char name[LAYER_NAME_SIZE + 24];

	snprintf(name, sizeof(name), "%s/%s%s", folder, v->layer->file, end);
	vault_path(v->control, v->vault.uuid, name, path);
}

/* --- one layer -------------------------------------------------------- */

enum source { READ, ZERO, BELOW };

/* Where the bytes from..to come from, by the map; they rise. */
static enum source source_of(struct verify *v, uint64_t from, uint64_t to)
{
	bool zero = true, below = true;
	json_t *e;

	for (size_t i = v->extent; (e = json_array_get(v->map, i)); i++) {
		uint64_t start = (uint64_t)json_integer_value(
			json_object_get(e, "start"));
		uint64_t end = start + (uint64_t)json_integer_value(
					       json_object_get(e, "length"));

		if (end <= from) {
			v->extent = i + 1;
			continue;
		}
		if (start >= to)
			break;
		zero = zero && json_is_true(json_object_get(e, "zero"));
		below = below &&
			json_integer_value(json_object_get(e, "depth")) > 0;
		if (end >= to)
			return zero ? ZERO : below ? BELOW : READ;
	}
	return READ;
}

static int add_block(struct verify *v, struct digest_writer *writer, uint64_t i,
		     const struct digest_tree *below, struct error *error)
{
	uint64_t from = i * DIGEST_BLOCK, to = from + DIGEST_BLOCK;
	const uint8_t *leaf = below ? digest_tree_leaf(below, i) : NULL;
	enum source source;
	int r;

	if (to > v->size)
		to = v->size;
	source = source_of(v, from, to);
	if (source == ZERO)
		return digest_writer_zero(writer, error);
	if (source == BELOW && leaf)
		return digest_writer_leaf(writer, leaf, error);
	r = nbd_ask(v->nbd, from, (uint32_t)(to - from), error);
	if (!r)
		r = nbd_answer(v->nbd, v->block, (uint32_t)(to - from), error);
	return r ? r : digest_writer_block(writer, v->block, to - from, error);
}

static void tell(struct verify *v, uint64_t i, uint64_t all)
{
	uint64_t done = i;

	for (unsigned n = 0; n < v->layers->layer_count; n++)
		done += v->done[n] ? all : 0;
	job_work_bytes(v->work, done * DIGEST_BLOCK,
		       v->count * all * DIGEST_BLOCK);
}

static int hash_layer(struct verify *v, int part,
		      const struct digest_tree *below, struct error *error)
{
	struct digest_writer *writer;
	uint64_t all = (v->size + DIGEST_BLOCK - 1) / DIGEST_BLOCK;
	uint64_t next;
	int r = digest_writer_open(&writer, part, v->size, &next, error);

	if (r)
		return r;
	v->extent = 0;
	for (; !r && next < all; next++) {
		r = add_block(v, writer, next, below, error);
		if (!r && next % 16 == 0) {
			tell(v, next, all);
			r = job_work_check(v->work, error);
		}
	}
	if (!r)
		r = digest_writer_finish(writer, error);
	digest_writer_free(writer);
	return r;
}

static int open_image(struct verify *v, struct error *error)
{
	char path[PATH_MAX], folder[PATH_MAX], *text;
	int r;

	vault_path(v->control, v->vault.uuid, NULL, folder);
	layers_path(folder, v->layer, path);
	r = disk_map(path, v->layer->format, &text, error);
	if (r)
		return r;
	v->map = json_loads(text, 0, NULL);
	free(text);
	r = nbd_open(&v->nbd, path, v->layer->format, error);
	if (!r && nbd_size(v->nbd) != v->size)
		r = error_set(error, -EIO, "%s has another size than it had",
			      path);
	return r;
}

static void close_image(struct verify *v)
{
	nbd_close(v->nbd);
	json_decref(v->map);
	v->nbd = NULL;
	v->map = NULL;
}

static void found(void *data, uint64_t from, uint64_t to)
{
	struct verify *v = data;

	if (!v->damaged++)
		snprintf(v->text, sizeof(v->text),
			 "disks/%s has changed: bytes %llu to %llu of the disk",
			 v->layer->file, (unsigned long long)from,
			 (unsigned long long)to - 1);
}

static int read_tree(struct verify *v, const char *end,
		     struct digest_tree **tree, struct error *error)
{
	char path[PATH_MAX];
	int fd, r;

	path_of(v, "digests", end, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	*tree = NULL;
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

/* The new tree is there: compared, or kept as the first one. */
static int judge(struct verify *v, struct digest_tree **kept,
		 struct error *error)
{
	char part[PATH_MAX], tree[PATH_MAX];
	struct digest_tree *now;
	int r;

	path_of(v, "digests", ".part", part);
	path_of(v, "digests", ".tree", tree);
	if (*kept) {
		r = read_tree(v, ".part", &now, error);
		if (!r)
			digest_tree_diff(*kept, now, found, v);
		digest_tree_free(now);
		unlink(part);
		return r;
	}
	v->made++;
	if (rename(part, tree))
		return error_errno(error, errno, "can't write %s", tree);
	return read_tree(v, ".tree", kept, error);
}

static int open_part(struct verify *v, int *fd, struct error *error)
{
	char path[PATH_MAX];
	struct stat st;

	vault_path(v->control, v->vault.uuid, "digests", path);
	if (folder_make(path, 0700, error))
		return -EIO;
	path_of(v, "digests", ".part", path);
	if (!stat(path, &st) && time(NULL) - st.st_mtime > RESUME_S)
		unlink(path);
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return *fd < 0 ? error_errno(error, errno, "can't write %s", path) : 0;
}

static int verify_layer(struct verify *v, unsigned i, struct error *error)
{
	const struct layer *layer = &v->layers->layers[i];
	const struct layer *below = layers_find(v->layers, layer->backing);
	unsigned b = below ? (unsigned)(below - v->layers->layers) : 0;
	int part, r = 0;

	if (v->done[i])
		return 0;
	if (below)
		r = verify_layer(v, b, error);
	v->layer = layer;
	v->size = layers_disk(v->layers, layer->file)->size;
	if (!r)
		r = read_tree(v, ".tree", &v->kept[i], error);
	if (!r)
		r = open_part(v, &part, error);
	if (r)
		return r;
	r = open_image(v, error);
	if (!r)
		r = hash_layer(v, part, below ? v->kept[b] : NULL, error);
	close_image(v);
	close(part);
	if (!r)
		r = judge(v, &v->kept[i], error);
	v->done[i] = true;
	return r;
}

/* --- the job ---------------------------------------------------------- */

static void tell_end(struct verify *v, int r, const struct error *error)
{
	const char *state = v->damaged        ? "damaged"
			    : r == -ECANCELED ? "cancelled"
			    : r               ? "failed"
					      : "good";

	events_post(v->control->events, "vault.verified", v->vault.name,
		    json_pack("{s:s, s:s, s:s?}", "vault", v->vault.name,
			      "state", state, "text", r ? error->text : NULL));
}

static int run(struct job_work *work, void *data, struct error *error)
{
	struct verify *v = data;
	struct error drift = {0};
	int r = 0, sealed = job_verify_seal(work, &v->vault, &drift);

	v->work = work;
	for (unsigned i = 0; !r && i < v->layers->layer_count; i++)
		if (!layers_is_active(v->layers, v->layers->layers[i].file))
			r = verify_layer(v, i, error);
	if (!r && v->damaged > 1)
		r = error_set(error, -EBADMSG, "%s, and %u more", v->text,
			      v->damaged - 1);
	else if (!r && v->damaged)
		r = error_set(error, -EBADMSG, "%s", v->text);
	else if (!r && sealed)
		r = error_set(error, sealed, "%s", drift.text);
	tell_end(v, r, error);
	return r;
}

static void verify_free(void *data)
{
	struct verify *v = data;

	for (unsigned i = 0; i < LAYERS_MAX; i++)
		digest_tree_free(v->kept[i]);
	free(v->layers);
	vault_release(&v->vault);
	free(v);
}

static const struct job_work_kind kind = {"verify", run, verify_free};

int job_verify(struct jobs *jobs, const char *name, char id[JOB_ID_SIZE],
	       struct error *error)
{
	struct verify *v = calloc(1, sizeof(*v));
	int r;

	if (!v)
		return error_set(error, -ENOMEM, "no memory");
	v->control = jobs->control;
	r = vault_find(v->control, name, &v->vault, error);
	if (!r)
		r = snapshot_layers(v->control, &v->vault, &v->layers, error);
	if (!r && !v->layers->snapshot_count)
		r = error_set(error, -EINVAL,
			      "it has no snapshot, and only those can be "
			      "verified: make one first");
	if (r) {
		verify_free(v);
		return r;
	}
	v->count = v->layers->layer_count - v->layers->disk_count;
	return job_work_start(jobs, &kind, v->vault.uuid, v, id, error);
}
