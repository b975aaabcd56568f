/* CPUID and model-specific registers of a processor. */
#include "probe.h"

static void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
			 : "a"(leaf), "c"(subleaf));
}

/* Whether another subleaf may follow this one (Intel SDM, CPUID). */
static bool goes_on(uint32_t leaf, uint32_t subleaf, const uint32_t r[4])
{
	switch (leaf) {
	case 0x4:
	case 0x8000001d:
		return (r[0] & 0x1f) && subleaf < 15;
	case 0x7:
		return subleaf < 2;
	case 0xb:
	case 0x1f:
		return (r[2] & 0xff00) && subleaf < 7;
	case 0xd:
		return subleaf < 32;
	case 0xf:
	case 0x10:
	case 0x12:
	case 0x14:
	case 0x17:
	case 0x18:
		return subleaf < 3;
	}
	return false;
}

static void read_leaf(uint32_t leaf)
{
	uint32_t r[4], subleaf = 0;

	do {
		cpuid(leaf, subleaf, r);
		if (!subleaf || r[0] | r[1] | r[2] | r[3])
			report_put(PROBE_CPUID, (uint64_t)leaf << 32 | subleaf,
				   r, sizeof(r));
	} while (goes_on(leaf, subleaf++, r));
}

static void read_cpuid(void)
{
	static const uint32_t bases[] = {0, 0x40000000, 0x40000100, 0x80000000,
					 0xc0000000};
	uint32_t r[4];

	for (unsigned i = 0; i < sizeof(bases) / sizeof(*bases); i++) {
		cpuid(bases[i], 0, r);
		/* A leaf that is none answers as the last basic one. */
		if (r[0] < bases[i] || r[0] - bases[i] > 0xff)
			continue;
		for (uint32_t leaf = bases[i]; leaf <= r[0]; leaf++)
			read_leaf(leaf);
	}
}

struct __attribute__((packed)) idt_pointer {
	uint16_t limit;
	uintptr_t base;
};

struct gate {
	uint16_t low, selector, flags, high;
#ifdef __x86_64__
	uint32_t higher, zero;
#endif
};

static void set_gate(struct gate *gate)
{
	uintptr_t handler = (uintptr_t)msr_on_fault;
	uint16_t cs;

	__asm__("mov %%cs, %0" : "=r"(cs));
	gate->low = handler & 0xffff;
	gate->selector = cs;
	gate->flags = 0x8e00; /* present, interrupt gate */
	gate->high = handler >> 16 & 0xffff;
#ifdef __x86_64__
	gate->higher = handler >> 32;
#endif
}

/*
 * Those that say what the processor is or how it was set up. Left out are
 * counters (TSC, APERF …), which say only when they were read.
 */
static const struct {
	uint32_t first, last;
} msrs[] = {
	{0x17, 0x17},
	{0x1b, 0x1b},
	{0x34, 0x34},
	{0x3a, 0x3b},
	{0x8b, 0x8b},
	{0xcd, 0xce},
	{0xfe, 0xfe},
	{0x10a, 0x10a},
	{0x122, 0x122},
	{0x140, 0x140},
	{0x174, 0x176},
	{0x179, 0x17b},
	{0x198, 0x19a},
	{0x1a0, 0x1a0},
	{0x1a2, 0x1a2},
	{0x1ad, 0x1ad},
	{0x1d9, 0x1d9},
	{0x200, 0x20f},
	{0x250, 0x250},
	{0x258, 0x259},
	{0x268, 0x26f},
	{0x277, 0x277},
	{0x2ff, 0x2ff},
	{0x345, 0x345},
	{0x480, 0x491},
	{0x606, 0x606},
	{0x40000000, 0x40000001},
	{0x40000022, 0x40000023},
	{0x4b564d00, 0x4b564d04},
	{0xc0000080, 0xc0000084},
	{0xc0000103, 0xc0000103},
	{0xc0010015, 0xc0010015},
	{0xc001001f, 0xc001001f},
	{0xc0010062, 0xc0010064},
	{0xc0010114, 0xc0010114},
	{0xc0011029, 0xc0011029},
};

static void read_msrs(void)
{
	static struct gate idt[32];
	struct idt_pointer before, ours;
	uint32_t value[2];

	ours.limit = sizeof(idt) - 1;
	ours.base = (uintptr_t)at_address((uintptr_t)idt);
	set_gate(&idt[13]); /* #GP */
	__asm__ volatile("sidt %0" : "=m"(before));
	__asm__ volatile("lidt %0" : : "m"(ours) : "memory");
	for (unsigned i = 0; i < sizeof(msrs) / sizeof(*msrs); i++)
		for (uint32_t n = msrs[i].first; n <= msrs[i].last; n++)
			report_put(PROBE_MSR, n, value,
				   msr_read(n, value) ? 0 : sizeof(value));
	__asm__ volatile("lidt %0" : : "m"(before) : "memory");
}

void read_processor(void)
{
	read_cpuid();
	read_msrs();
}
