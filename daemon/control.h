/*
 * The control role: keeps the catalogue, calls libvirt, supervises the
 * gateway and the jobs, and answers the operations of operations.h.
 *
 * What the modules of this role share. Each member is made before and freed
 * after what comes below it, and locks itself.
 */
#ifndef DAEMON_CONTROL_H
#define DAEMON_CONTROL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/config.h"
#include "daemon/tls_files.h"
#include "recorder/error.h"

struct control {
	struct config config;
	int64_t started_at;       /* us since 1970 */
	char host[256];           /* what viewers connect to */
	int state_lock, run_lock; /* STATE/lock, RUN/lock */
	struct tls_files tls;
	struct catalogue *catalogue;
	struct events *events;
	struct accelerator *accelerator;
	struct vaults *vaults;
	struct leases *leases;
	struct network *network;
	struct hypervisor *hypervisor;
	struct sessions *sessions;
	struct jobs *jobs;
	struct upkeep *upkeep;
	struct supervisor *gateway;
	struct webui *webui;
};

/* Runs the role until a signal ends it; an exit status. */
int control_main(const struct config *config);

#endif
