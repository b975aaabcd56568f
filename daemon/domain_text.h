/*
 * Domain XML as a tree: what domain_create and domain_for_start share.
 */
#ifndef DAEMON_DOMAIN_TEXT_H
#define DAEMON_DOMAIN_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include <libxml/tree.h>

#include "recorder/error.h"

#define DOMAIN_QEMU_NAMESPACE "http://libvirt.org/schemas/domain/qemu/1.0"

/*
 * Parses a definition: no network, no document type, no entities. The caller
 * frees *document with xmlFreeDoc. -EINVAL when it is not a <domain>.
 */
int domain_text_parse(const char *xml, xmlDocPtr *document,
		      struct error *error);

/* The text of a document, indented; free() it. */
int domain_text_print(xmlDocPtr document, char **text, struct error *error);

/* First child of that name, NULL when there is none (or no parent). */
xmlNodePtr domain_text_child(xmlNodePtr parent, const char *name);

/* Next sibling of the same name. */
xmlNodePtr domain_text_next(xmlNodePtr node);

/*
 * An attribute of a node or of none, cut to 119 bytes, "" where it lacks. Of a
 * thread the last ten stay.
 */
const char *domain_text_get(xmlNodePtr node, const char *name);

/* The attribute has that value; "" stands for none. */
bool domain_text_is(xmlNodePtr node, const char *name, const char *value);

/* Removes all children of that name; how many there were. */
unsigned domain_text_drop(xmlNodePtr parent, const char *name);

/*
 * Appends elements given as text, one of ours and not of anybody else's;
 * returns the first.
 */
xmlNodePtr domain_text_append(xmlNodePtr parent, const char *text);

/*
 * Fills in below a node: path is names with "/" between, each the first of
 * that name, "" for the node itself. With a NULL attribute it sets the text.
 * Values are escaped; NULL changes nothing.
 */
void domain_text_fill(xmlNodePtr node, const char *path, const char *attribute,
		      const char *value);

/* The same with a number. */
void domain_text_fill_number(xmlNodePtr node, const char *path,
			     const char *attribute, uint64_t value);

#endif
