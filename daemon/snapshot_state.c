/* Firmware variables and TPM state of a snapshot; see snapshot_state.h. */
#include "daemon/snapshot_state.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/control.h"
#include "daemon/digest_files.h"
#include "daemon/disk.h"
#include "daemon/folder.h"

#define MARK "snapshots/.paused"
#define FRESH ".mediavm-new" /* ends the name of a file that is being made */

static void join(const char *folder, const char *name, char path[PATH_MAX])
{
	if (snprintf(path, PATH_MAX, "%s/%s", folder, name) >= PATH_MAX)
		path[0] = '\0';
}

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n >= m && !strcmp(name + n - m, end);
}

/* What belongs to a state: no locks, sockets, logs or halves of files. */
static bool is_state(const struct dirent *entry)
{
	const char *name = entry->d_name;

	return name[0] != '.' && !ends_with(name, FRESH) &&
	       !ends_with(name, ".log") && !ends_with(name, ".part") &&
	       strncmp(name, "TMP", 3);
}

/* Whether there is a file below. */
static bool holds_files(const char *folder)
{
	DIR *list = opendir(folder);
	struct dirent *entry;
	char path[PATH_MAX];
	bool found = false;
	struct stat st;

	while (list && !found && (entry = readdir(list))) {
		if (!is_state(entry))
			continue;
		join(folder, entry->d_name, path);
		if (!lstat(path, &st))
			found = S_ISREG(st.st_mode) ||
				(S_ISDIR(st.st_mode) && holds_files(path));
	}
	if (list)
		closedir(list);
	return found;
}

/* A file takes the other's place, whole. */
static int replace_file(const char *from, const char *to, struct error *error)
{
	char fresh[PATH_MAX];
	struct stat st;
	int r;

	if (snprintf(fresh, sizeof(fresh), "%s" FRESH, to) >= PATH_MAX)
		return error_set(error, -ENAMETOOLONG, "%s is too long", to);
	unlink(fresh);
	r = disk_copy(from, fresh, error);
	if (r)
		return r;
	if (!stat(from, &st) && chmod(fresh, st.st_mode & 0777))
		return error_errno(error, errno, "can't set modes of %s",
				   fresh);
	if (rename(fresh, to))
		return error_errno(error, errno, "can't replace %s", to);
	return 0;
}

static int copy_tree(const char *from, const char *to, struct error *error)
{
	char source[PATH_MAX], target[PATH_MAX];
	struct dirent *entry;
	struct stat st;
	DIR *list = opendir(from);
	int r = 0;

	/* An empty folder was not in the bundle that it came by. */
	if (!list && errno != ENOENT)
		r = error_errno(error, errno, "can't read %s", from);
	if (!r)
		r = folder_make(to, 0700, error);
	while (!r && list && (entry = readdir(list))) {
		if (!is_state(entry))
			continue;
		join(from, entry->d_name, source);
		join(to, entry->d_name, target);
		if (lstat(source, &st))
			r = error_errno(error, errno, "can't read %s", source);
		else if (S_ISDIR(st.st_mode))
			r = copy_tree(source, target, error);
		else if (S_ISREG(st.st_mode))
			r = replace_file(source, target, error);
	}
	if (list)
		closedir(list);
	return r ? r : folder_sync(to, error);
}

/* Removes files that the other folder has not got. */
static int prune(const char *folder, const char *like, struct error *error)
{
	char path[PATH_MAX], other[PATH_MAX];
	struct dirent *entry;
	DIR *list = opendir(folder);
	int r = 0;

	while (!r && list && (entry = readdir(list))) {
		join(like, entry->d_name, other);
		if (!is_state(entry) || !access(other, F_OK))
			continue;
		join(folder, entry->d_name, path);
		r = folder_remove(path, error);
	}
	if (list)
		closedir(list);
	return r ? r : folder_sync(folder, error);
}

