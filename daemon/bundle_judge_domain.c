/*
 * Definitions that came from elsewhere; see bundle_judge.h. What is not known
 * to be harmless is refused: elements of <devices> are of a list, paths lead
 * to files of the bundle, arguments for QEMU are of a few forms.
 */
#include "daemon/bundle_judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/domain.h"
#include "daemon/domain_text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define QEMU "http://libvirt.org/schemas/domain/qemu/1.0"

struct judge {
	const struct bundle_plan *plan;
	struct error *error;
};

static int refuse(struct judge *j, const char *what, const char *which)
{
	return error_set(j->error, -EINVAL, "it has %s%s%.100s", what,
			 which[0] ? " " : "", which);
}

static bool is_one_of(const char *name, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(name, list[i]))
			return true;
	return false;
}

#define IS_ONE_OF(name, list) is_one_of((const char *)(name), list, COUNT(list))

/* --- paths ------------------------------------------------------------ */

/* Through vaults/UUID/ to a file that a vault has, as domain_start takes it. */
static bool is_own(const struct judge *j, const char *path)
{
	char through[64];
	const char *found;

	snprintf(through, sizeof(through), "/vaults/%s/", j->plan->uuid);
	found = path[0] == '/' ? strstr(path, through) : NULL;
	return found && bundle_path_is_good(found + strlen(through));
}

/* Texts that QEMU does not take for a path of the host. */
static bool is_free_text(xmlNodePtr node)
{
	static const char *const names[] = {
		"description", "title",  "entry",  "cmdline", "emulator",
		"metadata",    "serial", "vendor", "product", "clock"};

	return IS_ONE_OF(node->name, names);
}

static int judge_text(struct judge *j, xmlNodePtr node, const char *text)
{
	if (!text || !strchr(text, '/') || is_own(j, text))
		return 0;
	/* Of a random number generator. */
	if (!strcmp((const char *)node->name, "backend") &&
	    (!strcmp(text, "/dev/urandom") || !strcmp(text, "/dev/random")))
		return 0;
	return refuse(j, "a path outside of the vault:", text);
}

static int judge_paths(struct judge *j, xmlNodePtr node)
{
	int r = 0;

	/* A <serial> of <devices> is a port. */
	if (is_free_text(node) && !domain_text_child(node, "target"))
		return 0;
	for (xmlAttrPtr a = node->properties; !r && a; a = a->next) {
		xmlChar *value =
			xmlNodeListGetString(node->doc, a->children, 1);

		r = judge_text(j, node, (const char *)value);
		xmlFree(value);
	}
	for (xmlNodePtr n = node->children; !r && n; n = n->next) {
		if (n->type == XML_ELEMENT_NODE)
			r = judge_paths(j, n);
		else if (n->type == XML_TEXT_NODE ||
			 n->type == XML_CDATA_SECTION_NODE)
			r = judge_text(j, node, (const char *)n->content);
		else if (n->type != XML_COMMENT_NODE)
			r = refuse(j, "what is no definition:",
				   (const char *)node->name);
	}
	return r;
}

/* A node's text, or an attribute of it, is a file of the vault. */
static int judge_place(struct judge *j, xmlNodePtr node, const char *attribute)
{
	xmlChar *path = attribute ? xmlGetProp(node, BAD_CAST attribute)
				  : xmlNodeGetContent(node);
	int r = path && is_own(j, (char *)path)
			? 0
			: refuse(j, "a file outside of the vault:",
				 path ? (char *)path : "none");

	xmlFree(path);
	return r;
}

/* --- devices ---------------------------------------------------------- */

/*
 * The images of disks are looked at (bundle_judge.c), of two formats; those of
 * media are not, and in any format but raw they could stand on another file.
 */
