/*
 * The life of the control role.
 *
 * It begins by owning its folders (a lock on STATE, so that there is one
 * daemon on it), then makes what struct control lists, from top to bottom,
 * and serves until a signal:
 *
 *   SIGTERM  (and SIGHUP) leaves; gateway, sessions and guests go on, and the
 * next control finds them again. So a restart costs nobody anything. SIGINT
 * (Ctrl-C) ends the gateway and its sessions too, since nobody at a terminal
 * expects a port to stay taken. Guests go on.
 */
#include "daemon/control.h"

#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "daemon/accelerator.h"
#include "daemon/catalogue.h"
#include "daemon/event.h"
#include "daemon/folder.h"
#include "daemon/supervisor.h"
#include "daemon/hypervisor.h"
#include "daemon/job.h"
#include "daemon/lease.h"
#include "daemon/listen.h"
#include "daemon/log.h"
#include "daemon/network.h"
#include "daemon/operations.h"
#include "daemon/session.h"
#include "daemon/session_live.h"
#include "daemon/ticket.h"
#include "daemon/units.h"
#include "daemon/upkeep.h"
#include "daemon/vault.h"
#include "daemon/vault_make.h"
#include "webui/webui.h"

#define SWEEP_S 3600
#define JOB_KEPT_US (30 * 86400 * 1000000ll)
#define TICKET_KEPT_US (24 * 3600 * 1000000ll) /* after their end */
#define SOCKET_PATH_MOST 107

static int check_owner(const char *path, struct error *error)
{
	struct stat st;

	if (stat(path, &st))
		return error_errno(error, errno, "can't use %s", path);
	if (st.st_uid != geteuid())
		return error_set(error, -EACCES,
				 "%s belongs to another user (%u): run the "
				 "daemon as that user, or choose another "
				 "folder",
				 path, st.st_uid);
	if (access(path, W_OK | X_OK))
		return error_errno(error, errno,
				   "%s can't be written: change its "
				   "permissions, or choose another folder",
				   path);
	return 0;
}

static int own_folders(struct control *control, struct error *error)
{
	static const char *const names[] = {"vaults", "sessions"};
	char path[PATH_MAX];
	int r = folder_make_all(control->config.state, 0700, error);

	if (!r)
		r = check_owner(control->config.state, error);
	if (!r)
		r = folder_make_all(control->config.run, 0750, error);
	if (!r)
		r = check_owner(control->config.run, error);
	if (r) {
		if (r == -EACCES || r == -EPERM)
			error_prefix(error, "run as root, or use --state and "
					    "--run with folders of your own");
		return r;
	}
	for (unsigned i = 0; !r && i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "%s/%s", control->config.state,
			 names[i]);
		r = folder_make(path, 0700, error);
	}
	return r;
}

/* Sockets have short names: ours, and those of libvirt. */
static int check_lengths(const struct control *control, struct error *error)
{
	const char *const run = control->config.run;

	if (strlen(run) + strlen("/gateway.sock") > SOCKET_PATH_MOST)
		return error_set(error, -ENAMETOOLONG,
				 "the run folder %s is too long for sockets "
				 "(%zu characters at most): choose a shorter "
				 "one with --run",
				 run,
				 SOCKET_PATH_MOST - strlen("/gateway.sock"));
	return 0;
}

/* One daemon for a folder: *fd holds it as long as we live. */
static int lock_folder(const char *folder, const char *option, int *fd,
		       struct error *error)
{
	char path[PATH_MAX], pid[16] = "";
	ssize_t n;

	snprintf(path, sizeof(path), "%s/lock", folder);
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*fd < 0)
		return error_errno(error, errno, "can't write %s", path);
	if (flock(*fd, LOCK_EX | LOCK_NB)) {
		n = read(*fd, pid, sizeof(pid) - 1);
		if (n > 0)
			pid[strcspn(pid, "\n")] = '\0';
		return error_set(error, -EBUSY,
				 "another mediavmd (process %s) works on %s: "
				 "end it, or choose another folder with %s",
				 n > 0 ? pid : "?", folder, option);
	}
	n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(*fd, 0) || pwrite(*fd, pid, (size_t)n, 0) != n)
		return error_errno(error, errno, "can't write %s", path);
	return 0;
}

