/*
 * Sessions in the catalogue, and the folder STATE/sessions/YYYY/MM/ID of
 * each, which holds wire.pcapng.zst, video.mp4, thumbs.jpg and thumbs.vtt,
 * and what renders need meanwhile (job_render.c).
 *
 * A folder is there before its row and goes before it.
 */
#ifndef DAEMON_SESSION_H
#define DAEMON_SESSION_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "recorder/error.h"

struct control;

struct session {
	int64_t seq; /* began, us since 1970; unique */
	char id[40];
	char vault[37]; /* uuid */
	char vault_name[64];
	char client[64];
	char state[16];   /* live, ended, recovered */
	int64_t ended_at; /* us since 1970, 0 when live */
	char end_reason[16], end_text[200];
	bool recorded, hold, is_signed, has_digest;
	uint64_t bytes_to_client, bytes_to_guest, capture_bytes;
	uint8_t digest[32]; /* SHA-256 of the capture */
	char video[16];
	uint64_t video_bytes;
	char video_error[240];
};

/* STATE/sessions/YYYY/MM/ID/name, or the folder for a NULL name. */
void session_path(const struct control *control, const char *id,
		  const char *name, char path[PATH_MAX]);

/* -ENOENT. */
int session_find(struct control *control, const char *id,
		 struct session *session, struct error *error);
json_t *session_json(struct control *control, const struct session *session);

struct session_filter {
	const char *vault;  /* name; NULL: all */
	const char *state;  /* NULL: all */
	const char *text;   /* words, each begins one; NULL: all */
	const char *before; /* an id; only older ones */
	int64_t since;      /* us since 1970 */
	unsigned limit;
};

/* Newest first. */
int session_list(struct control *control, const struct session_filter *filter,
		 json_t **list, struct error *error);

/* -EBUSY when live or held. */
int session_delete(struct control *control, const char *id,
		   struct error *error);
int session_hold(struct control *control, const char *id, bool hold,
		 struct error *error);

/*
 * At the start: removes folders that were made just before a crash and never
 * got a row. Nothing was recorded into them, for that comes after the row.
 */
void session_remove_orphans(struct control *control);

/* Removes by age and quota what policies let go; now and then. */
void session_sweep(struct control *control);

/* SHA-256 of a whole file. */
int session_file_digest(int fd, uint8_t digest[32], uint64_t *size,
			struct error *error);

/*
 * Begins a session: makes its folder and, when recorded, its empty capture,
 * open for writing in *capture (else -1). The row comes with session_insert.
 */
int session_make(struct control *control, struct session *session, int *capture,
		 struct error *error);
int session_insert(struct control *control, struct session *session,
		   struct error *error);
/* Takes back what session_make made. */
void session_unmake(struct control *control, const struct session *session);

/*
 * A live session that no gateway has any more: its row says "recovered" at
 * once; figures and digest come from its capture a little later.
 */
void session_recover(struct control *control, const char *id, const char *text);
/* Scans the captures of recovered sessions that were not scanned yet. */
void session_scan_recovered(struct control *control);

#endif
