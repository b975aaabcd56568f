/*
 * Domain XML as a tree: what domain_create and domain_for_start share.
 */
#ifndef DAEMON_DOMAIN_TEXT_H
#define DAEMON_DOMAIN_TEXT_H

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
 * Appends an element; attributes are pairs of name and value up to a NULL.
 * A NULL value leaves its attribute out. Values are escaped.
 */
xmlNodePtr domain_text_add(xmlNodePtr parent, const char *name, ...)
	__attribute__((sentinel));

/* Appends <name>text</name>, escaped. */
xmlNodePtr domain_text_add_text(xmlNodePtr parent, const char *name,
				const char *text);

/* Sets an attribute, printf-like. */
void domain_text_set(xmlNodePtr node, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
