/* QMP with a QEMU that has no machine; see machine_qemu.h. */
#include "daemon/machine_qemu.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/spawn.h"

#define SECONDS 30

struct machine_qemu {
	char name[200];
	pid_t pid;
	FILE *socket;
};

static int gone(const struct machine_qemu *qemu, struct error *error)
{
	return error_set(error, -EPIPE,
			 "%s does not answer: it is no QEMU, or it lacks "
			 "something that it needs (--version may tell)",
			 qemu->name);
}

static int spawn(struct machine_qemu *qemu, const char *emulator, int fd,
		 struct error *error)
{
	static const char *const arguments[] = {
		"-machine",           "none", "-nodefaults", "-no-user-config",
		"-display",           "none", "-S",          "-chardev",
		"socket,id=qmp,fd=3", "-qmp", "chardev:qmp", NULL};
	struct spawn start = {.program = emulator,
			      .arguments = arguments,
			      .fds = {fd},
			      .fd_count = 1,
			      .dies_with_us = true,
			      .alarm_s = SECONDS};
	int r;

	/* It warns of whatever it lacks. */
	start.output = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (start.output < 0)
		return error_errno(error, errno, "can't open /dev/null");
	r = spawn_self(&start, &qemu->pid, error);
	close(start.output);
	return r;
}

int machine_qemu_start(const char *emulator, struct machine_qemu **result,
		       struct error *error)
{
	struct machine_qemu *qemu = calloc(1, sizeof(*qemu));
	int fds[2], r;

	*result = NULL;
	if (!qemu)
		return error_set(error, -ENOMEM, "no memory");
	snprintf(qemu->name, sizeof(qemu->name), "%s", emulator);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds)) {
		r = error_errno(error, errno, "no socket");
		free(qemu);
		return r;
	}
	r = spawn(qemu, emulator, fds[1], error);
	close(fds[1]);
	qemu->socket = fdopen(fds[0], "r+");
	if (!r && !qemu->socket)
		r = error_set(error, -ENOMEM, "no memory");
	if (!r)
		r = machine_qemu_ask(qemu, "qmp_capabilities", NULL, NULL,
				     error);
	if (r) {
		if (!qemu->socket)
			close(fds[0]);
		machine_qemu_end(qemu);
		return r;
	}
	*result = qemu;
	return 0;
}

void machine_qemu_end(struct machine_qemu *qemu)
{
	if (!qemu)
		return;
	if (qemu->socket)
		fclose(qemu->socket);
	if (qemu->pid > 0) {
		kill(qemu->pid, SIGKILL);
		while (waitpid(qemu->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	free(qemu);
}

static int say(struct machine_qemu *qemu, const char *command,
	       json_t *arguments, struct error *error)
{
	json_t *message = json_pack("{s:s, s:o*}", "execute", command,
				    "arguments", arguments);
	char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
	size_t size = text ? strlen(text) : 0;
	int r = 0;

	json_decref(message);
	if (!text)
		return error_set(error, -ENOMEM, "no memory");
	/* stdio would raise SIGPIPE. */
	if (send(fileno(qemu->socket), text, size, MSG_NOSIGNAL) !=
	    (ssize_t)size)
		r = gone(qemu, error);
	free(text);
	return r;
}

/* The next answer; what QEMU says by itself is passed over. */
static int hear(struct machine_qemu *qemu, json_t **message,
		struct error *error)
{
	for (;;) {
		*message =
			json_loadf(qemu->socket, JSON_DISABLE_EOF_CHECK, NULL);
		if (!*message)
			return gone(qemu, error);
		if (json_object_get(*message, "return") ||
		    json_object_get(*message, "error"))
			return 0;
		json_decref(*message);
	}
}

int machine_qemu_ask(struct machine_qemu *qemu, const char *command,
		     json_t *arguments, json_t **answer, struct error *error)
{
	json_t *message, *failure;
	const char *text;
	int r = say(qemu, command, arguments, error);

	if (answer)
		*answer = NULL;
	if (!r)
		r = hear(qemu, &message, error);
	if (r)
		return r;
	failure = json_object_get(message, "error");
	text = json_string_value(json_object_get(failure, "desc"));
	if (failure)
		r = error_set(error, -EINVAL, "%s refuses %s: %s", qemu->name,
			      command, text ? text : "no reason given");
	else if (answer)
		*answer = json_incref(json_object_get(message, "return"));
	json_decref(message);
	return r;
}

pid_t machine_qemu_pid(const struct machine_qemu *qemu)
{
	return qemu->pid;
}

/* A PC, of this family or the other. */
static bool is_pc(const char *name)
{
	return name && strncmp(name, "pc-", 3) == 0;
}

static json_t *pick_machines(const json_t *all)
{
	json_t *list = json_array(), *one;
	size_t i;

	json_array_foreach((json_t *)all, i, one)
	{
		const char *name =
			json_string_value(json_object_get(one, "name"));

		if (is_pc(name))
			json_array_append_new(
				list, json_pack("{s:s, s:O*, s:b}", "name",
						name, "alias",
						json_object_get(one, "alias"),
						"deprecated",
						json_is_true(json_object_get(
							one, "deprecated"))));
	}
	return list;
}

static json_t *make_facts(const json_t *version, const json_t *machines)
{
	const json_t *numbers = json_object_get(version, "qemu");
	const char *package =
		json_string_value(json_object_get(version, "package"));
	char text[48];

	snprintf(text, sizeof(text), "%d.%d.%d",
		 (int)json_integer_value(json_object_get(numbers, "major")),
		 (int)json_integer_value(json_object_get(numbers, "minor")),
		 (int)json_integer_value(json_object_get(numbers, "micro")));
	return json_pack("{s:s, s:s, s:o}", "version", text, "package",
			 package ? package : "", "machines",
			 pick_machines(machines));
}

int machine_qemu_facts(const char *emulator, json_t **facts,
		       struct error *error)
{
	json_t *version = NULL, *machines = NULL;
	struct machine_qemu *qemu;
	int r = machine_qemu_start(emulator, &qemu, error);

	*facts = NULL;
	if (r)
		return r;
	r = machine_qemu_ask(qemu, "query-version", NULL, &version, error);
	if (!r)
		r = machine_qemu_ask(qemu, "query-machines", NULL, &machines,
				     error);
	if (!r)
		*facts = make_facts(version, machines);
	if (!r && !*facts)
		r = error_set(error, -ENOMEM, "no memory");
	json_decref(version);
	json_decref(machines);
	machine_qemu_end(qemu);
	return r;
}

static bool is_named(const json_t *one, const char *key, const char *name)
{
	const char *text = json_string_value(json_object_get(one, key));

	return text && strcmp(text, name) == 0;
}

const json_t *machine_qemu_has(const json_t *facts, const char *machine)
{
	const json_t *list = json_object_get(facts, "machines");
	json_t *one;
	size_t i;

	json_array_foreach((json_t *)list, i, one)
	{
		if (is_named(one, "name", machine) ||
		    is_named(one, "alias", machine))
			return one;
	}
	return NULL;
}
