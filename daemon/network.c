/*
 * Activation windows; see network.h.
 *
 * A row of the catalogue is written before a window opens and goes after it
 * has closed. One thread closes: it sleeps until the next window's end, and
 * wakes when a guest or the process behind a window has ended. It does what
 * network_close does, under the same lock.
 */
#include "daemon/network.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/attach.h"
#include "daemon/catalogue.h"
#include "daemon/control.h"
#include "daemon/event.h"
#include "daemon/folder.h"
#include "daemon/log.h"
#include "daemon/network_helper.h"
#include "daemon/units.h"
#include "daemon/vault.h"

#define RETRY_MS 3000
#define SLEEP_MOST_MS 60000 /* while one is open: the clock may be set */
#define WINDOWS_MOST 256
#define DEFINITION_MAX (1 << 20)

/* A child of ours behind a window; those of an earlier daemon have none. */
struct helper {
	char uuid[37];
	pid_t pid;
	int pidfd;
	struct helper *next;
};

struct network {
	pthread_mutex_t lock; /* of opening and closing, and of the helpers */
	struct helper *helpers;
	pthread_t thread;
	bool has_thread;
	volatile bool stop; /* read after `wake` */
	int wake;           /* eventfd */
};

struct window {
	char uuid[37];
	int64_t until;
};

int network_new(struct network **network, struct error *error)
{
	struct network *n = calloc(1, sizeof(*n));

	*network = NULL;
	if (!n)
		return error_set(error, -ENOMEM, "no memory");
	pthread_mutex_init(&n->lock, NULL);
	n->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (n->wake < 0) {
		network_free(n);
		return error_errno(error, errno, "no eventfd");
	}
	*network = n;
	return 0;
}

static void free_helper(struct helper *helper)
{
	if (helper->pidfd >= 0)
		close(helper->pidfd);
	free(helper);
}

void network_free(struct network *network)
{
	if (!network)
		return;
	while (network->helpers) {
		struct helper *next = network->helpers->next;

		free_helper(network->helpers);
		network->helpers = next;
	}
	if (network->wake >= 0)
		close(network->wake);
	pthread_mutex_destroy(&network->lock);
	free(network);
}

static void wake(struct network *network)
{
	uint64_t one = 1;

	if (write(network->wake, &one, sizeof(one)) < 0)
		return; /* it is awake */
}

void network_look(struct control *control)
{
	if (control->network)
		wake(control->network);
}

/* --- the process behind it -------------------------------------------- */

static struct helper *find_helper(struct network *network, const char *uuid)
{
	struct helper *h = network->helpers;

	while (h && strcmp(h->uuid, uuid) != 0)
		h = h->next;
	return h;
}

/* Those that have ended go. */
static void reap(struct network *network)
{
	struct helper **at = &network->helpers, *helper;

	while ((helper = *at)) {
		if (waitpid(helper->pid, NULL, WNOHANG) == 0) {
			at = &helper->next;
			continue;
		}
		*at = helper->next;
		free_helper(helper);
	}
}

static int add_helper(struct network *network, const char *uuid, pid_t pid)
{
	struct helper *helper = calloc(1, sizeof(*helper));

	if (!helper)
		return -ENOMEM;
	snprintf(helper->uuid, sizeof(helper->uuid), "%s", uuid);
	helper->pid = pid;
	helper->pidfd = pidfd_open(pid, 0);
	helper->next = network->helpers;
	network->helpers = helper;
	return 0;
}

/* --- rows -------------------------------------------------------------- */

static int take_window(void *data, const struct catalogue_row *row)
{
	struct window *window = data;

	snprintf(window->uuid, sizeof(window->uuid), "%s",
		 catalogue_row_text(row, 0));
	window->until = catalogue_row_int(row, 1);
	return 1;
}

/* 1 and the window, or 0. */
static int64_t find_window(struct control *control, const char *uuid,
			   struct window *window, struct error *error)
{
	return catalogue_read(control->catalogue,
			      "SELECT vault, until FROM network_window "
			      "WHERE vault = ?",
			      CATALOGUE_VALUES(catalogue_text(uuid)),
			      take_window, window, error);
}

json_t *network_json(struct control *control, const char *uuid)
{
	struct window window;

	if (find_window(control, uuid, &window, NULL) < 1)
		return json_pack("{s:s, s:n}", "state", "off", "until");
	return json_pack("{s:s, s:o}", "state", "on", "until",
			 units_time_json(window.until));
}

static int write_window(struct control *control, const char *uuid,
			int64_t until, const char *who, struct error *error)
{
	int64_t r = catalogue_write(
		control->catalogue,
		"INSERT INTO network_window (vault, opened_at, until, who) "
		"VALUES (?, ?, ?, ?)",
		CATALOGUE_VALUES(catalogue_text(uuid),
				 catalogue_int(units_now_us()),
				 catalogue_int(until), catalogue_text(who)),
		NULL, NULL, error);

	return r < 0 ? (int)r : 0;
}

