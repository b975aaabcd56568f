/* Operations that carry a vault away, and bring one in. */
#include "daemon/operations.h"

#include "daemon/control.h"
#include "daemon/operations_query.h"
#include "daemon/vault_move.h"

int operation_vault_export(struct control *control,
			   const struct operation_call *call,
			   struct operation_answer *answer, struct error *error)
{
	struct vault_export order = {.vault = call->path[0], .who = call->who};
	const struct body_member members[] = {
		{"to", BODY_TEXT, &order.to},
		{"move", BODY_BOOL, &order.move},
		{"target", BODY_TEXT, &order.target},
	};
	char id[JOB_ID_SIZE];
	int r = BODY_READ(call, members, error);

	if (!r && !order.to)
		r = error_set(error, -EINVAL,
			      "say where to: a path or a URL (to)");
	if (!r && order.target && !order.move)
		r = error_set(error, -EINVAL, "a target goes with a move");
	if (!r)
		r = job_export(control->jobs, &order, id, error);
	return r ? r : job_show(control->jobs, id, &answer->json, error);
}

int operation_vault_import(struct control *control,
			   const struct operation_call *call,
			   struct operation_answer *answer, struct error *error)
{
	struct vault_import order = {.who = call->who};
	const struct body_member members[] = {
		{"from", BODY_TEXT, &order.from},
		{"name", BODY_TEXT, &order.name},
		{"signer", BODY_TEXT, &order.signer},
		{"check", BODY_BOOL, &order.check},
	};
	char id[JOB_ID_SIZE];
	int r = BODY_READ(call, members, error);

	if (!r && !order.from)
		r = error_set(error, -EINVAL,
			      "say where from: a path or a URL (from)");
	if (!r)
		r = job_import(control->jobs, &order, id, error);
	return r ? r : job_show(control->jobs, id, &answer->json, error);
}
