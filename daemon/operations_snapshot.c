/* Operations on a vault's snapshots. */
#include "daemon/operations.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/attach.h"
#include "daemon/control.h"
#include "daemon/event.h"
#include "daemon/job.h"
#include "daemon/operations_query.h"
#include "daemon/snapshot.h"
#include "daemon/vault.h"

/* Gives it back; tells of what was done. */
static int end(struct control *control, const struct operation_call *call,
	       struct vault *vault, const char *type, const char *snapshot,
	       int r, struct error *error)
{
	vaults_unlock(control->vaults, vault->uuid);
	if (r)
		error_prefix(error, "vault %s", vault->name);
	else
		events_post(control->events, type, vault->name,
			    json_pack("{s:s, s:s, s:s}", "vault", vault->name,
				      "snapshot", snapshot, "who", call->who));
	vault_release(vault);
	return r;
}

static json_t *pick(json_t *list, const char *name)
{
	json_t *found = NULL, *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		const char *other =
			json_string_value(json_object_get(one, "name"));

		if (other && !strcmp(other, name))
			found = json_incref(one);
	}
	json_decref(list);
	return found ? found : json_object();
}

int operation_snapshot_list(struct control *control,
			    const struct operation_call *call,
			    struct operation_answer *answer,
			    struct error *error)
{
	struct vault vault;
	int r = vault_find(control, call->path[0], &vault, error);

	if (r)
		return r;
	r = attach_refuse(&vault, error);
	if (!r)
		r = snapshot_list(control, &vault, &answer->json, error);
	vault_release(&vault);
	return r;
}

int operation_snapshot_create(struct control *control,
			      const struct operation_call *call,
			      struct operation_answer *answer,
			      struct error *error)
{
	char made[SNAPSHOT_NAME_SIZE];
	const char *name = NULL;
	const struct body_member members[] = {{"name", BODY_TEXT, &name}};
	json_t *list = NULL;
	struct vault vault;
	time_t now = time(NULL);
	struct tm tm;
	int r = BODY_READ(call, members, error);

	if (r)
		return r;
	strftime(made, sizeof(made), "%Y%m%d-%H%M%S", gmtime_r(&now, &tm));
	if (!name)
		name = made;
	r = query_vault(control, call, &vault, error);
	if (r)
		return r;
	r = snapshot_create(control, &vault, name, error);
	if (!r)
		r = snapshot_list(control, &vault, &list, error);
	if (!r)
		answer->json = pick(list, name);
	return end(control, call, &vault, "snapshot.created", name, r, error);
}

int operation_snapshot_delete(struct control *control,
			      const struct operation_call *call,
			      struct operation_answer *answer,
			      struct error *error)
{
	bool force = call->query(call, "force_sealed") != NULL;
	struct vault vault;
	int r = query_vault(control, call, &vault, error);

	if (r)
		return r;
	r = snapshot_delete(control, &vault, call->path[1], force, error);
	answer->json = json_object();
	return end(control, call, &vault, "snapshot.deleted", call->path[1], r,
		   error);
}

int operation_snapshot_revert(struct control *control,
			      const struct operation_call *call,
			      struct operation_answer *answer,
			      struct error *error)
{
	char kept[SNAPSHOT_NAME_SIZE];
	bool discard = false;
	const struct body_member members[] = {{"discard", BODY_BOOL, &discard}};
	struct vault vault;
	int r = BODY_READ(call, members, error);

	if (!r)
		r = query_vault(control, call, &vault, error);
	if (r)
		return r;
	r = snapshot_revert(control, &vault, call->path[1], discard, kept,
			    error);
	if (!r)
		answer->json =
			json_pack("{s:s, s:o}", "name", call->path[1], "kept",
				  kept[0] ? json_string(kept) : json_null());
	return end(control, call, &vault, "snapshot.reverted", call->path[1], r,
		   error);
}
