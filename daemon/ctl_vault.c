/* mediavmctl vault … */
#include "daemon/ctl.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/units.h"

/* --- create ----------------------------------------------------------- */

static int put_size(struct ctl *ctl, json_t *body, const char *option,
		    const char *member, struct error *error)
{
	const char *text = ctl_option(ctl, option);
	uint64_t bytes;

	if (!text)
		return 0;
	if (units_size(text, &bytes, error) < 0 || bytes > INT64_MAX) {
		error_prefix(error, "--%s", option);
		return CTL_USAGE;
	}
	json_object_set_new(body, member, json_integer((json_int_t)bytes));
	return 0;
}

static int put_number(struct ctl *ctl, json_t *body, const char *option,
		      struct error *error)
{
	const char *text = ctl_option(ctl, option);
	char *end;
	long value;

	if (!text)
		return 0;
	value = strtol(text, &end, 10);
	if (!*text || *end)
		return ctl_usage(error, "--%s wants a number, not \"%s\"",
				 option, text);
	json_object_set_new(body, option, json_integer(value));
	return 0;
}

static int put_path(struct ctl *ctl, json_t *body, const char *option,
		    struct error *error)
{
	const char *text = ctl_option(ctl, option);
	char *path;

	if (!text)
		return 0;
	if (strstr(text, "://") && strcmp(option, "iso") != 0)
		return ctl_usage(error,
				 "--%s takes files only; download it "
				 "first",
				 option);
	path = strstr(text, "://") ? strdup(text) : ctl_absolute(text);
	if (!path)
		return error_set(error, ENOMEM, "no memory");
	json_object_set_new(body, option, json_string(path));
	free(path);
	return 0;
}

static int put_spec(struct ctl *ctl, json_t *body, struct error *error)
{
	static const char *const texts[] = {"firmware", "cpu", "os", "cmdline"};
	static const char *const paths[] = {"disk", "iso", "kernel", "initrd"};
	int result;
	unsigned i;

	json_object_set_new(body, "name", json_string(ctl->arguments[0]));
	result = put_size(ctl, body, "memory", "memory", error);
	if (!result)
		result = put_size(ctl, body, "disk-size", "disk_size", error);
	if (!result)
		result = put_number(ctl, body, "cpus", error);
	if (!result)
		result = put_number(ctl, body, "heads", error);
	for (i = 0; i < 4 && !result; i++)
		result = put_path(ctl, body, paths[i], error);
	for (i = 0; i < 4; i++)
		if (ctl_option(ctl, texts[i]))
			json_object_set_new(
				body, texts[i],
				json_string(ctl_option(ctl, texts[i])));
	if (ctl_option(ctl, "iso-sha256"))
		json_object_set_new(body, "iso_sha256",
				    json_string(ctl_option(ctl, "iso-sha256")));
	if (ctl_option(ctl, "tpm"))
		json_object_set_new(body, "tpm", json_true());
	if (ctl_option(ctl, "secure-boot"))
		json_object_set_new(body, "secure_boot", json_true());
	return result;
}

/* The answer is a job when a medium has to be fetched first; it is waited for.
 */
static int wait_for_vault(struct ctl *ctl, json_t **answer, struct error *error)
{
	int result = ctl_wait_for_job(ctl, answer, error);

	if (result)
		return result;
	json_decref(*answer);
	*answer = NULL;
	return ctl_vault_call(ctl, "GET", "", NULL, answer, error);
}

