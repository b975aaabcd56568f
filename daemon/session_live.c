/*
 * Sessions that the gateway has.
 *
 * Whoever may watch a vault is decided under one of a few locks, chosen by
 * the vault, so that two tickets at once can't both be its only viewer.
 */
#include "daemon/session_live.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <spice/enums.h>
#include <spice/protocol.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "daemon/catalogue.h"
#include "daemon/control.h"
#include "daemon/event.h"
#include "daemon/supervisor.h"
#include "daemon/hypervisor.h"
#include "daemon/ipc.h"
#include "daemon/job.h"
#include "daemon/log.h"
#include "daemon/session.h"
#include "daemon/ticket.h"
#include "daemon/units.h"
#include "daemon/vault.h"

#define GATES 16
#define TAKEOVER_SECONDS 5
#define SPACE_LEAST (64ull << 20) /* bytes free, to begin a recording */

struct live {
	char id[IPC_ID_SIZE];
	char vault[37]; /* uuid; "" for a replay */
	bool is_replay;
	bool claimed; /* the present gateway has it */
	struct session_figures figures;
	struct live *next;
};

struct sessions {
	pthread_mutex_t lock; /* of the list */
	pthread_cond_t ended;
	struct live *list;
	pthread_mutex_t gates[GATES];
};

int sessions_new(struct sessions **sessions, struct error *error)
{
	struct sessions *s = calloc(1, sizeof(*s));
	pthread_condattr_t monotonic;

	*sessions = s;
	if (!s)
		return error_set(error, -ENOMEM, "no memory");
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->ended, &monotonic);
	pthread_condattr_destroy(&monotonic);
	for (int i = 0; i < GATES; i++)
		pthread_mutex_init(&s->gates[i], NULL);
	return 0;
}

void sessions_free(struct sessions *s)
{
	if (!s)
		return;
	while (s->list) {
		struct live *next = s->list->next;

		free(s->list);
		s->list = next;
	}
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->ended);
	for (int i = 0; i < GATES; i++)
		pthread_mutex_destroy(&s->gates[i]);
	free(s);
}

static struct live **find_live(struct sessions *s, const char *id)
{
	struct live **at = &s->list;

	while (*at && strcmp((*at)->id, id))
		at = &(*at)->next;
	return at;
}

static int add_live(struct sessions *s, const char *id, const char *vault,
		    bool is_replay)
{
	struct live *live = calloc(1, sizeof(*live));

	if (!live)
		return -ENOMEM;
	snprintf(live->id, sizeof(live->id), "%s", id);
	snprintf(live->vault, sizeof(live->vault), "%s", vault);
	live->is_replay = is_replay;
	live->claimed = true;
	pthread_mutex_lock(&s->lock);
	live->next = s->list;
	s->list = live;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

/* Whether it was there. */
static bool take_live(struct sessions *s, const char *id, struct live *copy)
{
	struct live **at, *live;

	pthread_mutex_lock(&s->lock);
	at = find_live(s, id);
	live = *at;
	if (live) {
		*copy = *live;
		*at = live->next;
		free(live);
		pthread_cond_broadcast(&s->ended);
	}
	pthread_mutex_unlock(&s->lock);
	return live != NULL;
}

static void address_text(const struct ipc_address *address, char text[64])
{
	if (!inet_ntop(address->family, address->address, text, 64))
		snprintf(text, 64, "?");
}

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
	struct sessions *s = control->sessions;
	struct timespec until;
	char text[IPC_TEXT_SIZE];
	int r = 0;

	snprintf(text, sizeof(text), "taken over by a viewer at %s", client);
	for (unsigned i = 0; i < present->count && i < 16; i++)
		supervisor_kill(control->gateway, present->ids[i], text, NULL);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += TAKEOVER_SECONDS;
	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < present->count && i < 16 && !r; i++)
		while (!r && *find_live(s, present->ids[i]))
			r = pthread_cond_timedwait(&s->ended, &s->lock, &until);
	pthread_mutex_unlock(&s->lock);
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
	r = hypervisor_open_graphics(control->hypervisor, vault->uuid,
				     &graphics, error);
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
	pthread_mutex_t *gate =
		&control->sessions
			 ->gates[(unsigned char)grant->vault[0] % GATES];
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
	if (!r)
		r = begin(control, &vault, &session, fds, fd_count, &error);
	if (!r)
		add_live(control->sessions, session.id, vault.uuid, false);
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
	add_live(control->sessions, grant->job, "", true);
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
	address_text(&redeem->client, client);
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

	if (!take_live(control->sessions, id, &live))
		return;
	if (live.is_replay)
		job_replay_end(control->jobs, id);
	else
		session_recover(control, id, "the gateway died");
}

