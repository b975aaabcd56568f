/* The root folder of libvirt's embedded driver; see hypervisor_root.h. */
#include "daemon/hypervisor_root.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/hypervisor_left.h"

/*
 * QEMU's output goes to a file below the root rather than to virtlogd, and
 * libvirt touches nobody's files, cgroups or mounts: QEMU runs as the user
 * that we are, on files that are ours already. (libvirt names its users
 * "+NUMBER" where a name would be looked up.)
 */
static const char common[] = "# Written by mediavmd at each start.\n"
			     "stdio_handler = \"file\"\n"
			     "security_driver = \"none\"\n"
			     "namespaces = []\n"
			     "cgroup_controllers = []\n";

static int write_configuration(int fd, const char *lock_manager)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (dprintf(fd, "%s", common) < 0)
		return -errno;
	if (lock_manager && *lock_manager &&
	    dprintf(fd, "lock_manager = \"%s\"\n", lock_manager) < 0)
		return -errno;
	if (uid != 0)
		return 0;
	if (dprintf(fd,
		    "user = \"+%u\"\ngroup = \"+%u\"\n"
		    "swtpm_user = \"+%u\"\nswtpm_group = \"+%u\"\n"
		    "dynamic_ownership = 0\nremember_owner = 0\n",
		    uid, gid, uid, gid) < 0)
		return -errno;
	return 0;
}

static int make_folder(const char *path, struct error *error)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return error_errno(error, errno, "cannot make the folder %s",
				   path);
	return 0;
}

/* root is of a checked length. */
static int write_file(const char *root, const char *lock_manager,
		      struct error *error)
{
	char path[HYPERVISOR_ROOT_MAX + 32], draft[sizeof(path)];
	int fd, result;

	snprintf(path, sizeof(path), "%.*s/etc", HYPERVISOR_ROOT_MAX, root);
	result = make_folder(path, error);
	if (result < 0)
		return result;
	snprintf(path, sizeof(path), "%.*s/etc/qemu.conf", HYPERVISOR_ROOT_MAX,
		 root);
	snprintf(draft, sizeof(draft), "%.*s/etc/qemu.conf.new",
		 HYPERVISOR_ROOT_MAX, root);
	fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_errno(error, errno, "cannot write %s", draft);
	result = write_configuration(fd, lock_manager);
	if (close(fd) < 0 && result == 0)
		result = -errno;
	if (result == 0 && rename(draft, path) < 0)
		result = -errno;
	if (result < 0)
		return error_errno(error, result, "cannot write %s", path);
	return 0;
}

/* The URI; every byte of the path that is not plain is percent-encoded. */
static char *make_uri(const char *path)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789/._-";
	static const char start[] = "qemu:///embed?root=";
	char *uri = malloc(sizeof(start) + 3 * strlen(path)), *p;

	if (!uri)
		return NULL;
	p = stpcpy(uri, start);
	for (; *path; path++)
		if (strchr(plain, *path))
			*p++ = *path;
		else
			p += sprintf(p, "%%%02X", (unsigned char)*path);
	*p = '\0';
	return uri;
}

static int check_length(const char *path, struct error *error)
{
	if (strlen(path) <= HYPERVISOR_ROOT_MAX)
		return 0;
	return error_set(error, ENAMETOOLONG,
			 "the path %s is %zu bytes long; libvirt puts sockets "
			 "below it, so at most %d are possible: choose a "
			 "shorter state folder",
			 path, strlen(path), HYPERVISOR_ROOT_MAX);
}

/*
 * libvirt's warnings go to a file: it would print them to stderr. A path that
 * libvirt's list of outputs cannot hold leaves them there.
 */
static int move_log(const char *root, struct error *error)
{
	char path[HYPERVISOR_ROOT_MAX + 48];
	int result;

	snprintf(path, sizeof(path), "%.*s/log", HYPERVISOR_ROOT_MAX, root);
	result = make_folder(path, error);
	if (result < 0 || strpbrk(root, " :"))
		return result;
	snprintf(path, sizeof(path), "3:file:%.*s/log/libvirt.log",
		 HYPERVISOR_ROOT_MAX, root);
	if (setenv("LIBVIRT_LOG_OUTPUTS", path, 0) < 0)
		return error_set(error, ENOMEM, "out of memory");
	return 0;
}

/*
 * The driver of a user keeps some files in that user's own folders, which a
 * service has not got: they go below the root too.
 */
