/*
 * Sealing a vault, as a job; see seal.h.
 *
 * The machine is probed as its definition has it; what QEMU made for it is
 * kept, the processor's features are written out, and the machine that this
 * gives is probed again: it must be the same in every sealed field. Then the
 * snapshot is taken, its disks get their digests, and one rename seals the
 * vault.
 */
#include "daemon/seal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/attach.h"
#include "daemon/control.h"
#include "daemon/digest.h"
#include "daemon/domain.h"
#include "daemon/event.h"
#include "daemon/folder.h"
#include "daemon/hypervisor.h"
#include "daemon/job_list.h"
#include "daemon/job_work.h"
#include "daemon/log.h"
#include "daemon/machine.h"
#include "daemon/probe_run.h"
#include "daemon/seal_file.h"
#include "daemon/snapshot.h"
#include "daemon/vault.h"

#define DEFINITION_MAX (1 << 20)
#define RESUME_S (24 * 3600)

struct sealing {
	struct control *control;
	struct job_work *work;
	struct vault vault;
	bool again;
	char who[64];
	char next[PATH_MAX];           /* seal.next */
	struct identity *before, *now; /* of the first probe, of the last */
	struct seal *former;
	json_t *json; /* fingerprint.json */
};

static void path_in(const struct sealing *s, const char *name,
		    char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%.4000s/%s", s->next, name);
}

static int read_former(struct sealing *s, struct error *error)
{
	struct error damage = {0};
	char path[PATH_MAX];
	int r;

	if (!seal_is(s->control, &s->vault))
		return 0;
	if (!s->again)
		return error_set(error, -EEXIST,
				 "it is sealed already; with --again it gets "
				 "another seal, and programs that are bound to "
				 "what has changed since may stop");
	vault_path(s->control, s->vault.uuid, "seal/fingerprint.json", path);
	r = seal_file_read(path, &s->former, &damage);
	if (!r)
		return 0;
	log_warning("vault %s: its former seal: %s", s->vault.name,
		    damage.text);
	vault_path(s->control, s->vault.uuid, "fingerprint.json", path);
	/* Only what epoch it was is needed. */
	seal_file_read(path, &s->former, NULL);
	return 0;
}

/* --- the definition ---------------------------------------------------- */

static int expand(struct sealing *s, const char *xml, char **expanded,
		  struct error *error)
{
	char emulator[PATH_MAX], why[MACHINE_WHY_SIZE], *cpu;
	char accelerator[ACCELERATOR_WHY_SIZE];
	struct domain_facts facts;
	int r = domain_read(xml, &facts, error);

	if (!r && !facts.cpu_model[0])
		return error_set(error, -ENOTSUP, "it has no named model");
	if (!r)
		r = machine_emulator(s->control, &s->vault, emulator, why,
				     error);
	if (!r)
		r = hypervisor_cpu_features(
			s->control->hypervisor, emulator, facts.machine,
			machine_is_kvm(s->control, &s->vault, accelerator),
			facts.cpu_model, &cpu, error);
	if (r)
		return r;
	r = domain_add_features(xml, cpu, expanded, error);
	free(cpu);
	return r;
}

/* With the features written out, or as it is. */
static int write_definition(struct sealing *s, bool features,
			    struct error *error)
{
	char path[PATH_MAX], *xml, *expanded = NULL;
	struct error later = {0};
	int r;

	vault_path(s->control, s->vault.uuid, "domain.xml", path);
	r = folder_read(path, DEFINITION_MAX, &xml, error);
	if (r)
		return r;
	if (features && expand(s, xml, &expanded, &later)) {
		log_warning("vault %s: its processor's features are not "
			    "written out: %s",
			    s->vault.name, later.text);
		expanded = NULL;
	}
	path_in(s, "domain.xml", path);
	r = folder_write(path, expanded ? expanded : xml,
			 strlen(expanded ? expanded : xml), 0600, error);
	free(expanded);
	free(xml);
	return r;
}

/* --- the probes -------------------------------------------------------- */

