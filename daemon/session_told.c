/* What the gateway tells of its sessions, and what follows from its silence. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/catalogue.h"
#include "daemon/control.h"
#include "daemon/event.h"
#include "daemon/ipc.h"
#include "daemon/job.h"
#include "daemon/log.h"
#include "daemon/session.h"
#include "daemon/session_table.h"

void sessions_state(struct control *control, const struct ipc_state *state)
{
	struct sessions *s = control->sessions;
	struct live copy, *live;

	if (live_get(control, state->session, &copy))
		return;
	pthread_mutex_lock(&s->lock);
	live = *live_find(s, state->session);
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

	live_get(control, ended->session, &live);
	if (live.is_replay) {
		live_take(control->sessions, ended->session, &live);
		job_replay_end(control->jobs, ended->session);
		return 0;
	}
	/* The row first: who waits for the end looks at rows afterwards. */
	changed = write_ended(control, ended, &error);
	live_take(control->sessions, ended->session, &live);
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
		job_render(control->jobs, session.id, "{}", NULL, &error);
	return 0;
}

void sessions_refused(struct control *control,
		      const struct ipc_refused *refused)
{
	char client[64];

	session_address(&refused->client, client);
	events_post(control->events, "link.refused", client,
		    json_pack("{s:s, s:s, s:i}", "client", client, "text",
			      refused->text, "count", (int)refused->count));
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

/* The next replay that the gateway has not told of. */
static bool next_lost_replay(struct sessions *s, char id[IPC_ID_SIZE])
{
	struct live *live;

	pthread_mutex_lock(&s->lock);
	live = s->list;
	while (live && (live->claimed || !live->is_replay))
		live = live->next;
	if (live)
		memcpy(id, live->id, IPC_ID_SIZE);
	pthread_mutex_unlock(&s->lock);
	return live != NULL;
}

static bool is_claimed(struct sessions *s, const char *id)
{
	struct live *live;
	bool claimed;

	pthread_mutex_lock(&s->lock);
	live = *live_find(s, id);
	claimed = live && live->claimed;
	pthread_mutex_unlock(&s->lock);
	return claimed;
}

void sessions_reconcile(struct control *control, const char *text)
{
	struct sessions *s = control->sessions;
	char replay[IPC_ID_SIZE];
	struct ids ids = {0};
	struct live live;

	while (next_lost_replay(s, replay)) {
		live_take(s, replay, &live);
		job_replay_end(control->jobs, replay);
	}
	catalogue_read(control->catalogue,
		       "SELECT id FROM session WHERE state = 'live'",
		       CATALOGUE_NONE, take_id, &ids, NULL);
	for (size_t i = 0; i < ids.count; i++)
		if (!is_claimed(s, ids.ids[i])) {
			live_take(s, ids.ids[i], &live);
			session_recover(control, ids.ids[i], text);
		}
	free(ids.ids);
	session_scan_recovered(control);
}