static int remove_window(struct control *control, const char *uuid,
			 struct error *error)
{
	int64_t r = catalogue_write(control->catalogue,
				    "DELETE FROM network_window "
				    "WHERE vault = ?",
				    CATALOGUE_VALUES(catalogue_text(uuid)),
				    NULL, NULL, error);

	return r < 0 ? (int)r : 0;
}

/* --- closing ------------------------------------------------------------ */

static void post_closed(struct control *control, const char *uuid,
			const char *who, const char *why)
{
	struct vault vault;

	if (vault_find_uuid(control, uuid, &vault, NULL))
		return;
	events_post(control->events, "network.closed", vault.name,
		    json_pack("{s:s, s:s*, s:s}", "vault", vault.name, "who",
			      who, "why", why));
	vault_release(&vault);
}

/*
 * The process first: without it there is no way out, whatever QEMU does. The
 * lock is held.
 */
static int close_window(struct control *control, const char *uuid,
			const char *who, const char *why, struct error *error)
{
	struct helper *helper;
	int r;

	reap(control->network);
	helper = find_helper(control->network, uuid);
	if (helper)
		kill(helper->pid, SIGKILL);
	r = hypervisor_unplug_network(control->hypervisor, uuid, error);
	if (r == -ENOENT)
		r = 0;
	if (!r)
		r = remove_window(control, uuid, error);
	if (r)
		return r;
	post_closed(control, uuid, who, why);
	return 0;
}

int network_close(struct control *control, const char *name, const char *who,
		  struct error *error)
{
	struct window window;
	struct vault vault;
	int64_t r = vault_find(control, name, &vault, error);

	if (r)
		return (int)r;
	pthread_mutex_lock(&control->network->lock);
	r = find_window(control, vault.uuid, &window, error);
	if (r > 0)
		r = close_window(control, vault.uuid, who, "it was told to",
				 error);
	pthread_mutex_unlock(&control->network->lock);
	if (r < 0)
		error_prefix(error, "vault %s: its network is not closed",
			     name);
	vault_release(&vault);
	return (int)r;
}

void network_forget(struct control *control, const char *uuid)
{
	struct window window;
	struct error error;

	if (!control->network)
		return;
	pthread_mutex_lock(&control->network->lock);
	if (find_window(control, uuid, &window, NULL) > 0 &&
	    close_window(control, uuid, NULL, "its guest has ended", &error))
		log_error("a window of the network: %s", error.text);
	pthread_mutex_unlock(&control->network->lock);
}

/* --- opening ------------------------------------------------------------ */

/* A card that is not in our hub has a way of its own, or none. */
static int check_hub(struct control *control, const struct vault *vault,
		     struct error *error)
{
	char path[PATH_MAX], *xml;
	bool has_hub;
	int r;

	vault_path(control, vault->uuid, "domain.xml", path);
	r = folder_read(path, DEFINITION_MAX, &xml, error);
	if (r)
		return r;
	has_hub = strstr(xml, "hubport,id=isolated,hubid=0") != NULL;
	free(xml);
	return has_hub ? 0
		       : error_set(error, -EINVAL,
				   "its definition plugs no network card into "
				   "an isolated hub, so there is nothing to "
				   "open");
}

static int check(struct control *control, const struct vault *vault,
		 uint64_t ms, struct error *error)
{
	enum hypervisor_state state;

	if (attach_is(vault))
		return attach_refuse(vault, error);
	if (ms < NETWORK_LEAST_MS || ms > NETWORK_MOST_MS)
		return error_set(error, -EINVAL,
				 "a window is open for 1s to 24h: say for how "
				 "long, as in 30m");
	state = hypervisor_state(control->hypervisor, vault->uuid);
	if (state != HYPERVISOR_RUNNING && state != HYPERVISOR_PAUSED)
		return error_set(error, -EBUSY,
				 "it does not run: start it "
				 "first");
	return check_hub(control, vault, error);
}

/* The lock is held, and no window is open. */
static int open_window(struct control *control, const struct vault *vault,
		       uint64_t ms, const char *who, struct error *error)
{
	unsigned seconds = (unsigned)((ms + 999) / 1000) + NETWORK_GRACE;
	int64_t until;
	pid_t pid;
	int fd, r = network_helper_start(seconds, &pid, &fd, error);

	if (r)
		return r;
	until = units_now_us() + (int64_t)ms * 1000;
	r = write_window(control, vault->uuid, until, who, error);
	if (!r && add_helper(control->network, vault->uuid, pid))
		r = error_set(error, -ENOMEM, "no memory");
	if (!r)
		r = hypervisor_plug_network(control->hypervisor, vault->uuid,
					    fd, error);
	close(fd);
	if (!r) {
		char text[UNITS_TIME_SIZE];

		units_time_format(until, text);
		events_post(control->events, "network.opened", vault->name,
			    json_pack("{s:s, s:s, s:s}", "vault", vault->name,
				      "who", who, "until", text));
		return 0;
	}
	kill(pid, SIGKILL);
	if (!find_helper(control->network, vault->uuid))
		waitpid(pid, NULL, 0); /* else with the others */
	remove_window(control, vault->uuid, NULL);
	return r;
}

