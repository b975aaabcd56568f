/*
 * The guests, through libvirt; see hypervisor.h.
 *
 * The embedded driver (qemu:///embed?root=DIR) runs in this process and needs
 * nothing else. Its QEMU processes outlive us: the next opening of the same
 * root finds them by the status files there. libvirt lets one process at a
 * time have a root, and a process have one root for its whole life.
 */
#include "daemon/hypervisor.h"

#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>
#include <libvirt/libvirt-qemu.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include "daemon/domain.h"
#include "daemon/guest_notes.h"
#include "daemon/hypervisor_root.h"
#include "daemon/loopback.h"

/* How long a forced stop may take: libvirt kills after 15 s. */
#define STOP_SECONDS 30
/* After so long QEMU has not obeyed. */
#define QUIT_MS 3000

struct hypervisor {
	char *uri;
	char *root; /* of the embedded driver, else NULL */
	void (*changed)(void *data, const char *uuid,
			enum hypervisor_state state, const char *why);
	void *data;
	struct guest_notes notes;
	pthread_mutex_t lock; /* of what follows */
	virConnectPtr connection;
	int callback;       /* of domain events */
	unsigned callbacks; /* that libvirt still holds */
	pthread_cond_t released;
};

/* libvirt prints every error to stderr unless it is told not to. */
static void stay_silent(void *data, virErrorPtr error)
{
	(void)data;
	(void)error;
}

/* The embedded driver needs its event loop for as long as the process is. */
static void *run_events(void *data)
{
	const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};

	(void)data;
	for (;;)
		if (virEventRunDefaultImpl() < 0)
			nanosleep(&pause, NULL);
	return NULL;
}

static int library_status;

static void start_library(void)
{
	pthread_t thread;
	sigset_t all, before;

	if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0) {
		library_status = -EIO;
		return;
	}
	virSetErrorFunc(NULL, stay_silent);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	library_status = -pthread_create(&thread, NULL, run_events, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (library_status == 0)
		pthread_detach(thread);
}

/* What people can do about some of libvirt's and QEMU's messages. */
static const struct {
	const char *said, *meaning;
	int code;
} advice[] = {
	{"\"write\" lock",
	 "a disk is in use by another QEMU on this host; stop that one first",
	 EBUSY},
	{"host doesn't support requested feature",
	 "this host's processor lacks features of the vault's CPU model; use "
	 "another host, or TCG",
	 ENOTSUP},
	{"CPU mode 'host-passthrough'",
	 "its processor is that of its host (host-passthrough), which works "
	 "under KVM only: use a host with KVM, or, before anything is "
	 "activated, adopt it with a named model in <cpu>",
	 ENOTSUP},
	{"TPM version",
	 "this host has no TPM emulator; install the packages swtpm and "
	 "swtpm-tools and start the daemon again",
	 ENOTSUP},
	{"Could not access KVM kernel module",
	 "KVM cannot be used here; load its module, or put the daemon's user "
	 "into the group kvm",
	 ENOTSUP},
	{"Failed to connect socket",
	 "no libvirtd answers there; start it, or give the text that virsh "
	 "dumpxml prints as a file",
	 EIO},
};

static int library_error(struct error *error)
{
	const char *message = virGetLastErrorMessage();
	int code = EIO;

	switch (virGetLastErrorCode()) {
	case VIR_ERR_NO_DOMAIN:
		code = ENOENT;
		break;
	case VIR_ERR_XML_ERROR:
	case VIR_ERR_XML_DETAIL:
	case VIR_ERR_XML_INVALID_SCHEMA:
	case VIR_ERR_CONFIG_UNSUPPORTED:
		code = EINVAL;
		break;
	case VIR_ERR_NO_MEMORY:
		code = ENOMEM;
		break;
	case VIR_ERR_AUTH_FAILED:
	case VIR_ERR_ACCESS_DENIED:
		code = EACCES;
		break;
	}
	for (size_t i = 0; i < sizeof(advice) / sizeof(advice[0]); i++)
		if (strstr(message, advice[i].said))
			return error_set(error, advice[i].code, "%s (%s)",
					 advice[i].meaning, message);
	return error_set(error, code, "%s", message);
}

static void report(struct hypervisor *h, const char *uuid,
		   enum hypervisor_state state, const char *why)
{
	if (h->changed)
		h->changed(h->data, uuid, state, why);
}

