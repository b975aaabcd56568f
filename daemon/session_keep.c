/* What happens to sessions after their end: recovery, retention, quota. */
#include "daemon/session.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/catalogue.h"
#include "daemon/control.h"
#include "daemon/event.h"
#include "daemon/folder.h"
#include "daemon/job.h"
#include "daemon/log.h"
#include "daemon/units.h"
#include "daemon/vault.h"
#include "recorder/capture_index.h"

#define ORPHAN_SLACK_US (600 * 1000000ll)
#define MONTH_US (28 * 86400 * 1000000ll)

int session_file_digest(int fd, uint8_t digest[32], uint64_t *size,
			struct error *error)
{
	EVP_MD_CTX *sha = EVP_MD_CTX_new();
	size_t room = 1 << 18;
	uint8_t *buffer = malloc(room);
	ssize_t n = 0;
	int r = 0;

	*size = 0;
	if (!sha || !buffer || !EVP_DigestInit_ex(sha, EVP_sha256(), NULL))
		r = error_set(error, -ENOMEM, "no memory");
	while (!r && (n = pread(fd, buffer, room, (off_t)*size)) > 0) {
		*size += (uint64_t)n;
		if (!EVP_DigestUpdate(sha, buffer, (size_t)n))
			r = error_set(error, -EIO, "SHA-256 failed");
	}
	if (!r && n < 0)
		r = error_errno(error, errno, "can't read the recording");
	if (!r && !EVP_DigestFinal_ex(sha, digest, NULL))
		r = error_set(error, -EIO, "SHA-256 failed");
	EVP_MD_CTX_free(sha);
	free(buffer);
	return r;
}

void session_recover(struct control *control, const char *id, const char *text)
{
	struct session session;
	struct stat st = {0};
	char path[PATH_MAX];
	struct error error;
	int64_t r, end;

	if (session_find(control, id, &session, NULL))
		return;
	session_path(control, id, "wire.pcapng.zst", path);
	end = stat(path, &st) ? units_now_us()
			      : (int64_t)st.st_mtim.tv_sec * 1000000 +
					st.st_mtim.tv_nsec / 1000;
	r = catalogue_write(
		control->catalogue,
		"UPDATE session SET state = 'recovered', "
		"ended_at = max(?, seq), end_reason = 'lost', "
		"end_text = ?, capture_bytes = ? "
		"WHERE id = ? AND state = 'live'",
		CATALOGUE_VALUES(catalogue_int(end), catalogue_text(text),
				 catalogue_int(st.st_size), catalogue_text(id)),
		NULL, NULL, &error);
	if (r < 0)
		log_error("session %s: %s", id, error.text);
	else if (r)
		events_post(control->events, "session.ended", id,
			    json_pack("{s:s, s:s, s:s, s:s, s:s}", "session",
				      id, "vault", session.vault_name, "client",
				      session.client, "reason", "lost", "text",
				      text));
}

struct found {
	struct capture_totals totals;
	uint64_t size;
	uint8_t digest[32];
};

/* What a capture holds, read from the file alone. */
static int scan(struct control *control, const char *id, struct found *found,
		struct error *error)
{
	struct capture_index *index = NULL;
	char path[PATH_MAX];
	int fd, r;

