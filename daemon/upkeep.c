/* What the daemon does to its vaults by itself; see upkeep.h. */
#include "daemon/upkeep.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/attach.h"
#include "daemon/catalogue.h"
#include "daemon/control.h"
#include "daemon/digest.h"
#include "daemon/disk.h"
#include "daemon/job.h"
#include "daemon/log.h"
#include "daemon/snapshot.h"
#include "daemon/units.h"
#include "daemon/vault.h"

#define SECOND 1000000ll
#define LOOK_US (60 * SECOND)
#define AGAIN_US (3600 * SECOND) /* after what did not work */
#define UNUSED_S 600             /* before layers are joined */

struct upkeep {
	struct control *control;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool started, ending, poked;
	int from, to;      /* hours of the day; equal: always */
	char wanted[37];   /* the vault whose layers shall change, or "" */
	volatile bool cut; /* joining shall end */
};

/* --- when ------------------------------------------------------------- */

static bool is_hour(const struct upkeep *u)
{
	time_t now = time(NULL);
	struct tm tm;

	if (u->from == u->to)
		return true;
	localtime_r(&now, &tm);
	return u->from < u->to ? tm.tm_hour >= u->from && tm.tm_hour < u->to
			       : tm.tm_hour >= u->from || tm.tm_hour < u->to;
}

bool upkeep_is_wanted(struct control *control, const char *uuid)
{
	struct upkeep *u = control->upkeep;
	bool is = false;

	if (u) {
		pthread_mutex_lock(&u->lock);
		is = !strcmp(u->wanted, uuid);
		pthread_mutex_unlock(&u->lock);
	}
	return is;
}

void upkeep_want(struct control *control, const char *uuid)
{
	struct upkeep *u = control->upkeep;

	if (!u)
		return;
	pthread_mutex_lock(&u->lock);
	snprintf(u->wanted, sizeof(u->wanted), "%s", uuid);
	pthread_mutex_unlock(&u->lock);
}

int upkeep_check(struct control *control, const char *uuid, bool verifies,
		 struct error *error)
{
	if (upkeep_is_wanted(control, uuid))
		return error_set(error, -ECANCELED,
				 "it gave way to a change of layers");
	if (!verifies || !control->upkeep || is_hour(control->upkeep))
		return 0;
	return error_set(error, -ECANCELED,
			 "the hours of verifications (%s) are over; it goes "
			 "on in the next",
			 control->config.verify_hours);
}

struct kept {
	int64_t at;
	char state[16];
	json_t *json;
};

static int take_kept(void *data, const struct catalogue_row *row)
{
	struct kept *kept = data;

	kept->at = catalogue_row_int(row, 0);
	snprintf(kept->state, sizeof(kept->state), "%s",
		 catalogue_row_text(row, 1));
	kept->json = json_pack(
		"{s:s, s:o, s:s?, s:o, s:I, s:f}", "state", kept->state, "at",
		units_time_json(kept->at), "text", catalogue_row_text(row, 2),
		"damage", json_loads(catalogue_row_text(row, 3), 0, NULL),
		"bytes", (json_int_t)catalogue_row_int(row, 4), "seconds",
		(double)catalogue_row_int(row, 5) / 1e6);
	return 1;
}

/* The last whole verification; json_decref its json. */
static void read_kept(struct control *control, const char *uuid,
		      struct kept *kept)
{
	memset(kept, 0, sizeof(*kept));
	catalogue_read(control->catalogue,
		       "SELECT at, state, text, damage, bytes, duration "
		       "FROM verification WHERE vault = ?",
		       CATALOGUE_VALUES(catalogue_text(uuid)), take_kept, kept,
		       NULL);
}

/*
 * The first snapshot's time when there was no verification; 0: never due. What
 * was in the future, by a clock that was wrong, is due at once.
 */
