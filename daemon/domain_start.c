/* The text of one start; see domain.h. */
#include "daemon/domain_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/domain_text.h"

static void set_emulator(xmlNodePtr devices, const char *emulator)
{
	if (!emulator)
		return;
	if (!domain_text_child(devices, "emulator"))
		domain_text_append(devices, "<emulator/>");
	domain_text_fill(devices, "emulator", NULL, emulator);
}

/*
 * The first serial port stays what it is for the guest; its other end is the
 * log, begun anew, or nothing.
 */
static void set_serial(xmlNodePtr devices, const char *path)
{
	xmlNodePtr serial = domain_text_child(devices, "serial"), source;

	if (!serial)
		return;
	while ((source = domain_text_child(serial, "source"))) {
		xmlUnlinkNode(source);
		xmlFreeNode(source);
	}
	domain_text_fill(serial, "", "type", path ? "file" : "null");
	if (path)
		domain_text_fill(
			domain_text_append(serial, "<source append='off'/>"),
			"", "path", path);
}

/*
 * What only KVM has. Under TCG QEMU would refuse Hyper-V's enlightenments,
 * and Windows does without them.
 */
static void leave_kvm_out(xmlNodePtr root)
{
	static const char *const names[] = {"hyperv", "kvm"};
	xmlNodePtr features = domain_text_child(root, "features"), node;

	for (size_t i = 0; i < 2; i++)
		if ((node = domain_text_child(features, names[i]))) {
			xmlUnlinkNode(node);
			xmlFreeNode(node);
		}
}

/* What follows vaults/UUID/ in a path, NULL when that is not in it. */
static const char *inside(const char *path, const char *uuid)
{
	char through[64];
	const char *found;

	snprintf(through, sizeof(through), "/vaults/%.36s/", uuid);
	found = path[0] == '/' ? strstr(path, through) : NULL;
	return found ? found + strlen(through) : NULL;
}

static char *moved(const char *path, const char *uuid, const char *folder)
{
	const char *rest = inside(path, uuid);
	char *place;

	return rest && asprintf(&place, "%s/%s", folder, rest) > 0 ? place
								   : NULL;
}

/* Every attribute and every text that is such a path. */
static void move_paths(xmlNodePtr node, const char *uuid, const char *folder)
{
	char *place;

	for (xmlAttrPtr a = node->properties; a; a = a->next) {
		xmlChar *value =
			xmlNodeListGetString(node->doc, a->children, 1);

		if (value && (place = moved((char *)value, uuid, folder))) {
			xmlSetProp(node, a->name, BAD_CAST place);
			free(place);
		}
		xmlFree(value);
	}
	for (xmlNodePtr n = node->children; n; n = n->next) {
		if (n->type == XML_ELEMENT_NODE)
			move_paths(n, uuid, folder);
		if (n->type != XML_TEXT_NODE || n->prev || n->next)
			continue;
		if ((place = moved((char *)n->content, uuid, folder))) {
			domain_text_fill(node, "", NULL, place);
			free(place);
			return;
		}
	}
}

static void set_folder(xmlNodePtr root, const char *folder)
{
	xmlChar *uuid = xmlNodeGetContent(domain_text_child(root, "uuid"));

	if (uuid)
		move_paths(root, (char *)uuid, folder);
	xmlFree(uuid);
}

static void add_option(xmlNodePtr root, const char *option, const char *value)
{
	if (!value)
		return;
	domain_add_argument(root, option);
	domain_add_argument(root, value);
}

static int set_all(xmlNodePtr root, const struct domain_start *start,
		   struct error *error)
{
	xmlNodePtr devices = domain_text_child(root, "devices");
	int result = 0;

	if (!devices)
		return error_set(error, EINVAL,
				 "the definition has no <devices>");
	domain_text_fill(root, "", "type", start->kvm ? "kvm" : "qemu");
	domain_text_fill(root, "name", NULL, start->name);
	if (!start->kvm)
		leave_kvm_out(root);
	if (start->folder)
		set_folder(root, start->folder);
	if (start->kernel)
		result = domain_set_probe(root, start, error);
	for (unsigned i = 0; i < start->chain_count; i++)
		domain_set_chain(devices, &start->chains[i]);
	set_emulator(devices, start->emulator);
	set_serial(devices, start->serial_log);
	domain_set_graphics(devices);
	add_option(root, "-L", start->firmware);
	add_option(root, "-pidfile", start->pidfile);
	if (result == 0 && start->seal)
		result = domain_add_seal(root, start->seal, error);
	return result;
}

int domain_for_start(const char *xml, const struct domain_start *start,
		     char **text, struct error *error)
{
	xmlDocPtr document;
	int result = domain_text_parse(xml, &document, error);

	*text = NULL;
	if (result < 0)
		return result;
	result = set_all(xmlDocGetRootElement(document), start, error);
	if (result == 0)
		result = domain_text_print(document, text, error);
	xmlFreeDoc(document);
	return result;
}
