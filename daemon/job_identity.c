/* Comparing a vault with its seal, as a job. */
#include "daemon/seal.h"

#include <stdlib.h>

#include "daemon/attach.h"
#include "daemon/control.h"
#include "daemon/job_list.h"
#include "daemon/job_work.h"
#include "daemon/vault.h"

struct verify {
	struct control *control;
	struct vault vault;
};

static int compare(struct job_work *work, const struct vault *vault,
		   json_t **result, struct error *error)
{
	struct control *control = job_work_control(work);
	int r = vaults_lock(control->vaults, vault->uuid, false, error);

	*result = NULL;
	if (r)
		return r;
	job_work_progress(work, 0, "reading the machine");
	r = seal_verify(control, vault, result, error);
	vaults_unlock(control->vaults, vault->uuid);
	return r;
}

int job_verify_seal(struct job_work *work, const struct vault *vault,
		    json_t **result, struct error *error)
{
	struct control *control = job_work_control(work);
	enum hypervisor_state state =
		hypervisor_state(control->hypervisor, vault->uuid);

	*result = NULL;
	if (!seal_is(control, vault) ||
	    (state != HYPERVISOR_STOPPED && state != HYPERVISOR_CRASHED))
		return 0;
	return compare(work, vault, result, error);
}

static int run(struct job_work *work, void *data, struct error *error)
{
	const struct verify *v = data;
	json_t *result;
	int r = compare(work, &v->vault, &result, error);

	if (result)
		job_work_result(work, result);
	return r;
}

static void verify_free(void *data)
{
	struct verify *v = data;

	vault_release(&v->vault);
	free(v);
}

static bool same(const void *runs, const void *ordered)
{
	(void)runs, (void)ordered;
	return true;
}

int job_verify_identity(struct jobs *jobs, const char *name,
			char id[JOB_ID_SIZE], struct error *error)
{
	static const struct job_work_kind kind = {"verify", run, verify_free,
						  same};
	struct verify *v = calloc(1, sizeof(*v));
	int r;

	if (!v)
		return error_set(error, -ENOMEM, "no memory");
	v->control = jobs->control;
	r = vault_find(v->control, name, &v->vault, error);
	if (!r)
		r = attach_refuse(&v->vault, error);
	if (!r && !seal_is(v->control, &v->vault))
		r = error_set(error, -EINVAL,
			      "vault %s is not sealed, so there is nothing to "
			      "compare with: use vault seal first, or --deep "
			      "for its snapshots",
			      name);
	if (r) {
		verify_free(v);
		return r;
	}
	return job_work_start(jobs, &kind, v->vault.uuid, v, id, error);
}
