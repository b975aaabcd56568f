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

void bios_main(const uint8_t *information)
{
	uintptr_t address = PROBE_BIOS_ADDRESS;

	report_begin((void *)(address + PROBE_PAGE));
	read_cpuid();
	read_msrs();
	read_memory(information);
	read_smbios(0);
	read_roms();
	read_cmos();
	read_fw_cfg();
	read_pci(read_acpi(0));
	read_tpm();
	report_end((void *)address);
}
