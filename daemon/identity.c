/* Fields and their classes; see identity.h. */
#include "daemon/identity.h"

#include <fnmatch.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

/* The first that fits; what fits none is sealed. */
static const struct {
	const char *pattern;
	enum identity_class class;
} classes[] = {
	/* what the host's clock gives */
	{"rtc.offset", IDENTITY_NOTICE},
	{"cpuid.4000001?.*", IDENTITY_MASKED},
	{"cpuid.0000001[56].*", IDENTITY_MASKED},
	{"probe.version", IDENTITY_MASKED},
	{"msr.00000034", IDENTITY_MASKED}, /* SMIs up to now */
	{"msr.40000022", IDENTITY_MASKED},
	{"msr.40000023", IDENTITY_MASKED},
	/* how the firmware set the processor up */
	{"msr.00000174", IDENTITY_MASKED},
	{"msr.00000175", IDENTITY_MASKED},
	{"msr.00000176", IDENTITY_MASKED},
	{"msr.000002*", IDENTITY_NOTICE},
	{"msr.4b564d*", IDENTITY_MASKED},
	{"msr.c000008*", IDENTITY_MASKED},
	/* where the firmware puts things */
	{"smbios.entry", IDENTITY_MASKED},
	{"acpi.*.pointers", IDENTITY_MASKED},
	{"acpi.rsdp", IDENTITY_MASKED},
	{"pci.*.resources", IDENTITY_MASKED},
	{"rom.[ef]*", IDENTITY_MASKED}, /* data of the BIOS itself */
	{"rom.*", IDENTITY_NOTICE},
	{"memory.uefi.*", IDENTITY_MASKED},
	{"fw_cfg.*", IDENTITY_MASKED},
	{"uefi.table.*", IDENTITY_NOTICE},
	/* what guests and updates of theirs write */
	{"uefi.variable.PK", IDENTITY_SEALED},
	{"uefi.variable.KEK", IDENTITY_SEALED},
	{"uefi.variable.MTC", IDENTITY_MASKED},
	{"uefi.variable.Boot*", IDENTITY_MASKED},
	{"uefi.variable.*", IDENTITY_NOTICE},
	/* measurements, counters and versions of the TPM */
	{"tpm.pcr.*.04", IDENTITY_MASKED},
	{"tpm.pcr.*.05", IDENTITY_MASKED},
	{"tpm.pcr.*", IDENTITY_NOTICE},
	{"tpm.property.0000010b", IDENTITY_NOTICE},
	{"tpm.property.0000010c", IDENTITY_NOTICE},
	{"tpm.property.000002*", IDENTITY_MASKED},
};

enum identity_class identity_class_of(const char *name)
{
	unsigned processor;
	int prefix = 0;

	if (sscanf(name, "cpu%5u.%n", &processor, &prefix) == 1)
		name += prefix;
	/* Its memory types went when the probe took it over. */
	if (prefix && strncmp(name, "msr.000002", 10) == 0)
		return IDENTITY_MASKED;
	for (size_t i = 0; i < sizeof(classes) / sizeof(*classes); i++)
		if (fnmatch(classes[i].pattern, name, 0) == 0)
			return classes[i].class;
	return IDENTITY_SEALED;
}

const char *identity_class_name(enum identity_class class)
{
	static const char *const names[] = {"sealed", "notice", "masked"};

	return names[class];
}

/* --- fields ------------------------------------------------------------ */

/* Takes the value. */
static void add(struct identity *identity, const char *name, char *value)
{
	struct identity_field *fields = identity->fields;
	size_t room = identity->room;

	if (identity->count == room && room != SIZE_MAX) {
		room = room ? 2 * room : 512;
		fields = reallocarray(fields, room, sizeof(*fields));
		if (fields) {
			identity->fields = fields;
			identity->room = room;
		}
	}
	if (!value || !fields || room == SIZE_MAX ||
	    !(fields[identity->count].name = strdup(name))) {
		free(value);
		identity->room = SIZE_MAX; /* failed */
		return;
	}
	fields[identity->count].value = value;
	fields[identity->count++].class = identity_class_of(name);
}

void identity_add(struct identity *identity, const char *name,
		  const char *format, ...)
{
	char *value;
	va_list list;

	va_start(list, format);
	if (vasprintf(&value, format, list) < 0)
		value = NULL;
	va_end(list);
	add(identity, name, value);
}

static void put_hex(char *to, const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		sprintf(to + 2 * i, "%02x", data[i]);
	to[2 * size] = '\0';
}

void identity_add_hex(struct identity *identity, const char *name,
		      const void *data, size_t size)
{
	char *value = malloc(2 * size + 1);

	if (value)
		put_hex(value, data, size);
	add(identity, name, value);
}

void identity_add_sum(struct identity *identity, const char *name,
		      const void *data, size_t size)
{
	char hex[2 * EVP_MAX_MD_SIZE + 1];
	uint8_t sum[EVP_MAX_MD_SIZE];
	unsigned length = 0;

	if (EVP_Digest(data, size, sum, &length, EVP_sha256(), NULL) != 1)
		length = 0;
	put_hex(hex, sum, length);
	identity_add(identity, name, "%zu bytes, sha256 %s", size, hex);
}

void identity_add_text(struct identity *identity, const char *name,
		       const void *text, size_t size)
{
	const char *p = text;
	char *value = malloc(size + 1);

	while (size && (!p[size - 1] || p[size - 1] == ' '))
		size--;
	while (size && *p == ' ')
		p++, size--;
	for (size_t i = 0; value && i < size; i++)
		value[i] = p[i] >= ' ' && p[i] < 0x7f ? p[i] : '?';
	if (value)
		value[size] = '\0';
	add(identity, name, value);
}

