/* mediavmctl vault restore, and what a vault's lease looks like. */
#include "daemon/ctl.h"

#include <stdio.h>
#include <string.h>

#define STATEMENT "every other copy of this machine is retired"

int ctl_vault_restore(struct ctl *ctl, struct error *error)
{
	const char *statement = ctl_option(ctl, "statement");
	char question[240];
	json_t *vault;
	int result;

	snprintf(question, sizeof(question),
		 "Do you state that every other copy of vault %s is retired "
		 "and will not be started again?",
		 ctl->arguments[0]);
	if (!ctl_confirm(ctl, question))
		return error_set(error, ECANCELED, "nothing was changed");
	result = ctl_vault_call(ctl, "POST", "/restore",
				json_pack("{s:s}", "statement",
					  statement ? statement : STATEMENT),
				&vault, error);
	if (result)
		return result;
	if (ctl->json)
		ctl_print_json(vault);
	else
		ctl_print("vault %s has the lease of its machine, run %lld; "
			  "other copies are refused where this is known",
			  ctl->arguments[0],
			  (long long)ctl_number(json_object_get(vault, "lease"),
						"epoch"));
	json_decref(vault);
	return 0;
}

void ctl_lease_print(const json_t *lease)
{
	const char *why = ctl_text(lease, "why");

	if (strcmp(ctl_text(lease, "state"), "here") == 0)
		ctl_print("%-12s here, run %lld", "lease",
			  (long long)ctl_number(lease, "epoch"));
	else
		ctl_print("%-12s %s: %s", "lease", ctl_text(lease, "state"),
			  why);
}
