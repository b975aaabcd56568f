/*
 * The processor of a definition. Its vendor, brand and microcode are pinned on
 * QEMU's command line, because libvirt does not pass a vendor on and under KVM
 * vendor and microcode would follow the host's; "enforce" has QEMU refuse
 * where it would leave out features that the host has not got.
 */
#include "daemon/domain_parts.h"

#include <stdio.h>
#include <string.h>

#include <libxml/parser.h>

#include "daemon/domain_text.h"

/*
 * The brands of QEMU's named models; source: query-cpu-model-expansion
 * of QEMU 7.2.
 */
static const struct model {
	const char *name, *brand;
} models[] = {
	{"Nehalem", "Intel Core i7 9xx (Nehalem Class Core i7)"},
	{"Nehalem-IBRS", "Intel Core i7 9xx (Nehalem Core i7, IBRS update)"},
	{"Westmere", "Westmere E56xx/L56xx/X56xx (Nehalem-C)"},
	{"Westmere-IBRS", "Westmere E56xx/L56xx/X56xx (IBRS update)"},
	{"Penryn", "Intel Core 2 Duo P9xxx (Penryn Class Core 2)"},
	{"Conroe", "Intel Celeron_4x0 (Conroe/Merom Class Core 2)"},
	{"SandyBridge", "Intel Xeon E312xx (Sandy Bridge)"},
	{"SandyBridge-IBRS", "Intel Xeon E312xx (Sandy Bridge, IBRS update)"},
	{"IvyBridge", "Intel Xeon E3-12xx v2 (Ivy Bridge)"},
	{"IvyBridge-IBRS", "Intel Xeon E3-12xx v2 (Ivy Bridge, IBRS)"},
	{"Haswell", "Intel Core Processor (Haswell)"},
	{"Haswell-noTSX", "Intel Core Processor (Haswell, no TSX)"},
	{"Haswell-IBRS", "Intel Core Processor (Haswell, IBRS)"},
	{"Haswell-noTSX-IBRS", "Intel Core Processor (Haswell, no TSX, IBRS)"},
	{"Broadwell", "Intel Core Processor (Broadwell)"},
	{"Broadwell-noTSX", "Intel Core Processor (Broadwell, no TSX)"},
	{"Broadwell-IBRS", "Intel Core Processor (Broadwell, IBRS)"},
	{"Broadwell-noTSX-IBRS",
	 "Intel Core Processor (Broadwell, no TSX, IBRS)"},
	{"Skylake-Client", "Intel Core Processor (Skylake)"},
	{"Skylake-Client-IBRS", "Intel Core Processor (Skylake, IBRS)"},
	{"Skylake-Client-noTSX-IBRS",
	 "Intel Core Processor (Skylake, IBRS, no TSX)"},
	{"Skylake-Server", "Intel Xeon Processor (Skylake)"},
	{"Skylake-Server-IBRS", "Intel Xeon Processor (Skylake, IBRS)"},
	{"Skylake-Server-noTSX-IBRS",
	 "Intel Xeon Processor (Skylake, IBRS, no TSX)"},
	{"Cascadelake-Server", "Intel Xeon Processor (Cascadelake)"},
	{"Cascadelake-Server-noTSX", "Intel Xeon Processor (Cascadelake)"},
	{"Icelake-Server", "Intel Xeon Processor (Icelake)"},
	{"Icelake-Server-noTSX", "Intel Xeon Processor (Icelake)"},
	{"EPYC", "AMD EPYC Processor"},
	{"EPYC-IBPB", "AMD EPYC Processor (with IBPB)"},
	{"EPYC-Rome", "AMD EPYC-Rome Processor"},
	{"EPYC-Milan", "AMD EPYC-Milan Processor"},
	{"Opteron_G3", "AMD Opteron 23xx (Gen 3 Class Opteron)"},
	{"Opteron_G4", "AMD Opteron 62xx class CPU"},
	{"Opteron_G5", "AMD Opteron 63xx class CPU"},
	{"qemu64", "QEMU Virtual CPU version 2.5+"},
};

/* NULL: the machine type alone keeps the brand. */
static const char *brand_of(const char *model)
{
	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
		if (strcmp(model, models[i].name) == 0)
			return models[i].brand;
	return NULL;
}

static const char *vendor_of(const char *model)
{
	static const char *const amd[] = {"EPYC", "Opteron", "phenom", "athlon",
					  "qemu64"};

	for (size_t i = 0; i < sizeof(amd) / sizeof(amd[0]); i++)
		if (strncmp(model, amd[i], strlen(amd[i])) == 0)
			return "AuthenticAMD";
	if (strncmp(model, "Dhyana", 6) == 0)
		return "HygonGenuine";
	return "GenuineIntel";
}

static void pin(xmlNodePtr root, const char *model, const char *property,
		const char *value)
{
	char text[200];

	if (!value)
		return;
	snprintf(text, sizeof(text), "%s-x86_64-cpu.%s=%s", model, property,
		 value);
	domain_add_argument(root, "-global");
	domain_add_argument(root, text);
}

void domain_set_cpu(xmlNodePtr root, const struct domain_spec *spec)
{
	const char *model =
		spec->cpu_model ? spec->cpu_model : DOMAIN_CPU_MODEL;
	const char *vendor = vendor_of(model);
	bool intel = strcmp(vendor, "GenuineIntel") == 0;

	domain_text_fill(root, "cpu/model", NULL, model);
	domain_text_fill_number(root, "cpu/topology", "cores", spec->cpus);
	pin(root, model, "vendor", vendor);
	pin(root, model, "enforce", "on");
	pin(root, model, "ucode-rev", intel ? "0x100000000" : "0x1000065");
	pin(root, model, "model-id", brand_of(model));
}

static bool has_feature(xmlNodePtr cpu, const char *name)
{
	xmlNodePtr feature = domain_text_child(cpu, "feature");

	while (feature && !domain_text_is(feature, "name", name))
		feature = domain_text_next(feature);
	return feature != NULL;
}

static bool is_model(xmlNodePtr a, xmlNodePtr b)
{
	xmlChar *one = xmlNodeGetContent(domain_text_child(a, "model"));
	xmlChar *other = xmlNodeGetContent(domain_text_child(b, "model"));
	bool is = one && other && xmlStrEqual(one, other);

	xmlFree(one);
	xmlFree(other);
	return is;
}

int domain_add_features(const char *xml, const char *cpu, char **expanded,
			struct error *error)
{
	xmlDocPtr model = xmlReadMemory(cpu, (int)strlen(cpu), NULL, NULL,
					XML_PARSE_NONET | XML_PARSE_NOERROR);
	xmlNodePtr to, from = xmlDocGetRootElement(model), feature;
	xmlDocPtr document;
	int r = domain_text_parse(xml, &document, error);

	*expanded = NULL;
	if (r) {
		xmlFreeDoc(model);
		return r;
	}
	to = domain_text_child(xmlDocGetRootElement(document), "cpu");
	feature =
		is_model(to, from) ? domain_text_child(from, "feature") : NULL;
	for (; feature; feature = domain_text_next(feature)) {
		char *name = (char *)xmlGetProp(feature, BAD_CAST "name");

		/* What this accelerator has not got says nothing of it. */
		if (name && domain_text_is(feature, "policy", "require") &&
		    !has_feature(to, name))
			domain_text_fill(
				domain_text_append(
					to, "<feature policy='require'/>"),
				"", "name", name);
		xmlFree(name);
	}
	r = domain_text_print(document, expanded, error);
	xmlFreeDoc(document);
	xmlFreeDoc(model);
	return r;
}
