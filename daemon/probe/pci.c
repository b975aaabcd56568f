/*
 * PCI configuration space of every function: 256 bytes by ports 0xcf8 and
 * 0xcfc, the rest of PCI Express by MMCONFIG. Network cards: their MAC;
 * displays: their EDID.
 */
#include "probe.h"

uint32_t pci_read(unsigned function, unsigned offset)
{
	out32(0xcf8, 0x80000000u | function << 8 | (offset & 0xfc));
	return in32(0xcfc);
}

void pci_write(unsigned function, unsigned offset, uint32_t value)
{
	out32(0xcf8, 0x80000000u | function << 8 | (offset & 0xfc));
	out32(0xcfc, value);
}

uintptr_t pci_bar(unsigned function, unsigned bar)
{
	uint32_t low = pci_read(function, 0x10 + 4 * bar);
	uint64_t address = low & ~0xfu;

	if (low & 1)
		return 0;
	if ((low & 6) == 4)
		address |= (uint64_t)pci_read(function, 0x14 + 4 * bar) << 32;
	return address == (uintptr_t)address ? (uintptr_t)address : 0;
}

uintptr_t virtio_part(unsigned function, unsigned part, uint32_t *multiplier)
{
	unsigned at = pci_read(function, 0x34) & 0xfc;
	uintptr_t bar;

	for (unsigned i = 0; at && i < 48; i++) {
		uint32_t head = pci_read(function, at);

		/* vendor's capability; which part */
		if ((head & 0xff) == 9 && head >> 24 == part) {
			if (multiplier)
				*multiplier = pci_read(function, at + 16);
			bar = pci_bar(function, pci_read(function, at + 4) & 7);
			return bar ? bar + pci_read(function, at + 8) : 0;
		}
		at = head >> 8 & 0xfc;
	}
	return 0;
}

/* MMCONFIG answers the same as the ports, and has more. */
static bool is_express(uintptr_t extended, uint32_t id)
{
	uint32_t first;

	if (!extended || get32(extended) != id)
		return false;
	first = get32(extended + 0x100);
	return first && first != ~0u;
}

static void read_function(unsigned function, uint64_t mmconfig)
{
	uint64_t at = mmconfig ? mmconfig + ((uint64_t)function << 12) : 0;
	uintptr_t extended = at == (uintptr_t)at ? (uintptr_t)at : 0;
	uint32_t id = pci_read(function, 0);
	bool more = is_express(extended, id);
	uint32_t *to =
		report_open(PROBE_PCI, function, more ? PROBE_PAGE : 256);

	if (!to)
		return;
	for (unsigned i = 0; i < 64; i++)
		to[i] = pci_read(function, 4 * i);
	for (unsigned i = 64; more && i < PROBE_PAGE / 4; i++)
		to[i] = get32(extended + 4 * i);
}

static void each_function(void (*visit)(unsigned function, uint64_t data),
			  uint64_t data)
{
	unsigned function;

	for (unsigned slot = 0; slot < 256 * 32; slot++) {
		function = slot << 3;
		if (pci_read(function, 0) == ~0u)
			continue;
		visit(function, data);
		/* header type: several functions */
		if (!(pci_read(function, 0x0c) & 0x800000))
			continue;
		while (++function & 7)
			if (pci_read(function, 0) != ~0u)
				visit(function, data);
	}
}

static void read_behind(unsigned function, uint64_t data)
{
	uint32_t class = pci_read(function, 8) >> 8;
	uint32_t command = pci_read(function, 4);

	(void)data;
	if (class >> 16 != 1 && class >> 8 != 0x200 && class >> 8 != 0x300 &&
	    class >> 8 != 0xc03)
		return;
	/* I/O, memory and bus mastering on; no status bit is cleared */
	pci_write(function, 4, (command & 0xffff) | 7);
	read_disks(function, class);
	read_virtio_disks(function);
	read_mac(function, class);
	if (class >> 8 == 0x300)
		read_edid(function);
	if (class == 0xc0330)
		read_usb(function);
	if (class == 0xc0300)
		read_uhci(function);
}

static void prepare(unsigned function, uint64_t data)
{
	(void)data;
	if (pci_read(function, 8) >> 8 != 0xc0320)
		return;
	pci_write(function, 4, (pci_read(function, 4) & 0xffff) | 7);
	release_ehci(function);
}

void read_pci(uint64_t mmconfig)
{
	each_function(read_function, mmconfig);
	each_function(prepare, 0);
	each_function(read_behind, 0);
}

/* --- network cards ----------------------------------------------------- */

/* A port number of BAR 0, or 0. */
static uint16_t port_bar(unsigned function)
{
	uint32_t bar = pci_read(function, 0x10);

	return bar & 1 ? (uint16_t)(bar & 0xfffc) : 0;
}

static bool mac_in_memory(uintptr_t at, uint8_t mac[6])
{
	if (!at)
		return false;
	for (unsigned i = 0; i < 6; i++)
		mac[i] = get8(at + i);
	return true;
}

static bool mac_in_ports(uint16_t port, uint8_t mac[6])
{
	for (unsigned i = 0; i < 6; i++)
		mac[i] = in8(port + i);
	return true;
}

void read_mac(unsigned function, uint32_t class)
{
	uint32_t id = pci_read(function, 0);
	uint16_t port = port_bar(function);
	uintptr_t bar;
	uint8_t mac[6];
	uint32_t words[2];
	bool found = false;

	if (class >> 8 != 0x200)
		return;
	switch (id & 0xffff) {
	case 0x8086: /* receive address 0 of Intel's e1000 family */
		bar = pci_bar(function, 0);
		if (!bar)
			break;
		words[0] = get32(bar + 0x5400);
		words[1] = get32(bar + 0x5404);
		memcpy(mac, words, 6);
		found = true;
		break;
	case 0x10ec: /* RTL8139: at the beginning of its ports */
		found = port && mac_in_ports(port, mac);
		break;
	case 0x1af4:
		found = mac_in_memory(virtio_part(function, 4, NULL), mac);
		if (!found && port) /* legacy, without MSI-X */
			found = mac_in_ports(port + 20, mac);
		break;
	}
	if (found)
		report_put(PROBE_MAC, function, mac, sizeof(mac));
}

/* --- displays ---------------------------------------------------------- */

/* QEMU's VGA shows it in its registers (QEMU: specs/standard-vga). */
void read_edid(unsigned function)
{
	uintptr_t bar = pci_bar(function, 2);
	uint8_t *to;

	if (pci_read(function, 0) != 0x11111234 || !bar ||
	    get32(bar) != 0xffffff00 || get32(bar + 4) != 0x00ffffff)
		return;
	to = report_open(PROBE_EDID, function, 256);
	for (unsigned i = 0; to && i < 256; i++)
		to[i] = get8(bar + i);
}
