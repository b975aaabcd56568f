/* Fetching a file by URL. */
#include "daemon/download.h"

#include <curl/curl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool download_is_url(const char *text)
{
	static const char *const schemes[] = {"http://", "https://", "ftp://",
					      "ftps://", "sftp://"};

	for (unsigned i = 0; i < sizeof(schemes) / sizeof(*schemes); i++)
		if (!strncasecmp(text, schemes[i], strlen(schemes[i])))
			return true;
	return false;
}

static int fetch(CURL *curl, const char *url, FILE *file, struct error *error)
{
	char reason[CURL_ERROR_SIZE] = "";
	CURLcode code;

	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, file);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
	curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 30L);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR,
			 "http,https,ftp,ftps,sftp");
	/* A transfer that stands still for a minute has failed. */
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, 60L);
	code = curl_easy_perform(curl);
	if (code == CURLE_OK)
		return 0;
	return error_set(error, code == CURLE_WRITE_ERROR ? -ENOSPC : -EIO,
			 "can't fetch %s: %s", url,
			 *reason ? reason : curl_easy_strerror(code));
}

int download_file(const char *url, const char *path, struct error *error)
{
	char part[PATH_MAX];
	FILE *file;
	CURL *curl;
	int r;

	if ((size_t)snprintf(part, sizeof(part), "%s.part", path) >=
	    sizeof(part))
		return error_set(error, -ENAMETOOLONG, "%s is too long", path);
	file = fopen(part, "wxe");
	if (!file)
		return error_errno(error, errno, "can't write %s", part);
	curl = curl_easy_init();
	r = curl ? fetch(curl, url, file, error)
		 : error_set(error, -ENOMEM, "no memory");
	curl_easy_cleanup(curl);
	if (!r && (fflush(file) || fsync(fileno(file))))
		r = error_errno(error, errno, "can't write %s", part);
	fclose(file);
	if (!r && rename(part, path))
		r = error_errno(error, errno, "can't write %s", path);
	if (r)
		unlink(part);
	return r;
}
