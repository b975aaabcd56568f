/*
 * Whether a copy may run; see lease_scene.h.
 *
 * A lease and the registry's entry agree by their tokens: every write gives
 * both a new one. A copy that was left behind, by however little, has an old
 * token. Epochs only tell people which of two is the newer.
 */
#include "daemon/lease_scene.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/lease_record.h"
#include "daemon/units.h"

static bool is_same_folder(const char *one, const char *other)
{
	struct stat a, b;

	return !stat(one, &a) && !stat(other, &b) && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

bool lease_other_is_there(const struct lease_scene *scene)
{
	const char *folder = scene->entry.folder;
	char path[PATH_MAX + 16];
	struct lease other;
	bool there;

	if (scene->entry.state != LEASE_HELD || !folder[0] ||
	    is_same_folder(folder, scene->folder))
		return false;
	/* A registry that hosts share: that folder can't be seen from here. */
	if (strcmp(scene->entry.host_name, scene->registry.host_name) != 0)
		return true;
	snprintf(path, sizeof(path), "%s/lease.json", folder);
	/* One that can't be read is there as well. */
	if (lease_file_read(path, &other, NULL))
		return true;
	there = other.state != LEASE_NONE &&
		!strcmp(other.identity, scene->identity);
	lease_file_release(&other);
	return there;
}

/* To the minute: "2026-01-31 12:00 UTC". */
static const char *day(int64_t at, char text[UNITS_TIME_SIZE])
{
	units_time_format(at, text);
	text[10] = ' ';
	memcpy(text + 16, " UTC", 5);
	return text;
}

/* Ends each refusal. */
static int refuse(const struct lease_scene *scene, struct error *error,
		  const char *why)
{
	return error_set(error, -EPERM,
			 "%s; use that one, or if it is retired for good, say "
			 "so: mediavmctl vault restore %s",
			 why, scene->name);
}

static int refuse_damaged(const struct lease_scene *scene,
			  const struct error *damage, struct error *error)
{
	return error_set(error, -EPERM,
			 "%.300s: put it back from a backup, or if no other "
			 "copy of this machine is in use, say so: mediavmctl "
			 "vault restore %s",
			 damage->text, scene->name);
}

static int refuse_handed(const struct lease_scene *scene,
			 const struct lease *lease, const char *whose,
			 struct error *error)
{
	struct lease_fence fence;
	char why[280], at[UNITS_TIME_SIZE];
	bool to = !lease_record_read_fence(lease->record, &fence, NULL) &&
		  fence.target;

	snprintf(why, sizeof(why),
		 "%s was handed over to another host%s%.16s%s on %s by %.40s, "
		 "who exported it with --move",
		 whose, to ? " (key " : "", to ? fence.target : "",
		 to ? "…)" : "", day(lease->at, at), lease->who);
	return refuse(scene, error, why);
}

/* The holder as the registry knows it. */
static int refuse_entry(const struct lease_scene *scene, const char *what,
			struct error *error)
{
	const struct lease *entry = &scene->entry;
	char why[360], at[UNITS_TIME_SIZE];

	if (entry->state == LEASE_HANDED)
		return refuse_handed(scene, entry, "this machine", error);
	if (entry->state == LEASE_GONE) {
		snprintf(why, sizeof(why),
			 "%s: the machine's vault %s was deleted here on %s",
			 what, entry->vault, day(entry->at, at));
		return refuse(scene, error, why);
	}
	snprintf(why, sizeof(why),
		 "%s: vault %s in %.120s on %s has the lease since %s (run "
		 "%lld)",
		 what, entry->vault, entry->folder, entry->host_name,
		 day(entry->at, at), (long long)entry->epoch);
	return refuse(scene, error, why);
}

static int refuse_copy(const struct lease_scene *scene, const char *what,
		       struct error *error)
{
	const struct lease *mine = &scene->mine;
	char why[280], at[UNITS_TIME_SIZE];

	if (scene->entry.state == LEASE_HELD ||
	    scene->entry.state == LEASE_HANDED)
		return refuse_entry(scene, what, error);
	if (mine->state == LEASE_COPY && mine->epoch == 0 &&
	    scene->entry.state == LEASE_NONE) {
		snprintf(why, sizeof(why),
			 "it came here as a backup on %s, and the machine may "
			 "still be in use where that was made",
			 day(mine->at, at));
		return refuse(scene, error, why);
	}
	snprintf(why, sizeof(why),
		 "%s: the machine was last known on %s, as vault %s (run %lld, "
		 "%s)",
		 what, mine->host_name, mine->vault, (long long)mine->epoch,
		 day(mine->at, at));
	return refuse(scene, error, why);
}

static int refuse_foreign(const struct lease_scene *scene, struct error *error)
{
	char what[240];

	if (scene->entry.state != LEASE_NONE)
		return refuse_copy(scene, "this copy is of another host",
				   error);
	snprintf(what, sizeof(what),
		 "this copy came without its lease (the registry %.120s did "
		 "not give it)",
		 scene->registry.folder);
	return refuse_copy(scene, what, error);
}

static int judge_tokens(const struct lease_scene *scene, struct error *error)
{
	const struct lease *mine = &scene->mine, *entry = &scene->entry;
	char what[96];

	/* The second: between the two writes of a change. */
	if (strcmp(mine->token, entry->token) != 0 &&
	    strcmp(mine->before, entry->token) != 0) {
		if (entry->state == LEASE_NONE)
			return refuse_copy(scene,
					   "this host's registry has lost it",
					   error);
		snprintf(what, sizeof(what),
			 "this copy is behind (its last run is %lld)",
			 (long long)mine->epoch);
		return refuse_entry(scene, what, error);
	}
	if (lease_other_is_there(scene))
		return refuse_entry(scene, "this is a copy", error);
	return 0;
}

int lease_judge(const struct lease_scene *scene, struct error *error)
{
	const struct lease *mine = &scene->mine;

	if (scene->mine_damage.code)
		return refuse_damaged(scene, &scene->mine_damage, error);
	if (scene->entry_damage.code)
		return refuse_damaged(scene, &scene->entry_damage, error);
	switch (mine->state) {
	case LEASE_NONE:
		/* Of an older version, and the first of its kind here. */
		if (scene->entry.state == LEASE_NONE)
			return 0;
		return refuse_entry(scene, "its lease.json is missing", error);
	case LEASE_HANDED:
		return refuse_handed(scene, mine, "it", error);
	case LEASE_COPY:
		return refuse_copy(scene, "this is a copy", error);
	default:
		break;
	}
	if (strcmp(mine->identity, scene->identity) != 0)
		return refuse_copy(scene, "its lease is of another machine",
				   error);
	if (strcmp(mine->registry, scene->registry.id) != 0)
		return refuse_foreign(scene, error);
	return judge_tokens(scene, error);
}
