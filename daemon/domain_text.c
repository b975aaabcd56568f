/* Domain XML as a tree; see domain_text.h. */
#include "daemon/domain_text.h"

#include <assert.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>

int domain_text_parse(const char *xml, xmlDocPtr *document, struct error *error)
{
	const int options = XML_PARSE_NONET | XML_PARSE_NOERROR |
			    XML_PARSE_NOWARNING | XML_PARSE_NOBLANKS;
	size_t size = strlen(xml);
	xmlNodePtr root;

	*document = NULL;
	if (size > INT_MAX)
		return error_set(error, EINVAL, "a definition of %zu bytes",
				 size);
	*document = xmlReadMemory(xml, (int)size, NULL, NULL, options);
	if (!*document) {
		const xmlError *e = xmlGetLastError();

		return error_set(error, EINVAL,
				 "the definition is not XML: line %d: %s",
				 e ? e->line : 0,
				 e && e->message ? e->message : "unreadable");
	}
	root = xmlDocGetRootElement(*document);
	if (root && !(*document)->intSubset &&
	    strcmp((const char *)root->name, "domain") == 0)
		return 0;
	xmlFreeDoc(*document);
	*document = NULL;
	return error_set(error, EINVAL,
			 "the definition is not a plain libvirt <domain>");
}

int domain_text_print(xmlDocPtr document, char **text, struct error *error)
{
	xmlBufferPtr buffer = xmlBufferCreate();
	int written = -1;

	*text = NULL;
	if (buffer)
		written = xmlNodeDump(buffer, document,
				      xmlDocGetRootElement(document), 0, 1);
	if (written > 0)
		*text = strdup((const char *)xmlBufferContent(buffer));
	xmlBufferFree(buffer);
	return *text ? 0 : error_set(error, ENOMEM, "out of memory");
}

static xmlNodePtr find(xmlNodePtr node, const char *name)
{
	for (; node; node = node->next)
		if (node->type == XML_ELEMENT_NODE &&
		    strcmp((const char *)node->name, name) == 0)
			return node;
	return NULL;
}

xmlNodePtr domain_text_child(xmlNodePtr parent, const char *name)
{
	return parent ? find(parent->children, name) : NULL;
}

xmlNodePtr domain_text_next(xmlNodePtr node)
{
	return find(node->next, (const char *)node->name);
}

xmlNodePtr domain_text_add(xmlNodePtr parent, const char *name, ...)
{
	xmlNodePtr node = xmlNewChild(parent, NULL, BAD_CAST name, NULL);
	const char *key, *value;
	va_list args;

	va_start(args, name);
	while ((key = va_arg(args, const char *))) {
		value = va_arg(args, const char *);
		if (value)
			xmlNewProp(node, BAD_CAST key, BAD_CAST value);
	}
	va_end(args);
	return node;
}

xmlNodePtr domain_text_add_text(xmlNodePtr parent, const char *name,
				const char *text)
{
	return xmlNewTextChild(parent, NULL, BAD_CAST name, BAD_CAST text);
}

void domain_text_set(xmlNodePtr node, const char *name, const char *format, ...)
{
	char text[64];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	assert(n >= 0 && (size_t)n < sizeof(text));
	xmlSetProp(node, BAD_CAST name, BAD_CAST text);
}
