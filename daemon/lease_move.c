/*
 * A lease goes to another host, or is claimed by its owner's word; see lease.h.
 */
#include "daemon/lease.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/control.h"
#include "daemon/domain.h"
#include "daemon/folder.h"
#include "daemon/lease_record.h"
#include "daemon/lease_scene.h"
#include "daemon/vault.h"

#define DEFINITION_MAX (1 << 20)
#define STATEMENT_MOST 500

static int fence(struct control *control, const struct vault *vault,
		 const struct lease_scene *scene, const char *target,
		 const char *who, json_t **record, struct error *error)
{
	struct lease lease = lease_next(scene, control, LEASE_HANDED, who);
	const struct lease_record says = {.kind = "fence",
					  .uuid = vault->uuid,
					  .target = target,
					  .lease = &lease};
	int r;

	lease.epoch++;
	r = lease_record_make(leases_host_key(control->leases), &says, record,
			      error);
	if (r)
		return r;
	lease.record = *record;
	r = lease_write(scene, &lease, error);
	if (r) {
		json_decref(*record);
		*record = NULL;
		return r;
	}
	lease_tell(control, "lease.handed_over", &lease, "target", target);
	return 0;
}

/* Cut after the first write: the second is still to be done. */
static int fence_again(const struct lease_scene *scene, json_t **record,
		       struct error *error)
{
	struct lease_fence says;
	int r = lease_record_read_fence(scene->mine.record, &says, error);

	if (!r && !strcmp(scene->mine.before, scene->entry.token))
		r = registry_write(&scene->registry, &scene->mine, error);
	if (!r)
		*record = json_incref(scene->mine.record);
	return r;
}

int lease_fence(struct control *control, const struct vault *vault,
		const char *target, const char *who, json_t **record,
		struct error *error)
{
	uint8_t id[32];
	struct lease_scene scene;
	int r = target ? host_key_unhex(target, id, sizeof(id), error) : 0;

	*record = NULL;
	if (r)
		error_prefix(error, "the key of the host to move to (its "
				    "mediavmctl status shows it)");
	else
		r = lease_check_instance(control, vault, error);
	if (!r)
		r = lease_scene_of(&scene, control, vault, true, error);
	if (r)
		return r;
	if (scene.mine.state == LEASE_HANDED) {
		r = fence_again(&scene, record, error);
	} else {
		r = lease_judge(&scene, error);
		if (!r)
			r = fence(control, vault, &scene, target, who, record,
				  error);
	}
	lease_scene_close(&scene);
	return r;
}

/* Whom the registry knows as the holder was deleted, or is nowhere any more. */
static bool is_lost(const struct lease_scene *scene)
{
	const struct lease *entry = &scene->entry;
	char path[PATH_MAX + 16];

	if (entry->state == LEASE_GONE)
		return true;
	snprintf(path, sizeof(path), "%s/lease.json", entry->folder);
	return entry->state == LEASE_HELD && entry->folder[0] &&
	       !strcmp(entry->host_name, scene->registry.host_name) &&
	       access(path, F_OK) && errno == ENOENT;
}

/* The registry knows of this, or of what came later. */
static bool is_spent(const struct lease_fence *says, const struct lease *entry)
{
	const char *known =
		json_string_value(json_object_get(entry->record, "id"));

	if (entry->state == LEASE_HANDED && known && !strcmp(known, says->id))
		return false;
	return entry->state != LEASE_NONE && says->epoch <= entry->epoch;
}

/*
 * What the record says beside what the registry says. One that was accepted
 * already is refused, unless what it became is lost: then it is as a backup.
 */
static int check_fence(struct control *control, const struct lease_fence *says,
		       const struct lease_scene *scene, struct error *error)
{
	const char *id = host_key_id(leases_host_key(control->leases));
	const struct lease *entry = &scene->entry;

	if (strcmp(says->identity, scene->identity) != 0)
		return error_set(error, -EBADMSG,
				 "the fencing record is of another machine");
	if (says->target && strcmp(says->target, id) != 0)
		return error_set(error, -EPERM,
				 "%.64s handed it over to the host with key "
				 "%.16s…, and this one has %.16s…: import it "
				 "there",
				 says->host_name, says->target, id);
	if (is_spent(says, entry) && !is_lost(scene))
		return error_set(error, -EEXIST,
				 "its lease was accepted already (this host "
				 "knows run %lld, vault %s in %.160s; the "
				 "bundle is of run %lld): a lease travels once",
				 (long long)entry->epoch, entry->vault,
				 entry->folder, (long long)says->epoch);
	return 0;
}