static int probe_before(struct sealing *s, struct error *error)
{
	char path[PATH_MAX];
	const struct vault_source source = {.definition = path};
	struct probe_report *report;
	int r;

	vault_path(s->control, s->vault.uuid, "domain.xml", path);
	r = seal_probe(s->control, &s->vault, &source, &s->before, &report,
		       error);
	if (r)
		return r;
	r = seal_write_parts(report, s->next, error);
	probe_report_free(report);
	return r;
}

/* The machine with its seal: *diff is what it has otherwise. */
static int probe_sealed(struct sealing *s, json_t **diff, struct error *error)
{
	char path[PATH_MAX];
	const struct vault_source source = {path, s->next};
	struct probe_report *report;
	int r;

	path_in(s, "domain.xml", path);
	identity_free(s->now);
	s->now = NULL;
	*diff = NULL;
	r = seal_probe(s->control, &s->vault, &source, &s->now, &report, error);
	if (r)
		return r;
	probe_report_free(report);
	*diff = seal_fields_diff(s->before, s->now, IDENTITY_SEALED);
	return 0;
}

/* A feature may mean more to libvirt than to QEMU: then it is left out. */
static int try_definition(struct sealing *s, struct error *error)
{
	char fields[300];
	json_t *diff = NULL;
	int r = write_definition(s, true, error);

	if (!r)
		r = probe_sealed(s, &diff, error);
	if (!r && !json_array_size(diff)) {
		json_decref(diff);
		return 0;
	}
	json_decref(diff);
	error_clear(error);
	r = write_definition(s, false, error);
	if (!r)
		r = probe_sealed(s, &diff, error);
	if (!r && json_array_size(diff)) {
		seal_describe(diff, fields, sizeof(fields));
		r = error_set(error, -ENOTSUP,
			      "the sealed machine is not the same as this one: "
			      "%s",
			      fields);
	}
	json_decref(diff);
	return r;
}

/* --- the moment -------------------------------------------------------- */

static int record(struct sealing *s, struct error *error)
{
	const struct seal_new new = {s->control, &s->vault, s->now, s->former,
				     s->who};
	char path[PATH_MAX];
	int r = seal_record(&new, s->next, &s->json, error);

	path_in(s, "fingerprint.json", path);
	return r ? r : seal_file_write(path, s->json, error);
}

static int take_snapshot(struct sealing *s, struct error *error)
{
	const char *name =
		json_string_value(json_object_get(s->json, "snapshot"));

	return snapshot_create(s->control, &s->vault, name, error);
}

static int tell_digests(void *data, uint64_t done, uint64_t all,
			struct error *error)
{
	struct sealing *s = data;

	job_work_bytes(s->work, done, all);
	return job_work_check(s->work, error);
}

/* Every frozen block has a digest, and the fingerprint their roots. */
static int digest_disks(struct sealing *s, struct error *error)
{
	const struct digest_options options = {
		.resume_s = RESUME_S, .tell = tell_digests, .data = s};
	json_t *result = NULL, *roots = NULL;
	char path[PATH_MAX], damage[300];
	int r = digest_run(s->control, &s->vault, &options, &result, error);

	digest_damage(result, damage, sizeof(damage));
	json_decref(result);
	if (!r && damage[0])
		r = error_set(error, -EIO, "%s", damage);
	if (!r)
		r = digest_roots(s->control, &s->vault, &roots, error);
	if (r)
		return r;
	path_in(s, "fingerprint.json", path);
	if (json_object_set_new(s->json, "disks", roots))
		return error_set(error, -ENOMEM, "no memory");
	return seal_file_write(path, s->json, error);
}

/* The former seal goes to seals/EPOCH, and with that it is done. */
static int put_former_away(struct sealing *s, struct error *error)
{
	char from[PATH_MAX], to[PATH_MAX];
	int r;

	vault_path(s->control, s->vault.uuid, "seal", from);
	if (access(from, F_OK))
		return 0;
	vault_path(s->control, s->vault.uuid, "seals", to);
	r = folder_make(to, 0700, error);
	if (r)
		return r;
	snprintf(to + strlen(to), 32, "/%lld",
		 (long long)json_integer_value(
			 json_object_get(s->json, "epoch")) -
			 1);
	if (rename(from, to))
		return error_errno(error, errno, "can't rename %s", from);
	vault_path(s->control, s->vault.uuid, "seals", to);
	return folder_sync(to, error);
}

