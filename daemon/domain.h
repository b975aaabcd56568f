/*
 * The definition of a vault's hardware as libvirt domain XML.
 *
 * domain_create makes, once, the full definition of a new vault: every
 * address, serial number, MAC and UUID is written out, nothing is left to a
 * default that may change. The text is kept in the vault's folder
 * (domain.xml) and is the whole truth from then on. domain_for_start makes of
 * it the text of one start: only what is not identity is filled in there
 * (accelerator, emulator, SPICE, log file, place of the folder).
 */
#ifndef DAEMON_DOMAIN_H
#define DAEMON_DOMAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/error.h"

struct domain_spec {
	const char *name;	/* checked by domain_name_check */
	const char *uuid;
	uint64_t memory;	/* bytes; a multiple of 1 MiB */
	unsigned cpus;		/* 1 to 64 */
	const char *cpu_model;	/* NULL: a portable default */
	unsigned heads;		/* 1 to 4 monitors */
	bool uefi;
	bool secure_boot;	/* Windows with uefi and tpm has it anyway */
	bool tpm;
	const char *os_id;	/* NULL or as libosinfo says: "win10", … */
	/* Absolute paths inside the vault's folder; NULL for none. */
	const char *disk;
	const char *disk_format;	/* "qcow2" or "raw" */
	const char *iso;
	const char *kernel, *initrd, *cmdline;
	/*
	 * The vault's own copies; with uefi see domain_firmware, else SeaBIOS,
	 * or NULL for the emulator's.
	 */
	const char *firmware, *nvram;
	const char *machine;	/* NULL: DOMAIN_MACHINE */
};

/*
 * The default machine type: the newest that every supported QEMU has. QEMU
 * deletes a versioned type about six years after its release.
 */
#define DOMAIN_MACHINE "pc-q35-7.2"

/* A name: 1 to 63 of a-z A-Z 0-9 . _ -, first a letter or digit. */
int domain_name_check(const char *name, struct error *error);

/*
 * The host's UEFI firmware for such a guest: files to be copied to
 * spec->firmware and spec->nvram. The two are static texts. -ENOENT when they
 * are not installed.
 */
int domain_firmware(const struct domain_spec *spec, const char **code,
		    const char **variables, struct error *error);

/*
 * Makes the definition; free() it. Serial numbers, MAC and WWN are random:
 * two calls make two machines.
 */
int domain_create(const struct domain_spec *spec, char **xml,
		  struct error *error);

/* Instead of the image that the definition has at `path`, that at `with`. */
struct domain_stand_in {
	const char *path, *with;
	const char *format;	/* of `with`: "raw" or "qcow2" */
};

/* One image of a disk; each stands on the next. */
struct domain_layer {
	const char *path, *format;
};

/* A disk's images, the one that is written to first. */
struct domain_chain {
	const char *target; /* of the disk: "sda" */
	const struct domain_layer *layers;
	unsigned count;
};

/* What is left zero is as the definition says. */
struct domain_start {
	bool kvm;
	const char *emulator;
	const char *name;	/* what libvirt calls it; the guest can't see */
	const char *serial_log;	/* the guest's first serial port, a file */
	/*
	 * The vault's folder, named by its UUID. A path of the definition that
	 * goes through vaults/UUID/ is taken below it: a vault may be moved.
	 */
	const char *folder;
	const char *firmware;	/* folder that QEMU looks into first (-L) */
	/*
	 * Folder of what is given back byte for byte: acpi_tables, rsdp and
	 * loader (all of them or none; tpm_log and tpm_config
	 * of a machine with a TPM go with them), and SMBIOS structures of the types 4,
	 * 16, 17, 19 and 32, one in each smbios-TYPE-HANDLE.bin.
	 */
	const char *seal;
	/* Of the disks that have others than those of the definition. */
	const struct domain_chain *chains;
	unsigned chain_count;
	const char *pidfile;	/* QEMU holds a lock on it while it runs */
	/*
	 * For a probe: the program that is booted instead of the guest, beside
	 * stand-ins for every disk and a copy of the firmware variables
	 * (-EINVAL where one is missing); CD-ROMs are empty. The TPM's state
	 * is the hypervisor's business.
	 */
	const char *kernel;
	const struct domain_stand_in *stand_ins;
	unsigned stand_in_count;
	const char *nvram;	/* instead of the firmware variables */
	/*
	 * The hypervisor's name and UUID for a probe. The guest sees those of
	 * the definition.
	 */
	const char *uuid;
};

/*
 * The text for hypervisor_start; free() it. Whatever graphics the definition
 * has, the guest gets a SPICE server that does not listen. Errors: -EINVAL for
 * a definition or a seal that is not whole, and those of reading the seal.
 */
int domain_for_start(const char *xml, const struct domain_start *start,
		     char **text, struct error *error);

/*
 * The definition with every feature of its processor's model written out, so
 * that the model may change its mind; free() it. cpu: the model with all that
 * it means (hypervisor_cpu_features). Features that the definition names stay.
 */
int domain_add_features(const char *xml, const char *cpu, char **expanded,
			struct error *error);

/*
 * Names the one machine that a definition is: SHA-256 in hexadecimal over what
 * no two machines share (UUID, serial numbers, MAC addresses). A copy of the
 * definition has the same, whatever it is called and wherever its disks lie.
 */
#define DOMAIN_IDENTITY_SIZE 65

int domain_identity(const char *xml, char identity[DOMAIN_IDENTITY_SIZE],
		    struct error *error);

/* Facts read back from a definition. */
struct domain_facts {
	char name[64];
	char uuid[37];
	uint64_t memory;
	unsigned cpus, heads;
	char machine[32], cpu_model[64], mac[18];
	char disk[512];		/* path of the first disk, "" for none */
	char nvram[512];	/* firmware variables, "" for none */
	bool tpm, secure_boot;
};

int domain_read(const char *xml, struct domain_facts *facts,
		struct error *error);

/* A disk of a definition; no CD-ROM, no floppy. */
struct domain_disk {
	char target[16]; /* "sda" */
	char path[512];	 /* its image file */
	char format[16]; /* "raw" where it does not say */
};

#define DOMAIN_DISKS 16

/* All of them; -EINVAL when there are more, or one is no file. */
int domain_disks(const char *xml, struct domain_disk disks[DOMAIN_DISKS],
		 unsigned *count, struct error *error);

#endif
