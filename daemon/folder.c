/* Folders and whole files. */
#include "daemon/folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int folder_make(const char *path, mode_t mode, struct error *error)
{
	struct stat st;

	if (!mkdir(path, mode))
		return 0;
	if (errno == EEXIST && !stat(path, &st)) {
		if (S_ISDIR(st.st_mode))
			return 0;
		return error_set(error, -ENOTDIR, "%s is not a folder", path);
	}
	return error_errno(error, errno, "can't make the folder %s", path);
}

int folder_make_all(const char *path, mode_t mode, struct error *error)
{
	char part[PATH_MAX];
	int r;

	if (strlen(path) >= sizeof(part))
		return error_set(error, -ENAMETOOLONG, "%s is too long", path);
	strcpy(part, path);
	for (char *slash = part + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		r = folder_make(part, mode, error);
		if (r)
			return r;
		*slash = '/';
	}
	return folder_make(path, mode, error);
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path) && errno != ENOENT ? -1 : 0;
}

int folder_remove(const char *path, struct error *error)
{
	if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) && errno != ENOENT)
		return error_errno(error, errno, "can't remove %s", path);
	return 0;
}

int folder_sync(const char *path, struct error *error)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 || fsync(fd) ? errno : 0;

	if (fd >= 0)
		close(fd);
	return r ? error_errno(error, r, "can't sync %s", path) : 0;
}

static int sync_one(const char *path, const struct stat *st, int type,
		    struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	return type == FTW_D ? folder_sync(path, NULL) : 0;
}

int folder_sync_all(const char *path, struct error *error)
{
	int r = nftw(path, sync_one, 16, FTW_PHYS);

	return r ? error_errno(error, r < -1 ? -r : errno, "can't sync %s",
			       path)
		 : 0;
}

static int write_all(int fd, const char *data, size_t size)
{
	while (size) {
		ssize_t n = write(fd, data, size);

		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0) {
			data += n;
			size -= (size_t)n;
		}
	}
	return 0;
}

int folder_write(const char *path, const void *data, size_t size, mode_t mode,
		 struct error *error)
{
	char part[PATH_MAX], *slash;
	int fd, failed;

	if ((size_t)snprintf(part, sizeof(part), "%s.part", path) >=
	    sizeof(part))
		return error_set(error, -ENAMETOOLONG, "%s is too long", path);
	fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		  mode);
	if (fd < 0)
		return error_errno(error, errno, "can't write %s", part);
	failed = write_all(fd, data, size) || fsync(fd) ? errno : 0;
	close(fd);
	if (!failed && rename(part, path))
		failed = errno;
	if (failed) {
		unlink(part);
		return error_errno(error, failed, "can't write %s", path);
	}
	slash = strrchr(part, '/');
	if (slash && slash > part)
		*slash = '\0';
	return folder_sync(slash ? part : ".", error);
}

void folder_remove_parts(const char *path)
{
	char part[PATH_MAX + 256];
	struct dirent *entry;
	DIR *list = opendir(path);

	while (list && (entry = readdir(list))) {
		const char *end = strrchr(entry->d_name, '.');

		if (!end || strcmp(end, ".part") != 0)
			continue;
		snprintf(part, sizeof(part), "%s/%s", path, entry->d_name);
		unlink(part);
	}
	if (list)
		closedir(list);
}

int folder_read(const char *path, size_t max, char **text, struct error *error)
{
	FILE *file = fopen(path, "re");
	size_t size;

	*text = NULL;
	if (!file)
		return error_errno(error, errno, "can't read %s", path);
	*text = malloc(max + 1);
	size = *text ? fread(*text, 1, max, file) : 0;
	if (!*text || ferror(file) || fgetc(file) != EOF) {
		fclose(file);
		free(*text);
		*text = NULL;
		return error_set(error, -EFBIG,
				 "%s can't be read or is over %zu bytes", path,
				 max);
	}
	fclose(file);
	(*text)[size] = '\0';
	return 0;
}
