/* mediavmctl vault identity, seal, verify */
#include "daemon/ctl.h"

#include <stdio.h>
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

/* "sealed  smbios.1.serial: "A" -> "B"" */
static void print_diff(const json_t *diff, const char *class)
{
	json_t *field;
	size_t i;

	json_array_foreach(diff, i, field)
	{
		const json_t *old = json_object_get(field, "old");
		const json_t *new = json_object_get(field, "new");

		if (class && strcmp(ctl_text(field, "class"), class) != 0)
			continue;
		ctl_print("%-6s  %s = %s, was %s", ctl_text(field, "class"),
			  ctl_text(field, "name"),
			  json_is_null(new) ? "(absent)"
					    : json_string_value(new),
			  json_is_null(old) ? "(absent)"
					    : json_string_value(old));
	}
}

void ctl_identity_print(const json_t *identity)
{
	const json_t *drift = json_object_get(identity, "drift");
	char text[CTL_TEXT_SIZE];

	if (!json_is_true(json_object_get(identity, "sealed"))) {
		ctl_print("%-12s not sealed", "identity");
		return;
	}
	ctl_print("%-12s %s", "identity", ctl_text(identity, "digest"));
	ctl_print("%-12s sealed %s", "",
		  ctl_time(ctl_text(identity, "sealed_at"), text));
	ctl_print("%-12s %s %s", "",
		  json_array_size(drift) ? "differed at" : "as sealed at",
		  ctl_time(ctl_text(identity, "checked_at"), text));
	print_diff(drift, NULL);
}

static int show_diff(const struct ctl *ctl, const json_t *answer,
		     const char *class, struct error *error)
{
	const json_t *diff = json_object_get(answer, "diff");

	if (!json_is_array(diff))
		return error_set(error, EINVAL,
				 "vault %s is not sealed, or its seal is "
				 "damaged: there is nothing to compare with",
				 ctl->arguments[0]);
	print_diff(diff, class);
	return 0;
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
	if (ctl_option(ctl, "raw") &&
	    (class || ctl->json || ctl_option(ctl, "diff")))
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
	else if (ctl_option(ctl, "diff"))
		result = show_diff(ctl, answer, class, error);
	else
		print_fields(answer);
	json_decref(answer);
	return result;
}

/* Begins a job on the vault, and waits for it unless told otherwise. */
static int begin(struct ctl *ctl, const char *verb, json_t *body, json_t **job,
		 struct error *error)
{
	char *path = ctl_path("/api/v1/vaults/%s", ctl->arguments[0]);
	char *whole = NULL;
	int result;

	*job = NULL;
	if (!path || asprintf(&whole, "%s/%s", path, verb) < 0)
		whole = NULL;
	free(path);
	if (!whole) {
		json_decref(body);
		return error_set(error, ENOMEM, "no memory");
	}
	result = ctl_call(ctl, "POST", whole, body, job, error);
	free(whole);
	if (!result && !ctl_option(ctl, "no-wait"))
		result = ctl_wait_for_job(ctl, job, error);
	return result;
}

static void print_seal(const struct ctl *ctl, const json_t *job)
{
	const json_t *result = json_object_get(job, "result");
	size_t changed = json_array_size(json_object_get(result, "changed"));

	if (ctl_option(ctl, "no-wait")) {
		ctl_print("vault %s is being sealed", ctl->arguments[0]);
		return;
	}
	ctl_print("vault %s is sealed: %lld fields, digest %s",
		  ctl->arguments[0], (long long)ctl_number(result, "fields"),
		  ctl_text(result, "digest"));
	if (ctl_text(result, "snapshot")[0])
		ctl_print("its state is the snapshot %s",
			  ctl_text(result, "snapshot"));
	if (changed) {
		ctl_print("other than by its former seal, now epoch %lld:",
			  (long long)ctl_number(result, "epoch"));
		print_diff(json_object_get(result, "changed"), NULL);
	}
}

int ctl_vault_seal(struct ctl *ctl, struct error *error)
{
	bool again = ctl_option(ctl, "again") != NULL;
	char question[240];
	json_t *job;
	int result;

	snprintf(question, sizeof(question),
		 "Give vault %s another seal? Programs that are bound to what "
		 "has changed since may stop.",
		 ctl->arguments[0]);
	if (again && !ctl_confirm(ctl, question))
		return error_set(error, ECANCELED, "nothing was changed");
	result = begin(ctl, "seal", json_pack("{s:b}", "again", again), &job,
		       error);
	if (!result && ctl->json)
		ctl_print_json(job);
	else if (!result)
		print_seal(ctl, job);
	json_decref(job);
	return result;
}

static void print_verify(const struct ctl *ctl, const json_t *job)
{
	const json_t *result = json_object_get(job, "result");
	const json_t *identity = json_object_get(result, "identity");
	const json_t *noted = json_object_get(
		ctl_option(ctl, "deep") ? identity : result, "noted");

	if (ctl_option(ctl, "no-wait"))
		ctl_print("vault %s is being verified", ctl->arguments[0]);
	else if (!ctl_option(ctl, "deep"))
		ctl_print("vault %s: its identity is as it was sealed",
			  ctl->arguments[0]);
	else
		ctl_print("vault %s: every snapshot is as it was%s",
			  ctl->arguments[0],
			  identity ? ", and its identity" : "");
	print_diff(noted, "notice");
}

int ctl_vault_verify(struct ctl *ctl, struct error *error)
{
	json_t *job;
	int result = begin(
		ctl, "verify",
		json_pack("{s:b}", "deep", ctl_option(ctl, "deep") != NULL),
		&job, error);

	if (!result && ctl->json)
		ctl_print_json(job);
	else if (!result)
		print_verify(ctl, job);
	json_decref(job);
	return result;
}
