/*
 * What this host's SPICE servers advertise, kept in the catalogue for the
 * installed hypervisor.
 */
#ifndef DAEMON_SPICE_CAPS_H
#define DAEMON_SPICE_CAPS_H

#include <stdbool.h>

#include "schema/ipc.h"

struct control;

/* None when nothing is known of this version of the hypervisor. */
void spice_caps_load(struct control *control, struct ipc_caps *caps);
void spice_caps_store(struct control *control, const struct ipc_caps *caps);

/* Adds rows of types that are new, replaces those that changed; whether it
 * did anything. */
bool spice_caps_merge(struct ipc_caps *all, const struct ipc_caps *some);

#endif
