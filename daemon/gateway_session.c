/*
 * The life of a session on its worker: begun by its main channel, recorded,
 * reported, ended, its recording completed and signed.
 *
 * An end is only noted where it is found out and carried out at the end of
 * the round, when nobody is in the middle of a channel.
 */
#include "daemon/gateway_session.h"

#include <inttypes.h>
#include <spice/enums.h>
#include <spice/protocol.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define STATE_NS (2 * GATEWAY_SECOND)
#define TICK_NS (GATEWAY_SECOND / 2)
#define TICKS 4 /* after the last bytes: closes the frame, syncs the file */
#define CHANNELS_MAX 64 /* open at a time; a viewer has about ten */
#define SIGNATURE_NS (60 * GATEWAY_SECOND) /* control may be restarting */

static struct session *find(struct gateway_worker *w, const char *id)
{
	struct session *s = w->sessions;

	while (s && strcmp(s->id, id) != 0)
		s = s->next;
	return s;
}

static unsigned count_channels(const struct session *s)
{
	unsigned n = 0;

	for (const struct channel *ch = s->channels; ch; ch = ch->next)
		n++;
	return n;
}

static void report(struct session *s)
{
	struct ipc_state state = {
		.bytes_to_client = s->bytes[CAPTURE_TO_CLIENT],
		.bytes_to_guest = s->bytes[CAPTURE_TO_GUEST],
		.capture_bytes = s->writer ? capture_writer_bytes(s->writer)
					   : s->capture_bytes,
	};

	memcpy(state.session, s->id, sizeof(state.session));
	state.channels = count_channels(s);
	gateway_tell_from(s->worker, IPC_STATE, &state, sizeof(state));
}

static void ask_signature(struct session *s)
{
	struct ipc_seal seal = {{0}, {0}};

	memcpy(seal.session, s->id, sizeof(seal.session));
	memcpy(seal.digest, s->digest, sizeof(seal.digest));
	gateway_tell_from(s->worker, IPC_SEAL, &seal, sizeof(seal));
}

static void free_session(struct session *s)
{
	struct session **at = &s->worker->sessions;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	explicit_bzero(s->password, sizeof(s->password));
	gateway_loop_bury(&s->worker->loop, s);
}

static void free_writer(struct session *s)
{
	if (!s->writer)
		return;
	s->capture_bytes = capture_writer_bytes(s->writer);
	gateway_loop_unwatch(&s->worker->loop,
			     capture_writer_eventfd(s->writer));
	s->writer_source.ready = gateway_silent;
	capture_writer_free(s->writer);
	s->writer = NULL;
	s->is_behind = false;
}

/* Everything is done; control is told until it says it knows. */
static void ended(struct session *s, const uint8_t *file_digest, bool is_signed)
{
	struct ipc_ended e = {
		.reason = s->reason,
		.ended_at = s->ended_at,
		.bytes_to_client = s->bytes[CAPTURE_TO_CLIENT],
		.bytes_to_guest = s->bytes[CAPTURE_TO_GUEST],
		.is_signed = is_signed,
	};

	free_writer(s);
	e.capture_bytes = s->capture_bytes;
	memcpy(e.session, s->id, sizeof(e.session));
	memcpy(e.text, s->text, sizeof(e.text));
	if (file_digest)
		memcpy(e.capture_sha256, file_digest, sizeof(e.capture_sha256));
	gateway_tell_from(s->worker, IPC_ENDED, &e, sizeof(e));
	free_session(s);
}

void session_end(struct session *s, enum ipc_end reason, const char *format,
		 ...)
{
	va_list args;

	if (s->is_ending)
		return;
	s->is_ending = true;
	s->worker->has_ending = true;
	s->reason = reason;
	s->ended_at = gateway_realtime();
	if (s->text[0])
		return; /* a note about the recording */
	va_start(args, format);
	vsnprintf(s->text, sizeof(s->text), format, args);
	va_end(args);
}

/*
 * The recording can't go on. With record=required neither can the session.
 */
