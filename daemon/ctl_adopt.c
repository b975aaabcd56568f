/* mediavmctl vault adopt */
#include "daemon/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFINITION_MAX (1 << 19)

/* The argument is a file and not the name of a domain. */
static bool is_file(const char *argument)
{
	size_t length = strlen(argument);

	return strchr(argument, '/') ||
	       (length > 4 && strcmp(argument + length - 4, ".xml") == 0);
}

static int put_file(json_t *body, const char *path, struct error *error)
{
	char *text = malloc(DEFINITION_MAX);
	FILE *file = text ? fopen(path, "re") : NULL;
	size_t size;
	int result = 0;

	if (!file) {
		free(text);
		return error_errno(error, errno, "cannot read %s", path);
	}
	size = fread(text, 1, DEFINITION_MAX, file);
	if (ferror(file))
		result = error_errno(error, errno, "cannot read %s", path);
	else if (size == DEFINITION_MAX ||
		 json_object_set_new(body, "xml", json_stringn(text, size)))
		result = error_set(error, EINVAL, "%s is too long or not UTF-8",
				   path);
	fclose(file);
	free(text);
	return result;
}

static int put_options(struct ctl *ctl, json_t *body, struct error *error)
{
	const char *from = ctl->arguments[0];
	char *path;

	if (ctl_option(ctl, "name"))
		json_object_set_new(body, "name",
				    json_string(ctl_option(ctl, "name")));
	if (ctl_option(ctl, "in-place"))
		json_object_set_new(body, "in_place", json_true());
	if (ctl_option(ctl, "tpm-state")) {
		path = ctl_absolute(ctl_option(ctl, "tpm-state"));
		json_object_set_new(body, "tpm_state",
				    json_string(path ? path : ""));
		free(path);
	}
	if (is_file(from))
		return put_file(body, from, error);
	json_object_set_new(body, "domain", json_string(from));
	if (ctl_option(ctl, "connect"))
		json_object_set_new(body, "uri",
				    json_string(ctl_option(ctl, "connect")));
	return 0;
}

static void print_list(const char *title, const json_t *list)
{
	const json_t *text;
	size_t i;

	if (json_array_size(list))
		ctl_print("%s", title);
	json_array_foreach(list, i, text)
	{
		ctl_print("  %s", json_string_value(text));
	}
}

static void print(const json_t *vault)
{
	const json_t *report = json_object_get(vault, "adoption");

	ctl_print("vault %s has taken over the machine %s",
		  ctl_text(vault, "name"), ctl_text(vault, "uuid"));
	print_list("what is different, outside of the guest's sight:",
		   json_object_get(report, "changed"));
	print_list("what nothing keeps as it is:",
		   json_object_get(report, "unpinned"));
}

int ctl_vault_adopt(struct ctl *ctl, struct error *error)
{
	json_t *body = json_object(), *vault = NULL;
	int result = put_options(ctl, body, error);

	if (result) {
		json_decref(body);
		return result;
	}
	result = ctl_call(ctl, "POST", "/api/v1/adopt", body, &vault, error);
	if (!result && ctl->json)
		ctl_print_json(vault);
	else if (!result)
		print(vault);
	json_decref(vault);
	return result;
}
