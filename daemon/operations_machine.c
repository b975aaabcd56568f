/* Operations on a QEMU that a vault carries. */
#include "daemon/operations.h"

#include "daemon/control.h"
#include "daemon/event.h"
#include "daemon/machine.h"
#include "daemon/operations_query.h"
#include "daemon/vault.h"

static int check_stopped(struct control *control, const struct vault *vault,
			 struct error *error)
{
	enum hypervisor_state state = vault_state(control, vault);

	if (state == HYPERVISOR_STOPPED || state == HYPERVISOR_CRASHED)
		return 0;
	return error_set(error, -EBUSY, "it runs; stop it first");
}

static int end(struct control *control, const struct operation_call *call,
	       struct vault *vault, const char *type,
	       struct operation_answer *answer, int r, struct error *error)
{
	json_t *emulator, *own;

	vaults_unlock(control->vaults, vault->uuid);
	if (r) {
		error_prefix(error, "vault %s", vault->name);
	} else {
		emulator = machine_json(control, vault);
		own = json_object_get(emulator, "own");
		events_post(control->events, type, vault->name,
			    json_pack("{s:s, s:O?, s:O?, s:s}", "vault",
				      vault->name, "qemu",
				      json_object_get(own, "qemu"), "digest",
				      json_object_get(own, "digest"), "who",
				      call->who));
		json_decref(emulator);
		answer->json = vault_json(control, vault);
	}
	vault_release(vault);
	return r;
}

int operation_machine_add(struct control *control,
			  const struct operation_call *call,
			  struct operation_answer *answer, struct error *error)
{
	bool trust = false;
	const struct body_member members[] = {{"trust", BODY_BOOL, &trust}};
	struct vault vault;
	int r = BODY_READ(call, members, error);

	if (!r)
		r = query_vault(control, call, &vault, error);
	if (r)
		return r;
	r = trust ? machine_trust(control, &vault, call->who, error)
		  : machine_add(control, &vault, call->who, error);
	return end(control, call, &vault,
		   trust ? "machine.trusted" : "machine.added", answer, r,
		   error);
}

int operation_machine_remove(struct control *control,
			     const struct operation_call *call,
			     struct operation_answer *answer,
			     struct error *error)
{
	struct vault vault;
	int r = query_vault(control, call, &vault, error);

	if (r)
		return r;
	r = check_stopped(control, &vault, error);
	if (!r)
		r = machine_remove(control, &vault, error);
	return end(control, call, &vault, "machine.removed", answer, r, error);
}
