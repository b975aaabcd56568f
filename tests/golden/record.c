/*
 * record RECIPE CAPTURE TOOLS: a small session between libspice-server and a
 * client of spice-client-glib, recorded on its way by a relay. TOOLS is the
 * folder of spice_record and spice_watch. Without arguments it lists the
 * recipes. What is drawn is the same each time; times, keys and ids are not.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/golden/recipes.h"
#include "tests/oracle/bitmaps.h"
#include "tests/oracle/pointer.h"
#include "tests/oracle/viewer.h"

#define PATIENCE 20000 /* ms, until the client must be there */

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void run_for(int ms)
{
	for (int64_t end = now_ms() + ms; now_ms() < end;)
		device_run();
}

static pid_t start(const char *tools, const char *program,
		   const char *const words[])
{
	char path[600];
	const char *argv[8] = {program};
	pid_t pid = fork();

	if (pid)
		return pid;
	snprintf(path, sizeof(path), "%s/%s", tools, program);
	for (int i = 0; words[i]; i++)
		argv[i + 1] = words[i];
	execv(path, (char *const *)argv);
	perror(path);
	_exit(127);
}

static void end(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
}

/* A client of ours, for what spice-client-glib can't do here. */
static struct viewer *connect_viewer(int port, const struct recipe *recipe)
{
	struct viewer_options options = {.port = port,
					 .displays = recipe->displays,
					 .codec = recipe->codec,
					 .cache = recipe->cache,
					 .window = 1 << 20};
	char own[] = "/tmp/golden-XXXXXX";
	int fd = mkstemp(own);
	struct viewer *viewer;

	options.capture = own;
	viewer = viewer_new(&options);
	close(fd);
	unlink(own);
	run_for(600);
	return viewer;
}

/* A client on the relay; returns when its display is there. */
static pid_t connect_client(const char *tools, int port,
			    const struct recipe *recipe)
{
	static char vv[] = "/tmp/golden-XXXXXX";
	const char *const quiet[] = {vv, NULL};
	const char *const typing[] = {"--keys", "ab", vv, NULL};
	const char *const asking[] = {"--heads", "2", vv, NULL};
	int64_t until = now_ms() + PATIENCE;
	int fd, channels = recipe->channels;
	pid_t pid;

	strcpy(vv, "/tmp/golden-XXXXXX");
	fd = mkstemp(vv);
	if (fd < 0)
		abort();
	dprintf(fd, "[virt-viewer]\ntype=spice\nhost=127.0.0.1\nport=%d\n",
		port);
	close(fd);
	pid = start(tools, "spice_watch",
		    recipe->keys    ? typing
		    : recipe->agent ? asking
				    : quiet);
	while (device_open_channels() < channels && now_ms() < until)
		device_run();
	unlink(vv);
	if (device_open_channels() < channels) {
		fprintf(stderr, "the client did not come\n");
		exit(1);
	}
	run_for(600);
	return pid;
}

static void disconnect_client(pid_t pid)
{
	end(pid);
	while (device_open_channels() > 0)
		device_run();
}

/* From a client's coming to its leaving. */
static void show(const char *tools, int port, const struct recipe *recipe,
		 void (*run)(void))
{
	struct viewer *viewer = NULL;
	pid_t client = 0;

	if (recipe->cache)
		viewer = connect_viewer(port, recipe);
	else
		client = connect_client(tools, port, recipe);
	run();
	run_for(800);
	if (viewer)
		viewer_free(viewer);
	disconnect_client(client);
}

static int record(const struct recipe *recipe, const char *capture,
		  const char *tools)
{
	char listen[12], connect[12];
	const char *const words[] = {listen, connect, capture, "stay", NULL};
	pid_t relay;
	int port;

	random_start(recipe->seed ? recipe->seed : 1);
	recipe_start(recipe);
	port = 20000 + getpid() % 20000;
	snprintf(listen, sizeof(listen), "%d", port);
	snprintf(connect, sizeof(connect), "%d", device_port());
	relay = start(tools, "spice_record", words);
	run_for(500);
	show(tools, port, recipe, recipe->run);
	if (recipe->again)
		show(tools, port, recipe, recipe->again);
	end(relay);
	device_server_free();
	bitmaps_free();
	pointer_free();
	return 0;
}

int main(int argc, char **argv)
{
	const struct recipe *r;

	for (r = recipes; argc == 1 && r->name; r++)
		puts(r->name);
	if (argc == 1)
		return 0;
	for (r = recipes; r->name; r++)
		if (argc == 4 && !strcmp(r->name, argv[1]))
			return record(r, argv[2], argv[3]);
	fprintf(stderr, "usage: record RECIPE CAPTURE TOOLS\n");
	return 2;
}
