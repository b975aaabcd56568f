/*
 * The devices of a new vault; see domain.h. A Q35 board without hot-plug:
 *
 *   00:01.0 QXL              00:1b.0 sound (ICH9, duplex)
 *   00:02.0 root port 1      01:00.0 network (e1000e)
 *   00:02.1 root port 2      02:00.0 virtio-serial (SPICE agent, WebDAV)
 *   00:02.2 root port 3      03:00.0 USB (xHCI)
 *   00:03.0 to 00:05.0       more QXL devices (Windows: one a monitor)
 *   00:1d.0 to 00:1d.7       instead of xHCI for old Windows: UHCI, EHCI
 *   00:1f.2 SATA             0 disk, 1 CD-ROM
 *
 * The network card is plugged into a QEMU hub into which nothing else is
 * plugged: the guest sees a link and reaches nothing. The user-mode network
 * that libvirt makes for it (netdev hostua-net0) stays unplugged; QMP can
 * plug it into the same hub while the guest runs, and out again.
 */
#include "daemon/domain_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/domain_text.h"

#define USB_REDIRECTIONS 4

/* An address on PCI bus `bus`; strings. */
#define PCI(bus, slot, function) \
	"<address type='pci' domain='0x0000' bus='" bus "' slot='" slot \
	"' function='" function "'/>"
#define PCI_MULTI(bus, slot) \
	"<address type='pci' domain='0x0000' bus='" bus "' slot='" slot \
	"' function='0x0' multifunction='on'/>"
#define ROOT_PORT(n, port, address) \
	"<controller type='pci' index='" n "' model='pcie-root-port'>" \
	"<model name='pcie-root-port'/><target chassis='" n "' port='" port \
	"'/>" address "</controller>"

static const char
	board
		[] = "<controller type='pci' index='0' "
		     "model='pcie-root'/>" ROOT_PORT(
			     "1", "0x10",
			     PCI_MULTI("0x00", "0x02")) ROOT_PORT("2", "0x11",
								  PCI("0x00",
								      "0x02",
								      "0x1"))
			     ROOT_PORT("3", "0x12", PCI("0x00", "0x02", "0x2")) "<controller type='sata' index='0'>" PCI(
				     "0x00", "0x1f",
				     "0x2") "</controller>"
					    "<controller type='virtio-serial' "
					    "index='0' ports='16' "
					    "vectors='4'>" PCI(
						    "0x02", "0x00",
						    "0x0") "</controller>"
							   "<serial "
							   "type='null'><"
							   "target "
							   "type='isa-serial' "
							   "port='0'>"
							   "<model "
							   "name='isa-serial'/"
							   "></target></serial>"
							   "<channel "
							   "type='spicevmc'>"
							   "<target "
							   "type='virtio' "
							   "name='com.redhat."
							   "spice.0'/>"
							   "<address "
							   "type='virtio-"
							   "serial' "
							   "controller='0' "
							   "bus='0' port='1'/>"
							   "</channel>"
							   "<channel "
							   "type='spiceport'>"
							   "<source "
							   "channel='org.spice-"
							   "space.webdav.0'/>"
							   "<target "
							   "type='virtio' "
							   "name='org.spice-"
							   "space.webdav.0'/>"
							   "<address "
							   "type='virtio-"
							   "serial' "
							   "controller='0' "
							   "bus='0' port='2'/>"
							   "</channel>"
							   "<input "
							   "type='mouse' "
							   "bus='ps2'/><input "
							   "type='keyboard' "
							   "bus='ps2'/>"
							   "<input "
							   "type='tablet' "
							   "bus='usb'><alias "
							   "name='ua-tablet0'/>"
							   "<address "
							   "type='usb' bus='0' "
							   "port='1'/></input>"
							   "<sound "
							   "model='ich9'><"
							   "codec "
							   "type='duplex'/"
							   "><audio "
							   "id='1'/>" PCI(
								   "0x00",
								   "0x1b",
								   "0x0") "</"
									  "soun"
									  "d>"
									  "<aud"
									  "io "
									  "id='"
									  "1' "
									  "type"
									  "='"
									  "spic"
									  "e'/>"
									  "<mem"
									  "ball"
									  "oon "
									  "mode"
									  "l='"
									  "none"
									  "'/>";

static const char xhci[] =
	"<controller type='usb' index='0' model='qemu-xhci' ports='15'>" PCI(
		"0x03", "0x00", "0x0") "</controller>";

static const char ehci[] =
	"<controller type='usb' index='0' model='ich9-ehci1'>" PCI(
		"0x00", "0x1d",
		"0x7") "</controller>"
		       "<controller type='usb' index='0' model='ich9-uhci1'>"
		       "<master startport='0'/>" PCI_MULTI(
			       "0x00",
			       "0x1d") "</controller>"
				       "<controller type='usb' index='0' "
				       "model='ich9-uhci2'>"
				       "<master startport='2'/>" PCI(
					       "0x00", "0x1d",
					       "0x1") "</controller>"
						      "<controller type='usb' "
						      "index='0' "
						      "model='ich9-uhci3'>"
						      "<master "
						      "startport='4'/>" PCI(
							      "0x00", "0x1d",
							      "0x2") "</"
								     "controlle"
								     "r>";

static const char disk[] =
	"<disk type='file' device='disk'>"
	"<driver name='qemu' type='' cache='writeback' error_policy='stop' "
	"rerror_policy='report' discard='unmap'/>"
	"<source file=''/><backingStore/><target dev='sda' bus='sata'/>"
	"<serial/><boot order='1'/><alias name='ua-disk0'/>"
	"<address type='drive' controller='0' bus='0' target='0' unit='0'/>"
	"</disk>";

