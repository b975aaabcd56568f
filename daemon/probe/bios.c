/* The probe under a BIOS; it is loaded at 1 MiB, the report is at 16 MiB. */
#include "probe.h"

/* The memory map that the loader got from the BIOS (e820). */
static void read_memory(const uint8_t *information)
{
	struct {
		uint64_t base, length, type;
	} area;
	uint32_t flags, size, left, at;

	memcpy(&flags, information, 4);
	memcpy(&left, information + 44, 4);
	memcpy(&at, information + 48, 4);
	if (!(flags & 1 << 6))
		return;
	for (; left >= 24 && left < 0x10000; at += size + 4, left -= size + 4) {
		area.type = 0;
		memcpy(&size, (void *)(uintptr_t)at, 4);
		memcpy(&area, (void *)(uintptr_t)(at + 4), 20);
		report_put(PROBE_MEMORY, 0, &area, sizeof(area));
		if (size < 20 || size + 4 > left)
			break;
	}
}

/* --- the other processors, one after the other -------------------------- */

#define APIC 0xfee00000u
#define AP_PAGE 0x6000u /* of memory that the BIOS leaves free */

extern const uint8_t ap_start[], ap_end[];
static volatile uint32_t ap_done;

/* Entered from ap_start, on the other processor. */
void ap_main(void)
{
	read_processor();
	ap_done = 1;
}

/* INIT, then the page to begin at (Intel SDM volume 3, 8.4.4). */
static bool run_on(uint8_t id)
{
	ap_done = 0;
	put32(APIC + 0x310, (uint32_t)id << 24);
	put32(APIC + 0x300, 0x4500);
	for (unsigned i = 0; i < 1000; i++)
		in8(0x80);
	put32(APIC + 0x310, (uint32_t)id << 24);
	put32(APIC + 0x300, 0x4600 | AP_PAGE >> 12);
	/* A look at a port takes about 1 us. */
	for (unsigned i = 0; i < 60 * PATIENCE && !ap_done; i++)
		in8(0x80);
	return ap_done;
}

static void read_others(void)
{
	static uint8_t ids[255];
	unsigned count = processor_list(ids), nth = 0;
	uint8_t own = get8(APIC + 0x23);

	memcpy((void *)at_address(AP_PAGE), ap_start,
	       (size_t)(ap_end - ap_start));
	put32(APIC + 0xf0, get32(APIC + 0xf0) | 0x100);
	for (unsigned i = 0; i < count; i++) {
		if (ids[i] == own)
			continue;
		report_processor((uint16_t)++nth);
		if (!run_on(ids[i]))
			report_lost();
	}
}

void bios_main(const uint8_t *information)
{
	uintptr_t address = PROBE_BIOS_ADDRESS;

	report_begin((void *)(address + PROBE_PAGE));
	read_processor();
	read_memory(information);
	read_smbios(0);
	read_roms();
	read_cmos();
	read_fw_cfg();
	read_pci(read_acpi(0));
	read_tpm();
	read_others();
	report_end((void *)address);
}
