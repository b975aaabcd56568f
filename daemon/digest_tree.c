/* A tree of block digests; see digest_tree.h. */
#include "daemon/digest_tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "recorder/bytes.h"

#define HEADER 64 /* 8 + 4 + 4 + 8 + 8 + 32 */
#define LEVELS 48
#define LEAVES_MAX (UINT64_C(1) << 32)
#define FLUSH 16 /* leaves between two writes: 4 MiB of disk */

static const char magic[8] = "MVDIGEST";

/* Where each level of the tree begins, in nodes; the last is the root. */
struct shape {
	uint64_t first[LEVELS], count[LEVELS];
	unsigned levels;
	uint64_t nodes;
};

struct digest_tree {
	uint64_t size;
	struct shape shape;
	uint8_t *nodes;
};

struct digest_writer {
	int fd;
	uint64_t size, leaves, next;
	uint8_t zero[DIGEST_SIZE]; /* of a whole block of zeros */
	uint8_t *pending;          /* leaves that are not written yet */
	unsigned pending_count;
	EVP_MD_CTX *context;
};

static void make_shape(uint64_t leaves, struct shape *shape)
{
	memset(shape, 0, sizeof(*shape));
	for (uint64_t n = leaves;; n = (n + 1) / 2) {
		shape->first[shape->levels] = shape->nodes;
		shape->count[shape->levels++] = n;
		shape->nodes += n;
		if (n <= 1)
			return;
	}
}

static uint64_t leaves_of(uint64_t size)
{
	return size / DIGEST_BLOCK + (size % DIGEST_BLOCK != 0);
}

static int hash(EVP_MD_CTX *context, const void *a, size_t a_size,
		const void *b, size_t b_size, uint8_t digest[DIGEST_SIZE])
{
	return EVP_DigestInit_ex(context, EVP_sha256(), NULL) &&
			       EVP_DigestUpdate(context, a, a_size) &&
			       EVP_DigestUpdate(context, b, b_size) &&
			       EVP_DigestFinal_ex(context, digest, NULL)
		       ? 0
		       : -EIO;
}

static uint8_t *node(uint8_t *nodes, const struct shape *shape, unsigned level,
		     uint64_t i)
{
	return nodes + (shape->first[level] + i) * DIGEST_SIZE;
}

/* Everything above the leaves. */
static int fill_levels(uint8_t *nodes, const struct shape *shape,
		       struct error *error)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t pair[1 + 2 * DIGEST_SIZE] = {1};
	int r = context ? 0 : -ENOMEM;

	for (unsigned level = 1; !r && level < shape->levels; level++)
		for (uint64_t i = 0; !r && i < shape->count[level]; i++) {
			uint8_t *to = node(nodes, shape, level, i);
			const uint8_t *from =
				node(nodes, shape, level - 1, 2 * i);

			if (2 * i + 1 == shape->count[level - 1]) {
				memcpy(to, from, DIGEST_SIZE);
				continue;
			}
			memcpy(pair + 1, from, sizeof(pair) - 1);
			r = hash(context, pair, sizeof(pair), "", 0, to);
		}
	EVP_MD_CTX_free(context);
	return r ? error_set(error, r, "no SHA-256") : 0;
}

static void put_header(uint8_t header[HEADER], uint64_t size,
		       const uint8_t *root)
{
	memset(header, 0, HEADER);
	memcpy(header, magic, sizeof(magic));
	bytes_put_le32(header + 8, 1);
	bytes_put_le32(header + 12, DIGEST_BLOCK);
	bytes_put_le64(header + 16, size);
	bytes_put_le64(header + 24, leaves_of(size));
	if (root)
		memcpy(header + 32, root, DIGEST_SIZE);
}

static uint64_t get_le64(const uint8_t *p)
{
	return bytes_get_le32(p) | (uint64_t)bytes_get_le32(p + 4) << 32;
}

/* All of it at that place; false when it ends before. */
static bool read_all(int fd, void *data, size_t size, off_t at)
{
	uint8_t *to = data;

	while (size) {
		ssize_t n = pread(fd, to, size, at);

		if (n <= 0 && !(n < 0 && errno == EINTR))
			return false;
		if (n > 0) {
			to += n;
			at += n;
			size -= (size_t)n;
		}
	}
	return true;
}

