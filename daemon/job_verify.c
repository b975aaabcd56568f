/*
 * Jobs of a vault's digests: making those that are missing, and the deep
 * verification, which compares everything with them. Its result is kept in
 * the catalogue. One that somebody waits for compares the identity of a sealed
 * vault that does not run as well.
 */
#include "daemon/job_list.h"
#include "daemon/job_work.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/attach.h"
#include "daemon/catalogue.h"
#include "daemon/control.h"
#include "daemon/digest.h"
#include "daemon/event.h"
#include "daemon/seal.h"
#include "daemon/snapshot.h"
#include "daemon/units.h"
#include "daemon/upkeep.h"
#include "daemon/vault.h"

#define DAY_S (24 * 3600)

struct verify {
	struct control *control;
	struct job_work *work; /* when it has begun */
	struct vault vault;
	bool verify, background;
	int64_t began; /* us */
};

static int tell(void *data, uint64_t done, uint64_t all, struct error *error)
{
	struct verify *v = data;
	int r = job_work_check(v->work, error);

	if (!r && v->background)
		r = upkeep_check(v->control, v->vault.uuid, v->verify, error);
	job_work_bytes(v->work, done, all);
	return r;
}

static const char *state_of(int r, const char *damage)
{
	return damage[0]         ? "damaged"
	       : r == -ECANCELED ? "cancelled"
	       : r               ? "failed"
				 : "good";
}

/* A run that was cancelled is none: the next one goes on with it. */
static void keep(struct verify *v, const char *state, const char *text,
		 const json_t *result)
{
	struct control *control = v->control;
	json_t *list = json_object_get(result, "damage");
	int64_t now = units_now_us();
	char *damage;

	if (!strcmp(state, "cancelled"))
		return;
	damage = json_dumps(list, JSON_COMPACT);
	catalogue_write(
		control->catalogue,
		"INSERT OR REPLACE INTO verification (vault, at, "
		"state, text, damage, bytes, duration) "
		"VALUES (?, ?, ?, ?, ?, ?, ?)",
		CATALOGUE_VALUES(catalogue_text(v->vault.uuid),
				 catalogue_int(now), catalogue_text(state),
				 catalogue_text(text),
				 catalogue_text(damage ? damage : "[]"),
				 catalogue_int(json_integer_value(
					 json_object_get(result, "bytes"))),
				 catalogue_int(now - v->began)),
		NULL, NULL, NULL);
	free(damage);
}

static void tell_end(struct verify *v, const char *state, const char *text)
{
	events_post(v->control->events, "vault.verified", v->vault.name,
		    json_pack("{s:s, s:s, s:b, s:s*}", "vault", v->vault.name,
			      "state", state, "scheduled", v->background,
			      "text", text));
}

static int run(struct job_work *work, void *data, struct error *error)
{
	struct verify *v = data;
	struct control *control = v->control;
	struct digest_options options = {
		.verify = v->verify,
		.rate = v->background
				? (uint64_t)control->config.verify_rate << 20
				: 0,
		.resume_s = v->background ? 7 * DAY_S : DAY_S,
		.tell = tell,
		.data = v,
	};
	char damage[400] = "";
	struct error drift = {0};
	json_t *result = NULL, *identity = NULL;
	int r, sealed = 0;

	v->work = work;
	v->began = units_now_us();
	if (!v->background)
		sealed = job_verify_seal(work, &v->vault, &identity, &drift);
	r = digest_run(control, &v->vault, &options, &result, error);
	digest_damage(result, damage, sizeof(damage));
	/* What is missing is made by another job, soon. */
	if (r == -ECANCELED && !v->verify &&
	    upkeep_is_wanted(control, v->vault.uuid))
		r = 0;
	if (!r && damage[0])
		r = error_set(error, -EBADMSG, "%s", damage);
	if (v->verify) {
		const char *state = state_of(r, damage);
		const char *text = damage[0] ? damage : r ? error->text : NULL;

		keep(v, state, text, result);
		tell_end(v, state, text);
	}
	if (identity)
		json_object_set_new(result, "identity", identity);
	job_work_result(work, result);
	if (!r && sealed)
		r = error_set(error, sealed, "%s", drift.text);
	return r;
}

static void verify_free(void *data)
{
	struct verify *v = data;

	/* What comes next, now that this one has ended. */
	if (v->work)
		upkeep_poke(v->control);
	vault_release(&v->vault);
	free(v);
}

static bool same(const void *runs, const void *ordered)
{
	const struct verify *a = runs, *b = ordered;

	return !a->background && !b->background;
}

static const struct job_work_kind verify_kind = {"verify", run, verify_free,
						 same};
static const struct job_work_kind digest_kind = {"digest", run, verify_free,
						 NULL};

static int check(struct control *control, const struct vault *vault,
		 struct error *error)
{
	struct layers *layers;
	int r = snapshot_layers(control, vault, &layers, error);

	if (!r && !layers->snapshot_count)
		r = error_set(error, -EINVAL,
			      "it has no snapshot, and only those can be "
			      "verified: make one first");
	free(layers);
	return r;
}

static int start(struct jobs *jobs, const struct job_work_kind *kind,
		 const char *name, bool background, char id[JOB_ID_SIZE],
		 struct error *error)
{
	struct verify *v = calloc(1, sizeof(*v));
	int r;

	if (!v)
		return error_set(error, -ENOMEM, "no memory");
	v->control = jobs->control;
	v->verify = kind == &verify_kind;
	v->background = background;
	r = vault_find(v->control, name, &v->vault, error);
	if (!r)
		r = attach_refuse(&v->vault, error);
	if (!r)
		r = check(v->control, &v->vault, error);
	if (r) {
		verify_free(v);
		return r;
	}
	return job_work_start(jobs, kind, v->vault.uuid, v, id, error);
}

/* One that somebody waits for takes the place of one in the background. */
static int push_aside(struct jobs *jobs, const char *name, char id[JOB_ID_SIZE],
		      struct error *error)
{
	struct vault vault;
	int r = vault_find(jobs->control, name, &vault, error);

	if (r)
		return r;
	r = -EBUSY;
	for (int i = 0; i < 20 && r == -EBUSY; i++) {
		error_clear(error);
		upkeep_want(jobs->control, vault.uuid);
		usleep(100000);
		r = start(jobs, &verify_kind, name, false, id, error);
	}
	upkeep_want(jobs->control, "");
	vault_release(&vault);
	return r;
}

int job_verify(struct jobs *jobs, const char *name, bool background,
	       char id[JOB_ID_SIZE], struct error *error)
{
	int r = start(jobs, &verify_kind, name, background, id, error);

	return r == -EBUSY && !background ? push_aside(jobs, name, id, error)
					  : r;
}

int job_digest(struct jobs *jobs, const char *name, char id[JOB_ID_SIZE],
	       struct error *error)
{
	return start(jobs, &digest_kind, name, true, id, error);
}