int ctl_vault_create(struct ctl *ctl, struct error *error)
{
	bool waits = !ctl_option(ctl, "no-wait");
	json_t *body = json_object(), *vault = NULL;
	int result;

	if (ctl_option(ctl, "disk") && ctl_option(ctl, "disk-size")) {
		json_decref(body);
		return ctl_usage(error, "give --disk or --disk-size, not both");
	}
	result = put_spec(ctl, body, error);
	if (result) {
		json_decref(body);
		return result;
	}
	result = ctl_call(ctl, "POST", "/api/v1/vaults", body, &vault, error);
	if (!result && json_object_get(vault, "progress") && waits)
		result = wait_for_vault(ctl, &vault, error);
	if (!result && ctl->json)
		ctl_print_json(vault);
	else if (!result && json_object_get(vault, "progress"))
		ctl_print("vault %s will be there when its iso is fetched: job "
			  "%s",
			  ctl->arguments[0], ctl_text(vault, "id"));
	else if (!result)
		ctl_print("vault %s is made; start it with mediavmctl vault "
			  "start %s",
			  ctl_text(vault, "name"), ctl_text(vault, "name"));
	json_decref(vault);
	return result;
}

/* --- list and show ---------------------------------------------------- */

static const struct ctl_column list_columns[] = {
	{"NAME", false, true},      {"STATE", false, false},
	{"CPUS", true, false},      {"MEMORY", true, false},
	{"ACCEL", false, false},    {"SEALED", false, false},
	{"VERIFIED", false, false}, {"LIVE", true, false},
};

static const char *sealed_word(const json_t *identity)
{
	if (!json_is_true(json_object_get(identity, "sealed")))
		return "no";
	return json_array_size(json_object_get(identity, "drift")) ? "drifted"
								   : "yes";
}

static void list_row(struct ctl_table *table, const json_t *vault)
{
	const json_t *identity = json_object_get(vault, "identity");
	char text[CTL_TEXT_SIZE];

	ctl_table_add(table, ctl_text(vault, "name"));
	ctl_table_add(table, ctl_text(vault, "state"));
	if (strcmp(ctl_text(vault, "kind"), "attached") == 0) {
		ctl_table_add(table, "-");
		ctl_table_add(table, "-");
		ctl_table_add(table, "-");
	} else {
		snprintf(text, sizeof(text), "%lld",
			 (long long)ctl_number(vault, "cpus"));
		ctl_table_add(table, text);
		ctl_table_add(table,
			      ctl_size(ctl_number(vault, "memory"), text));
		ctl_table_add(table,
			      ctl_text(json_object_get(vault, "accelerator"),
				       "kind"));
	}
	ctl_table_add(table, sealed_word(identity));
	ctl_table_add(table, ctl_text(json_object_get(vault, "verification"),
				      "state"));
	snprintf(text, sizeof(text), "%lld",
		 (long long)ctl_number(vault, "sessions_live"));
	ctl_table_add(table, text);
}

int ctl_vault_list(struct ctl *ctl, struct error *error)
{
	struct ctl_table *table;
	json_t *list, *vault;
	size_t i;
	int result = ctl_call(ctl, "GET", "/api/v1/vaults", NULL, &list, error);

	if (result)
		return result;
	if (ctl->json) {
		ctl_print_json(list);
	} else if (!json_array_size(list)) {
		ctl_print("no vaults; make one with mediavmctl vault create "
			  "NAME");
	} else {
		table = ctl_table_new(list_columns, 8);
		json_array_foreach(list, i, vault)
		{
			list_row(table, vault);
		}
		ctl_table_print(table);
	}
	json_decref(list);
	return 0;
}

static void show_line(const char *key, const char *value)
{
	if (value[0])
		ctl_print("%-12s %s", key, value);
}

void ctl_policy_print(const json_t *policy)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)policy, key, value)
	{
		ctl_print("  %-16s %s", key, json_string_value(value));
	}
}

static void show_firmware(const json_t *vault)
{
	const char *version = ctl_text(vault, "firmware_version");

	const char *secure = json_is_true(json_object_get(vault, "secure_boot"))
				     ? " with Secure Boot"
				     : "";

	if (strcmp(ctl_text(vault, "firmware_of"), "host") == 0)
		ctl_print("%-12s %s%s; the host's, which may change with its "
			  "packages",
			  "firmware", ctl_text(vault, "firmware"), secure);
	else
		ctl_print("%-12s %s%s; the vault's own%s%s", "firmware",
			  ctl_text(vault, "firmware"), secure,
			  version[0] ? ", SeaBIOS " : "", version);
}

