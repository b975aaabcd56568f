/*
 * A tree of block digests of what a guest sees on a disk.
 *
 * The leaves are the SHA-256 of fixed blocks, so that `dd | sha256sum` gives
 * the same; a node above is the SHA-256 of the byte 1 and its two children (a
 * node without a neighbour goes up as it is). Two trees that differ in few
 * blocks are compared in the logarithm of their size.
 *
 * File, integers little-endian: "MVDIGEST", u32 version 1, u32 block size, u64
 * bytes of the disk, u64 number of leaves, the root; then the leaves, then
 * each level above them up to the root. While it is made, the root is zero
 * and the file ends with the last leaf that is known: so it is resumed.
 */
#ifndef DAEMON_DIGEST_TREE_H
#define DAEMON_DIGEST_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/error.h"

#define DIGEST_SIZE 32
#define DIGEST_BLOCK (256u << 10)
#define DIGEST_HEX_SIZE 65

struct digest_tree;

/*
 * A whole tree. fd stays the caller's and is not needed afterwards. -EBADMSG
 * when its digests do not agree with each other, -ENODATA when it is not
 * finished.
 */
int digest_tree_read(struct digest_tree **tree, int fd, struct error *error);
void digest_tree_free(struct digest_tree *tree);

uint64_t digest_tree_size(const struct digest_tree *tree);   /* of the disk */
uint64_t digest_tree_leaves(const struct digest_tree *tree); /* number */
const uint8_t *digest_tree_leaf(const struct digest_tree *tree, uint64_t i);
void digest_tree_root(const struct digest_tree *tree,
		      char hex[DIGEST_HEX_SIZE]);

/*
 * Calls back for each range of bytes in which they differ, in order; joined
 * when adjacent. Disks of different sizes differ from the shorter one's end.
 * Returns the number of nodes that were looked at.
 */
uint64_t digest_tree_diff(const struct digest_tree *a,
			  const struct digest_tree *b,
			  void (*found)(void *data, uint64_t from, uint64_t to),
			  void *data);

/* Making one, leaf by leaf, in a file. */
struct digest_writer;

/*
 * Begins, or goes on with a file that was not finished: *next is the leaf to
 * be added first. A file of something else is begun anew. fd stays the
 * caller's and is needed until the end.
 */
int digest_writer_open(struct digest_writer **writer, int fd, uint64_t size,
		       uint64_t *next, struct error *error);
void digest_writer_free(struct digest_writer *writer);

/* The block as it is (its whole size; the last may be shorter). */
int digest_writer_block(struct digest_writer *writer, const void *data,
			size_t size, struct error *error);
/* A block of zeros; and one whose digest is known. */
int digest_writer_zero(struct digest_writer *writer, struct error *error);
int digest_writer_leaf(struct digest_writer *writer,
		       const uint8_t digest[DIGEST_SIZE], struct error *error);

/* When every leaf is there: writes the rest, and makes it last (fsync). */
int digest_writer_finish(struct digest_writer *writer, struct error *error);

#endif
