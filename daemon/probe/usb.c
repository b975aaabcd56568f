/*
 * Descriptors of USB devices at the ports of an xHCI controller (xHCI 1.1;
 * USB 2.0, chapter 9). One device after the other gets slot and address; the
 * controller is reset before and stopped afterwards. See uhci.c, too.
 */
#include "probe.h"

/* Registers: of operation, of the first interrupter. */
enum {
	COMMAND = 0x00,
	STATUS = 0x04,
	COMMAND_RING = 0x18,
	CONTEXTS = 0x30,
	CONFIGURE = 0x38,
	PORTS = 0x400,
	EVENT_SEGMENTS = 0x28,
	EVENT_TABLE = 0x30,
	EVENT_AT = 0x38,
};

enum {
	ENABLE_SLOT = 9,
	DISABLE_SLOT = 10,
	ADDRESS_DEVICE = 11,
	TRANSFER_EVENT = 32,
	COMPLETION_EVENT = 33,
};

#define RING 128
#define SLOTS 64

struct trb {
	uint32_t word[4];
};

static struct {
	struct trb commands[RING], transfers[RING], events[RING];
	uint64_t contexts[SLOTS + 1];
	uint32_t device[512] __attribute__((aligned(64)));
	uint32_t input[33 * 16] __attribute__((aligned(64)));
	uint64_t table[2] __attribute__((aligned(64)));
	uint8_t data[256] __attribute__((aligned(64)));
} usb __attribute__((aligned(4096)));

static struct {
	uintptr_t base, operation, run_time, bells;
	unsigned function, context; /* words of a context */
	unsigned commands, transfers, events;
	bool cycle; /* of the events */
} hc;

static void put_address(uintptr_t at, uintptr_t address)
{
	put32(at, (uint32_t)address);
	put32(at + 4, (uint32_t)((uint64_t)address >> 32));
}

static bool wait_for(uintptr_t at, uint32_t mask, uint32_t wanted)
{
	for (unsigned i = 0; i < PATIENCE; i++)
		if ((get32(at) & mask) == wanted)
			return true;
	return false;
}

static bool start_controller(void)
{
	put32(hc.operation + COMMAND, 0);
	if (!wait_for(hc.operation + STATUS, 1, 1)) /* halted */
		return false;
	put32(hc.operation + COMMAND, 2); /* reset */
	if (!wait_for(hc.operation + COMMAND, 2, 0) ||
	    !wait_for(hc.operation + STATUS, 1u << 11, 0))
		return false;
	memset(&usb, 0, sizeof(usb));
	hc.commands = hc.transfers = hc.events = 0;
	hc.cycle = true;
	usb.table[0] = (uintptr_t)usb.events;
	usb.table[1] = RING;
	put32(hc.operation + CONFIGURE, get32(hc.base + 4) & 0xff);
	put_address(hc.operation + CONTEXTS, (uintptr_t)usb.contexts);
	put_address(hc.operation + COMMAND_RING, (uintptr_t)usb.commands | 1);
	put32(hc.run_time + EVENT_SEGMENTS, 1);
	put_address(hc.run_time + EVENT_AT, (uintptr_t)usb.events);
	put_address(hc.run_time + EVENT_TABLE, (uintptr_t)usb.table);
	put32(hc.operation + COMMAND, 1);
	return wait_for(hc.operation + STATUS, 1, 0);
}

/* The next event of a kind; false: none came, or it says that it failed. */
static bool await_event(unsigned kind, uint32_t *last)
{
	for (unsigned i = 0; i < 20 * PATIENCE; i++) {
		volatile struct trb *e = &usb.events[hc.events];
		uint32_t status = e->word[2];

		if ((e->word[3] & 1) != hc.cycle) {
			in8(0x80);
			continue;
		}
		*last = e->word[3];
		if (++hc.events == RING) {
			hc.events = 0;
			hc.cycle = !hc.cycle;
		}
		put_address(hc.run_time + EVENT_AT,
			    (uintptr_t)&usb.events[hc.events] | 8);
		if ((*last >> 10 & 0x3f) == kind) /* 1: success, 13: short */
			return status >> 24 == 1 || status >> 24 == 13;
	}
	return false;
}

static bool command(unsigned kind, unsigned slot, uintptr_t address,
		    uint32_t *answer)
{
	struct trb *t = &usb.commands[hc.commands];

	if (++hc.commands == RING)
		return false; /* more devices than there are ports */
	t->word[0] = (uint32_t)address;
	t->word[1] = (uint32_t)((uint64_t)address >> 32);
	t->word[2] = 0;
	__sync_synchronize();
	t->word[3] = slot << 24 | kind << 10 | 1;
	__sync_synchronize();
	put32(hc.bells, 0);
	return await_event(COMPLETION_EVENT, answer);
}