/* The vault of a session that began before this control did. */
static int remember(struct control *control, const char *id, struct live *live)
{
	struct session session;

	if (session_find(control, id, &session, NULL) ||
	    strcmp(session.state, "live"))
		return -ENOENT;
	strcpy(live->vault, session.vault);
	return add_live(control->sessions, id, session.vault, false);
}

static int get_live(struct control *control, const char *id, struct live *copy)
{
	struct sessions *s = control->sessions;
	struct live *live;

	memset(copy, 0, sizeof(*copy));
	pthread_mutex_lock(&s->lock);
	live = *find_live(s, id);
	if (live) {
		live->claimed = true;
		*copy = *live;
	}
	pthread_mutex_unlock(&s->lock);
	return live ? 0 : remember(control, id, copy);
}

void sessions_open(struct control *control, const struct ipc_open *open,
		   struct ipc_opened *answer, int *fd)
{
	struct error error = {0};
	struct live live;
	int r;

	memset(answer, 0, sizeof(*answer));
	answer->request = open->request;
	*fd = -1;
	r = get_live(control, open->session, &live);
	if (r)
		error_set(&error, r, "it is not live");
	else if (live.is_replay)
		r = job_replay_connect(control->jobs, open->session, fd,
				       &error);
	else
		r = hypervisor_open_graphics(control->hypervisor, live.vault,
					     fd, &error);
	if (r) {
		answer->result = SPICE_LINK_ERR_CHANNEL_NOT_AVAILABLE;
		log_warning("session %s: channel %u:%u: %s", open->session,
			    open->channel_type, open->channel_id, error.text);
	}
}

void sessions_state(struct control *control, const struct ipc_state *state)
{
	struct sessions *s = control->sessions;
	struct live copy, *live;

	if (get_live(control, state->session, &copy))
		return;
	pthread_mutex_lock(&s->lock);
	live = *find_live(s, state->session);
	if (live)
		live->figures = (struct session_figures){
			state->bytes_to_client, state->bytes_to_guest,
			state->capture_bytes, state->channels};
	pthread_mutex_unlock(&s->lock);
	events_post(
		control->events, "session.progress", state->session,
		json_pack("{s:s, s:I, s:I, s:I}", "session", state->session,
			  "bytes_to_client", (json_int_t)state->bytes_to_client,
			  "bytes_to_guest", (json_int_t)state->bytes_to_guest,
			  "capture_bytes", (json_int_t)state->capture_bytes));
}

/* 1 when the row was changed, 0 when it knew already. */
static int64_t write_ended(struct control *control,
			   const struct ipc_ended *ended, struct error *error)
{
	static const uint8_t zero[IPC_DIGEST_SIZE];
	bool has_digest = memcmp(ended->capture_sha256, zero, sizeof(zero));

	return catalogue_write(
		control->catalogue,
		"UPDATE session SET state = 'ended', ended_at = ?, "
		"end_reason = ?, end_text = ?, bytes_to_client = ?, "
		"bytes_to_guest = ?, capture_bytes = ?, capture_sha256 = ?, "
		"is_signed = ? WHERE id = ? AND state <> 'ended'",
		CATALOGUE_VALUES(
			catalogue_int((int64_t)(ended->ended_at / 1000)),
			catalogue_text(ipc_end_name(ended->reason)),
			catalogue_text(ended->text),
			catalogue_int((int64_t)ended->bytes_to_client),
			catalogue_int((int64_t)ended->bytes_to_guest),
			catalogue_int((int64_t)ended->capture_bytes),
			catalogue_blob(has_digest ? ended->capture_sha256
						  : NULL,
				       IPC_DIGEST_SIZE),
			catalogue_int(ended->is_signed != 0),
			catalogue_text(ended->session)),
		NULL, NULL, error);
}

