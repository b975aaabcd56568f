/* Sessions: rows, folders, lists. */
#include "daemon/session.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/catalogue.h"
#include "daemon/control.h"
#include "daemon/folder.h"
#include "daemon/job.h"
#include "daemon/session_live.h"
#include "daemon/units.h"

#define COLUMNS \
	"s.seq, s.id, s.vault, s.vault_name, s.client, s.state, s.ended_at, " \
	"s.end_reason, s.end_text, s.recorded, s.hold, s.is_signed, " \
	"s.bytes_to_client, s.bytes_to_guest, s.capture_bytes, " \
	"s.capture_sha256, s.video, s.video_bytes, s.video_error"

void session_path(const struct control *control, const char *id,
		  const char *name, char path[PATH_MAX])
{
	time_t seconds = units_id_time(id) / 1000000;
	struct tm tm;

	gmtime_r(&seconds, &tm);
	snprintf(path, PATH_MAX, "%s/sessions/%04d/%02d/%s%s%s",
		 control->config.state, tm.tm_year + 1900, tm.tm_mon + 1, id,
		 name ? "/" : "", name ? name : "");
}

static void copy_text(char *to, size_t size, const char *text)
{
	snprintf(to, size, "%s", text ? text : "");
}

#define COPY(field, column) \
	copy_text(s->field, sizeof(s->field), catalogue_row_text(row, column))

static void read_row(struct session *s, const struct catalogue_row *row)
{
	const void *digest;
	size_t size;

	memset(s, 0, sizeof(*s));
	s->seq = catalogue_row_int(row, 0);
	COPY(id, 1);
	COPY(vault, 2);
	COPY(vault_name, 3);
	COPY(client, 4);
	COPY(state, 5);
	s->ended_at = catalogue_row_int(row, 6);
	COPY(end_reason, 7);
	COPY(end_text, 8);
	s->recorded = catalogue_row_int(row, 9) != 0;
	s->hold = catalogue_row_int(row, 10) != 0;
	s->is_signed = catalogue_row_int(row, 11) != 0;
	s->bytes_to_client = (uint64_t)catalogue_row_int(row, 12);
	s->bytes_to_guest = (uint64_t)catalogue_row_int(row, 13);
	s->capture_bytes = (uint64_t)catalogue_row_int(row, 14);
	digest = catalogue_row_blob(row, 15, &size);
	s->has_digest = digest && size == sizeof(s->digest);
	if (s->has_digest)
		memcpy(s->digest, digest, size);
	COPY(video, 16);
	s->video_bytes = (uint64_t)catalogue_row_int(row, 17);
	COPY(video_error, 18);
}

static int take_session(void *data, const struct catalogue_row *row)
{
	read_row(data, row);
	return 1;
}

int session_find(struct control *control, const char *id,
		 struct session *session, struct error *error)
{
	int64_t r = 0;

	if (units_id_check(id))
		r = catalogue_read(control->catalogue,
				   "SELECT " COLUMNS
				   " FROM session s WHERE s.id = ?",
				   CATALOGUE_VALUES(catalogue_text(id)),
				   take_session, session, error);
	if (r < 0)
		return (int)r;
	if (!r)
		return error_set(error, -ENOENT, "there is no session \"%s\"",
				 id);
	return 0;
}

static json_t *digest_json(const struct session *s)
{
	char hex[65];

	if (!s->has_digest)
		return json_null();
	for (int i = 0; i < 32; i++)
		sprintf(hex + 2 * i, "%02x", s->digest[i]);
	return json_string(hex);
}

static json_t *video_json(struct control *control, const struct session *s)
{
	json_t *json = json_pack("{s:s}", "state", s->video);
	char job[40];

	if (!strcmp(s->video, "ready"))
		json_object_set_new(json, "bytes",
				    json_integer((json_int_t)s->video_bytes));
	if (s->video_error[0])
		json_object_set_new(json,
				    strcmp(s->video, "failed") ? "note"
							       : "error",
				    json_string(s->video_error));
	if ((!strcmp(s->video, "queued") || !strcmp(s->video, "rendering")) &&
	    job_of_session(control->jobs, s->id, job))
		json_object_set_new(json, "job", json_string(job));
	return json;
}

