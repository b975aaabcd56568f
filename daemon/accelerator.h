/*
 * How guests run on this host: by KVM when it really works, else by TCG.
 * Found out by trying, once for each kernel, CPU and QEMU, and kept in the
 * catalogue.
 */
#ifndef DAEMON_ACCELERATOR_H
#define DAEMON_ACCELERATOR_H

#include <stdbool.h>

#include "recorder/error.h"

#define ACCELERATOR_WHY_SIZE 240

struct accelerator;
struct catalogue;
struct config;

int accelerator_new(struct accelerator **accelerator,
		    struct catalogue *catalogue, const struct config *config,
		    struct error *error);
void accelerator_free(struct accelerator *accelerator);

/* The first call of a run may take seconds; others wait for it. */
bool accelerator_is_kvm(struct accelerator *accelerator,
			char why[ACCELERATOR_WHY_SIZE]);

/* The same where the host has no QEMU: tried with this one. */
bool accelerator_is_kvm_by(struct accelerator *accelerator,
			   const char *emulator,
			   char why[ACCELERATOR_WHY_SIZE]);

#endif
