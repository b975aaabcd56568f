/* A domain of somebody else as a vault's definition; see domain_adopt.h. */
#include "daemon/domain_adopt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/domain_parts.h"
#include "daemon/domain_text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void drop(xmlNodePtr node)
{
	xmlUnlinkNode(node);
	xmlFreeNode(node);
}

/* --- what cannot be carried ------------------------------------------- */

static int check_devices(xmlNodePtr devices, struct error *error)
{
	static const struct {
		const char *name, *what;
	} refused[] = {
		{"hostdev", "a device of the host (hostdev)"},
		{"filesystem", "a folder shared with the host (filesystem)"},
		{"shmem", "memory shared with other guests (shmem)"},
		{"lease", "a lock lease (lease)"},
		{"smartcard", "a smartcard of the host (smartcard)"},
	};

	for (size_t i = 0; i < COUNT(refused); i++)
		if (domain_text_child(devices, refused[i].name))
			return error_set(error, EINVAL,
					 "it has %s, which cannot go into a "
					 "vault: take it away first, if the "
					 "guest can do without",
					 refused[i].what);
	for (xmlNodePtr n = domain_text_child(devices, "input"); n;
	     n = domain_text_next(n))
		if (domain_text_is(n, "type", "passthrough") ||
		    domain_text_is(n, "type", "evdev"))
			return error_set(error, EINVAL,
					 "it has an input device of the host, "
					 "which cannot go into a vault");
	return 0;
}

static int check_disks(xmlNodePtr devices, struct error *error)
{
	for (xmlNodePtr d = domain_text_child(devices, "disk"); d;
	     d = domain_text_next(d)) {
		xmlNodePtr backing = domain_text_child(d, "backingStore");
		const char *target =
			domain_text_get(domain_text_child(d, "target"), "dev");

		if (!domain_text_is(d, "type", "file") &&
		    !domain_text_is(d, "type", ""))
			return error_set(error, EINVAL,
					 "its disk %s is of type %s: copy it "
					 "into a qcow2 or raw file first "
					 "(qemu-img convert)",
					 target, domain_text_get(d, "type"));
		if (domain_text_child(backing, "source"))
			return error_set(error, EINVAL,
					 "its disk %s has a backing file: make "
					 "one file of it first (qemu-img "
					 "convert, or virsh blockpull)",
					 target);
		if (domain_text_child(d, "mirror") ||
		    domain_text_child(d, "encryption"))
			return error_set(error, EINVAL,
					 "its disk %s is mirrored or encrypted "
					 "by libvirt",
					 target);
	}
	return 0;
}

static int check_network(xmlNodePtr devices, struct error *error)
{
	for (xmlNodePtr n = domain_text_child(devices, "interface"); n;
	     n = domain_text_next(n)) {
		if (domain_text_is(n, "type", "hostdev") ||
		    domain_text_is(n, "type", "vdpa"))
			return error_set(error, EINVAL,
					 "a network card of it is a device of "
					 "the host");
		if (!domain_text_get(domain_text_child(n, "mac"), "address")[0])
			return error_set(error, EINVAL,
					 "a network card of it has no MAC "
					 "address: give the text that virsh "
					 "dumpxml prints, which has the one "
					 "that the guest knows");
	}
	return 0;
}

/* Each of these opens another door to the guest. */
static int check_arguments(xmlNodePtr root, struct error *error)
{
	static const char *const refused[] = {
		"-spice", "-vnc",     "-display", "-qmp",     "-monitor",
		"-mon",   "-chardev", "-gdb",     "-pidfile", "-incoming"};
	xmlNodePtr arguments = domain_text_child(root, "commandline");

	for (xmlNodePtr a = domain_text_child(arguments, "arg"); a;
	     a = domain_text_next(a)) {
		const char *value = domain_text_get(a, "value");

		for (size_t i = 0; i < COUNT(refused); i++)
			if (strcmp(value + (value[0] == '-' && value[1] == '-'),
				   refused[i]) == 0)
				return error_set(error, EINVAL,
						 "it gives QEMU the argument "
						 "%s, which a vault cannot "
						 "have: take it away first",
						 value);
	}
	return 0;
}

