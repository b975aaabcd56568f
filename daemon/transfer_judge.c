/* What an outcome means: whether it may pass, and what the user can do. */
#include "daemon/transfer_far.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAUSE_MS 250 /* the first; each next one is twice as long */
#define PAUSE_MAX_MS 30000

static const char *netrc(const struct far *far)
{
	const char *path = far_text(far, "netrc");

	return path ? path : "the file that [transfer] netrc names";
}

/* --- libcurl ------------------------------------------------------------ */

/* Breaks of a connection that was there, or of a network that comes back. */
static bool may_pass(CURLcode code)
{
	static const CURLcode codes[] = {
		CURLE_COULDNT_RESOLVE_HOST,
		CURLE_COULDNT_CONNECT,
		CURLE_PARTIAL_FILE,
		CURLE_OPERATION_TIMEDOUT,
		CURLE_GOT_NOTHING,
		CURLE_SEND_ERROR,
		CURLE_RECV_ERROR,
		CURLE_SSL_CONNECT_ERROR,
		CURLE_SSH,
		CURLE_AGAIN,
		CURLE_WEIRD_SERVER_REPLY,
		CURLE_FAILED_INIT,
	};

	for (unsigned i = 0; i < sizeof(codes) / sizeof(*codes); i++)
		if (codes[i] == code)
			return true;
	return false;
}

static int judge_peer(const struct far *far, struct error *error)
{
	const char *known = far_text(far, "known_hosts");

	if (far->kind != FAR_SFTP)
		return error_set(error, -EACCES,
				 "%s can't be trusted: %s; if its certificate "
				 "is by an authority of yours, name that in "
				 "[transfer] ca",
				 far->host, far->reason);
	if (far->key_changed)
		return error_set(error, -EACCES,
				 "the host key of %s is not the one in %s but "
				 "%s: somebody may be in between; when it was "
				 "changed on purpose, correct that file",
				 far->host, known ? known : "known-hosts",
				 far->key);
	return error_set(error, -EACCES,
			 "the host key of %s is not known; it is %s: when that "
			 "is right, add it to %s (ssh-keyscan)",
			 far->host, far->key,
			 known ? known
			       : "the file that [transfer] known-hosts names");
}

static int judge_login(const struct far *far, struct error *error)
{
	return error_set(error, -EACCES,
			 "%s does not let %s in: give a key in [transfer] "
			 "ssh-key, or a password in %s",
			 far->host, far->user, netrc(far));
}

static int judge_code(const struct far *far, CURLcode code, struct error *error)
{
	const char *reason =
		far->reason[0] ? far->reason : curl_easy_strerror(code);

	switch (code) {
	case CURLE_PEER_FAILED_VERIFICATION:
		return judge_peer(far, error);
	case CURLE_LOGIN_DENIED:
		return judge_login(far, error);
	case CURLE_REMOTE_FILE_NOT_FOUND:
		return error_set(error, -ENOENT,
				 "%s has no such file or folder", far->host);
	case CURLE_REMOTE_ACCESS_DENIED:
		return error_set(error, -EACCES, "%s refuses the access",
				 far->host);
	case CURLE_REMOTE_DISK_FULL:
		return error_set(error, -ENOSPC,
				 "%s is full, or the quota there is used up",
				 far->host);
	case CURLE_BAD_DOWNLOAD_RESUME:
		return error_set(error, -ESTALE,
				 "the file at %s is shorter than what was "
				 "fetched of it: it has changed",
				 far->host);
	case CURLE_QUOTE_ERROR:
		return error_set(error, -EIO, "%s refuses: %s", far->host,
				 reason);
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_TOO_MANY_REDIRECTS:
		return error_set(error, -EINVAL,
				 "%s redirects to where it is not followed: %s",
				 far->host, reason);
	case CURLE_SSL_CACERT_BADFILE:
		return error_set(error, -EINVAL, "[transfer] ca: %s", reason);
	case CURLE_OUT_OF_MEMORY:
		return error_set(error, -ENOMEM, "no memory");
	default:
		return error_set(error, may_pass(code) ? -EAGAIN : -EIO,
				 "%s: %s", far->host, reason);
	}
}

/* --- HTTP --------------------------------------------------------------- */