static void stopped(struct hypervisor *h, const char *uuid, int detail)
{
	enum hypervisor_state state = HYPERVISOR_STOPPED;
	const char *why = "it was shut down";

	switch (detail) {
	case VIR_DOMAIN_EVENT_STOPPED_DESTROYED:
		why = "it was stopped by force";
		break;
	case VIR_DOMAIN_EVENT_STOPPED_CRASHED:
		state = HYPERVISOR_CRASHED;
		why = "the guest crashed";
		break;
	case VIR_DOMAIN_EVENT_STOPPED_FAILED:
		state = HYPERVISOR_CRASHED;
		why = "QEMU ended without being told to: killed, or crashed";
		break;
	}
	guest_notes_set(&h->notes, uuid, state);
	report(h, uuid, state, why);
}

static const char *why_suspended(int detail)
{
	switch (detail) {
	case VIR_DOMAIN_EVENT_SUSPENDED_IOERROR:
		return "an I/O error on its disk, as when the host's disk is "
		       "full";
	case VIR_DOMAIN_EVENT_SUSPENDED_WATCHDOG:
		return "its watchdog fired";
	}
	return "it was paused";
}

static int on_event(virConnectPtr connection, virDomainPtr domain, int event,
		    int detail, void *data)
{
	struct hypervisor *h = data;
	char uuid[VIR_UUID_STRING_BUFLEN];

	(void)connection;
	if (virDomainGetUUIDString(domain, uuid) < 0)
		return 0;
	switch (event) {
	case VIR_DOMAIN_EVENT_STARTED:
		report(h, uuid, HYPERVISOR_RUNNING, "it was started");
		break;
	case VIR_DOMAIN_EVENT_RESUMED:
		report(h, uuid, HYPERVISOR_RUNNING, "it goes on");
		break;
	case VIR_DOMAIN_EVENT_SUSPENDED:
		report(h, uuid, HYPERVISOR_PAUSED, why_suspended(detail));
		break;
	case VIR_DOMAIN_EVENT_STOPPED:
		stopped(h, uuid, detail);
		break;
	}
	return 0;
}

/* libvirt will not call back any more. */
static void release_callback(void *data)
{
	struct hypervisor *h = data;

	pthread_mutex_lock(&h->lock);
	h->callbacks--;
	pthread_cond_signal(&h->released);
	pthread_mutex_unlock(&h->lock);
}

/* Called with the lock held, or while nobody else has the object. */
static int open_connection(struct hypervisor *h, struct error *error)
{
	int result;

	h->connection = virConnectOpen(h->uri);
	if (!h->connection && strstr(virGetLastErrorMessage(), "pid file"))
		return error_set(error, EBUSY,
				 "another mediavmd uses %s; stop it, or give "
				 "this one a state folder of its own",
				 h->uri);
	if (!h->connection) {
		result = library_error(error);
		error_prefix(error, "cannot open libvirt at %s", h->uri);
		return result;
	}
	h->callback = virConnectDomainEventRegisterAny(
		h->connection, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
		VIR_DOMAIN_EVENT_CALLBACK(on_event), h, release_callback);
	if (h->callback >= 0) {
		h->callbacks++;
		return 0;
	}
	result = library_error(error);
	virConnectClose(h->connection);
	h->connection = NULL;
	return result;
}

/* Or NULL. What libvirt calls back for would keep it for ever. */
static void close_connection(virConnectPtr connection, int callback)
{
	if (!connection)
		return;
	virConnectDomainEventDeregisterAny(connection, callback);
	virConnectClose(connection);
}

/*
 * The connection, opened again when the libvirtd at its other end went away.
 * The caller gives it back with virConnectClose.
 */
static int get_connection(struct hypervisor *h, virConnectPtr *connection,
			  struct error *error)
{
	virConnectPtr dead = NULL;
	int result = 0, callback = -1;

	pthread_mutex_lock(&h->lock);
	if (h->connection && virConnectIsAlive(h->connection) == 0) {
		dead = h->connection;
		callback = h->callback;
		h->connection = NULL;
	}
	if (!h->connection)
		result = open_connection(h, error);
	if (result == 0 && virConnectRef(h->connection) < 0)
		result = library_error(error);
	*connection = result == 0 ? h->connection : NULL;
	pthread_mutex_unlock(&h->lock);
	/* Without the lock: it may call release_callback. */
	close_connection(dead, callback);
	return result;
}

/*
 * A running domain by its UUID, -ENOENT when there is none. libvirt's own
 * look-up writes an error to its log each time that a guest does not run.
 */