void identity_free(struct identity *identity)
{
	if (!identity)
		return;
	for (size_t i = 0; i < identity->count; i++) {
		free(identity->fields[i].name);
		free(identity->fields[i].value);
	}
	free(identity->fields);
	free(identity);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct identity_field *)a)->name,
		      ((const struct identity_field *)b)->name);
}

const struct identity_field *identity_find(const struct identity *identity,
					   const char *name)
{
	const struct identity_field key = {.name = (char *)name};

	return identity->count ? bsearch(&key, identity->fields,
					 identity->count, sizeof(key), by_name)
			       : NULL;
}

/* Fields of one name in an order that does not hang on chance. */
static int by_name_and_value(const void *a, const void *b)
{
	int order = by_name(a, b);

	return order ? order
		     : strcmp(((const struct identity_field *)a)->value,
			      ((const struct identity_field *)b)->value);
}

int identity_finish(struct identity *identity, struct error *error)
{
	struct identity_field *f = identity->fields;
	size_t n = 0;

	if (identity->room == SIZE_MAX)
		return error_set(error, -ENOMEM, "no memory");
	if (identity->count)
		qsort(f, identity->count, sizeof(*f), by_name_and_value);
	for (size_t i = 0; i < identity->count; i++) {
		if (n && strcmp(f[n - 1].name, f[i].name) == 0) {
			free(f[i].name);
			free(f[i].value);
		} else {
			f[n++] = f[i];
		}
	}
	identity->count = n;
	return 0;
}

/* --- as a whole -------------------------------------------------------- */

void identity_digest(const struct identity *identity,
		     char digest[IDENTITY_DIGEST_SIZE])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t sum[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	bool good = context && EVP_DigestInit(context, EVP_sha256());

	for (size_t i = 0; good && i < identity->count; i++) {
		const struct identity_field *f = &identity->fields[i];

		/* with their NULs, so that no two lists are the same bytes */
		if (f->class == IDENTITY_SEALED)
			good = EVP_DigestUpdate(context, f->name,
						strlen(f->name) + 1) &&
			       EVP_DigestUpdate(context, f->value,
						strlen(f->value) + 1);
	}
	digest[0] = '\0';
	if (good && EVP_DigestFinal(context, sum, &length) && length == 32)
		put_hex(digest, sum, length);
	EVP_MD_CTX_free(context);
}

/* What a probe before this version did not read. */
static const struct {
	const char *pattern;
	unsigned version;
} later[] = {
	{"probe.version", 2}, {"cpu[0-9]*.*", 2}, {"usb.*", 2}, {"scsi.*", 2},
	{"virtio.*", 2},      {"edid.*", 2},      {"rtc.*", 3},
};

static bool is_unknown(const struct identity *identity, const char *name)
{
	const struct identity_field *field =
		identity_find(identity, "probe.version");
	unsigned version = field ? (unsigned)atoi(field->value) : 1;

	for (size_t i = 0; i < sizeof(later) / sizeof(*later); i++)
		if (fnmatch(later[i].pattern, name, 0) == 0)
			return later[i].version > version;
	return false;
}

size_t identity_diff(const struct identity *before, const struct identity *now,
		     void (*each)(void *data, const char *name,
				  enum identity_class class, const char *before,
				  const char *now),
		     void *data)
{
	size_t i = 0, j = 0, count = 0;

	while (i < before->count || j < now->count) {
		const struct identity_field *a =
			i < before->count ? &before->fields[i] : NULL;
		const struct identity_field *b =
			j < now->count ? &now->fields[j] : NULL;
		int order = !a ? 1 : !b ? -1 : strcmp(a->name, b->name);

		i += order <= 0;
		j += order >= 0;
		if (order == 0 && strcmp(a->value, b->value) == 0)
			continue;
		if (order > 0 && is_unknown(before, b->name))
			continue;
		count++;
		if (each)
			each(data, order <= 0 ? a->name : b->name,
			     order <= 0 ? a->class : b->class,
			     order <= 0 ? a->value : NULL,
			     order >= 0 ? b->value : NULL);
	}
	return count;
}

json_t *identity_json(const struct identity *identity)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < identity->count; i++) {
		const struct identity_field *f = &identity->fields[i];

		if (json_array_append_new(
			    list,
			    json_pack("{s:s, s:s, s:s}", "name", f->name,
				      "class", identity_class_name(f->class),
				      "value", f->value))) {
			json_decref(list);
			list = NULL;
		}
	}
	return list;
}

/* The class follows from the name: what a file says of it does not count. */
int identity_read(const json_t *json, struct identity **identity,
		  struct error *error)
{
	const json_t *field;
	size_t i;
	int r = 0;

	*identity = calloc(1, sizeof(**identity));
	if (!*identity)
		return error_set(error, -ENOMEM, "no memory");
	if (!json_is_array(json))
		r = error_set(error, -EINVAL, "an identity is a list");
	json_array_foreach(json, i, field)
	{
		const char *name =
			json_string_value(json_object_get(field, "name"));
		const char *value =
			json_string_value(json_object_get(field, "value"));

		if (!name || !value) {
			r = error_set(error, -EINVAL,
				      "field %zu of the identity has no name "
				      "or no value",
				      i);
			break;
		}
		identity_add(*identity, name, "%s", value);
	}
	if (!r)
		r = identity_finish(*identity, error);
	if (r) {
		identity_free(*identity);
		*identity = NULL;
	}
	return r;
}
