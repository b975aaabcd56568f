/* One-time links and session cookies. */
#include "webui/login.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAGIC 0x316e6c6d /* "mln1" */

struct entry {
	int64_t expires; /* s since 1970; 0: free */
	uint8_t digest[SHA256_DIGEST_LENGTH];
};

struct logins {
	pthread_mutex_t lock;
	struct entry links[LOGIN_MAX_LINKS];
	struct entry sessions[LOGIN_MAX_SESSIONS];
	char *file; /* NULL: memory only */
};

/* STATE/…/logins: written and read on the same machine, native byte order. */
struct stored {
	uint32_t magic;
	uint32_t count;
	struct entry sessions[LOGIN_MAX_SESSIONS];
};

static void load(struct logins *logins)
{
	struct stored stored;
	int fd = open(logins->file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return;
	if (read(fd, &stored, sizeof(stored)) == (ssize_t)sizeof(stored) &&
	    stored.magic == FILE_MAGIC && stored.count == LOGIN_MAX_SESSIONS)
		memcpy(logins->sessions, stored.sessions,
		       sizeof(logins->sessions));
	close(fd);
}

/* Whole or not at all; a failure costs a login after the next restart. */
static void save(const struct logins *logins)
{
	struct stored stored = {FILE_MAGIC, LOGIN_MAX_SESSIONS, {{0}}};
	char *temporary;
	bool good;
	int fd;

	if (!logins->file || asprintf(&temporary, "%s.new", logins->file) < 0)
		return;
	memcpy(stored.sessions, logins->sessions, sizeof(stored.sessions));
	unlink(temporary);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0) {
		good = write(fd, &stored, sizeof(stored)) ==
			       (ssize_t)sizeof(stored) &&
		       fsync(fd) == 0;
		if (close(fd) < 0 || !good ||
		    rename(temporary, logins->file) < 0)
			unlink(temporary);
	}
	free(temporary);
}

struct logins *logins_new(const char *folder)
{
	struct logins *logins = calloc(1, sizeof(*logins));

	if (!logins)
		return NULL;
	pthread_mutex_init(&logins->lock, NULL);
	if (folder && asprintf(&logins->file, "%s/logins", folder) < 0)
		logins->file = NULL;
	if (logins->file)
		load(logins);
	return logins;
}

void logins_free(struct logins *logins)
{
	if (!logins)
		return;
	pthread_mutex_destroy(&logins->lock);
	free(logins->file);
	free(logins);
}

static void digest_of(const char *text, uint8_t digest[SHA256_DIGEST_LENGTH])
{
	SHA256((const unsigned char *)text, strlen(text), digest);
}

/* 32 letters of 6 random bits. */
static int make_text(char text[LOGIN_TEXT_SIZE])
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "abcdefghijklmnopqrstuvwxyz0123456789-_";
	uint8_t random[LOGIN_TEXT_SIZE - 1];
	int i;

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return -EIO;
	for (i = 0; i < LOGIN_TEXT_SIZE - 1; i++)
		text[i] = letters[random[i] & 63];
	text[LOGIN_TEXT_SIZE - 1] = 0;
	return 0;
}

/* The entry to overwrite: a free or dead one, else the oldest. */
static struct entry *oldest(struct entry *entries, unsigned n)
{
	struct entry *found = entries;
	unsigned i;

	for (i = 1; i < n; i++)
		if (entries[i].expires < found->expires)
			found = &entries[i];
	return found;
}

static struct entry *find(struct entry *entries, unsigned n, time_t now,
			  const char *text)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	struct entry *found = NULL;
	unsigned i;

	digest_of(text, digest);
	for (i = 0; i < n; i++)
		if (entries[i].expires > now &&
		    CRYPTO_memcmp(entries[i].digest, digest, sizeof(digest)) ==
			    0)
			found = &entries[i];
	return found;
}

static int put(struct entry *entries, unsigned n, int64_t expires,
	       char text[LOGIN_TEXT_SIZE])
{
	struct entry *entry = oldest(entries, n);
	int result = make_text(text);

	if (result < 0)
		return result;
	digest_of(text, entry->digest);
	entry->expires = expires;
	return 0;
}

int logins_link(struct logins *logins, time_t now, char text[LOGIN_TEXT_SIZE])
{
	int result;

	pthread_mutex_lock(&logins->lock);
	result = put(logins->links, LOGIN_MAX_LINKS,
		     (int64_t)now + LOGIN_LINK_TIME, text);
	pthread_mutex_unlock(&logins->lock);
	return result;
}

bool logins_redeem(struct logins *logins, time_t now, const char *link,
		   char cookie[LOGIN_TEXT_SIZE])
{
	struct entry *entry;
	bool good;

	pthread_mutex_lock(&logins->lock);
	entry = find(logins->links, LOGIN_MAX_LINKS, now, link);
	if (entry)
		*entry = (struct entry){0};
	good = entry && put(logins->sessions, LOGIN_MAX_SESSIONS,
			    (int64_t)now + LOGIN_TIME, cookie) == 0;
	if (good)
		save(logins);
	pthread_mutex_unlock(&logins->lock);
	return good;
}

bool logins_check(struct logins *logins, time_t now, const char *cookie)
{
	bool good;

	pthread_mutex_lock(&logins->lock);
	good = find(logins->sessions, LOGIN_MAX_SESSIONS, now, cookie);
	pthread_mutex_unlock(&logins->lock);
	return good;
}

void logins_end(struct logins *logins, const char *cookie)
{
	struct entry *entry;

	pthread_mutex_lock(&logins->lock);
	entry = find(logins->sessions, LOGIN_MAX_SESSIONS, 0, cookie);
	if (entry) {
		*entry = (struct entry){0};
		save(logins);
	}
	pthread_mutex_unlock(&logins->lock);
}