static const char cdrom[] =
	"<disk type='file' device='cdrom'><driver name='qemu' type='raw'/>"
	"<target dev='sdb' bus='sata'/><readonly/><serial/>"
	"<boot order='2'/><alias name='ua-cdrom0'/>"
	"<address type='drive' controller='0' bus='0' target='0' unit='1'/>"
	"</disk>";

static const char nic[] =
	"<interface type='user'><mac address=''/><model type='e1000e'/>"
	"<rom bar='off'/><alias name='ua-net0'/>" PCI("0x01", "0x00",
						      "0x0") "</interface>";

static const char redirection[] =
	"<redirdev bus='usb' type='spicevmc'>"
	"<address type='usb' bus='0' port=''/></redirdev>";

static const char video[] =
	"<video><model type='qxl' ram='' vram='' vram64='0' vgamem='' "
	"heads=''/>" PCI("0x00", "", "0x0") "</video>";

static const char tpm[] =
	"<tpm model='tpm-crb'><backend type='emulator' version='2.0' "
	"persistent_state='yes'/></tpm>";

/*
 * JPEG is never used and zlib only around lossless images, whatever the
 * client's line: a recording shows what the guest drew. Moving regions become
 * streams. What a viewer may do with clipboard and files is the gateway's
 * business.
 */
static const char graphics[] =
	"<graphics type='spice'><listen type='none'/>"
	"<image compression='auto_glz'/><jpeg compression='never'/>"
	"<zlib compression='auto'/><playback compression='on'/>"
	"<streaming mode='filter'/><clipboard copypaste='yes'/>"
	"<mouse mode='client'/><filetransfer enable='yes'/>"
	"<gl enable='no'/></graphics>";

void domain_set_graphics(xmlNodePtr devices)
{
	xmlNodePtr node;

	while ((node = domain_text_child(devices, "graphics"))) {
		xmlUnlinkNode(node);
		xmlFreeNode(node);
	}
	domain_text_append(devices, graphics);
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

/*
 * IDENTIFY's model and firmware revision, else QEMU's own; the WWN first so
 * that it can be filled in. The network card's other end is the hub.
 */
static const char disk_properties[] =
	"<qemu:device alias='ua-disk0'><qemu:frontend>"
	"<qemu:property name='wwn' type='unsigned' value=''/>"
	"<qemu:property name='model' type='string' value='MEDIAVM DISK'/>"
	"<qemu:property name='ver' type='string' value='1.0'/>"
	"</qemu:frontend></qemu:device>";

static const char other_properties[] =
	"<qemu:device alias='ua-cdrom0'><qemu:frontend>"
	"<qemu:property name='model' type='string' value='MEDIAVM DVD'/>"
	"<qemu:property name='ver' type='string' value='1.0'/>"
	"</qemu:frontend></qemu:device>"
	"<qemu:device alias='ua-net0'><qemu:frontend>"
	"<qemu:property name='netdev' type='string' value='isolated'/>"
	"</qemu:frontend></qemu:device>"
	"<qemu:device alias='ua-tablet0'><qemu:frontend>"
	"<qemu:property name='serial' type='string' value='1'/>"
	"</qemu:frontend></qemu:device>";

/* NAA 5 and the OUI of QEMU's MAC addresses, then 36 random bits. */
static int add_disk(xmlNodePtr devices, xmlNodePtr override,
		    const struct domain_spec *spec, struct error *error)
{
	xmlNodePtr node = domain_text_append(devices, disk);
	char serial[16];
	uint64_t wwn = 0;
	int result = domain_make_serial(serial, error);

	if (result == 0)
		result = get_random(&wwn, sizeof(wwn), error);
	domain_text_fill(node, "driver", "type", spec->disk_format);
	domain_text_fill(node, "source", "file", spec->disk);
	domain_text_fill(node, "serial", NULL, serial);
	wwn = UINT64_C(0x5525400) << 36 | wwn >> 28;
	domain_text_fill_number(domain_text_append(override, disk_properties),
				"frontend/property", "value", wwn);
	return result;
}

static int add_cdrom(xmlNodePtr devices, const struct domain_spec *spec,
		     struct error *error)
{
	xmlNodePtr node = domain_text_append(devices, cdrom);
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
	domain_text_fill(domain_text_append(devices, nic), "mac", "address",
			 mac);
	return result;
}

static void add_usb(xmlNodePtr devices, const struct domain_spec *spec)
{
	bool old = domain_kind_of(spec).old_windows;

	domain_text_append(devices, old ? ehci : xhci);
	for (unsigned i = 0; i < USB_REDIRECTIONS; i++)
		domain_text_fill_number(
			domain_text_append(devices, redirection), "address",
			"port", 2 + i);
}

/*
 * Memory of a QXL device, KiB: 32 MiB of frame buffer for each monitor, which
 * is one of 3840 x 2160, rounded up to a power of two; twice that for commands
 * and, in the other BAR, for surfaces.
 */
static void add_qxl(xmlNodePtr devices, unsigned slot, unsigned heads)
{
	xmlNodePtr node = domain_text_append(devices, video);
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

	domain_text_append(devices, board);
	domain_text_append(override, other_properties);
	if (spec->disk)
		result = add_disk(devices, override, spec, error);
	if (result == 0)
		result = add_cdrom(devices, spec, error);
	if (result == 0)
		result = add_nic(devices, error);
	add_usb(devices, spec);
	add_video(devices, spec);
	if (spec->tpm)
		domain_text_append(devices, tpm);
	domain_set_graphics(devices);
	return result;
}
