/*
 * The images of a guest's first disk, in place of the one of the definition.
 *
 * The whole chain is written out, so that neither libvirt nor QEMU looks into
 * an image to learn what it stands on.
 */
#include "daemon/domain_parts.h"

#include <string.h>

#include "daemon/domain_text.h"

static bool is_disk(xmlNodePtr disk)
{
	xmlChar *device = xmlGetProp(disk, BAD_CAST "device");
	bool is = !device || strcmp((char *)device, "disk") == 0;

	xmlFree(device);
	return is;
}

static xmlNodePtr first_disk(xmlNodePtr devices)
{
	xmlNodePtr disk = domain_text_child(devices, "disk");

	while (disk && !is_disk(disk))
		disk = domain_text_next(disk);
	return disk;
}

static void take_away(xmlNodePtr parent, const char *name)
{
	xmlNodePtr node;

	while ((node = domain_text_child(parent, name))) {
		xmlUnlinkNode(node);
		xmlFreeNode(node);
	}
}

void domain_set_layers(xmlNodePtr devices, const struct domain_layer *layers,
		       unsigned count)
{
	xmlNodePtr at = first_disk(devices);

	if (!at)
		return;
	take_away(at, "backingStore");
	domain_text_fill(at, "driver", "type", layers[0].format);
	domain_text_fill(at, "source", "file", layers[0].path);
	for (unsigned i = 1; i < count; i++) {
		at = domain_text_append(at, "<backingStore type='file'>"
					    "<format type=''/>"
					    "<source file=''/>"
					    "</backingStore>");
		domain_text_fill(at, "format", "type", layers[i].format);
		domain_text_fill(at, "source", "file", layers[i].path);
	}
	domain_text_append(at, "<backingStore/>");
}
