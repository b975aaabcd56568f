/* The XML of a new vault's hardware, out of the program; see embed.h. */
#include "daemon/domain_parts.h"

#include <assert.h>
#include <string.h>

#include <libxml/parser.h>

#include "daemon/domain_text.h"
#include "schema/embed.h"

/* Comments, and the white space around elements. */
static void clean(xmlNodePtr node)
{
	xmlNodePtr next;

	for (xmlNodePtr n = node->children; n; n = next) {
		next = n->next;
		if (n->type == XML_ELEMENT_NODE) {
			clean(n);
		} else if (n->type == XML_COMMENT_NODE || xmlIsBlankNode(n)) {
			xmlUnlinkNode(n);
			xmlFreeNode(n);
		}
	}
}

/* NULL when there is no memory. */
static xmlDocPtr read_file(const char *name)
{
	const struct schema_embedded *file = domain_files;
	xmlDocPtr document;

	while (file->name && strcmp(file->name, name) != 0)
		file++;
	assert(file->name);
	document = xmlReadMemory((const char *)file->data, (int)file->size,
				 name, NULL, XML_PARSE_NONET);
	if (document)
		clean(xmlDocGetRootElement(document));
	return document;
}

int domain_machine(xmlDocPtr *document, struct error *error)
{
	*document = read_file("domain_machine.xml");
	return *document ? 0 : error_set(error, ENOMEM, "out of memory");
}

/* Through text, by which names find the parent's name space. */
static xmlNodePtr append(xmlNodePtr parent, xmlNodePtr part)
{
	xmlBufferPtr buffer = xmlBufferCreate();
	xmlNodePtr first = NULL;

	for (xmlNodePtr n = part->children; buffer && n; n = n->next)
		xmlNodeDump(buffer, part->doc, n, 0, 0);
	if (buffer)
		first = domain_text_append(
			parent, (const char *)xmlBufferContent(buffer));
	xmlBufferFree(buffer);
	return first;
}

xmlNodePtr domain_part_append(xmlNodePtr parent, const char *name)
{
	xmlDocPtr document = read_file("domain_parts.xml");
	xmlNodePtr part = domain_text_child(xmlDocGetRootElement(document),
					    "part"),
		   first = NULL;

	for (; part; part = domain_text_next(part)) {
		xmlChar *is = xmlGetProp(part, BAD_CAST "name");
		bool found = is && strcmp((char *)is, name) == 0;

		xmlFree(is);
		if (found)
			break;
	}
	assert(part);
	first = append(parent, part);
	xmlFreeDoc(document);
	return first;
}
