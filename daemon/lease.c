/* Leases of vaults; see lease.h. */
#include "daemon/lease.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "daemon/attach.h"
#include "daemon/control.h"
#include "daemon/lease_scene.h"
#include "daemon/log.h"
#include "daemon/units.h"
#include "daemon/vault.h"

/* The folder of a vault that this daemon has started: locked. */
struct held {
	char uuid[37];
	int fd;
	struct held *next;
};

struct leases {
	struct host_key *key;
	pthread_mutex_t lock;
	struct held *held;
};

int leases_new(struct leases **leases, struct control *control,
	       struct error *error)
{
	struct leases *l = calloc(1, sizeof(*l));
	int r = l ? host_key_open(&l->key, control->config.state, error)
		  : error_set(error, -ENOMEM, "no memory");

	*leases = NULL;
	if (r) {
		free(l);
		return r;
	}
	pthread_mutex_init(&l->lock, NULL);
	*leases = l;
	return 0;
}

void leases_free(struct leases *leases)
{
	struct held *next;

	if (!leases)
		return;
	for (struct held *held = leases->held; held; held = next) {
		next = held->next;
		close(held->fd);
		free(held);
	}
	pthread_mutex_destroy(&leases->lock);
	host_key_free(leases->key);
	free(leases);
}

const struct host_key *leases_host_key(const struct leases *leases)
{
	return leases->key;
}

static struct held **find_held(struct leases *leases, const char *uuid)
{
	struct held **at = &leases->held;

	while (*at && strcmp((*at)->uuid, uuid) != 0)
		at = &(*at)->next;
	return at;
}

static int lock_new(struct leases *leases, const char *uuid, const char *folder,
		    struct error *error)
{
	struct held *held = calloc(1, sizeof(*held));
	int r = 0;

	if (!held)
		return error_set(error, -ENOMEM, "no memory");
	snprintf(held->uuid, sizeof(held->uuid), "%s", uuid);
	held->fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (held->fd < 0)
		r = error_errno(error, errno, "can't open %s", folder);
	else if (flock(held->fd, LOCK_EX | LOCK_NB))
		r = errno == EWOULDBLOCK
			    ? error_set(error, -EBUSY,
					"another mediavmd works on %s: end "
					"that one first",
					folder)
			    : error_errno(error, errno, "can't lock %s",
					  folder);
	if (r) {
		if (held->fd >= 0)
			close(held->fd);
		free(held);
		return r;
	}
	held->next = leases->held;
	leases->held = held;
	return 0;
}

/* Locks the vault's folder until the daemon ends or the vault is deleted. */
static int lock_folder(struct leases *leases, const char *uuid,
		       const char *folder, struct error *error)
{
	int r = 0;

	pthread_mutex_lock(&leases->lock);
	if (!*find_held(leases, uuid))
		r = lock_new(leases, uuid, folder, error);
	pthread_mutex_unlock(&leases->lock);
	return r;
}

static void unlock_folder(struct leases *leases, const char *uuid)
{
	struct held **at, *held;

	pthread_mutex_lock(&leases->lock);
	at = find_held(leases, uuid);
	held = *at;
	if (held) {
		*at = held->next;
		close(held->fd);
	}
	pthread_mutex_unlock(&leases->lock);
	free(held);
}

int lease_make(struct control *control, const char *uuid, const char *name,
	       const char *who, struct error *error)
{
	struct lease_scene scene;
	struct lease lease;
	char folder[PATH_MAX];
	int r;

	vault_path(control, uuid, NULL, folder);
	r = lease_scene_open(&scene, control, folder, name, true, error);
	if (r)
		return r;
	if (scene.entry_damage.code || scene.entry.state == LEASE_HANDED ||
	    lease_other_is_there(&scene)) {
		r = lease_write_copy(&scene, control, who, error);
	} else {
		lease = lease_next(&scene, control, LEASE_HELD, who);
		r = lease_write(&scene, &lease, error);
	}
	lease_scene_close(&scene);
	return r;
}

/* A vault of an older version, when nobody else is known to have it. */
static int give(struct control *control, const struct vault *vault,
		struct error *error)
{
	struct lease_scene scene;
	struct lease lease;
	int r = lease_scene_of(&scene, control, vault, true, error);

