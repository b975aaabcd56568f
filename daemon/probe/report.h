/*
 * The report of the identity probe: what it leaves in guest memory for the
 * host. Shared by the probe, which has no libc, and by the daemon.
 *
 * A header says where the records lie. It is in the page at
 * PROBE_BIOS_ADDRESS, or, in a UEFI guest, at PROBE_UEFI_ADDRESS, or, where the
 * firmware has not got that to give, at the beginning of some page below
 * PROBE_UEFI_END. It is written last.
 * Records follow one another; each is a struct probe_record_head and `size`
 * bytes, filled up to a multiple of 8. Little-endian throughout; guest
 * addresses are physical.
 */
#ifndef DAEMON_PROBE_REPORT_H
#define DAEMON_PROBE_REPORT_H

#include <stdint.h>

/* Another one when the report has more in it; see identity_diff. */
#define PROBE_VERSION 3
#define PROBE_BIOS_ADDRESS 0x1000000u /* 16 MiB */
#define PROBE_UEFI_ADDRESS 0x10000u   /* 64 KiB */
#define PROBE_UEFI_END 0xa0000u       /* 640 KiB */
#define PROBE_PAGE 4096u
#define PROBE_MAX (2u << 20) /* bytes of records */

/* Read as four 32-bit numbers: "mediavm probe 1\n". */
#define PROBE_MAGIC \
	{ \
		0x6964656d, 0x206d7661, 0x626f7270, 0x0a312065 \
	}

struct probe_header {
	uint32_t magic[4];
	uint32_t version;
	uint32_t lost;       /* records that found no room */
	uint64_t address;    /* of the first record */
	uint32_t size;       /* bytes of all records */
	uint32_t crc;        /* CRC-32 (zlib's) of them */
	uint32_t header_crc; /* of everything above */
	uint32_t zero;
};

struct probe_record_head {
	uint16_t kind;  /* enum probe_kind */
	uint16_t index; /* counts those of one kind and key: CPUID and MSRs
			 * are those of processor `index` */
	uint32_t size;  /* bytes that follow, without the filling */
	uint64_t key;
};

enum probe_kind {
	PROBE_CPUID = 1,    /* leaf << 32 | subleaf: EAX EBX ECX EDX */
	PROBE_MSR,          /* number: 8 bytes, or none: #GP */
	PROBE_SMBIOS_ENTRY, /* 0: the entry point's bytes */
	PROBE_SMBIOS,       /* type << 16 | handle: with its strings */
	PROBE_ACPI_RSDP,    /* 0 */
	PROBE_ACPI,         /* signature: the whole table */
	PROBE_PCI,          /* bus << 8 | device << 3 | function: 256 or 4096 */
	PROBE_ATA,          /* that << 8 | port (IDE: 0 to 3): IDENTIFY */
	PROBE_ATAPI,        /* likewise: IDENTIFY PACKET DEVICE */
	PROBE_NVME,         /* that << 8: IDENTIFY controller */
	PROBE_MAC,          /* of a function, as for PROBE_PCI: 6 bytes */
	PROBE_CMOS,         /* 0: 128 bytes */
	PROBE_MEMORY,       /* 0: base, length, type: 8 bytes each */
	PROBE_ROM,          /* address: size, CRC-32: 4 bytes each */
	PROBE_TPM,          /* command code << 32 | argument: the response */
	PROBE_FW_CFG_DIRECTORY, /* 0: as it is read, big-endian */
	PROBE_FW_CFG_FILE,      /* selector: contents */
	PROBE_UEFI_SYSTEM,   /* 0: two revisions, 4 bytes each; vendor UTF-16 */
	PROBE_UEFI_TABLE,    /* 0: GUID of a configuration table */
	PROBE_UEFI_VARIABLE, /* 0: GUID, attributes (4), bytes of name (4),
			      * name UTF-16, contents */
	PROBE_VIRTIO_BLK, /* function: serial (20 bytes), sectors (8), bytes of
			   * a block (4) */
	PROBE_SCSI, /* function << 24 | target << 16 | unit << 8 | page, data of
		     * INQUIRY: 0 the standard ones, 0x80 and 0x83 vital product
		     * data; 0x25 answer of READ CAPACITY */
	PROBE_EDID, /* function: 256 bytes */
	PROBE_USB,  /* function << 16 | port << 8 | descriptor: 1 device's,
		     * 2 configuration's, 0x10 manufacturer, 0x11 product,
		     * 0x12 serial number */
	PROBE_KINDS
};

#endif
