/*
 * What differs between two definitions, field by field, as far as it is the
 * guest's machine: for what no probe can see (the clock, what a codec is,
 * timers, memory of a display).
 *
 * A field is "definition." and the way to an attribute or a text, without the
 * root: "definition.devices.disk#2.serial" is that of the second disk.
 */
#include "daemon/seal_file.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/domain_text.h"

#define NAME_MAX_SIZE 240

/* The host's side, as PARENT/ELEMENT or ELEMENT/@ATTRIBUTE. */
static const char *const host_side[] = {
	"domain/name",
	"domain/title",
	"domain/description",
	"domain/metadata",
	"domain/on_*",
	"domain/*tune",
	"domain/resource",
	"domain/memoryBacking",
	"domain/iothread*",
	"domain/@type",
	"vcpu/@cpuset",
	"os/kernel",
	"os/initrd",
	"os/cmdline",
	"os/boot",
	"os/bootmenu",
	"devices/emulator",
	"devices/graphics",
	"devices/audio",
	"*/source",
	"*/seclabel",
	"*/boot",
	"*/log",
	"*/protocol",
	"disk/driver",
	"disk/backingStore",
	"disk/iotune",
	"disk/@type",
	"interface/bandwidth",
	"interface/target",
	"interface/backend",
	"interface/@type",
	"serial/@type",
	"parallel/@type",
	"console/@type",
	"channel/@type",
	"redirdev/@type",
};

static bool is_host_side(const char *parent, const char *what)
{
	char text[NAME_MAX_SIZE];

	snprintf(text, sizeof(text), "%s/%s", parent, what);
	for (size_t i = 0; i < sizeof(host_side) / sizeof(*host_side); i++)
		if (fnmatch(host_side[i], text, 0) == 0)
			return true;
	return false;
}

/*
 * Arguments for QEMU that are no machine's: notes for the guest, which no
 * firmware or driver looks for, and option ROMs, of which the probe tells.
 */
static const char *const notes[][2] = {
	{"-fw_cfg", "name=opt/*"},
	{"-global", "*.romfile=*"},
};

static bool is_pair(xmlNodePtr one, xmlNodePtr other)
{
	for (size_t i = 0; i < sizeof(notes) / sizeof(*notes); i++)
		if (one && other && domain_text_is(one, "value", notes[i][0]) &&
		    fnmatch(notes[i][1], domain_text_get(other, "value"), 0) ==
			    0)
			return true;
	return false;
}

static bool is_note(xmlNodePtr argument)
{
	xmlNodePtr before = argument->prev;

	if (strcmp((const char *)argument->name, "arg") != 0)
		return false;
	while (before && before->type != XML_ELEMENT_NODE)
		before = before->prev;
	return is_pair(argument, domain_text_next(argument)) ||
	       is_pair(before, argument);
}

/* The how manieth of its name among its parent's children. */
static unsigned place_of(xmlNodePtr node)
{
	unsigned n = 1;

	for (xmlNodePtr s = node->prev; s; s = s->prev)
		n += s->type == XML_ELEMENT_NODE &&
		     xmlStrEqual(s->name, node->name) && !is_note(s);
	return n;
}

static void add_attributes(struct identity *identity, const char *name,
			   xmlNodePtr node)
{
	char field[NAME_MAX_SIZE], at[64];

	for (xmlAttrPtr a = node->properties; a; a = a->next) {
		xmlChar *value =
			xmlNodeListGetString(node->doc, a->children, 1);

		snprintf(at, sizeof(at), "@%.60s", (const char *)a->name);
		snprintf(field, sizeof(field), "%s.%.60s", name, at + 1);
		if (!is_host_side((const char *)node->name, at))
			identity_add(identity, field, "%s",
				     value ? (char *)value : "");
		xmlFree(value);
	}
}

static void add_element(struct identity *identity, const char *name,
			xmlNodePtr node)
{
	char field[NAME_MAX_SIZE];

	add_attributes(identity, name, node);
	for (xmlNodePtr n = node->children; n; n = n->next) {
		const char *is = (const char *)n->name;
		unsigned place;

		if (n->type == XML_TEXT_NODE)
			identity_add(identity, name, "%s",
				     (const char *)n->content);
		if (n->type != XML_ELEMENT_NODE || is_note(n) ||
		    is_host_side((const char *)node->name, is))
			continue;
		place = place_of(n);
		if (place > 1)
			snprintf(field, sizeof(field), "%.150s.%.60s#%u", name,
				 is, place);
		else
			snprintf(field, sizeof(field), "%.150s.%.60s", name,
				 is);
		/* An empty one says something by being there. */
		if (!n->children && !n->properties)
			identity_add(identity, field, "yes");
		add_element(identity, field, n);
	}
}

static int flatten(const char *xml, struct identity *identity,
		   struct error *error)
{
	xmlDocPtr document;
	int r = domain_text_parse(xml, &document, error);

	if (r)
		return r;
	add_element(identity, "definition", xmlDocGetRootElement(document));
	xmlFreeDoc(document);
	return identity_finish(identity, error);
}

int seal_definition_diff(const char *before, const char *now, json_t **diff,
			 struct error *error)
{
	struct identity *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));
	int r = a && b ? flatten(before, a, error)
		       : error_set(error, -ENOMEM, "no memory");

	*diff = NULL;
	if (!r)
		r = flatten(now, b, error);
	if (!r)
		*diff = seal_fields_diff(a, b, IDENTITY_SEALED);
	identity_free(a);
	identity_free(b);
	return r;
}
