/*
 * When QEMU gives up a machine type.
 *
 * "pc-q35-7.2" is the machine as QEMU 7.2 had it. QEMU calls it deprecated
 * three years and removes it six years after that release: the first number of
 * a version counts years, so that is in 10.2 and in 13.2
 * (www.qemu.org/docs/master/about/deprecated.html and www.qemu.org/download).
 */
#ifndef DAEMON_MACHINE_AGE_H
#define DAEMON_MACHINE_AGE_H

#include <stdbool.h>

struct machine_age {
	unsigned major, minor;          /* QEMU's version that brought it */
	char released[8];               /* "2022-12" */
	char deprecated[8], removed[8]; /* likewise */
	unsigned removed_major;         /* with that version, minor as above */
};

/* false for a name without such a version, as distributions have. */
bool machine_age(const char *machine, struct machine_age *age);

#endif
