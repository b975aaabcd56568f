/* Comparing a vault with its seal; see seal.h. */
#include "daemon/seal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/control.h"
#include "daemon/event.h"
#include "daemon/folder.h"
#include "daemon/log.h"
#include "daemon/probe_run.h"
#include "daemon/seal_file.h"
#include "daemon/units.h"
#include "daemon/vault.h"

#define DEFINITION_MAX (1 << 20)
#define LOGGED 32 /* fields in an event */

static const char *text_of(const json_t *json, const char *name)
{
	const char *text = json_string_value(json_object_get(json, name));

	return text ? text : "";
}

/* --- one check --------------------------------------------------------- */

/* What is known before the probe has run. */
struct check {
	struct control *control;
	const struct vault *vault;
	struct seal *seal;
	json_t *own;  /* the vault's fingerprint.json, or NULL */
	json_t *last; /* its `check`; borrowed */
	json_t *host; /* as it is now */
	char definition[SEAL_DIGEST_SIZE];
	bool same_state; /* of its disks, TPM and firmware variables */
	json_t *drift, *noted;
	char digest[IDENTITY_DIGEST_SIZE];
};

static void check_free(struct check *check)
{
	seal_free(check->seal);
	json_decref(check->own);
	json_decref(check->host);
	json_decref(check->drift);
	json_decref(check->noted);
}

static int missing(const char *name, struct error *error)
{
	return error_set(error, -EBADMSG,
			 "its %s is missing, though it was sealed: put it back "
			 "from a backup of the vault, or seal it anew on "
			 "purpose (vault seal --again)",
			 name);
}

static int read_seal(struct check *check, struct error *error)
{
	char path[PATH_MAX];
	int r;

	vault_path(check->control, check->vault->uuid, "seal/fingerprint.json",
		   path);
	r = seal_file_read(path, &check->seal, error);
	if (r == -ENOENT)
		return missing("seal/fingerprint.json", error);
	if (!r &&
	    strcmp(text_of(check->seal->json, "uuid"), check->vault->uuid))
		return error_set(error, -EBADMSG,
				 "its seal is that of another vault: put its "
				 "own back from a backup");
	if (!r)
		r = seal_check_files(check->control, check->vault, check->seal,
				     error);
	return r;
}

static int check_open(struct check *check, struct control *control,
		      const struct vault *vault, struct error *error)
{
	char path[PATH_MAX];
	int r;

	*check = (struct check){.control = control, .vault = vault};
	r = read_seal(check, error);
	if (r)
		return r;
	vault_path(control, vault->uuid, "fingerprint.json", path);
	check->own = json_load_file(path, 0, NULL);
	check->last = json_object_get(check->own, "check");
	vault_path(control, vault->uuid, "domain.xml", path);
	if (access(path, F_OK))
		return error_set(error, -EBADMSG,
				 "its domain.xml is missing: seal/domain.xml "
				 "is the sealed one; copy it there");
	r = seal_file_digest(path, check->definition, error);
	if (!r)
		r = seal_state_check(control, vault, check->seal,
				     &check->same_state, error);
	return r ? r
		 : seal_host(control, vault,
			     json_object_get(check->last, "host"), &check->host,
			     error);
}

/* Nothing that has a say is other than when it was all right last. */
static bool is_as_checked(const struct check *check)
{
	return check->last && check->same_state &&
	       json_equal(json_object_get(check->last, "host"), check->host) &&
	       strcmp(text_of(check->last, "definition"), check->definition) ==
		       0 &&
	       json_array_size(json_object_get(check->last, "drift")) == 0;
}

static int write_check(struct check *check, struct error *error)
{
	json_t *json = json_copy(check->seal->json);
	char path[PATH_MAX];
	int r;

	vault_path(check->control, check->vault->uuid, "fingerprint.json",
		   path);
	json_object_set_new(json, "check",
			    json_pack("{s:o, s:s, s:s, s:O, s:O, s:O}", "at",
				      units_time_json(units_now_us()), "digest",
				      check->digest, "definition",
				      check->definition, "host", check->host,
				      "drift", check->drift, "noted",
				      check->noted));
	r = seal_file_write(path, json, error);
	json_decref(json);
	return r;
}

int seal_probe(struct control *control, const struct vault *vault,
	       const struct vault_source *source, struct identity **identity,
	       struct probe_report **report, struct error *error)
{
	int r = probe_run_locked(control, vault, source, report, error);

	*identity = NULL;
	if (r)
		return r;
	r = identity_from_report(*report, identity, error);
	if (r) {
		probe_report_free(*report);
		*report = NULL;
	}
	return r;
}

static bool is_redefined(const struct check *check)
{
	return strcmp(text_of(json_object_get(check->seal->json, "files"),
			      "seal/domain.xml"),
		      check->definition) != 0;
}

/* Of the definition, where no probe sees it. */
static int compare_definitions(struct check *check, struct error *error)
{
	char path[PATH_MAX], *sealed = NULL, *now = NULL;
	int r;

	vault_path(check->control, check->vault->uuid, "seal/domain.xml", path);
	r = folder_read(path, DEFINITION_MAX, &sealed, error);
	vault_path(check->control, check->vault->uuid, "domain.xml", path);
	if (!r)
		r = folder_read(path, DEFINITION_MAX, &now, error);
	if (!r) {
		json_decref(check->drift);
		r = seal_definition_diff(sealed, now, &check->drift, error);
	}
	free(sealed);
	free(now);
	return r;
}

