/* Facts read back from a definition; see domain.h. */
#include "daemon/domain.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "daemon/domain_text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* -EINVAL when the text does not fit. */
static int copy(char *to, size_t size, xmlChar *text)
{
	size_t length = text ? strlen((const char *)text) : 0;
	int result = length < size ? 0 : -EINVAL;

	if (result == 0) {
		if (length)
			memcpy(to, text, length);
		to[length] = '\0';
	}
	xmlFree(text);
	return result;
}

/* The text of a node or, with a name, of its attribute; "" for none. */
static int read_text(xmlNodePtr node, const char *attribute, char *to,
		     size_t size)
{
	if (!node)
		return copy(to, size, NULL);
	if (attribute)
		return copy(to, size, xmlGetProp(node, BAD_CAST attribute));
	return copy(to, size, xmlNodeGetContent(node));
}

static int read_number(xmlNodePtr node, const char *attribute, uint64_t *number)
{
	char text[24], *end;

	*number = 0;
	if (read_text(node, attribute, text, sizeof(text)) < 0 ||
	    !isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	*number = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0' ? 0 : -EINVAL;
}

/* Units as libvirt has them; KiB when none is given. */
static int read_memory(xmlNodePtr node, uint64_t *memory)
{
	static const struct {
		const char *name;
		uint64_t bytes;
	} units[] = {
		{"", 1024},
		{"b", 1},
		{"bytes", 1},
		{"k", 1024},
		{"KiB", 1024},
		{"KB", 1000},
		{"M", 1 << 20},
		{"MiB", 1 << 20},
		{"MB", 1000000},
		{"G", 1 << 30},
		{"GiB", 1 << 30},
		{"GB", 1000000000},
		{"T", UINT64_C(1) << 40},
		{"TiB", UINT64_C(1) << 40},
	};
	char unit[8];

	if (read_number(node, NULL, memory) < 0 ||
	    read_text(node, "unit", unit, sizeof(unit)) < 0)
		return -EINVAL;
	for (size_t i = 0; i < COUNT(units); i++)
		if (strcmp(unit, units[i].name) == 0)
			return __builtin_mul_overflow(*memory, units[i].bytes,
						      memory)
				       ? -EINVAL
				       : 0;
	return -EINVAL;
}

/* Monitors: heads of each video device, or 1 where it does not say. */
static unsigned count_heads(xmlNodePtr devices)
{
	unsigned sum = 0;

	for (xmlNodePtr v = domain_text_child(devices, "video"); v;
	     v = domain_text_next(v)) {
		uint64_t heads;

		if (read_number(domain_text_child(v, "model"), "heads",
				&heads) < 0 ||
		    heads > 16)
			heads = 1;
		sum += (unsigned)heads;
	}
	return sum;
}

static int read_disk(xmlNodePtr devices, struct domain_facts *facts)
{
	char device[16];

	for (xmlNodePtr d = domain_text_child(devices, "disk"); d;
	     d = domain_text_next(d)) {
		if (read_text(d, "device", device, sizeof(device)) < 0)
			return -EINVAL;
		if (device[0] && strcmp(device, "disk") != 0)
			continue;
		return read_text(domain_text_child(d, "source"), "file",
				 facts->disk, sizeof(facts->disk));
	}
	return 0;
}

static int read_facts(xmlNodePtr root, struct domain_facts *facts)
{
	xmlNodePtr os = domain_text_child(root, "os");
	xmlNodePtr cpu = domain_text_child(root, "cpu");
	xmlNodePtr devices = domain_text_child(root, "devices");
	xmlNodePtr nic = domain_text_child(devices, "interface");
	char secure[8];
	uint64_t cpus;

	if (read_number(domain_text_child(root, "vcpu"), NULL, &cpus) < 0 ||
	    cpus > 4096 ||
	    read_memory(domain_text_child(root, "memory"), &facts->memory) < 0)
		return -EINVAL;
	facts->cpus = (unsigned)cpus;
	facts->heads = count_heads(devices);
	if (read_text(domain_text_child(root, "name"), NULL, facts->name,
		      sizeof(facts->name)) < 0 ||
	    read_text(domain_text_child(root, "uuid"), NULL, facts->uuid,
		      sizeof(facts->uuid)) < 0 ||
	    read_text(domain_text_child(os, "type"), "machine", facts->machine,
		      sizeof(facts->machine)) < 0 ||
	    read_text(domain_text_child(cpu, "model"), NULL, facts->cpu_model,
		      sizeof(facts->cpu_model)) < 0 ||
	    read_text(domain_text_child(nic, "mac"), "address", facts->mac,
		      sizeof(facts->mac)) < 0)
		return -EINVAL;
	if (strlen(facts->uuid) != 36 || !facts->name[0])
		return -EINVAL;
	if (read_text(domain_text_child(os, "nvram"), NULL, facts->nvram,
		      sizeof(facts->nvram)) < 0)
		return -EINVAL;
	if (read_text(domain_text_child(os, "loader"), "secure", secure,
		      sizeof(secure)) < 0)
		return -EINVAL;
	facts->secure_boot = strcmp(secure, "yes") == 0;
	facts->tpm = domain_text_child(devices, "tpm") != NULL;
	return read_disk(devices, facts);
}

int domain_read(const char *xml, struct domain_facts *facts,
		struct error *error)
{
	xmlDocPtr document;
	int result = domain_text_parse(xml, &document, error);

	memset(facts, 0, sizeof(*facts));
	if (result < 0)
		return result;
	result = read_facts(xmlDocGetRootElement(document), facts);
	xmlFreeDoc(document);
	if (result < 0)
		return error_set(error, EINVAL,
				 "the definition lacks a name, a UUID, memory "
				 "or processors, or one of its fields is too "
				 "long or not a number");
	return 0;
}

static void take(EVP_MD_CTX *digest, const char *what, xmlChar *text)
{
	if (text && *text) {
		EVP_DigestUpdate(digest, what, strlen(what) + 1);
		EVP_DigestUpdate(digest, text, strlen((char *)text) + 1);
	}
	xmlFree(text);
}

/* Serial numbers of SMBIOS, in the order of the tables. */
static void take_sysinfo(EVP_MD_CTX *digest, xmlNodePtr sysinfo)
{
	static const char *const tables[] = {"system", "baseBoard", "chassis"};

	for (size_t i = 0; i < COUNT(tables); i++) {
		xmlNodePtr table = domain_text_child(sysinfo, tables[i]);
		char name[16];

		for (xmlNodePtr e = domain_text_child(table, "entry"); e;
		     e = domain_text_next(e))
			if (read_text(e, "name", name, sizeof(name)) == 0 &&
			    strcmp(name, "serial") == 0)
				take(digest, tables[i], xmlNodeGetContent(e));
	}
}

static void take_machine(EVP_MD_CTX *digest, xmlNodePtr root)
{
	xmlNodePtr devices = domain_text_child(root, "devices"), n, child;

	take(digest, "uuid",
	     xmlNodeGetContent(domain_text_child(root, "uuid")));
	take_sysinfo(digest, domain_text_child(root, "sysinfo"));
	for (n = domain_text_child(devices, "interface"); n;
	     n = domain_text_next(n))
		if ((child = domain_text_child(n, "mac")))
			take(digest, "mac",
			     xmlGetProp(child, BAD_CAST "address"));
	for (n = domain_text_child(devices, "disk"); n; n = domain_text_next(n))
		if ((child = domain_text_child(n, "serial")))
			take(digest, "disk", xmlNodeGetContent(child));
}

int domain_identity(const char *xml, char identity[DOMAIN_IDENTITY_SIZE],
		    struct error *error)
{
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	uint8_t bytes[32];
	xmlDocPtr document;
	int result = digest ? domain_text_parse(xml, &document, error)
			    : error_set(error, ENOMEM, "out of memory");

	if (result == 0) {
		EVP_DigestInit_ex(digest, EVP_sha256(), NULL);
		take_machine(digest, xmlDocGetRootElement(document));
		EVP_DigestFinal_ex(digest, bytes, NULL);
		for (int i = 0; i < 32; i++)
			sprintf(identity + 2 * i, "%02x", bytes[i]);
		xmlFreeDoc(document);
	}
	EVP_MD_CTX_free(digest);
	return result;
}
