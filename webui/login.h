/*
 * Browser logins: a one-time link becomes a session cookie.
 *
 * Link and cookie are 192 random bits as text; only SHA-256 digests of them
 * are kept. With a folder, the digests of sessions are also in the file
 * `logins` there (0600), so that a restart of the daemon logs nobody out.
 * Thread-safe.
 */
#ifndef WEBUI_LOGIN_H
#define WEBUI_LOGIN_H

#include <stdbool.h>
#include <time.h>

#define LOGIN_TEXT_SIZE 33     /* of a link's or cookie's text, NUL included */
#define LOGIN_LINK_TIME 300    /* s that a link works */
#define LOGIN_TIME (7 * 86400) /* s that a session lasts */
#define LOGIN_MAX_LINKS 16     /* past these the oldest is forgotten */
#define LOGIN_MAX_SESSIONS 64

struct logins;

/* folder: NULL for none. A file that is no such file is ignored. */
struct logins *logins_new(const char *folder);
void logins_free(struct logins *logins);

/* A new link. 0 or -EIO when there are no random numbers. now: time(). */
int logins_link(struct logins *logins, time_t now, char text[LOGIN_TEXT_SIZE]);

/* Uses up a link and begins a session; false: no such link, or too old. */
bool logins_redeem(struct logins *logins, time_t now, const char *link,
		   char cookie[LOGIN_TEXT_SIZE]);

bool logins_check(struct logins *logins, time_t now, const char *cookie);
void logins_end(struct logins *logins, const char *cookie);

#endif
