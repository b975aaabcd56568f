/* Notes about guests; see guest_notes.h. */
#include "daemon/guest_notes.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

struct guest_note {
	struct guest_note *next;
	char uuid[37];
	enum hypervisor_state state;
};

void guest_notes_init(struct guest_notes *notes)
{
	pthread_mutex_init(&notes->lock, NULL);
	notes->first = NULL;
}

void guest_notes_free(struct guest_notes *notes)
{
	while (notes->first) {
		struct guest_note *n = notes->first;

		notes->first = n->next;
		free(n);
	}
	pthread_mutex_destroy(&notes->lock);
}

/* Where the note is, or would be. */
static struct guest_note **find(struct guest_notes *notes, const char *uuid)
{
	struct guest_note **at = &notes->first;

	while (*at && strcasecmp((*at)->uuid, uuid) != 0)
		at = &(*at)->next;
	return at;
}

static enum hypervisor_state get(struct guest_notes *notes, const char *uuid)
{
	struct guest_note *n = *find(notes, uuid);

	return n ? n->state : HYPERVISOR_STOPPED;
}

static void set(struct guest_notes *notes, const char *uuid,
		enum hypervisor_state state)
{
	struct guest_note **at = find(notes, uuid), *n = *at;

	if (state == HYPERVISOR_STOPPED) {
		if (n)
			*at = n->next;
		free(n);
		return;
	}
	if (!n) {
		n = calloc(1, sizeof(*n));
		if (!n)
			return;
		snprintf(n->uuid, sizeof(n->uuid), "%s", uuid);
		*at = n;
	}
	n->state = state;
}

enum hypervisor_state guest_notes_get(struct guest_notes *notes,
				      const char *uuid)
{
	enum hypervisor_state state;

	pthread_mutex_lock(&notes->lock);
	state = get(notes, uuid);
	pthread_mutex_unlock(&notes->lock);
	return state;
}

void guest_notes_set(struct guest_notes *notes, const char *uuid,
		     enum hypervisor_state state)
{
	pthread_mutex_lock(&notes->lock);
	set(notes, uuid, state);
	pthread_mutex_unlock(&notes->lock);
}

bool guest_notes_begin_start(struct guest_notes *notes, const char *uuid)
{
	bool free_to_start;

	pthread_mutex_lock(&notes->lock);
	free_to_start = get(notes, uuid) != HYPERVISOR_STARTING;
	set(notes, uuid, HYPERVISOR_STARTING);
	pthread_mutex_unlock(&notes->lock);
	return free_to_start;
}

void guest_notes_end_start(struct guest_notes *notes, const char *uuid)
{
	pthread_mutex_lock(&notes->lock);
	if (get(notes, uuid) == HYPERVISOR_STARTING)
		set(notes, uuid, HYPERVISOR_STOPPED);
	pthread_mutex_unlock(&notes->lock);
}
