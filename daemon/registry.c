/* The host's registry; see registry.h. */
#include "daemon/registry.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "daemon/config.h"
#include "daemon/folder.h"
#include "daemon/units.h"

#define NAME "mediavm-registry"

static const char *home(void)
{
	const char *path = getenv("HOME");
	const struct passwd *user;

	if (path && path[0] == '/')
		return path;
	user = getpwuid(geteuid());
	return user && user->pw_dir ? user->pw_dir : "";
}

static int prepare(struct registry *registry, const struct config *config,
		   struct error *error)
{
	const char *state = getenv("XDG_STATE_HOME");
	char *path = registry->folder;
	int n;

	memset(registry, 0, sizeof(*registry));
	registry->lock = -1;
	if (gethostname(registry->host_name, sizeof(registry->host_name) - 1))
		strcpy(registry->host_name, "?");
	if (config->registry[0])
		n = snprintf(path, PATH_MAX, "%s", config->registry);
	else if (geteuid() == 0)
		n = snprintf(path, PATH_MAX, "/var/lib/" NAME);
	else if (state && state[0] == '/')
		n = snprintf(path, PATH_MAX, "%s/" NAME, state);
	else
		n = snprintf(path, PATH_MAX, "%s/.local/state/" NAME, home());
	if (n >= PATH_MAX || path[0] != '/')
		return error_set(error, -EINVAL,
				 "the registry's folder \"%.80s\" is not an "
				 "absolute path: set registry in [daemon]",
				 path);
	return 0;
}

static int file_in(const struct registry *registry, const char *name,
		   char path[PATH_MAX], struct error *error)
{
	if (snprintf(path, PATH_MAX, "%s/%s", registry->folder, name) >=
	    PATH_MAX)
		return error_set(error, -ENAMETOOLONG, "%.80s… is too long",
				 registry->folder);
	return 0;
}

static int read_id(struct registry *registry, struct error *error)
{
	char path[PATH_MAX], *text;
	int r = file_in(registry, "id", path, error);

	if (!r)
		r = folder_read(path, LEASE_TOKEN_SIZE, &text, error);
	if (r && r != -EFBIG)
		return r;
	if (!r)
		text[strcspn(text, "\n")] = '\0';
	if (!r && strlen(text) == LEASE_TOKEN_SIZE - 1)
		strcpy(registry->id, text);
	else
		r = error_set(error, -EBADMSG,
			      "%s is damaged: put it back from a backup, or "
			      "remove it, and then say of each vault that it "
			      "is the one copy (mediavmctl vault restore)",
			      path);
	free(text);
	return r;
}

static int make_id(struct registry *registry, struct error *error)
{
	char path[PATH_MAX], text[LEASE_TOKEN_SIZE + 1];
	int r = file_in(registry, "id", path, error);

	if (r)
		return r;
	units_random_text(text, 16);
	strcat(text, "\n");
	r = folder_write(path, text, strlen(text), 0600, error);
	return r ? r : read_id(registry, error);
}

int registry_look(struct registry *registry, const struct config *config,
		  struct error *error)
{
	int r = prepare(registry, config, error);

	return r ? r : read_id(registry, error);
}

static int take_lock(struct registry *registry, struct error *error)
{
	char path[PATH_MAX];
	int r = file_in(registry, "lock", path, error);

	if (r)
		return r;
	registry->lock =
		open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (registry->lock < 0)
		return error_errno(error, errno, "can't write %s", path);
	while (!r && flock(registry->lock, LOCK_EX))
		if (errno != EINTR)
			r = error_errno(error, errno, "can't lock %s", path);
	return r;
}

int registry_lock(struct registry *registry, const struct config *config,
		  struct error *error)
{
	int r = prepare(registry, config, error);

	if (!r)
		r = folder_make_all(registry->folder, 0700, error);
	if (!r)
		r = take_lock(registry, error);
	if (!r)
		r = read_id(registry, error);
	if (r == -ENOENT) {
		error_clear(error);
		r = make_id(registry, error);
	}
	if (r) {
		registry_unlock(registry);
		error_prefix(error, "the host's registry of machines that "
				    "ran here (registry in [daemon])");
	}
	return r;
}

void registry_unlock(struct registry *registry)
{
	if (registry->lock >= 0)
		close(registry->lock);
	registry->lock = -1;
}

static int entry_path(const struct registry *registry, const char *identity,
		      char path[PATH_MAX], struct error *error)
{
	char name[DOMAIN_IDENTITY_SIZE + 8];

	snprintf(name, sizeof(name), "%s.json", identity);
	return file_in(registry, name, path, error);
}

int registry_read(const struct registry *registry, const char *identity,
		  struct lease *lease, struct error *error)
{
	char path[PATH_MAX];
	int r = entry_path(registry, identity, path, error);

	memset(lease, 0, sizeof(*lease));
	return r ? r : lease_file_read(path, lease, error);
}

int registry_write(const struct registry *registry, const struct lease *lease,
		   struct error *error)
{
	char path[PATH_MAX];
	int r = entry_path(registry, lease->identity, path, error);

	return r ? r : lease_file_write(path, lease, error);
}
