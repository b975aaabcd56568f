/*
 * The devices of a new vault; see domain.h. As XML they stand in
 * domain_machine.xml, which shows the whole board, and domain_parts.xml.
 */
#include "daemon/domain_parts.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/domain_text.h"

#define USB_REDIRECTIONS 4

void domain_set_graphics(xmlNodePtr devices)
{
	xmlNodePtr node;

	while ((node = domain_text_child(devices, "graphics"))) {
		xmlUnlinkNode(node);
		xmlFreeNode(node);
	}
	domain_part_append(devices, "graphics");
}

static int get_random(void *to, size_t size, struct error *error)
{
	if (getrandom(to, size, 0) != (ssize_t)size)
		return error_errno(error, errno, "no random numbers");
	return 0;
}

/* 60 bits; without the characters that people confuse. */
int domain_make_serial(char serial[16], struct error *error)
{
	static const char letters[] = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
	uint8_t bytes[12] = {0};
	int result = get_random(bytes, sizeof(bytes), error);

	serial[0] = 'M';
	serial[1] = 'V';
	for (size_t i = 0; i < sizeof(bytes); i++)
		serial[2 + i] = letters[bytes[i] % 32];
	serial[2 + sizeof(bytes)] = '\0';
	return result;
}

/* NAA 5 and the OUI of QEMU's MAC addresses, then 36 random bits. */
static int add_disk(xmlNodePtr devices, xmlNodePtr override,
		    const struct domain_spec *spec, struct error *error)
{
	xmlNodePtr node = domain_part_append(devices, "disk");
	char serial[16];
	uint64_t wwn = 0;
	int result = domain_make_serial(serial, error);

	if (result == 0)
		result = get_random(&wwn, sizeof(wwn), error);
	domain_text_fill(node, "driver", "type", spec->disk_format);
	domain_text_fill(node, "source", "file", spec->disk);
	domain_text_fill(node, "serial", NULL, serial);
	wwn = UINT64_C(0x5525400) << 36 | wwn >> 28;
	domain_text_fill_number(domain_part_append(override, "disk-properties"),
				"frontend/property", "value", wwn);
	return result;
}

static int add_cdrom(xmlNodePtr devices, const struct domain_spec *spec,
		     struct error *error)
{
	xmlNodePtr node = domain_part_append(devices, "cdrom");
	char serial[16];
	int result = domain_make_serial(serial, error);

	domain_text_fill(node, "serial", NULL, serial);
	if (spec->iso)
		domain_text_fill(domain_text_append(node, "<source file=''/>"),
				 "", "file", spec->iso);
	return result;
}

static int add_nic(xmlNodePtr devices, struct error *error)
{
	uint8_t bytes[3] = {0};
	char mac[18];
	int result = get_random(bytes, sizeof(bytes), error);

	snprintf(mac, sizeof(mac), "52:54:00:%02x:%02x:%02x", bytes[0],
		 bytes[1], bytes[2]);
	domain_text_fill(domain_part_append(devices, "nic"), "mac", "address",
			 mac);
	return result;
}

static void add_usb(xmlNodePtr devices, const struct domain_spec *spec)
{
	bool old = domain_kind_of(spec).old_windows;

	domain_part_append(devices, old ? "ehci" : "xhci");
	for (unsigned i = 0; i < USB_REDIRECTIONS; i++)
		domain_text_fill_number(
			domain_part_append(devices, "redirection"), "address",
			"port", 2 + i);
}

/*
 * Memory of a QXL device, KiB: 32 MiB of frame buffer for each monitor, which
 * is one of 3840 x 2160, rounded up to a power of two; twice that for commands
 * and, in the other BAR, for surfaces.
 */
static void add_qxl(xmlNodePtr devices, unsigned slot, unsigned heads)
{
	xmlNodePtr node = domain_part_append(devices, "video");
	uint64_t frame_buffer = UINT64_C(32768) * (heads == 3 ? 4 : heads);

	domain_text_fill_number(node, "model", "ram", 2 * frame_buffer);
	domain_text_fill_number(node, "model", "vram", 2 * frame_buffer);
	domain_text_fill_number(node, "model", "vgamem", frame_buffer);
	domain_text_fill_number(node, "model", "heads", heads);
	domain_text_fill(node, "model", "primary", slot == 1 ? "yes" : "no");
	domain_text_fill_number(node, "address", "slot", slot);
}

/*
 * Linux drives all monitors of one QXL device; the driver for Windows one
 * monitor a device.
 */
static void add_video(xmlNodePtr devices, const struct domain_spec *spec)
{
	if (!domain_kind_of(spec).windows) {
		add_qxl(devices, 1, spec->heads);
		return;
	}
	for (unsigned i = 0; i < spec->heads; i++)
		add_qxl(devices, i == 0 ? 1 : 2 + i, 1);
}

int domain_add_devices(xmlNodePtr devices, xmlNodePtr override,
		       const struct domain_spec *spec, struct error *error)
{
	int result = 0;

	if (spec->disk)
		result = add_disk(devices, override, spec, error);
	if (result == 0)
		result = add_cdrom(devices, spec, error);
	if (result == 0)
		result = add_nic(devices, error);
	add_usb(devices, spec);
	add_video(devices, spec);
	if (spec->tpm)
		domain_part_append(devices, "tpm");
	domain_set_graphics(devices);
	return result;
}