/* "CODE: MESSAGE" of S3's XML, or "". */
static void s3_says(const struct far *far, char text[200])
{
	static const char *const tags[] = {"Code", "Message"};
	size_t n = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < 2; i++) {
		char open[16], close[16];
		const char *from, *to;

		snprintf(open, sizeof(open), "<%s>", tags[i]);
		snprintf(close, sizeof(close), "</%s>", tags[i]);
		from = far->body ? strstr(far->body, open) : NULL;
		to = from ? strstr(from, close) : NULL;
		if (!to)
			continue;
		from += strlen(open);
		n += (size_t)snprintf(
			text + n, 200 - n, "%s%.*s", n ? ": " : "",
			(int)(to - from > 90 ? 90 : to - from), from);
	}
}

static int judge_no_login(const struct far *far, struct error *error)
{
	if (!far->password[0])
		return error_set(error, -EACCES,
				 "%s wants a login (401): give it in %s, as "
				 "machine HOST login USER password SECRET",
				 far->host, netrc(far));
	return error_set(error, -EACCES,
			 "%s refuses the login of %s (401): see %s%s",
			 far->host, far->user, netrc(far),
			 far->is_local || !strncmp(far->url, "https:", 6)
				 ? ""
				 : "; without https, passwords are sent by "
				   "Digest only");
}

static int judge_status(const struct far *far, struct error *error)
{
	long status = far->answer.status;
	char said[200] = "";

	if (far->kind == FAR_S3)
		s3_says(far, said);
	switch (status) {
	case 401:
	case 407:
		return judge_no_login(far, error);
	case 403:
		return error_set(error, -EACCES, "%s forbids it (403)%s%s",
				 far->host, said[0] ? ": " : "", said);
	case 404:
	case 410:
		return error_set(error, -ENOENT,
				 "%s has no such file or folder (%ld)%s%s",
				 far->host, status, said[0] ? ": " : "", said);
	case 405:
	case 501:
		return error_set(error, -ENOTSUP,
				 "%s does not take this kind of request (%ld)",
				 far->host, status);
	case 409:
		return error_set(error, -ENOENT,
				 "%s has no such folder (409): make it first",
				 far->host);
	case 412:
		return error_set(error, -EEXIST,
				 "what is at %s has changed, or is there "
				 "already (412)",
				 far->host);
	case 413:
		return error_set(error, -EFBIG,
				 "%s takes no file as large as this (413)",
				 far->host);
	case 507:
		return error_set(error, -ENOSPC,
				 "%s is full, or the quota there is used up "
				 "(507)",
				 far->host);
	case 408:
	case 425:
	case 429:
	case 500:
	case 502:
	case 503:
	case 504:
		return error_set(error, -EAGAIN, "%s can't do it now (%ld)%s%s",
				 far->host, status, said[0] ? ": " : "", said);
	default:
		return error_set(error, -EIO, "%s answers %ld%s%s", far->host,
				 status, said[0] ? ": " : "", said);
	}
}

int far_perform_or(struct far *far, long status, struct error *error)
{
	CURLcode code;

	far->reason[0] = '\0';
	code = curl_easy_perform(far->curl);
	if (code == CURLE_WRITE_ERROR || code == CURLE_ABORTED_BY_CALLBACK)
		return error && error->code
			       ? error->code
			       : error_set(error, -ECANCELED, "broken off");
	if (code)
		return judge_code(far, code, error);
	if (far->kind == FAR_SFTP)
		far->reached = true;
	if (far->kind == FAR_SFTP || far->answer.status / 100 == 2 ||
	    (status && far->answer.status == status))
		return 0;
	return judge_status(far, error);
}

int far_perform(struct far *far, struct error *error)
{
	return far_perform_or(far, 0, error);
}

/* --- trying again ------------------------------------------------------- */

void far_good(struct far *far)
{
	far->last_good = far_now();
	far->pause = 0;
}

int far_again(struct far *far, int r, struct error *error)
{
	int64_t patience =
		json_integer_value(json_object_get(far->request, "patience"));

	if (r != -EAGAIN)
		return r;
	/* What was never reached is more likely wrong than broken. */
	if (!far->reached)
		return error ? (error->code = -EIO) : -EIO;
	if (far_now() - far->last_good > patience) {
		error_prefix(error, "given up after %lld s",
			     (long long)(patience / 1000));
		return error ? (error->code = -ETIMEDOUT) : -ETIMEDOUT;
	}
	far->pause = far->pause ? far->pause * 2 : PAUSE_MS;
	if (far->pause > PAUSE_MAX_MS)
		far->pause = PAUSE_MAX_MS;
	far_say("wait %s", error ? error->text : "");
	far_wait(far->pause);
	error_clear(error);
	return 0;
}
