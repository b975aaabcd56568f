/* Asks another libvirt for a definition; see hypervisor_foreign_xml. */
#include "daemon/hypervisor.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/spawn.h"

#define TEXT_MAX (1 << 20)
#define PATIENCE_S 60

/* All of it, with a zero behind; NULL with errno set. */
static char *read_all(int fd)
{
	char *text = malloc(TEXT_MAX);
	size_t size = 0;
	ssize_t n;

	if (!text)
		return NULL;
	while ((n = read(fd, text + size, TEXT_MAX - size)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n > 0 && size + (size_t)n == TEXT_MAX)
			errno = EFBIG;
		if (n < 0 || size + (size_t)n == TEXT_MAX) {
			free(text);
			return NULL;
		}
		size += (size_t)n;
	}
	text[size] = '\0';
	return text;
}

/* The answer, or what went wrong in words; *status as waitpid has it. */
static int ask(const char *uri, const char *domain, char **text, int *status,
	       struct error *error)
{
	const char *const arguments[] = {"definition", uri, domain, NULL};
	struct spawn spawn = {.arguments = arguments, .alarm_s = PATIENCE_S};
	int fds[2], result;
	pid_t pid = -1;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_errno(error, errno, "no pipe");
	spawn.fds[spawn.fd_count++] = fds[1];
	result = spawn_self(&spawn, &pid, error);
	close(fds[1]);
	if (result == 0 && !(*text = read_all(fds[0])))
		result = error_errno(error, errno, "cannot read its answer");
	close(fds[0]);
	if (pid > 0)
		waitpid(pid, status, 0);
	return result;
}

/*
 * libvirt runs what such a URI names, as the user that the daemon has
 * (libvirt.org/uri.html: transport "ext", parameter "command").
 */
static bool names_program(const char *uri)
{
	const char *query = strchr(uri, '?');

	return strcasestr(uri, "+ext") ||
	       (query && (strcasestr(query, "command") || strchr(query, '%')));
}

int hypervisor_foreign_xml(const char *uri, const char *domain, char **xml,
			   struct error *error)
{
	int status = 0, result;

	*xml = NULL;
	if (names_program(uri))
		return error_set(
			error, EINVAL,
			"a libvirt URI may not name a program to run, "
			"nor have %% in its parameters: export the "
			"domain with virsh dumpxml and adopt the file");
	if (strcmp(uri, "embed") == 0 || strstr(uri, "///embed"))
		return error_set(error, EINVAL,
				 "another libvirt such as qemu:///system is "
				 "needed, not %s",
				 uri);
	result = ask(uri, domain, xml, &status, error);
	if (result == 0 && WIFSIGNALED(status))
		result = error_set(error, ETIMEDOUT,
				   "it did not answer within %d s", PATIENCE_S);
	else if (result == 0 && WEXITSTATUS(status))
		result = error_set(error, WEXITSTATUS(status), "%s", *xml);
	if (result == 0)
		return 0;
	free(*xml);
	*xml = NULL;
	error_prefix(error, "libvirt at %s", uri);
	return result;
}
