/*
 * Makes the definition of a new vault; see domain.h. What is constant stands
 * in domain_machine.xml and domain_parts.xml; what is not is filled in here.
 *
 * Everything that a guest can see is written out: each address, serial
 * number, size and switch, so that no later default of libvirt or QEMU has a
 * say. Suspension and hot-plug are off; the firmware boots the disk, then the
 * CD-ROM.
 */
#include "daemon/domain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/domain_parts.h"
#include "daemon/domain_text.h"

static void add_entry(xmlNodePtr sysinfo, const char *table, const char *name,
		      const char *value)
{
	xmlNodePtr entry = domain_text_append(domain_text_child(sysinfo, table),
					      "<entry name=''/>");

	domain_text_fill(entry, "", "name", name);
	domain_text_fill(entry, "", NULL, value);
}

static int fill_sysinfo(xmlNodePtr sysinfo, const struct domain_spec *spec,
			struct error *error)
{
	static const char *const tables[] = {"system", "baseBoard", "chassis"};
	char serial[16], text[80];
	int result = 0;

	for (size_t i = 0; i < 3 && result == 0; i++) {
		result = domain_make_serial(serial, error);
		add_entry(sysinfo, tables[i], "serial", serial);
	}
	add_entry(sysinfo, "system", "uuid", spec->uuid);
	snprintf(text, sizeof(text), "mediavm:%s", spec->uuid);
	domain_text_fill(
		domain_text_append(domain_text_child(sysinfo, "oemStrings"),
				   "<entry/>"),
		"", NULL, text);
	return result;
}

static void fill_os(xmlNodePtr root, const struct domain_spec *spec)
{
	xmlNodePtr os = domain_text_child(root, "os"), loader;

	domain_text_fill(os, "type", "machine",
			 spec->machine ? spec->machine : DOMAIN_MACHINE);
	if (spec->uefi) {
		loader = domain_text_append(
			os, "<loader readonly='yes' type='pflash'/><nvram/>");
		domain_text_fill(loader, "", NULL, spec->firmware);
		domain_text_fill(os, "nvram", NULL, spec->nvram);
		if (domain_kind_of(spec).secure_boot) {
			domain_text_fill(loader, "", "secure", "yes");
			domain_text_fill(root, "features/smm", "state", "on");
		}
	}
	if (!spec->uefi && spec->firmware)
		domain_text_fill(
			domain_text_append(
				os, "<loader readonly='yes' type='rom'/>"),
			"", NULL, spec->firmware);
	if (!spec->kernel)
		return;
	domain_text_append(os, "<kernel/>");
	domain_text_fill(os, "kernel", NULL, spec->kernel);
	if (spec->initrd)
		domain_text_append(os, "<initrd/>");
	domain_text_fill(os, spec->initrd ? "initrd" : "", NULL, spec->initrd);
	if (spec->cmdline)
		domain_text_append(os, "<cmdline/>");
	domain_text_fill(os, spec->cmdline ? "cmdline" : "", NULL,
			 spec->cmdline);
}

static void fill_windows(xmlNodePtr root)
{
	domain_part_append(domain_text_child(root, "features"), "hyperv");
	domain_text_append(domain_text_child(root, "clock"),
			   "<timer name='hypervclock' present='yes'/>");
	domain_text_fill(root, "clock", "offset", "localtime");
}

static int fill(xmlNodePtr root, const struct domain_spec *spec,
		struct error *error)
{
	int result;

	domain_text_fill(root, "name", NULL, spec->name);
	domain_text_fill(root, "uuid", NULL, spec->uuid);
	domain_text_fill_number(root, "memory", NULL, spec->memory / 1024);
	domain_text_fill_number(root, "currentMemory", NULL,
				spec->memory / 1024);
	domain_text_fill_number(root, "vcpu", NULL, spec->cpus);
	result = fill_sysinfo(domain_text_child(root, "sysinfo"), spec, error);
	if (result < 0)
		return result;
	fill_os(root, spec);
	domain_set_cpu(root, spec);
	if (domain_kind_of(spec).windows)
		fill_windows(root);
	domain_add_argument(root, "-machine");
	domain_add_argument(root, "smbios-entry-point-type=32");
	/* As QEMU has it; newer libvirt would switch it for any watchdog. */
	domain_add_argument(root, "-global");
	domain_add_argument(root, "ICH9-LPC.noreboot=on");
	/* The hub of the network card; see domain_machine.xml. */
	domain_add_argument(root, "-netdev");
	domain_add_argument(root, "hubport,id=isolated,hubid=0");
	return domain_add_devices(domain_text_child(root, "devices"),
				  domain_text_child(root, "override"), spec,
				  error);
}

int domain_create(const struct domain_spec *spec, char **xml,
		  struct error *error)
{
	xmlDocPtr document;
	int result = domain_check(spec, error);

	*xml = NULL;
	if (result < 0)
		return result;
	result = domain_machine(&document, error);
	if (result < 0)
		return result;
	result = fill(xmlDocGetRootElement(document), spec, error);
	if (result == 0)
		result = domain_text_print(document, xml, error);
	xmlFreeDoc(document);
	return result;
}
