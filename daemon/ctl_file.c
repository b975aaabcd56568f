/* mediavmctl: files of the user, written whole or not at all. */
#include "daemon/ctl.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *ctl_absolute(const char *path)
{
	char *folder, *result;

	if (path[0] == '/' || !path[0])
		return strdup(path);
	folder = get_current_dir_name();
	if (!folder || asprintf(&result, "%s/%s", folder, path) < 0)
		result = NULL;
	free(folder);
	return result;
}

/* The file that is being written; one at a time. */
static char *volatile unfinished;

static void on_signal(int number)
{
	if (unfinished)
		unlink(unfinished);
	signal(number, SIG_DFL);
	raise(number);
}

/* A signal that ends us leaves no half of a file; NULL: as it was. */
static void guard(char *temporary)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

	unfinished = temporary;
	for (unsigned i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		if (signal(signals[i], temporary ? on_signal : SIG_DFL) ==
		    SIG_IGN)
			signal(signals[i], SIG_IGN);
}

static void forget(struct ctl_file *file)
{
	if (file->temporary)
		guard(NULL);
	free(file->path);
	free(file->temporary);
	*file = (struct ctl_file){0};
}

int ctl_file_open(struct ctl_file *file, const char *path, struct error *error)
{
	struct stat st;
	int fd;

	*file = (struct ctl_file){0};
	if (strcmp(path, "-") == 0) {
		file->stream = stdout;
		return 0;
	}
	/* A device or a pipe is written as it is. */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		file->stream = fopen(path, "we");
		if (!file->stream)
			return error_errno(error, errno, "cannot write %s",
					   path);
		return 0;
	}
	file->path = strdup(path);
	if (!file->path || asprintf(&file->temporary, "%s.XXXXXX", path) < 0) {
		file->temporary = NULL;
		forget(file);
		return error_set(error, ENOMEM, "no memory");
	}
	fd = mkostemp(file->temporary, O_CLOEXEC); /* 0600 */
	if (fd >= 0)
		guard(file->temporary);
	file->stream = fd < 0 ? NULL : fdopen(fd, "w");
	if (!file->stream) {
		error_errno(error, errno, "cannot write %s", path);
		if (fd >= 0) {
			close(fd);
			unlink(file->temporary);
		}
		forget(file);
		return error->code;
	}
	return 0;
}

int ctl_file_close(struct ctl_file *file, bool good, struct error *error)
{
	bool is_written = fflush(file->stream) == 0 && !ferror(file->stream);
	int code = errno, result = 0;

	if (good && is_written && file->path && fsync(fileno(file->stream)) < 0)
		is_written = false, code = errno;
	if (file->stream != stdout)
		fclose(file->stream);
	if (good && !is_written)
		result =
			error_errno(error, code ? code : EIO, "cannot write %s",
				    file->path ? file->path : "the output");
	if (file->temporary && good && is_written &&
	    rename(file->temporary, file->path) < 0)
		result = error_errno(error, errno, "cannot write %s",
				     file->path);
	if (file->temporary && (!good || result < 0))
		unlink(file->temporary);
	forget(file);
	return result;
}

int ctl_file_write(const char *path, const char *text, struct error *error)
{
	struct ctl_file file;
	int result = ctl_file_open(&file, path, error);

	if (result < 0)
		return result;
	fputs(text, file.stream);
	return ctl_file_close(&file, true, error);
}