static int write_all(int fd, const void *data, size_t size, off_t at,
		     struct error *error)
{
	const uint8_t *from = data;

	while (size) {
		ssize_t n = pwrite(fd, from, size, at);

		if (n < 0 && errno != EINTR)
			return error_errno(error, errno, "can't write digests");
		if (n > 0) {
			from += n;
			at += n;
			size -= (size_t)n;
		}
	}
	return 0;
}

/* --- a whole tree ----------------------------------------------------- */

static int read_nodes(struct digest_tree *tree, int fd, const uint8_t *root,
		      struct error *error)
{
	size_t size = tree->shape.nodes * DIGEST_SIZE;
	uint8_t *stored = malloc(size ? size : 1);
	int r = 0;

	tree->nodes = malloc(size ? size : 1);
	if (!stored || !tree->nodes)
		r = error_set(error, -ENOMEM, "no memory");
	else if (!read_all(fd, stored, size, HEADER))
		r = error_set(error, -ENODATA, "the digests are cut off");
	if (!r) {
		memcpy(tree->nodes, stored, tree->shape.count[0] * DIGEST_SIZE);
		r = fill_levels(tree->nodes, &tree->shape, error);
	}
	if (!r &&
	    (memcmp(tree->nodes, stored, size) ||
	     (size && memcmp(root, stored + size - DIGEST_SIZE, DIGEST_SIZE))))
		r = error_set(error, -EBADMSG,
			      "the digests do not agree with each other: the "
			      "file that holds them is damaged");
	free(stored);
	return r;
}

int digest_tree_read(struct digest_tree **result, int fd, struct error *error)
{
	static const uint8_t unfinished[DIGEST_SIZE];
	uint8_t header[HEADER], expected[HEADER];
	struct digest_tree *tree;
	uint64_t size;
	int r;

	*result = NULL;
	if (!read_all(fd, header, HEADER, 0))
		return error_set(error, -ENODATA, "the digests are cut off");
	size = get_le64(header + 16);
	put_header(expected, size, header + 32);
	if (memcmp(header, expected, HEADER) || leaves_of(size) > LEAVES_MAX)
		return error_set(error, -EBADMSG,
				 "the file of digests is damaged");
	if (size && !memcmp(header + 32, unfinished, DIGEST_SIZE))
		return error_set(error, -ENODATA,
				 "the digests are not finished");
	tree = calloc(1, sizeof(*tree));
	if (!tree)
		return error_set(error, -ENOMEM, "no memory");
	tree->size = size;
	make_shape(leaves_of(size), &tree->shape);
	r = read_nodes(tree, fd, header + 32, error);
	if (r)
		digest_tree_free(tree);
	else
		*result = tree;
	return r;
}

void digest_tree_free(struct digest_tree *tree)
{
	if (tree)
		free(tree->nodes);
	free(tree);
}

uint64_t digest_tree_size(const struct digest_tree *tree)
{
	return tree->size;
}

uint64_t digest_tree_leaves(const struct digest_tree *tree)
{
	return tree->shape.count[0];
}

const uint8_t *digest_tree_leaf(const struct digest_tree *tree, uint64_t i)
{
	return i < tree->shape.count[0] ? tree->nodes + i * DIGEST_SIZE : NULL;
}

void digest_tree_root(const struct digest_tree *tree, char hex[DIGEST_HEX_SIZE])
{
	const uint8_t *root =
		tree->nodes + (tree->shape.nodes - 1) * DIGEST_SIZE;

	hex[0] = '\0';
	for (unsigned i = 0; tree->shape.nodes && i < DIGEST_SIZE; i++)
		snprintf(hex + 2 * i, 3, "%02x", root[i]);
}

/* --- two trees -------------------------------------------------------- */

struct comparison {
	const struct digest_tree *a, *b;
	void (*found)(void *data, uint64_t from, uint64_t to);
	void *data;
	uint64_t from, to; /* found, not yet told; from == to: none */
	uint64_t looked;
};

