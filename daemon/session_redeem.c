/*
 * Who may begin a session, and how one begins.
 *
 * Whoever may watch a vault is decided under one of a few locks, chosen by
 * the vault, so that two tickets at once can't both be its only viewer.
 */
#include <spice/enums.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "daemon/attach.h"
#include "daemon/catalogue.h"
#include "daemon/control.h"
#include "daemon/event.h"
#include "daemon/hypervisor.h"
#include "daemon/job.h"
#include "daemon/log.h"
#include "daemon/session.h"
#include "daemon/session_table.h"
#include "daemon/supervisor.h"
#include "daemon/ticket.h"
#include "daemon/units.h"
#include "daemon/vault.h"

#define TAKEOVER_SECONDS 5
#define SPACE_LEAST (64ull << 20) /* bytes free, to begin a recording */

/* For the audit log: who was not let in, and why. */
static void post_refused(struct control *control, const char *client,
			 const char *vault, const char *why)
{
	events_post(control->events, "ticket.refused", vault,
		    json_pack("{s:s, s:s*, s:s}", "client", client, "vault",
			      vault, "why", why));
}

struct present {
	unsigned count;
	char ids[16][IPC_ID_SIZE];
	char who[160];
};

static int take_present(void *data, const struct catalogue_row *row)
{
	struct present *present = data;
	size_t at = strlen(present->who);

	if (present->count < 16)
		snprintf(present->ids[present->count], IPC_ID_SIZE, "%s",
			 catalogue_row_text(row, 0));
	snprintf(present->who + at, sizeof(present->who) - at, "%s%s",
		 at ? ", " : "", catalogue_row_text(row, 1));
	present->count++;
	return 0;
}

static int who_watches(struct control *control, const char *vault,
		       struct present *present)
{
	memset(present, 0, sizeof(*present));
	return catalogue_read(control->catalogue,
			      "SELECT id, client FROM session "
			      "WHERE vault = ? AND state = 'live'",
			      CATALOGUE_VALUES(catalogue_text(vault)),
			      take_present, present, NULL) < 0
		       ? -EIO
		       : 0;
}

/* Sends the present viewers away; 0 when they are gone. */
static int take_over(struct control *control, const char *vault,
		     const char *client, struct present *present)
{
	struct timespec until;
	char text[IPC_TEXT_SIZE];
	int r = 0;

	snprintf(text, sizeof(text), "taken over by a viewer at %s", client);
	for (unsigned i = 0; i < present->count && i < 16; i++)
		supervisor_kill(control->gateway, present->ids[i], text, NULL);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += TAKEOVER_SECONDS;
	for (unsigned i = 0; i < present->count && i < 16 && !r; i++)
		r = live_wait(control->sessions, present->ids[i], &until);
	/* The rows follow the list at once. */
	return r ? -EBUSY : who_watches(control, vault, present);
}

/* Whether one more may watch; `why` says who is there when not. */
static int admit(struct control *control, const struct vault *vault,
		 const char *client, char *why, size_t size)
{
	struct present present;

	if (who_watches(control, vault->uuid, &present)) {
		snprintf(why, size, "the catalogue failed");
		return -EIO;
	}
	if (present.count < vault->policy.viewers)
		return 0;
	if (vault->policy.takeover == POLICY_TAKEOVER_ALLOW &&
	    !take_over(control, vault->uuid, client, &present) &&
	    present.count < vault->policy.viewers)
		return 0;
	snprintf(why, size, "already watched from %s", present.who);
	return -EBUSY;
}

static int check_space(const struct control *control, struct error *error)
{
	struct statvfs fs;

	if (statvfs(control->config.state, &fs))
		return error_errno(error, errno, "can't write to %s",
				   control->config.state);
	if ((uint64_t)fs.f_bavail * fs.f_frsize < SPACE_LEAST)
		return error_set(error, -ENOSPC,
				 "less than %d MiB are free in %s: make room",
				 (int)(SPACE_LEAST >> 20),
				 control->config.state);
	return 0;
}

/* Folder, capture, the guest's socket, the row: all or nothing. */
static int begin(struct control *control, const struct vault *vault,
		 struct session *session, int fds[2], unsigned *fd_count,
		 struct error *error)
{
	int capture = -1, graphics = -1, r = 0;

	session->recorded = vault->policy.record != POLICY_RECORD_OFF;
	if (session->recorded)
		r = check_space(control, error);
	if (!r)
		r = session_make(control, session, &capture, error);
	if (r && vault->policy.record == POLICY_RECORD_BEST_EFFORT) {
		log_warning("vault %s: not recorded: %s", vault->name,
			    error->text);
		session->recorded = false;
		r = session_make(control, session, &capture, error);
	}
	if (r) {
		error_prefix(error, "it can't be recorded");
		return r;
	}
	r = vault_open_graphics(control, vault, &graphics, error);
	if (!r)
		r = session_insert(control, session, error);
	if (r) {
		session_unmake(control, session);
		if (capture >= 0)
			close(capture);
		if (graphics >= 0)
			close(graphics);
		return r;
	}
	fds[(*fd_count)++] = graphics;
	if (capture >= 0)
		fds[(*fd_count)++] = capture;
	return 0;
}