static void show_disks(const json_t *disks)
{
	char size[CTL_TEXT_SIZE], used[CTL_TEXT_SIZE], all[CTL_TEXT_SIZE];
	json_t *disk;
	size_t i;

	json_array_foreach(disks, i, disk)
	{
		ctl_print("%-12s %s: %s (%s, %s used, %s with snapshots)%s",
			  i ? "" : "disk", ctl_text(disk, "target"),
			  ctl_text(disk, "path"),
			  ctl_size(ctl_number(disk, "virtual_size"), size),
			  ctl_size(ctl_number(disk, "actual_size"), used),
			  ctl_size(ctl_number(disk, "all_size"), all),
			  json_is_true(json_object_get(disk, "in_place"))
				  ? "; its image is outside the vault"
				  : "");
	}
}

/* What is known of its frozen layers and files. */
static void show_verification(const json_t *verification)
{
	const char *state = ctl_text(verification, "state");
	const char *text = ctl_text(verification, "text");
	char time[CTL_TEXT_SIZE];

	if (strcmp(state, "never") == 0)
		show_line("verified", "never");
	else
		ctl_print("%-12s %s, %s%s%s", "verified", state,
			  ctl_time(ctl_text(verification, "at"), time),
			  text[0] ? ": " : "", text);
	if (ctl_text(verification, "next_at")[0])
		ctl_print("%-12s next %s", "",
			  ctl_time(ctl_text(verification, "next_at"), time));
}

static void show_hardware(const json_t *vault)
{
	char size[CTL_TEXT_SIZE];

	long long heads = (long long)ctl_number(vault, "heads");

	ctl_print("%-12s %lld × %s, %s, %lld monitor%s", "hardware",
		  (long long)ctl_number(vault, "cpus"),
		  ctl_text(vault, "cpu")[0] ? ctl_text(vault, "cpu") : "CPU",
		  ctl_size(ctl_number(vault, "memory"), size), heads,
		  heads == 1 ? "" : "s");
	show_line("machine", ctl_text(vault, "machine"));
	show_firmware(vault);
	if (json_is_true(json_object_get(vault, "tpm")))
		show_line("tpm", "its state is the vault's own");
	show_line("mac", ctl_text(vault, "mac"));
	show_disks(json_object_get(vault, "disks"));
}

static void show(const json_t *vault)
{
	const json_t *accelerator = json_object_get(vault, "accelerator");
	const json_t *identity = json_object_get(vault, "identity");
	char text[CTL_TEXT_SIZE];

	show_line("name", ctl_text(vault, "name"));
	show_line("uuid", ctl_text(vault, "uuid"));
	ctl_print("%-12s %s%s%s", "state", ctl_text(vault, "state"),
		  ctl_text(vault, "why")[0] ? ": " : "",
		  ctl_text(vault, "why"));
	if (ctl_text(vault, "started_at")[0])
		show_line("since",
			  ctl_time(ctl_text(vault, "started_at"), text));
	if (ctl_text(vault, "created_at")[0])
		show_line("made",
			  ctl_time(ctl_text(vault, "created_at"), text));
	if (strcmp(ctl_text(vault, "kind"), "attached") == 0) {
		ctl_attach_print(vault);
		return;
	}
	show_line("accelerator", ctl_text(accelerator, "kind"));
	show_line("", ctl_text(accelerator, "why"));
	show_hardware(vault);
	ctl_identity_print(identity);
	ctl_machine_print(json_object_get(vault, "emulator"));
	show_verification(json_object_get(vault, "verification"));
	ctl_lease_print(json_object_get(vault, "lease"));
	ctl_network_print(json_object_get(vault, "network"));
	ctl_print("%-12s %lld live", "sessions",
		  (long long)ctl_number(vault, "sessions_live"));
	ctl_print("policy");
	ctl_policy_print(json_object_get(vault, "policy"));
}

