/*
 * Does KVM carry an ordinary kernel here? Found by trying.
 *
 * That /dev/kvm opens says little: under a paravirtual host (kvm-pvm) it
 * does, yet a kernel that does not know of that host is interpreted, a
 * thousand times slower, or stopped by "KVM internal error". So QEMU runs a
 * firmware image of ours (kvm_payload.c) that does what a kernel does and is
 * done in a fraction of a second of processor time where KVM works.
 */
#ifndef DAEMON_KVM_TRIAL_H
#define DAEMON_KVM_TRIAL_H

#include "recorder/error.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Tries it with this QEMU. Takes a tenth of a second where KVM works, else
 * three seconds of processor time or five seconds asleep, and never more than
 * a minute. The result holds until the host's kernel, QEMU or the caller's
 * groups change, so callers keep it.
 *
 * Returns 0 and sets *works and the reason, one line that says what happened
 * and, when it does not work, what to do. A negative errno value when the
 * trial could not be made or proves nothing (no such QEMU, no memory,
 * -ETIMEDOUT: the host was too busy); that is not to be kept.
 */
int kvm_trial(const char *qemu, bool *works, char *reason, size_t reason_size,
	      struct error *error);

/* The first half: is there such a device (/dev/kvm), may we open it? */
bool kvm_trial_device(const char *path, char *reason, size_t reason_size);

/* The second half with any accelerator of QEMU ("tcg" proves the payload). */
int kvm_trial_run(const char *qemu, const char *accelerator, bool *works,
		  char *reason, size_t reason_size, struct error *error);

#endif
