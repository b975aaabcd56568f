/*
 * Digests of images, made by several threads, beside those of what qemu-img
 * shows; gone on with, and of images that are cut off. Lists of small files.
 */
#include "daemon/digest_image.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "daemon/digest_files.h"
#include "daemon/folder.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#define MIB (1u << 20)
#define SIZE (40 * MIB + 3 * 512) /* no multiple of a block */

static struct error e;
static char folder[] = "/tmp/mvm-digest.XXXXXX";
static char raw[64], upper[64], packed[64], shown[64];

static void sh(const char *format, ...)
{
	char command[600];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	if (system(command))
		fail_msg("%s", command);
}

/* A raw image, one on top of it that holds pieces, and one that is packed. */
static int make_images(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(raw, sizeof(raw), "%s/raw", folder);
	snprintf(upper, sizeof(upper), "%s/upper", folder);
	snprintf(packed, sizeof(packed), "%s/packed", folder);
	snprintf(shown, sizeof(shown), "%s/shown", folder);
	sh("head -c 9000000 /dev/urandom >%s && truncate -s %u %s", raw, SIZE,
	   raw);
	sh("qemu-io -f raw -c 'write -q -P 5 20M 3M' %s", raw);
	sh("qemu-img create -q -f qcow2 -F raw -b %s %s", raw, upper);
	/* A piece of a block, whole blocks, zeros over data, the end. */
	sh("qemu-io -f qcow2 -c 'write -q -P 7 100k 64k' "
	   "-c 'write -q -P 8 2M 1M' -c 'write -q -z 4M 2M' "
	   "-c 'write -q -P 9 %u 512' %s",
	   SIZE - 512, upper);
	sh("qemu-img convert -c -O qcow2 %s %s", upper, packed);
	return 0;
}

static int remove_images(void **state)
{
	(void)state;
	return folder_remove(folder, NULL);
}

/* What tell is told, and when it shall end it. */
static uint64_t told_done, told_read, end_at;

static int tell(void *data, uint64_t done, uint64_t read, struct error *error)
{
	(void)data;
	told_done = done;
	told_read = read;
	return end_at && done >= end_at
		       ? error_set(error, -ECANCELED, "cancelled")
		       : 0;
}

static struct digest_image image_of(const char *const *paths, unsigned count,
				    const char *format)
{
	return (struct digest_image){.paths = paths,
				     .path_count = count,
				     .format = format,
				     .size = SIZE,
				     .threads = 3,
				     .tell = tell};
}

static struct digest_tree *make(const struct digest_image *image, int *fd)
{
	struct digest_tree *tree;

	*fd = memfd_create("tree", 0);
	assert_int_equal(digest_image_make(image, *fd, &e), 0);
	assert_int_equal(told_done, SIZE);
	assert_int_equal(digest_tree_read(&tree, *fd, &e), 0);
	return tree;
}

/* Each leaf is the SHA-256 of its block, as qemu-img shows it. */
static void is_what_is_seen(const struct digest_tree *tree, const char *path,
			    const char *format)
{
	uint8_t *data, digest[DIGEST_SIZE];
	int fd;

	sh("qemu-img convert -f %s -O raw %s %s", format, path, shown);
	fd = open(shown, O_RDONLY);
	data = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_true(data != MAP_FAILED);
	assert_int_equal(digest_tree_leaves(tree),
			 (SIZE + DIGEST_BLOCK - 1) / DIGEST_BLOCK);
	for (uint64_t i = 0; i < digest_tree_leaves(tree); i++) {
		uint64_t at = i * DIGEST_BLOCK;
		size_t n = SIZE - at < DIGEST_BLOCK ? SIZE - at : DIGEST_BLOCK;

		SHA256(data + at, n, digest);
		assert_memory_equal(digest_tree_leaf(tree, i), digest,
				    DIGEST_SIZE);
	}
	munmap(data, SIZE);
	close(fd);
}

static void layers_are_what_qemu_shows(void **state)
{
	const char *const lower_paths[] = {raw}, *const paths[] = {upper, raw};
	struct digest_image lower = image_of(lower_paths, 1, "raw");
	struct digest_image above = image_of(paths, 2, "qcow2");
	struct digest_tree *below, *alone, *on_top;
	uint64_t all;
	int fds[3];

	(void)state;
	below = make(&lower, &fds[0]);
	is_what_is_seen(below, raw, "raw");
	alone = make(&above, &fds[1]);
	all = told_read;
	is_what_is_seen(alone, upper, "qcow2");
	above.below = below;
	above.from_medium = true;
	on_top = make(&above, &fds[2]);
	is_what_is_seen(on_top, upper, "qcow2");
	/* What it has from below was not read. */
	assert_true(told_read < 3 * MIB && told_read < all);
	digest_tree_free(below);
	digest_tree_free(alone);
	digest_tree_free(on_top);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
}

