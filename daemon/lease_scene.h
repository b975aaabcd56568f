/*
 * A vault's lease beside its host's registry: what both say, whether that lets
 * this copy run, and how both are changed. lease.c and lease_move.c act on it.
 */
#ifndef DAEMON_LEASE_SCENE_H
#define DAEMON_LEASE_SCENE_H

#include <limits.h>
#include <stdbool.h>

#include "daemon/registry.h"

struct control;
struct vault;

/* Both sides, as they were when it was opened. */
struct lease_scene {
	const char *name; /* of the vault, borrowed */
	char folder[PATH_MAX];
	char identity[DOMAIN_IDENTITY_SIZE];
	struct registry registry;
	struct lease mine, entry;
	/* One that is damaged is as none; this says so (code 0: it is not). */
	struct error mine_damage, entry_damage;
};

/*
 * Of a folder with domain.xml. With lock the registry is made if need be, and
 * stays as it is until lease_scene_close; without, it is only looked at.
 */
int lease_scene_open(struct lease_scene *scene, struct control *control,
		     const char *folder, const char *name, bool lock,
		     struct error *error);
/* The same of a vault. */
int lease_scene_of(struct lease_scene *scene, struct control *control,
		   const struct vault *vault, bool lock, struct error *error);
void lease_scene_close(struct lease_scene *scene);

/* 0, or -EPERM: who has it, since when, and what to do. */
int lease_judge(const struct lease_scene *scene, struct error *error);

/* Whether the entry's holder is another folder that is still there. */
bool lease_other_is_there(const struct lease_scene *scene);

/* What comes next: here, with a new token and the highest epoch so far. Its
 * record is the old one's, borrowed. */
struct lease lease_next(const struct lease_scene *scene,
			struct control *control, enum lease_state state,
			const char *who);
/* Writes both sides; the scene was opened with lock. */
int lease_write(const struct lease_scene *scene, const struct lease *lease,
		struct error *error);
/* Writes the lease of a copy that may not start; the registry stays. */
int lease_write_copy(const struct lease_scene *scene, struct control *control,
		     const char *who, struct error *error);

/* -EBUSY when the machine runs on this host, from whatever folder. */
int lease_check_instance(struct control *control, const struct vault *vault,
			 struct error *error);
/* Posts an event about it; value may be NULL. */
void lease_tell(struct control *control, const char *type,
		const struct lease *lease, const char *key, const char *value);

#endif