static void redeem_vault(struct control *control,
			 const struct ticket_grant *grant, const char *client,
			 struct ipc_redeemed *answer, int fds[2],
			 unsigned *fd_count)
{
	unsigned number = (unsigned char)grant->vault[0] % SESSION_GATES;
	pthread_mutex_t *gate = &control->sessions->gates[number];
	struct session session = {0};
	struct error error = {0};
	struct vault vault;
	int r;

	if (vault_find_uuid(control, grant->vault, &vault, &error)) {
		post_refused(control, client, NULL, error.text);
		return;
	}
	strcpy(session.vault, vault.uuid);
	strcpy(session.vault_name, vault.name);
	snprintf(session.client, sizeof(session.client), "%s", client);
	pthread_mutex_lock(gate);
	r = admit(control, &vault, client, error.text, sizeof(error.text));
	if (!r && attach_is(&vault))
		r = attach_check(control, &vault, &error);
	if (!r && attach_is(&vault))
		r = attach_password(control, &vault, answer->password, &error);
	if (!r)
		r = begin(control, &vault, &session, fds, fd_count, &error);
	if (!r)
		live_add(control->sessions, session.id, vault.uuid, false);
	pthread_mutex_unlock(gate);
	if (r) {
		post_refused(control, client, vault.name, error.text);
	} else {
		answer->result = SPICE_LINK_ERR_OK;
		answer->recorded = session.recorded;
		answer->view_only = grant->view_only;
		answer->policy = vault.policy;
		strcpy(answer->session, session.id);
		strcpy(answer->vault, vault.name);
		events_post(control->events, "session.started", session.id,
			    json_pack("{s:s, s:s, s:s, s:b}", "session",
				      session.id, "vault", vault.name, "client",
				      client, "view_only", grant->view_only));
	}
	vault_release(&vault);
}

static void redeem_replay(struct control *control,
			  const struct ticket_grant *grant, const char *client,
			  struct ipc_redeemed *answer, int fds[2],
			  unsigned *fd_count)
{
	struct error error = {0};

	if (job_replay_start(control->jobs, grant->job, &error) ||
	    job_replay_connect(control->jobs, grant->job, &fds[0], &error)) {
		post_refused(control, client, NULL, error.text);
		return;
	}
	*fd_count = 1;
	live_add(control->sessions, grant->job, "", true);
	answer->result = SPICE_LINK_ERR_OK;
	answer->is_replay = 1;
	policy_default(&answer->policy);
	answer->policy.record = POLICY_RECORD_OFF;
	strcpy(answer->session, grant->job);
	strcpy(answer->vault, "replay");
}

void sessions_redeem(struct control *control, const struct ipc_redeem *redeem,
		     struct ipc_redeemed *answer, int fds[2],
		     unsigned *fd_count)
{
	enum ticket_verdict verdict;
	struct ticket_grant grant;
	struct error error = {0};
	struct vault vault = {0};
	char client[64];

	memset(answer, 0, sizeof(*answer));
	answer->request = redeem->request;
	answer->result = SPICE_LINK_ERR_ERROR;
	*fd_count = 0;
	session_address(&redeem->client, client);
	if (ticket_redeem(control->catalogue, redeem->digest, client,
			  units_now_us(), &verdict, &grant, &error)) {
		log_error("%s", error.text);
	} else if (verdict != TICKET_GOOD) {
		bool known =
			grant.vault[0] &&
			!vault_find_uuid(control, grant.vault, &vault, NULL);

		answer->result = SPICE_LINK_ERR_PERMISSION_DENIED;
		post_refused(control, client, known ? vault.name : NULL,
			     ticket_verdict_name(verdict));
		vault_release(&vault);
	} else if (grant.job[0]) {
		redeem_replay(control, &grant, client, answer, fds, fd_count);
	} else {
		redeem_vault(control, &grant, client, answer, fds, fd_count);
	}
}

void sessions_unredeem(struct control *control, const char *id)
{
	struct live live;

	if (!live_take(control->sessions, id, &live))
		return;
	if (live.is_replay)
		job_replay_end(control->jobs, id);
	else
		session_recover(control, id, "the gateway died");
}

void sessions_open(struct control *control, const struct ipc_open *open,
		   struct ipc_opened *answer, int *fd)
{
	struct error error = {0};
	struct vault vault;
	struct live live;
	int r;

	memset(answer, 0, sizeof(*answer));
	answer->request = open->request;
	*fd = -1;
	r = live_get(control, open->session, &live);
	if (r)
		error_set(&error, r, "it is not live");
	else if (live.is_replay)
		r = job_replay_connect(control->jobs, open->session, fd,
				       &error);
	else if (!(r = vault_find_uuid(control, live.vault, &vault, &error))) {
		r = vault_open_graphics(control, &vault, fd, &error);
		vault_release(&vault);
	}
	if (r) {
		answer->result = SPICE_LINK_ERR_CHANNEL_NOT_AVAILABLE;
		log_warning("session %s: channel %u:%u: %s", open->session,
			    open->channel_type, open->channel_id, error.text);
	}
}
