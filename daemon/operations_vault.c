/* Operations on vaults. */
#include "daemon/operations.h"

#include <string.h>

#include "daemon/attach.h"
#include "daemon/control.h"
#include "daemon/job.h"
#include "daemon/operations_query.h"
#include "daemon/vault.h"

int operation_vault_list(struct control *control,
			 const struct operation_call *call,
			 struct operation_answer *answer, struct error *error)
{
	(void)call;
	return vault_list(control, &answer->json, error);
}

static int show(struct control *control, const char *name,
		struct operation_answer *answer, struct error *error)
{
	struct vault vault;
	int r = vault_find(control, name, &vault, error);

	if (r)
		return r;
	answer->json = vault_json(control, &vault);
	vault_release(&vault);
	return 0;
}

int operation_vault_show(struct control *control,
			 const struct operation_call *call,
			 struct operation_answer *answer, struct error *error)
{
	return show(control, call->path[0], answer, error);
}

int operation_vault_create(struct control *control,
			   const struct operation_call *call,
			   struct operation_answer *answer, struct error *error)
{
	struct vault_spec spec = {.who = call->who};
	const struct body_member members[] = {
		{"name", BODY_TEXT, &spec.name},
		{"memory", BODY_SIZE, &spec.memory},
		{"cpus", BODY_COUNT, &spec.cpus},
		{"disk", BODY_TEXT, &spec.disk},
		{"disk_size", BODY_SIZE, &spec.disk_size},
		{"iso", BODY_TEXT, &spec.iso},
		{"iso_sha256", BODY_TEXT, &spec.iso_sha256},
		{"firmware", BODY_TEXT, &spec.firmware},
		{"tpm", BODY_BOOL, &spec.tpm},
		{"secure_boot", BODY_BOOL, &spec.secure_boot},
		{"cpu", BODY_TEXT, &spec.cpu},
		{"heads", BODY_COUNT, &spec.heads},
		{"os", BODY_TEXT, &spec.os},
		{"kernel", BODY_TEXT, &spec.kernel},
		{"initrd", BODY_TEXT, &spec.initrd},
		{"cmdline", BODY_TEXT, &spec.cmdline},
	};
	char job[JOB_ID_SIZE];
	int r = BODY_READ(call, members, error);

	if (!r && !spec.name)
		r = error_set(error, -EINVAL, "a new vault needs a name");
	if (!r)
		r = vault_create(control, &spec, job, error);
	if (!r && job[0])
		return job_show(control->jobs, job, &answer->json, error);
	return r ? r : show(control, spec.name, answer, error);
}

int operation_vault_adopt(struct control *control,
			  const struct operation_call *call,
			  struct operation_answer *answer, struct error *error)
{
	struct vault_adoption adoption = {.who = call->who};
	const struct body_member members[] = {
		{"name", BODY_TEXT, &adoption.name},
		{"xml", BODY_TEXT, &adoption.xml},
		{"domain", BODY_TEXT, &adoption.domain},
		{"uri", BODY_TEXT, &adoption.uri},
		{"tpm_state", BODY_TEXT, &adoption.tpm_state},
		{"in_place", BODY_BOOL, &adoption.in_place},
	};
	json_t *report;
	int r = BODY_READ(call, members, error);

	if (!r)
		r = vault_adopt(control, &adoption, &report, error);
	if (r)
		return r;
	r = show(control, json_string_value(json_object_get(report, "name")),
		 answer, error);
	if (!r)
		json_object_set(answer->json, "adoption", report);
	json_decref(report);
	return r;
}

int operation_vault_attach(struct control *control,
			   const struct operation_call *call,
			   struct operation_answer *answer, struct error *error)
{
	struct attach_spec spec = {.who = call->who};
	const struct body_member members[] = {
		{"name", BODY_TEXT, &spec.name},
		{"spice", BODY_TEXT, &spec.spice},
		{"password", BODY_TEXT, &spec.password},
		{"ca", BODY_TEXT, &spec.ca},
	};
	int r = BODY_READ(call, members, error);

	if (!r && (!spec.name || !spec.spice))
		r = error_set(error, -EINVAL,
			      "an attached vault needs a name and spice, its "
			      "endpoint");
	if (!r)
		r = attach_create(control, &spec, error);
	return r ? r : show(control, spec.name, answer, error);
}

int operation_vault_delete(struct control *control,
			   const struct operation_call *call,
			   struct operation_answer *answer, struct error *error)
{
	answer->json = json_object();
	return vault_delete(control, call->path[0], call->who, error);
}

int operation_vault_start(struct control *control,
			  const struct operation_call *call,
			  struct operation_answer *answer, struct error *error)
{
	bool force = false;
	const struct body_member members[] = {
		{"force_lease", BODY_BOOL, &force}};
	int r = BODY_READ(call, members, error);

	if (!r)
		r = vault_start(control, call->path[0], force, call->who,
				error);
	return r ? r : show(control, call->path[0], answer, error);
}

int operation_vault_stop(struct control *control,
			 const struct operation_call *call,
			 struct operation_answer *answer, struct error *error)
{
	bool force = false;
	const struct body_member members[] = {{"force", BODY_BOOL, &force}};
	int r = BODY_READ(call, members, error);

	if (!r)
		r = vault_stop(control, call->path[0], force, error);
	return r ? r : show(control, call->path[0], answer, error);
}

int operation_policy_show(struct control *control,
			  const struct operation_call *call,
			  struct operation_answer *answer, struct error *error)
{
	struct vault vault;
	int r = vault_find(control, call->path[0], &vault, error);

	if (r)
		return r;
	answer->json = vault_policy_json(&vault.policy);
	vault_release(&vault);
	return 0;
}

int operation_policy_change(struct control *control,
			    const struct operation_call *call,
			    struct operation_answer *answer,
			    struct error *error)
{
	struct vault vault;
	const char *key;
	json_t *value;
	int r = vault_find(control, call->path[0], &vault, error);

	if (r)
		return r;
	json_object_foreach((json_t *)call->body, key, value)
	{
		if (json_is_string(value))
			r = policy_set(&vault.policy, key,
				       json_string_value(value), error);
		else
			r = error_set(error, -EINVAL, "%s must be text", key);
		if (r)
			break;
	}
	if (!r)
		r = vault_set_policy(control, &vault, &vault.policy, error);
	if (!r)
		answer->json = vault_policy_json(&vault.policy);
	vault_release(&vault);
	return r;
}
