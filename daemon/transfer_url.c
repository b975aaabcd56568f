/* What URLs of transfers are like; the network is asked nothing here. */
#include "daemon/transfer.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const schemes[] = {"http", "https", "sftp", "s3"};

bool transfer_is_url(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz"
				"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");

	return n && !strncmp(text + n, "://", 3);
}

/* A part of it; curl_free it. NULL: it has none. */
static char *part(CURLU *parts, CURLUPart what)
{
	char *text = NULL;

	return curl_url_get(parts, what, &text, 0) ? NULL : text;
}

static int check_parts(CURLU *parts, struct error *error)
{
	char *scheme = part(parts, CURLUPART_SCHEME);
	char *path = part(parts, CURLUPART_PATH);
	char *password = part(parts, CURLUPART_PASSWORD);
	size_t size = path ? strlen(path) : 0, i;
	int r = 0;

	for (i = 0; scheme && i < sizeof(schemes) / sizeof(*schemes); i++)
		if (!strcmp(schemes[i], scheme))
			break;
	if (!scheme || !path)
		r = error_set(error, -EINVAL, "it is no URL");
	else if (i == sizeof(schemes) / sizeof(*schemes))
		r = error_set(error, -EINVAL,
			      "%s:// is none of the URLs that can be used: "
			      "http, https (also WebDAV), sftp and s3",
			      scheme);
	else if (password)
		r = error_set(
			error, -EINVAL,
			"a URL with a password would be seen and kept in "
			"many places: put it into the file that [transfer] "
			"netrc names");
	else if (size < 2 || path[size - 1] == '/')
		r = error_set(error, -EINVAL, "the URL names no file");
	curl_free(scheme);
	curl_free(path);
	curl_free(password);
	return r;
}

int transfer_check(const char *url, struct error *error)
{
	CURLU *parts;
	CURLUcode code;
	int r;

	if (strlen(url) >= TRANSFER_URL_SIZE)
		return error_set(error, -EINVAL, "the URL is too long");
	parts = curl_url();
	if (!parts)
		return error_set(error, -ENOMEM, "no memory");
	code = curl_url_set(parts, CURLUPART_URL, url,
			    CURLU_NON_SUPPORT_SCHEME);
	if (code)
		r = error_set(error, -EINVAL, "it is no URL: %s",
			      curl_url_strerror(code));
	else
		r = check_parts(parts, error);
	curl_url_cleanup(parts);
	return r;
}

void transfer_shown(const char *url, char shown[TRANSFER_URL_SIZE])
{
	const char *host = strstr(url, "://");
	size_t before = host ? (size_t)(host - url) + 3 : 0, size, at;

	host = url + before;
	size = strcspn(host, "?#");
	/* An @ behind the first / is one of the path. */
	at = strcspn(host, "/?#");
	while (at && host[at - 1] != '@')
		at--;
	snprintf(shown, TRANSFER_URL_SIZE, "%.*s%.*s", (int)before, url,
		 (int)(size - at), host + at);
}
