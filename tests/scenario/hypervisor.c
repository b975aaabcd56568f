/*
 * Calls daemon/hypervisor.h from a shell script.
 *
 *   hypervisor define NAME UUID LOG [RAW-DISK]     prints a definition
 *   hypervisor URI ROOT COMMAND[:ARGUMENT]...      one after the other
 *
 * Each command prints one line, "COMMAND: ok …" or "COMMAND: error CODE TEXT".
 *   start:FILE  stop:UUID  force:UUID  state:UUID  live:UUID  version
 *   machine          the newest machine type
 *   graphics:UUID    a link to the main channel
 *   probe:UUID       the channel types that the SPICE server has
 *   signal:N:PID     sends a signal to a process
 *   await:STATE      waits for an event of that state (20 s)
 *   hold             waits to be killed
 */
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "daemon/domain.h"
#include "daemon/hypervisor.h"
#include "daemon/spice_probe.h"

static const char *const states[] = {"stopped", "starting", "running", "paused",
				     "crashed"};

/* The last state that an event told. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t told;
	int state;
	char why[200];
} event = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, -1, ""};

static void changed(void *data, const char *uuid, enum hypervisor_state state,
		    const char *why)
{
	(void)data;
	(void)uuid;
	pthread_mutex_lock(&event.lock);
	event.state = (int)state;
	snprintf(event.why, sizeof(event.why), "%s", why);
	pthread_cond_broadcast(&event.told);
	pthread_mutex_unlock(&event.lock);
}

static void say(const char *command, int result, const struct error *error,
		const char *format, ...)
{
	va_list args;

	if (result < 0) {
		printf("%s: error %d %s\n", command, result, error->text);
	} else {
		printf("%s: ok ", command);
		va_start(args, format);
		vprintf(format, args);
		va_end(args);
		putchar('\n');
	}
	fflush(stdout);
}

static char *read_file(const char *path)
{
	static char text[100000];
	FILE *f = fopen(path, "r");

	if (!f) {
		perror(path);
		exit(2);
	}
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	return text;
}

static int define(int count, char **arguments)
{
	struct domain_spec spec = {
		.name = arguments[0],
		.uuid = arguments[1],
		.memory = 128 << 20,
		.cpus = 1,
		.heads = 1,
		.disk = count > 3 ? arguments[3] : NULL,
		.disk_format = "raw",
	};
	struct domain_start start = {
		.emulator = "/usr/bin/qemu-system-x86_64",
		.serial_log = arguments[2],
	};
	struct error e = {0};
	char *xml, *text;

	if (domain_create(&spec, &xml, &e) < 0 ||
	    domain_for_start(xml, &start, &text, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	puts(text);
	free(xml);
	free(text);
	return 0;
}

static const char *family_of(int fd)
{
	struct sockaddr_storage address = {0};
	socklen_t size = sizeof(address);

	getsockname(fd, (struct sockaddr *)&address, &size);
	return address.ss_family == AF_INET ? "tcp" : "other";
}

static void graphics(struct hypervisor *h, const char *uuid)
{
	struct link_mess mess = {.channel_type = 1};
	struct buffer out = {0};
	struct error e = {0};
	char magic[5] = "";
	int fd, result = hypervisor_open_graphics(h, uuid, &fd, &e);

	if (result == 0) {
		link_mess_build(&out, &mess);
		if (send(fd, out.data, out.size, MSG_NOSIGNAL) < 0 ||
		    recv(fd, magic, 4, MSG_WAITALL) != 4)
			strcpy(magic, "none");
		buffer_free(&out);
	}
	say("graphics", result, &e, "%s %s", family_of(fd), magic);
	if (fd >= 0)
		close(fd);
}

struct guest {
	struct hypervisor *h;
	const char *uuid;
};

static int open_channel(void *data, int *fd, struct error *error)
{
	struct guest *guest = data;

	return hypervisor_open_graphics(guest->h, guest->uuid, fd, error);
}

static void probe(struct hypervisor *h, const char *uuid)
{
	struct guest guest = {h, uuid};
	struct ipc_caps caps;
	struct error e = {0};
	char text[100] = "";
	int result = spice_probe(open_channel, &guest, &caps, &e);

	for (uint32_t i = 0; i < caps.count; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			 "%u ", caps.rows[i].channel_type);
	say("probe", result, &e, "%s", text);
}

static void await(const char *state)
{
	struct timespec end;
	int late = 0;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 20;
	pthread_mutex_lock(&event.lock);
	while (!late &&
	       (event.state < 0 || strcmp(states[event.state], state) != 0))
		late = pthread_cond_timedwait(&event.told, &event.lock, &end);
	printf("await: %s %s %s\n", late ? "late" : "ok",
	       event.state < 0 ? "nothing" : states[event.state], event.why);
	fflush(stdout);
	pthread_mutex_unlock(&event.lock);
}

static void live(struct hypervisor *h, const char *uuid)
{
	struct error e = {0};
	char *xml = NULL;
	int result = hypervisor_live_xml(h, uuid, &xml, &e);

	say("live", result, &e, "\n%s", xml);
	free(xml);
}

static void send_signal(const char *argument)
{
	int number = 0, pid = 0;

	if (sscanf(argument, "%d:%d", &number, &pid) == 2 && pid > 1)
		printf("signal: %s\n", kill(pid, number) == 0 ? "ok" : "error");
}

static void run(struct hypervisor *h, char *command)
{
	char *argument = strchr(command, ':'), text[100] = "";
	struct error e = {0};

	if (argument)
		*argument++ = '\0';
	if (strcmp(command, "version") == 0)
		say(command, hypervisor_version(h, text, sizeof(text), &e), &e,
		    "%s", text);
	else if (strcmp(command, "machine") == 0)
		say(command,
		    hypervisor_machine(h, "/usr/bin/qemu-system-x86_64", text,
				       sizeof(text), &e),
		    &e, "%s", text);
	else if (strcmp(command, "start") == 0)
		say(command, hypervisor_start(h, read_file(argument), &e), &e,
		    "");
	else if (strcmp(command, "stop") == 0)
		say(command, hypervisor_stop(h, argument, false, &e), &e, "");
	else if (strcmp(command, "force") == 0)
		say(command, hypervisor_stop(h, argument, true, &e), &e, "");
	else if (strcmp(command, "state") == 0)
		say(command, 0, NULL, "%s",
		    states[hypervisor_state(h, argument)]);
	else if (strcmp(command, "graphics") == 0)
		graphics(h, argument);
	else if (strcmp(command, "probe") == 0)
		probe(h, argument);
	else if (strcmp(command, "live") == 0)
		live(h, argument);
	else if (strcmp(command, "signal") == 0)
		send_signal(argument);
	else if (strcmp(command, "await") == 0)
		await(argument);
	else if (strcmp(command, "hold") == 0)
		for (say(command, 0, NULL, "");;)
			pause();
	else
		printf("%s: unknown\n", command);
}

int main(int argc, char **argv)
{
	struct hypervisor_options options = {.changed = changed};
	struct hypervisor *h;
	struct error e = {0};
	int result;

	if (argc >= 5 && strcmp(argv[1], "define") == 0)
		return define(argc - 2, argv + 2);
	if (argc < 3)
		return 2;
	options.uri = argv[1];
	options.root = argv[2];
	result = hypervisor_new(&h, &options, &e);
	say("new", result, &e, "");
	if (result < 0)
		return 1;
	for (int i = 3; i < argc; i++)
		run(h, argv[i]);
	hypervisor_free(h);
	return 0;
}