static int check(xmlNodePtr root, struct error *error)
{
	xmlNodePtr os = domain_text_child(root, "os");
	xmlNodePtr type = domain_text_child(os, "type");
	xmlNodePtr devices = domain_text_child(root, "devices");
	xmlNodePtr loader = domain_text_child(os, "loader");
	xmlNodePtr tpm = domain_text_child(devices, "tpm");
	int result;

	if (!devices || !type ||
	    (!domain_text_is(root, "type", "kvm") &&
	     !domain_text_is(root, "type", "qemu")))
		return error_set(error, EINVAL,
				 "it is not a guest of QEMU or KVM");
	if (!domain_text_is(type, "arch", "x86_64") &&
	    !domain_text_is(type, "arch", ""))
		return error_set(error, EINVAL,
				 "it is a guest for %s; vaults "
				 "are x86_64",
				 domain_text_get(type, "arch"));
	if (!domain_text_child(root, "uuid"))
		return error_set(error, EINVAL,
				 "it has no UUID: give the text that virsh "
				 "dumpxml prints, which has the one that the "
				 "guest knows");
	if ((domain_text_is(os, "firmware", "efi") ||
	     domain_text_is(loader, "type", "pflash")) &&
	    !domain_text_child(os, "nvram"))
		return error_set(error, EINVAL,
				 "it does not say where its UEFI variables are "
				 "(nvram): give the text that virsh dumpxml "
				 "prints");
	if (tpm && !domain_text_is(domain_text_child(tpm, "backend"), "type",
				   "emulator"))
		return error_set(error, EINVAL,
				 "its TPM is the host's, which cannot go into "
				 "a vault");
	if ((result = check_devices(devices, error)) < 0 ||
	    (result = check_disks(devices, error)) < 0 ||
	    (result = check_network(devices, error)) < 0)
		return result;
	return check_arguments(root, error);
}

/* --- the host's side -------------------------------------------------- */

static void replace_graphics(xmlNodePtr devices,
			     const struct domain_notes *notes)
{
	xmlNodePtr n = domain_text_child(devices, "graphics");

	if (!n)
		domain_note_changed(
			notes, "graphics: it had none; it is seen by SPICE "
			       "through the gateway");
	for (; n; n = domain_text_next(n)) {
		const char *listen = domain_text_get(n, "listen");
		bool password = xmlHasProp(n, BAD_CAST "passwd") != NULL;

		if (!listen[0])
			listen = domain_text_get(domain_text_child(n, "listen"),
						 "address");
		domain_note_changed(
			notes,
			"graphics: %s%s%s%s was replaced by SPICE that listens "
			"nowhere and is reached through the gateway",
			domain_text_get(n, "type"), listen[0] ? " on " : "",
			listen, password ? ", with its password," : "");
	}
	domain_set_graphics(devices);
}

/* Sound goes to the viewer; the guest's card stays. */
static void replace_audio(xmlNodePtr devices, const struct domain_notes *notes)
{
	xmlNodePtr sound = domain_text_child(devices, "sound");
	xmlNodePtr audio = domain_text_child(devices, "audio");

	if (audio && !domain_text_is(audio, "type", "spice"))
		domain_note_changed(notes,
				    "sound: goes to the viewer instead of %s",
				    domain_text_get(audio, "type"));
	domain_text_drop(devices, "audio");
	domain_text_append(devices, "<audio id='1' type='spice'/>");
	for (; sound; sound = domain_text_next(sound)) {
		domain_text_drop(sound, "audio");
		domain_text_append(sound, "<audio id='1'/>");
	}
}

/* The guest's end of a serial or parallel port stays. */
static void replace_consoles(xmlNodePtr devices,
			     const struct domain_notes *notes)
{
	static const char *const names[] = {"serial", "parallel"};
	xmlNodePtr n, next;

	for (size_t i = 0; i < COUNT(names); i++)
		for (n = domain_text_child(devices, names[i]); n;
		     n = domain_text_next(n)) {
			if (!domain_text_is(n, "type", "pty") &&
			    !domain_text_is(n, "type", "null"))
				domain_note_changed(
					notes,
					"%s port: its other end was %s and is "
					"the vault's log or nothing",
					names[i], domain_text_get(n, "type"));
			xmlSetProp(n, BAD_CAST "type", BAD_CAST "null");
			domain_text_drop(n, "source");
			domain_text_drop(n, "protocol");
			domain_text_drop(n, "log");
		}
	/* The same port, told twice. */
	for (n = domain_text_child(devices, "console"); n; n = next) {
		next = domain_text_next(n);
		if (domain_text_is(domain_text_child(n, "target"), "type",
				   "serial") &&
		    domain_text_child(devices, "serial"))
			drop(n);
		else
			xmlSetProp(n, BAD_CAST "type", BAD_CAST "null");
	}
}