static void add_transfer(uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	struct trb *t = &usb.transfers[hc.transfers++];

	t->word[0] = a;
	t->word[1] = b;
	t->word[2] = c;
	t->word[3] = d | 1;
}

/* GET_DESCRIPTOR; how many bytes of it came. */
static unsigned describe(unsigned slot, unsigned type, unsigned nth,
			 unsigned language, unsigned size)
{
	uintptr_t data = (uintptr_t)usb.data;
	uint32_t answer;

	if (hc.transfers + 3 > RING)
		return 0;
	memset(usb.data, 0, sizeof(usb.data));
	add_transfer(0x80 | 6 << 8 | nth << 16 | type << 24,
		     language | size << 16, 8,
		     3u << 16 | 2 << 10 | 1 << 6); /* set-up, its data inside */
	add_transfer((uint32_t)data, (uint32_t)((uint64_t)data >> 32), size,
		     1u << 16 | 3 << 10);        /* data, inwards */
	add_transfer(0, 0, 0, 4 << 10 | 1 << 5); /* status; tell then */
	__sync_synchronize();
	put32(hc.bells + 4 * slot, 1);
	if (!await_event(TRANSFER_EVENT, &answer) || usb.data[1] != type)
		return 0;
	return type == 2 ? usb.data[2] | usb.data[3] << 8 : usb.data[0];
}

static void put(unsigned port, unsigned which, unsigned size)
{
	if (size > sizeof(usb.data))
		size = sizeof(usb.data);
	if (size)
		report_put(PROBE_USB,
			   (uint64_t)hc.function << 16 | port << 8 | which,
			   usb.data, size);
}

static void read_descriptors(unsigned port, unsigned slot)
{
	unsigned size = describe(slot, 1, 0, 0, 18);
	unsigned language;
	uint8_t texts[3];

	memcpy(texts, usb.data + 14, 3);
	put(port, 1, size);
	put(port, 2, describe(slot, 2, 0, 0, 255));
	if (describe(slot, 3, 0, 0, 255) < 4)
		return;
	language = usb.data[2] | (unsigned)usb.data[3] << 8;
	for (unsigned i = 0; i < 3; i++)
		if (texts[i])
			put(port, 0x10 + i,
			    describe(slot, 3, texts[i], language, 255));
}

static bool address_device(unsigned port, unsigned slot, unsigned speed)
{
	uint32_t *unit = usb.input + hc.context, *end = unit + hc.context;
	uintptr_t ring = (uintptr_t)usb.transfers;
	uint32_t answer, packet = speed == 4 ? 512 : speed == 2 ? 8 : 64;

	memset(usb.input, 0, sizeof(usb.input));
	memset(usb.device, 0, sizeof(usb.device));
	memset(usb.transfers, 0, sizeof(usb.transfers));
	hc.transfers = 0;
	usb.input[1] = 3; /* unit and end point 0 */
	unit[0] = 1u << 27 | speed << 20;
	unit[1] = port << 16;
	end[1] = packet << 16 | 4 << 3 | 3 << 1; /* control, three attempts */
	end[2] = (uint32_t)ring | 1;
	end[3] = (uint32_t)((uint64_t)ring >> 32);
	end[4] = 8;
	usb.contexts[slot] = (uintptr_t)usb.device;
	return command(ADDRESS_DEVICE, slot, (uintptr_t)usb.input, &answer);
}

/* Ports count from 1. */
static void read_port(unsigned port)
{
	uintptr_t at = hc.operation + PORTS + 16 * (port - 1);
	uint32_t state = get32(at), answer;
	unsigned slot;

	if (!(state & 1)) /* connected */
		return;
	if (!(state & 2)) { /* enabled */
		put32(at, (state & 0x0e00c3e0) | 1u << 4);
		if (!wait_for(at, 1u << 4 | 2, 2))
			return;
	}
	if (!command(ENABLE_SLOT, 0, 0, &answer))
		return;
	slot = answer >> 24;
	if (slot <= SLOTS && address_device(port, slot, get32(at) >> 10 & 0xf))
		read_descriptors(port, slot);
	command(DISABLE_SLOT, slot, 0, &answer);
}

void read_usb(unsigned function)
{
	uint32_t capabilities;

	hc.base = pci_bar(function, 0);
	if (!hc.base)
		return;
	hc.function = function;
	hc.operation = hc.base + get8(hc.base);
	hc.bells = hc.base + (get32(hc.base + 0x14) & ~3u);
	hc.run_time = hc.base + (get32(hc.base + 0x18) & ~31u);
	capabilities = get32(hc.base + 0x10);
	hc.context = capabilities & 4 ? 16 : 8;
	/* The real ones want memory of their own ("scratchpad"). */
	if (get32(hc.base + 8) >> 21 || !start_controller())
		return;
	for (unsigned port = 1; port <= get32(hc.base + 4) >> 24; port++)
		read_port(port);
	put32(hc.operation + COMMAND, 0);
}
