/* mediavmctl connect, replay and ui: what opens a window. */
#include "daemon/ctl.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool has_display(void)
{
	return getenv("DISPLAY") || getenv("WAYLAND_DISPLAY");
}

static bool has_program(const char *name)
{
	const char *path = getenv("PATH");
	char *folders = strdup(path ? path : "/usr/bin:/bin"), *folder, *file;
	char *rest = folders;
	bool found = false;

	while (!found && (folder = strsep(&rest, ":"))) {
		if (asprintf(&file, "%s/%s", folder, name) < 0)
			continue;
		found = access(file, X_OK) == 0;
		free(file);
	}
	free(folders);
	return found;
}

/* Before a ticket is made: whether a viewer could be started at all. */
static int check_viewer(struct error *error)
{
	if (!has_program("remote-viewer"))
		return error_set(error, ENOENT,
				 "there is no remote-viewer; install "
				 "virt-viewer, or write the viewer's file with "
				 "--vv FILE");
	if (!has_display())
		return error_set(error, ENOTTY,
				 "there is no display here; write the viewer's "
				 "file with --vv FILE and open it where you "
				 "sit");
	return 0;
}

/* A file for us alone; the name is to be freed. NULL: error is set. */
static char *private_file(const char *text, struct error *error)
{
	const char *folder = getenv("XDG_RUNTIME_DIR");
	char *name;
	size_t size = strlen(text);
	int fd;

	if (!folder || access(folder, W_OK) < 0)
		folder = getenv("TMPDIR");
	if (asprintf(&name, "%s/mediavm-XXXXXX.vv", folder ? folder : "/tmp") <
	    0)
		return NULL;
	fd = mkostemps(name, 3, O_CLOEXEC); /* 0600 */
	if (fd >= 0 && write(fd, text, size) == (ssize_t)size && !close(fd))
		return name;
	error_errno(error, errno, "cannot write %s", name);
	if (fd >= 0)
		unlink(name);
	free(name);
	return NULL;
}

/* Becomes remote-viewer, which removes the file when it has read it. */
static int start_viewer(const char *vv, struct error *error)
{
	char *name = private_file(vv, error);

	if (!name)
		return error->code ? error->code
				   : error_set(error, ENOMEM, "no memory");
	fflush(stdout);
	execlp("remote-viewer", "remote-viewer", "--", name, NULL);
	error_errno(error, errno, "cannot start remote-viewer");
	unlink(name);
	free(name);
	return error->code;
}

/* A connection from the daemon: to a file, to stdout, or to a viewer. */
static int deliver(struct ctl *ctl, json_t *connection, struct error *error)
{
	const char *file = ctl_option(ctl, "vv");
	const char *vv = ctl_text(connection, "vv");
	char text[CTL_TEXT_SIZE];
	int result = 0;

	if (file)
		result = ctl_file_write(file, vv, error);
	else if (!ctl->json)
		return start_viewer(vv, error);
	if (result || (file && strcmp(file, "-") == 0))
		return result;
	if (ctl->json && file)
		json_object_set_new(connection, "vv", json_string(file));
	if (ctl->json)
		ctl_print_json(connection);
	else
		ctl_print("%s is written; its ticket works once, until %s",
			  file,
			  ctl_time(ctl_text(connection, "expires_at"), text));
	return 0;
}

/* Asks for a connection, and gives exactly the four members of the API. */
static int request(struct ctl *ctl, const char *format, json_t *body,
		   struct error *error)
{
	static const char *const members[] = {"vv", "host", "tls_port",
					      "expires_at"};
	const char *file = ctl_option(ctl, "vv");
	char *path;
	json_t *answer, *connection;
	unsigned i;
	int result = 0;

	if (ctl->json && file && strcmp(file, "-") == 0)
		result = ctl_usage(error, "--json does not go with a file on "
					  "stdout");
	else if (!file && !ctl->json)
		result = check_viewer(error);
	if (result) {
		json_decref(body);
		return result;
	}
	path = ctl_path(format, ctl->arguments[0]);
	result = ctl_call(ctl, "POST", path, body, &answer, error);
	free(path);
	if (result)
		return result;
	connection = json_object();
	for (i = 0; i < 4; i++)
		json_object_set(connection, members[i],
				json_object_get(answer, members[i]));
	json_decref(answer);
	result = deliver(ctl, connection, error);
	json_decref(connection);
	return result;
}

int ctl_connect(struct ctl *ctl, struct error *error)
{
	json_t *body;

	if (ctl_option(ctl, "browser"))
		return error_set(error, ENOTSUP,
				 "this build shows vaults in remote-viewer "
				 "only; leave --browser out");
	body = json_object();
	if (ctl_option(ctl, "view-only"))
		json_object_set_new(body, "view_only", json_true());
	return request(ctl, "/api/v1/vaults/%s/connect", body, error);
}

int ctl_replay(struct ctl *ctl, struct error *error)
{
	const char *mode = ctl_option(ctl, "mode");
	const char *speed = ctl_option(ctl, "speed");
	double factor = 1;
	char *end = "";
	json_t *body;

	if (mode && strcmp(mode, "wire") != 0 && strcmp(mode, "screen") != 0)
		return ctl_usage(error, "--mode is wire or screen, not \"%s\"",
				 mode);
	if ((mode && strcmp(mode, "screen") == 0) || ctl_option(ctl, "at") ||
	    ctl_option(ctl, "qxl"))
		return error_set(error, ENOTSUP,
				 "this build replays with --mode wire only, "
				 "from the beginning");
	if (!ctl->count)
		return ctl_usage(error, "usage: mediavmctl replay ID "
					"[OPTION...]");
	if (speed)
		factor = strtod(speed, &end);
	if (*end || (speed && !*speed) || !(factor >= 0.01 && factor <= 1000))
		return ctl_usage(error,
				 "--speed is a number from 0.01 to "
				 "1000, not \"%s\"",
				 speed);
	body = json_pack("{s:s,s:f}", "mode", "wire", "speed", factor);
	return request(ctl, "/api/v1/sessions/%s/replay", body, error);
}

int ctl_ui(struct ctl *ctl, struct error *error)
{
	const char *url;
	json_t *link;
	int result = ctl_call(ctl, "POST", "/api/v1/login-links", NULL, &link,
			      error);

	if (result)
		return result;
	url = ctl_text(link, "url");
	if (ctl->json) {
		ctl_print_json(link);
	} else if (!ctl_option(ctl, "print") && has_display() &&
		   has_program("xdg-open")) {
		execlp("xdg-open", "xdg-open", url, NULL);
		result = error_errno(error, errno, "cannot start xdg-open");
	} else {
		ctl_print("%s", url);
	}
	json_decref(link);
	return result;
}