/* Where random numbers come from: every host has this. */
static void replace_entropy(xmlNodePtr devices,
			    const struct domain_notes *notes)
{
	for (xmlNodePtr n = domain_text_child(devices, "rng"); n;
	     n = domain_text_next(n)) {
		xmlNodePtr backend = domain_text_child(n, "backend");
		xmlChar *from = backend ? xmlNodeGetContent(backend) : NULL;

		if (!from || xmlStrcmp(from, BAD_CAST "/dev/urandom")) {
			domain_text_drop(n, "backend");
			domain_text_append(n, "<backend model='random'>"
					      "/dev/urandom</backend>");
			domain_note_changed(notes,
					    "random numbers: they come from "
					    "/dev/urandom now");
		}
		xmlFree(from);
	}
}

/* Of a channel to a program of the host, libvirt makes a socket of its own. */
static void replace_channels(xmlNodePtr devices)
{
	for (xmlNodePtr n = domain_text_child(devices, "channel"); n;
	     n = domain_text_next(n)) {
		if (domain_text_is(n, "type", "spicevmc") ||
		    domain_text_is(n, "type", "spiceport"))
			continue;
		xmlSetProp(n, BAD_CAST "type", BAD_CAST "unix");
		domain_text_drop(n, "source");
	}
	for (xmlNodePtr n = domain_text_child(devices, "redirdev"); n;
	     n = domain_text_next(n)) {
		xmlSetProp(n, BAD_CAST "type", BAD_CAST "spicevmc");
		domain_text_drop(n, "source");
		domain_text_drop(n, "protocol");
	}
}

static xmlNodePtr qemu_child(xmlNodePtr parent, const char *name)
{
	xmlNsPtr space = xmlSearchNsByHref(parent->doc, parent,
					   BAD_CAST DOMAIN_QEMU_NAMESPACE);
	xmlNodePtr node = domain_text_child(parent, name);

	if (!space)
		space = xmlNewNs(parent, BAD_CAST DOMAIN_QEMU_NAMESPACE,
				 BAD_CAST "qemu");
	return node ? node : xmlNewChild(parent, space, BAD_CAST name, NULL);
}

/* Plugs a card into a hub of its own; see domain_machine.xml. */
static void isolate(xmlNodePtr root, xmlNodePtr nic, unsigned number)
{
	xmlNodePtr override = qemu_child(root, "override"), device, property;
	char alias[16], name[16], hub[48];

	snprintf(alias, sizeof(alias), "ua-net%u", number);
	snprintf(name, sizeof(name), number ? "isolated%u" : "isolated",
		 number);
	snprintf(hub, sizeof(hub), "hubport,id=%s,hubid=%u", name, number);
	domain_text_drop(nic, "alias");
	domain_text_fill(domain_text_append(nic, "<alias name=''/>"), "",
			 "name", alias);
	domain_add_argument(root, "-netdev");
	domain_add_argument(root, hub);
	device = xmlNewChild(override, override->ns, BAD_CAST "device", NULL);
	xmlSetProp(device, BAD_CAST "alias", BAD_CAST alias);
	property = xmlNewChild(
		xmlNewChild(device, override->ns, BAD_CAST "frontend", NULL),
		override->ns, BAD_CAST "property", NULL);
	xmlSetProp(property, BAD_CAST "name", BAD_CAST "netdev");
	xmlSetProp(property, BAD_CAST "type", BAD_CAST "string");
	xmlSetProp(property, BAD_CAST "value", BAD_CAST name);
}

static void replace_networks(xmlNodePtr root, const struct domain_notes *notes)
{
	static const char *const host[] = {
		"source",  "target", "bandwidth", "virtualport", "filterref",
		"backend", "vlan",   "script",    "tune",        "portForward",
		"ip",      "route",  "guest",     "port",
	};
	xmlNodePtr n = domain_text_child(domain_text_child(root, "devices"),
					 "interface");
	unsigned number = 0;

	for (; n; n = domain_text_next(n)) {
		xmlNodePtr driver = domain_text_child(n, "driver");

		domain_note_changed(
			notes,
			"network: card %s had its other end in %s %s and now "
			"has a link that leads nowhere",
			domain_text_get(domain_text_child(n, "mac"), "address"),
			domain_text_get(n, "type"),
			domain_text_get(domain_text_child(n, "source"),
					domain_text_get(n, "type")));
		if (domain_text_is(domain_text_child(n, "model"), "type",
				   "virtio"))
			notes->unpinned(
				notes->data,
				"network: which offloads a virtio card offers "
				"depends on what it is plugged into");
		xmlSetProp(n, BAD_CAST "type", BAD_CAST "user");
		for (size_t i = 0; i < COUNT(host); i++)
			domain_text_drop(n, host[i]);
		if (driver)
			xmlUnsetProp(driver, BAD_CAST "name");
		isolate(root, n, number++);
	}
}

