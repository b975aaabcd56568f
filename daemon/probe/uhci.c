/*
 * Descriptors of USB devices at the ports of a UHCI controller (UHCI 1.1; USB
 * 2.0, chapter 9), also those that an EHCI controller leaves to it. One port
 * after the other is reset and enabled, so that its device, and no other, has
 * the address 0.
 */
#include "probe.h"

/* Ports of input and output. */
enum {
	COMMAND = 0x00,
	STATUS = 0x02,
	INTERRUPT = 0x04,
	FRAME = 0x06,
	FRAMES = 0x08,
	PORTS = 0x10,
};

#define PACKET 8 /* bytes that every device takes at once */

static struct {
	uint32_t frames[1024];
	struct {
		uint32_t link, status, token, buffer;
	} transfer __attribute__((aligned(16)));
	uint8_t data[256 + PACKET];
} uhci __attribute__((aligned(4096)));

/* What is sent or taken; how many bytes were, or -1. */
static int transfer(uint16_t base, bool slow, uint8_t kind, bool toggle,
		    void *bytes, unsigned size)
{
	volatile uint32_t *status = &uhci.transfer.status;

	uhci.transfer.link = 1;
	uhci.transfer.token = (size - 1) << 21 | (uint32_t)toggle << 19 | kind;
	uhci.transfer.buffer = (uint32_t)(uintptr_t)bytes;
	__sync_synchronize();
	*status = 1u << 23 | 3u << 27 | (uint32_t)slow << 26 | 0x7ff;
	for (unsigned i = 0; i < 20 * PATIENCE && *status & 1u << 23; i++)
		in16(base + STATUS);
	if (*status & 0x7f << 17) /* still active, or an error */
		return -1;
	return (int)((*status + 1) & 0x7ff);
}

/* GET_DESCRIPTOR; how many bytes of it came. */
static unsigned describe(uint16_t base, bool slow, unsigned type, unsigned nth,
			 unsigned language, unsigned size)
{
	static uint8_t request[8];
	unsigned got = 0;
	bool toggle = true;
	int n = PACKET;

	memset(uhci.data, 0, sizeof(uhci.data));
	request[0] = 0x80;
	request[1] = 6;
	request[2] = (uint8_t)nth;
	request[3] = (uint8_t)type;
	request[4] = (uint8_t)language;
	request[5] = (uint8_t)(language >> 8);
	request[6] = (uint8_t)size;
	if (transfer(base, slow, 0x2d, false, request, 8) != 8)
		return 0;
	for (; n == PACKET && got < size; got += (unsigned)n) {
		n = transfer(base, slow, 0x69, toggle, uhci.data + got, PACKET);
		if (n < 0)
			return 0;
		toggle = !toggle;
	}
	transfer(base, slow, 0xe1, true, uhci.data, 0);
	return uhci.data[1] == type ? got : 0;
}

static void put(unsigned function, unsigned port, unsigned which, unsigned size)
{
	if (size > 255)
		size = 255;
	if (size)
		report_put(PROBE_USB,
			   (uint64_t)function << 16 | port << 8 | which,
			   uhci.data, size);
}

static void read_descriptors(unsigned function, uint16_t base, unsigned port,
			     bool slow)
{
	unsigned language;
	uint8_t texts[3];

	put(function, port, 1, describe(base, slow, 1, 0, 0, 18));
	memcpy(texts, uhci.data + 14, 3);
	put(function, port, 2, describe(base, slow, 2, 0, 0, 255));
	if (describe(base, slow, 3, 0, 0, 255) < 4)
		return;
	language = uhci.data[2] | (unsigned)uhci.data[3] << 8;
	for (unsigned i = 0; i < 3; i++)
		if (texts[i])
			put(function, port, 0x10 + i,
			    describe(base, slow, 3, texts[i], language, 255));
}

static void read_port(unsigned function, uint16_t base, unsigned port)
{
	uint16_t at = (uint16_t)(base + PORTS + 2 * (port - 1));

	if (!(in16(at) & 1)) /* connected */
		return;
	out16(at, 1u << 9); /* reset */
	for (unsigned i = 0; i < 1000; i++)
		in8(0x80);
	out16(at, 0);
	out16(at, 1u << 2); /* enabled */
	read_descriptors(function, base, port, in16(at) & 1u << 8);
	out16(at, 0);
}

void read_uhci(unsigned function)
{
	uint16_t base = pci_read(function, 0x20) & 0xffe0;

	if (!(pci_read(function, 0x20) & 1) || !base ||
	    (uint64_t)(uintptr_t)&uhci >> 32)
		return;
	out16(base + COMMAND, 2); /* reset */
	for (unsigned i = 0; i < PATIENCE && in16(base + COMMAND) & 2; i++)
		;
	memset(&uhci, 0, sizeof(uhci));
	uhci.transfer.link = 1;
	for (unsigned i = 0; i < 1024; i++)
		uhci.frames[i] = (uint32_t)(uintptr_t)&uhci.transfer;
	out16(base + INTERRUPT, 0);
	out16(base + FRAME, 0);
	out32(base + FRAMES, (uint32_t)(uintptr_t)uhci.frames);
	out16(base + COMMAND, 0xc1); /* go, configured, packets of 64 bytes */
	for (unsigned port = 1; port <= 2; port++)
		read_port(function, base, port);
	out16(base + COMMAND, 0);
}

/* All its ports belong to its companions now (EHCI 1.0, 2.3.9). */
void release_ehci(unsigned function)
{
	uintptr_t base = pci_bar(function, 0), port;

	if (!base)
		return;
	for (unsigned i = 0; i < (get32(base + 4) & 0xf); i++) {
		port = base + get8(base) + 0x44 + 4 * i;
		/* the owner; no change is acknowledged */
		put32(port, (get32(port) & ~0x2au) | 1u << 13);
	}
}
