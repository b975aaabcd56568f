/* A machine runs once; see instance.h. */
#include "daemon/instance.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/control.h"
#include "daemon/domain.h"
#include "daemon/folder.h"

static void choose_folder(const struct control *control, char path[PATH_MAX])
{
	const struct config *config = &control->config;
	struct stat st;

	if (config->identity[0]) {
		snprintf(path, PATH_MAX, "%s", config->identity);
		return;
	}
	if (geteuid() == 0) {
		snprintf(path, PATH_MAX, "/run/mediavm-identity");
		return;
	}
	snprintf(path, PATH_MAX, "/run/user/%u", geteuid());
	if (stat(path, &st) == 0 && st.st_uid == geteuid())
		strcat(path, "/mediavm-identity");
	else
		snprintf(path, PATH_MAX, "%s/identity", config->run);
}

static int make_path(const struct control *control, const char *xml,
		     char path[PATH_MAX], struct error *error)
{
	char identity[DOMAIN_IDENTITY_SIZE], folder[PATH_MAX];
	int result = domain_identity(xml, identity, error);

	choose_folder(control, folder);
	if (result == 0)
		result = folder_make(folder, 0700, error);
	if (result == 0 &&
	    snprintf(path, PATH_MAX, "%s/%s.pid", folder, identity) >= PATH_MAX)
		result = error_set(error, ENAMETOOLONG, "%s is too long",
				   folder);
	return result;
}

/* "guest=NAME" of a QEMU's command line; "" when it cannot be read. */
static void guest_name(long pid, char *name, size_t size)
{
	char path[32], line[4096], *found;
	size_t length = 0;
	FILE *file;

	name[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%ld/cmdline", pid);
	file = fopen(path, "re");
	if (!file)
		return;
	length = fread(line, 1, sizeof(line) - 1, file);
	fclose(file);
	line[length] = '\0';
	found = memmem(line, length, "guest=", 6);
	if (found) {
		found[strcspn(found, ",")] = '\0';
		snprintf(name, size, "%s", found + 6);
	}
}

/* QEMU writes its number into the file that it locks. */
static int held(int fd, const char *path, struct error *error)
{
	char text[24] = "", name[128];
	long pid;

	if (pread(fd, text, sizeof(text) - 1, 0) < 0)
		text[0] = '\0';
	pid = strtol(text, NULL, 10);
	guest_name(pid, name, sizeof(name));
	return error_set(error, EBUSY,
			 "the same machine runs on this host already, as "
			 "process %ld%s%s (it holds %s): a machine may run "
			 "once; stop that one first",
			 pid, name[0] ? ", guest " : "", name, path);
}

int instance_file(const struct control *control, const char *xml,
		  char path[PATH_MAX], struct error *error)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd, result;

	path[0] = '\0';
	if (strcmp(control->config.libvirt_uri, "embed") != 0 &&
	    !control->config.identity[0])
		return 0;
	result = make_path(control, xml, path, error);
	if (result < 0)
		return result;
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? 0
				       : error_errno(error, errno,
						     "cannot use %s", path);
	if (fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
		result = held(fd, path, error);
	close(fd);
	return result;
}

void instance_forget(const struct control *control, const char *xml)
{
	char path[PATH_MAX];

	if (instance_file(control, xml, path, NULL) == 0 && path[0])
		unlink(path);
}
