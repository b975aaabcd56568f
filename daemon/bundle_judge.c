/* What was unpacked from a bundle; see bundle_judge.h. */
#include "daemon/bundle_judge.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/domain.h"
#include "daemon/folder.h"
#include "daemon/layers.h"
#include "recorder/bytes.h"

#define DEFINITION_MAX (1 << 20)

/* --- images ----------------------------------------------------------- */

/* QEMU's docs/interop/qcow2.txt. */
#define QCOW2_MAGIC 0x514649fb
#define QCOW2_HEAD 104
#define QCOW2_EXTERNAL 0x4 /* incompatible: data in another file */
#define QCOW2_KNOWN 0x1f   /* incompatible features up to QEMU 10 */
#define EXTENSION_DATA_FILE 0x44415441
#define EXTENSION_BACKING_FORMAT 0xe2792aca
#define EXTENSIONS_MAX 64

static int bad_image(struct error *error, const char *what)
{
	return error_set(error, -EINVAL, "%s", what);
}

static int judge_backing(const uint8_t *head, size_t size, uint64_t offset,
			 uint32_t length, const char *backing,
			 struct error *error)
{
	if (!offset && !length)
		return backing ? bad_image(error, "it lacks its backing file")
			       : 0;
	if (!backing)
		return bad_image(error, "it stands on another file");
	if (length != strlen(backing) || offset > size ||
	    length > size - offset ||
	    memcmp(head + offset, backing, length) != 0)
		return bad_image(error,
				 "it stands on another file than the vault's "
				 "layers say");
	return 0;
}

/*
 * Without the format of what it stands on, QEMU would look for one in bytes
 * that the guest wrote.
 */
static int judge_extensions(const uint8_t *head, size_t size, uint32_t from,
			    const char *on, struct error *error)
{
	struct bytes b = bytes_of(head, size);
	bool said = !on;

	bytes_seek(&b, from);
	for (unsigned i = 0; i < EXTENSIONS_MAX; i++) {
		uint32_t type = bytes_be32(&b), length = bytes_be32(&b);
		const uint8_t *text;

		if (b.bad)
			break;
		if (!type)
			return said ? 0
				    : bad_image(error, "it does not say the "
						       "format of what it "
						       "stands on");
		if (type == EXTENSION_DATA_FILE)
			return bad_image(error,
					 "it keeps its data in another file");
		text = bytes_take(&b, ((size_t)length + 7) & ~(size_t)7);
		if (type != EXTENSION_BACKING_FORMAT || b.bad)
			continue;
		said = on && length == strlen(on) && !memcmp(text, on, length);
		if (!said)
			return bad_image(error, "it takes what it stands on "
						"for another format");
	}
	return bad_image(error, "its header has no end");
}

static int judge_qcow2(const uint8_t *head, size_t size, const char *backing,
		       const char *on, struct error *error)
{
	struct bytes b = bytes_of(head, size);
	uint32_t magic = bytes_be32(&b), version = bytes_be32(&b), length;
	uint64_t offset = bytes_be64(&b), incompatible;
	uint32_t header = 72;
	int r;

	length = bytes_be32(&b);
	if (b.bad || magic != QCOW2_MAGIC || (version != 2 && version != 3))
		return bad_image(error, "it is no qcow2 image");
	r = judge_backing(head, size, offset, length, backing, error);
	if (!r && version == 3) {
		bytes_seek(&b, 72);
		incompatible = bytes_be64(&b);
		bytes_seek(&b, 100);
		header = bytes_be32(&b);
		if (b.bad || header < QCOW2_HEAD || header > size)
			return bad_image(error, "its header is damaged");
		if (incompatible & QCOW2_EXTERNAL)
			return bad_image(error,
					 "it keeps its data in another file");
		if (incompatible & ~(uint64_t)QCOW2_KNOWN)
			return bad_image(error,
					 "it has features that are not known");
	}
	return r ? r : judge_extensions(head, size, header, on, error);
}