static int move_user_folders(const char *root, struct error *error)
{
	static const char *const names[] = {
		"XDG_RUNTIME_DIR",
		"XDG_CACHE_HOME",
		"XDG_CONFIG_HOME",
	};
	char path[HYPERVISOR_ROOT_MAX + 32];
	int result;

	snprintf(path, sizeof(path), "%.*s/user", HYPERVISOR_ROOT_MAX, root);
	result = make_folder(path, error);
	for (size_t i = 0; result == 0 && i < 3; i++)
		if (setenv(names[i], path, 1) < 0)
			result = error_set(error, ENOMEM, "out of memory");
	return result;
}

/* libvirt resolves this name before it has read its configuration. */
static int check_user(struct error *error)
{
	if (getpwnam("libvirt-qemu") && getgrnam("libvirt-qemu"))
		return 0;
	return error_set(error, ENOENT,
			 "as root, libvirt wants the user libvirt-qemu to "
			 "exist; make it (useradd --system --user-group "
			 "--no-create-home --shell /usr/sbin/nologin "
			 "libvirt-qemu) or run mediavmd as another user");
}

int hypervisor_root_prepare(const char *root, const char *lock_manager,
			    char **uri, struct error *error)
{
	char path[PATH_MAX];
	int result = make_folder(root, error);

	*uri = NULL;
	if (result < 0)
		return result;
	if (!realpath(root, path))
		return error_errno(error, errno, "cannot use the folder %s",
				   root);
	result = check_length(path, error);
	if (result < 0)
		return result;
	result = hypervisor_left_clean(path, error);
	if (result == 0)
		result = write_file(path, lock_manager, error);
	if (result == 0)
		result = move_log(path, error);
	if (result == 0)
		result = geteuid() == 0 ? check_user(error)
					: move_user_folders(path, error);
	if (result < 0)
		return result;
	*uri = make_uri(path);
	return *uri ? 0 : error_set(error, ENOMEM, "out of memory");
}

/* What libvirt would do itself, for others to pass through. */
static int make_tpm_folders(const char *root, char *path, size_t size,
			    struct error *error)
{
	static const char *const names[] = {"lib", "lib/swtpm"};

	for (size_t i = 0; i < 2; i++) {
		snprintf(path, size, "%s/%s", root, names[i]);
		if (mkdir(path, 0711) < 0 && errno != EEXIST)
			return error_errno(error, errno,
					   "cannot make the folder %s", path);
	}
	return 0;
}

int hypervisor_root_place_tpm(const char *root, const char *uuid,
			      const char *folder, struct error *error)
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t length;
	int result = make_tpm_folders(root, path, sizeof(path), error);

	if (result < 0)
		return result;
	snprintf(path, sizeof(path), "%s/lib/swtpm/%s", root, uuid);
	length = readlink(path, target, sizeof(target) - 1);
	if (length >= 0) {
		target[length] = '\0';
		if (strcmp(target, folder) == 0)
			return 0;
		if (unlink(path) < 0)
			return error_errno(error, errno, "cannot remove %s",
					   path);
	} else if (errno == EINVAL && rename(path, folder) < 0) {
		if (errno == EEXIST || errno == ENOTEMPTY)
			return error_set(error, EEXIST,
					 "there is TPM state in %s and in %s; "
					 "move the wrong one away",
					 path, folder);
		return error_errno(error, errno, "cannot move %s to %s", path,
				   folder);
	}
	if (symlink(folder, path) < 0)
		return error_errno(error, errno, "cannot make the link %s",
				   path);
	return 0;
}

static int open_process(const char *folder, const char *file)
{
	char path[PATH_MAX];
	int pid = 0, fd = -1;
	FILE *in;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	in = fopen(path, "re");
	if (!in)
		return -1;
	if (fscanf(in, "%d", &pid) == 1 && pid > 1)
		fd = (int)syscall(SYS_pidfd_open, pid, 0);
	fclose(in);
	return fd;
}

/* The TPM's is called by the guest's number and 20 bytes of its name. */
void hypervisor_root_processes(const char *root, const char *name, int fds[2])
{
	char folder[PATH_MAX], file[PATH_MAX];
	const struct dirent *entry;
	size_t length, end;
	DIR *entries;

	snprintf(folder, sizeof(folder), "%s/run/qemu", root);
	snprintf(file, sizeof(file), "%.100s.pid", name);
	fds[0] = open_process(folder, file);
	fds[1] = -1;
	snprintf(folder, sizeof(folder), "%s/run/swtpm", root);
	snprintf(file, sizeof(file), "-%.20s-swtpm.pid", name);
	length = strlen(file);
	entries = opendir(folder);
	while (entries && fds[1] < 0 && (entry = readdir(entries))) {
		end = strlen(entry->d_name);
		if (end > length &&
		    strcmp(entry->d_name + end - length, file) == 0)
			fds[1] = open_process(folder, entry->d_name);
	}
	if (entries)
		closedir(entries);
}