static int find_domain(virConnectPtr connection, const char *uuid,
		       virDomainPtr *found, struct error *error)
{
	char text[VIR_UUID_STRING_BUFLEN];
	virDomainPtr *domains = NULL;
	int n = virConnectListAllDomains(connection, &domains,
					 VIR_CONNECT_LIST_DOMAINS_ACTIVE);

	*found = NULL;
	if (n < 0)
		return library_error(error);
	for (int i = 0; i < n; i++)
		if (!*found && virDomainGetUUIDString(domains[i], text) == 0 &&
		    strcasecmp(text, uuid) == 0)
			*found = domains[i];
		else
			virDomainFree(domains[i]);
	free(domains);
	return *found ? 0
		      : error_set(error, ENOENT,
				  "the guest does not run; start it first");
}

/* The caller frees *domain; the domain holds the connection. */
static int get_domain(struct hypervisor *h, const char *uuid,
		      virDomainPtr *domain, struct error *error)
{
	virConnectPtr connection;
	int result = get_connection(h, &connection, error);

	*domain = NULL;
	if (result < 0)
		return result;
	result = find_domain(connection, uuid, domain, error);
	virConnectClose(connection);
	return result;
}

/*
 * Waits until libvirt has found the QEMUs of an earlier time again, which it
 * does in threads; before that, a guest that died meanwhile seems to run.
 * Asking for disk errors queues behind that work.
 */
static void settle(struct hypervisor *h)
{
	virDomainPtr *domains = NULL;
	char uuid[VIR_UUID_STRING_BUFLEN];
	int n = virConnectListAllDomains(h->connection, &domains,
					 VIR_CONNECT_LIST_DOMAINS_ACTIVE);

	for (int i = 0; i < n; i++) {
		virDomainGetDiskErrors(domains[i], NULL, 0, 0);
		if (virDomainIsActive(domains[i]) != 1 &&
		    virDomainGetUUIDString(domains[i], uuid) == 0)
			guest_notes_set(&h->notes, uuid, HYPERVISOR_CRASHED);
		virDomainFree(domains[i]);
	}
	free(domains);
}

static int prepare_root(struct hypervisor *h,
			const struct hypervisor_options *options,
			struct error *error)
{
	int result = hypervisor_root_prepare(
		options->root, options->lock_manager, &h->uri, error);

	if (result == 0 && !(h->root = strdup(options->root)))
		result = error_set(error, ENOMEM, "out of memory");
	return result;
}

int hypervisor_new(struct hypervisor **result,
		   const struct hypervisor_options *options,
		   struct error *error)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct hypervisor *h = calloc(1, sizeof(*h));
	int status;

	*result = NULL;
	if (!h)
		return error_set(error, ENOMEM, "out of memory");
	guest_notes_init(&h->notes);
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->released, NULL);
	h->changed = options->changed;
	h->data = options->data;
	if (strcmp(options->uri, "embed") == 0)
		status = prepare_root(h, options, error);
	else if (!(h->uri = strdup(options->uri)))
		status = error_set(error, ENOMEM, "out of memory");
	else
		status = 0;
	if (status == 0) {
		pthread_once(&once, start_library);
		if (library_status < 0)
			status = error_set(error, -library_status,
					   "cannot start libvirt's client: %s",
					   virGetLastErrorMessage());
	}
	if (status == 0) {
		status = open_connection(h, error);
		if (status < 0 && options->lock_manager &&
		    *options->lock_manager)
			error_prefix(error,
				     "with lock-manager = %s, which needs a "
				     "package of its own",
				     options->lock_manager);
	}
	if (status < 0) {
		hypervisor_free(h);
		return status;
	}
	settle(h);
	*result = h;
	return 0;
}

void hypervisor_free(struct hypervisor *h)
{
	if (!h)
		return;
	close_connection(h->connection, h->callback);
	pthread_mutex_lock(&h->lock);
	while (h->callbacks > 0)
		pthread_cond_wait(&h->released, &h->lock);
	pthread_mutex_unlock(&h->lock);
	guest_notes_free(&h->notes);
	pthread_cond_destroy(&h->released);
	pthread_mutex_destroy(&h->lock);
	free(h->root);
	free(h->uri);
	free(h);
}

int hypervisor_version(struct hypervisor *h, char *text, unsigned size,
		       struct error *error)
{
	unsigned long library = 0, qemu = 0;
	virConnectPtr connection;
	int result = get_connection(h, &connection, error);

