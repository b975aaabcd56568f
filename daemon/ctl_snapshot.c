/* mediavmctl vault snapshot … */
#include "daemon/ctl.h"

#include <stdlib.h>
#include <string.h>

static const struct ctl_column columns[] = {
	{"SNAPSHOT", false, true}, {"MADE", false, false}, {"ON", false, true},
	{"GUEST", false, false},   {"SIZE", true, false},  {"", false, false},
};

static void add_row(struct ctl_table *table, const json_t *snapshot)
{
	char text[CTL_TEXT_SIZE];

	ctl_table_add(table, ctl_text(snapshot, "name"));
	ctl_table_add(table, ctl_time(ctl_text(snapshot, "created_at"), text));
	ctl_table_add(table, ctl_text(snapshot, "parent")[0]
				     ? ctl_text(snapshot, "parent")
				     : "-");
	ctl_table_add(table, json_is_true(json_object_get(snapshot, "running"))
				     ? "ran"
				     : "stopped");
	ctl_table_add(table, ctl_size(ctl_number(snapshot, "bytes"), text));
	ctl_table_add(table, json_is_true(json_object_get(snapshot, "current"))
				     ? "the vault stands on it"
				     : "");
}

static void print_list(const struct ctl *ctl, const json_t *list)
{
	const json_t *snapshot;
	struct ctl_table *table;
	size_t i;

	if (!json_array_size(list)) {
		ctl_print("no snapshots; make one with mediavmctl vault "
			  "snapshot %s create",
			  ctl->arguments[0]);
		return;
	}
	table = ctl_table_new(columns, 6);
	json_array_foreach(list, i, snapshot)
	{
		add_row(table, snapshot);
	}
	ctl_table_print(table);
}

/* On /api/v1/vaults/NAME/snapshots, or on SNAP below it with a tail. */
static int ask(struct ctl *ctl, const char *method, const char *tail,
	       json_t *body, json_t **answer, struct error *error)
{
	char *base = ctl_path("/api/v1/vaults/%s/snapshots", ctl->arguments[0]);
	char *name = tail ? ctl_path("/%s", ctl->arguments[2]) : strdup("");
	char *path = NULL;
	int result;

	if (!base || !name ||
	    asprintf(&path, "%s%s%s", base, name, tail ? tail : "") < 0)
		path = NULL;
	free(base);
	free(name);
	if (!path) {
		json_decref(body);
		return error_set(error, ENOMEM, "no memory");
	}
	result = ctl_call(ctl, method, path, body, answer, error);
	free(path);
	return result;
}

static int create(struct ctl *ctl, json_t **answer, struct error *error)
{
	json_t *body = json_object();
	int result;

	if (ctl->count > 2)
		json_object_set_new(body, "name",
				    json_string(ctl->arguments[2]));
	result = ask(ctl, "POST", NULL, body, answer, error);
	if (!result && !ctl->json)
		ctl_print("snapshot %s of vault %s is made",
			  ctl_text(*answer, "name"), ctl->arguments[0]);
	return result;
}

static int list(struct ctl *ctl, json_t **answer, struct error *error)
{
	int result = ask(ctl, "GET", NULL, NULL, answer, error);

	if (!result && !ctl->json)
		print_list(ctl, *answer);
	return result;
}

static int revert(struct ctl *ctl, json_t **answer, struct error *error)
{
	bool discard = ctl_option(ctl, "discard");
	char question[240];
	const char *kept;
	int result;

	snprintf(question, sizeof(question),
		 "Set vault %s back to %s, and lose what it is now?",
		 ctl->arguments[0], ctl->arguments[2]);
	if (discard && !ctl_confirm(ctl, question))
		return error_set(error, ECANCELED, "nothing was changed");
	result = ask(ctl, "POST", "/revert",
		     json_pack("{s:b}", "discard", discard), answer, error);
	if (result || ctl->json)
		return result;
	kept = ctl_text(*answer, "kept");
	ctl_print("vault %s is as it was at %s%s%s", ctl->arguments[0],
		  ctl->arguments[2],
		  kept[0] ? "; what it was before is the snapshot " : "", kept);
	return 0;
}

static int delete (struct ctl *ctl, json_t **answer, struct error *error)
{
	bool force = ctl_option(ctl, "force-sealed");
	char question[240];
	int result;

	snprintf(question, sizeof(question),
		 "Delete the snapshot %s of vault %s, for good?",
		 ctl->arguments[2], ctl->arguments[0]);
	if (!ctl_confirm(ctl, question))
		return error_set(error, ECANCELED, "nothing was deleted");
	result = ask(ctl, "DELETE", force ? "?force_sealed=1" : "", NULL,
		     answer, error);
	if (!result && !ctl->json)
		ctl_print("snapshot %s is deleted", ctl->arguments[2]);
	return result;
}

static const struct {
	const char *name;
	unsigned least, most;
	int (*run)(struct ctl *ctl, json_t **answer, struct error *error);
} verbs[] = {
	{"create", 2, 3, create},
	{"list", 2, 2, list},
	{"revert", 3, 3, revert},
	{"delete", 3, 3, delete},
};

int ctl_vault_snapshot(struct ctl *ctl, struct error *error)
{
	json_t *answer = NULL;
	int result;

	for (unsigned i = 0; i < sizeof(verbs) / sizeof(*verbs); i++) {
		if (strcmp(verbs[i].name, ctl->arguments[1]) != 0)
			continue;
		if (ctl->count < verbs[i].least || ctl->count > verbs[i].most)
			return ctl_usage(error, "vault snapshot %s %s",
					 verbs[i].name,
					 ctl->count < verbs[i].least
						 ? "needs a snapshot's name"
						 : "takes no snapshot's name");
		result = verbs[i].run(ctl, &answer, error);
		if (!result && ctl->json)
			ctl_print_json(answer);
		json_decref(answer);
		return result;
	}
	return ctl_usage(error,
			 "\"%s\" is neither create, list, revert nor delete",
			 ctl->arguments[1]);
}
