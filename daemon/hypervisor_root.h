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
 * In a copy of a root it forgets the guests that run in the original.
 * lock_manager: as hypervisor_options has it; -EINVAL for another.
 * -ENAMETOOLONG, -EACCES and what else the file system says.
 */
int hypervisor_root_prepare(const char *root, const char *lock_manager,
			    char **uri, struct error *error);

/*
 * Has a guest's TPM keep its state in a folder of the caller's, which is there:
 * the driver's own place for it becomes a symbolic link. (libvirt has an
 * element for the place only since 10.10.) State that lies at the driver's
 * place since an earlier time is moved over by one rename while the folder is
 * empty. -EEXIST: there is state at both.
 */
int hypervisor_root_place_tpm(const char *root, const char *uuid,
			      const char *folder, struct error *error);

/*
 * Descriptors (pidfd_open(2)) of the processes that run a guest: QEMU and its
 * TPM. A descriptor becomes readable when its process has ended, even while
 * nobody has waited for that one; -1 where there is none. Close them.
 */
void hypervisor_root_processes(const char *root, const char *name, int fds[2]);

#endif