	if (result < 0)
		return result;
	if (virConnectGetLibVersion(connection, &library) < 0 ||
	    virConnectGetVersion(connection, &qemu) < 0)
		result = library_error(error);
	else
		snprintf(text, size, "libvirt %lu.%lu.%lu, QEMU %lu.%lu.%lu",
			 library / 1000000, library / 1000 % 1000,
			 library % 1000, qemu / 1000000, qemu / 1000 % 1000,
			 qemu % 1000);
	virConnectClose(connection);
	return result;
}

int hypervisor_machine(struct hypervisor *h, const char *emulator,
		       char *machine, unsigned size, struct error *error)
{
	static const char tag[] = "<machine>pc-q35-";
	unsigned major = 0, minor = 0;
	virConnectPtr connection;
	char *text;
	int result = get_connection(h, &connection, error);

	if (result < 0)
		return result;
	text = virConnectGetDomainCapabilities(connection, emulator, "x86_64",
					       "q35", "qemu", 0);
	if (text && strstr(text, tag) &&
	    sscanf(strstr(text, tag) + strlen(tag), "%3u.%3u<", &major,
		   &minor) == 2)
		snprintf(machine, size, "pc-q35-%u.%u", major, minor);
	else if (text)
		snprintf(machine, size, "%s", DOMAIN_MACHINE);
	else
		result = library_error(error);
	free(text);
	virConnectClose(connection);
	return result;
}

int hypervisor_check_cpu(struct hypervisor *h, const char *model,
			 struct error *error)
{
	virConnectPtr connection;
	char **models = NULL;
	bool is_known = false;
	int n, result = get_connection(h, &connection, error);

	if (result < 0)
		return result;
	n = virConnectGetCPUModelNames(connection, "x86_64", &models, 0);
	if (n < 0)
		result = library_error(error);
	for (int i = 0; i < n; i++) {
		is_known = is_known || strcmp(models[i], model) == 0;
		free(models[i]);
	}
	free(models);
	virConnectClose(connection);
	if (result == 0 && !is_known)
		result = error_set(error, EINVAL,
				   "'%.60s' is not a CPU model that libvirt "
				   "knows; name one such as Nehalem",
				   model);
	return result;
}

int hypervisor_cpu_features(struct hypervisor *h, const char *emulator,
			    const char *machine, bool kvm, const char *model,
			    char **cpu, struct error *error)
{
	virConnectPtr connection;
	char text[240];
	const char *cpus[] = {text};
	int result = get_connection(h, &connection, error);

	*cpu = NULL;
	if (result < 0)
		return result;
	snprintf(text, sizeof(text),
		 "<cpu mode='custom' match='exact'><model fallback='forbid'>"
		 "%.80s</model></cpu>",
		 model);
	*cpu = virConnectBaselineHypervisorCPU(
		connection, emulator, "x86_64", machine, kvm ? "kvm" : "qemu",
		cpus, 1, VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES);
	if (!*cpu)
		result = library_error(error);
	virConnectClose(connection);
	return result;
}

int hypervisor_expand(struct hypervisor *h, const char *xml, char **expanded,
		      struct error *error)
{
	virConnectPtr connection;
	virDomainPtr domain;
	int result = get_connection(h, &connection, error);

	*expanded = NULL;
	if (result < 0)
		return result;
	domain = virDomainDefineXMLFlags(connection, xml, 0);
	if (domain)
		*expanded =
			virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE);
	if (!*expanded)
		result = library_error(error);
	if (domain) {
		virDomainUndefineFlags(domain,
				       VIR_DOMAIN_UNDEFINE_KEEP_NVRAM |
					       VIR_DOMAIN_UNDEFINE_KEEP_TPM);
		virDomainFree(domain);
	}
	virConnectClose(connection);
	return result;
}

static int foreign_xml(virConnectPtr connection, const char *name, char **xml,
		       struct error *error)
{
	virDomainPtr domain = virDomainLookupByName(connection, name);
	int result = 0;

	if (!domain)
		return error_set(error, ENOENT, "there is no domain %s (%s)",
				 name, virGetLastErrorMessage());
	if (virDomainIsActive(domain) == 1)
		result = error_set(error, EBUSY,
				   "the domain %s runs; shut it down first",
				   name);
	else if (!(*xml = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE)))
		result = library_error(error);
	virDomainFree(domain);
	return result;
}