static void add_range(struct comparison *c, uint64_t from, uint64_t to)
{
	if (c->to != from || c->from == c->to) {
		if (c->from != c->to)
			c->found(c->data, c->from, c->to);
		c->from = from;
	}
	c->to = to;
}

static void compare(struct comparison *c, unsigned level, uint64_t i)
{
	const struct shape *shape = &c->a->shape;
	uint64_t end;

	if (i >= shape->count[level])
		return;
	c->looked++;
	if (!memcmp(node(c->a->nodes, shape, level, i),
		    node(c->b->nodes, shape, level, i), DIGEST_SIZE))
		return;
	if (level) {
		compare(c, level - 1, 2 * i);
		compare(c, level - 1, 2 * i + 1);
		return;
	}
	end = (i + 1) * DIGEST_BLOCK;
	add_range(c, i * DIGEST_BLOCK, end < c->a->size ? end : c->a->size);
}

/* Of different sizes: leaf by leaf, and what only one has. */
static void compare_leaves(struct comparison *c)
{
	uint64_t shorter = c->a->size < c->b->size ? c->a->size : c->b->size;
	uint64_t longer = c->a->size < c->b->size ? c->b->size : c->a->size;
	uint64_t whole = shorter / DIGEST_BLOCK;

	for (uint64_t i = 0; i < whole; i++, c->looked++)
		if (memcmp(digest_tree_leaf(c->a, i), digest_tree_leaf(c->b, i),
			   DIGEST_SIZE))
			add_range(c, i * DIGEST_BLOCK, (i + 1) * DIGEST_BLOCK);
	add_range(c, whole * DIGEST_BLOCK, longer);
}

uint64_t digest_tree_diff(const struct digest_tree *a,
			  const struct digest_tree *b,
			  void (*found)(void *data, uint64_t from, uint64_t to),
			  void *data)
{
	struct comparison c = {.a = a, .b = b, .found = found, .data = data};

	if (a->size != b->size)
		compare_leaves(&c);
	else
		compare(&c, a->shape.levels - 1, 0);
	if (c.from != c.to)
		found(data, c.from, c.to);
	return c.looked;
}

/* --- making one ------------------------------------------------------- */

/*
 * Of so many leaves in the file those before the first that is zero, which no
 * digest is: a power failure may leave the length of a file without its bytes.
 */
static uint64_t written_leaves(int fd, uint64_t leaves)
{
	static const uint8_t nothing[DIGEST_SIZE];
	uint8_t part[512][DIGEST_SIZE];
	uint64_t n = 0;

	while (n < leaves) {
		uint64_t count = leaves - n < 512 ? leaves - n : 512;

		if (!read_all(fd, part, count * DIGEST_SIZE,
			      HEADER + (off_t)n * DIGEST_SIZE))
			return n;
		for (uint64_t i = 0; i < count; i++, n++)
			if (!memcmp(part[i], nothing, DIGEST_SIZE))
				return n;
	}
	return n;
}

/* How many leaves of such a tree the file holds already. */
static uint64_t known_leaves(int fd, uint64_t size)
{
	uint8_t header[HEADER], expected[HEADER];
	off_t end = lseek(fd, 0, SEEK_END);
	uint64_t leaves;

	put_header(expected, size, NULL);
	if (end < HEADER || !read_all(fd, header, HEADER, 0) ||
	    memcmp(header, expected, HEADER))
		return 0;
	leaves = ((uint64_t)end - HEADER) / DIGEST_SIZE;
	return written_leaves(fd, leaves < leaves_of(size) ? leaves
							   : leaves_of(size));
}

static int begin(struct digest_writer *w, struct error *error)
{
	uint8_t header[HEADER];
	int r = 0;

	w->next = known_leaves(w->fd, w->size);
	if (!w->next) {
		put_header(header, w->size, NULL);
		r = write_all(w->fd, header, HEADER, 0, error);
	}
	if (!r && ftruncate(w->fd, HEADER + (off_t)w->next * DIGEST_SIZE))
		r = error_errno(error, errno, "can't write digests");
	return r;
}