int bundle_judge_image(int fd, const char *format, const char *backing,
		       const char *on, struct error *error)
{
	/* The header, extensions and the backing file's name are in the first
	 * cluster, of 64 KiB or, when QEMU was told so, up to 2 MiB. */
	const size_t room = 2 << 20;
	uint8_t *head;
	ssize_t n;
	int r;

	/* Nothing in a raw image means anything to QEMU. */
	if (!strcmp(format, "raw"))
		return backing ? bad_image(error, "a raw image on another") : 0;
	head = malloc(room);
	if (!head)
		return error_set(error, -ENOMEM, "no memory");
	n = pread(fd, head, room, 0);
	r = n < 0 ? error_errno(error, errno, "can't be read")
		  : judge_qcow2(head, (size_t)n, backing, on, error);
	free(head);
	return r;
}

static const struct bundle_file *find(const struct bundle_plan *plan,
				      const char *path)
{
	unsigned low = 0, high = plan->count;

	while (low < high) {
		unsigned middle = (low + high) / 2;
		int order = strcmp(path, plan->files[middle].path);

		if (!order)
			return &plan->files[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

static int judge_file(const char *folder, const struct bundle_plan *plan,
		      const struct layer *layer, const struct layer *base,
		      struct error *error)
{
	char path[PATH_MAX], below[BUNDLE_PATH_SIZE + 8];
	int fd, r;

	snprintf(below, sizeof(below), "disks/%s", layer->file);
	if (!find(plan, below))
		return error_set(error, -EINVAL, "the bundle lacks %s", below);
	snprintf(path, sizeof(path), "%s/%s", folder, below);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return error_errno(error, errno, "%s", below);
	r = bundle_judge_image(fd, layer->format, base ? base->file : NULL,
			       base ? base->format : NULL, error);
	close(fd);
	if (r)
		error_prefix(error, "%s cannot be in a vault", below);
	return r;
}

/* --- disks ------------------------------------------------------------ */

/*
 * layers_read takes a disk that the folder has not got for one outside of the
 * vault; so each disk of the definition must be in the folder.
 */
static int judge_layers(const char *folder, const struct bundle_plan *plan,
			const char *xml, struct error *error)
{
	struct layers *layers;
	int r = layers_read(&layers, folder, xml, error);

	if (r)
		return r;
	for (unsigned i = 0; !r && i < layers->layer_count; i++) {
		const struct layer *layer = &layers->layers[i];

		if (layer->place[0])
			r = error_set(error, -EINVAL,
				      "its disk %s is not in the bundle",
				      layer->file);
		else
			r = judge_file(folder, plan, layer,
				       layers_find(layers, layer->backing),
				       error);
	}
	free(layers);
	return r;
}

/* --- definitions ------------------------------------------------------ */

static bool is_definition(const char *path)
{
	size_t n = strlen(path);

	return !strcmp(path, "domain.xml") ||
	       (!strncmp(path, "seal", 4) && n > 11 &&
		!strcmp(path + n - 11, "/domain.xml"));
}

static int judge_definition(const char *folder, const struct bundle_plan *plan,
			    const char *name, char **xml, struct error *error)
{
	char path[PATH_MAX];
	int r;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	r = folder_read(path, DEFINITION_MAX, xml, error);
	if (r)
		return r;
	r = bundle_judge_domain(*xml, plan, error);
	if (r) {
		error_prefix(error, "%s cannot be in a vault", name);
		free(*xml);
		*xml = NULL;
	}
	return r;
}

int bundle_judge(const char *folder, const struct bundle_plan *plan,
		 struct error *error)
{
	char *xml = NULL;
	int r = find(plan, "domain.xml")
			? 0
			: error_set(error, -EINVAL,
				    "the bundle lacks the vault's definition");

	for (unsigned i = 0; !r && i < plan->count; i++) {
		char *other = NULL;

		if (!is_definition(plan->files[i].path))
			continue;
		r = judge_definition(folder, plan, plan->files[i].path, &other,
				     error);
		if (!strcmp(plan->files[i].path, "domain.xml"))
			xml = other;
		else
			free(other);
	}
	if (!r)
		r = judge_layers(folder, plan, xml, error);
	free(xml);
	return r;
}