static int64_t due_at(struct control *control, const struct vault *vault,
		      const struct kept *kept, const struct layers *layers)
{
	uint64_t seconds = vault->policy.verify == POLICY_VERIFY_DEFAULT
				   ? control->config.verify_interval / 1000
				   : vault->policy.verify;
	int64_t since = kept->at, after, now = units_now_us();

	if (!layers->snapshot_count || !seconds ||
	    seconds == POLICY_VERIFY_OFF || seconds > INT64_MAX / SECOND / 2)
		return 0;
	after = (int64_t)seconds * SECOND;
	if (!since)
		since = layers->snapshots[0].created_at;
	if (!strcmp(kept->state, "failed") && after > AGAIN_US)
		after = AGAIN_US;
	return since > now ? now : since + after;
}

static int take_int(void *data, const struct catalogue_row *row)
{
	*(int64_t *)data = catalogue_row_int(row, 0);
	return 1;
}

static int64_t ask(struct control *control, const char *sql, const char *vault,
		   const char *kind, int64_t from, int64_t to)
{
	int64_t n = 0;

	catalogue_read(control->catalogue, sql,
		       CATALOGUE_VALUES(catalogue_text(vault),
					catalogue_text(kind),
					catalogue_int(from), catalogue_int(to)),
		       take_int, &n, NULL);
	return n;
}

/*
 * Such a job is at work, or was cancelled or did not work a short while ago
 * (when a verification that failed is due, due_at says).
 */
static bool is_given_up(struct control *control, const struct vault *vault,
			const char *kind, int64_t since)
{
	int64_t now = units_now_us(), recent = now - AGAIN_US;

	/* Times in the future are of a clock that was wrong. */
	if (since < recent || since > now)
		since = recent;
	if (since < control->started_at && control->started_at <= now)
		since = control->started_at;
	return ask(control,
		   "SELECT count(*) FROM job WHERE session = ?1 AND "
		   "kind = ?2 AND (state = 'running' OR "
		   "((state = 'cancelled' OR (state = 'failed' AND "
		   "kind = 'digest')) AND ended_at > ?3 AND ended_at <= ?4))",
		   vault->uuid, kind, since, now) > 0;
}

static bool is_any_at_work(struct control *control)
{
	return ask(control,
		   "SELECT count(*) FROM job WHERE kind IN ('verify', "
		   "'digest') AND state = 'running' AND ?1 = ?2 AND ?3 = ?4",
		   "", "", 0, 0) > 0;
}

/* --- joining ---------------------------------------------------------- */

static bool is_unused(struct control *control, const struct vault *vault,
		      struct layers *layers)
{
	char folder[PATH_MAX], path[PATH_MAX];
	struct stat st;
	time_t age;

	if (vault->started_at)
		return false;
	vault_path(control, vault->uuid, NULL, folder);
	for (unsigned i = 0; i < layers->disk_count; i++) {
		layers_path(folder,
			    layers_find(layers, layers->disks[i].active), path);
		if (stat(path, &st))
			return false;
		/* In the future: of a clock that was wrong. */
		age = time(NULL) - st.st_mtime;
		if (age >= 0 && age < UNUSED_S)
			return false;
	}
	return true;
}

static bool has_spare(struct layers *layers)
{
	struct layer *child;

	for (unsigned i = 0; i < layers->layer_count; i++) {
		const char *file = layers->layers[i].file;

		if (!layers_is_active(layers, file) &&
		    !layers_is_held(layers, file) &&
		    layers_children(layers, file, &child) <= 1)
			return true;
	}
	return false;
}

static void join(struct upkeep *u, const struct vault *vault)
{
	struct control *control = u->control;
	struct error error = {0};

	pthread_mutex_lock(&u->lock);
	u->cut = u->ending;
	pthread_mutex_unlock(&u->lock);
	if (vaults_lock_loosely(control->vaults, vault->uuid, &u->cut, NULL))
		return;
	disk_set_cancel(&u->cut);
	if (snapshot_compact(control, vault, &error) && !u->cut)
		log_warning("vault %s: %s", vault->name, error.text);
	disk_set_cancel(NULL);
	vaults_unlock(control->vaults, vault->uuid);
}

/* --- the round -------------------------------------------------------- */

