/* Operations on a vault's lease. */
#include "daemon/operations.h"

#include "daemon/attach.h"
#include "daemon/control.h"
#include "daemon/lease.h"
#include "daemon/operations_query.h"
#include "daemon/vault.h"

int operation_vault_restore(struct control *control,
			    const struct operation_call *call,
			    struct operation_answer *answer,
			    struct error *error)
{
	const char *statement = NULL;
	const struct body_member members[] = {
		{"statement", BODY_TEXT, &statement}};
	struct vault vault;
	int r = BODY_READ(call, members, error);

	if (!r)
		r = vault_find(control, call->path[0], &vault, error);
	if (r)
		return r;
	r = attach_refuse(&vault, error);
	if (!r)
		r = vaults_lock(control->vaults, vault.uuid, false, error);
	if (!r) {
		r = lease_restore(control, &vault, statement, call->who, error);
		vaults_unlock(control->vaults, vault.uuid);
	}
	if (r)
		error_prefix(error, "vault %s", vault.name);
	else
		answer->json = vault_json(control, &vault);
	vault_release(&vault);
	return r;
}