static bool is_plain_format(xmlNodePtr disk)
{
	const char *format =
		domain_text_get(domain_text_child(disk, "driver"), "type");
	const char *device = domain_text_get(disk, "device");

	if (!strcmp(device, "cdrom") || !strcmp(device, "floppy"))
		return !format[0] || !strcmp(format, "raw");
	return (!device[0] || !strcmp(device, "disk")) &&
	       (!format[0] || !strcmp(format, "raw") ||
		!strcmp(format, "qcow2"));
}

static int judge_disk(struct judge *j, xmlNodePtr disk)
{
	static const char *const parts[] = {
		"driver", "source",  "backingStore", "target",   "serial",
		"boot",   "alias",   "address",      "readonly", "wwn",
		"vendor", "product", "iotune",       "geometry", "blockio"};
	xmlNodePtr source = domain_text_child(disk, "source");

	if (!domain_text_is(disk, "type", "file"))
		return refuse(j, "a disk that is not a file:",
			      domain_text_get(disk, "type"));
	for (xmlNodePtr n = disk->children; n; n = n->next)
		if (n->type == XML_ELEMENT_NODE &&
		    (!IS_ONE_OF(n->name, parts) || domain_text_next(n)))
			return refuse(j, "a disk with", (const char *)n->name);
	if (!is_plain_format(disk))
		return refuse(j, "a disk that is an image of the format",
			      domain_text_get(domain_text_child(disk, "driver"),
					      "type"));
	if (xmlChildElementCount(source) ||
	    xmlChildElementCount(domain_text_child(disk, "backingStore")))
		return refuse(j, "a disk on another file", "");
	for (xmlAttrPtr a = source ? source->properties : NULL; a; a = a->next)
		if (strcmp((const char *)a->name, "file") != 0 &&
		    strcmp((const char *)a->name, "index") != 0)
			return refuse(j, "a disk whose source has",
				      (const char *)a->name);
	return source ? judge_place(j, source, "file") : 0;
}

/* Its other end is a hub of its own: see domain_machine.xml. */
static int judge_network(struct judge *j, xmlNodePtr root, xmlNodePtr card)
{
	static const char *const parts[] = {
		"mac",  "model",  "rom",  "alias", "address",
		"boot", "driver", "link", "acpi",  "mtu"};
	xmlNodePtr device = domain_text_child(
		domain_text_child(root, "override"), "device");
	xmlChar *alias = xmlGetProp(domain_text_child(card, "alias")
					    ? domain_text_child(card, "alias")
					    : card,
				    BAD_CAST "name");
	bool isolated = false;

	for (; alias && device; device = domain_text_next(device)) {
		xmlNodePtr p = domain_text_child(
			domain_text_child(device, "frontend"), "property");

		if (!domain_text_is(device, "alias", (const char *)alias))
			continue;
		for (; p; p = domain_text_next(p))
			if (domain_text_is(p, "name", "netdev"))
				isolated = !strncmp(domain_text_get(p, "value"),
						    "isolated", 8);
	}
	xmlFree(alias);
	if (!domain_text_is(card, "type", "user") || !isolated)
		return refuse(j, "a network card that is not isolated", "");
	for (xmlNodePtr n = card->children; n; n = n->next)
		if (n->type == XML_ELEMENT_NODE && !IS_ONE_OF(n->name, parts))
			return refuse(j, "a network card with",
				      (const char *)n->name);
	return 0;
}

/* A character device may have no end on the host but the viewer's. */
static int judge_channel(struct judge *j, xmlNodePtr node)
{
	static const char *const types[] = {"null", "spicevmc", "spiceport",
					    "unix"};
	xmlNodePtr source = domain_text_child(node, "source");
	const char *name = (const char *)node->name;
	xmlChar *type = xmlGetProp(node, BAD_CAST "type");
	bool good = type && IS_ONE_OF(type, types) &&
		    !domain_text_child(node, "log") &&
		    !domain_text_child(node, "protocol");

	/* Of a channel to the agent libvirt makes a socket of its own. */
	if (good && !strcmp((char *)type, "unix"))
		good = !strcmp(name, "channel") && !source;
	for (xmlAttrPtr a = source ? source->properties : NULL; a; a = a->next)
		good = good && !strcmp((const char *)a->name, "channel");
	xmlFree(type);
	return good ? 0 : refuse(j, "an end on the host of its", name);
}

