/* Trees of block digests: made, resumed, compared, damaged. */
#include "daemon/digest_tree.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#define BLOCKS 1000
#define SIZE ((uint64_t)BLOCKS * DIGEST_BLOCK - 512)

static struct error e;

/* Leaves that say their number; `odd` is another one. Stops at `end`. */
static void write_leaves(int fd, uint64_t odd, uint64_t end)
{
	struct digest_writer *w;
	uint64_t next;

	assert_int_equal(digest_writer_open(&w, fd, SIZE, &next, &e), 0);
	for (; next < end; next++) {
		uint8_t leaf[DIGEST_SIZE] = {0};

		memcpy(leaf, &next, sizeof(next));
		leaf[30] = 1; /* no digest is zero */
		leaf[31] = next == odd;
		assert_int_equal(digest_writer_leaf(w, leaf, &e), 0);
	}
	if (end == BLOCKS)
		assert_int_equal(digest_writer_finish(w, &e), 0);
	digest_writer_free(w);
}

static struct digest_tree *make(uint64_t odd)
{
	int fd = memfd_create("tree", 0);
	struct digest_tree *tree;

	write_leaves(fd, odd, BLOCKS);
	assert_int_equal(digest_tree_read(&tree, fd, &e), 0);
	close(fd);
	return tree;
}

static uint64_t ranges[3];

static void found(void *data, uint64_t from, uint64_t to)
{
	(void)data;
	ranges[0]++;
	ranges[1] = from;
	ranges[2] = to;
}

static void finds_a_block_in_few_steps(void **state)
{
	struct digest_tree *a = make(BLOCKS), *b = make(777);
	uint64_t looked;

	(void)state;
	assert_int_equal(digest_tree_diff(a, a, found, NULL), 1);
	assert_int_equal(ranges[0], 0);
	looked = digest_tree_diff(a, b, found, NULL);
	assert_true(looked > 0 && looked < 30);
	assert_int_equal(ranges[0], 1);
	assert_int_equal(ranges[1], 777ull * DIGEST_BLOCK);
	assert_int_equal(ranges[2], 778ull * DIGEST_BLOCK);
	digest_tree_free(a);
	digest_tree_free(b);
}

static void notices_damage(void **state)
{
	int fd = memfd_create("tree", 0);
	struct digest_tree *tree;
	uint8_t byte = 1;

	(void)state;
	write_leaves(fd, BLOCKS, 10);
	assert_int_equal(digest_tree_read(&tree, fd, &e), -ENODATA);
	write_leaves(fd, BLOCKS, BLOCKS);
	assert_int_equal(pwrite(fd, &byte, 1, 64 + 20), 1);
	assert_int_equal(digest_tree_read(&tree, fd, &e), -EBADMSG);
	close(fd);
}

/* The file has grown, and the power failed before its bytes were there. */
static void goes_on_before_what_was_not_written(void **state)
{
	static const uint8_t zeros[100 * DIGEST_SIZE];
	struct digest_tree *tree, *whole = make(BLOCKS);
	int fd = memfd_create("tree", 0);
	char is[DIGEST_HEX_SIZE], should[DIGEST_HEX_SIZE];

	(void)state;
	write_leaves(fd, BLOCKS, 800);
	assert_int_equal(
		pwrite(fd, zeros, sizeof(zeros), 64 + 700 * DIGEST_SIZE),
		sizeof(zeros));
	write_leaves(fd, BLOCKS, BLOCKS);
	assert_int_equal(digest_tree_read(&tree, fd, &e), 0);
	digest_tree_root(tree, is);
	digest_tree_root(whole, should);
	assert_string_equal(is, should);
	digest_tree_free(tree);
	digest_tree_free(whole);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_a_block_in_few_steps),
		cmocka_unit_test(notices_damage),
		cmocka_unit_test(goes_on_before_what_was_not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
