/*
 * What the firmware left in memory (SMBIOS, ACPI, option ROMs), CMOS, and
 * QEMU's fw_cfg device. Formats: DMTF DSP0134 (SMBIOS), the ACPI
 * specification, docs/specs/fw_cfg of QEMU.
 */
#include "probe.h"

#define TABLE_MAX 0x40000u /* bytes; a longer table is none */

static uint16_t le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t le32(const uint8_t *p)
{
	return le16(p) | (uint32_t)le16(p + 2) << 16;
}

static bool sums_up(const uint8_t *p, uint32_t size)
{
	uint8_t sum = 0;

	while (size--)
		sum += *p++;
	return sum == 0;
}

/* --- SMBIOS ------------------------------------------------------------ */

static uintptr_t find_smbios(void)
{
	for (uintptr_t at = 0xf0000; at < 0x100000; at += 16) {
		const uint8_t *p = (const uint8_t *)at;

		if (!memcmp(p, "_SM3_", 5) && sums_up(p, p[6]))
			return at;
		if (!memcmp(p, "_SM_", 4) && sums_up(p, p[5]))
			return at;
	}
	return 0;
}

/* With its strings and the two zeros behind them; 0: it is damaged. */
static uint32_t structure_size(const uint8_t *p, const uint8_t *end)
{
	const uint8_t *q;

	if (end - p < 6 || p[1] < 4 || p[1] > end - p)
		return 0;
	for (q = p + p[1]; end - q >= 2; q++)
		if (!q[0] && !q[1])
			return (uint32_t)(q + 2 - p);
	return 0;
}

void read_smbios(uintptr_t entry)
{
	const uint8_t *p, *end;
	uint32_t size;

	if (!entry)
		entry = find_smbios();
	if (!entry)
		return;
	p = (const uint8_t *)entry;
	if (p[3] == '3') { /* _SM3_ */
		report_put(PROBE_SMBIOS_ENTRY, 0, p, p[6]);
		size = le32(p + 12);
		p = (const uint8_t *)(uintptr_t)le32(p + 16);
	} else {
		report_put(PROBE_SMBIOS_ENTRY, 0, p, p[5]);
		size = le16(p + 22);
		p = (const uint8_t *)(uintptr_t)le32(p + 24);
	}
	if (size > TABLE_MAX)
		return;
	for (end = p + size; (size = structure_size(p, end)); p += size) {
		report_put(PROBE_SMBIOS, (uint64_t)p[0] << 16 | le16(p + 2), p,
			   size);
		if (p[0] == 127) /* end of table */
			break;
	}
}

/* --- ACPI -------------------------------------------------------------- */

static uintptr_t find_rsdp_in(uintptr_t at, uintptr_t end)
{
	for (; at < end; at += 16)
		if (!memcmp((const void *)at, "RSD PTR ", 8) &&
		    sums_up((const uint8_t *)at, 20))
			return at;
	return 0;
}

static uintptr_t find_rsdp(void)
{
	/* The BIOS data area's word at 0x40e. */
	uintptr_t ebda = (uintptr_t)get8(0x40e) << 4 | (uintptr_t)get8(0x40f)
							       << 12;
	uintptr_t found = 0;

	if (ebda >= 0x80000 && ebda < 0xa0000)
		found = find_rsdp_in(ebda, ebda + 1024);
	return found ? found : find_rsdp_in(0xe0000, 0x100000);
}

/* NULL: no table, or out of reach. */
static const uint8_t *table_at(uint64_t address)
{
	const uint8_t *p = (const uint8_t *)(uintptr_t)address;

	if (!address || address >> 32 || le32(p + 4) < 8 ||
	    le32(p + 4) > TABLE_MAX)
		return NULL;
	return p;
}

static const uint8_t *put_table(uint64_t address)
{
	const uint8_t *p = table_at(address);

	if (p)
		report_put(PROBE_ACPI, le32(p), p, le32(p + 4));
	return p;
}

static uint64_t entry_of(const uint8_t *root, unsigned i, unsigned width)
{
	const uint8_t *p = root + 36 + i * width;

	return le32(p) | (width == 8 ? (uint64_t)le32(p + 4) << 32 : 0);
}

static const uint8_t *madt;

unsigned processor_list(uint8_t ids[255])
{
	const uint8_t *p = madt ? madt + 44 : NULL;
	unsigned n = 0;

	/* type 0: local APIC; its number, enabled */
	for (; p && p + 8 <= madt + le32(madt + 4) && p[1] >= 2; p += p[1])
		if (p[0] == 0 && p[4] & 1 && n < 255)
			ids[n++] = p[3];
	return n;
}

