/* mediavmctl vault bundle, and by which QEMU a vault runs. */
#include "daemon/ctl.h"

#include <stdlib.h>
#include <string.h>

static void print_own(const json_t *own)
{
	char size[CTL_TEXT_SIZE], made[CTL_TEXT_SIZE];

	if (json_is_true(json_object_get(own, "damaged")))
		ctl_print("%-12s damaged: its manifest is missing or not one",
			  "own qemu");
	else if (json_is_object(own))
		ctl_print("%-12s %s, %s, made %s%s", "own qemu",
			  ctl_text(own, "qemu"),
			  ctl_size(ctl_number(own, "bytes"), size),
			  ctl_time(ctl_text(own, "made_at"), made),
			  json_is_true(json_object_get(own, "trusted"))
				  ? ""
				  : "; not trusted (vault bundle --trust)");
}

void ctl_machine_print(const json_t *emulator)
{
	const char *of = ctl_text(emulator, "of");

	if (!of[0])
		return;
	ctl_print("%-12s %s: %s", "qemu",
		  strcmp(of, "vault") == 0  ? "the vault's own"
		  : strcmp(of, "host") == 0 ? "the host's"
					    : "none",
		  ctl_text(emulator, "why"));
	print_own(json_object_get(emulator, "own"));
}

static int ask(struct ctl *ctl, json_t **vault, struct error *error)
{
	char question[200];

	if (!ctl_option(ctl, "remove"))
		return ctl_vault_call(
			ctl, "POST", "/machine",
			json_pack("{s:b}", "trust",
				  ctl_option(ctl, "trust") != NULL),
			vault, error);
	snprintf(question, sizeof(question),
		 "Take the QEMU of vault %s away, for good?",
		 ctl->arguments[0]);
	if (!ctl_confirm(ctl, question))
		return error_set(error, ECANCELED, "nothing was removed");
	return ctl_vault_call(ctl, "DELETE", "/machine", NULL, vault, error);
}

int ctl_vault_bundle(struct ctl *ctl, struct error *error)
{
	bool removes = ctl_option(ctl, "remove");
	bool trusts = ctl_option(ctl, "trust");
	const json_t *own;
	json_t *vault;
	int result;

	if (removes && trusts)
		return ctl_usage(error, "give --remove or --trust, not both");
	result = ask(ctl, &vault, error);
	if (result)
		return result;
	own = json_object_get(json_object_get(vault, "emulator"), "own");
	if (ctl->json)
		ctl_print_json(vault);
	else if (removes)
		ctl_print("vault %s has no QEMU of its own any more",
			  ctl->arguments[0]);
	else
		ctl_print("vault %s %s QEMU %s of its own", ctl->arguments[0],
			  trusts ? "may run by the" : "has a",
			  ctl_text(own, "qemu"));
	json_decref(vault);
	return 0;
}