json_t *session_json(struct control *control, const struct session *s)
{
	struct session_figures now = {s->bytes_to_client, s->bytes_to_guest,
				      s->capture_bytes, 0};
	bool live = !strcmp(s->state, "live");
	int64_t end = s->ended_at ? s->ended_at : units_now_us();

	if (live)
		sessions_figures(control, s->id, &now);
	if (end < s->seq)
		end = s->seq;
	return json_pack(
		"{s:s, s:s, s:s, s:o, s:o, s:s, s:s?, s:s?, s:I, s:I, s:I, "
		"s:b, s:{s:I, s:o, s:b}, s:o}",
		"id", s->id, "vault", s->vault_name, "client", s->client,
		"started_at", units_time_json(s->seq), "ended_at",
		units_time_json(s->ended_at), "state", s->state, "end_reason",
		live ? NULL : s->end_reason, "end_text",
		live ? NULL : s->end_text, "duration_ms",
		(json_int_t)((end - s->seq) / 1000), "bytes_to_client",
		(json_int_t)now.bytes_to_client, "bytes_to_guest",
		(json_int_t)now.bytes_to_guest, "hold", s->hold, "capture",
		"bytes", (json_int_t)now.capture_bytes, "sha256",
		digest_json(s), "signed", s->is_signed, "video",
		video_json(control, s));
}

/* Part of a word as the text index has them (schema: tokenchars). */
static bool in_word(char c)
{
	return isalnum((unsigned char)c) || c == '.' || c == ':' ||
	       (unsigned char)c >= 0x80;
}

/*
 * Appends the words of a text to an FTS5 query, each in quotes, so that
 * nothing in it is an operator. Returns how many there were.
 */
static unsigned put_words(char *query, size_t size, const char *text,
			  const char *mark)
{
	unsigned words = 0;

	while (*text) {
		size_t at = strlen(query), length = 0;

		while (in_word(text[length]))
			length++;
		if (length && at + length + 10 < size)
			snprintf(query + at, size - at, "%s\"%.*s\"%s",
				 words++ ? " AND " : "", (int)length, text,
				 mark);
		text += length ? length : 1;
	}
	return words;
}

/* Words that begin so, in sessions of the vault; false when there is none. */
static bool text_query(const char *vault, const char *text, char *query,
		       size_t size)
{
	size_t at = 0;

	query[0] = '\0';
	if (vault) {
		at = (size_t)snprintf(query, size, "vault_name : (");
		put_words(query, size, vault, "");
		at = strlen(query);
		at += (size_t)snprintf(query + at, size - at, ") AND ");
	}
	return put_words(query + at, size - at, text, "*") > 0;
}

/* A statement and its values, put together from what is asked. */
struct statement {
	char sql[1200];
	struct catalogue_value values[8];
	unsigned count;
};

static void also(struct statement *s, const char *condition,
		 struct catalogue_value value)
{
	size_t at = strlen(s->sql);

	snprintf(s->sql + at, sizeof(s->sql) - at, " AND %s", condition);
	s->values[s->count++] = value;
}

struct listing {
	struct session *sessions;
	unsigned count, room;
};

static int take_listed(void *data, const struct catalogue_row *row)
{
	struct listing *listing = data;

	if (listing->count < listing->room)
		read_row(&listing->sessions[listing->count++], row);
	return 0;
}

/*
 * From which table, and which one first: of sessions that have not ended as
 * they should there are few, so they are gone through; otherwise the text's
 * rows or an index of sessions, both in the order wanted.
 */
static void make_from(const struct session_filter *filter, bool text,
		      struct statement *s)
{
	const char *from = "session s", *join = "", *condition = "";
	bool ended = !filter->state || !strcmp(filter->state, "ended");

	if (ended && text) {
		from = "session_text t CROSS JOIN session s ON s.seq = t.rowid";
	} else if (!ended) {
		bool live = !strcmp(filter->state, "live");

		/* A partial index wants to see its condition. */
		from = live ? "session s INDEXED BY session_live"
			    : "session s INDEXED BY session_recovered";
		condition = live ? " AND s.state = 'live'"
				 : " AND s.state = 'recovered'";
		if (text)
			join = " CROSS JOIN session_text t ON t.rowid = s.seq";
	}
	snprintf(s->sql, sizeof(s->sql),
		 "SELECT " COLUMNS " FROM %s%s WHERE 1%s", from, join,
		 condition);
	if (ended && filter->state)
		also(s, "s.state = ?", catalogue_text(filter->state));
}

