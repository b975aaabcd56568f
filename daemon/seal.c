/* Whether a vault is sealed, what a crash left of that, and how it shows. */
#include "daemon/seal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/control.h"
#include "daemon/folder.h"
#include "daemon/log.h"
#include "daemon/seal_file.h"
#include "daemon/snapshot.h"
#include "daemon/vault.h"

#define DEFINITION_MAX (1 << 20)

static bool has(const struct control *control, const struct vault *vault,
		const char *name)
{
	char path[PATH_MAX];

	vault_path(control, vault->uuid, name, path);
	return access(path, F_OK) == 0;
}

bool seal_is(const struct control *control, const struct vault *vault)
{
	return has(control, vault, "seal") ||
	       has(control, vault, "fingerprint.json");
}

/* --- what a crash left ------------------------------------------------- */

static int move(struct control *control, const struct vault *vault,
		const char *from, const char *to, struct error *error)
{
	char source[PATH_MAX], target[PATH_MAX];

	vault_path(control, vault->uuid, from, source);
	vault_path(control, vault->uuid, to, target);
	if (rename(source, target))
		return error_errno(error, errno, "can't rename %s", source);
	vault_path(control, vault->uuid, NULL, source);
	return folder_sync(source, error);
}

/* The snapshot that was made for it goes as well. */
static int undo(struct control *control, const struct vault *vault,
		const struct seal *next, struct error *error)
{
	struct layers *layers = NULL;
	char path[PATH_MAX];
	const char *name = next ? json_string_value(json_object_get(next->json,
								    "snapshot"))
				: NULL;
	int r = 0;

	if (name && *name)
		r = snapshot_layers(control, vault, &layers, error);
	if (!r && layers && layers_snapshot(layers, name))
		r = snapshot_delete(control, vault, name, true, error);
	free(layers);
	vault_path(control, vault->uuid, "seal.next", path);
	return r ? r : folder_remove(path, error);
}

static int settle(struct control *control, const struct vault *vault,
		  struct error *error)
{
	struct seal *next = NULL;
	char path[PATH_MAX], former[64];
	int r;

	if (!has(control, vault, "seal.next"))
		return 0;
	vault_path(control, vault->uuid, "seal.next/fingerprint.json", path);
	seal_file_read(path, &next, NULL);
	snprintf(former, sizeof(former), "seals/%lld",
		 next ? (long long)seal_epoch(next) - 1 : 0);
	if (next && seal_epoch(next) > 1 && !has(control, vault, "seal") &&
	    has(control, vault, former))
		r = move(control, vault, "seal.next", "seal", error);
	else
		r = undo(control, vault, next, error);
	seal_free(next);
	return r;
}

/* The definition as it was sealed; a damaged one is not spread. */
static int copy_definition(struct control *control, const struct vault *vault,
			   const struct seal *seal, struct error *error)
{
	const char *sealed = json_string_value(json_object_get(
		json_object_get(seal->json, "files"), "seal/domain.xml"));
	char path[PATH_MAX], hex[SEAL_DIGEST_SIZE], *xml;
	int r;

	vault_path(control, vault->uuid, "seal/domain.xml", path);
	r = folder_read(path, DEFINITION_MAX, &xml, error);
	if (r)
		return r;
	seal_bytes_digest(xml, strlen(xml), hex);
	if (!sealed || strcmp(sealed, hex))
		r = error_set(
			error, -EBADMSG,
			"its seal/domain.xml is not as it was sealed: put "
			"it back from a backup of the vault");
	vault_path(control, vault->uuid, "domain.xml", path);
	if (!r)
		r = folder_write(path, xml, strlen(xml), 0600, error);
	free(xml);
	return r;
}

/* The vault's copies, where they are missing or of another seal. */
static int copy_up(struct control *control, const struct vault *vault,
		   const struct seal *seal, struct error *error)
{
	char path[PATH_MAX];
	struct seal *own = NULL;
	bool same;
	int r = 0;

	vault_path(control, vault->uuid, "fingerprint.json", path);
	seal_file_read(path, &own, NULL);
	same = own && json_equal(json_object_get(own->json, "sum"),
				 json_object_get(seal->json, "sum"));
	seal_free(own);
	if (!same || !has(control, vault, "domain.xml"))
		r = copy_definition(control, vault, seal, error);
	return r || same ? r : seal_file_write(path, seal->json, error);
}

int seal_recover(struct control *control, const struct vault *vault,
		 struct error *error)
{
	char path[PATH_MAX];
	struct seal *seal;
	int r = settle(control, vault, error);

	if (r || !has(control, vault, "seal"))
		return r;
	vault_path(control, vault->uuid, "seal/fingerprint.json", path);
	/* A damaged one is the business of seal_preflight. */
	if (seal_file_read(path, &seal, NULL))
		return 0;
	r = copy_up(control, vault, seal, error);
	seal_free(seal);
	return r;
}

bool seal_is_redefined(const struct control *control, const struct vault *vault)
{
	char path[PATH_MAX], own[SEAL_DIGEST_SIZE], sealed[SEAL_DIGEST_SIZE];

	if (!seal_is(control, vault))
		return false;
	vault_path(control, vault->uuid, "domain.xml", path);
	if (seal_file_digest(path, own, NULL))
		return false;
	vault_path(control, vault->uuid, "seal/domain.xml", path);
	return !seal_file_digest(path, sealed, NULL) && strcmp(own, sealed);
}

/* --- how it shows ------------------------------------------------------ */

static json_t *part(const json_t *json, const char *name, json_t *without)
{
	json_t *value = json_object_get(json, name);

	if (!value)
		return without;
	json_decref(without);
	return json_incref(value);
}

json_t *seal_json(const struct control *control, const struct vault *vault)
{
	char path[PATH_MAX];
	json_t *own, *check, *json;

	if (!seal_is(control, vault))
		return json_pack("{s:b, s:n, s:n, s:[]}", "sealed", 0, "digest",
				 "checked_at", "drift");
	vault_path(control, vault->uuid, "fingerprint.json", path);
	own = json_load_file(path, 0, NULL);
	if (!own) {
		vault_path(control, vault->uuid, "seal/fingerprint.json", path);
		own = json_load_file(path, 0, NULL);
	}
	check = json_object_get(own, "check");
	json = json_pack("{s:b, s:o, s:o, s:o, s:o}", "sealed", 1, "digest",
			 part(own, "digest", json_null()), "checked_at",
			 part(check, "at", json_null()), "drift",
			 part(check, "drift", json_array()), "noted",
			 part(check, "noted", json_array()));
	json_object_set_new(json, "epoch", part(own, "epoch", json_null()));
	json_object_set_new(json, "sealed_at",
			    part(own, "sealed_at", json_null()));
	json_object_set_new(json, "snapshot",
			    part(own, "snapshot", json_null()));
	json_object_set_new(json, "host", part(own, "host", json_null()));
	json_decref(own);
	return json;
}
