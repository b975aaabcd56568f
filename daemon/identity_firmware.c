/*
 * SMBIOS, ACPI and TPM of an identity. Formats: DMTF DSP0134, the ACPI
 * specification, TPM 2.0 part 2.
 */
#include "daemon/identity.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/probe_run.h"
#include "recorder/bytes.h"

/* --- SMBIOS ------------------------------------------------------------ */

/* Where a structure has the number of which string. */
static const struct {
	uint8_t type, offset;
	const char *name;
} smbios_strings[] = {
	{0, 4, "vendor"},       {0, 5, "version"},        {0, 8, "date"},
	{1, 4, "manufacturer"}, {1, 5, "product"},        {1, 6, "version"},
	{1, 7, "serial"},       {1, 25, "sku"},           {1, 26, "family"},
	{2, 4, "manufacturer"}, {2, 5, "product"},        {2, 6, "version"},
	{2, 7, "serial"},       {2, 8, "asset"},          {2, 10, "location"},
	{3, 4, "manufacturer"}, {3, 6, "version"},        {3, 7, "serial"},
	{3, 8, "asset"},        {3, 21, "sku"},           {4, 4, "socket"},
	{4, 7, "manufacturer"}, {4, 16, "version"},       {4, 32, "serial"},
	{4, 33, "asset"},       {4, 34, "part"},          {17, 16, "locator"},
	{17, 17, "bank"},       {17, 23, "manufacturer"}, {17, 24, "serial"},
	{17, 25, "asset"},      {17, 26, "part"},
};

/* The nth string, from 1; "" when there is none. */
static const char *smbios_string(const struct probe_record *record,
				 unsigned nth, size_t *size)
{
	size_t at = record->bytes[1], end = record->size;
	const uint8_t *p = record->bytes;

	for (; nth && at < end && p[at]; nth--) {
		*size = strnlen((const char *)p + at, end - at);
		if (nth == 1)
			return (const char *)p + at;
		at += *size + 1;
	}
	*size = 0;
	return "";
}

static void add_uuid(struct identity *identity, const char *name,
		     const uint8_t *p)
{
	identity_add(identity, name,
		     "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
		     "%02x%02x%02x%02x%02x%02x",
		     p[3], p[2], p[1], p[0], p[5], p[4], p[7], p[6], p[8], p[9],
		     p[10], p[11], p[12], p[13], p[14], p[15]);
}

void identity_add_smbios(struct identity *identity,
			 const struct probe_record *record, unsigned nth)
{
	const uint8_t *p = record->bytes;
	unsigned type = record->key >> 16 & 0xff;
	bool named[256] = {false};
	const char *text;
	char name[64];
	size_t size;
	int n = nth ? snprintf(name, sizeof(name), "smbios.%u#%u.", type, nth)
		    : snprintf(name, sizeof(name), "smbios.%u.", type);

	if (record->size < 6 || p[1] < 4 || p[1] > record->size)
		return;
	strcpy(name + n, "data");
	identity_add_hex(identity, name, p, p[1]);
	for (size_t i = 0; i < sizeof(smbios_strings) / sizeof(*smbios_strings);
	     i++) {
		if (smbios_strings[i].type != type ||
		    smbios_strings[i].offset >= p[1])
			continue;
		named[p[smbios_strings[i].offset]] = true;
		text = smbios_string(record, p[smbios_strings[i].offset],
				     &size);
		strcpy(name + n, smbios_strings[i].name);
		identity_add_text(identity, name, text, size);
	}
	for (unsigned i = 1; i < 256; i++) { /* numbered by a byte */
		text = smbios_string(record, i, &size);
		if (!size)
			break;
		if (named[i])
			continue;
		sprintf(name + n, "string.%u", i);
		identity_add_text(identity, name, text, size);
	}
	strcpy(name + n, "uuid");
	if (type == 1 && p[1] >= 24)
		add_uuid(identity, name, p + 8);
}

/* --- ACPI -------------------------------------------------------------- */

/* Addresses in memory: they follow from the firmware's allocations. */
static const struct {
	const char *signature;
	uint16_t offset, size; /* 0: to the end */
} acpi_pointers[] = {
	{"RSDT", 36, 0}, {"XSDT", 36, 0}, {"FACP", 36, 8}, {"FACP", 132, 16},
	{"BGRT", 40, 8}, {"TPM2", 68, 8}, {"FACS", 12, 8}, {"FACS", 24, 8},
};