static void place_of(struct control *control, const struct vault *vault,
		     const char *name, char place[PATH_MAX])
{
	vault_path(control, vault->uuid, "snapshots", place);
	strncat(place, "/", PATH_MAX - strlen(place) - 1);
	strncat(place, name, PATH_MAX - strlen(place) - 1);
}

static int make_place(struct control *control, const struct vault *vault,
		      const char *name, char place[PATH_MAX],
		      struct error *error)
{
	int r;

	vault_path(control, vault->uuid, "snapshots", place);
	r = folder_make(place, 0700, error);
	place_of(control, vault, name, place);
	if (!r)
		r = folder_remove(place, error);
	return r ? r : folder_make(place, 0700, error);
}

int snapshot_state_save(struct control *control, const struct vault *vault,
			const char *name, struct error *error)
{
	char place[PATH_MAX], from[PATH_MAX], to[PATH_MAX];
	int r = make_place(control, vault, name, place, error);

	if (r)
		return r;
	vault_path(control, vault->uuid, "nvram", from);
	join(place, "nvram", to);
	r = copy_tree(from, to, error);
	if (!r) {
		vault_path(control, vault->uuid, "tpm", from);
		join(place, "tpm", to);
		r = copy_tree(from, to, error);
	}
	if (!r)
		r = digest_files_write(place, error);
	if (!r)
		r = folder_sync(place, error);
	vault_path(control, vault->uuid, "snapshots", place);
	return r ? r : folder_sync(place, error);
}

static int check_place(const char *place, struct error *error)
{
	if (!access(place, F_OK))
		return 0;
	return error_set(error, -EBADMSG,
			 "%s is missing: put it back from a backup of the "
			 "vault",
			 place);
}

/* The first that is found. */
static void take_damage(void *data, const char *name, const char *what)
{
	struct error *first = data;

	if (!first->code)
		error_set(first, -EBADMSG, "%.300s %s", name, what);
}

int snapshot_state_check(struct control *control, const struct vault *vault,
			 const char *name, struct error *error)
{
	char place[PATH_MAX];
	struct error damage = {0};
	int r;

	place_of(control, vault, name, place);
	r = check_place(place, error);
	if (!r)
		r = digest_files_check(place, take_damage, &damage, error);
	if (r == -ENOENT) { /* it has no digests yet */
		error_clear(error);
		return 0;
	}
	if (!r && damage.code)
		r = error_set(error, -EBADMSG,
			      "snapshots/%s/%s since it was made: put it back "
			      "from a backup of the vault",
			      name, damage.text);
	return r;
}

static int put_back(const char *from, const char *to, struct error *error)
{
	int r = copy_tree(from, to, error);

	return r ? r : prune(to, from, error);
}

int snapshot_state_restore(struct control *control, const struct vault *vault,
			   const char *name, struct error *error)
{
	char place[PATH_MAX], from[PATH_MAX], to[PATH_MAX];
	int r;

	place_of(control, vault, name, place);
	r = check_place(place, error);
	join(place, "nvram", from);
	vault_path(control, vault->uuid, "nvram", to);
	if (!r)
		r = put_back(from, to, error);
	join(place, "tpm", from);
	if (r || !holds_files(from))
		return r;
	vault_path(control, vault->uuid, "tpm", to);
	return put_back(from, to, error);
}

int snapshot_state_mark(struct control *control, const struct vault *vault,
			struct error *error)
{
	char path[PATH_MAX];

	vault_path(control, vault->uuid, MARK, path);
	return folder_write(path, "", 0, 0600, error);
}

bool snapshot_state_is_marked(struct control *control,
			      const struct vault *vault)
{
	char path[PATH_MAX];

	vault_path(control, vault->uuid, MARK, path);
	return !access(path, F_OK);
}

void snapshot_state_unmark(struct control *control, const struct vault *vault)
{
	char path[PATH_MAX];

	vault_path(control, vault->uuid, MARK, path);
	unlink(path);
}