static void recording_failed(struct session *s, const struct error *error)
{
	if (s->is_ending)
		return;
	if (s->policy.record == POLICY_RECORD_REQUIRED) {
		s->text[0] = 0;
		session_end(s, IPC_END_RECORDING,
			    "the session may not go on without its recording: "
			    "%.140s",
			    error->text);
		return;
	}
	/* best-effort: it goes on, and the catalogue says so. */
	if (s->text[0] == 0)
		snprintf(s->text, sizeof(s->text),
			 "recorded in part only: %.150s", error->text);
	free_writer(s);
	for (struct channel *ch = s->channels; ch; ch = ch->next)
		ch->number = -1;
}

int session_record(struct session *s, struct channel *ch,
		   enum capture_direction direction, uint64_t time,
		   const void *head, size_t head_size, const void *data,
		   size_t size)
{
	struct error error;

	if (!s->writer)
		return 0;
	if (capture_writer_addv(s->writer, ch->number, direction, time, head,
				head_size, data, size, &error) == 0) {
		s->ticks = TICKS;
		if (!s->tick_due) {
			s->tick_due = s->worker->loop.now + TICK_NS;
			gateway_loop_at(&s->worker->loop, s->tick_due);
		}
		return 0;
	}
	recording_failed(s, &error);
	return s->is_ending ? -1 : 0;
}

void session_moved(struct session *s)
{
	if (s->state_due)
		return;
	s->state_due = s->worker->loop.now + STATE_NS;
	gateway_loop_at(&s->worker->loop, s->state_due);
}

/* The whole file is there; the signature comes from control. */
static void seal(struct session *s)
{
	struct error error;
	int r = capture_writer_finished(s->writer, s->digest, &error);

	if (r == 0)
		return;
	if (r < 0) {
		if (s->reason != IPC_END_RECORDING)
			snprintf(s->text, sizeof(s->text),
				 "the recording is not complete: %.150s",
				 error.text);
		ended(s, NULL, false);
		return;
	}
	s->phase = SESSION_SEALED;
	s->sign_due = s->worker->loop.now + SIGNATURE_NS;
	gateway_loop_at(&s->worker->loop, s->sign_due);
	ask_signature(s);
}

static void on_writer(struct gateway_source *source, uint32_t events)
{
	struct session *s = (struct session *)source;
	struct channel *ch, *next;
	struct error error;
	eventfd_t count;

	(void)events;
	eventfd_read(capture_writer_eventfd(s->writer), &count);
	if (s->phase == SESSION_FINISHING) {
		seal(s);
		return;
	}
	if (s->phase == SESSION_SEALED)
		return;
	/* A failure need not wait for the next byte. */
	if (capture_writer_tick(s->writer, gateway_realtime(), &error) < 0)
		recording_failed(s, &error);
	if (!s->is_behind)
		return;
	s->is_behind = false;
	for (ch = s->channels; ch && !s->is_ending; ch = next) {
		next = ch->next;
		channel_pump(ch);
	}
}

static int start_writer(struct session *s, struct gateway_arrival *arrival,
			struct error *error)
{
	struct capture_session about = {0};
	int r;

	memcpy(about.id, s->id, sizeof(about.id));
	memcpy(about.vault, arrival->redeemed.vault, sizeof(about.vault));
	memcpy(about.client, arrival->client_text, sizeof(about.client));
	r = capture_writer_new(&s->writer, s->worker->pool, arrival->capture,
			       &about, error);
	if (r < 0) {
		close(arrival->capture);
		return r;
	}
	s->writer_source.ready = on_writer;
	return gateway_loop_watch(&s->worker->loop,
				  capture_writer_eventfd(s->writer), EPOLLIN,
				  &s->writer_source);
}

static struct session *new_session(struct gateway_worker *w,
				   struct gateway_arrival *arrival)
{
	const struct ipc_redeemed *r = &arrival->redeemed;
	struct session *s = calloc(1, sizeof(*s));
	struct error error;
	bool failed = false;

