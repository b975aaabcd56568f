/* A QEMU's files and their manifest; see machine_files.h. */
#include "daemon/machine_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/sha.h>

#include "daemon/folder.h"

#define MANIFEST "manifest.json"
#define MANIFEST_MAX (1 << 20)
#define DEPTH_MAX 3

/* --- one file ---------------------------------------------------------- */

static void to_hex(const uint8_t *bytes, char hex[MACHINE_DIGEST_SIZE])
{
	for (unsigned i = 0; i < SHA256_DIGEST_LENGTH; i++)
		snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
}

static int digest_open(int fd, uint64_t *size, char hex[MACHINE_DIGEST_SIZE])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t *block = malloc(1 << 18), digest[EVP_MAX_MD_SIZE];
	ssize_t n = 0;
	int r = context && block &&
				EVP_DigestInit_ex(context, EVP_sha256(), NULL)
			? 0
			: -ENOMEM;

	*size = 0;
	while (!r && (n = read(fd, block, 1 << 18)) > 0) {
		*size += (uint64_t)n;
		r = EVP_DigestUpdate(context, block, (size_t)n) ? 0 : -ENOMEM;
	}
	if (!r && n < 0)
		r = -errno;
	if (!r)
		r = EVP_DigestFinal_ex(context, digest, NULL) ? 0 : -ENOMEM;
	if (!r)
		to_hex(digest, hex);
	free(block);
	EVP_MD_CTX_free(context);
	return r;
}

/* --- all files --------------------------------------------------------- */

/* What is done with each, by its path below the folder. */
struct walk {
	int (*each)(struct walk *walk, const char *path, int fd,
		    struct error *error);
	json_t *files; /* path to {size, sha256}, or the list that is made */
};

static int is_dots(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

static int walk_folder(struct walk *walk, int fd, const char *at,
		       unsigned depth, struct error *error);

static int walk_entry(struct walk *walk, int parent, const char *at,
		      const char *name, unsigned depth, struct error *error)
{
	char path[PATH_MAX];
	struct stat st;
	int fd, r;

	if (snprintf(path, sizeof(path), "%s%s%s", at, *at ? "/" : "", name) >=
	    (int)sizeof(path))
		return error_set(error, -ENAMETOOLONG, "%s is too long", name);
	if (strcmp(path, MANIFEST) == 0)
		return 0;
	fd = openat(parent, name,
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st)) {
		r = error_errno(error, errno, "can't read %s", path);
		if (fd >= 0)
			close(fd);
		return r;
	}
	if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
		return walk_folder(walk, fd, path, depth + 1, error);
	if (S_ISREG(st.st_mode))
		r = walk->each(walk, path, fd, error);
	else
		r = error_set(error, -EBADMSG, "%s is not a file", path);
	close(fd);
	return r;
}

/* Takes fd. */
static int walk_folder(struct walk *walk, int fd, const char *at,
		       unsigned depth, struct error *error)
{
	DIR *entries = fdopendir(fd);
	const struct dirent *entry;
	int r = 0;

	if (!entries) {
		close(fd);
		return error_set(error, -ENOMEM, "no memory");
	}
	while (!r && (entry = readdir(entries)))
		if (!is_dots(entry->d_name))
			r = walk_entry(walk, fd, at, entry->d_name, depth,
				       error);
	closedir(entries);
	return r;
}

static int walk_all(struct walk *walk, const char *folder, struct error *error)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return error_errno(error, errno, "can't read %s", folder);
	return walk_folder(walk, fd, "", 0, error);
}

/* --- writing ----------------------------------------------------------- */

static int list_file(struct walk *walk, const char *path, int fd,
		     struct error *error)
{
	char hex[MACHINE_DIGEST_SIZE];
	uint64_t size;
	int r = digest_open(fd, &size, hex);

	if (!r && fsync(fd))
		r = -errno;
	if (r)
		return error_errno(error, r, "can't read %s", path);
	json_array_append_new(walk->files,
			      json_pack("{s:s, s:I, s:s}", "path", path, "size",
					(json_int_t)size, "sha256", hex));
	return 0;
}

static int sync_folders(const char *folder, struct error *error)
{
	static const char *const names[] = {"bin", "lib", "modules", "share"};
	char path[PATH_MAX];
	int r = 0;

	for (unsigned i = 0; !r && i < 4; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		if (access(path, F_OK) == 0)
			r = folder_sync(path, error);
	}
	return r ? r : folder_sync(folder, error);
}

