/* Vaults as the API shows them. */
#include "daemon/vault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/accelerator.h"
#include "daemon/attach.h"
#include "daemon/catalogue.h"
#include "daemon/control.h"
#include "daemon/domain.h"
#include "daemon/firmware.h"
#include "daemon/folder.h"
#include "daemon/machine.h"
#include "daemon/lease.h"
#include "daemon/network.h"
#include "daemon/seal.h"
#include "daemon/snapshot.h"
#include "daemon/units.h"
#include "daemon/upkeep.h"

#define DEFINITION_MAX (1 << 20)

json_t *vault_policy_json(const struct policy *policy)
{
	json_t *json = json_object();

	for (unsigned i = 0; i < policy_count(); i++) {
		const char *key;
		char value[64];

		policy_get(policy, i, &key, value, sizeof(value));
		json_object_set_new(json, key, json_string(value));
	}
	return json;
}

static const char *state_name(struct control *control,
			      const struct vault *vault)
{
	switch (vault_state(control, vault)) {
	case HYPERVISOR_RUNNING:
	case HYPERVISOR_PAUSED:
		return "running";
	case HYPERVISOR_STARTING:
		return "starting";
	default:
		if (vaults_is_starting(control->vaults, vault->uuid))
			return "starting";
		return vault->crashed ? "crashed" : "stopped";
	}
}

static int take_int(void *data, const struct catalogue_row *row)
{
	*(int64_t *)data = catalogue_row_int(row, 0);
	return 1;
}

static int64_t live_sessions(struct control *control, const char *uuid)
{
	int64_t count = 0;

	catalogue_read(control->catalogue,
		       "SELECT count(*) FROM session "
		       "WHERE vault = ? AND state = 'live'",
		       CATALOGUE_VALUES(catalogue_text(uuid)), take_int, &count,
		       NULL);
	return count;
}

/* All disks, and the first by itself as well. */
static void add_disks(struct control *control, const struct vault *vault,
		      json_t *json)
{
	json_t *disks, *first, *noted = json_object_get(vault->spec, "disk");

	snapshot_disks(control, vault, &disks, NULL);
	first = json_deep_copy(json_array_get(disks, 0));
	if (first && noted)
		json_object_update_missing(first, noted);
	json_object_set_new(json, "disk", first ? first : json_null());
	json_object_set_new(json, "disks", disks);
}

/* Whose firmware it starts with: its own, or whatever the host has then. */
static void add_firmware(struct control *control, const struct vault *vault,
			 json_t *json)
{
	char path[PATH_MAX], version[64];
	const char *kind =
		json_string_value(json_object_get(vault->spec, "firmware"));
	bool own;

	version[0] = '\0';
	vault_path(control, vault->uuid, "fw", path);
	own = firmware_is_there(path);
	json_object_set_new(json, "firmware_of",
			    json_string(own ? "vault" : "host"));
	if (own && !(kind && strcmp(kind, "uefi") == 0))
		firmware_version(path, version, sizeof(version));
	if (version[0])
		json_object_set_new(json, "firmware_version",
				    json_string(version));
}

static void add_hardware(struct control *control, const struct vault *vault,
			 json_t *json)
{
	struct domain_facts facts;
	char path[PATH_MAX], *xml;

	vault_path(control, vault->uuid, "domain.xml", path);
	if (folder_read(path, DEFINITION_MAX, &xml, NULL))
		return;
	if (!domain_read(xml, &facts, NULL)) {
		json_object_update_new(
			json,
			json_pack("{s:I, s:i, s:i, s:s, s:s, s:s, s:b, "
				  "s:b}",
				  "memory", (json_int_t)facts.memory, "cpus",
				  (int)facts.cpus, "heads", (int)facts.heads,
				  "cpu", facts.cpu_model, "machine",
				  facts.machine, "mac", facts.mac, "tpm",
				  facts.tpm, "secure_boot", facts.secure_boot));
		add_disks(control, vault, json);
	}
	free(xml);
}

/* With which it runs, or would be started. */
static json_t *accelerator_of(struct control *control,
			      const struct vault *vault)
{
	char why[ACCELERATOR_WHY_SIZE];
	bool kvm;

	if (vault->started_at && vault->accelerator[0])
		return json_pack("{s:s, s:s}", "kind", vault->accelerator,
				 "why", vault->accelerator_why);
	kvm = machine_is_kvm(control, vault, why);
	return json_pack("{s:s, s:s}", "kind", kvm ? "kvm" : "tcg", "why", why);
}

json_t *vault_json(struct control *control, const struct vault *vault)
{
	json_t *json =
		json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:I, s:o}",
			  "name", vault->name, "uuid", vault->uuid, "state",
			  state_name(control, vault), "created_at",
			  units_time_json(vault->created_at), "started_at",
			  units_time_json(vault->started_at), "accelerator",
			  accelerator_of(control, vault), "identity",
			  seal_json(control, vault), "policy",
			  vault_policy_json(&vault->policy), "sessions_live",
			  (json_int_t)live_sessions(control, vault->uuid),
			  "network", network_json(control, vault->uuid));

	json_object_set_new(
		json, "kind",
		json_string(attach_is(vault) ? "attached" : "kept"));
	if (!attach_is(vault))
		json_object_set_new(json, "verification",
				    upkeep_json(control, vault));
	json_object_set_new(json, "lease", lease_json(control, vault));
	json_object_set_new(json, "emulator", machine_json(control, vault));
	if (vault->why[0])
		json_object_set_new(json, "why", json_string(vault->why));
	add_hardware(control, vault, json);
	add_firmware(control, vault, json);
	if (vault->spec)
		json_object_update_missing(json, vault->spec);
	return json;
}