/* A call that was cut after its last write is repeated. */
static bool is_accepted(const struct lease_scene *scene,
			const struct lease_fence *says)
{
	const struct lease *mine = &scene->mine;
	const char *id = json_string_value(json_object_get(mine->record, "id"));

	return mine->state == LEASE_HELD && id && !strcmp(id, says->id) &&
	       scene->entry.state == LEASE_HELD &&
	       !strcmp(mine->token, scene->entry.token);
}

static int accept_fence(struct control *control,
			const struct lease_scene *scene, const json_t *record,
			const char *place, const char *who, struct error *error)
{
	struct lease_fence says;
	struct lease lease;
	int r = lease_record_read_fence(record, &says, error);

	if (!r && is_accepted(scene, &says))
		return 0;
	if (!r)
		r = check_fence(control, &says, scene, error);
	if (r)
		return r;
	if (is_spent(&says, &scene->entry))
		return lease_write_copy(scene, control, who, error);
	lease = lease_next(scene, control, LEASE_HELD, who);
	lease.epoch = says.epoch;
	lease.record = (json_t *)record;
	snprintf(lease.folder, sizeof(lease.folder), "%s", place);
	r = lease_write(scene, &lease, error);
	if (!r)
		lease_tell(control, "lease.accepted", &lease, "from",
			   says.host);
	return r;
}

/* Where an imported folder will be, and what it is called in its definition. */
static int read_facts(const char *folder, struct domain_facts *facts,
		      struct error *error)
{
	char path[PATH_MAX], *xml;
	int r;

	snprintf(path, sizeof(path), "%s/domain.xml", folder);
	r = folder_read(path, DEFINITION_MAX, &xml, error);
	if (!r)
		r = domain_read(xml, facts, error);
	free(xml);
	return r;
}

int lease_accept(struct control *control, const char *folder,
		 const json_t *record, const char *who, struct error *error)
{
	struct domain_facts facts;
	struct lease_scene scene;
	char place[PATH_MAX];
	int r = read_facts(folder, &facts, error);

	if (!r)
		r = lease_scene_open(&scene, control, folder, facts.name, true,
				     error);
	if (r)
		return r;
	vault_path(control, facts.uuid, NULL, place);
	if (record && scene.entry_damage.code)
		r = error_set(error, -EBADMSG,
			      "%.300s: put it back from a backup, or remove it "
			      "if no copy of this machine is in use on this "
			      "host",
			      scene.entry_damage.text);
	else if (record)
		r = accept_fence(control, &scene, record, place, who, error);
	else
		r = lease_write_copy(&scene, control, who, error);
	lease_scene_close(&scene);
	return r;
}

static int restore(struct control *control, const struct vault *vault,
		   const struct lease_scene *scene, const char *statement,
		   const char *who, struct error *error)
{
	struct lease lease = lease_next(scene, control, LEASE_HELD, who);
	const struct lease_record says = {.kind = "restore",
					  .uuid = vault->uuid,
					  .statement = statement,
					  .lease = &lease};
	json_t *record;
	int r;

	lease.epoch++;
	r = lease_record_make(leases_host_key(control->leases), &says, &record,
			      error);
	if (r)
		return r;
	lease.record = record;
	lease_tell(control, "lease.restored", &lease, "statement", statement);
	r = lease_write(scene, &lease, error);
	json_decref(record);
	return r;
}

int lease_restore(struct control *control, const struct vault *vault,
		  const char *statement, const char *who, struct error *error)
{
	struct lease_scene scene;
	int r;

	if (!statement || !statement[0] || strlen(statement) > STATEMENT_MOST)
		return error_set(error, -EINVAL,
				 "say, in up to %d characters, what became of "
				 "the other copies (--statement)",
				 STATEMENT_MOST);
	r = lease_check_instance(control, vault, error);
	if (!r)
		r = lease_scene_of(&scene, control, vault, true, error);
	if (r)
		return r;
	if (!lease_judge(&scene, NULL))
		r = error_set(error, -EEXIST,
			      "it has the lease of its machine already; start "
			      "it");
	else
		r = restore(control, vault, &scene, statement, who, error);
	lease_scene_close(&scene);
	return r;
}
