/*
 * The list of sessions that the gateway has, in memory. What session_live.c,
 * session_redeem.c and session_told.c share; see session_live.h.
 */
#ifndef DAEMON_SESSION_TABLE_H
#define DAEMON_SESSION_TABLE_H

#include <pthread.h>
#include <time.h>

#include "daemon/session_live.h"

#define SESSION_GATES 16

struct live {
	char id[IPC_ID_SIZE];
	char vault[37]; /* uuid; "" for a replay */
	bool is_replay;
	bool claimed; /* the present gateway has it */
	struct session_figures figures;
	struct live *next;
};

struct sessions {
	pthread_mutex_t lock; /* of the list */
	pthread_cond_t ended;
	struct live *list;
	pthread_mutex_t gates[SESSION_GATES];
};

/* -ENOMEM. It counts as claimed. */
int live_add(struct sessions *s, const char *id, const char *vault,
	     bool is_replay);
/* Takes it off the list; whether it was there. */
bool live_take(struct sessions *s, const char *id, struct live *copy);
/*
 * A copy. One that began before this control did is found in the catalogue
 * and put on the list; -ENOENT when it is not live there either.
 */
int live_get(struct control *control, const char *id, struct live *copy);
/* Waits until it is off the list; ETIMEDOUT at the time (monotonic). */
int live_wait(struct sessions *s, const char *id, const struct timespec *until);
/* With the lock held. */
struct live **live_find(struct sessions *s, const char *id);

void session_address(const struct ipc_address *address, char text[64]);

#endif
