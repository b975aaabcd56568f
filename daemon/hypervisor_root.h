/*
 * The root folder of libvirt's embedded driver.
 */
#ifndef DAEMON_HYPERVISOR_ROOT_H
#define DAEMON_HYPERVISOR_ROOT_H

#include "recorder/error.h"

/*
 * Longest root, bytes: of the 107 that a Unix socket's path can have, libvirt
 * takes "/lib/qemu/domain-" + id + "-" + 20 of the name + "/monitor.sock".
 */
#define HYPERVISOR_ROOT_MAX 50

/*
 * Makes the folder (its parent must be there), writes the driver's
 * configuration into it and gives the URI to open; free() it. For a user
 * other than root it also sets XDG_RUNTIME_DIR, XDG_CACHE_HOME and
 * XDG_CONFIG_HOME of this process: call it before there are other threads.
 * -ENAMETOOLONG, -EACCES and what else the file system says.
 */
int hypervisor_root_prepare(const char *root, char **uri, struct error *error);

#endif
