/* mediavmctl vault network */
#include "daemon/ctl.h"

#include <string.h>

void ctl_network_print(const json_t *network)
{
	char text[CTL_TEXT_SIZE];

	if (strcmp(ctl_text(network, "state"), "on") == 0)
		ctl_print("%-12s on until %s", "network",
			  ctl_time(ctl_text(network, "until"), text));
	else
		ctl_print("%-12s off: a link, and nothing behind it",
			  "network");
}

int ctl_vault_network(struct ctl *ctl, struct error *error)
{
	const char *state = ctl->count > 1 ? ctl->arguments[1] : NULL;
	const char *duration = ctl_option(ctl, "for");
	json_t *body, *network;
	int result;

	if (state && strcmp(state, "on") && strcmp(state, "off"))
		return ctl_usage(error, "\"%s\" is neither on nor off", state);
	if (state && strcmp(state, "on") == 0 && !duration)
		return ctl_usage(error, "say for how long, as in --for 30m");
	if (duration && (!state || strcmp(state, "off") == 0))
		return ctl_usage(error, "--for belongs to \"on\"");
	if (!state) {
		result = ctl_vault_call(ctl, "GET", "/network", NULL, &network,
					error);
	} else {
		body = json_pack("{s:s, s:s*}", "state", state, "for",
				 duration);
		result = ctl_vault_call(ctl, "POST", "/network", body, &network,
					error);
	}
	if (result)
		return result;
	if (ctl->json)
		ctl_print_json(network);
	else
		ctl_network_print(network);
	json_decref(network);
	return 0;
}
