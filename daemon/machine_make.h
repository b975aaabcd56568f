/*
 * Copies a QEMU, with everything that it needs, into a folder.
 */
#ifndef DAEMON_MACHINE_MAKE_H
#define DAEMON_MACHINE_MAKE_H

#include "daemon/machine_files.h"
#include "recorder/error.h"

/*
 * The folder is made; see machine_files.h for what comes into it. The copy is
 * then run: -ENOTSUP unless it has the machine type and SPICE, and loads
 * nothing from outside the folder. The caller removes what a failure leaves.
 */
int machine_make(const char *emulator, const char *machine, const char *folder,
		 char digest[MACHINE_DIGEST_SIZE], struct error *error);

/* For machine_make: fills modules/ up with empty files, after the copies. */
int machine_leave_out(const char *program, const char *folder,
		      struct error *error);

#endif