static int lock_folders(struct control *control, struct error *error)
{
	int r = lock_folder(control->config.state, "--state",
			    &control->state_lock, error);

	return r ? r
		 : lock_folder(control->config.run, "--run", &control->run_lock,
			       error);
}

static bool resolves(const char *name)
{
	struct addrinfo *info;

	if (getaddrinfo(name, NULL, NULL, &info))
		return false;
	freeaddrinfo(info);
	return true;
}

/* What viewers connect to. */
static void choose_host(struct control *control)
{
	const struct config *config = &control->config;
	const char *address = config->gateway_address;
	bool any = !strcmp(address, "0.0.0.0") || !strcmp(address, "::") ||
		   strpbrk(address, " \t,");

	if (config->gateway_host[0])
		snprintf(control->host, sizeof(control->host), "%.255s",
			 config->gateway_host);
	else if (!any)
		snprintf(control->host, sizeof(control->host), "%.255s",
			 address);
	else if (gethostname(control->host, sizeof(control->host)) ||
		 !resolves(control->host))
		strcpy(control->host, "127.0.0.1");
}

static int prepare_tls(struct control *control, struct error *error)
{
	char folder[PATH_MAX], name[256] = "localhost";
	const char *const names[] = {control->host, name, NULL};

	gethostname(name, sizeof(name) - 1);
	snprintf(folder, sizeof(folder), "%s/tls", control->config.state);
	return tls_files_prepare(&control->tls, folder, names, error);
}

static int open_catalogue(struct control *control, struct error *error)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/catalog.db", control->config.state);
	return catalogue_open(&control->catalogue, path, schema_migrations,
			      error);
}

static int open_hypervisor(struct control *control, struct error *error)
{
	char root[PATH_MAX];
	const struct hypervisor_options options = {
		.uri = control->config.libvirt_uri,
		.root = root,
		.lock_manager = control->config.lock_manager,
		.changed = vault_changed,
		.data = control,
	};

	snprintf(root, sizeof(root), "%s/libvirt", control->config.state);
	return hypervisor_new(&control->hypervisor, &options, error);
}

static int start_web(struct control *control, struct error *error)
{
	struct webui_options options = {
		.tcp_fd = -1, .unix_fd = -1, .unix_group = (gid_t)-1};
	struct listeners listeners = {0};
	char path[PATH_MAX];
	int r = 0;

	snprintf(path, sizeof(path), "%s/api.sock", control->config.run);
	r = listen_unix(path, 0660, &options.unix_fd, error);
	if (!r && control->config.http_port >= 0) {
		r = listen_tcp(&listeners, control->config.http_address,
			       (int)control->config.http_port, 1, error);
		if (r) {
			error_prefix(error, "page");
			close(options.unix_fd);
		} else {
			options.tcp_fd = listeners.fds[0];
		}
	}
	if (r)
		return r;
	options.folder = control->config.state;
	return webui_start(&control->webui, &options, control, error);
}

/*
 * Whether the ports can be had, before anything that takes long. They are
 * opened for good later, the gateway's when it is known that none is there.
 */
static int check_ports(struct control *control, struct error *error)
{
	const struct config *config = &control->config;
	struct listeners listeners = {0};
	int r = 0;

	if (config->http_port > 0) {
		r = listen_tcp(&listeners, config->http_address,
			       (int)config->http_port, 1, error);
		listen_close(&listeners);
		if (r)
			error_prefix(error, "page");
	}
	if (!r && !supervisor_is_found(control)) {
		r = listen_tcp(&listeners, config->gateway_address,
			       (int)config->gateway_port, LISTEN_MAX, error);
		listen_close(&listeners);
	}
	return r;
}