	if (r)
		return r;
	if (scene.mine.state == LEASE_NONE && !lease_judge(&scene, NULL)) {
		lease = lease_next(&scene, control, LEASE_HELD, "mediavmd");
		r = lease_write(&scene, &lease, error);
	}
	lease_scene_close(&scene);
	return r;
}

void lease_recover(struct control *control, const struct vault *vault,
		   bool runs)
{
	struct error error = {0};
	char path[PATH_MAX];

	if (attach_is(vault))
		return;
	vault_path(control, vault->uuid, "lease.json", path);
	if (access(path, F_OK) && give(control, vault, &error))
		log_warning("vault %s: %s", vault->name, error.text);
	vault_path(control, vault->uuid, NULL, path);
	if (runs && lock_folder(control->leases, vault->uuid, path, &error))
		log_warning("vault %s: %s", vault->name, error.text);
}

static int raise_epoch(struct control *control, const struct lease_scene *scene,
		       bool force, const char *who, struct error *error)
{
	struct error refusal = {0};
	struct lease lease;
	int r = lease_judge(scene, &refusal);

	if (r && !force)
		return error_set(error, r, "%s", refusal.text);
	lease = lease_next(scene, control, LEASE_HELD, who);
	lease.epoch++;
	/* Said before it is done, so that it can't be done unsaid. */
	if (r)
		lease_tell(control, "lease.forced", &lease, "why",
			   refusal.text);
	return lease_write(scene, &lease, error);
}

int lease_take(struct control *control, const struct vault *vault, bool force,
	       const char *who, struct error *error)
{
	struct lease_scene scene;
	char folder[PATH_MAX];
	int r = lease_check_instance(control, vault, error);

	vault_path(control, vault->uuid, NULL, folder);
	if (!r)
		r = lock_folder(control->leases, vault->uuid, folder, error);
	if (!r)
		r = lease_scene_of(&scene, control, vault, true, error);
	if (r)
		return r;
	r = raise_epoch(control, &scene, force, who, error);
	lease_scene_close(&scene);
	return r;
}

static const char *state_name(const struct lease_scene *scene, bool may)
{
	if (may)
		return "here";
	return scene->mine.state == LEASE_HANDED ? "handed-over" : "elsewhere";
}

/* Who has the machine, as far as this host knows. */
static json_t *holder_json(const struct lease_scene *scene)
{
	const struct lease *last =
		scene->entry.state ? &scene->entry : &scene->mine;

	if (!last->state)
		return json_null();
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:s}", "host", last->host,
			 "host_name", last->host_name, "vault", last->vault,
			 "folder", last->folder, "since",
			 units_time_json(last->at), "who", last->who);
}

json_t *lease_json(struct control *control, const struct vault *vault)
{
	struct error error = {0};
	struct lease_scene scene;
	json_t *json;
	bool may;

	if (attach_is(vault))
		return json_null();
	if (lease_scene_of(&scene, control, vault, false, &error))
		return json_pack("{s:s, s:n, s:n, s:s, s:n, s:n}", "state",
				 "unknown", "epoch", "identity", "why",
				 error.text, "holder", "record");
	may = !lease_judge(&scene, &error);
	json = json_pack(
		"{s:s, s:I, s:s, s:s?, s:o, s:O?}", "state",
		state_name(&scene, may), "epoch", (json_int_t)scene.mine.epoch,
		"identity", scene.identity, "why", may ? NULL : error.text,
		"holder", holder_json(&scene), "record", scene.mine.record);
	lease_scene_close(&scene);
	return json;
}

void lease_forget(struct control *control, const struct vault *vault)
{
	struct lease_scene scene;
	struct error error = {0};
	struct lease lease;
	int r;

	unlock_folder(control->leases, vault->uuid);
	if (attach_is(vault))
		return;
	r = lease_scene_of(&scene, control, vault, true, &error);
	if (!r && scene.entry.state == LEASE_HELD &&
	    !lease_judge(&scene, NULL)) {
		/* The same tokens: the folder may come back. */
		lease = scene.entry;
		lease.state = LEASE_GONE;
		lease.at = units_now_us();
		r = registry_write(&scene.registry, &lease, &error);
	}
	if (r)
		log_warning("vault %s: %s", vault->name, error.text);
	else
		lease_scene_close(&scene);
}
