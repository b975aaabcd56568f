/* Domain XML as a tree; see domain_text.h. */
#include "daemon/domain_text.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
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

const char *domain_text_get(xmlNodePtr node, const char *name)
{
	static _Thread_local char texts[10][120];
	static _Thread_local unsigned next;
	char *text = texts[next++ % 10];
	xmlChar *value = node ? xmlGetProp(node, BAD_CAST name) : NULL;

	snprintf(text, sizeof(texts[0]), "%s", value ? (char *)value : "");
	xmlFree(value);
	return text;
}

bool domain_text_is(xmlNodePtr node, const char *name, const char *value)
{
	return strcmp(domain_text_get(node, name), value) == 0;
}

unsigned domain_text_drop(xmlNodePtr parent, const char *name)
{
	xmlNodePtr node;
	unsigned n = 0;

	for (; (node = domain_text_child(parent, name)); n++) {
		xmlUnlinkNode(node);
		xmlFreeNode(node);
	}
	return n;
}

xmlNodePtr domain_text_append(xmlNodePtr parent, const char *text)
{
	xmlNodePtr list = NULL;
	xmlParserErrors status = xmlParseInNodeContext(
		parent, text, (int)strlen(text),
		XML_PARSE_NONET | XML_PARSE_NOBLANKS, &list);

	assert(status == XML_ERR_OK && list);
	(void)status;
	xmlAddChildList(parent, list);
	return list;
}

static xmlNodePtr walk(xmlNodePtr node, const char *path)
{
	char name[32];

	while (*path) {
		size_t length = strcspn(path, "/");

		assert(length < sizeof(name));
		memcpy(name, path, length);
		name[length] = '\0';
		node = domain_text_child(node, name);
		assert(node);
		path += length + (path[length] == '/');
	}
	return node;
}

void domain_text_fill(xmlNodePtr node, const char *path, const char *attribute,
		      const char *value)
{
	if (!value)
		return;
	node = walk(node, path);
	if (attribute) {
		xmlSetProp(node, BAD_CAST attribute, BAD_CAST value);
		return;
	}
	xmlNodeSetContent(node, NULL);
	xmlNodeAddContent(node, BAD_CAST value);
}

void domain_text_fill_number(xmlNodePtr node, const char *path,
			     const char *attribute, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	domain_text_fill(node, path, attribute, text);
}
