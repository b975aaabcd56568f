/* Operations on activation windows. */
#include "daemon/operations.h"

#include <string.h>

#include "daemon/control.h"
#include "daemon/network.h"
#include "daemon/operations_query.h"
#include "daemon/units.h"
#include "daemon/vault.h"

int operation_network_show(struct control *control,
			   const struct operation_call *call,
			   struct operation_answer *answer, struct error *error)
{
	struct vault vault;
	int r = vault_find(control, call->path[0], &vault, error);

	if (r)
		return r;
	answer->json = network_json(control, vault.uuid);
	vault_release(&vault);
	return 0;
}

int operation_network_change(struct control *control,
			     const struct operation_call *call,
			     struct operation_answer *answer,
			     struct error *error)
{
	const char *state = "", *duration = NULL;
	const struct body_member members[] = {
		{"state", BODY_TEXT, &state},
		{"for", BODY_TEXT, &duration},
	};
	bool on;
	uint64_t ms = 0;
	int r = BODY_READ(call, members, error);

	if (r)
		return r;
	on = strcmp(state, "on") == 0;
	if (!on && strcmp(state, "off"))
		return error_set(error, -EINVAL,
				 "state is \"%s\"; it may be on or off", state);
	if (on == !duration)
		return error_set(error, -EINVAL,
				 on ? "a window needs a time: give \"for\", "
				      "as in 30m; at most 24h"
				    : "\"for\" belongs to \"on\"");
	if (on && units_duration_ms(duration, &ms, error)) {
		error_prefix(error, "for");
		return -EINVAL;
	}
	r = on ? network_open(control, call->path[0], ms, call->who, error)
	       : network_close(control, call->path[0], call->who, error);
	return r ? r : operation_network_show(control, call, answer, error);
}
