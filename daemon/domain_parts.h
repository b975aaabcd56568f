/*
 * Between the files that make a definition.
 */
#ifndef DAEMON_DOMAIN_PARTS_H
#define DAEMON_DOMAIN_PARTS_H

#include <libxml/tree.h>

#include "daemon/domain.h"

#define DOMAIN_CPU_MODEL "Nehalem"

/* What follows from the kind of guest. */
struct domain_kind {
	bool windows;
	bool old_windows;	/* no driver for xHCI: up to Windows 7 */
	bool secure_boot;
};

struct domain_kind domain_kind_of(const struct domain_spec *spec);

/* -EINVAL unless everything can go into a definition. */
int domain_check(const struct domain_spec *spec, struct error *error);

/* Model, cores and pins of the processor. */
void domain_set_cpu(xmlNodePtr root, const struct domain_spec *spec);

/* domain_machine.xml, without its comments; xmlFreeDoc it. */
int domain_machine(xmlDocPtr *document, struct error *error);

/* Appends a <part> of domain_parts.xml; returns its first element. */
xmlNodePtr domain_part_append(xmlNodePtr parent, const char *name);

/*
 * Appends the devices to <devices>, and to <qemu:override> the properties
 * that libvirt has no element for.
 */
int domain_add_devices(xmlNodePtr devices, xmlNodePtr override,
		       const struct domain_spec *spec, struct error *error);

/* "MV" and 12 random letters and digits. */
int domain_make_serial(char serial[16], struct error *error);

/* Appends an argument for QEMU; makes <qemu:commandline> where it lacks. */
void domain_add_argument(xmlNodePtr root, const char *value);

/* Gives a sealed machine its own tables back; see domain_start.seal. */
int domain_add_seal(xmlNodePtr root, const char *folder, struct error *error);

/* A probe's program and stand-ins; see domain_start.kernel. */
int domain_set_probe(xmlNodePtr root, const struct domain_start *start,
		     struct error *error);

/* A disk's images; see domain_start.chains. */
void domain_set_chain(xmlNodePtr devices, const struct domain_chain *chain);

/* Takes the <graphics> away and adds a SPICE server that does not listen. */
void domain_set_graphics(xmlNodePtr devices);

#endif
