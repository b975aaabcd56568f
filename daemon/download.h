/*
 * Fetches a file by URL (HTTP, HTTPS, FTP, SFTP, what libcurl has).
 */
#ifndef DAEMON_DOWNLOAD_H
#define DAEMON_DOWNLOAD_H

#include <stdbool.h>

#include "recorder/error.h"

/* Whether text is a URL that download_file takes. */
bool download_is_url(const char *text);

/* Fetches into a new file, whole or not at all. */
int download_file(const char *url, const char *path, struct error *error);

#endif