int hypervisor_foreign_main(int argc, char **argv)
{
	struct error error = {0};
	virConnectPtr connection;
	char *xml = NULL;
	int result;

	if (argc != 3)
		return EINVAL;
	virSetErrorFunc(NULL, stay_silent);
	connection = virConnectOpenReadOnly(argv[1]);
	if (!connection)
		result = library_error(&error);
	else
		result = foreign_xml(connection, argv[2], &xml, &error);
	if (connection)
		virConnectClose(connection);
	if (dprintf(3, "%s", result < 0 ? error.text : xml) < 0)
		result = -EIO;
	free(xml);
	return -result < 126 ? -result : EIO;
}

int hypervisor_place_tpm(struct hypervisor *h, const char *uuid,
			 const char *folder, struct error *error)
{
	if (h->root)
		return hypervisor_root_place_tpm(h->root, uuid, folder, error);
	return error_set(error, ENOTSUP,
			 "the TPM's state stays where libvirt keeps it at %s",
			 h->uri);
}

static int start(struct hypervisor *h, const char *xml, const char *uuid,
		 struct error *error)
{
	virConnectPtr connection;
	virDomainPtr domain;
	int result = get_connection(h, &connection, error);

	if (result < 0)
		return result;
	result = find_domain(connection, uuid, &domain, error);
	if (result == 0) {
		result = error_set(error, EEXIST, "the guest runs already");
	} else if (result == -ENOENT) {
		error_clear(error);
		domain = virDomainCreateXML(connection, xml, 0);
		result = domain ? 0 : library_error(error);
	}
	if (domain)
		virDomainFree(domain);
	virConnectClose(connection);
	return result;
}

int hypervisor_start(struct hypervisor *h, const char *xml, struct error *error)
{
	struct domain_facts facts;
	int result = domain_read(xml, &facts, error);

	if (result < 0)
		return result;
	if (!guest_notes_begin_start(&h->notes, facts.uuid))
		return error_set(error, EEXIST,
				 "the guest is being started already");
	result = start(h, xml, facts.uuid, error);
	guest_notes_end_start(&h->notes, facts.uuid);
	return result;
}

/* virDomainDestroy may fail although it has just done its work. */
static int destroy(virDomainPtr domain, struct error *error)
{
	const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
	int result = 0;

	if (virDomainDestroyFlags(domain, VIR_DOMAIN_DESTROY_DEFAULT) < 0)
		result = library_error(error);
	for (int i = 0; i < STOP_SECONDS * 50; i++) {
		if (virDomainIsActive(domain) != 1)
			return 0;
		if (result < 0 && i > 50)
			return result;
		nanosleep(&pause, NULL);
	}
	return error_set(error, ETIMEDOUT,
			 "QEMU did not end within %d s of being killed; the "
			 "host's disk may hang",
			 STOP_SECONDS);
}

int hypervisor_stop(struct hypervisor *h, const char *uuid, bool force,
		    struct error *error)
{
	virDomainPtr domain;
	int result = get_domain(h, uuid, &domain, error);

	if (result == -ENOENT) {
		error_clear(error);
		return 0;
	}
	if (result < 0)
		return result;
	if (force)
		result = destroy(domain, error);
	else if (virDomainShutdownFlags(
			 domain, VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN) < 0 &&
		 virDomainIsActive(domain) == 1)
		result = library_error(error);
	virDomainFree(domain);
	return result;
}

/* Ends a process, or none (-1): whether it is gone. Closes the descriptor. */
static bool end_process(int fd, int signal)
{
	struct pollfd end = {.fd = fd, .events = POLLIN};
	bool gone = fd < 0;

	if (fd >= 0) {
		syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0);
		gone = poll(&end, 1, QUIT_MS) == 1;
		close(fd);
	}
	return gone;
}

/*
 * libvirt waits until somebody has waited for the process, which the first
 * process of a container may do late; so does a monitor command meanwhile.
 */
int hypervisor_quit(struct hypervisor *h, const char *uuid, struct error *error)
{
	virDomainPtr domain;
	int fds[2] = {-1, -1}, result = get_domain(h, uuid, &domain, error);
	bool known, gone;

	if (result == -ENOENT) {
		error_clear(error);
		return 0;
	}
	if (result < 0)
		return result;
	if (h->root)
		hypervisor_root_processes(h->root, virDomainGetName(domain),
					  fds);
	virDomainFree(domain);
	known = fds[0] >= 0;
	gone = end_process(fds[0], SIGTERM);
	/* It goes with QEMU by itself. */
	gone = end_process(fds[1], 0) && gone;
	return known && gone ? 0 : hypervisor_stop(h, uuid, true, error);
}

