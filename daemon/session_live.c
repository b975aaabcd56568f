/* The list of sessions that the gateway has. */
#include "daemon/session_live.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/control.h"
#include "daemon/session.h"
#include "daemon/session_table.h"

int sessions_new(struct sessions **sessions, struct error *error)
{
	struct sessions *s = calloc(1, sizeof(*s));
	pthread_condattr_t monotonic;

	*sessions = s;
	if (!s)
		return error_set(error, -ENOMEM, "no memory");
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->ended, &monotonic);
	pthread_condattr_destroy(&monotonic);
	for (int i = 0; i < SESSION_GATES; i++)
		pthread_mutex_init(&s->gates[i], NULL);
	return 0;
}

void sessions_free(struct sessions *s)
{
	if (!s)
		return;
	while (s->list) {
		struct live *next = s->list->next;

		free(s->list);
		s->list = next;
	}
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->ended);
	for (int i = 0; i < SESSION_GATES; i++)
		pthread_mutex_destroy(&s->gates[i]);
	free(s);
}

struct live **live_find(struct sessions *s, const char *id)
{
	struct live **at = &s->list;

	while (*at && strcmp((*at)->id, id))
		at = &(*at)->next;
	return at;
}

int live_add(struct sessions *s, const char *id, const char *vault,
	     bool is_replay)
{
	struct live *live = calloc(1, sizeof(*live));

	if (!live)
		return -ENOMEM;
	snprintf(live->id, sizeof(live->id), "%s", id);
	snprintf(live->vault, sizeof(live->vault), "%s", vault);
	live->is_replay = is_replay;
	live->claimed = true;
	pthread_mutex_lock(&s->lock);
	live->next = s->list;
	s->list = live;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

bool live_take(struct sessions *s, const char *id, struct live *copy)
{
	struct live **at, *live;

	pthread_mutex_lock(&s->lock);
	at = live_find(s, id);
	live = *at;
	if (live) {
		*copy = *live;
		*at = live->next;
		free(live);
		pthread_cond_broadcast(&s->ended);
	}
	pthread_mutex_unlock(&s->lock);
	return live != NULL;
}

int live_wait(struct sessions *s, const char *id, const struct timespec *until)
{
	int r = 0;

	pthread_mutex_lock(&s->lock);
	while (!r && *live_find(s, id))
		r = pthread_cond_timedwait(&s->ended, &s->lock, until);
	pthread_mutex_unlock(&s->lock);
	return r;
}

/* The vault of a session that began before this control did. */
static int remember(struct control *control, const char *id, struct live *live)
{
	struct session session;

	if (session_find(control, id, &session, NULL) ||
	    strcmp(session.state, "live"))
		return -ENOENT;
	strcpy(live->vault, session.vault);
	return live_add(control->sessions, id, session.vault, false);
}

int live_get(struct control *control, const char *id, struct live *copy)
{
	struct sessions *s = control->sessions;
	struct live *live;

	memset(copy, 0, sizeof(*copy));
	pthread_mutex_lock(&s->lock);
	live = *live_find(s, id);
	if (live) {
		live->claimed = true;
		*copy = *live;
	}
	pthread_mutex_unlock(&s->lock);
	return live ? 0 : remember(control, id, copy);
}

void sessions_unclaim(struct control *control)
{
	struct sessions *s = control->sessions;

	pthread_mutex_lock(&s->lock);
	for (struct live *live = s->list; live; live = live->next)
		live->claimed = false;
	pthread_mutex_unlock(&s->lock);
}

unsigned sessions_claimed(struct control *control)
{
	struct sessions *s = control->sessions;
	unsigned count = 0;

	pthread_mutex_lock(&s->lock);
	for (struct live *live = s->list; live; live = live->next)
		count += live->claimed;
	pthread_mutex_unlock(&s->lock);
	return count;
}

bool sessions_figures(struct control *control, const char *id,
		      struct session_figures *figures)
{
	struct sessions *s = control->sessions;
	struct live *live;

	pthread_mutex_lock(&s->lock);
	live = *live_find(s, id);
	if (live)
		*figures = live->figures;
	pthread_mutex_unlock(&s->lock);
	return live != NULL;
}

unsigned sessions_count(struct control *control)
{
	struct sessions *s = control->sessions;
	unsigned count = 0;

	pthread_mutex_lock(&s->lock);
	for (struct live *live = s->list; live; live = live->next)
		count += !live->is_replay;
	pthread_mutex_unlock(&s->lock);
	return count;
}

void session_address(const struct ipc_address *address, char text[64])
{
	if (!inet_ntop(address->family, address->address, text, 64))
		snprintf(text, 64, "?");
}