static void take_pointers(const char *signature, uint8_t *table,
			  uint8_t *pointers, size_t size)
{
	for (size_t i = 0; i < sizeof(acpi_pointers) / sizeof(*acpi_pointers);
	     i++) {
		size_t at = acpi_pointers[i].offset, n = acpi_pointers[i].size;

		if (strcmp(acpi_pointers[i].signature, signature) != 0 ||
		    at >= size)
			continue;
		if (!n || n > size - at)
			n = size - at;
		memcpy(pointers + at, table + at, n);
		memset(table + at, 0, n);
	}
}

void identity_add_acpi(struct identity *identity,
		       const struct probe_record *record)
{
	char signature[5] = "", name[64];
	size_t size = record->size;
	uint8_t *table = calloc(2, size + 1), *pointers = table + size;
	bool has = false;
	int n;

	if (!table || size < 8) {
		free(table);
		return;
	}
	memcpy(table, record->bytes, size);
	for (unsigned i = 0; i < 4; i++)
		signature[i] = table[i] > ' ' && table[i] < 0x7f
				       ? (char)table[i]
				       : '?';
	n = record->index ? snprintf(name, sizeof(name), "acpi.%s#%u",
				     signature, record->index)
			  : snprintf(name, sizeof(name), "acpi.%s", signature);
	take_pointers(signature, table, pointers, size);
	for (size_t i = 0; i < size; i++)
		has = has || pointers[i];
	if (has && size > 9 && strcmp(signature, "FACS") != 0) {
		pointers[9] = table[9]; /* the checksum follows them */
		table[9] = 0;
	}
	identity_add_sum(identity, name, table, size);
	if (has) {
		strcpy(name + n, ".pointers");
		identity_add_hex(identity, name, pointers, size);
	}
	if (size >= 36 && strcmp(signature, "FACS") != 0) {
		strcpy(name + n, ".oem");
		identity_add_text(identity, name, table + 10, 14);
		strcpy(name + n, ".revision");
		identity_add(identity, name, "%u", table[8]);
	}
	free(table);
}

/* --- TPM --------------------------------------------------------------- */

static void add_properties(struct identity *identity, struct bytes b)
{
	uint32_t count;

	bytes_take(&b, 5); /* more data; which capability */
	count = bytes_be32(&b);
	while (count-- && !b.bad) {
		uint32_t property = bytes_be32(&b), value = bytes_be32(&b);
		char name[64];

		snprintf(name, sizeof(name), "tpm.property.%08x", property);
		if (!b.bad)
			identity_add(identity, name, "%08x", value);
	}
}

static uint16_t be16(struct bytes *b)
{
	uint16_t high = bytes_u8(b);

	return (uint16_t)(high << 8 | bytes_u8(b));
}

static void add_pcrs(struct identity *identity, uint32_t argument,
		     struct bytes b)
{
	const char *bank = argument >> 8 == 0x0b ? "sha256" : "sha1";
	unsigned pcr = 8 * (argument & 3);
	uint32_t count;
	char name[64];

	bytes_take(&b, 4); /* counter of changes */
	for (count = bytes_be32(&b); count && !b.bad; count--) {
		be16(&b);
		bytes_take(&b, bytes_u8(&b)); /* which ones */
	}
	for (count = bytes_be32(&b); count && !b.bad; count--) {
		size_t size = be16(&b);
		const uint8_t *digest = bytes_take(&b, size);

		snprintf(name, sizeof(name), "tpm.pcr.%s.%02u", bank, pcr++);
		if (digest)
			identity_add_hex(identity, name, digest, size);
	}
}

void identity_add_tpm(struct identity *identity,
		      const struct probe_record *record)
{
	struct bytes b = bytes_of(record->bytes, record->size);
	uint32_t argument = (uint32_t)record->key, status;
	const uint8_t *data;
	char name[64];
	size_t size;

	bytes_take(&b, 6); /* tag, size */
	status = bytes_be32(&b);
	if (b.bad || status)
		return; /* it has no such thing */
	switch (record->key >> 32) {
	case 0x17a:
		add_properties(identity, b);
		break;
	case 0x173: /* ReadPublic: the first of its three parts */
		size = be16(&b);
		data = bytes_take(&b, size);
		if (argument == 0x81010001)
			strcpy(name, "tpm.ek");
		else
			snprintf(name, sizeof(name), "tpm.ek.%08x", argument);
		if (data)
			identity_add_hex(identity, name, data, size);
		break;
	case 0x17e:
		add_pcrs(identity, argument, b);
		break;
	case 0x14e: /* NV_Read */
		bytes_take(&b, 4);
		size = be16(&b);
		data = bytes_take(&b, size);
		snprintf(name, sizeof(name), "tpm.certificate.%08x", argument);
		if (data)
			identity_add_sum(identity, name, data, size);
		break;
	}
}
