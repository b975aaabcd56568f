/*
 * The images of a guest's disks: those of the definition, and for a start the
 * layers that stand on them.
 *
 * The whole chain is written out, so that neither libvirt nor QEMU looks into
 * an image to learn what it stands on.
 */
#include "daemon/domain_parts.h"

#include <stdio.h>
#include <string.h>

#include "daemon/domain_text.h"

static bool is_disk(xmlNodePtr disk)
{
	return domain_text_is(disk, "device", "") ||
	       domain_text_is(disk, "device", "disk");
}

static bool fits(char *to, size_t size, const char *text)
{
	return snprintf(to, size, "%s", text) < (int)size;
}

static int read_disk(xmlNodePtr node, struct domain_disk *disk,
		     struct error *error)
{
	xmlNodePtr source = domain_text_child(node, "source");
	xmlNodePtr driver = domain_text_child(node, "driver");
	xmlNodePtr target = domain_text_child(node, "target");
	const char *format = domain_text_get(driver, "type");
	xmlChar *path = source ? xmlGetProp(source, BAD_CAST "file") : NULL;
	bool good;

	good = path && path[0] == '/' &&
	       fits(disk->path, sizeof(disk->path), (char *)path) &&
	       fits(disk->target, sizeof(disk->target),
		    domain_text_get(target, "dev")) &&
	       fits(disk->format, sizeof(disk->format),
		    format[0] ? format : "raw") &&
	       disk->target[0];
	xmlFree(path);
	return good ? 0
		    : error_set(error, -EINVAL,
				"the definition's disk %.16s is no file",
				domain_text_get(target, "dev"));
}

int domain_disks(const char *xml, struct domain_disk disks[DOMAIN_DISKS],
		 unsigned *count, struct error *error)
{
	xmlDocPtr document;
	xmlNodePtr disk;
	int r = domain_text_parse(xml, &document, error);

	*count = 0;
	if (r)
		return r;
	disk = domain_text_child(
		domain_text_child(xmlDocGetRootElement(document), "devices"),
		"disk");
	for (; disk && !r; disk = domain_text_next(disk)) {
		if (!is_disk(disk))
			continue;
		if (*count == DOMAIN_DISKS)
			r = error_set(error, -EINVAL,
				      "the definition has over %d disks",
				      DOMAIN_DISKS);
		else
			r = read_disk(disk, &disks[(*count)++], error);
	}
	xmlFreeDoc(document);
	return r;
}

static xmlNodePtr find_disk(xmlNodePtr devices, const char *target)
{
	xmlNodePtr disk = domain_text_child(devices, "disk");

	while (disk && !(is_disk(disk) &&
			 domain_text_is(domain_text_child(disk, "target"),
					"dev", target)))
		disk = domain_text_next(disk);
	return disk;
}

void domain_set_chain(xmlNodePtr devices, const struct domain_chain *chain)
{
	xmlNodePtr at = find_disk(devices, chain->target);

	if (!at)
		return;
	domain_text_drop(at, "backingStore");
	domain_text_fill(at, "driver", "type", chain->layers[0].format);
	domain_text_fill(at, "source", "file", chain->layers[0].path);
	for (unsigned i = 1; i < chain->count; i++) {
		at = domain_text_append(at, "<backingStore type='file'>"
					    "<format type=''/>"
					    "<source file=''/>"
					    "</backingStore>");
		domain_text_fill(at, "format", "type", chain->layers[i].format);
		domain_text_fill(at, "source", "file", chain->layers[i].path);
	}
	domain_text_append(at, "<backingStore/>");
}