int digest_writer_open(struct digest_writer **result, int fd, uint64_t size,
		       uint64_t *next, struct error *error)
{
	struct digest_writer *w = calloc(1, sizeof(*w));
	void *block = calloc(1, DIGEST_BLOCK);
	int r = 0;

	*result = NULL;
	if (w) {
		w->fd = fd;
		w->size = size;
		w->leaves = leaves_of(size);
		w->pending = malloc(FLUSH * DIGEST_SIZE);
		w->context = EVP_MD_CTX_new();
	}
	if (!w || !block || !w->pending || !w->context)
		r = error_set(error, -ENOMEM, "no memory");
	else if (w->leaves > LEAVES_MAX)
		r = error_set(error, -EFBIG, "the disk is too large");
	else if (hash(w->context, block, DIGEST_BLOCK, "", 0, w->zero))
		r = error_set(error, -EIO, "no SHA-256");
	else
		r = begin(w, error);
	free(block);
	if (r) {
		digest_writer_free(w);
		return r;
	}
	*next = w->next;
	*result = w;
	return 0;
}

void digest_writer_free(struct digest_writer *w)
{
	if (!w)
		return;
	EVP_MD_CTX_free(w->context);
	free(w->pending);
	free(w);
}

static int flush(struct digest_writer *w, struct error *error)
{
	uint64_t first = w->next - w->pending_count;
	int r = write_all(w->fd, w->pending,
			  (size_t)w->pending_count * DIGEST_SIZE,
			  HEADER + (off_t)first * DIGEST_SIZE, error);

	w->pending_count = 0;
	return r;
}

int digest_writer_leaf(struct digest_writer *w,
		       const uint8_t digest[DIGEST_SIZE], struct error *error)
{
	if (w->next == w->leaves)
		return error_set(error, -EINVAL, "there are enough leaves");
	memcpy(w->pending + (size_t)w->pending_count++ * DIGEST_SIZE, digest,
	       DIGEST_SIZE);
	w->next++;
	return w->pending_count == FLUSH ? flush(w, error) : 0;
}

int digest_writer_block(struct digest_writer *w, const void *data, size_t size,
			struct error *error)
{
	uint8_t digest[DIGEST_SIZE];

	if (hash(w->context, data, size, "", 0, digest))
		return error_set(error, -EIO, "no SHA-256");
	return digest_writer_leaf(w, digest, error);
}

int digest_writer_zero(struct digest_writer *w, struct error *error)
{
	static const uint8_t zeros[DIGEST_BLOCK];
	uint64_t left = w->size - w->next * DIGEST_BLOCK;

	if (left >= DIGEST_BLOCK)
		return digest_writer_leaf(w, w->zero, error);
	return digest_writer_block(w, zeros, (size_t)left, error);
}

int digest_writer_finish(struct digest_writer *w, struct error *error)
{
	struct shape shape;
	uint8_t header[HEADER], *nodes;
	int r;

	if (w->next != w->leaves)
		return error_set(error, -EINVAL, "leaves are missing");
	r = flush(w, error);
	make_shape(w->leaves, &shape);
	nodes = r ? NULL : malloc(shape.nodes * DIGEST_SIZE + 1);
	if (!r && !nodes)
		r = error_set(error, -ENOMEM, "no memory");
	if (!r && !read_all(w->fd, nodes, w->leaves * DIGEST_SIZE, HEADER))
		r = error_set(error, -EIO, "can't read digests");
	if (!r)
		r = fill_levels(nodes, &shape, error);
	if (!r)
		r = write_all(w->fd, nodes, shape.nodes * DIGEST_SIZE, HEADER,
			      error);
	if (!r && shape.nodes) {
		/* The root last: it says that the rest is there. */
		put_header(header, w->size,
			   nodes + (shape.nodes - 1) * DIGEST_SIZE);
		if (fsync(w->fd))
			r = error_errno(error, errno, "can't sync digests");
		if (!r)
			r = write_all(w->fd, header, HEADER, 0, error);
	}
	if (!r && fsync(w->fd))
		r = error_errno(error, errno, "can't sync digests");
	free(nodes);
	return r;
}
