/*
 * IDENTIFY of every disk: IDE by ports, AHCI 1.3 and NVMe 1.4 by one command
 * each. The controllers are left as they are then.
 */
#include "probe.h"

#define ATA_IDENTIFY 0xec
#define ATA_IDENTIFY_PACKET 0xa1

/* --- IDE --------------------------------------------------------------- */

static bool ide_command(uint16_t port, unsigned unit, uint8_t command)
{
	uint8_t status = 0x80;

	out8(port + 6, 0xa0 | unit << 4);
	for (unsigned i = 0; i < 4; i++) /* 400 ns */
		in8(port + 7);
	out8(port + 7, command);
	if (!in8(port + 7))
		return false;
	for (unsigned i = 0; i < PATIENCE && status & 0x80; i++)
		status = in8(port + 7);
	return (status & 0x89) == 0x08; /* data, no error */
}

static void ide_identify(unsigned function, unsigned channel, unsigned unit)
{
	uint16_t port = channel ? 0x170 : 0x1f0;
	uint64_t key = (uint64_t)function << 8 | (channel * 2 + unit);
	enum probe_kind kind = PROBE_ATA;
	uint16_t *to;

	if (!ide_command(port, unit, ATA_IDENTIFY)) {
		if (!ide_command(port, unit, ATA_IDENTIFY_PACKET))
			return;
		kind = PROBE_ATAPI;
	}
	to = report_open(kind, key, 512);
	for (unsigned i = 0; to && i < 256; i++)
		to[i] = in16(port);
}

/* --- AHCI -------------------------------------------------------------- */

enum {
	PORT_LIST = 0x00,
	PORT_FIS = 0x08,
	PORT_INTERRUPT = 0x10,
	PORT_COMMAND = 0x18,
	PORT_TASK = 0x20,
	PORT_STATUS = 0x28,
	PORT_ERROR = 0x30,
	PORT_ISSUE = 0x38,
};

static struct {
	uint32_t list[256]; /* 32 headers of 8 words */
	uint32_t received[64];
	uint32_t table[64];
	uint16_t data[256];
} ahci __attribute__((aligned(1024)));

static void wait_clear(uintptr_t at, uint32_t bits)
{
	for (unsigned i = 0; i < PATIENCE && get32(at) & bits; i++)
		;
}

static void ahci_stop(uintptr_t port)
{
	put32(port + PORT_COMMAND, get32(port + PORT_COMMAND) & ~1u);
	wait_clear(port + PORT_COMMAND, 1u << 15);
	put32(port + PORT_COMMAND, get32(port + PORT_COMMAND) & ~0x10u);
	wait_clear(port + PORT_COMMAND, 1u << 14);
}

static bool ahci_identify(uintptr_t port, uint8_t command)
{
	ahci_stop(port);
	memset(&ahci, 0, sizeof(ahci));
	ahci.list[0] = 1u << 16 | 5; /* one region, five words of command */
	ahci.list[2] = (uint32_t)(uintptr_t)ahci.table;
	ahci.table[0] = (uint32_t)command << 16 | 0x8027;
	ahci.table[32] = (uint32_t)(uintptr_t)ahci.data;
	ahci.table[35] = sizeof(ahci.data) - 1;
	put32(port + PORT_LIST, (uint32_t)(uintptr_t)ahci.list);
	put32(port + PORT_LIST + 4, 0);
	put32(port + PORT_FIS, (uint32_t)(uintptr_t)ahci.received);
	put32(port + PORT_FIS + 4, 0);
	put32(port + PORT_ERROR, ~0u);
	put32(port + PORT_INTERRUPT, ~0u);
	put32(port + PORT_COMMAND, get32(port + PORT_COMMAND) | 0x10);
	put32(port + PORT_COMMAND, get32(port + PORT_COMMAND) | 1);
	wait_clear(port + PORT_TASK, 0x88);
	put32(port + PORT_ISSUE, 1);
	for (unsigned i = 0; i < PATIENCE; i++) {
		if (get32(port + PORT_INTERRUPT) & 1u << 30)
			return false; /* the disk refused */
		if (!(get32(port + PORT_ISSUE) & 1))
			return !(get32(port + PORT_TASK) & 1);
	}
	return false;
}

static void ahci_disks(unsigned function)
{
	uintptr_t bar = pci_bar(function, 5), port;
	uint64_t key;

	if (!bar)
		return;
	put32(bar + 4, get32(bar + 4) | 1u << 31); /* AHCI mode */
	for (unsigned i = 0; i < 32; i++) {
		port = bar + 0x100 + 0x80 * i;
		key = (uint64_t)function << 8 | i;
		if (!(get32(bar + 0x0c) & 1u << i) ||
		    (get32(port + PORT_STATUS) & 0xf) != 3)
			continue;
		if (ahci_identify(port, ATA_IDENTIFY))
			report_put(PROBE_ATA, key, ahci.data, 512);
		else if (ahci_identify(port, ATA_IDENTIFY_PACKET))
			report_put(PROBE_ATAPI, key, ahci.data, 512);
		ahci_stop(port);
	}
}

/* --- NVMe -------------------------------------------------------------- */

static struct {
	uint32_t submit[PROBE_PAGE / 4];
	uint32_t complete[PROBE_PAGE / 4];
	uint32_t data[PROBE_PAGE / 4];
} nvme __attribute__((aligned(4096)));

static bool nvme_enable(uintptr_t bar, uint32_t configuration)
{
	put32(bar + 0x14, configuration);
	for (unsigned i = 0; i < PATIENCE; i++)
		if ((get32(bar + 0x1c) & 1) == (configuration & 1))
			return true;
	return false;
}

static void nvme_disk(unsigned function)
{
	uintptr_t bar = pci_bar(function, 0);
	volatile uint32_t *status = &nvme.complete[3];

	if (!bar || !nvme_enable(bar, 0))
		return;
	memset(&nvme, 0, sizeof(nvme));
	put32(bar + 0x24, 1u << 16 | 1); /* two entries each */
	put32(bar + 0x28, (uint32_t)(uintptr_t)nvme.submit);
	put32(bar + 0x2c, (uint64_t)(uintptr_t)nvme.submit >> 32);
	put32(bar + 0x30, (uint32_t)(uintptr_t)nvme.complete);
	put32(bar + 0x34, (uint64_t)(uintptr_t)nvme.complete >> 32);
	if (!nvme_enable(bar, 4u << 20 | 6u << 16 | 1))
		return;
	nvme.submit[0] = 0x06; /* IDENTIFY */
	nvme.submit[6] = (uint32_t)(uintptr_t)nvme.data;
	nvme.submit[7] = (uint64_t)(uintptr_t)nvme.data >> 32;
	nvme.submit[10] = 1; /* the controller */
	put32(bar + 0x1000, 1);
	for (unsigned i = 0; i < 20 * PATIENCE && !(*status & 1u << 16); i++)
		get32(bar + 0x1c);
	if (*status >> 16 == 1) /* done, without an error */
		report_put(PROBE_NVME, (uint64_t)function << 8, nvme.data,
			   sizeof(nvme.data));
	nvme_enable(bar, 0);
}

void read_disks(unsigned function, uint32_t class)
{
	switch (class >> 8) {
	case 0x101:
		for (unsigned i = 0; i < 4; i++)
			ide_identify(function, i / 2, i % 2);
		break;
	case 0x106:
		ahci_disks(function);
		break;
	case 0x108:
		nvme_disk(function);
		break;
	}
}