	if (!s) {
		if (arrival->capture >= 0)
			close(arrival->capture);
		return NULL;
	}
	memcpy(s->id, r->session, sizeof(s->id));
	s->worker = w;
	s->policy = r->policy;
	memcpy(s->password, r->password, sizeof(s->password));
	s->last_input = w->loop.now;
	s->next = w->sessions;
	w->sessions = s;
	filter_rules_set(&s->rules, &r->policy, r->view_only, r->is_replay);
	if (arrival->capture >= 0)
		failed = start_writer(s, arrival, &error) < 0;
	else if (!r->is_replay && r->policy.record == POLICY_RECORD_REQUIRED)
		failed = error_set(&error, EINVAL, "no file was opened for it");
	if (failed)
		recording_failed(s, &error);
	if (r->policy.idle_timeout && !r->is_replay) {
		s->idle_due =
			w->loop.now + r->policy.idle_timeout * GATEWAY_SECOND;
		gateway_loop_at(&w->loop, s->idle_due);
	}
	return s;
}

void session_arrive(struct gateway_loop *loop, struct gateway_task *task)
{
	struct gateway_worker *w = (struct gateway_worker *)loop;
	struct gateway_arrival *arrival = (struct gateway_arrival *)task;
	struct error error;
	struct session *s = arrival->is_new ? new_session(w, arrival)
					    : find(w, arrival->session);
	int number = -1;

	if (s && count_channels(s) >= CHANNELS_MAX) {
		channel_refuse(w, arrival, SPICE_LINK_ERR_ERROR);
		free(arrival);
		return;
	}
	if (s && s->writer && !s->is_ending) {
		number = capture_writer_open_channel(
			s->writer, gateway_realtime(), &error);
		if (number < 0)
			recording_failed(s, &error);
	}
	if (!s || s->is_ending)
		channel_refuse(w, arrival, SPICE_LINK_ERR_ERROR);
	else
		channel_arrive(w, s, arrival, number);
	free(arrival);
}

/* The viewer reads why, then the session is over for it. */
static void notify(struct session *s)
{
	struct buffer b = {0};
	struct channel *ch = s->main;
	size_t n = strlen(s->text);

	if (!ch || ch->phase != CHANNEL_RELAY || relay_complete(ch) < 0)
		return;
	buffer_put_le64(&b, gateway_realtime());
	buffer_put_le32(&b, SPICE_NOTIFY_SEVERITY_ERROR);
	buffer_put_le32(&b, SPICE_NOTIFY_VISIBILITY_HIGH);
	buffer_put_le32(&b, 0); /* what: nothing in particular */
	buffer_put_le32(&b, (uint32_t)n);
	buffer_put(&b, s->text, n + 1);
	if (!b.failed)
		relay_inject(ch, CAPTURE_TO_CLIENT, SPICE_MSG_NOTIFY, b.data,
			     (uint32_t)b.size);
	b.size = 0;
	buffer_put_le64(&b, gateway_realtime());
	buffer_put_le32(&b, SPICE_LINK_ERR_OK);
	if (!b.failed)
		relay_inject(ch, CAPTURE_TO_CLIENT, SPICE_MSG_DISCONNECTING,
			     b.data, (uint32_t)b.size);
	buffer_free(&b);
	stream_flush(&ch->client);
}

static bool is_told(enum ipc_end reason)
{
	return reason != IPC_END_CLIENT && reason != IPC_END_GUEST;
}

/* Carries out what session_end() has noted. */
static void end(struct session *s)
{
	struct error error;

	s->phase = SESSION_FINISHING;
	s->state_due = s->idle_due = s->tick_due = 0;
	if (s->reason == IPC_END_RECORDING)
		free_writer(s);
	if (is_told(s->reason) && s->text[0])
		notify(s);
	while (s->channels)
		channel_retire(s->channels);
	if (!s->writer)
		ended(s, NULL, false);
	else if (capture_writer_finish(s->writer, &error) < 0)
		seal(s);
}

