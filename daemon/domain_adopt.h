/*
 * Making a vault's definition of a libvirt domain that somebody else defined,
 * without changing what its guest sees. In two steps, between which libvirt
 * expands the text (hypervisor_expand): every device then has its address.
 */
#ifndef DAEMON_DOMAIN_ADOPT_H
#define DAEMON_DOMAIN_ADOPT_H

#include <stdbool.h>

#include "recorder/error.h"

/* What there is to tell; one sentence each, without a full stop. */
struct domain_notes {
	void (*changed)(void *data, const char *text);
	/* Part of the identity that nothing keeps as it is. */
	void (*unpinned)(void *data, const char *text);
	void *data;
};

void domain_note_changed(const struct domain_notes *notes, const char *format,
			 ...) __attribute__((format(printf, 2, 3)));

/* A file that a definition uses. */
struct domain_file {
	enum {
		DOMAIN_FILE_DISK,
		DOMAIN_FILE_MEDIUM, /* CD-ROM, floppy */
		DOMAIN_FILE_LOADER,
		DOMAIN_FILE_NVRAM,
		DOMAIN_FILE_BOOT, /* kernel, initrd */
	} kind;
	const char *path;
	const char *target; /* of a disk or a medium: "sda"; "kernel" */
	const char *format; /* of a disk as it is given: "qcow2", "raw", "" */
};

struct domain_adoption {
	const char *name, *emulator;
	const char *bios; /* SeaBIOS, where the domain names no firmware */
	struct domain_notes notes;
	/*
	 * Every file: `place` (PATH_MAX) holds its path and may be set to
	 * where it is from now on; "" empties a drive. A negative value ends
	 * the adoption.
	 */
	int (*file)(void *data, const struct domain_file *file, char *place,
		    struct error *error);
	void *data;
};

/* -EINVAL for what a vault cannot carry; domain_adopt looks too. */
int domain_adopt_check(const char *xml, struct error *error);

/*
 * Gives the domain its new name and replaces the host's side: graphics and
 * their passwords, networks, consoles, labels, tuning. What the guest sees
 * stays. -EINVAL for what a vault cannot carry (a part of the host, a shared
 * folder, a disk that is not a file, a missing UUID or MAC address). free()
 * *text.
 */
int domain_adopt(const char *xml, const struct domain_adoption *adoption,
		 char **text, struct error *error);

/*
 * Of an expanded text: its files and firmware get their places, and serial
 * numbers of SATA and IDE disks that only followed from the slot are written
 * down. free() *text.
 */
int domain_adopt_finish(const char *xml, const struct domain_adoption *adoption,
			char **text, struct error *error);

#endif