/* Begins at most one job; *next is when the earliest verification is due. */
static void look_at(struct upkeep *u, const struct vault *vault, bool *at_work,
		    int64_t *next)
{
	struct control *control = u->control;
	struct layers *layers = NULL;
	char id[JOB_ID_SIZE];
	struct kept kept;
	int64_t due;

	if (attach_is(vault) ||
	    snapshot_layers(control, vault, &layers, NULL) ||
	    !layers->snapshot_count) {
		free(layers);
		return;
	}
	read_kept(control, vault->uuid, &kept);
	due = due_at(control, vault, &kept, layers);
	json_decref(kept.json);
	if (!*at_work && digest_is_missing(control, vault) &&
	    !is_given_up(
		    control, vault, "digest",
		    layers->snapshots[layers->snapshot_count - 1].created_at))
		*at_work = !job_digest(control->jobs, vault->name, id, NULL);
	else if (!*at_work && due && due <= units_now_us() && is_hour(u) &&
		 !is_given_up(control, vault, "verify", 0))
		*at_work =
			!job_verify(control->jobs, vault->name, true, id, NULL);
	else if (has_spare(layers) && is_unused(control, vault, layers))
		join(u, vault);
	if (due && (!*next || due < *next))
		*next = due;
	free(layers);
}

static int take_uuid(void *data, const struct catalogue_row *row)
{
	json_array_append_new(data, json_string(catalogue_row_text(row, 0)));
	return 0;
}

static json_t *list_vaults(struct control *control)
{
	json_t *list = json_array();

	catalogue_read(control->catalogue,
		       "SELECT uuid FROM vault WHERE ready ORDER BY name",
		       CATALOGUE_NONE, take_uuid, list, NULL);
	return list;
}

static bool is_ending(struct upkeep *u)
{
	bool ending;

	pthread_mutex_lock(&u->lock);
	ending = u->ending;
	pthread_mutex_unlock(&u->lock);
	return ending;
}

/* Returns in how many us to look again. */
static int64_t look(struct upkeep *u)
{
	bool at_work = is_any_at_work(u->control);
	json_t *list = list_vaults(u->control), *uuid;
	int64_t now = units_now_us(), next = 0;
	size_t i;

	json_array_foreach(list, i, uuid)
	{
		struct vault vault;

		if (is_ending(u) ||
		    vault_find_uuid(u->control, json_string_value(uuid), &vault,
				    NULL))
			continue;
		look_at(u, &vault, &at_work, &next);
		vault_release(&vault);
	}
	json_decref(list);
	/* The end of a job pokes. */
	if (at_work || !next || next > now + LOOK_US || next <= now)
		return LOOK_US;
	return next - now;
}

/* By the clock that nobody sets. */
static void make_wake(pthread_cond_t *wake)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(wake, &attributes);
	pthread_condattr_destroy(&attributes);
}

static void *work(void *data)
{
	struct upkeep *u = data;

	setpriority(PRIO_PROCESS, (id_t)gettid(), 19);
	pthread_mutex_lock(&u->lock);
	while (!u->ending) {
		struct timespec until;
		int64_t next;

		u->poked = false;
		pthread_mutex_unlock(&u->lock);
		next = look(u);
		next += units_steady_us();
		pthread_mutex_lock(&u->lock);
		until.tv_sec = next / SECOND;
		until.tv_nsec = next % SECOND * 1000;
		while (!u->ending && !u->poked &&
		       !pthread_cond_timedwait(&u->wake, &u->lock, &until))
			;
	}
	pthread_mutex_unlock(&u->lock);
	return NULL;
}

void upkeep_poke(struct control *control)
{
	struct upkeep *u = control->upkeep;

	if (!u)
		return;
	pthread_mutex_lock(&u->lock);
	u->poked = true;
	pthread_cond_broadcast(&u->wake);
	pthread_mutex_unlock(&u->lock);
}

int upkeep_new(struct upkeep **upkeep, struct control *control,
	       struct error *error)
{
	struct upkeep *u = calloc(1, sizeof(*u));
	int r;

