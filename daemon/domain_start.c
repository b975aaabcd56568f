/* The text of one start; see domain.h. */
#include "daemon/domain_parts.h"

#include <string.h>

#include "daemon/domain_text.h"

static void set_emulator(xmlNodePtr devices, const char *emulator)
{
	if (!domain_text_child(devices, "emulator"))
		domain_text_append(devices, "<emulator/>");
	domain_text_fill(devices, "emulator", NULL, emulator);
}

/*
 * The first serial port stays what it is for the guest; its other end is the
 * log, begun anew, or nothing.
 */
static void set_serial(xmlNodePtr devices, const char *path)
{
	xmlNodePtr serial = domain_text_child(devices, "serial"), source;

	if (!serial)
		return;
	while ((source = domain_text_child(serial, "source"))) {
		xmlUnlinkNode(source);
		xmlFreeNode(source);
	}
	domain_text_fill(serial, "", "type", path ? "file" : "null");
	if (path)
		domain_text_fill(
			domain_text_append(serial, "<source append='off'/>"),
			"", "path", path);
}

/*
 * What only KVM has. Under TCG QEMU would refuse Hyper-V's enlightenments,
 * and Windows does without them.
 */
static void leave_kvm_out(xmlNodePtr root)
{
	static const char *const names[] = {"hyperv", "kvm"};
	xmlNodePtr features = domain_text_child(root, "features"), node;

	for (size_t i = 0; i < 2; i++)
		if ((node = domain_text_child(features, names[i]))) {
			xmlUnlinkNode(node);
			xmlFreeNode(node);
		}
}

int domain_for_start(const char *xml, const struct domain_start *start,
		     char **text, struct error *error)
{
	xmlNodePtr root, devices;
	xmlDocPtr document;
	int result = domain_text_parse(xml, &document, error);

	*text = NULL;
	if (result < 0)
		return result;
	root = xmlDocGetRootElement(document);
	devices = domain_text_child(root, "devices");
	if (devices) {
		domain_text_fill(root, "", "type", start->kvm ? "kvm" : "qemu");
		if (!start->kvm)
			leave_kvm_out(root);
		set_emulator(devices, start->emulator);
		set_serial(devices, start->serial_log);
		domain_set_graphics(devices);
		result = domain_text_print(document, text, error);
	} else {
		result = error_set(error, EINVAL,
				   "the definition has no <devices>");
	}
	xmlFreeDoc(document);
	return result;
}
