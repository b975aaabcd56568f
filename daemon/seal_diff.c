/* What differs from a seal, and how it is told; see seal_file.h. */
#include "daemon/seal_file.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "daemon/control.h"
#include "daemon/seal.h"
#include "daemon/vault.h"

struct list {
	json_t *json;
	enum identity_class class;
	bool all;
};

static void add_field(void *data, const char *name, enum identity_class class,
		      const char *before, const char *now)
{
	struct list *list = data;

	if (list->all || class == list->class)
		json_array_append_new(list->json,
				      json_pack("{s:s, s:s, s:s?, s:s?}",
						"name", name, "class",
						identity_class_name(class),
						"old", before, "new", now));
}

json_t *seal_fields_diff(const struct identity *before,
			 const struct identity *now, enum identity_class class)
{
	struct list list = {.json = json_array(), .class = class};

	identity_diff(before, now, add_field, &list);
	return list.json;
}

json_t *seal_diff(const struct control *control, const struct vault *vault,
		  const struct identity *now)
{
	struct list list = {.all = true};
	char path[PATH_MAX];
	struct seal *seal;

	vault_path(control, vault->uuid, "seal/fingerprint.json", path);
	if (seal_file_read(path, &seal, NULL))
		return NULL;
	list.json = json_array();
	identity_diff(seal->identity, now, add_field, &list);
	seal_free(seal);
	return list.json;
}

#define SHOWN 36 /* bytes of a value in an error */

/* A long value is told by its beginning. */
static void quote(const json_t *field, const char *which, char *text,
		  size_t size)
{
	const char *value = json_string_value(json_object_get(field, which));

	if (!value)
		snprintf(text, size, "absent");
	else
		snprintf(text, size, "\"%.*s%s\"", SHOWN, value,
			 strlen(value) > SHOWN ? "…" : "");
}

/* Registers and digests tell few people anything: others are told first. */
static bool is_plain(const json_t *field)
{
	static const char *const patterns[] = {
		"cpuid.*", "msr.*", "cmos", "*.data", "*.identify", "acpi.*"};
	const char *name = json_string_value(json_object_get(field, "name"));

	for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++)
		if (fnmatch(patterns[i], name, 0) == 0)
			return false;
	return true;
}

/* Those that are plain, or those that are not; how many were told. */
static size_t describe_some(const json_t *diff, bool plain, size_t told,
			    char *text, size_t size)
{
	char old[SHOWN + 8], new[SHOWN + 8];
	const json_t *field;
	size_t i, n = strlen(text);

	json_array_foreach((json_t *)diff, i, field)
	{
		const char *name =
			json_string_value(json_object_get(field, "name"));
		int length;

		if (told == 3 || is_plain(field) != plain)
			continue;
		quote(field, "old", old, sizeof(old));
		quote(field, "new", new, sizeof(new));
		length = snprintf(text + n, size - n, "%s%s was %s, is %s",
				  n ? "; " : "", name, old, new);
		/* The first is told, if only in part. */
		if (told && n + (size_t)length + 20 > size) {
			text[n] = '\0';
			break;
		}
		told++;
		n = strlen(text);
	}
	return told;
}

void seal_describe(const json_t *diff, char *text, size_t size)
{
	size_t all = json_array_size(diff), told;

	text[0] = '\0';
	told = describe_some(diff, true, 0, text, size);
	told = describe_some(diff, false, told, text, size);
	if (told < all)
		snprintf(text + strlen(text), size - strlen(text),
			 "; and %zu more", all - told);
}