static void drop_tuning(xmlNodePtr root, const struct domain_notes *notes)
{
	static const char *const names[] = {
		"seclabel",       "resource",      "cputune",
		"numatune",       "memtune",       "blkiotune",
		"launchSecurity", "memoryBacking", "perf"};

	for (size_t i = 0; i < COUNT(names); i++)
		if (domain_text_drop(root, names[i]))
			domain_note_changed(notes,
					    "%s: taken away, it is the host's",
					    names[i]);
	if (domain_text_child(root, "vcpu"))
		xmlUnsetProp(domain_text_child(root, "vcpu"),
			     BAD_CAST "cpuset");
	xmlUnsetProp(root, BAD_CAST "id");
}

/* --- what the guest sees ---------------------------------------------- */

static void note_cpu(xmlNodePtr root, const struct domain_notes *notes)
{
	xmlNodePtr cpu = domain_text_child(root, "cpu");
	char text[400];

	if (!cpu || (domain_text_is(cpu, "mode", "") &&
		     !domain_text_child(cpu, "model"))) {
		notes->unpinned(notes->data,
				"processor: no model is named; it is QEMU's "
				"default for the machine type");
		return;
	}
	if (!domain_text_is(cpu, "mode", "custom") &&
	    !domain_text_is(cpu, "mode", "")) {
		snprintf(text, sizeof(text),
			 "processor: %s is this host's own; on another host "
			 "the guest sees another one. A named model such as "
			 "%s is portable, but to change to it is a change of "
			 "identity: do it only before activation",
			 domain_text_get(cpu, "mode"), DOMAIN_CPU_MODEL);
		notes->unpinned(notes->data, text);
		return;
	}
	notes->unpinned(notes->data,
			"processor: under KVM the vendor follows the host");
}

static void note_unpinned(xmlNodePtr root, const struct domain_notes *notes)
{
	xmlNodePtr smbios =
		domain_text_child(domain_text_child(root, "os"), "smbios");

	note_cpu(root, notes);
	if (domain_text_child(root, "genid"))
		notes->unpinned(notes->data,
				"genid: it is kept, but libvirt changes it "
				"when a saved state is restored");
	if (domain_text_is(smbios, "mode", "host"))
		notes->unpinned(notes->data,
				"SMBIOS: the strings are this host's");
	else if (!domain_text_is(smbios, "mode", "sysinfo"))
		notes->unpinned(notes->data,
				"SMBIOS: the strings are QEMU's, kept by the "
				"machine type only");
	if (domain_text_child(root, "commandline"))
		domain_note_changed(notes,
				    "arguments for QEMU: kept as they are");
}

static int adopt(xmlNodePtr root, const char *name, const char *emulator,
		 const struct domain_notes *notes, struct error *error)
{
	xmlNodePtr devices = domain_text_child(root, "devices");
	xmlNodePtr os = domain_text_child(root, "os");
	int result = check(root, error);

	if (result < 0)
		return result;
	if (!domain_text_child(root, "name"))
		domain_text_append(root, "<name/>");
	domain_text_fill(root, "name", NULL, name);
	if (domain_text_child(os, "loader")) {
		xmlUnsetProp(os, BAD_CAST "firmware");
		domain_text_drop(os, "firmware");
	}
	note_unpinned(root, notes);
	drop_tuning(root, notes);
	domain_text_drop(devices, "emulator");
	domain_text_fill(domain_text_append(devices, "<emulator/>"), "", NULL,
			 emulator);
	replace_graphics(devices, notes);
	replace_entropy(devices, notes);
	replace_audio(devices, notes);
	replace_consoles(devices, notes);
	replace_channels(devices);
	replace_networks(root, notes);
	return 0;
}

int domain_adopt_check(const char *xml, struct error *error)
{
	xmlDocPtr document;
	int result = domain_text_parse(xml, &document, error);

	if (result < 0)
		return result;
	result = check(xmlDocGetRootElement(document), error);
	xmlFreeDoc(document);
	return result;
}

int domain_adopt(const char *xml, const struct domain_adoption *a, char **text,
		 struct error *error)
{
	xmlDocPtr document;
	int result = domain_text_parse(xml, &document, error);

	*text = NULL;
	if (result < 0)
		return result;
	result = adopt(xmlDocGetRootElement(document), a->name, a->emulator,
		       &a->notes, error);
	if (result == 0)
		result = domain_text_print(document, text, error);
	xmlFreeDoc(document);
	return result;
}
