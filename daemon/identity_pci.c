/*
 * PCI functions of an identity: what says which device it is, apart from what
 * firmware and system write. Offsets: PCI Local Bus 3.0, chapter 6, PCI
 * Express Base 4.0, chapter 7.
 */
#include "daemon/identity.h"

#include <stdio.h>
#include <string.h>

#include "daemon/probe_run.h"
#include "recorder/bytes.h"

struct space {
	uint8_t bytes[4096];
	uint8_t resources[4096]; /* what was taken out of them */
	size_t size;
};

static unsigned get16(const struct space *s, size_t at)
{
	return at + 2 <= s->size ? s->bytes[at] | s->bytes[at + 1] << 8 : 0;
}

static void mask(struct space *s, size_t at, size_t size)
{
	for (; size && at < s->size; size--, at++) {
		s->resources[at] |= s->bytes[at];
		s->bytes[at] = 0;
	}
}

static void mask_header(struct space *s)
{
	bool bridge = (s->bytes[0x0e] & 0x7f) == 1;

	mask(s, 0x04, 4);                 /* command, status */
	mask(s, 0x0c, 2);                 /* cache line, latency */
	mask(s, 0x3c, 1);                 /* interrupt line */
	mask(s, 0x10, bridge ? 8 : 24);   /* BARs */
	mask(s, bridge ? 0x38 : 0x30, 4); /* ROM */
	if (!bridge)
		return;
	mask(s, 0x18, 0x34 - 0x18); /* buses, windows */
	mask(s, 0x3e, 2);           /* bridge control */
}

/* Registers of a capability that are written in operation. */
static void mask_capability(struct space *s, size_t at)
{
	switch (s->bytes[at]) {
	case 0x01: /* power management: control, status */
		mask(s, at + 4, 2);
		break;
	case 0x05: /* MSI: enable, address, data */
		mask(s, at + 2, 1);
		mask(s, at + 4, get16(s, at + 2) & 0x80 ? 12 : 8);
		break;
	case 0x10: /* PCI Express: device, link, slot, root, 2nd ones */
		mask(s, at + 0x08, 4);
		mask(s, at + 0x10, 4);
		mask(s, at + 0x18, 4);
		mask(s, at + 0x1c, 2);
		mask(s, at + 0x20, 4);
		mask(s, at + 0x28, 4);
		mask(s, at + 0x30, 4);
		break;
	case 0x11: /* MSI-X: enable, mask */
		mask(s, at + 3, 1);
		break;
	}
}

static void mask_capabilities(struct space *s)
{
	size_t at = s->bytes[0x34] & 0xfc;

	for (unsigned i = 0; at >= 0x40 && at + 4 <= 256 && i < 48; i++) {
		size_t next = s->bytes[at + 1] & 0xfc;

		mask_capability(s, at);
		at = next;
	}
	at = 256;
	for (unsigned i = 0; at >= 256 && at + 4 <= s->size && i < 96; i++) {
		if (get16(s, at) == 0x01) { /* errors reported: what happened */
			mask(s, at + 0x04, 4);
			mask(s, at + 0x10, 4);
			mask(s, at + 0x1c, 16);
			mask(s, at + 0x30, 4);
		}
		at = get16(s, at + 2) >> 4 & 0xffc;
	}
}

/* Chipset registers that only the firmware knows: memory, SMM, routing. */
static void mask_chipset(struct space *s)
{
	unsigned class = get16(s, 0x0a);

	if (class == 0x600 || class == 0x601)
		mask(s, 0x40, 256 - 0x40);
	if (class == 0x106 || class == 0x101) /* mode of the ports */
		mask(s, 0x90, 4);
	if (class == 0xc05) /* SMBus: enabled */
		mask(s, 0x40, 1);
}

void identity_add_pci(struct identity *identity,
		      const struct probe_record *record)
{
	struct space s = {.size = record->size < sizeof(s.bytes)
					  ? record->size
					  : sizeof(s.bytes)};
	char name[64];
	int n = snprintf(name, sizeof(name), "pci.%02x:%02x.%x.",
			 (unsigned)(record->key >> 8 & 0xff),
			 (unsigned)(record->key >> 3 & 0x1f),
			 (unsigned)(record->key & 7));

	if (s.size < 256)
		return;
	memcpy(s.bytes, record->bytes, s.size);
	strcpy(name + n, "id");
	identity_add(identity, name, "%04x:%04x", get16(&s, 0), get16(&s, 2));
	strcpy(name + n, "class");
	identity_add(identity, name, "%04x%02x", get16(&s, 0x0a),
		     s.bytes[0x09]);
	strcpy(name + n, "revision");
	identity_add(identity, name, "%02x", s.bytes[0x08]);
	if ((s.bytes[0x0e] & 0x7f) == 0) {
		strcpy(name + n, "subsystem");
		identity_add(identity, name, "%04x:%04x", get16(&s, 0x2c),
			     get16(&s, 0x2e));
	}
	mask_chipset(&s);
	mask_capabilities(&s);
	mask_header(&s);
	strcpy(name + n, "config");
	identity_add_hex(identity, name, s.bytes, 256);
	if (s.size > 256) {
		strcpy(name + n, "extended");
		identity_add_sum(identity, name, s.bytes + 256, s.size - 256);
	}
	strcpy(name + n, "resources");
	identity_add_hex(identity, name, s.resources, 256);
}