int network_open(struct control *control, const char *name, uint64_t ms,
		 const char *who, struct error *error)
{
	struct window window;
	struct vault vault;
	int64_t r = vault_find(control, name, &vault, error);

	if (r)
		return (int)r;
	pthread_mutex_lock(&control->network->lock);
	r = check(control, &vault, ms, error);
	if (!r)
		r = find_window(control, vault.uuid, &window, error);
	if (r > 0)
		r = close_window(control, vault.uuid, who,
				 "another one takes its place", error);
	if (!r)
		r = open_window(control, &vault, ms, who, error);
	pthread_mutex_unlock(&control->network->lock);
	if (r)
		error_prefix(error, "vault %s: its network stays closed", name);
	else
		network_look(control);
	vault_release(&vault);
	return (int)r;
}

/* --- the thread ---------------------------------------------------------- */

struct windows {
	struct window list[WINDOWS_MOST];
	unsigned count;
};

static int take_windows(void *data, const struct catalogue_row *row)
{
	struct windows *windows = data;

	take_window(&windows->list[windows->count++], row);
	return windows->count == WINDOWS_MOST;
}

/* Why this window has to close now, or NULL. */
static const char *why_close(struct control *control,
			     const struct window *window, bool has_ended)
{
	enum hypervisor_state state =
		hypervisor_state(control->hypervisor, window->uuid);

	if (window->until <= units_now_us())
		return "its time is over";
	if (state == HYPERVISOR_STOPPED || state == HYPERVISOR_CRASHED)
		return "its guest has ended";
	return has_ended ? "passt, which is its way out, has ended" : NULL;
}

/* Whether the process behind it was ours and is gone. */
static bool has_ended(struct network *network, const char *uuid)
{
	struct helper *helper = find_helper(network, uuid);
	siginfo_t info = {0};

	return helper &&
	       waitid(P_PID, (id_t)helper->pid, &info,
		      WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == helper->pid;
}

/* Closes what has to be; how long nothing has to be, ms, -1 for ever. */
static int close_due(struct control *control)
{
	struct windows windows = {.count = 0};
	int64_t now, wait = -1;
	struct error error;

	if (catalogue_read(control->catalogue,
			   "SELECT vault, until FROM network_window",
			   CATALOGUE_NONE, take_windows, &windows, &error) < 0)
		return RETRY_MS;
	for (unsigned i = 0; i < windows.count; i++) {
		struct window *w = &windows.list[i];
		const char *why = why_close(
			control, w, has_ended(control->network, w->uuid));
		int64_t left;

		now = units_now_us();
		left = (w->until - now) / 1000 + 1;
		if (why &&
		    close_window(control, w->uuid, NULL, why, &error) < 0) {
			log_error("a window of the network does not close: %s",
				  error.text);
			left = RETRY_MS;
		} else if (why) {
			continue;
		}
		left = left > SLEEP_MOST_MS ? SLEEP_MOST_MS : left;
		wait = wait < 0 || left < wait ? left : wait;
	}
	reap(control->network);
	return (int)wait;
}

static void *run(void *data)
{
	struct control *control = data;
	struct network *n = control->network;
	struct pollfd fds[1 + WINDOWS_MOST];
	uint64_t unused;

	while (!n->stop) {
		nfds_t count = 1;
		int wait;

		fds[0] = (struct pollfd){.fd = n->wake, .events = POLLIN};
		pthread_mutex_lock(&n->lock);
		wait = close_due(control);
		for (struct helper *h = n->helpers; h && count <= WINDOWS_MOST;
		     h = h->next)
			fds[count++] = (struct pollfd){.fd = h->pidfd,
						       .events = POLLIN};
		pthread_mutex_unlock(&n->lock);
		poll(fds, count, wait);
		if (read(n->wake, &unused, sizeof(unused)) < 0)
			continue; /* it was a time or a process */
	}
	return NULL;
}

int network_start(struct control *control, struct error *error)
{
	struct network *n = control->network;
	int r;

	pthread_mutex_lock(&n->lock);
	close_due(control);
	pthread_mutex_unlock(&n->lock);
	r = pthread_create(&n->thread, NULL, run, control);
	if (r)
		return error_errno(error, r, "no thread");
	n->has_thread = true;
	return 0;
}

void network_stop(struct network *network)
{
	if (!network || !network->has_thread)
		return;
	network->stop = true;
	wake(network);
	pthread_join(network->thread, NULL);
	network->has_thread = false;
}
