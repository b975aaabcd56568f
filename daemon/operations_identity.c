/* Operations on a vault's identity: reading, sealing, verifying. */
#include "daemon/operations.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/attach.h"
#include "daemon/control.h"
#include "daemon/identity.h"
#include "daemon/job.h"
#include "daemon/machine.h"
#include "daemon/operations_query.h"
#include "daemon/probe_run.h"
#include "daemon/seal.h"
#include "daemon/vault.h"

static int probe(struct control *control, const char *name, struct vault *vault,
		 struct probe_report **report, struct error *error)
{
	int r = vault_find(control, name, vault, error);

	*report = NULL;
	if (r)
		return r;
	r = attach_refuse(vault, error);
	if (!r)
		r = probe_run(control, vault, report, error);
	if (r)
		error_prefix(error, "vault %s", name);
	return r;
}

static json_t *answer_json(struct control *control, const struct vault *vault,
			   const struct probe_report *report,
			   const struct identity *identity)
{
	char digest[IDENTITY_DIGEST_SIZE], why[ACCELERATOR_WHY_SIZE];
	json_t *diff = seal_diff(control, vault, identity);

	identity_digest(identity, digest);
	return json_pack(
		"{s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:o, s:o}", "name",
		vault->name, "uuid", vault->uuid, "digest", digest,
		"accelerator",
		machine_is_kvm(control, vault, why) ? "kvm" : "tcg", "start_ms",
		(int)report->start_ms, "report_ms", (int)report->report_ms,
		"total_ms", (int)report->total_ms, "fields",
		identity_json(identity), "diff", diff ? diff : json_null());
}

int operation_vault_identity(struct control *control,
			     const struct operation_call *call,
			     struct operation_answer *answer,
			     struct error *error)
{
	struct probe_report *report;
	struct identity *identity = NULL;
	struct vault vault = {0};
	int r = probe(control, call->path[0], &vault, &report, error);

	if (!r)
		r = identity_from_report(report, &identity, error);
	if (!r) {
		answer->json = answer_json(control, &vault, report, identity);
		if (!answer->json)
			r = error_set(error, -ENOMEM, "no memory");
	}
	identity_free(identity);
	probe_report_free(report);
	vault_release(&vault);
	return r;
}

int operation_vault_report(struct control *control,
			   const struct operation_call *call,
			   struct operation_answer *answer, struct error *error)
{
	struct probe_report *report;
	struct vault vault = {0};
	int fd = -1, r = probe(control, call->path[0], &vault, &report, error);

	if (!r) {
		fd = memfd_create("probe", MFD_CLOEXEC);
		if (fd < 0 ||
		    write(fd, report->data, report->size) !=
			    (ssize_t)report->size ||
		    lseek(fd, 0, SEEK_SET) != 0)
			r = error_errno(error, errno,
					"the report finds no memory");
	}
	if (!r) {
		answer->fd = fd;
		answer->size = report->size;
		answer->content_type = "application/octet-stream";
		snprintf(answer->file_name, sizeof(answer->file_name),
			 "%s.probe", vault.name);
	} else if (fd >= 0) {
		close(fd);
	}
	probe_report_free(report);
	vault_release(&vault);
	return r;
}

int operation_vault_seal(struct control *control,
			 const struct operation_call *call,
			 struct operation_answer *answer, struct error *error)
{
	char id[JOB_ID_SIZE];
	bool again = false;
	const struct body_member members[] = {{"again", BODY_BOOL, &again}};
	int r = BODY_READ(call, members, error);

	if (!r)
		r = job_seal(control->jobs, call->path[0], again, call->who, id,
			     error);
	return r ? r : job_show(control->jobs, id, &answer->json, error);
}

int operation_vault_verify(struct control *control,
			   const struct operation_call *call,
			   struct operation_answer *answer, struct error *error)
{
	char id[JOB_ID_SIZE];
	bool deep = false;
	const struct body_member members[] = {{"deep", BODY_BOOL, &deep}};
	int r = BODY_READ(call, members, error);

	if (!r)
		r = deep ? job_verify(control->jobs, call->path[0], false, id,
				      error)
			 : job_verify_identity(control->jobs, call->path[0], id,
					       error);
	return r ? r : job_show(control->jobs, id, &answer->json, error);
}
