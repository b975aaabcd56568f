/*
 * Devices of an identity that tell their makers and serial numbers in ways of
 * their own. Formats: SPC-4 (INQUIRY, vital product data), SBC-3 (capacity),
 * virtio 1.0, USB 2.0 (chapter 9), VESA E-EDID.
 */
#include "daemon/identity.h"

#include <stdio.h>
#include <string.h>

#include "daemon/probe_run.h"
#include "recorder/bytes.h"

/* "virtio.00:03.0." of a function's number. */
static int put_name(char name[64], const char *kind, uint64_t function)
{
	return snprintf(name, 64, "%s.%02x:%02x.%x.", kind,
			(unsigned)(function >> 8 & 0xff),
			(unsigned)(function >> 3 & 0x1f),
			(unsigned)(function & 7));
}

static void add_virtio(struct identity *identity,
		       const struct probe_record *record)
{
	struct bytes b = bytes_of(record->bytes, record->size);
	const uint8_t *serial = bytes_take(&b, 20);
	unsigned long long sectors = bytes_le64(&b);
	unsigned block = bytes_le32(&b);
	char name[64];
	int n = put_name(name, "virtio", record->key);

	if (b.bad)
		return;
	strcpy(name + n, "serial");
	identity_add_text(identity, name, serial,
			  strnlen((const char *)serial, 20));
	strcpy(name + n, "sectors");
	identity_add(identity, name, "%llu", sectors);
	strcpy(name + n, "block");
	identity_add(identity, name, "%u", block);
}

/* Standard data of INQUIRY. */
static void add_inquiry(struct identity *identity, char name[64], int n,
			const struct probe_record *record)
{
	static const struct {
		const char *name;
		unsigned at, size;
	} texts[] = {
		{"vendor", 8, 8}, {"product", 16, 16}, {"revision", 32, 4}};

	for (unsigned i = 0; i < 3 && record->size >= 36; i++) {
		strcpy(name + n, texts[i].name);
		identity_add_text(identity, name, record->bytes + texts[i].at,
				  texts[i].size);
	}
	strcpy(name + n, "inquiry");
	identity_add_hex(identity, name, record->bytes, record->size);
}

static void add_scsi(struct identity *identity,
		     const struct probe_record *record)
{
	const uint8_t *p = record->bytes;
	char name[64];
	int n = put_name(name, "scsi", record->key >> 24);

	n += snprintf(name + n, sizeof(name) - (size_t)n, "%u.%u.",
		      (unsigned)(record->key >> 16 & 0xff),
		      (unsigned)(record->key >> 8 & 0xff));
	switch (record->key & 0xff) {
	case 0:
		add_inquiry(identity, name, n, record);
		break;
	case 0x80:
		strcpy(name + n, "serial");
		if (record->size >= 4)
			identity_add_text(identity, name, p + 4,
					  record->size - 4);
		break;
	case 0x83:
		strcpy(name + n, "designators");
		identity_add_hex(identity, name, p, record->size);
		break;
	case 0x25:
		strcpy(name + n, "sectors");
		if (record->size == 8)
			identity_add(identity, name, "%llu of %u bytes",
				     bytes_get_be32(p) + 1ull,
				     bytes_get_be32(p + 4));
		break;
	}
}

/* Serial number, then the texts among the four descriptors (EDID 1.4, 3.10) */
static void add_edid(struct identity *identity,
		     const struct probe_record *record)
{
	const uint8_t *p = record->bytes;
	char name[64];
	int n = put_name(name, "edid", record->key);

	if (record->size < 128)
		return;
	strcpy(name + n, "data");
	identity_add_sum(identity, name, p, record->size);
	strcpy(name + n, "maker");
	identity_add(identity, name, "%c%c%c-%04x", '@' + (p[8] >> 2 & 0x1f),
		     '@' + ((p[8] & 3) << 3 | p[9] >> 5), '@' + (p[9] & 0x1f),
		     p[10] | p[11] << 8);
	strcpy(name + n, "serial");
	identity_add(identity, name, "%02x%02x%02x%02x", p[15], p[14], p[13],
		     p[12]);
}

/* UTF-16 as ASCII. */
static void add_string(struct identity *identity, const char *name,
		       const struct probe_record *record)
{
	char text[128];
	size_t n = 0;

	for (size_t at = 2; at + 1 < record->size; at += 2)
		text[n++] =
			record->bytes[at + 1] ? '?' : (char)record->bytes[at];
	identity_add_text(identity, name, text, n);
}

static void add_usb(struct identity *identity,
		    const struct probe_record *record)
{
	static const char *const texts[] = {"manufacturer", "product",
					    "serial"};
	unsigned which = record->key & 0xff;
	const uint8_t *p = record->bytes;
	char name[64];
	int n = put_name(name, "usb", record->key >> 16);

	n += snprintf(name + n, sizeof(name) - (size_t)n, "port%u.",
		      (unsigned)(record->key >> 8 & 0xff));
	if (which >= 0x10 && which < 0x13 && record->size <= 256) {
		strcpy(name + n, texts[which - 0x10]);
		add_string(identity, name, record);
	} else if (which == 2) {
		strcpy(name + n, "configuration");
		identity_add_hex(identity, name, p, record->size);
	} else if (which == 1 && record->size >= 18) {
		strcpy(name + n, "id");
		identity_add(identity, name, "%02x%02x:%02x%02x", p[9], p[8],
			     p[11], p[10]);
		strcpy(name + n, "device");
		identity_add_hex(identity, name, p, record->size);
	}
}

void identity_add_device(struct identity *identity,
			 const struct probe_record *record)
{
	switch (record->kind) {
	case PROBE_VIRTIO_BLK:
		add_virtio(identity, record);
		break;
	case PROBE_SCSI:
		add_scsi(identity, record);
		break;
	case PROBE_EDID:
		add_edid(identity, record);
		break;
	case PROBE_USB:
		add_usb(identity, record);
		break;
	default:
		break;
	}
}
