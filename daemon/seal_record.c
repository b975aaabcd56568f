/* The fingerprint of a new seal; see seal_file.h. */
#include "daemon/seal_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/control.h"
#include "daemon/seal.h"
#include "daemon/snapshot.h"
#include "daemon/units.h"
#include "daemon/vault.h"

static json_t *value_of(const struct seal *seal, const char *name)
{
	json_t *value = seal ? json_object_get(seal->json, name) : NULL;

	return value ? json_incref(value) : json_null();
}

/* After the former one's, and after all that were put away. */
static json_int_t next_epoch(const struct seal_new *new)
{
	long long n = 0;
	char path[PATH_MAX], name[40];

	if (new->former)
		n = seal_epoch(new->former);
	else if (seal_is(new->control, new->vault))
		n = 1; /* it can't be read */
	for (;; n++) {
		snprintf(name, sizeof(name), "seals/%lld", n);
		vault_path(new->control, new->vault->uuid, name, path);
		if (access(path, F_OK))
			return n + 1;
	}
}

/* "sealed", or with a number while that is taken. */
static int name_snapshot(const struct seal_new *new,
			 char name[SNAPSHOT_NAME_SIZE], struct error *error)
{
	struct layers *layers;
	int r = snapshot_layers(new->control, new->vault, &layers, error);

	if (r)
		return r;
	strcpy(name, SNAPSHOT_SEALED);
	for (unsigned i = 2; layers_snapshot(layers, name); i++)
		snprintf(name, SNAPSHOT_NAME_SIZE, SNAPSHOT_SEALED "-%u", i);
	free(layers);
	return 0;
}

/* Who, when and after what. */
static json_t *head(const struct seal_new *new, const char *digest)
{
	return json_pack(
		"{s:i, s:I, s:s, s:s, s:s, s:{s:o, s:o, s:o}, s:o}", "version",
		SEAL_VERSION, "epoch", next_epoch(new), "uuid",
		new->vault->uuid, "sealed_by", new->who, "digest", digest,
		"before", "epoch", value_of(new->former, "epoch"), "digest",
		value_of(new->former, "digest"), "sealed_at",
		value_of(new->former, "sealed_at"), "changed",
		new->former ? seal_fields_diff(new->former->identity,
					       new->identity, IDENTITY_SEALED)
			    : json_array());
}

/* The first check is that of sealing. */
static int add_check(json_t *json, const char *digest, json_t *host)
{
	json_t *at = units_time_json(units_now_us());
	json_t *check =
		json_pack("{s:O, s:s, s:O, s:O, s:[], s:[]}", "at", at,
			  "digest", digest, "definition",
			  json_object_get(json_object_get(json, "files"),
					  "seal/domain.xml"),
			  "host", host, "drift", "noted");
	int failed = json_object_set_new(json, "check", check);

	return failed | json_object_set_new(json, "sealed_at", at);
}

int seal_record(const struct seal_new *new, const char *folder, json_t **json,
		struct error *error)
{
	char digest[IDENTITY_DIGEST_SIZE], snapshot[SNAPSHOT_NAME_SIZE];
	json_t *host, *files;
	int r = seal_host(new->control, new->vault, NULL, &host, error);

	*json = NULL;
	if (r)
		return r;
	r = name_snapshot(new, snapshot, error);
	if (!r)
		r = seal_list_files(new->control, new->vault, folder, &files,
				    error);
	if (r) {
		json_decref(host);
		return r;
	}
	identity_digest(new->identity, digest);
	*json = head(new, digest);
	if (json_object_set_new(*json, "files", files) |
	    json_object_set_new(*json, "fields", identity_json(new->identity)) |
	    json_object_set_new(*json, "snapshot", json_string(snapshot)) |
	    json_object_set(*json, "host", host) |
	    json_object_set(*json, "accelerator",
			    json_object_get(host, "accelerator")) |
	    add_check(*json, digest, host)) {
		json_decref(*json);
		*json = NULL;
		r = error_set(error, -ENOMEM, "no memory");
	}
	json_decref(host);
	return r;
}
