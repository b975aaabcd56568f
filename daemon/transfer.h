/*
 * Streams to and from URLs: HTTP(S), WebDAV, SFTP and S3, by processes of
 * their own (`mediavmd job send` and `mediavmd job fetch`; transfer_job.h says
 * how they are spoken to), which are started again after they were killed and
 * go on after a cut where the far end stands.
 *
 *   http://HOST/PATH  https://HOST/PATH     a web server; one that speaks
 *       WebDAV is found out by asking, and its uploads can be gone on with
 *   sftp://[USER@]HOST/PATH                  /~/PATH: below the home folder
 *   s3://BUCKET/KEY                          at [transfer] s3-endpoint
 *
 * Credentials are in none of these calls: the processes take them from the
 * files that [transfer] names. A URL with a password is refused.
 */
#ifndef DAEMON_TRANSFER_H
#define DAEMON_TRANSFER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "recorder/error.h"

struct job_work;

#define TRANSFER_URL_SIZE 2048

/* Whether text begins as a URL, of whatever scheme; else it is a path. */
bool transfer_is_url(const char *text);

/* Whether it is one that can be used. -EINVAL. */
int transfer_check(const char *url, struct error *error);

/*
 * What of a URL may be shown, logged and stored: without user, query and
 * fragment, any of which may be a secret.
 */
void transfer_shown(const char *url, char shown[TRANSFER_URL_SIZE]);

/*
 * An upload. The far end shows the whole file under its name, or nothing: what
 * is not finished is beside it (NAME.ID.part, or a multipart upload of S3).
 */
struct transfer_send {
	const char *url;
	/* Of this very stream, [a-z0-9-], 40 at most: an upload is gone on
	 * with when it has the same. */
	const char *id;
	/* What `keep` was given last by an earlier run, borrowed; else NULL. */
	const json_t *state;
	uint64_t size; /* bytes it will have at most; 0: not known */
	void *data;
	/*
	 * The stream shall be written to fd from this byte on; fd becomes the
	 * callee's. Who writes it (a thread or a process) ends with fd closed.
	 * Called again, after `end`, when the far end has to be asked anew.
	 */
	int (*begin)(void *data, uint64_t offset, int fd, struct error *error);
	/*
	 * Whoever writes shall be over: waits for it, or when `whole` is false
	 * ends it. 0: the stream had its last byte; only then is the file
	 * shown at the far end. The error is that of the upload.
	 */
	int (*end)(void *data, bool whole, struct error *error);
	/* Keep this for a later run, which will need it (S3); may be NULL. */
	int (*keep)(void *data, const json_t *state, struct error *error);
	/* Bytes that the far end has; NULL: they are the job's progress. */
	void (*progress)(void *data, uint64_t done);
};

/* -ECANCELED, -EEXIST when there is something at the URL, -EIO, … */
int transfer_send(struct job_work *work, const struct transfer_send *send,
		  struct error *error);

/*
 * Takes away what an unfinished upload left at the far end, also for a job that
 * was cancelled. It is not tried for long.
 */
int transfer_forget(struct job_work *work, const struct transfer_send *send,
		    struct error *error);

/* A download. */
struct transfer_fetch {
	const char *url;
	/* What `keep` was given last by an earlier run, borrowed; else NULL. */
	const json_t *state;
	void *data;
	/*
	 * *fd takes the stream from *offset on; it is closed by the caller of
	 * begin. Called again, after `end`, when the process had died.
	 */
	int (*begin)(void *data, uint64_t *offset, int *fd,
		     struct error *error);
	/* No more comes: all has come, or (not whole) it was broken off. */
	int (*end)(void *data, bool whole, struct error *error);
	/*
	 * What the source is known by (its size, ETag, date): a later run that
	 * is given it and finds another one fails with -ESTALE. May be NULL.
	 */
	int (*keep)(void *data, const json_t *state, struct error *error);
	/* size: 0 when the source does not say; NULL: the job's progress. */
	void (*progress)(void *data, uint64_t done, uint64_t size);
};

/* -ECANCELED, -ESTALE when the source has changed, -EIO, … */
int transfer_fetch(struct job_work *work, const struct transfer_fetch *fetch,
		   struct error *error);

#endif