static int decide(struct sealing *s, struct error *error)
{
	char seal[PATH_MAX], folder[PATH_MAX];
	int r = folder_sync(s->next, error);

	vault_path(s->control, s->vault.uuid, "seal", seal);
	vault_path(s->control, s->vault.uuid, NULL, folder);
	if (!r)
		r = folder_sync(folder, error);
	if (!r)
		r = put_former_away(s, error);
	if (!r && rename(s->next, seal))
		r = error_errno(error, errno, "can't rename %s", s->next);
	return r ? r : folder_sync(folder, error);
}

/* --- the job ----------------------------------------------------------- */

static int seal(struct sealing *s, struct error *error)
{
	int r = snapshot_recover(s->control, &s->vault, error);

	if (!r)
		r = seal_recover(s->control, &s->vault, error);
	if (!r)
		r = read_former(s, error);
	vault_path(s->control, s->vault.uuid, "seal.next", s->next);
	if (!r)
		r = folder_make(s->next, 0755, error);
	job_work_progress(s->work, 0.05, "reading the machine");
	if (!r)
		r = probe_before(s, error);
	if (!r)
		r = job_work_check(s->work, error);
	job_work_progress(s->work, 0.35, "comparing the sealed machine");
	if (!r)
		r = try_definition(s, error);
	if (!r)
		r = record(s, error);
	if (!r)
		r = job_work_check(s->work, error);
	job_work_progress(s->work, 0.7, "taking the snapshot");
	if (!r)
		r = take_snapshot(s, error);
	if (!r)
		r = digest_disks(s, error);
	return r ? r : decide(s, error);
}

static void tell(struct sealing *s)
{
	json_t *json = s->json;

	job_work_result(s->work,
			json_pack("{s:O, s:O, s:I, s:O, s:O}", "digest",
				  json_object_get(json, "digest"), "epoch",
				  json_object_get(json, "epoch"), "fields",
				  (json_int_t)s->now->count, "snapshot",
				  json_object_get(json, "snapshot"), "changed",
				  json_object_get(json, "changed")));
	events_post(s->control->events, "vault.sealed", s->vault.name,
		    json_pack("{s:s, s:O, s:O, s:O, s:O, s:s}", "vault",
			      s->vault.name, "digest",
			      json_object_get(json, "digest"), "epoch",
			      json_object_get(json, "epoch"), "before",
			      json_object_get(json, "before"), "changed",
			      json_object_get(json, "changed"), "who", s->who));
}

static int run(struct job_work *work, void *data, struct error *error)
{
	struct sealing *s = data;
	struct error later = {0};
	int r = vaults_lock(s->control->vaults, s->vault.uuid, false, error);

	if (r)
		return r;
	s->work = work;
	r = seal(s, error);
	/* Undoes what failed, and finishes what did not. */
	if (seal_recover(s->control, &s->vault, &later))
		log_warning("vault %s: %s", s->vault.name, later.text);
	vaults_unlock(s->control->vaults, s->vault.uuid);
	if (!r)
		tell(s);
	return r;
}

static void sealing_free(void *data)
{
	struct sealing *s = data;

	identity_free(s->before);
	identity_free(s->now);
	seal_free(s->former);
	json_decref(s->json);
	vault_release(&s->vault);
	free(s);
}

static bool same(const void *runs, const void *ordered)
{
	const struct sealing *a = runs, *b = ordered;

	return a->again == b->again;
}

int job_seal(struct jobs *jobs, const char *name, bool again, const char *who,
	     char id[JOB_ID_SIZE], struct error *error)
{
	static const struct job_work_kind kind = {"seal", run, sealing_free,
						  same};
	struct sealing *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return error_set(error, -ENOMEM, "no memory");
	s->control = jobs->control;
	s->again = again;
	snprintf(s->who, sizeof(s->who), "%s", who);
	r = vault_find(s->control, name, &s->vault, error);
	if (!r)
		r = attach_refuse(&s->vault, error);
	if (!r && !again)
		r = read_former(s, error);
	if (r) {
		sealing_free(s);
		return r;
	}
	return job_work_start(jobs, &kind, s->vault.uuid, s, id, error);
}