static int start(struct control *control, struct error *error)
{
	int r = check_lengths(control, error);

	if (!r)
		r = own_folders(control, error);
	if (!r)
		r = lock_folders(control, error);
	if (!r)
		r = check_ports(control, error);
	if (r)
		return r;
	choose_host(control);
	if (!(r = prepare_tls(control, error)) &&
	    !(r = open_catalogue(control, error)) &&
	    !(r = events_new(&control->events, control->catalogue, error)) &&
	    !(r = accelerator_new(&control->accelerator, control->catalogue,
				  &control->config, error)) &&
	    !(r = vaults_new(&control->vaults, error)) &&
	    !(r = leases_new(&control->leases, control, error)) &&
	    !(r = network_new(&control->network, error)) &&
	    !(r = open_hypervisor(control, error)) &&
	    !(r = vaults_recover(control, error)) &&
	    !(r = network_start(control, error)) &&
	    !(r = sessions_new(&control->sessions, error)) &&
	    !(r = jobs_new(&control->jobs, control, error))) {
		session_remove_orphans(control);
		r = supervisor_new(&control->gateway, control, error);
		if (!r)
			r = jobs_start(control->jobs, error);
		if (!r)
			vault_fetch_resume(control);
		if (!r)
			r = upkeep_new(&control->upkeep, control, error);
		if (!r)
			r = start_web(control, error);
	}
	return r;
}

static void stop(struct control *control, bool quit)
{
	webui_stop(control->webui);
	supervisor_free(control->gateway, quit);
	control->gateway = NULL;
	upkeep_stop(control->upkeep);
	jobs_free(control->jobs);
	upkeep_free(control->upkeep);
	sessions_free(control->sessions);
	network_stop(control->network);
	hypervisor_free(control->hypervisor);
	network_free(control->network);
	leases_free(control->leases);
	vaults_free(control->vaults);
	accelerator_free(control->accelerator);
	events_free(control->events);
	catalogue_free(control->catalogue);
	if (control->state_lock >= 0)
		close(control->state_lock);
	if (control->run_lock >= 0)
		close(control->run_lock);
}

static void sweep(struct control *control)
{
	ticket_sweep(control->catalogue, units_now_us() - TICKET_KEPT_US);
	jobs_sweep(control->jobs, units_now_us() - JOB_KEPT_US);
	session_sweep(control);
}

static int64_t now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec;
}

static int until(int64_t then)
{
	int64_t left = then - now_s();

	return left > 0 ? (int)left * 1000 : 0;
}

/* Sweeps, feeds the watchdog, and returns the signal that ends it. */
static int serve(struct control *control, int signals)
{
	struct pollfd p = {.fd = signals, .events = POLLIN};
	struct signalfd_siginfo signal;
	int64_t next_sweep = now_s();
	uint64_t watchdog = 0;

	sd_watchdog_enabled(0, &watchdog);
	for (;;) {
		struct error error = {0};
		int wait;

		if (now_s() >= next_sweep) {
			sweep(control);
			next_sweep = now_s() + SWEEP_S;
		}
		wait = until(next_sweep);
		if (watchdog) {
			int half = (int)(watchdog / 2000);

			wait = half < wait ? half : wait;
			sd_notify(0, "WATCHDOG=1");
			if (control_health(control, &error))
				sd_notifyf(0, "STATUS=%s", error.text);
		}
		if (poll(&p, 1, wait) > 0 &&
		    read(signals, &signal, sizeof(signal)) == sizeof(signal))
			return (int)signal.ssi_signo;
	}
}

static int block_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static void say_ready(struct control *control)
{
	struct gateway_status status;
	int port = control->webui ? webui_port(control->webui) : 0;

	supervisor_status(control->gateway, &status);
	log_info("ready: vaults at %s port %d, page at %s port %d, API at "
		 "%s/api.sock",
		 control->host, status.port, control->config.http_address, port,
		 control->config.run);
	sd_notifyf(0, "READY=1\nSTATUS=vaults at %s port %d", control->host,
		   status.port);
}

int control_main(const struct config *config)
{
	struct control *control = calloc(1, sizeof(*control));
	struct error error = {0};
	int signals, signal = 0;

	if (!control)
		return 1;
	control->config = *config;
	control->state_lock = control->run_lock = -1;
	control->started_at = units_now_us();
	umask(0077);
	signals = block_signals();
	if (start(control, &error)) {
		log_error("%s", error.text);
		/* A gateway that was found goes on with its viewers. */
		stop(control, supervisor_started_it(control->gateway));
		free(control);
		return 1;
	}
	say_ready(control);
	signal = serve(control, signals);
	sd_notify(0, "STOPPING=1");
	log_info("leaving: %s", signal == SIGINT
					? "the gateway ends, guests go on"
					: "gateway, sessions and guests go on");
	stop(control, signal == SIGINT);
	close(signals);
	free(control);
	return 0;
}