static int judge_backend(struct judge *j, xmlNodePtr node)
{
	static const char *const types[] = {"emulator", "random", "builtin"};
	xmlNodePtr backend = domain_text_child(node, "backend");
	xmlChar *is = xmlGetProp(backend ? backend : node,
				 backend ? BAD_CAST "type" : BAD_CAST "");
	xmlChar *model = xmlGetProp(backend ? backend : node,
				    backend ? BAD_CAST "model" : BAD_CAST "");
	bool good = backend && (is || model) && (!is || IS_ONE_OF(is, types)) &&
		    (!model || IS_ONE_OF(model, types)) &&
		    !domain_text_child(backend, "source") &&
		    !domain_text_child(backend, "device") &&
		    !domain_text_child(backend, "encryption");

	xmlFree(is);
	xmlFree(model);
	return good ? 0
		    : refuse(j, "a part of the host as its",
			     (const char *)node->name);
}

static int judge_type(struct judge *j, xmlNodePtr node,
		      const char *const *types, size_t count)
{
	xmlChar *type = xmlGetProp(node, BAD_CAST "type");
	bool good = type && is_one_of((const char *)type, types, count) &&
		    !domain_text_child(node, "source");

	xmlFree(type);
	return good ? 0
		    : refuse(j, "a part of the host as its",
			     (const char *)node->name);
}

static int judge_device(struct judge *j, xmlNodePtr root, xmlNodePtr node)
{
	static const char *const harmless[] = {
		"emulator",   "controller", "sound",      "video",
		"memballoon", "watchdog",   "panic",      "hub",
		"iommu",      "graphics",   "redirfilter"};
	static const char *const channels[] = {"serial", "parallel", "console",
					       "channel", "redirdev"};
	static const char *const backends[] = {"tpm", "rng", "crypto"};
	static const char *const inputs[] = {"mouse", "tablet", "keyboard"};
	static const char *const audio[] = {"spice", "none"};
	const char *name = (const char *)node->name;

	if (!strcmp(name, "disk"))
		return judge_disk(j, node);
	if (!strcmp(name, "interface"))
		return judge_network(j, root, node);
	if (!strcmp(name, "input"))
		return judge_type(j, node, inputs, COUNT(inputs));
	if (!strcmp(name, "audio"))
		return judge_type(j, node, audio, COUNT(audio));
	if (IS_ONE_OF(name, channels))
		return judge_channel(j, node);
	if (IS_ONE_OF(name, backends))
		return judge_backend(j, node);
	return IS_ONE_OF(name, harmless) ? 0 : refuse(j, "a device", name);
}

/* --- QEMU's arguments ------------------------------------------------- */

static bool is_hub(const char *value)
{
	char id[33];
	unsigned number;
	int end = 0;

	return sscanf(value, "hubport,id=%32[a-z0-9],hubid=%3u%n", id, &number,
		      &end) == 2 &&
	       !value[end] && !strncmp(id, "isolated", 8);
}

/*
 * Of the options that a create or an adoption may leave, none whose value can
 * name a file or another object of QEMU's.
 */
static bool is_harmless(const char *option, const char *value)
{
	static const char *const plain[] = {"-machine", "-global", "-cpu",
					    "-rtc",     "-boot",   "-smbios",
					    "-M"};
	static const char *const words[] = {
		"file=",   "path=",  "chardev",        "netdev",   "drive=",
		"romfile", "memdev", "memory-backend", "firmware", "kernel",
		"initrd",  "dtb",    "secret",         "hostdev",  "splash"};

	if (!strcmp(option, "-netdev"))
		return is_hub(value);
	if (!IS_ONE_OF(option, plain) || strchr(value, '/'))
		return false;
	for (size_t i = 0; i < COUNT(words); i++)
		if (strstr(value, words[i]))
			return false;
	return true;
}