enum hypervisor_state hypervisor_state(struct hypervisor *h, const char *uuid)
{
	enum hypervisor_state state = guest_notes_get(&h->notes, uuid);
	virDomainPtr domain;
	int libvirt_state = VIR_DOMAIN_SHUTOFF;
	int result;

	if (state == HYPERVISOR_STARTING)
		return state;
	result = get_domain(h, uuid, &domain, NULL);
	if (result == -ENOENT)
		return state;
	/* Nothing may be done then as if it were stopped. */
	if (result < 0)
		return HYPERVISOR_PAUSED;
	if (virDomainGetState(domain, &libvirt_state, NULL, 0) == 0)
		switch (libvirt_state) {
		case VIR_DOMAIN_RUNNING:
		case VIR_DOMAIN_BLOCKED:
		case VIR_DOMAIN_SHUTDOWN:
			state = HYPERVISOR_RUNNING;
			break;
		case VIR_DOMAIN_PAUSED:
		case VIR_DOMAIN_PMSUSPENDED:
			state = HYPERVISOR_PAUSED;
			break;
		case VIR_DOMAIN_CRASHED:
			state = HYPERVISOR_CRASHED;
			break;
		}
	virDomainFree(domain);
	return state;
}

int hypervisor_live_xml(struct hypervisor *h, const char *uuid, char **xml,
			struct error *error)
{
	virDomainPtr domain;
	int result = get_domain(h, uuid, &domain, error);

	*xml = NULL;
	if (result < 0)
		return result;
	*xml = virDomainGetXMLDesc(domain, 0);
	if (!*xml)
		result = library_error(error);
	virDomainFree(domain);
	return result;
}

/* libvirt's remote protocol carries 16 MiB at most. */
#define PEEK_MAX (1u << 20)

int hypervisor_peek(struct hypervisor *h, const char *uuid, uint64_t address,
		    void *data, size_t size, struct error *error)
{
	virDomainPtr domain;
	uint8_t *to = data;
	int result = get_domain(h, uuid, &domain, error);

	while (result == 0 && size) {
		size_t part = size < PEEK_MAX ? size : PEEK_MAX;

		if (virDomainMemoryPeek(domain, address, part, to,
					VIR_MEMORY_PHYSICAL) < 0)
			result = library_error(error);
		address += part;
		to += part;
		size -= part;
	}
	virDomainFree(domain);
	return result;
}

void hypervisor_forget_tpm(struct hypervisor *h, const char *uuid)
{
	char path[PATH_MAX];

	if (!h->root)
		return;
	snprintf(path, sizeof(path), "%.2000s/lib/swtpm/%.36s", h->root, uuid);
	unlink(path); /* fails on a folder: state is never removed */
}

int hypervisor_open_graphics(struct hypervisor *h, const char *uuid, int *fd,
			     struct error *error)
{
	virDomainPtr domain;
	int pair[2] = {-1, -1};
	int result = get_domain(h, uuid, &domain, error);

	*fd = -1;
	if (result < 0)
		return result;
	result = loopback_pair(pair, error);
	if (result == 0) {
		if (virDomainOpenGraphics(domain, 0, (unsigned)pair[1],
					  VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH) <
		    0) {
			result = library_error(error);
			error_prefix(error, "cannot reach the guest's SPICE "
					    "server");
			close(pair[0]);
		} else {
			*fd = pair[0];
		}
		close(pair[1]);
	}
	virDomainFree(domain);
	return result;
}

/*
 * One QMP command, with a descriptor or -1. *missing tells that QEMU knows no
 * such device, which is an error only when missing is NULL.
 */
static int monitor(virDomainPtr domain, const char *command, int fd,
		   bool *missing, struct error *error)
{
	const char *text, *kind;
	char *answer = NULL;
	json_t *json, *failed;
	int result = 0;

	if (virDomainQemuMonitorCommandWithFiles(domain, command, fd >= 0, &fd,
						 NULL, NULL, &answer, 0) < 0)
		return library_error(error);
	json = json_loads(answer, 0, NULL);
	free(answer);
	failed = json_object_get(json, "error");
	kind = json_string_value(json_object_get(failed, "class"));
	text = json_string_value(json_object_get(failed, "desc"));
	if (failed && missing && kind && strcmp(kind, "DeviceNotFound") == 0)
		*missing = true;
	else if (!json || failed)
		result = error_set(error, EIO, "QEMU said: %s",
				   text ? text : "nothing that is JSON");
	json_decref(json);
	return result;
}

