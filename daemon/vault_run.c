/* Starting, stopping and deleting vaults; what their guests do meanwhile. */
#include "daemon/vault.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/accelerator.h"
#include "daemon/attach.h"
#include "daemon/catalogue.h"
#include "daemon/control.h"
#include "daemon/domain.h"
#include "daemon/event.h"
#include "daemon/folder.h"
#include "daemon/instance.h"
#include "daemon/job.h"
#include "daemon/lease.h"
#include "daemon/supervisor.h"
#include "daemon/log.h"
#include "daemon/machine.h"
#include "daemon/network.h"
#include "daemon/seal.h"
#include "daemon/snapshot.h"
#include "daemon/spice_probe.h"
#include "daemon/units.h"

#define DEFINITION_MAX (1 << 20)

static void post_state(struct control *control, const char *name,
		       const char *state, const char *why)
{
	events_post(control->events, "vault.state", name,
		    json_pack("{s:s, s:s, s:s*}", "vault", name, "state", state,
			      "why", why && *why ? why : NULL));
}

static void write_state(struct control *control, const char *uuid,
			int64_t started_at, bool crashed, const char *why)
{
	struct error error;

	if (catalogue_write(
		    control->catalogue,
		    "UPDATE vault SET started_at = ?, crashed = ?, "
		    "why = ? WHERE uuid = ?",
		    CATALOGUE_VALUES(started_at ? catalogue_int(started_at)
						: catalogue_text(NULL),
				     catalogue_int(crashed),
				     catalogue_text(why), catalogue_text(uuid)),
		    NULL, NULL, &error) < 0)
		log_error("a vault's state could not be written: %s",
			  error.text);
}

void vault_changed(void *data, const char *uuid, enum hypervisor_state state,
		   const char *why)
{
	struct control *control = data;
	struct vault vault;

	/* A guest of somebody else. */
	if (vault_find_uuid(control, uuid, &vault, NULL))
		return;
	switch (state) {
	case HYPERVISOR_RUNNING:
		/* vault_start tells of it; what is left is the end of a
		 * pause, and a guest that was found. */
		if (vaults_is_starting(control->vaults, uuid) ||
		    (vault.started_at && !vault.why[0]))
			break;
		write_state(control, uuid,
			    vault.started_at ? vault.started_at
					     : units_now_us(),
			    false, NULL);
		post_state(control, vault.name, "running", why);
		break;
	case HYPERVISOR_PAUSED:
		write_state(control, uuid, vault.started_at, false,
			    why ? why : "it is paused");
		post_state(control, vault.name, "running", why);
		break;
	case HYPERVISOR_STOPPED:
	case HYPERVISOR_CRASHED:
		write_state(control, uuid, 0, state == HYPERVISOR_CRASHED, why);
		post_state(control, vault.name,
			   state == HYPERVISOR_CRASHED ? "crashed" : "stopped",
			   why);
		network_look(control);
		break;
	default:
		break;
	}
	vault_release(&vault);
}

/* The TPM keeps its state in the vault; see hypervisor_place_tpm. */
static int place_tpm(struct control *control, const struct vault *vault,
		     const char *xml, struct error *error)
{
	struct domain_facts facts;
	char path[PATH_MAX];
	int r = domain_read(xml, &facts, error);

	if (r || !facts.tpm)
		return r;
	vault_path(control, vault->uuid, "tpm", path);
	r = folder_make(path, 0700, error);
	if (!r)
		r = hypervisor_place_tpm(control->hypervisor, vault->uuid, path,
					 error);
	if (r == -ENOTSUP) {
		log_warning("vault %s: %s", vault->name, error->text);
		error_clear(error);
		r = 0;
	}
	return r;
}

static int start(struct control *control, struct vault *vault,
		 struct error *error)
{
	char why[ACCELERATOR_WHY_SIZE];
	bool kvm = machine_is_kvm(control, vault, why);
	char *text = NULL;
	int r = snapshot_recover(control, vault, error);

	if (!r)
		r = seal_preflight(control, vault, error);
	if (!r)
		r = vault_start_text(control, vault, NULL, kvm, &text, error);
	if (!r)
		r = place_tpm(control, vault, text, error);
	if (!r)
		r = hypervisor_start(control->hypervisor, text, error);
	free(text);
	if (r)
		return r;
	catalogue_write(control->catalogue,
			"UPDATE vault SET accelerator = ?, "
			"accelerator_reason = ? WHERE uuid = ?",
			CATALOGUE_VALUES(catalogue_text(kvm ? "kvm" : "tcg"),
					 catalogue_text(why),
					 catalogue_text(vault->uuid)),
			NULL, NULL, NULL);
	write_state(control, vault->uuid, units_now_us(), false, NULL);
	vault_learn_caps(control, vault);
	return 0;
}

static bool is_there(struct control *control, const char *uuid)
{
	enum hypervisor_state state =
		hypervisor_state(control->hypervisor, uuid);

	return state != HYPERVISOR_STOPPED && state != HYPERVISOR_CRASHED;
}

enum hypervisor_state vault_state(struct control *control,
				  const struct vault *vault)
{
	if (!attach_is(vault))
		return hypervisor_state(control->hypervisor, vault->uuid);
	return attach_answers(vault) ? HYPERVISOR_RUNNING : HYPERVISOR_STOPPED;
}