/* What the probe reads, and the sealed fields that it has otherwise. */
static int compare_probed(struct check *check, struct error *error)
{
	struct probe_report *report;
	struct identity *now;
	int r = seal_probe(check->control, check->vault, NULL, &now, &report,
			   error);

	if (r) {
		error_prefix(error, "its identity can't be checked");
		return r;
	}
	identity_digest(now, check->digest);
	check->drift =
		seal_fields_diff(check->seal->identity, now, IDENTITY_SEALED);
	check->noted =
		seal_fields_diff(check->seal->identity, now, IDENTITY_NOTICE);
	identity_free(now);
	probe_report_free(report);
	return 0;
}

static int compare(struct check *check, struct error *error)
{
	int r = compare_probed(check, error);

	/* It may be such that libvirt refuses it. */
	if (r && (!is_redefined(check) || compare_definitions(check, NULL) ||
		  !json_array_size(check->drift)))
		return r;
	if (r) {
		check->noted = json_array();
		error_clear(error);
	} else if (is_redefined(check) && !json_array_size(check->drift)) {
		r = compare_definitions(check, error);
		if (r)
			return r;
	}
	return write_check(check, error);
}

/* --- what is said of a drift ------------------------------------------- */

static bool has_own_qemu(const struct check *check)
{
	char path[PATH_MAX];

	vault_path(check->control, check->vault->uuid, "machine/manifest.json",
		   path);
	return access(path, F_OK) == 0;
}

/* What would mend it, by what has changed. */
static void advise(const struct check *check, char *text, size_t size)
{
	const json_t *sealed = check->seal->json;
	const json_t *host = json_object_get(sealed, "host");
	char changed[140];

	if (is_redefined(check)) {
		snprintf(text, size,
			 "domain.xml is not the sealed one: copy "
			 "seal/domain.xml over it");
		return;
	}
	seal_host_diff(host, check->host, changed, sizeof(changed));
	if (strcmp(text_of(host, "accelerator"),
		   text_of(check->host, "accelerator")))
		snprintf(text, size,
			 "it was sealed under %s: set [libvirt] accelerator to "
			 "%s",
			 text_of(host, "accelerator"),
			 text_of(host, "accelerator"));
	else if (changed[0])
		snprintf(
			text, size,
			"changed since it was sealed: %.130s; take that back%s",
			changed,
			has_own_qemu(check)
				? ", or run it by its own QEMU (vault policy "
				  "machine=own)"
				: "");
	else
		snprintf(text, size,
			 "put its folder back from a backup, or start it where "
			 "it was sealed");
}

static int refuse(const struct check *check, struct error *error)
{
	char fields[230], advice[240];

	seal_describe(check->drift, fields, sizeof(fields));
	advise(check, advice, sizeof(advice));
	return error_set(error, -EPERM, "its identity differs: %s (%s)", fields,
			 advice);
}

/* The log takes the first of them; fingerprint.json has all. */
static json_t *cut(const json_t *drift)
{
	json_t *some = json_array(), *field;
	size_t i;

	json_array_foreach((json_t *)drift, i, field)
	{
		if (i < LOGGED)
			json_array_append(some, field);
	}
	return some;
}

static void tell(const struct check *check)
{
	size_t drift = json_array_size(check->drift);

	events_post(check->control->events, "vault.checked", check->vault->name,
		    json_pack("{s:s, s:s, s:s, s:I, s:o, s:I}", "vault",
			      check->vault->name, "state",
			      drift ? "drift" : "good", "digest", check->digest,
			      "differ", (json_int_t)drift, "drift",
			      cut(check->drift), "noted",
			      (json_int_t)json_array_size(check->noted)));
	if (drift)
		log_warning("vault %s: %zu fields of its identity differ from "
			    "the sealed ones",
			    check->vault->name, drift);
}

static int judge(struct check *check, struct error *error)
{
	int r = compare(check, error);

	if (r)
		return r;
	tell(check);
	return json_array_size(check->drift) ? refuse(check, error) : 0;
}

/* --- who asks ---------------------------------------------------------- */

int seal_preflight(struct control *control, const struct vault *vault,
		   struct error *error)
{
	struct check check;
	int r = seal_recover(control, vault, error);

	if (r || !seal_is(control, vault))
		return r;
	r = check_open(&check, control, vault, error);
	if (!r && !is_as_checked(&check))
		r = judge(&check, error);
	check_free(&check);
	return r;
}

int seal_verify(struct control *control, const struct vault *vault,
		json_t **result, struct error *error)
{
	struct check check = {0};
	int r = seal_recover(control, vault, error);

	*result = NULL;
	if (!r && !seal_is(control, vault))
		r = error_set(
			error, -EINVAL,
			"it is not sealed, so there is nothing to compare "
			"with: use vault seal first");
	if (!r)
		r = check_open(&check, control, vault, error);
	if (!r)
		r = judge(&check, error);
	if (check.drift)
		*result = json_pack("{s:s, s:O, s:O}", "digest", check.digest,
				    "drift", check.drift, "noted", check.noted);
	check_free(&check);
	return r;
}