bool session_on_round(struct gateway_loop *loop)
{
	struct gateway_worker *w = (struct gateway_worker *)loop;
	struct session *s, *next;
	struct channel *ch;

	/* Each once; those that have still more to do come anew. */
	w->turn = w->again;
	w->again = NULL;
	while ((ch = w->turn)) {
		w->turn = ch->again_next;
		ch->is_again = false;
		channel_pump(ch);
	}
	while (w->has_ending) {
		w->has_ending = false;
		for (s = w->sessions; s; s = next) {
			next = s->next;
			if (s->is_ending && s->phase == SESSION_LIVE)
				end(s);
		}
	}
	return w->again;
}

static void sign(struct session *s, const uint8_t *signature)
{
	uint8_t digest[IPC_DIGEST_SIZE];
	struct error error;
	uint64_t size;

	if (capture_writer_sign(s->writer, signature, digest, &size, &error) <
	    0) {
		snprintf(s->text, sizeof(s->text),
			 "the recording could not be signed: %.150s",
			 error.text);
		ended(s, NULL, false);
		return;
	}
	ended(s, digest, true);
}

/* Returns false when the session is gone. */
static bool session_due(struct session *s, uint64_t now)
{
	struct gateway_loop *loop = &s->worker->loop;
	struct error error;

	if (s->state_due && now >= s->state_due) {
		s->state_due = 0;
		report(s);
	}
	if (s->tick_due && now >= s->tick_due && s->writer) {
		if (capture_writer_tick(s->writer, gateway_realtime(), &error) <
		    0)
			recording_failed(s, &error);
		s->tick_due = --s->ticks ? now + TICK_NS : 0;
	}
	if (s->idle_due && now >= s->idle_due) {
		s->idle_due =
			s->last_input + s->policy.idle_timeout * GATEWAY_SECOND;
		if (now >= s->idle_due) {
			s->idle_due = 0;
			session_end(s, IPC_END_IDLE,
				    "the session was idle for %" PRIu64
				    " seconds and is closed",
				    s->policy.idle_timeout);
		}
	}
	if (s->sign_due && now >= s->sign_due) {
		ended(s, s->digest, false);
		return false;
	}
	gateway_loop_at(loop, s->state_due ? s->state_due : UINT64_MAX);
	gateway_loop_at(loop, s->tick_due ? s->tick_due : UINT64_MAX);
	gateway_loop_at(loop, s->idle_due ? s->idle_due : UINT64_MAX);
	gateway_loop_at(loop, s->sign_due ? s->sign_due : UINT64_MAX);
	return true;
}

static void channels_due(struct channel *ch, uint64_t now)
{
	struct channel *next;

	for (; ch; ch = next) {
		next = ch->next;
		if (!ch->deadline)
			continue;
		if (now < ch->deadline)
			gateway_loop_at(&ch->worker->loop, ch->deadline);
		else if (ch->phase == CHANNEL_CLOSING)
			channel_free(ch);
		else
			channel_late(ch);
	}
}

void session_on_due(struct gateway_loop *loop)
{
	struct gateway_worker *w = (struct gateway_worker *)loop;
	struct session *s, *next;

	for (s = w->sessions; s; s = next) {
		next = s->next;
		if (session_due(s, loop->now))
			channels_due(s->channels, loop->now);
	}
	channels_due(w->closing, loop->now);
}

void session_order(struct gateway_loop *loop, struct gateway_task *task)
{
	struct gateway_worker *w = (struct gateway_worker *)loop;
	struct gateway_order *o = (struct gateway_order *)task;
	struct session *s, *next;

	if (o->type == IPC_KILL) {
		s = find(w, o->kill.session);
		if (s)
			session_end(s, IPC_END_KILLED, "%.180s", o->kill.text);
	} else if (o->type == IPC_SIGNATURE) {
		s = find(w, o->signature.session);
		if (s && s->phase == SESSION_SEALED)
			sign(s, o->signature.signature);
	}
	for (s = w->sessions; s; s = next) {
		next = s->next;
		if (o->type == IPC_QUIT)
			session_end(s, IPC_END_SHUTDOWN,
				    "the gateway is shut down");
		if (o->type == IPC_HELLO && s->phase == SESSION_SEALED)
			ask_signature(s);
		else if (o->type == IPC_HELLO)
			report(s);
	}
	free(o);
}