static int write_manifest(const char *folder, const json_t *manifest,
			  char digest[MACHINE_DIGEST_SIZE], struct error *error)
{
	char *text = json_dumps(manifest, JSON_INDENT(1));
	uint8_t sum[SHA256_DIGEST_LENGTH];
	char path[PATH_MAX];
	int r;

	if (!text)
		return error_set(error, -ENOMEM, "no memory");
	SHA256((const uint8_t *)text, strlen(text), sum);
	to_hex(sum, digest);
	snprintf(path, sizeof(path), "%s/" MANIFEST, folder);
	r = folder_write(path, text, strlen(text), 0600, error);
	free(text);
	return r;
}

int machine_files_write(const char *folder, json_t *manifest,
			char digest[MACHINE_DIGEST_SIZE], struct error *error)
{
	struct walk walk = {list_file, json_array()};
	int r = walk_all(&walk, folder, error);

	json_object_set_new(manifest, "files", walk.files);
	if (!r)
		r = sync_folders(folder, error);
	return r ? r : write_manifest(folder, manifest, digest, error);
}

/* --- reading ----------------------------------------------------------- */

/* path to file, for look-up; NULL unless every entry is one. */
static json_t *by_path(const json_t *manifest)
{
	const json_t *list = json_object_get(manifest, "files");
	json_t *files = json_object(), *one;
	size_t i;

	json_array_foreach((json_t *)list, i, one)
	{
		const char *path =
			json_string_value(json_object_get(one, "path"));

		if (!path || !json_is_string(json_object_get(one, "sha256")) ||
		    !json_is_integer(json_object_get(one, "size")) ||
		    json_object_get(files, path)) {
			json_decref(files);
			return NULL;
		}
		json_object_set(files, path, one);
	}
	return files;
}

int machine_files_read(const char *folder, json_t **manifest,
		       char digest[MACHINE_DIGEST_SIZE], struct error *error)
{
	static const char *const texts[] = {"qemu", "package", "made_at",
					    "machine"};
	char path[PATH_MAX], *text = NULL;
	uint8_t sum[SHA256_DIGEST_LENGTH];
	bool good;
	int r;

	*manifest = NULL;
	snprintf(path, sizeof(path), "%s/" MANIFEST, folder);
	r = folder_read(path, MANIFEST_MAX, &text, error);
	if (r)
		return r;
	SHA256((const uint8_t *)text, strlen(text), sum);
	to_hex(sum, digest);
	*manifest = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	good = json_integer_value(json_object_get(*manifest, "format")) == 1 &&
	       json_array_size(json_object_get(*manifest, "files")) > 0;
	for (unsigned i = 0; i < 4; i++)
		good = good &&
		       json_is_string(json_object_get(*manifest, texts[i]));
	if (good)
		return 0;
	json_decref(*manifest);
	*manifest = NULL;
	return error_set(error, -EBADMSG,
			 "%s is damaged, or of a later version", path);
}

static int compare_file(struct walk *walk, const char *path, int fd,
			struct error *error)
{
	const json_t *file = json_object_get(walk->files, path);
	char hex[MACHINE_DIGEST_SIZE];
	uint64_t size;
	int r;

	if (!file)
		return error_set(error, -EBADMSG, "%s does not belong to it",
				 path);
	r = digest_open(fd, &size, hex);
	/* The mode may not have come along. */
	if (!r && fchmod(fd, 0700))
		r = -errno;
	if (r)
		return error_errno(error, r, "can't read %s", path);
	if ((json_int_t)size !=
		    json_integer_value(json_object_get(file, "size")) ||
	    strcmp(hex, json_string_value(json_object_get(file, "sha256"))))
		return error_set(error, -EBADMSG, "%s is not as it was made",
				 path);
	json_object_del(walk->files, path);
	return 0;
}

int machine_files_verify(const char *folder, const json_t *manifest,
			 struct error *error)
{
	struct walk walk = {compare_file, by_path(manifest)};
	int r = walk.files
			? walk_all(&walk, folder, error)
			: error_set(error, -EBADMSG, "its manifest is damaged");

	if (!r && json_object_size(walk.files))
		r = error_set(
			error, -EBADMSG, "%s is missing",
			json_object_iter_key(json_object_iter(walk.files)));
	json_decref(walk.files);
	return r;
}

uint64_t machine_files_size(const json_t *manifest)
{
	const json_t *list = json_object_get(manifest, "files");
	uint64_t size = 0;
	json_t *one;
	size_t i;

	json_array_foreach((json_t *)list, i, one)
	{
		size += (uint64_t)json_integer_value(
			json_object_get(one, "size"));
	}
	return size;
}