/* Everything that a root table (RSDT, XSDT) and the FADT lead to. */
static uint64_t put_tables(const uint8_t *root, unsigned width)
{
	uint64_t mmconfig = 0;

	for (unsigned i = 0; i < (le32(root + 4) - 36) / width; i++) {
		const uint8_t *p = put_table(entry_of(root, i, width));

		if (!p)
			continue;
		if (!memcmp(p, "MCFG", 4) && le32(p + 4) >= 60)
			mmconfig = le32(p + 44) | (uint64_t)le32(p + 48) << 32;
		if (!memcmp(p, "APIC", 4))
			madt = p;
		if (!memcmp(p, "FACP", 4) && le32(p + 4) >= 44) {
			put_table(le32(p + 36)); /* FACS */
			put_table(le32(p + 40)); /* DSDT */
		}
	}
	return mmconfig;
}

uint64_t read_acpi(uintptr_t rsdp)
{
	const uint8_t *p, *root = NULL, *extended = NULL;

	if (!rsdp)
		rsdp = find_rsdp();
	if (!rsdp)
		return 0;
	p = (const uint8_t *)rsdp;
	report_put(PROBE_ACPI_RSDP, 0, p, p[15] >= 2 ? 36 : 20);
	root = put_table(le32(p + 16));
	if (p[15] >= 2)
		extended =
			put_table(le32(p + 24) | (uint64_t)le32(p + 28) << 32);
	if (extended && le32(extended + 4) >= 36)
		return put_tables(extended, 8);
	if (root && le32(root + 4) >= 36)
		return put_tables(root, 4);
	return 0;
}

/* --- option ROMs, CMOS ------------------------------------------------- */

void read_roms(void)
{
	for (uintptr_t at = 0xc0000; at < 0xf0000; at += 2048) {
		const uint8_t *p = (const uint8_t *)at;
		uint32_t facts[2] = {p[2] * 512u};

		if (p[0] != 0x55 || p[1] != 0xaa || !facts[0] ||
		    facts[0] > 0x100000 - at)
			continue;
		facts[1] = crc32_of(p, facts[0]);
		report_put(PROBE_ROM, at, facts, sizeof(facts));
	}
}

void read_cmos(void)
{
	uint8_t cmos[128];

	for (unsigned i = 0; i < sizeof(cmos); i++) {
		out8(0x70, 0x80 | i); /* without NMI */
		cmos[i] = in8(0x71);
	}
	report_put(PROBE_CMOS, 0, cmos, sizeof(cmos));
}

/* --- fw_cfg ------------------------------------------------------------ */

#define FW_CFG_SELECT 0x510
#define FW_CFG_DMA 0x514

static uint32_t be32(uint32_t v)
{
	return __builtin_bswap32(v);
}

static void fw_cfg_bytes(uint16_t selector, void *to, uint32_t size, bool dma)
{
	static volatile struct {
		uint32_t control, size;
		uint64_t address;
	} job;
	uint8_t *p = to;

	if (!dma) {
		out16(FW_CFG_SELECT, selector);
		while (size--)
			*p++ = in8(FW_CFG_SELECT + 1);
		return;
	}
	job.size = be32(size);
	job.address = __builtin_bswap64((uintptr_t)to);
	job.control = be32((uint32_t)selector << 16 | 8 | 2); /* select, read */
	out32(FW_CFG_DMA, be32((uint64_t)(uintptr_t)&job >> 32));
	out32(FW_CFG_DMA + 4, be32((uint32_t)(uintptr_t)&job));
	for (unsigned i = 0; i < PATIENCE && job.control & be32(~1u); i++)
		;
}

/* Files whose contents are given back to QEMU, or say what it was told. */
static bool is_wanted(const char *name)
{
	static const char wanted[][32] = {
		"etc/acpi/tables",          "etc/acpi/rsdp",
		"etc/table-loader",         "etc/smbios/smbios-tables",
		"etc/smbios/smbios-anchor", "etc/e820",
		"etc/msr_feature_control",  "etc/tpm/config",
		"etc/system-states",        "etc/smi/supported-features"};
	unsigned n;

	for (unsigned i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		for (n = 0; wanted[i][n] && wanted[i][n] == name[n]; n++)
			;
		if (!wanted[i][n] && !name[n])
			return true;
	}
	return false;
}

void read_fw_cfg(void)
{
	uint8_t head[4], *entry;
	uint32_t count;
	bool dma;

	fw_cfg_bytes(0, head, 4, false); /* signature */
	if (memcmp(head, "QEMU", 4))
		return;
	fw_cfg_bytes(1, head, 4, false); /* features */
	dma = head[0] & 2;
	fw_cfg_bytes(0x19, head, 4, dma); /* directory */
	count = be32(le32(head));
	if (count > 1024)
		return;
	entry = report_open(PROBE_FW_CFG_DIRECTORY, 0, 4 + count * 64);
	if (!entry)
		return;
	fw_cfg_bytes(0x19, entry, 4 + count * 64, dma);
	for (entry += 4; count--; entry += 64) {
		uint16_t selector = __builtin_bswap16(le16(entry + 4));
		uint32_t size = be32(le32(entry));
		void *to;

		entry[63] = 0;
		if (is_wanted((char *)entry + 8) && size < PROBE_MAX &&
		    (to = report_open(PROBE_FW_CFG_FILE, selector, size)))
			fw_cfg_bytes(selector, to, size, dma);
	}
}
