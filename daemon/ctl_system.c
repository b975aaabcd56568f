/* mediavmctl status, events, doctor and config. */
#include "daemon/ctl.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/config.h"

int ctl_status(struct ctl *ctl, struct error *error)
{
	const json_t *gateway, *http, *space, *accelerator;
	char a[CTL_TEXT_SIZE], b[CTL_TEXT_SIZE];
	json_t *s;
	int result = ctl_call(ctl, "GET", "/api/v1/status", NULL, &s, error);

	if (result)
		return result;
	if (ctl->json) {
		ctl_print_json(s);
		json_decref(s);
		return 0;
	}
	gateway = json_object_get(s, "gateway");
	http = json_object_get(s, "http");
	space = json_object_get(s, "space");
	accelerator = json_object_get(s, "accelerator");
	ctl_print("%-12s mediavmd %s on %s, since %s", "daemon",
		  ctl_text(s, "version"), ctl_text(s, "host"),
		  ctl_time(ctl_text(s, "started_at"), a));
	ctl_print("%-12s %s", "hypervisor", ctl_text(s, "hypervisor"));
	ctl_print("%-12s %s: %s", "accelerator", ctl_text(accelerator, "kind"),
		  ctl_text(accelerator, "why"));
	ctl_print("%-12s %s port %lld%s", "gateway", ctl_text(gateway, "host"),
		  (long long)ctl_number(gateway, "port"),
		  json_is_false(json_object_get(gateway, "running"))
			  ? ", not running"
			  : "");
	if (json_is_object(http))
		ctl_print("%-12s http://%s:%lld/ (mediavmctl ui)", "page",
			  ctl_text(http, "address"),
			  (long long)ctl_number(http, "port"));
	ctl_print("%-12s %lld, %lld running", "vaults",
		  (long long)ctl_number(s, "vaults"),
		  (long long)ctl_number(s, "vaults_running"));
	ctl_print("%-12s %lld, %lld live", "sessions",
		  (long long)ctl_number(s, "sessions"),
		  (long long)ctl_number(s, "sessions_live"));
	ctl_print("%-12s %s", "host key",
		  ctl_text(json_object_get(s, "host_key"), "id"));
	ctl_print("%-12s %lld at work", "jobs",
		  (long long)ctl_number(s, "jobs_active"));
	ctl_print("%-12s %s, %s of %s free", "state", ctl_text(s, "state_dir"),
		  ctl_size(ctl_number(space, "free"), a),
		  ctl_size(ctl_number(space, "total"), b));
	json_decref(s);
	return 0;
}

/* --- events ----------------------------------------------------------- */

/* One line: when, what, and the other members as key=value. */
static void print_event(const json_t *event)
{
	char when[CTL_TEXT_SIZE], *text = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);
	const char *key;
	json_t *value;
	char *other;

	if (!to)
		return;
	fprintf(to, "%s  %-17s", ctl_time(ctl_text(event, "at"), when),
		ctl_text(event, "type"));
	json_object_foreach((json_t *)event, key, value)
	{
		if (strcmp(key, "seq") == 0 || strcmp(key, "at") == 0 ||
		    strcmp(key, "type") == 0 || json_is_null(value))
			continue;
		other = json_is_string(value)
				? strdup(json_string_value(value))
				: json_dumps(value,
					     JSON_COMPACT | JSON_ENCODE_ANY);
		fprintf(to, " %s=%s", key, other ? other : "");
		free(other);
	}
	fclose(to);
	ctl_print("%s", text);
	free(text);
}

struct follower {
	struct ctl *ctl;
	bool is_reset;
};

static bool wanted(const struct follower *f, const json_t *event)
{
	const char *type = ctl_option(f->ctl, "type");

	return !type || strcmp(type, ctl_text(event, "type")) == 0;
}

static int follow_line(void *data, const char *line)
{
	struct follower *f = data;
	json_t *event;

	if (strncmp(line, "data: ", 6) != 0)
		return 0;
	event = json_loads(line + 6, 0, NULL);
	if (json_object_size(event) && wanted(f, event)) {
		if (f->ctl->json)
			ctl_print_json(event);
		else
			print_event(event);
		fflush(stdout);
	}
	json_decref(event);
	return ferror(stdout);
}

static int follow(struct ctl *ctl, const json_t *last, struct error *error)
{
	struct follower f = {.ctl = ctl};
	char *path = ctl_path("/api/v1/events"), after[32];
	int result;

	if (last) {
		snprintf(after, sizeof(after), "%lld",
			 (long long)ctl_number(last, "seq"));
		ctl_path_query(&path, "after", after);
	}
	result = ctl_stream(ctl, path, follow_line, &f, error);
	free(path);
	if (!result && !ferror(stdout))
		result = error_set(error, ECONNRESET, "the daemon has stopped");
	return result;
}

int ctl_events(struct ctl *ctl, struct error *error)
{
	static const char *const filters[] = {"since", "type", "text", "limit"};
	json_t *list, *ordered = json_array();
	size_t i;
	int result;

	result = ctl_list(ctl, "/api/v1/audit", filters, 4, &list, error);
	for (i = result ? 0 : json_array_size(list); i > 0; i--)
		json_array_append(ordered, json_array_get(list, i - 1));
	for (i = 0; i < json_array_size(ordered); i++) {
		if (ctl->json && ctl_option(ctl, "follow"))
			ctl_print_json(json_array_get(ordered, i));
		else if (!ctl->json)
			print_event(json_array_get(ordered, i));
	}
	if (!result && ctl_option(ctl, "follow")) {
		fflush(stdout);
		i = json_array_size(ordered);
		result = follow(ctl, i ? json_array_get(ordered, i - 1) : NULL,
				error);
	} else if (!result && ctl->json) {
		ctl_print_json(ordered);
	}
	json_decref(list);
	json_decref(ordered);
	return result;
}

/* --- doctor and config ------------------------------------------------ */

static void print_check(const json_t *check)
{
	ctl_print("%-8s %-12s %s", ctl_text(check, "status"),
		  ctl_text(check, "name"), ctl_text(check, "text"));
	if (ctl_text(check, "advice")[0])
		ctl_print("%-8s %-12s → %s", "", "", ctl_text(check, "advice"));
}

int ctl_doctor(struct ctl *ctl, struct error *error)
{
	json_t *found, *check;
	size_t i;
	int result =
		ctl_call(ctl, "GET", "/api/v1/doctor", NULL, &found, error);

	if (result)
		return result;
	if (ctl->json)
		ctl_print_json(found);
	else
		json_array_foreach(json_object_get(found, "checks"), i, check)
		{
			print_check(check);
		}
	if (!json_is_true(json_object_get(found, "ok")))
		result = error_set(error, EREMOTEIO,
				   "this host is not fit; see above what "
				   "failed");
	json_decref(found);
	return result;
}

int ctl_config_check(struct ctl *ctl, struct error *error)
{
	const char *path = ctl->count ? ctl->arguments[0] : CONFIG_FILE;
	struct config config;
	json_t *done;
	int result;

	config_default(&config);
	result = config_read(&config, path, error);
	if (result == -ENOENT && !ctl->count)
		result = 0; /* the daemon does without it, too */
	if (result < 0)
		return result;
	if (ctl->json) {
		done = json_pack("{s:s,s:b}", "file", path, "ok", 1);
		ctl_print_json(done);
		json_decref(done);
	} else {
		ctl_print("%s is right", path);
	}
	return 0;
}
