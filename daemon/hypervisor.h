/*
 * The guests, through libvirt. The only file that includes libvirt's headers
 * is hypervisor.c; a guest is named by its UUID (text, 36 characters).
 *
 * Guests are transient domains started from a text that the caller keeps.
 * Thread-safe. Nothing here knows vaults, policies or the catalogue.
 */
#ifndef DAEMON_HYPERVISOR_H
#define DAEMON_HYPERVISOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/error.h"

struct hypervisor;

enum hypervisor_state {
	HYPERVISOR_STOPPED,
	HYPERVISOR_STARTING,	/* libvirt is at it */
	HYPERVISOR_RUNNING,
	HYPERVISOR_PAUSED,	/* as after an I/O error */
	HYPERVISOR_CRASHED,	/* it ended by itself and not by its own wish */
};

struct hypervisor_options {
	const char *uri;	/* "embed" or a libvirt URI */
	const char *root;	/* folder for embed; created; a short path */
	/* For embed: "lockd" or "sanlock"; NULL or "" for none. */
	const char *lock_manager;
	/* A guest changed its state (own thread; do not block long). */
	void (*changed)(void *data, const char *uuid,
			enum hypervisor_state state, const char *why);
	void *data;
};

/*
 * Finds the guests that run since an earlier time; `changed` may be called
 * before it returns, and not any more after hypervisor_free. With "embed" it
 * sets environment variables (libvirt reads them), so call it before there
 * are other threads, and a process keeps the root of its first call. -EBUSY:
 * another process uses the root; -ENAMETOOLONG: see hypervisor_root.h.
 */
int hypervisor_new(struct hypervisor **h,
		   const struct hypervisor_options *options,
		   struct error *error);
/* Leaves the guests running. */
void hypervisor_free(struct hypervisor *h);

/*
 * "libvirt 9.0.0, QEMU 7.2.22". On a new root libvirt first asks each QEMU of
 * the host what it can do, which takes seconds, here or in the first start.
 */
int hypervisor_version(struct hypervisor *h, char *text, unsigned size,
		       struct error *error);

/*
 * The newest versioned machine type that the emulator has: the one that will
 * be there longest. For domain_spec.machine, once, when a vault is made. (A
 * distribution's QEMU with types of its own gives DOMAIN_MACHINE.)
 */
int hypervisor_machine(struct hypervisor *h, const char *emulator,
		       char *machine, unsigned size, struct error *error);

/* -EINVAL when libvirt has no such model of processor. */
int hypervisor_check_cpu(struct hypervisor *h, const char *model,
			 struct error *error);

/*
 * A named model of processor with every feature that it means for this QEMU
 * and machine type, as an element <cpu>; free() it.
 */
int hypervisor_cpu_features(struct hypervisor *h, const char *emulator,
			    const char *machine, bool kvm, const char *model,
			    char **cpu, struct error *error);

/*
 * A definition as libvirt completes it: addresses, controllers, the versioned
 * machine type. Nothing is started and nothing stays defined. free() it.
 */
int hypervisor_expand(struct hypervisor *h, const char *xml, char **expanded,
		      struct error *error);

/*
 * The definition of a domain of another libvirt, "embed" excepted, without its
 * passwords; free() it. -ENOENT; -EBUSY when it runs; -EINVAL for a URI by which
 * libvirt would run a program. A process that has used the embedded driver takes
 * every qemu: URI for its own, so another one asks: mediavmd definition URI
 * DOMAIN, which writes the text to descriptor 3, or what went wrong, with an
 * errno value as its exit status.
 */
int hypervisor_foreign_xml(const char *uri, const char *domain, char **xml,
			   struct error *error);
int hypervisor_foreign_main(int argc, char **argv);

/*
 * Has the TPM of a guest keep its state in the folder, which is there; call it
 * before the start. Only the embedded driver can: with another URI, -ENOTSUP,
 * and the state stays where libvirt keeps it.
 */
int hypervisor_place_tpm(struct hypervisor *h, const char *uuid,
			 const char *folder, struct error *error);

/* Takes back what hypervisor_place_tpm made, of a guest that has ended; the
 * folder stays. */
void hypervisor_forget_tpm(struct hypervisor *h, const char *uuid);

/* Starts a transient domain. -EEXIST when that UUID runs already. */
int hypervisor_start(struct hypervisor *h, const char *xml,
		     struct error *error);

/* Asks the guest to shut down (ACPI), or with force ends it now. Returns at
 * once when asked, after it is gone when forced; 0 when it is not there. */
int hypervisor_stop(struct hypervisor *h, const char *uuid, bool force,
		    struct error *error);

/*
 * Has QEMU quit, and returns when it and its TPM are gone. What libvirt does
 * then goes on by itself: for a while it still takes the guest for running.
 * Where the processes are not in sight, as hypervisor_stop with force.
 */
int hypervisor_quit(struct hypervisor *h, const char *uuid,
		    struct error *error);

/* HYPERVISOR_PAUSED, too, while libvirt can't be asked. */
enum hypervisor_state hypervisor_state(struct hypervisor *h, const char *uuid);

/* The live definition, expanded by libvirt; free() it. */
int hypervisor_live_xml(struct hypervisor *h, const char *uuid, char **xml,
			struct error *error);

/*
 * Reads size bytes of the guest's memory from a physical address on, while it
 * runs: what it writes meanwhile may be torn. -ENOENT: it does not run.
 */
int hypervisor_peek(struct hypervisor *h, const char *uuid, uint64_t address,
		    void *data, size_t size, struct error *error);

/*
 * A new connected stream socket to the guest's SPICE server, for one channel,
 * that needs no password (any well-formed ticket passes). It is one end of a
 * TCP loopback pair: spice-server turns compression off for Unix sockets.
 */
int hypervisor_open_graphics(struct hypervisor *h, const char *uuid, int *fd,
			     struct error *error);

/*
 * Plugs a network into the hub of the guest's network card (see
 * domain_devices.c): a connected stream socket of frames, each behind its
 * length, that stays the caller's. One at a time.
 */
int hypervisor_plug_network(struct hypervisor *h, const char *uuid, int fd,
			    struct error *error);
/* Unplugs it; 0 too when there is none. -ENOENT: the guest does not run. */
int hypervisor_unplug_network(struct hypervisor *h, const char *uuid,
			      struct error *error);

/*
 * Stops its processors; every write of its is then in its files, and so it
 * stays until it is resumed. Both are 0 when it is so already.
 */
int hypervisor_pause(struct hypervisor *h, const char *uuid,
		     struct error *error);
int hypervisor_resume(struct hypervisor *h, const char *uuid,
		      struct error *error);

/*
 * Whether the guest writes to this file as one of its drives, as QEMU itself
 * says: whoever was killed while that changed, this is so.
 */
int hypervisor_has_drive(struct hypervisor *h, const char *uuid,
			 const char *path, bool *has, struct error *error);

/* One disk's image, and the one that takes its place. */
struct hypervisor_switch {
	const char *from, *to;
};

/*
 * Lets a paused guest go on in each `to`, an empty qcow2 image that names the
 * one that it has now (`from`) as its backing file; that one is not written
 * to any more. All disks at once, or none. What hypervisor_live_xml says of
 * disks stays as it was.
 */
int hypervisor_switch_disks(struct hypervisor *h, const char *uuid,
			    const struct hypervisor_switch *disks,
			    unsigned count, struct error *error);

#endif
