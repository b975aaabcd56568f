/*
 * The identity probe: a program without a system below it, in two shells from
 * one source. bios.S and bios.c make a 32-bit multiboot ELF file, uefi.S and
 * uefi.c a PE32+ application. It reads what tells one machine from another
 * and leaves it in memory as report.h says; then it stops the processor.
 *
 * Memory is mapped one to one below 4 GiB in both. Nothing is put back for a
 * system that would come after: none does.
 */
#ifndef DAEMON_PROBE_PROBE_H
#define DAEMON_PROBE_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/probe/report.h"

/* Gives up waiting for a device after so many looks at it. */
#define PATIENCE 300000

void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *a, const void *b, size_t size);

/* --- report.c: records ------------------------------------------------- */

void report_begin(void *room);
/* A record whose zeroed bytes the caller fills; NULL: no room. */
void *report_open(enum probe_kind kind, uint64_t key, uint32_t size);
void report_put(enum probe_kind kind, uint64_t key, const void *data,
		uint32_t size);
/* Whose CPUID and MSRs follow; 0 is the one that was started. */
void report_processor(uint16_t nth);
/* Something that is there could not be read: no report is better. */
void report_lost(void);
/* Announces the records. */
void report_end(struct probe_header *header);
uint32_t crc32_of(const void *data, size_t size);

/* --- what is read ------------------------------------------------------ */

void read_processor(void); /* CPUID and MSRs of the one that it runs on */
/* By the addresses that the firmware told, or 0 to look for them. */
void read_smbios(uintptr_t entry);
uint64_t read_acpi(uintptr_t rsdp); /* base of MMCONFIG or 0 */
/* After read_acpi: the processors' local APICs; how many. */
unsigned processor_list(uint8_t ids[255]);
void read_roms(void);
void read_cmos(void);
void read_fw_cfg(void);
/* Every function, and what stands behind it (disks, network). */
void read_pci(uint64_t mmconfig);
void read_disks(unsigned function, uint32_t class);
void read_mac(unsigned function, uint32_t class);
void read_virtio_disks(unsigned function);
void read_usb(unsigned function);
void read_uhci(unsigned function);
void release_ehci(unsigned function); /* before its companions are read */
void read_edid(unsigned function);
void read_tpm(void);

/* --- pci.c: configuration space ---------------------------------------- */

uint32_t pci_read(unsigned function, unsigned offset);
void pci_write(unsigned function, unsigned offset, uint32_t value);
/* A memory BAR's address; 0: none, or out of reach. */
uintptr_t pci_bar(unsigned function, unsigned bar);
/*
 * Where a part of a virtio device's registers is (virtio 1.0, 4.1.4), or 0:
 * 1 common ones, 2 notification (*multiplier, which may be NULL, is set), 4
 * the device's own.
 */
uintptr_t virtio_part(unsigned function, unsigned part, uint32_t *multiplier);

/* --- arch.S ------------------------------------------------------------ */

/* 0, or -1 when the processor refused (#GP); see read_msrs. */
int msr_read(uint32_t number, uint32_t value[2]);
void msr_on_fault(void);

/* --- ports and registers ----------------------------------------------- */

static inline void out8(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static inline void out16(uint16_t port, uint16_t v)
{
	__asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port));
}

static inline void out32(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port));
}

static inline uint8_t in8(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline uint16_t in16(uint16_t port)
{
	uint16_t v;

	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline uint32_t in32(uint16_t port)
{
	uint32_t v;

	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

/* Compilers take constant addresses for mistakes. */
static inline volatile void *at_address(uintptr_t address)
{
	__asm__("" : "+r"(address));
	return (volatile void *)address;
}

static inline uint32_t get32(uintptr_t address)
{
	return *(volatile uint32_t *)at_address(address);
}

static inline void put32(uintptr_t address, uint32_t v)
{
	*(volatile uint32_t *)at_address(address) = v;
}

static inline uint8_t get8(uintptr_t address)
{
	return *(volatile uint8_t *)at_address(address);
}

static inline void put8(uintptr_t address, uint8_t v)
{
	*(volatile uint8_t *)at_address(address) = v;
}

#endif