static void make_statement(const struct session_filter *filter, int64_t before,
			   const char *query, struct statement *s)
{
	const char *order = query ? "t.rowid" : "s.seq";
	char condition[40];

	make_from(filter, query != NULL, s);
	if (query)
		also(s, "session_text MATCH ?", catalogue_text(query));
	if (filter->vault)
		also(s, "s.vault_name = ?", catalogue_text(filter->vault));
	snprintf(condition, sizeof(condition), "%s >= ?", order);
	if (filter->since)
		also(s, condition, catalogue_int(filter->since));
	snprintf(condition, sizeof(condition), "%s < ?", order);
	if (before)
		also(s, condition, catalogue_int(before));
	snprintf(s->sql + strlen(s->sql), sizeof(s->sql) - strlen(s->sql),
		 " ORDER BY %s DESC LIMIT ?", order);
	s->values[s->count++] = catalogue_int(filter->limit);
}

int session_list(struct control *control, const struct session_filter *filter,
		 json_t **list, struct error *error)
{
	struct listing listing = {.room = filter->limit};
	struct statement statement = {.count = 0};
	char query[600];
	struct session before = {0};
	bool text = filter->text && filter->text[0];
	int64_t r;

	*list = json_array();
	if (filter->before) {
		r = session_find(control, filter->before, &before, error);
		if (r)
			return (int)r;
	}
	text = text &&
	       text_query(filter->vault, filter->text, query, sizeof(query));
	make_statement(filter, before.seq, text ? query : NULL, &statement);
	listing.sessions = calloc(listing.room, sizeof(struct session));
	if (!listing.sessions)
		return error_set(error, -ENOMEM, "no memory");
	r = catalogue_read(control->catalogue, statement.sql, statement.values,
			   statement.count, take_listed, &listing, error);
	for (unsigned i = 0; r >= 0 && i < listing.count; i++)
		json_array_append_new(
			*list, session_json(control, &listing.sessions[i]));
	free(listing.sessions);
	return r < 0 ? (int)r : 0;
}

int session_make(struct control *control, struct session *session, int *capture,
		 struct error *error)
{
	char path[PATH_MAX];
	int r;

	*capture = -1;
	session->seq = units_now_us();
	units_id(session->seq, session->id);
	session_path(control, session->id, NULL, path);
	r = folder_make_all(path, 0700, error);
	if (r || !session->recorded)
		return r;
	session_path(control, session->id, "wire.pcapng.zst", path);
	*capture = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (*capture < 0) {
		r = error_errno(error, errno, "can't make %s", path);
		session_unmake(control, session);
		return r;
	}
	session_path(control, session->id, NULL, path);
	return folder_sync(path, error);
}

int session_insert(struct control *control, struct session *s,
		   struct error *error)
{
	int64_t r;

	do
		r = catalogue_write(
			control->catalogue,
			"INSERT INTO session (seq, id, vault, vault_name, "
			"client, state, recorded) "
			"VALUES (?, ?, ?, ?, ?, 'live', ?)",
			CATALOGUE_VALUES(catalogue_int(s->seq++),
					 catalogue_text(s->id),
					 catalogue_text(s->vault),
					 catalogue_text(s->vault_name),
					 catalogue_text(s->client),
					 catalogue_int(s->recorded)),
			NULL, NULL, error);
	while (r == -EEXIST); /* two in the same microsecond */
	s->seq--;
	return r < 0 ? (int)r : 0;
}

void session_unmake(struct control *control, const struct session *session)
{
	char path[PATH_MAX];

	session_path(control, session->id, NULL, path);
	folder_remove(path, NULL);
}

int session_hold(struct control *control, const char *id, bool hold,
		 struct error *error)
{
	int64_t r = catalogue_write(
		control->catalogue, "UPDATE session SET hold = ? WHERE id = ?",
		CATALOGUE_VALUES(catalogue_int(hold), catalogue_text(id)), NULL,
		NULL, error);

	if (!r)
		return error_set(error, -ENOENT, "there is no session \"%s\"",
				 id);
	return r < 0 ? (int)r : 0;
}

int session_delete(struct control *control, const char *id, struct error *error)
{
	struct session session;
	char path[PATH_MAX];
	int64_t n;
	int r = session_find(control, id, &session, error);

	if (r)
		return r;
	if (!strcmp(session.state, "live"))
		return error_set(error, -EBUSY,
				 "session %s is live; kill it first", id);
	if (session.hold)
		return error_set(error, -EBUSY,
				 "session %s is held; let it go first (hold "
				 "--off)",
				 id);
	job_cancel_session(control->jobs, id);
	session_path(control, id, NULL, path);
	r = folder_remove(path, error);
	if (r)
		return r;
	n = catalogue_write(control->catalogue,
			    "DELETE FROM session WHERE id = ? AND hold = 0",
			    CATALOGUE_VALUES(catalogue_text(id)), NULL, NULL,
			    error);
	return n < 0 ? (int)n : 0;
}