/* The port first: the other end of a netdev that goes must not be in use. */
static int unplug(virDomainPtr domain, struct error *error)
{
	bool missing;
	int result = monitor(domain,
			     "{\"execute\": \"netdev_del\", \"arguments\": "
			     "{\"id\": \"window\"}}",
			     -1, &missing, error);

	if (result == 0)
		result = monitor(domain,
				 "{\"execute\": \"netdev_del\", "
				 "\"arguments\": {\"id\": \"window-way\"}}",
				 -1, &missing, error);
	return result;
}

int hypervisor_unplug_network(struct hypervisor *h, const char *uuid,
			      struct error *error)
{
	virDomainPtr domain;
	int result = get_domain(h, uuid, &domain, error);

	if (result < 0)
		return result;
	result = unplug(domain, error);
	virDomainFree(domain);
	return result;
}

/* Not the newer netdev "stream": QEMU 7.2 looks for its descriptor in a thread
 * that knows no monitor, and does not find it. */
int hypervisor_plug_network(struct hypervisor *h, const char *uuid, int fd,
			    struct error *error)
{
	virDomainPtr domain;
	int result = get_domain(h, uuid, &domain, error);

	if (result < 0)
		return result;
	result = unplug(domain, error);
	if (result == 0)
		result = monitor(domain,
				 "{\"execute\": \"getfd\", \"arguments\": "
				 "{\"fdname\": \"window-fd\"}}",
				 fd, NULL, error);
	if (result == 0)
		result = monitor(domain,
				 "{\"execute\": \"netdev_add\", "
				 "\"arguments\": {\"type\": \"socket\", "
				 "\"id\": \"window-way\", \"fd\": "
				 "\"window-fd\"}}",
				 -1, NULL, error);
	if (result == 0)
		result = monitor(domain,
				 "{\"execute\": \"netdev_add\", "
				 "\"arguments\": {\"type\": \"hubport\", "
				 "\"id\": \"window\", \"hubid\": 0, "
				 "\"netdev\": \"window-way\"}}",
				 -1, NULL, error);
	if (result < 0)
		unplug(domain, NULL);
	virDomainFree(domain);
	return result;
}

static int set_running(struct hypervisor *h, const char *uuid, bool running,
		       struct error *error)
{
	virDomainPtr domain;
	int state, result = get_domain(h, uuid, &domain, error);

	if (result < 0)
		return result;
	if (virDomainGetState(domain, &state, NULL, 0) < 0)
		result = library_error(error);
	else if ((state == VIR_DOMAIN_PAUSED) == running &&
		 (running ? virDomainResume(domain)
			  : virDomainSuspend(domain)) < 0)
		result = library_error(error);
	virDomainFree(domain);
	return result;
}

int hypervisor_pause(struct hypervisor *h, const char *uuid,
		     struct error *error)
{
	return set_running(h, uuid, false, error);
}

int hypervisor_resume(struct hypervisor *h, const char *uuid,
		      struct error *error)
{
	return set_running(h, uuid, true, error);
}

/* Asks the guest's QEMU; *answer is what it returns. */
static int ask(struct hypervisor *h, const char *uuid, const char *command,
	       json_t *arguments, json_t **answer, struct error *error)
{
	json_t *json = json_pack("{s:s, s:o*}", "execute", command, "arguments",
				 arguments);
	char *text = json_dumps(json, JSON_COMPACT), *said = NULL;
	virDomainPtr domain;
	int result = get_domain(h, uuid, &domain, error);

	*answer = NULL;
	json_decref(json);
	if (result == 0 &&
	    virDomainQemuMonitorCommand(domain, text, &said, 0) < 0)
		result = library_error(error);
	if (result == 0 && !(*answer = json_loads(said, 0, NULL)))
		result = error_set(error, EIO, "QEMU's answer is no JSON");
	json = json_object_get(*answer, "error");
	if (result == 0 && json)
		result = error_set(
			error, EIO, "QEMU: %s",
			json_string_value(json_object_get(json, "desc")));
	if (domain)
		virDomainFree(domain);
	free(text);
	free(said);
	return result;
}

/*
 * Whether QEMU's name of an image means this file: a path, or what QEMU was
 * told about the image, as "json:" and an object.
 */
