/*
 * One machine runs once on a host. QEMU holds a lock on a file named by the
 * machine's identity (-pidfile) for as long as it lives, so that a copy of a
 * vault, under whatever name, with whatever disks, from whatever state folder,
 * cannot run beside it; the kernel drops the lock when QEMU is gone.
 *
 * The files of all daemons that shall see each other lie in one folder: the
 * configured one (daemon.identity), else /run/mediavm-identity for root, else
 * /run/user/UID/mediavm-identity, else RUN/identity where a user has no such
 * folder. Two users of a host do not see each other there by themselves.
 */
#ifndef DAEMON_INSTANCE_H
#define DAEMON_INSTANCE_H

#include <limits.h>

#include "recorder/error.h"

struct control;

/*
 * The file for -pidfile of a definition; makes its folder. "" when QEMU runs
 * as another user (a libvirt URI) and no folder is configured. -EBUSY when the
 * machine runs already; the text names what holds it.
 */
int instance_file(const struct control *control, const char *xml,
		  char path[PATH_MAX], struct error *error);

/* Removes the file of a machine that goes, unless it is held. */
void instance_forget(const struct control *control, const char *xml);

#endif
