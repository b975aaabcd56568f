/*
 * The probe as a UEFI application. Types and offsets: UEFI specification 2.9,
 * chapters 4, 7 and 8; only what is called has a name.
 */
#include "probe.h"

#define EFI __attribute__((ms_abi))

struct guid {
	uint64_t low, high;
};

struct boot_services {
	uint8_t header[24];
	void *raise, *restore;
	uint64_t EFI (*allocate_pages)(uint32_t how, uint32_t type,
				       uint64_t pages, uint64_t *address);
	void *free_pages;
	uint64_t EFI (*get_memory_map)(uint64_t *size, void *map, uint64_t *key,
				       uint64_t *descriptor_size,
				       uint32_t *version);
	void *others[32];
	uint64_t EFI (*locate)(const struct guid *protocol, void *registration,
			       void **interface);
};

/* UEFI Platform Initialization 1.7, volume 2, 13.4 */
struct processors {
	uint64_t EFI (*count)(struct processors *p, uint64_t *all,
			      uint64_t *enabled);
	void *information, *start_all;
	uint64_t EFI (*start)(struct processors *p,
			      void EFI (*procedure)(void *), uint64_t nth,
			      void *event, uint64_t timeout, void *argument,
			      uint8_t *finished);
};

struct runtime_services {
	uint8_t header[24];
	void *unused[6];
	uint64_t EFI (*get_variable)(const uint16_t *name,
				     const struct guid *vendor,
				     uint32_t *attributes, uint64_t *size,
				     void *data);
	uint64_t EFI (*get_next_name)(uint64_t *size, uint16_t *name,
				      struct guid *vendor);
};

struct system_table {
	uint8_t header[24]; /* signature (8), revision (4) … */
	const uint16_t *vendor;
	uint32_t revision;
	void *console[6];
	struct runtime_services *runtime;
	struct boot_services *boot;
	uint64_t table_count;
	const struct {
		struct guid id;
		uint64_t address;
	} * tables;
};

#define BELOW 1 /* up to an address */
#define THERE 2 /* at an address */
#define LOADER_DATA 2

static uint64_t find_table(const struct system_table *system,
			   const uint8_t id[16])
{
	for (uint64_t i = 0; i < system->table_count; i++)
		if (!memcmp(&system->tables[i].id, id, 16))
			return system->tables[i].address;
	return 0;
}

static void read_system(const struct system_table *system)
{
	uint32_t n = 0, *to;

	while (n < 128 && system->vendor[n])
		n++;
	to = report_open(PROBE_UEFI_SYSTEM, 0, 8 + 2 * n);
	if (to) {
		memcpy(to, system->header + 8, 4);
		to[1] = system->revision;
		memcpy(to + 2, system->vendor, 2 * n);
	}
	for (uint64_t i = 0; i < system->table_count; i++)
		report_put(PROBE_UEFI_TABLE, 0, &system->tables[i].id, 16);
}

static void read_variable(const struct runtime_services *runtime,
			  const uint16_t *name, const struct guid *vendor)
{
	static uint8_t data[32768];
	uint64_t size = sizeof(data);
	uint32_t attributes = 0, length = 0;
	uint8_t *to;

	while (name[length])
		length++;
	length *= 2;
	if (runtime->get_variable(name, vendor, &attributes, &size, data))
		return;
	to = report_open(PROBE_UEFI_VARIABLE, 0, 24 + length + (uint32_t)size);
	if (!to)
		return;
	memcpy(to, vendor, 16);
	memcpy(to + 16, &attributes, 4);
	memcpy(to + 20, &length, 4);
	memcpy(to + 24, name, length);
	memcpy(to + 24 + length, data, size);
}

static void read_variables(const struct runtime_services *runtime)
{
	static uint16_t name[512];
	struct guid vendor = {0, 0};
	uint64_t size;

	for (unsigned i = 0; i < 1000; i++) {
		size = sizeof(name);
		if (runtime->get_next_name(&size, name, &vendor))
			return;
		read_variable(runtime, name, &vendor);
	}
}

static void read_memory(const struct boot_services *boot)
{
	static uint8_t map[65536];
	uint64_t size = sizeof(map), key, step, area[3];
	uint32_t version;

	if (boot->get_memory_map(&size, map, &key, &step, &version))
		return;
	for (uint64_t at = 0; at + step <= size && step >= 40; at += step) {
		memcpy(&area[0], map + at + 8, 8);
		memcpy(&area[1], map + at + 24, 8);
		area[1] *= 4096;
		area[2] = 0;
		memcpy(&area[2], map + at, 4);
		report_put(PROBE_MEMORY, 0, area, sizeof(area));
	}
}

static void EFI read_this(void *nothing)
{
	(void)nothing;
	read_processor();
}

static void read_others(const struct boot_services *boot)
{
	/* 3fdda605-a76e-4f46-ad29-12f4531b3d08 */
	static const struct guid id = {0x4f46a76e3fdda605, 0x083d1b53f41229ad};
	struct processors *processors;
	uint64_t count = 0, enabled;
	uint16_t nth = 0;

	if (boot->locate(&id, NULL, (void **)&processors) ||
	    processors->count(processors, &count, &enabled))
		return;
	/* It refuses the one that asks. */
	for (uint64_t i = 0; i < count; i++) {
		report_processor(nth + 1);
		if (!processors->start(processors, read_this, i, NULL, 0, NULL,
				       NULL))
			nth++;
	}
	if (nth + 1u != enabled)
		report_lost();
}

EFI uint64_t uefi_main(void *image, const struct system_table *system)
{
	static const uint8_t smbios3[16] = {0x44, 0x15, 0xfd, 0xf2, 0x94, 0x97,
					    0x2c, 0x4a, 0x99, 0x2e, 0xe5, 0xbb,
					    0xcf, 0x20, 0xe3, 0x94};
	static const uint8_t smbios[16] = {0x31, 0x2d, 0x9d, 0xeb, 0x88, 0x2d,
					   0xd3, 0x11, 0x9a, 0x16, 0x00, 0x90,
					   0x27, 0x3f, 0xc1, 0x4d};
	static const uint8_t acpi[16] = {0x71, 0xe8, 0x68, 0x88, 0xf1, 0xe4,
					 0xd3, 0x11, 0xbc, 0x22, 0x00, 0x80,
					 0xc7, 0x3c, 0x88, 0x81};
	uint64_t room = UINT32_MAX, header = PROBE_UEFI_ADDRESS, entry;

	(void)image;
	if (system->boot->allocate_pages(BELOW, LOADER_DATA,
					 PROBE_MAX / PROBE_PAGE, &room))
		return 1;
	if (system->boot->allocate_pages(THERE, LOADER_DATA, 1, &header)) {
		header = PROBE_UEFI_END - 1;
		if (system->boot->allocate_pages(BELOW, LOADER_DATA, 1,
						 &header))
			return 1;
	}
	report_begin((void *)room);
	read_system(system);
	read_variables(system->runtime);
	read_memory(system->boot);
	/* The firmware's own drivers stand still from here on. */
	__asm__ volatile("cli");
	read_processor();
	entry = find_table(system, smbios3);
	read_smbios(entry ? entry : find_table(system, smbios));
	read_roms();
	read_cmos();
	read_fw_cfg();
	read_pci(read_acpi(find_table(system, acpi)));
	read_tpm();
	read_others(system->boot);
	report_end((void *)header);
	for (;;)
		__asm__ volatile("cli; hlt");
}