static void packed_is_what_qemu_shows(void **state)
{
	const char *const paths[] = {packed};
	const struct digest_image image = image_of(paths, 1, "qcow2");
	struct digest_tree *tree;
	int fd;

	(void)state;
	tree = make(&image, &fd);
	is_what_is_seen(tree, packed, "qcow2");
	digest_tree_free(tree);
	close(fd);
}

static void goes_on(void **state)
{
	const char *const paths[] = {raw};
	const struct digest_image image = image_of(paths, 1, "raw");
	int fd = memfd_create("tree", 0);
	struct digest_tree *tree;

	(void)state;
	end_at = 8 * MIB;
	assert_int_equal(digest_image_make(&image, fd, &e), -ECANCELED);
	assert_int_equal(digest_tree_read(&tree, fd, &e), -ENODATA);
	end_at = 0;
	assert_int_equal(digest_image_make(&image, fd, &e), 0);
	/* About 12 MiB of data in all, of which 4 at least were done. */
	assert_true(told_read < 9 * MIB);
	assert_int_equal(digest_tree_read(&tree, fd, &e), 0);
	is_what_is_seen(tree, raw, "raw");
	digest_tree_free(tree);
	close(fd);
}

static uint64_t differs_from;

static void differs(void *data, uint64_t from, uint64_t to)
{
	(void)data;
	(void)to;
	if (!differs_from)
		differs_from = from;
}

/* QEMU shows zeros where a file ends too early. */
static void cut_images_differ(void **state)
{
	char cut[64];
	const char *const paths[] = {upper, raw}, *const other[] = {cut, raw};
	struct digest_image image = image_of(paths, 2, "qcow2");
	struct digest_tree *whole, *less;
	int fds[2];

	(void)state;
	snprintf(cut, sizeof(cut), "%s/cut", folder);
	sh("cp %s %s && truncate -s 900k %s", upper, cut, cut);
	whole = make(&image, &fds[0]);
	image.paths = other;
	less = make(&image, &fds[1]);
	is_what_is_seen(less, cut, "qcow2");
	digest_tree_diff(whole, less, differs, NULL);
	assert_true(differs_from >= 2 * MIB && differs_from < 3 * MIB);
	unlink(cut);
	assert_int_equal(digest_image_make(&image, fds[0], &e), -ENOENT);
	assert_non_null(strstr(e.text, cut));
	digest_tree_free(whole);
	digest_tree_free(less);
	close(fds[0]);
	close(fds[1]);
}

/* --- small files ------------------------------------------------------- */

static char findings[400];

static void found(void *data, const char *name, const char *what)
{
	size_t n = strlen(findings);

	(void)data;
	snprintf(findings + n, sizeof(findings) - n, "%s %s;", name, what);
}

static void put(const char *root, const char *name, const char *text)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	assert_int_equal(folder_write(path, text, strlen(text), 0600, &e), 0);
}

static int check(const char *root)
{
	findings[0] = '\0';
	return digest_files_check(root, found, NULL, &e);
}

static void lists_of_files(void **state)
{
	char root[64], below[80];

	(void)state;
	snprintf(root, sizeof(root), "%s/files", folder);
	snprintf(below, sizeof(below), "%s/tpm", root);
	assert_int_equal(folder_make_all(below, 0700, &e), 0);
	assert_int_equal(check(root), -ENOENT);
	put(root, "a", "a");
	put(root, "tpm/key", "key");
	put(root, "tpm/key2", "key2");
	assert_int_equal(digest_files_write(root, &e), 0);
	assert_int_equal(check(root), 0);
	assert_string_equal(findings, "");
	sh("cd %s && sha256sum --quiet -c files.sha256", root);
	put(root, "a", "b");
	put(root, "tpm/other", "other");
	sh("rm %s/tpm/key2", root);
	assert_int_equal(check(root), 0);
	assert_string_equal(findings,
			    "a has changed;tpm/other was not there before;"
			    "tpm/key2 is missing;");
	put(root, "files.sha256", "0123 a\n");
	assert_int_equal(check(root), -EBADMSG);
	put(root, "files.sha256", "");
	assert_int_equal(check(root), 0);
	assert_non_null(strstr(findings, "tpm/key was not there before"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layers_are_what_qemu_shows),
		cmocka_unit_test(packed_is_what_qemu_shows),
		cmocka_unit_test(goes_on),
		cmocka_unit_test(cut_images_differ),
		cmocka_unit_test(lists_of_files),
	};

	return cmocka_run_group_tests(tests, make_images, remove_images);
}