static int judge_arguments(struct judge *j, xmlNodePtr commandline)
{
	xmlChar *option = NULL;
	int r = 0;

	for (xmlNodePtr n = commandline ? commandline->children : NULL; n && !r;
	     n = n->next) {
		xmlChar *value;

		if (n->type != XML_ELEMENT_NODE)
			continue;
		value = xmlGetProp(n, BAD_CAST "value");
		if (strcmp((const char *)n->name, "arg") != 0 || !value) {
			r = refuse(j, "for QEMU", (const char *)n->name);
		} else if (!option) {
			option = value;
			continue;
		} else if (!is_harmless((char *)option, (char *)value)) {
			r = error_set(j->error, -EINVAL,
				      "it gives QEMU the argument %.40s %.80s",
				      option, value);
		}
		xmlFree(value);
		xmlFree(option);
		option = NULL;
	}
	if (!r && option)
		r = refuse(j, "the argument for QEMU", (char *)option);
	xmlFree(option);
	return r;
}

static int judge_property(struct judge *j, xmlNodePtr property)
{
	static const char *const names[] = {"model",   "ver",    "wwn",
					    "serial",  "edid",   "rombar",
					    "product", "vendor", "bootindex"};
	xmlChar *name = xmlGetProp(property, BAD_CAST "name");
	xmlChar *value = xmlGetProp(property, BAD_CAST "value");
	bool good = name && value &&
		    (IS_ONE_OF(name, names) ||
		     (!strcmp((char *)name, "netdev") &&
		      !strncmp((char *)value, "isolated", 8)));
	int r = good ? 0
		     : refuse(j, "the property for QEMU",
			      name ? (char *)name : "");

	xmlFree(name);
	xmlFree(value);
	return r;
}

static int judge_override(struct judge *j, xmlNodePtr override)
{
	int r = 0;

	for (xmlNodePtr d = override ? xmlFirstElementChild(override) : NULL;
	     d && !r; d = xmlNextElementSibling(d))
		for (xmlNodePtr f = xmlFirstElementChild(d); f && !r;
		     f = xmlNextElementSibling(f)) {
			if (strcmp((const char *)f->name, "frontend") != 0)
				return refuse(j, "for QEMU",
					      (const char *)f->name);
			for (xmlNodePtr p = xmlFirstElementChild(f); p && !r;
			     p = xmlNextElementSibling(p))
				r = judge_property(j, p);
		}
	return r;
}

/* --- all of it -------------------------------------------------------- */

static int judge_os(struct judge *j, xmlNodePtr os)
{
	static const char *const parts[] = {
		"type",   "loader", "nvram",  "boot",    "bootmenu",
		"smbios", "kernel", "initrd", "cmdline", "bios"};
	static const char *const files[] = {"loader", "nvram", "kernel",
					    "initrd"};

	for (xmlNodePtr n = os ? xmlFirstElementChild(os) : NULL; n;
	     n = xmlNextElementSibling(n))
		if (!IS_ONE_OF(n->name, parts) ||
		    xmlHasProp(n, BAD_CAST "template") ||
		    (xmlHasProp(n, BAD_CAST "format") &&
		     !domain_text_is(n, "format", "raw")))
			return refuse(j, "in its <os>", (const char *)n->name);
		else if (IS_ONE_OF(n->name, files) && judge_place(j, n, NULL))
			return -EINVAL;
	return 0;
}