int ctl_vault_call(struct ctl *ctl, const char *method, const char *tail,
		   json_t *body, json_t **answer, struct error *error)
{
	char *name = ctl_path("%s", ctl->arguments[0]), *path = NULL;
	int result;

	if (!name || asprintf(&path, "/api/v1/vaults/%s%s", name, tail) < 0)
		path = NULL;
	result = ctl_call(ctl, method, path, body, answer, error);
	free(name);
	free(path);
	return result;
}

int ctl_vault_show(struct ctl *ctl, struct error *error)
{
	json_t *vault;
	int result = ctl_vault_call(ctl, "GET", "", NULL, &vault, error);

	if (result)
		return result;
	if (ctl->json)
		ctl_print_json(vault);
	else
		show(vault);
	json_decref(vault);
	return 0;
}

/* --- start, stop, delete ---------------------------------------------- */

int ctl_vault_start(struct ctl *ctl, struct error *error)
{
	json_t *body = json_object(), *vault;
	const char *kind;
	int result;

	if (ctl_option(ctl, "force-lease"))
		json_object_set_new(body, "force_lease", json_true());
	result = ctl_vault_call(ctl, "POST", "/start", body, &vault, error);

	if (result)
		return result;
	kind = ctl_text(json_object_get(vault, "accelerator"), "kind");
	if (ctl->json)
		ctl_print_json(vault);
	else
		ctl_print("vault %s is %s, %s", ctl->arguments[0],
			  ctl_text(vault, "state"),
			  strcmp(kind, "tcg") ? "under KVM"
					      : "emulated (mediavmctl doctor "
						"says why)");
	json_decref(vault);
	return 0;
}

int ctl_vault_stop(struct ctl *ctl, struct error *error)
{
	json_t *body = json_object(), *vault;
	int result;

	if (ctl_option(ctl, "force"))
		json_object_set_new(body, "force", json_true());
	result = ctl_vault_call(ctl, "POST", "/stop", body, &vault, error);
	if (result)
		return result;
	if (ctl->json)
		ctl_print_json(vault);
	else if (strcmp(ctl_text(vault, "state"), "running") == 0)
		ctl_print("vault %s was asked to shut down; --force ends it "
			  "now",
			  ctl->arguments[0]);
	else
		ctl_print("vault %s is %s", ctl->arguments[0],
			  ctl_text(vault, "state"));
	json_decref(vault);
	return 0;
}

int ctl_vault_delete(struct ctl *ctl, struct error *error)
{
	char question[200];
	json_t *answer;
	int result;

	snprintf(question, sizeof(question),
		 "Delete vault %s with its disk, for good?", ctl->arguments[0]);
	if (!ctl_confirm(ctl, question))
		return error_set(error, ECANCELED, "nothing was deleted");
	result = ctl_vault_call(ctl, "DELETE", "", NULL, &answer, error);
	if (result)
		return result;
	if (ctl->json)
		ctl_print_json(answer);
	else
		ctl_print("vault %s is deleted", ctl->arguments[0]);
	json_decref(answer);
	return 0;
}

/* --- policy ----------------------------------------------------------- */

int ctl_vault_policy(struct ctl *ctl, struct error *error)
{
	json_t *body = json_object(), *policy;
	const char *equals;
	unsigned i;
	int result;

	for (i = 1; i < ctl->count; i++) {
		equals = strchr(ctl->arguments[i], '=');
		if (!equals || equals == ctl->arguments[i]) {
			json_decref(body);
			return ctl_usage(error, "\"%s\" is not KEY=VALUE",
					 ctl->arguments[i]);
		}
		json_object_setn_new(body, ctl->arguments[i],
				     (size_t)(equals - ctl->arguments[i]),
				     json_string(equals + 1));
	}
	result = ctl->count > 1 ? ctl_vault_call(ctl, "PATCH", "/policy", body,
						 &policy, error)
				: ctl_vault_call(ctl, "GET", "/policy", NULL,
						 &policy, error);
	if (ctl->count == 1)
		json_decref(body);
	if (result)
		return result;
	if (ctl->json)
		ctl_print_json(policy);
	else
		ctl_policy_print(policy);
	json_decref(policy);
	return 0;
}
