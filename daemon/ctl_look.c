/*
 * mediavmctl session dump, frame and export --stats: a look into a recording
 * of the catalogue, through the daemon, or into a capture file, without one.
 *
 * A file's bytes were made by somebody else. They are read by the same
 * process that the daemon reads them in, `mediavmd job`, with the same
 * limits.
 */
#include "daemon/ctl.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/job_process.h"
#include "daemon/look.h"

#define MEMORY 1024 /* MiB */
#define CPU_SECONDS (24 * 3600)

bool ctl_is_file(const char *argument)
{
	return strchr(argument, '/') || access(argument, F_OK) == 0;
}

/* mediavmd, as it is built or installed with this program. */
static int find_daemon(char path[PATH_MAX], struct error *error)
{
	static const char *const places[] = {"mediavmd", "../sbin/mediavmd"};
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[n < 0 ? 0 : n] = '\0';
	for (unsigned i = 0; n > 0 && i < 2; i++) {
		char folder[PATH_MAX];

		strcpy(folder, self);
		if (snprintf(path, PATH_MAX, "%s/%s", dirname(folder),
			     places[i]) < PATH_MAX &&
		    access(path, X_OK) == 0)
			return 0;
	}
	return error_set(error, ENOENT,
			 "mediavmd, which reads captures, is not beside "
			 "mediavmctl; install both in one prefix");
}

/* Runs a job on a file; its result goes to `output`. */
static int run_job(const char *kind, const char *file, const char *look,
		   int output, struct error *error)
{
	char program[PATH_MAX], note[JOB_NOTE_SIZE];
	struct job_start start = {
		.kind = kind,
		.look = look,
		.program = program,
		.session = "file",
		.input = open(file, O_RDONLY | O_CLOEXEC),
		.output = output,
		.memory = MEMORY,
		.cpu = CPU_SECONDS,
		.dies_with_us = true,
	};
	struct job_process process;
	int result;

	if (start.input < 0)
		return error_errno(error, errno, "cannot read %s", file);
	result = find_daemon(program, error);
	if (!result)
		result = job_process_start(&process, &start, error);
	close(start.input);
	if (!result && output == STDOUT_FILENO)
		ctl_print_begun();
	if (!result)
		result = job_process_follow(&process, NULL, NULL, note, error);
	return result;
}

/* The same of a session of the catalogue. */
static int download(struct ctl *ctl, const char *kind, const char *look,
		    FILE *to, struct error *error)
{
	char *path = ctl_path("/api/v1/sessions/%s/%s", ctl->arguments[0],
			      kind),
	     *whole = NULL;
	int result;

	if (!path ||
	    asprintf(&whole, "%s%s%s", path, look[0] ? "?" : "", look) < 0)
		whole = NULL;
	result = whole ? ctl_download(ctl, whole, to, kind, error)
		       : error_set(error, ENOMEM, "no memory");
	free(path);
	free(whole);
	return result;
}

/* What is asked for, from whichever it is, into a file of the user. */
static int fetch(struct ctl *ctl, const char *kind, const char *look,
		 const char *name, struct error *error)
{
	struct error ignored = {0};
	struct ctl_file file;
	int result = ctl_file_open(&file, name, error);

	if (result)
		return result;
	if (ctl_is_file(ctl->arguments[0]))
		result = run_job(kind, ctl->arguments[0], look,
				 fileno(file.stream), error);
	else
		result = download(ctl, kind, look, file.stream, error);
	if (result)
		ctl_file_close(&file, false, &ignored);
	else
		result = ctl_file_close(&file, true, error);
	return result;
}

/* Options into the text of look.h; flags stand for 1. */
static int read_options(const struct ctl *ctl, const char *const names[],
			char look[LOOK_SIZE], struct error *error)
{
	struct look meaning;
	int result = 0;

	look[0] = '\0';
	for (unsigned i = 0; !result && names[i]; i++) {
		const char *value = ctl_option(ctl, names[i]);

		if (value && !*value && strcmp(names[i], "at") != 0)
			value = "1";
		result = look_add(look, names[i], value, error);
	}
	if (!result)
		result = look_read(&meaning, look, error);
	return result ? CTL_USAGE : 0;
}

int ctl_session_dump(struct ctl *ctl, struct error *error)
{
	static const char *const names[] = {"channel", "from",     "to",
					    "hex",     "contents", NULL};
	char look[LOOK_SIZE];
	int result = read_options(ctl, names, look, error);

	if (!result && ctl->json)
		result = look_add(look, "json", "1", error);
	return result ? result : fetch(ctl, "dump", look, "-", error);
}

int ctl_session_frame(struct ctl *ctl, struct error *error)
{
	static const char *const names[] = {"at", "monitor", NULL};
	const char *file = ctl_option(ctl, "o");
	char look[LOOK_SIZE];
	json_t *done;
	int result = read_options(ctl, names, look, error);

	if (result)
		return result;
	if (!file || (ctl->json && strcmp(file, "-") == 0))
		return ctl_usage(error, file ? "--json does not go with -o -"
					     : "give the picture's file with "
					       "-o FILE; - is stdout");
	if (ctl_option(ctl, "no-cursor"))
		result = look_add(look, "cursor", "0", error);
	if (!result)
		result = fetch(ctl, "frame", look, file, error);
	if (!result && ctl->json) {
		done = json_pack("{s:s}", "file", file);
		ctl_print_json(done);
		json_decref(done);
	} else if (!result && strcmp(file, "-") != 0) {
		ctl_print("%s is written", file);
	}
	return result;
}

int ctl_look_stats(struct ctl *ctl, json_t **stats, struct error *error)
{
	const char *name = ctl->arguments[0];
	char *path;
	int fd, result;

	if (!ctl_is_file(name)) {
		path = ctl_path("/api/v1/sessions/%s/stats", name);
		result = ctl_call(ctl, "GET", path, NULL, stats, error);
		free(path);
		return result;
	}
	fd = memfd_create("stats", MFD_CLOEXEC);
	if (fd < 0)
		return error_errno(error, errno, "no memory");
	result = run_job("stats", name, "", fd, error);
	lseek(fd, 0, SEEK_SET);
	*stats = result ? NULL : json_loadfd(fd, 0, NULL);
	close(fd);
	if (!result && !*stats)
		result = error_set(error, EBADMSG, "%s gave no statistics",
				   name);
	return result;
}
