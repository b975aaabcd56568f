/* mediavmctl vault identity */
#include "daemon/ctl.h"

#include <stdlib.h>
#include <string.h>

static int write_raw(struct ctl *ctl, const char *file, struct error *error)
{
	char *path = ctl_path("/api/v1/vaults/%s/identity/report",
			      ctl->arguments[0]);
	struct ctl_file to;
	int result = ctl_file_open(&to, file, error);

	if (!result) {
		result = ctl_download(ctl, path, to.stream, "probing", error);
		if (result)
			ctl_file_close(&to, false, NULL);
		else
			result = ctl_file_close(&to, true, error);
	}
	free(path);
	return result;
}

/* Only the fields of a class; the rest of the answer stays. */
static void choose(json_t *answer, const char *class)
{
	json_t *fields = json_object_get(answer, "fields");

	for (size_t i = json_array_size(fields); class && i-- > 0;)
		if (strcmp(ctl_text(json_array_get(fields, i), "class"),
			   class) != 0)
			json_array_remove(fields, i);
}

static void print_fields(const json_t *answer)
{
	json_t *field;
	size_t i;

	json_array_foreach(json_object_get(answer, "fields"), i, field)
	{
		ctl_print("%-6s  %s = %s", ctl_text(field, "class"),
			  ctl_text(field, "name"), ctl_text(field, "value"));
	}
}

int ctl_vault_identity(struct ctl *ctl, struct error *error)
{
	const char *class = ctl_option(ctl, "class");
	json_t *answer;
	char *path;
	int result;

	if (class && strcmp(class, "sealed") && strcmp(class, "notice") &&
	    strcmp(class, "masked"))
		return ctl_usage(error, "--class is sealed, notice or masked");
	if (ctl_option(ctl, "raw") && (class || ctl->json))
		return ctl_usage(error, "--raw goes alone");
	if (ctl_option(ctl, "raw"))
		return write_raw(ctl, ctl_option(ctl, "raw"), error);
	path = ctl_path("/api/v1/vaults/%s/identity", ctl->arguments[0]);
	result = ctl_call(ctl, "GET", path, NULL, &answer, error);
	free(path);
	if (result)
		return result;
	choose(answer, class);
	if (ctl->json)
		ctl_print_json(answer);
	else
		print_fields(answer);
	json_decref(answer);
	return 0;
}
