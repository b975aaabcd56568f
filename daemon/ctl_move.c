/* mediavmctl vault export, vault import */
#include "daemon/ctl.h"

#include <stdlib.h>
#include <string.h>

/* A path as seen from /, a URL as it is; free() it. */
static char *place(const char *text)
{
	return strstr(text, "://") ? strdup(text) : ctl_absolute(text);
}

/* Starts the job, waits for it, and gives its result (borrowed). */
static int do_job(struct ctl *ctl, const char *path, json_t *body, json_t **job,
		  const json_t **result, struct error *error)
{
	int r = ctl_call(ctl, "POST", path, body, job, error);

	if (!r && !ctl_option(ctl, "no-wait"))
		r = ctl_wait_for_job(ctl, job, error);
	*result = r ? NULL : json_object_get(*job, "result");
	if (!r && ctl->json)
		ctl_print_json(*job);
	return r;
}

static void print_export(const struct ctl *ctl, const json_t *result)
{
	char data[CTL_TEXT_SIZE], size[CTL_TEXT_SIZE];
	int64_t bytes = ctl_number(result, "bytes");

	if (!result) {
		ctl_print("vault %s is being exported", ctl->arguments[0]);
		return;
	}
	ctl_print("vault %s is exported to %s: %s of data%s%s",
		  ctl->arguments[0], ctl_text(result, "to"),
		  ctl_size(ctl_number(result, "data"), data),
		  bytes ? " in " : "", bytes ? ctl_size(bytes, size) : "");
	if (json_is_true(json_object_get(result, "moved")))
		ctl_print("it has moved: it does not start here any more, but "
			  "where it is imported");
}

int ctl_vault_export(struct ctl *ctl, struct error *error)
{
	const char *target = ctl_option(ctl, "for-host");
	bool move = ctl_option(ctl, "move") != NULL;
	char *path, *to, question[240];
	const json_t *result;
	json_t *job = NULL;
	int r;

	if (target && !move)
		return ctl_usage(error, "--for-host goes with --move");
	snprintf(question, sizeof(question),
		 "Move vault %s away? It will not start on this host any more.",
		 ctl->arguments[0]);
	if (move && !ctl_confirm(ctl, question))
		return error_set(error, ECANCELED, "nothing was exported");
	path = ctl_path("/api/v1/vaults/%s/export", ctl->arguments[0]);
	to = place(ctl->arguments[1]);
	r = do_job(ctl, path,
		   json_pack("{s:s, s:b, s:s*}", "to", to, "move", move,
			     "target", target),
		   &job, &result, error);
	free(path);
	free(to);
	if (!r && !ctl->json)
		print_export(ctl, result);
	json_decref(job);
	return r;
}

static void print_signer(const json_t *result)
{
	ctl_print("signed by the host with key %s", ctl_text(result, "signer"));
}

static void print_check(const json_t *result)
{
	char size[CTL_TEXT_SIZE];

	ctl_print("the bundle is good: vault %s, %lld files with %s of data%s",
		  ctl_text(result, "vault"),
		  (long long)ctl_number(result, "files"),
		  ctl_size(ctl_number(result, "data"), size),
		  json_is_true(json_object_get(result, "moved"))
			  ? ", moved with its right to run"
			  : ", a backup");
	print_signer(result);
}

static void print_import(const json_t *result)
{
	const char *name = ctl_text(result, "vault");

	if (json_is_true(json_object_get(result, "moved")))
		ctl_print("vault %s is here, with its right to run", name);
	else
		ctl_print("vault %s is here, as a backup: it starts after "
			  "mediavmctl vault restore %s",
			  name, name);
	print_signer(result);
}

int ctl_vault_import(struct ctl *ctl, struct error *error)
{
	bool check = ctl_option(ctl, "check") != NULL;
	char *from = place(ctl->arguments[0]);
	const json_t *result;
	json_t *job = NULL;
	int r = do_job(ctl, "/api/v1/import",
		       json_pack("{s:s, s:s*, s:s*, s:b}", "from", from,
				 "name", ctl_option(ctl, "name"), "signer",
				 ctl_option(ctl, "signer"), "check",
				 check),
		       &job, &result, error);

	free(from);
	if (!r && !ctl->json && !result)
		ctl_print("%s is being %s", ctl->arguments[0],
			  check ? "checked" : "imported");
	else if (!r && !ctl->json)
		(check ? print_check : print_import)(result);
	json_decref(job);
	return r;
}