	*upkeep = NULL;
	if (!u)
		return error_set(error, -ENOMEM, "no memory");
	u->control = control;
	pthread_mutex_init(&u->lock, NULL);
	make_wake(&u->wake);
	r = config_hours(control->config.verify_hours, &u->from, &u->to, error);
	if (!r) {
		*upkeep = u;
		r = pthread_create(&u->thread, NULL, work, u);
		u->started = !r;
		if (r)
			r = error_errno(error, r, "can't start a thread");
	}
	if (r) {
		*upkeep = NULL;
		upkeep_free(u);
	}
	return r;
}

void upkeep_stop(struct upkeep *u)
{
	if (!u || !u->started)
		return;
	pthread_mutex_lock(&u->lock);
	u->ending = true;
	u->cut = true;
	pthread_cond_broadcast(&u->wake);
	pthread_mutex_unlock(&u->lock);
	pthread_join(u->thread, NULL);
	u->started = false;
}

void upkeep_free(struct upkeep *u)
{
	if (!u)
		return;
	upkeep_stop(u);
	pthread_cond_destroy(&u->wake);
	pthread_mutex_destroy(&u->lock);
	free(u);
}

/* --- what is told ----------------------------------------------------- */

json_t *upkeep_json(struct control *control, const struct vault *vault)
{
	struct layers *layers = NULL;
	struct kept kept;
	int64_t due = 0;

	read_kept(control, vault->uuid, &kept);
	if (!kept.json)
		kept.json = json_pack("{s:s, s:n, s:n, s:[]}", "state", "never",
				      "at", "text", "damage");
	if (!snapshot_layers(control, vault, &layers, NULL)) {
		due = due_at(control, vault, &kept, layers);
		json_object_set_new(
			kept.json, "digested",
			json_boolean(!digest_is_missing(control, vault)));
	}
	json_object_set_new(kept.json, "next_at", units_time_json(due));
	free(layers);
	return kept.json;
}

static int take_row(void *data, const struct catalogue_row *row)
{
	json_array_append_new(data,
			      json_pack("{s:s, s:s, s:I}", "name",
					catalogue_row_text(row, 0), "state",
					catalogue_row_text(row, 1), "at",
					(json_int_t)catalogue_row_int(row, 2)));
	return 0;
}

static json_t *list_verified(struct control *control)
{
	json_t *list = json_array();

	catalogue_read(control->catalogue,
		       "SELECT vault.name, verification.state, "
		       "verification.at FROM verification JOIN vault "
		       "ON vault.uuid = verification.vault ORDER BY name",
		       CATALOGUE_NONE, take_row, list, NULL);
	return list;
}

static bool is_damaged(const json_t *row)
{
	return !strcmp(json_string_value(json_object_get(row, "state")),
		       "damaged");
}

unsigned upkeep_damaged(struct control *control, char *names, size_t size)
{
	json_t *list = list_verified(control), *row;
	unsigned count = 0;
	size_t i, at = 0;

	names[0] = '\0';
	json_array_foreach(list, i, row)
	{
		if (!is_damaged(row))
			continue;
		if (at < size)
			at += (size_t)snprintf(
				names + at, size - at, "%s%s",
				count ? ", " : "",
				json_string_value(
					json_object_get(row, "name")));
		count++;
	}
	json_decref(list);
	return count;
}

char *upkeep_metrics(struct control *control)
{
	json_t *list = list_verified(control), *row;
	char *text = NULL;
	size_t size, i;
	FILE *out = open_memstream(&text, &size);

	if (out) {
		fputs("# TYPE mediavm_vault_damaged gauge\n", out);
		json_array_foreach(list, i, row)
			fprintf(out, "mediavm_vault_damaged{vault=\"%s\"} %d\n",
				json_string_value(json_object_get(row, "name")),
				is_damaged(row));
		fputs("# TYPE mediavm_vault_verified_seconds gauge\n", out);
		json_array_foreach(list, i, row)
			fprintf(out,
				"mediavm_vault_verified_seconds{vault=\"%s\"} "
				"%lld\n",
				json_string_value(json_object_get(row, "name")),
				(long long)json_integer_value(
					json_object_get(row, "at")) /
					SECOND);
		fclose(out);
	}
	json_decref(list);
	return text;
}
