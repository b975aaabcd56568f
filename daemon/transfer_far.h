/*
 * The far end of a transfer, inside the processes `send` and `fetch`: one
 * connection by libcurl, what the last answer said, and errors in words that
 * the user can act on. For the transfer_*.c files only.
 *
 * Functions return -EAGAIN for what may pass (a cut, a full server), any
 * other negative errno for what will not.
 */
#ifndef DAEMON_TRANSFER_FAR_H
#define DAEMON_TRANSFER_FAR_H

#include <curl/curl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/transfer.h"

enum far_kind { FAR_HTTP, FAR_SFTP, FAR_S3 };

#define FAR_ANSWER (4 << 20) /* bytes of an answer that is not the stream */
#define FAR_TAG_SIZE 256

/* What the last answer said of itself. */
struct far_answer {
	long status;        /* of HTTP */
	int64_t length;     /* bytes of its body; -1: not said */
	int64_t from, size; /* of Content-Range, or -1 */
	char etag[FAR_TAG_SIZE], modified[64]; /* "" */
	bool is_dav;
	bool is_partial;
};

struct far {
	const json_t *request; /* see transfer_job.h */
	json_t *state;         /* what a later run will need; may be NULL */
	enum far_kind kind;
	char *url;    /* of the file, without a user; http, https or sftp */
	char *beside; /* of what is unfinished: URL.ID.part */
	char host[256];
	char user[256], password[256];
	bool is_local; /* loopback: what is sent in clear stays here */
	CURL *curl;
	struct curl_slist *headers;
	char reason[CURL_ERROR_SIZE];
	char key[100]; /* SHA-256 of an SSH host key that was refused */
	bool key_changed;
	struct far_answer answer;
	char *body; /* of the answer, when it is not the stream; a text */
	size_t body_size;
	/* Trying again. */
	bool reached;      /* it has answered once */
	int64_t last_good; /* ms */
	unsigned pause;    /* ms, of the next time */
};

/* Narrows this process to what a transfer needs. */
int far_enter(struct error *error);

/* request is borrowed. far_close it, even after an error. */
int far_open(struct far *far, const json_t *request, struct error *error);
void far_close(struct far *far);

/*
 * Before each request: forgets the last one's options. url is copied. Takes
 * what is written into `body` until another callback is set. Redirects are not
 * followed: what changes something goes to where the user said.
 */
void far_prepare(struct far *far, const char *url);
/* That callback. */
size_t far_keep(char *data, size_t size, size_t count, void *far);
/* Adds a header line; the next far_prepare forgets it. */
void far_header(struct far *far, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Sends data as the body of a PUT, or into an SFTP file. */
struct far_upload {
	const uint8_t *data;
	size_t size, at;
	uint64_t begins; /* of SFTP: where in the file */
	bool asks;       /* of SFTP: only `found` is wanted, */
	int64_t found;   /* the length of the file */
};
void far_give(struct far *far, struct far_upload *upload);

/* Does it and judges the outcome: 0 for 2xx. */
int far_perform(struct far *far, struct error *error);
/* The same, and what the caller can live with is no error. */
int far_perform_or(struct far *far, long status, struct error *error);

/*
 * After -EAGAIN: says so, waits, 0 to try again. Else, or when it lasts too
 * long, the error.
 */
int far_again(struct far *far, int r, struct error *error);
/* Something has come or gone: a break from now on is a new one. */
void far_good(struct far *far);

/* Something for a later run, taken: told to the control role. */
void far_remember(struct far *far, const char *name, json_t *value);

/* A text of the request, NULL when it is not there or empty. */
const char *far_text(const struct far *far, const char *name);
int64_t far_now(void); /* ms */

/* --- transfer_login.c -------------------------------------------------- */

/* Finds user and password of a host in a netrc file. */
int far_login(struct far *far, struct error *error);

/* --- transfer_s3.c ----------------------------------------------------- */

/* The HTTP URL of s3://BUCKET/KEY; the caller frees it. NULL: an error. */
char *far_s3_url(struct far *far, const char *url, struct error *error);
/* Signs the next request; sha256: of its body, hex. */
void far_s3_sign(struct far *far, const char *sha256);
extern const char far_s3_empty[]; /* SHA-256 of nothing */

/* --- words, transfer_words.c ------------------------------------------- */

enum { FAR_IN = 3, FAR_OUT = 4, FAR_WORDS = 5, FAR_ORDERS = 6 };

/* One line; ends the process when nobody listens any more. */
void far_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "bytes …", when it is worth it. */
void far_say_bytes(uint64_t done, uint64_t all);
/* How it ended, of a process that failed. */
void far_say_failure(int r, const struct error *error);
/* The first line from the control role; NULL: none came. */
json_t *far_request(void);
/* The next line from the control role; free() it. NULL: it has gone. */
char *far_hear(void);
/* Waits; ends the process when the control role goes meanwhile. */
void far_wait(unsigned ms);

/* --- kinds of upload ---------------------------------------------------- */

/*
 * Where pieces are put, one after the other. have(): how much is there, a
 * number of whole pieces or, when is_exact, of bytes.
 */
struct far_store {
	size_t piece; /* bytes */
	int (*have)(struct far *far, struct far_store *store, uint64_t *size,
		    struct error *error);
	int (*put)(struct far *far, struct far_store *store, uint64_t offset,
		   const uint8_t *data, size_t size, struct error *error);
	/* Shows it under its name. */
	int (*finish)(struct far *far, struct far_store *store, uint64_t size,
		      struct error *error);
	int (*forget)(struct far *far, struct far_store *store,
		      struct error *error);
	void *own;
};

/* -ENOTSUP: it takes whole uploads only. */
int far_dav_store(struct far *far, struct far_store *store,
		  struct error *error);
int far_sftp_store(struct far *far, struct far_store *store,
		   struct error *error);
/* Bytes of an SFTP file; -ENOENT. */
int far_sftp_size(struct far *far, const char *url, int64_t *size,
		  struct error *error);
int far_s3_store(struct far *far, struct far_store *store, struct error *error);
void far_s3_store_free(struct far_store *store);

#endif