int sessions_ended(struct control *control, const struct ipc_ended *ended)
{
	struct session session;
	struct error error = {0};
	struct live live = {0};
	int64_t changed;

	get_live(control, ended->session, &live);
	if (live.is_replay) {
		take_live(control->sessions, ended->session, &live);
		job_replay_end(control->jobs, ended->session);
		return 0;
	}
	/* The row first: who waits for the end looks at rows afterwards. */
	changed = write_ended(control, ended, &error);
	take_live(control->sessions, ended->session, &live);
	if (changed < 0) {
		log_error("session %s: %s", ended->session, error.text);
		return (int)changed;
	}
	if (!changed || session_find(control, ended->session, &session, NULL))
		return 0;
	events_post(control->events, "session.ended", session.id,
		    json_pack("{s:s, s:s, s:s, s:s, s:s}", "session",
			      session.id, "vault", session.vault_name, "client",
			      session.client, "reason", session.end_reason,
			      "text", session.end_text));
	if (session.recorded && control->config.render_automatic)
		job_render(control->jobs, session.id, NULL, &error);
	return 0;
}

void sessions_refused(struct control *control,
		      const struct ipc_refused *refused)
{
	char client[64];

	address_text(&refused->client, client);
	events_post(control->events, "link.refused", client,
		    json_pack("{s:s, s:s, s:i}", "client", client, "text",
			      refused->text, "count", (int)refused->count));
}

void sessions_unclaim(struct control *control)
{
	struct sessions *s = control->sessions;

	pthread_mutex_lock(&s->lock);
	for (struct live *live = s->list; live; live = live->next)
		live->claimed = false;
	pthread_mutex_unlock(&s->lock);
}

unsigned sessions_claimed(struct control *control)
{
	struct sessions *s = control->sessions;
	unsigned count = 0;

	pthread_mutex_lock(&s->lock);
	for (struct live *live = s->list; live; live = live->next)
		count += live->claimed;
	pthread_mutex_unlock(&s->lock);
	return count;
}

struct ids {
	char (*ids)[IPC_ID_SIZE];
	size_t count;
};

static int take_id(void *data, const struct catalogue_row *row)
{
	struct ids *list = data;
	void *grown = realloc(list->ids, (list->count + 1) * IPC_ID_SIZE);

	if (!grown)
		return 1;
	list->ids = grown;
	snprintf(list->ids[list->count++], IPC_ID_SIZE, "%s",
		 catalogue_row_text(row, 0));
	return 0;
}

void sessions_reconcile(struct control *control, const char *text)
{
	struct sessions *s = control->sessions;
	struct ids ids = {0};
	struct live live;

	catalogue_read(control->catalogue,
		       "SELECT id FROM session WHERE state = 'live'",
		       CATALOGUE_NONE, take_id, &ids, NULL);
	pthread_mutex_lock(&s->lock);
	for (struct live *l = s->list; l; l = l->next)
		if (!l->claimed && l->is_replay) {
			void *grown =
				realloc(ids.ids, (ids.count + 1) * IPC_ID_SIZE);

			if (!grown)
				break;
			ids.ids = grown;
			memcpy(ids.ids[ids.count++], l->id, IPC_ID_SIZE);
		}
	pthread_mutex_unlock(&s->lock);
	for (size_t i = 0; i < ids.count; i++) {
		struct live *l;
		bool claimed;

		pthread_mutex_lock(&s->lock);
		l = *find_live(s, ids.ids[i]);
		claimed = l && l->claimed;
		pthread_mutex_unlock(&s->lock);
		if (claimed)
			continue;
		if (take_live(s, ids.ids[i], &live) && live.is_replay)
			job_replay_end(control->jobs, ids.ids[i]);
		else
			session_recover(control, ids.ids[i], text);
	}
	free(ids.ids);
	session_scan_recovered(control);
}

bool sessions_figures(struct control *control, const char *id,
		      struct session_figures *figures)
{
	struct sessions *s = control->sessions;
	struct live *live;

	pthread_mutex_lock(&s->lock);
	live = *find_live(s, id);
	if (live)
		*figures = live->figures;
	pthread_mutex_unlock(&s->lock);
	return live != NULL;
}

unsigned sessions_count(struct control *control)
{
	struct sessions *s = control->sessions;
	unsigned count = 0;

	pthread_mutex_lock(&s->lock);
	for (struct live *live = s->list; live; live = live->next)
		count += !live->is_replay;
	pthread_mutex_unlock(&s->lock);
	return count;
}