static bool is_file(const char *name, const char *path)
{
	const json_t *file;
	const char *inside;
	json_t *json;
	bool same;

	if (!name || strncmp(name, "json:", 5) != 0)
		return name && strcmp(name, path) == 0;
	json = json_loads(name + 5, 0, NULL);
	file = json_object_get(json, "file");
	inside = json_string_value(
		json_object_get(file ? file : json, "filename"));
	same = inside && strcmp(inside, path) == 0;
	json_decref(json);
	return same;
}

/* The name of the node through which a drive writes to a file, or NULL. */
static const char *node_of(const json_t *answer, const char *path)
{
	const json_t *list = json_object_get(answer, "return"), *drive;
	size_t i;

	json_array_foreach(list, i, drive)
	{
		const json_t *image = json_object_get(drive, "inserted");

		if (is_file(json_string_value(json_object_get(image, "file")),
			    path))
			return json_string_value(
				json_object_get(image, "node-name"));
	}
	return NULL;
}

int hypervisor_has_drive(struct hypervisor *h, const char *uuid,
			 const char *path, bool *has, struct error *error)
{
	json_t *answer;
	int result = ask(h, uuid, "query-block", NULL, &answer, error);

	*has = result == 0 && node_of(answer, path);
	json_decref(answer);
	return result;
}

/* Opens an image by itself, without the one below it. */
static int add_node(struct hypervisor *h, const char *uuid, const char *name,
		    const char *path, struct error *error)
{
	json_t *answer;
	int result =
		ask(h, uuid, "blockdev-add",
		    json_pack("{s:s, s:s, s:s, s:n, s:{s:s, s:s, s:s}}",
			      "driver", "qcow2", "node-name", name, "discard",
			      "unmap", "backing", "file", "driver", "file",
			      "filename", path, "discard", "unmap"),
		    &answer, error);

	json_decref(answer);
	return result;
}

static void remove_node(struct hypervisor *h, const char *uuid,
			const char *name)
{
	json_t *answer;

	ask(h, uuid, "blockdev-del", json_pack("{s:s}", "node-name", name),
	    &answer, NULL);
	json_decref(answer);
}

/* The name of the node of an image that is opened for a switch. */
static void name_node(const struct hypervisor_switch *disk,
		      char name[32]) /* QEMU takes 31 characters */
{
	const char *file = strrchr(disk->to, '/');

	snprintf(name, 32, "%.31s", file ? file + 1 : disk->to);
}

/* Opens every new image; *actions of a transaction is what puts them in. */
static int prepare_switch(struct hypervisor *h, const char *uuid,
			  const json_t *drives,
			  const struct hypervisor_switch *disks, unsigned count,
			  unsigned *opened, json_t **actions,
			  struct error *error)
{
	int result = 0;
	char name[32];

	*actions = json_array();
	for (*opened = 0; result == 0 && *opened < count;) {
		const struct hypervisor_switch *disk = &disks[*opened];
		const char *node = node_of(drives, disk->from);

		if (!node)
			return error_set(
				error, EIO,
				"QEMU does not write to %s, as it should",
				disk->from);
		name_node(disk, name);
		result = add_node(h, uuid, name, disk->to, error);
		if (result < 0)
			return result;
		++*opened;
		json_array_append_new(*actions,
				      json_pack("{s:s, s:{s:s, s:s}}", "type",
						"blockdev-snapshot", "data",
						"node", node, "overlay", name));
	}
	return result;
}

/*
 * Through QEMU itself: libvirt's own way asks for a storage driver that the
 * embedded one has not got, and what libvirt believes would be wrong after
 * we are killed in the middle.
 */
int hypervisor_switch_disks(struct hypervisor *h, const char *uuid,
			    const struct hypervisor_switch *disks,
			    unsigned count, struct error *error)
{
	json_t *answer, *actions, *done = NULL;
	unsigned opened;
	int result;

	if (count == 0)
		return 0;
	result = ask(h, uuid, "query-block", NULL, &answer, error);
	if (result < 0)
		return result;
	result = prepare_switch(h, uuid, answer, disks, count, &opened,
				&actions, error);
	if (result == 0)
		result = ask(h, uuid, "transaction",
			     json_pack("{s:O}", "actions", actions), &done,
			     error);
	while (result < 0 && opened--) {
		char name[32];

		name_node(&disks[opened], name);
		remove_node(h, uuid, name);
	}
	json_decref(done);
	json_decref(actions);
	json_decref(answer);
	return result;
}
