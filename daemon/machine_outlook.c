/* Until when the host's QEMU will do for a vault; see machine.h. */
#include "daemon/machine.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/control.h"
#include "daemon/machine_age.h"
#include "daemon/machine_qemu.h"
#include "daemon/vault.h"

static const char take_along[] =
	"put the QEMU that it runs by into the vault while there is one: "
	"mediavmctl vault bundle NAME";

/* "2028-12" of a time so many months from now. */
static void month_from_now(int months, char text[8])
{
	time_t now = time(NULL);
	struct tm tm;
	int month;

	gmtime_r(&now, &tm);
	month = (tm.tm_year + 1900) * 12 + tm.tm_mon + months;
	snprintf(text, 8, "%04u-%02u", (unsigned)(month / 12) % 10000,
		 (unsigned)(month % 12 + 1) % 100);
}

static void say_gone(struct machine_outlook *outlook, const char *why, bool own)
{
	outlook->state = own ? MACHINE_AGEING : MACHINE_GONE;
	snprintf(outlook->text, sizeof(outlook->text), "%.200s: it %s", why,
		 own ? "runs by the QEMU of its own" : "can't be started here");
	outlook->advice = own ? NULL
			      : "use a QEMU that still has the machine type "
				"([libvirt] emulator), or a backup of the "
				"vault with a QEMU of its own";
}

static void say_age(struct machine_outlook *outlook, const char *version,
		    bool deprecated, bool own)
{
	struct machine_age age;
	char soon[8];

	if (!machine_age(outlook->machine, &age)) {
		snprintf(outlook->text, sizeof(outlook->text),
			 "%s: QEMU %s has it%s; for how long is its "
			 "distributor's decision",
			 outlook->machine, version,
			 deprecated ? " and calls it deprecated" : "");
		outlook->state = deprecated ? MACHINE_AGEING : MACHINE_GOOD;
		return;
	}
	month_from_now(12, soon);
	strcpy(outlook->until, age.removed);
	if (strcmp(age.removed, soon) <= 0)
		outlook->state = MACHINE_AGEING;
	snprintf(outlook->text, sizeof(outlook->text),
		 "%s (released %s): QEMU %s has it%s; deprecated from %s on, "
		 "and gone with QEMU %u.%u, due %s%s",
		 outlook->machine, age.released, version,
		 deprecated ? " and calls it deprecated" : "", age.deprecated,
		 age.removed_major, age.minor, age.removed,
		 own ? "; then it runs by the QEMU of its own" : "");
}

int machine_outlook(struct control *control, const struct vault *vault,
		    struct machine_outlook *outlook, struct error *error)
{
	char path[PATH_MAX], why[160];
	struct error reason = {0};
	const json_t *found;
	const char *version;
	json_t *facts;
	bool own;
	int r;

	memset(outlook, 0, sizeof(*outlook));
	r = machine_type(control, vault, outlook->machine,
			 sizeof(outlook->machine), error);
	if (r)
		return r;
	vault_path(control, vault->uuid, "machine/manifest.json", path);
	own = access(path, F_OK) == 0;
	if (machine_host_facts(control, &facts, &reason)) {
		say_gone(outlook, reason.text, own);
		return 0;
	}
	version = json_string_value(json_object_get(facts, "version"));
	found = machine_qemu_has(facts, outlook->machine);
	if (found) {
		say_age(outlook, version,
			json_is_true(json_object_get(found, "deprecated")),
			own);
		if (outlook->state == MACHINE_AGEING && !own)
			outlook->advice = take_along;
	} else {
		snprintf(why, sizeof(why), "%s: QEMU %s does not have it",
			 outlook->machine, version);
		say_gone(outlook, why, own);
	}
	json_decref(facts);
	return 0;
}