int vault_open_graphics(struct control *control, const struct vault *vault,
			int *fd, struct error *error)
{
	if (attach_is(vault))
		return attach_open(control, vault, fd, error);
	return hypervisor_open_graphics(control->hypervisor, vault->uuid, fd,
					error);
}

/* Whose SPICE server is probed. */
struct probed {
	struct control *control;
	const struct vault *vault;
};

static int connect_probe(void *data, int *fd, struct error *error)
{
	const struct probed *probed = data;

	return vault_open_graphics(probed->control, probed->vault, fd, error);
}

void vault_learn_caps(struct control *control, const struct vault *vault)
{
	struct probed probed = {control, vault};
	struct ipc_caps caps = {0};
	struct error error;

	if (spice_probe(connect_probe, &probed, &caps, &error))
		log_warning("vault %s: its SPICE server was not probed: %s",
			    vault->name, error.text);
	else
		supervisor_learned(control, &caps);
}

int vault_start(struct control *control, const char *name, bool force,
		const char *who, struct error *error)
{
	struct vault vault;
	int r = vault_find(control, name, &vault, error);

	if (r)
		return r;
	r = attach_refuse(&vault, error);
	if (!r)
		r = vaults_lock(control->vaults, vault.uuid, true, error);
	if (!r && is_there(control, vault.uuid)) {
		r = error_set(error, -EEXIST, "it runs already");
		vaults_unlock(control->vaults, vault.uuid);
	} else if (!r) {
		network_forget(control, vault.uuid);
		post_state(control, name, "starting", NULL);
		r = seal_recover(control, &vault, error);
		/* Before the lease, to which it may be another machine. */
		if (!r && seal_is_redefined(control, &vault))
			r = seal_preflight(control, &vault, error);
		if (!r)
			r = lease_take(control, &vault, force, who, error);
		if (!r)
			r = start(control, &vault, error);
		vaults_unlock(control->vaults, vault.uuid);
		post_state(control, name, r ? "stopped" : "running",
			   r && error ? error->text : NULL);
	}
	if (r)
		error_prefix(error, "vault %s", name);
	vault_release(&vault);
	return r;
}

int vault_stop(struct control *control, const char *name, bool force,
	       struct error *error)
{
	struct vault vault;
	int r = vault_find(control, name, &vault, error);

	if (r)
		return r;
	r = attach_refuse(&vault, error);
	if (!r)
		r = hypervisor_stop(control->hypervisor, vault.uuid, force,
				    error);
	if (r)
		error_prefix(error, "vault %s", name);
	vault_release(&vault);
	return r;
}

static int take_int(void *data, const struct catalogue_row *row)
{
	*(int64_t *)data = catalogue_row_int(row, 0);
	return 1;
}

/* -EBUSY while a guest or a session is there. */
static int check_idle(struct control *control, const struct vault *vault,
		      struct error *error)
{
	int64_t live = 0;
	int64_t r;

	if (is_there(control, vault->uuid))
		return error_set(error, -EBUSY, "it runs; stop it first");
	r = catalogue_read(control->catalogue,
			   "SELECT count(*) FROM session "
			   "WHERE vault = ? AND state = 'live'",
			   CATALOGUE_VALUES(catalogue_text(vault->uuid)),
			   take_int, &live, error);
	if (r < 0)
		return (int)r;
	if (live)
		return error_set(error, -EBUSY,
				 "a session of it is still live; kill it or "
				 "wait a moment");
	return 0;
}

static int delete (struct control *control, const struct vault *vault,
		   struct error *error)
{
	char path[PATH_MAX], *xml = NULL;
	int64_t n;
	int r = check_idle(control, vault, error);

	if (r)
		return r;
	n = catalogue_write(control->catalogue,
			    "UPDATE vault SET ready = 0 WHERE uuid = ?",
			    CATALOGUE_VALUES(catalogue_text(vault->uuid)), NULL,
			    NULL, error);
	if (n < 0)
		return (int)n;
	/* Digests that are being made, say; nothing begins any more. */
	job_cancel_session(control->jobs, vault->uuid);
	vault_path(control, vault->uuid, "domain.xml", path);
	if (!folder_read(path, DEFINITION_MAX, &xml, NULL))
		instance_forget(control, xml);
	free(xml);
	lease_forget(control, vault);
	vault_path(control, vault->uuid, NULL, path);
	r = folder_remove(path, error);
	if (r)
		return r;
	n = catalogue_write(control->catalogue,
			    "DELETE FROM vault WHERE uuid = ?",
			    CATALOGUE_VALUES(catalogue_text(vault->uuid)), NULL,
			    NULL, error);
	return n < 0 ? (int)n : 0;
}

int vault_delete(struct control *control, const char *name, const char *who,
		 struct error *error)
{
	struct vault vault;
	int r = vault_find(control, name, &vault, error);

	if (r)
		return r;
	r = vaults_lock(control->vaults, vault.uuid, false, error);
	if (!r) {
		r = delete (control, &vault, error);
		vaults_unlock(control->vaults, vault.uuid);
	}
	if (r)
		error_prefix(error, "vault %s", name);
	else
		events_post(control->events, "vault.deleted", name,
			    json_pack("{s:s, s:s, s:s}", "vault", name, "uuid",
				      vault.uuid, "who", who));
	vault_release(&vault);
	return r;
}
