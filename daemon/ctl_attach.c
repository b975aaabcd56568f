/* mediavmctl vault attach */
#include "daemon/ctl.h"

#include <stdlib.h>
#include <string.h>

#define FILE_MAX 65536

/* A whole file of text into a member of the body. */
static int put_file(json_t *body, const char *member, const char *path,
		    bool first_line, struct error *error)
{
	char text[FILE_MAX];
	FILE *file;
	size_t n;
	int result = 0;

	if (!path)
		return 0;
	file = fopen(path, "r");
	if (!file)
		return error_errno(error, errno, "can't read %s", path);
	n = fread(text, 1, sizeof(text) - 1, file);
	if (ferror(file))
		result = error_errno(error, errno, "can't read %s", path);
	else if (n == sizeof(text) - 1)
		result = error_set(error, EFBIG, "%s is too long", path);
	fclose(file);
	if (result)
		return result;
	text[n] = '\0';
	if (first_line)
		text[strcspn(text, "\r\n")] = '\0';
	json_object_set_new(body, member, json_string(text));
	explicit_bzero(text, sizeof(text));
	return json_object_get(body, member)
		       ? 0
		       : error_set(error, EINVAL, "%s is not UTF-8 text", path);
}

/* A socket's path is the caller's; free() it. */
static char *place(const char *spice)
{
	char *path, *whole;

	if (strncmp(spice, "unix:", 5) != 0)
		return strdup(spice);
	path = ctl_absolute(spice + 5);
	if (!path || asprintf(&whole, "unix:%s", path) < 0)
		whole = NULL;
	free(path);
	return whole;
}

int ctl_vault_attach(struct ctl *ctl, struct error *error)
{
	const char *spice = ctl_option(ctl, "spice");
	json_t *body, *vault = NULL;
	char *whole;
	int result;

	if (!spice)
		return ctl_usage(error, "say where it is: --spice HOST:PORT, "
					"tls:HOST:PORT or unix:PATH");
	whole = place(spice);
	body = json_pack("{s:s, s:s}", "name", ctl->arguments[0], "spice",
			 whole);
	free(whole);
	result = put_file(body, "password", ctl_option(ctl, "password-file"),
			  true, error);
	if (!result)
		result = put_file(body, "ca", ctl_option(ctl, "ca-file"), false,
				  error);
	if (result) {
		json_decref(body);
		return result;
	}
	result = ctl_call(ctl, "POST", "/api/v1/attach", body, &vault, error);
	if (result)
		return result;
	if (ctl->json)
		ctl_print_json(vault);
	else
		ctl_print("vault %s is attached; watch it with mediavmctl "
			  "connect %s",
			  ctl_text(vault, "name"), ctl_text(vault, "name"));
	json_decref(vault);
	return 0;
}

void ctl_attach_print(const json_t *vault)
{
	ctl_print("%-12s attached: kept elsewhere", "kind");
	ctl_print("%-12s %s, %s", "SPICE", ctl_text(vault, "spice"),
		  strcmp(ctl_text(vault, "state"), "running")
			  ? "which does not answer"
			  : "which answers");
	ctl_print("%-12s %lld live", "sessions",
		  (long long)ctl_number(vault, "sessions_live"));
	ctl_print("policy");
	ctl_policy_print(json_object_get(vault, "policy"));
}