	session_path(control, id, "wire.pcapng.zst", path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return error_errno(error, errno, "can't read %s", path);
	r = capture_index_rebuild(&index, fd, error);
	if (r)
		log_warning("session %s: %s", id, error->text);
	memset(found, 0, sizeof(*found));
	if (index)
		found->totals = index->totals;
	capture_index_free(index);
	r = session_file_digest(fd, found->digest, &found->size, error);
	close(fd);
	return r;
}

static void write_found(struct control *control, const char *id,
			const struct found *found, bool good)
{
	const struct capture_totals *t = &found->totals;
	struct error error;

	/* An empty digest says that it was tried. */
	if (catalogue_write(
		    control->catalogue,
		    "UPDATE session SET bytes_to_client = ?, "
		    "bytes_to_guest = ?, capture_bytes = ?, "
		    "capture_sha256 = ?, ended_at = max(seq, "
		    "CASE WHEN ?5 > 0 THEN ?5 ELSE ended_at END) "
		    "WHERE id = ?6 AND state = 'recovered'",
		    CATALOGUE_VALUES(
			    catalogue_int((int64_t)t->counts.bytes_to_client),
			    catalogue_int((int64_t)t->counts.bytes_to_guest),
			    catalogue_int((int64_t)found->size),
			    catalogue_blob(found->digest, good ? 32 : 0),
			    catalogue_int((int64_t)(t->last_time / 1000)),
			    catalogue_text(id)),
		    NULL, NULL, &error) < 0)
		log_error("session %s: %s", id, error.text);
}

static int take_id(void *data, const struct catalogue_row *row)
{
	snprintf(data, 40, "%s", catalogue_row_text(row, 0));
	return 1;
}

void session_scan_recovered(struct control *control)
{
	struct error error;
	struct found found;
	char id[40];

	while (catalogue_read(control->catalogue,
			      "SELECT id FROM session WHERE "
			      "state = 'recovered' AND capture_sha256 IS NULL "
			      "AND recorded = 1 ORDER BY seq LIMIT 1",
			      CATALOGUE_NONE, take_id, id, NULL) == 1) {
		bool good = !scan(control, id, &found, &error);

		if (!good)
			log_warning("session %s: %s", id, error.text);
		write_found(control, id, &found, good);
		log_info("session %s was recovered: %llu bytes of capture", id,
			 (unsigned long long)found.size);
		if (good && found.totals.frames &&
		    control->config.render_automatic)
			job_render(control->jobs, id, "{}", NULL, &error);
	}
}

static int take_int(void *data, const struct catalogue_row *row)
{
	*(int64_t *)data = catalogue_row_int(row, 0);
	return 1;
}

static void remove_orphan(struct control *control, const char *id)
{
	char path[PATH_MAX];
	struct session session;
	struct error error;
	struct stat st;

	if (session_find(control, id, &session, &error) != -ENOENT)
		return;
	session_path(control, id, "wire.pcapng.zst", path);
	if (!stat(path, &st) && st.st_size) {
		log_warning("%s has no entry in the catalogue and is left "
			    "alone",
			    path);
		return;
	}
	session_path(control, id, NULL, path);
	if (folder_remove(path, &error))
		log_warning("%s", error.text);
}

/* Those in the folder of a month that are younger than a session. */
static void remove_orphans_in(struct control *control, int64_t month,
			      int64_t after)
{
	char id[UNITS_ID_SIZE], path[PATH_MAX];
	struct dirent *entry;
	DIR *folder;

	units_id(month, id);
	session_path(control, id, NULL, path);
	*strrchr(path, '/') = '\0';
	folder = opendir(path);
	while (folder && (entry = readdir(folder)))
		if (units_id_check(entry->d_name) &&
		    units_id_time(entry->d_name) >= after)
			remove_orphan(control, entry->d_name);
	if (folder)
		closedir(folder);
}

void session_remove_orphans(struct control *control)
{
	int64_t last = 0, now = units_now_us();

	catalogue_read(control->catalogue, "SELECT max(seq) FROM session",
		       CATALOGUE_NONE, take_int, &last, NULL);
	/* The last session may have got its row before an older one did. */
	last = last ? last - ORPHAN_SLACK_US : now - MONTH_US;
	for (int64_t month = last; month < now; month += MONTH_US)
		remove_orphans_in(control, month, last);
	remove_orphans_in(control, now, last);
}

struct doomed {
	char ids[64][40];
	unsigned count;
};

static int take_doomed(void *data, const struct catalogue_row *row)
{
	struct doomed *doomed = data;

	snprintf(doomed->ids[doomed->count++], 40, "%s",
		 catalogue_row_text(row, 0));
	return doomed->count == 64;
}

/* Removes some; how many. */
static unsigned remove_sessions(struct control *control,
				const struct doomed *doomed, const char *why)
{
	struct error error;
	unsigned removed = 0;

	for (unsigned i = 0; i < doomed->count; i++)
		if (session_delete(control, doomed->ids[i], &error)) {
			log_warning("%s", error.text);
		} else {
			log_info("session %s removed: %s", doomed->ids[i], why);
			removed++;
		}
	return removed;
}

static void sweep_age(struct control *control, const char *uuid,
		      uint64_t retention)
{
	int64_t limit = units_now_us() - (int64_t)retention * 1000000;
	struct doomed doomed;

	do {
		memset(&doomed, 0, sizeof(doomed));
		catalogue_read(control->catalogue,
			       "SELECT id FROM session WHERE vault = ? AND "
			       "seq < ?2 AND ended_at < ?2 AND hold = 0 AND "
			       "state <> 'live' ORDER BY seq LIMIT 64",
			       CATALOGUE_VALUES(catalogue_text(uuid),
						catalogue_int(limit)),
			       take_doomed, &doomed, NULL);
	} while (remove_sessions(control, &doomed, "older than its retention"));
}

static void sweep_quota(struct control *control, const char *uuid,
			uint64_t quota)
{
	struct doomed doomed;
	int64_t bytes;

	do {
		bytes = 0;
		catalogue_read(control->catalogue,
			       "SELECT bytes FROM vault_total WHERE vault = ?",
			       CATALOGUE_VALUES(catalogue_text(uuid)), take_int,
			       &bytes, NULL);
		if (bytes <= 0 || (uint64_t)bytes <= quota)
			return;
		memset(&doomed, 0, sizeof(doomed));
		catalogue_read(control->catalogue,
			       "SELECT id FROM session WHERE vault = ? AND "
			       "hold = 0 AND state <> 'live' "
			       "ORDER BY seq LIMIT 1",
			       CATALOGUE_VALUES(catalogue_text(uuid)),
			       take_doomed, &doomed, NULL);
	} while (remove_sessions(control, &doomed, "over its vault's quota"));
}

struct vaults_swept {
	char uuids[256][37];
	unsigned count;
};

static int take_uuid(void *data, const struct catalogue_row *row)
{
	struct vaults_swept *swept = data;

	snprintf(swept->uuids[swept->count++], 37, "%s",
		 catalogue_row_text(row, 0));
	return swept->count == 256;
}

void session_sweep(struct control *control)
{
	struct vaults_swept *swept = calloc(1, sizeof(*swept));
	struct vault vault;

	if (!swept)
		return;
	catalogue_read(control->catalogue,
		       "SELECT uuid FROM vault WHERE ready AND policy <> '{}'",
		       CATALOGUE_NONE, take_uuid, swept, NULL);
	for (unsigned i = 0; i < swept->count; i++) {
		if (vault_find_uuid(control, swept->uuids[i], &vault, NULL))
			continue;
		if (vault.policy.retention)
			sweep_age(control, vault.uuid, vault.policy.retention);
		if (vault.policy.quota)
			sweep_quota(control, vault.uuid, vault.policy.quota);
		vault_release(&vault);
	}
	free(swept);
}
