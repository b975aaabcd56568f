/*
 * A lease and the registry's entry, read and written together; see
 * lease_scene.h.
 *
 * A change is two writes, each whole or not at all, under the registry's lock:
 * first lease.json, which names the entry's token that it replaces, then the
 * entry. Cut between the two, the lease is still of its entry (lease_judge.c)
 * and the next change goes on from there; a copy made before it is not.
 */
#include "daemon/lease_scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/control.h"
#include "daemon/event.h"
#include "daemon/folder.h"
#include "daemon/instance.h"
#include "daemon/lease.h"
#include "daemon/units.h"
#include "daemon/vault.h"

#define DEFINITION_MAX (1 << 20)

static int read_identity(struct lease_scene *scene, struct error *error)
{
	char path[PATH_MAX + 16], *xml;
	int r;

	snprintf(path, sizeof(path), "%s/domain.xml", scene->folder);
	r = folder_read(path, DEFINITION_MAX, &xml, error);
	if (!r)
		r = domain_identity(xml, scene->identity, error);
	free(xml);
	return r;
}

/* Into `damage` goes what is wrong with a file that is no lease. */
static int soften(int r, struct error *damage, struct error *error)
{
	if (r && r != -EBADMSG)
		error_set(error, r, "%s", damage->text);
	return r == -EBADMSG ? 0 : r;
}

/*
 * The entry first: who looks without the lock while both are written may find
 * a lease that is one ahead, which is still of its entry.
 */
static int read_both(struct lease_scene *scene, struct error *error)
{
	char path[PATH_MAX + 16];
	int r;

	snprintf(path, sizeof(path), "%s/lease.json", scene->folder);
	r = soften(registry_read(&scene->registry, scene->identity,
				 &scene->entry, &scene->entry_damage),
		   &scene->entry_damage, error);
	if (!r)
		r = soften(lease_file_read(path, &scene->mine,
					   &scene->mine_damage),
			   &scene->mine_damage, error);
	return r;
}

int lease_scene_open(struct lease_scene *scene, struct control *control,
		     const char *folder, const char *name, bool lock,
		     struct error *error)
{
	int r;

	memset(scene, 0, sizeof(*scene));
	scene->name = name;
	scene->registry.lock = -1;
	if ((size_t)snprintf(scene->folder, sizeof(scene->folder) - 16, "%s",
			     folder) >= sizeof(scene->folder) - 16)
		return error_set(error, -ENAMETOOLONG, "%.80s… is too long",
				 folder);
	r = read_identity(scene, error);
	if (!r && lock)
		r = registry_lock(&scene->registry, &control->config, error);
	else if (!r)
		r = registry_look(&scene->registry, &control->config, error);
	if (r == -ENOENT && !lock && scene->identity[0]) {
		error_clear(error);
		r = 0;
	}
	if (!r)
		r = read_both(scene, error);
	if (r)
		lease_scene_close(scene);
	return r;
}

void lease_scene_close(struct lease_scene *scene)
{
	registry_unlock(&scene->registry);
	lease_file_release(&scene->mine);
	lease_file_release(&scene->entry);
}

struct lease lease_next(const struct lease_scene *scene,
			struct control *control, enum lease_state state,
			const char *who)
{
	const struct lease *mine = &scene->mine, *entry = &scene->entry;
	struct lease lease = {.state = state, .at = units_now_us()};

	lease.epoch = mine->epoch > entry->epoch ? mine->epoch : entry->epoch;
	strcpy(lease.identity, scene->identity);
	strcpy(lease.before, entry->token);
	units_random_text(lease.token, 16);
	strcpy(lease.registry, scene->registry.id);
	strcpy(lease.host, host_key_id(leases_host_key(control->leases)));
	strcpy(lease.host_name, scene->registry.host_name);
	snprintf(lease.vault, sizeof(lease.vault), "%s", scene->name);
	strcpy(lease.folder, scene->folder);
	snprintf(lease.who, sizeof(lease.who), "%s", who);
	lease.record = mine->record;
	return lease;
}

static int write_mine(const struct lease_scene *scene,
		      const struct lease *lease, struct error *error)
{
	char path[PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/lease.json", scene->folder);
	return lease_file_write(path, lease, error);
}

/* The order is what the head of this file is about. */
int lease_write(const struct lease_scene *scene, const struct lease *lease,
		struct error *error)
{
	int r = write_mine(scene, lease, error);

	return r ? r : registry_write(&scene->registry, lease, error);
}

int lease_write_copy(const struct lease_scene *scene, struct control *control,
		     const char *who, struct error *error)
{
	struct lease lease = lease_next(scene, control, LEASE_COPY, who);
	const struct lease *last =
		scene->mine.state ? &scene->mine : &scene->entry;

	/* Who had it last is what there is to say of it. */
	if (last->state) {
		strcpy(lease.host, last->host);
		strcpy(lease.host_name, last->host_name);
		strcpy(lease.vault, last->vault);
		lease.at = last->at;
		lease.epoch = last->epoch;
	}
	return write_mine(scene, &lease, error);
}

int lease_scene_of(struct lease_scene *scene, struct control *control,
		   const struct vault *vault, bool lock, struct error *error)
{
	char folder[PATH_MAX];

	vault_path(control, vault->uuid, NULL, folder);
	return lease_scene_open(scene, control, folder, vault->name, lock,
				error);
}

int lease_check_instance(struct control *control, const struct vault *vault,
			 struct error *error)
{
	char path[PATH_MAX], pidfile[PATH_MAX], *xml;
	int r;

	vault_path(control, vault->uuid, "domain.xml", path);
	r = folder_read(path, DEFINITION_MAX, &xml, error);
	if (!r)
		r = instance_file(control, xml, pidfile, error);
	free(xml);
	return r;
}

void lease_tell(struct control *control, const char *type,
		const struct lease *lease, const char *key, const char *value)
{
	events_post(control->events, type, lease->vault,
		    json_pack("{s:s, s:s, s:I, s:s, s:s*}", "vault",
			      lease->vault, "who", lease->who, "epoch",
			      (json_int_t)lease->epoch, "identity",
			      lease->identity, key, value));
}
