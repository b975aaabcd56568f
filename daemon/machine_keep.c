/* A vault gets a QEMU of its own, and loses it; see machine.h. */
#include "daemon/machine.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/control.h"
#include "daemon/folder.h"
#include "daemon/log.h"
#include "daemon/machine_files.h"
#include "daemon/machine_make.h"
#include "daemon/vault.h"

struct places {
	char vault[PATH_MAX], machine[PATH_MAX], next[PATH_MAX], old[PATH_MAX];
};

static struct places places_of(struct control *control,
			       const struct vault *vault)
{
	struct places at;

	vault_path(control, vault->uuid, NULL, at.vault);
	vault_path(control, vault->uuid, "machine", at.machine);
	vault_path(control, vault->uuid, "machine.next", at.next);
	vault_path(control, vault->uuid, "machine.old", at.old);
	return at;
}

static int take_away(const char *path, struct error *error)
{
	return access(path, F_OK) ? 0 : folder_remove(path, error);
}

static int clean(const struct places *at, struct error *error)
{
	int r = take_away(at->next, error);

	return r ? r : take_away(at->old, error);
}

void machine_recover(struct control *control, const struct vault *vault)
{
	struct places at = places_of(control, vault);
	struct error error;

	if (clean(&at, &error))
		log_warning("vault %s: %s", vault->name, error.text);
}

/* One rename, for good. */
static int move(const struct places *at, const char *from, const char *to,
		struct error *error)
{
	if (rename(from, to))
		return error_errno(error, errno, "can't rename %s", from);
	return folder_sync(at->vault, error);
}

int machine_add(struct control *control, const struct vault *vault,
		const char *who, struct error *error)
{
	struct places at = places_of(control, vault);
	char type[32], digest[MACHINE_DIGEST_SIZE], agreed[100];
	int r;

	if (strcmp(control->config.libvirt_uri, "embed") != 0)
		return error_set(error, -ENOTSUP,
				 "with [libvirt] uri = %s QEMU runs as another "
				 "user, who has no way into the vault: this "
				 "goes with uri = embed only",
				 control->config.libvirt_uri);
	if (access(at.machine, F_OK) == 0)
		return error_set(error, -EEXIST,
				 "it has a QEMU of its own already: take that "
				 "away first (vault bundle --remove)");
	r = machine_type(control, vault, type, sizeof(type), error);
	if (!r)
		r = clean(&at, error);
	if (!r)
		r = machine_make(control->config.emulator, type, at.next,
				 digest, error);
	snprintf(agreed, sizeof(agreed), "made here, by %.64s", who);
	if (!r)
		r = machine_agree(control, digest, agreed, error);
	if (!r)
		r = move(&at, at.next, at.machine, error);
	if (r)
		take_away(at.next, NULL);
	return r;
}

static int find(const struct places *at, char digest[MACHINE_DIGEST_SIZE],
		json_t **manifest, struct error *error)
{
	*manifest = NULL;
	if (access(at->machine, F_OK))
		return error_set(error, -ENOENT, "it has no QEMU of its own");
	return machine_files_read(at->machine, manifest, digest, error);
}

int machine_remove(struct control *control, const struct vault *vault,
		   struct error *error)
{
	struct places at = places_of(control, vault);
	char digest[MACHINE_DIGEST_SIZE];
	json_t *manifest;
	int r = find(&at, digest, &manifest, error);

	if (r == -ENOENT && access(at.machine, F_OK))
		return r;
	/* A damaged one goes as well. */
	error_clear(error);
	if (manifest && (r = machine_agree(control, digest, NULL, error))) {
		json_decref(manifest);
		return r;
	}
	json_decref(manifest);
	r = clean(&at, error);
	if (!r)
		r = move(&at, at.machine, at.old, error);
	return r ? r : take_away(at.old, error);
}

int machine_trust(struct control *control, const struct vault *vault,
		  const char *who, struct error *error)
{
	struct places at = places_of(control, vault);
	char digest[MACHINE_DIGEST_SIZE], agreed[100];
	json_t *manifest;
	int r = find(&at, digest, &manifest, error);

	if (!r)
		r = machine_files_verify(at.machine, manifest, error);
	snprintf(agreed, sizeof(agreed), "agreed to by %.64s", who);
	if (!r)
		r = machine_agree(control, digest, agreed, error);
	json_decref(manifest);
	return r;
}
