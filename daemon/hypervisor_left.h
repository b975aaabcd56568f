/*
 * What libvirt's embedded driver would find in its root of guests that are not
 * its own: in a copy of the root, those of the original; after a kill in the
 * middle of a start, one that never came to be, and TPMs and QEMUs without a
 * guest.
 */
#ifndef DAEMON_HYPERVISOR_LEFT_H
#define DAEMON_HYPERVISOR_LEFT_H

#include "recorder/error.h"

/*
 * Takes it away; before the driver is opened. Where the first state of a TPM is
 * still being made, that is awaited, for 10 s at most. root: as
 * hypervisor_root.h.
 */
int hypervisor_left_clean(const char *root, struct error *error);

#endif