static int judge_namespace(struct judge *j, xmlNodePtr node, const char *wanted)
{
	int r = 0;

	if (strcmp(node->ns ? (const char *)node->ns->href : "", wanted) != 0)
		r = refuse(j, "of another namespace", (const char *)node->name);
	for (xmlAttrPtr a = node->properties; a && !r; a = a->next)
		if (a->ns)
			r = refuse(j, "of another namespace",
				   (const char *)a->name);
	for (xmlNodePtr n = xmlFirstElementChild(node); n && !r;
	     n = xmlNextElementSibling(n))
		r = judge_namespace(j, n, wanted);
	return r;
}

/* Here names alone count; libvirt passes over what is of another namespace. */
static int judge_namespaces(struct judge *j, xmlNodePtr root)
{
	static const char *const of_qemu[] = {"commandline", "override"};
	int r = root->ns ? refuse(j, "a namespace of its own", "") : 0;

	for (xmlNodePtr n = xmlFirstElementChild(root); n && !r;
	     n = xmlNextElementSibling(n))
		if (strcmp((const char *)n->name, "metadata") != 0)
			r = judge_namespace(
				j, n, IS_ONE_OF(n->name, of_qemu) ? QEMU : "");
	return r;
}

static int judge_root(struct judge *j, xmlNodePtr root)
{
	static const char *const parts[] = {
		"name",      "uuid",           "memory",       "currentMemory",
		"vcpu",      "sysinfo",        "os",           "features",
		"cpu",       "clock",          "pm",           "on_poweroff",
		"on_reboot", "on_crash",       "devices",      "commandline",
		"override",  "description",    "title",        "metadata",
		"vcpus",     "iothreads",      "iothreadids",  "maxMemory",
		"genid",     "on_lockfailure", "memoryBacking"};
	xmlNodePtr devices = domain_text_child(root, "devices");
	int r = 0;

	for (xmlNodePtr n = xmlFirstElementChild(root); n && !r;
	     n = xmlNextElementSibling(n))
		if (!IS_ONE_OF(n->name, parts))
			r = refuse(j, "the part", (const char *)n->name);
	if (!r && domain_text_child(root, "sysinfo") &&
	    !domain_text_is(domain_text_child(root, "sysinfo"), "type",
			    "smbios"))
		r = refuse(j, "a sysinfo of another type", "");
	if (!r &&
	    xmlChildElementCount(domain_text_child(root, "memoryBacking")))
		r = refuse(j, "a memoryBacking of its own", "");
	if (!r)
		r = judge_os(j, domain_text_child(root, "os"));
	for (xmlNodePtr n = devices ? xmlFirstElementChild(devices) : NULL;
	     n && !r; n = xmlNextElementSibling(n))
		r = judge_device(j, root, n);
	if (!r)
		r = judge_arguments(j, domain_text_child(root, "commandline"));
	if (!r)
		r = judge_override(j, domain_text_child(root, "override"));
	if (!r)
		r = judge_namespaces(j, root);
	return r ? r : judge_paths(j, root);
}

/* A second one of these would not be looked at. */
static int judge_once(struct judge *j, xmlNodePtr root)
{
	static const char *const names[] = {
		"uuid",        "os",       "devices",      "sysinfo",
		"commandline", "override", "memoryBacking"};

	for (size_t i = 0; i < COUNT(names); i++) {
		xmlNodePtr n = domain_text_child(root, names[i]);

		if (n && domain_text_next(n))
			return refuse(j, "twice the part", names[i]);
	}
	return 0;
}

int bundle_judge_domain(const char *xml, const struct bundle_plan *plan,
			struct error *error)
{
	struct judge j = {plan, error};
	struct domain_facts facts;
	xmlDocPtr document;
	int r = domain_read(xml, &facts, error);

	if (!r && strcmp(facts.uuid, plan->uuid) != 0)
		r = error_set(error, -EINVAL, "it is of another machine");
	if (!r)
		r = domain_text_parse(xml, &document, error);
	if (r)
		return r;
	r = judge_once(&j, xmlDocGetRootElement(document));
	if (!r)
		r = judge_root(&j, xmlDocGetRootElement(document));
	xmlFreeDoc(document);
	return r;
}
