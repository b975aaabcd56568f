/*
 * The second half of an adoption, when every device has its address: serial
 * numbers, firmware and files; see domain_adopt.h.
 */
#include "daemon/domain_adopt.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/domain_parts.h"
#include "daemon/domain_text.h"

void domain_note_changed(const struct domain_notes *notes, const char *format,
			 ...)
{
	char text[400];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	notes->changed(notes->data, text);
}

static unsigned count_controllers(xmlNodePtr devices, const char *type)
{
	unsigned n = 0;

	for (xmlNodePtr c = domain_text_child(devices, "controller"); c;
	     c = domain_text_next(c))
		n += domain_text_is(c, "type", type);
	return n;
}

/*
 * The number that QEMU gives an IDE or SATA drive without a serial number: it
 * counts two places on each bus, and SATA uses one of them. Source: the
 * IDENTIFY data of such drives on QEMU 7.2. 0 where it cannot be told.
 */
static unsigned slot_serial(xmlNodePtr devices, xmlNodePtr disk)
{
	xmlNodePtr target = domain_text_child(disk, "target");
	xmlNodePtr address = domain_text_child(disk, "address");
	unsigned sata = count_controllers(devices, "sata");
	unsigned ide = count_controllers(devices, "ide");
	unsigned port = (unsigned)atoi(domain_text_get(address, "bus"));
	unsigned unit = (unsigned)atoi(domain_text_get(address, "unit"));

	if (!address)
		return 0;
	if (domain_text_is(target, "bus", "sata") && sata == 1 && ide == 0)
		return 2 * unit + 1;
	if (domain_text_is(target, "bus", "ide") && sata == 0)
		return 2 * port + unit + 1;
	return 0;
}

static void pin_serials(xmlNodePtr devices, const struct domain_notes *notes)
{
	for (xmlNodePtr d = domain_text_child(devices, "disk"); d;
	     d = domain_text_next(d)) {
		unsigned number = slot_serial(devices, d);
		xmlNodePtr target = domain_text_child(d, "target");
		char serial[16], text[160];

		if (domain_text_child(d, "serial"))
			continue;
		if (number) {
			snprintf(serial, sizeof(serial), "QM%05u", number);
			domain_text_fill(domain_text_append(d, "<serial/>"), "",
					 NULL, serial);
			domain_note_changed(
				notes,
				"disk %s: its serial number %s, which followed "
				"from the slot, is written down",
				domain_text_get(target, "dev"), serial);
			continue;
		}
		snprintf(text, sizeof(text),
			 "disk %s: it has no serial number, what the guest "
			 "reads is QEMU's default",
			 domain_text_get(target, "dev"));
		notes->unpinned(notes->data, text);
	}
}

/* Has the callback say where a file is from now on. */
static int place(const struct domain_adoption *a, xmlNodePtr node,
		 const char *attribute, struct domain_file *file,
		 struct error *error)
{
	xmlChar *path = attribute ? xmlGetProp(node, BAD_CAST attribute)
				  : xmlNodeGetContent(node);
	char place[PATH_MAX];
	int result;

	if (!path || !*path) {
		xmlFree(path);
		return 0;
	}
	file->path = (char *)path;
	snprintf(place, sizeof(place), "%s", path);
	result = a->file(a->data, file, place, error);
	if (result == 0 && place[0])
		domain_text_fill(node, "", attribute, place);
	else if (result == 0) {
		xmlUnlinkNode(node);
		xmlFreeNode(node);
	}
	xmlFree(path);
	return result;
}

static int place_disk(const struct domain_adoption *a, xmlNodePtr disk,
		      struct error *error)
{
	xmlNodePtr source = domain_text_child(disk, "source");
	xmlNodePtr driver = domain_text_child(disk, "driver");
	bool medium = domain_text_is(disk, "device", "cdrom") ||
		      domain_text_is(disk, "device", "floppy");
	struct domain_file file = {
		.kind = medium ? DOMAIN_FILE_MEDIUM : DOMAIN_FILE_DISK,
		.target = domain_text_get(domain_text_child(disk, "target"),
					  "dev"),
		.format = domain_text_get(driver, "type"),
	};

	domain_text_drop(disk, "backingStore");
	if (!source)
		return 0;
	if (!medium)
		domain_text_append(disk, "<backingStore/>");
	return place(a, source, "file", &file, error);
}

/* pflash or, where none is named, SeaBIOS. */
static int place_firmware(const struct domain_adoption *a, xmlNodePtr os,
			  struct error *error)
{
	struct domain_file loader = {.kind = DOMAIN_FILE_LOADER};
	struct domain_file nvram = {.kind = DOMAIN_FILE_NVRAM};
	xmlNodePtr node = domain_text_child(os, "loader");
	int result;

	xmlUnsetProp(os, BAD_CAST "firmware");
	domain_text_drop(os, "firmware");
	if (!node) {
		node = domain_text_append(
			os, "<loader readonly='yes' type='rom'/>");
		domain_text_fill(node, "", NULL, a->bios);
		return 0;
	}
	result = place(a, node, NULL, &loader, error);
	node = domain_text_child(os, "nvram");
	if (result < 0 || !node)
		return result;
	xmlUnsetProp(node, BAD_CAST "template");
	return place(a, node, NULL, &nvram, error);
}

static int place_boot(const struct domain_adoption *a, xmlNodePtr os,
		      struct error *error)
{
	static const char *const names[] = {"kernel", "initrd"};
	int result = 0;

	for (size_t i = 0; i < 2 && result == 0; i++) {
		struct domain_file file = {.kind = DOMAIN_FILE_BOOT,
					   .target = names[i]};
		xmlNodePtr node = domain_text_child(os, names[i]);

		if (node)
			result = place(a, node, NULL, &file, error);
	}
	return result;
}

static int finish(xmlNodePtr root, const struct domain_adoption *a,
		  struct error *error)
{
	xmlNodePtr devices = domain_text_child(root, "devices");
	xmlNodePtr os = domain_text_child(root, "os");
	int result = place_firmware(a, os, error);

	if (result == 0)
		result = place_boot(a, os, error);
	pin_serials(devices, &a->notes);
	for (xmlNodePtr d = domain_text_child(devices, "disk");
	     d && result == 0; d = domain_text_next(d))
		result = place_disk(a, d, error);
	return result;
}

int domain_adopt_finish(const char *xml, const struct domain_adoption *a,
			char **text, struct error *error)
{
	xmlDocPtr document;
	int result = domain_text_parse(xml, &document, error);

	*text = NULL;
	if (result < 0)
		return result;
	result = finish(xmlDocGetRootElement(document), a, error);
	if (result == 0)
		result = domain_text_print(document, text, error);
	xmlFreeDoc(document);
	return result;
}
