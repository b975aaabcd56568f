/*
 * What libvirt forgets of transient guests: that one is being started, and
 * that it crashed, until it is started again. Thread-safe.
 */
#ifndef DAEMON_GUEST_NOTES_H
#define DAEMON_GUEST_NOTES_H

#include <pthread.h>

#include "daemon/hypervisor.h"

struct guest_notes {
	pthread_mutex_t lock;
	struct guest_note *first;
};

void guest_notes_init(struct guest_notes *notes);
void guest_notes_free(struct guest_notes *notes);

/* HYPERVISOR_STARTING, HYPERVISOR_CRASHED or, without a note, _STOPPED. */
enum hypervisor_state guest_notes_get(struct guest_notes *notes,
				      const char *uuid);

/* Of the same three; HYPERVISOR_STOPPED takes the note away. */
void guest_notes_set(struct guest_notes *notes, const char *uuid,
		     enum hypervisor_state state);

/* Notes HYPERVISOR_STARTING; false when that stands there already. */
bool guest_notes_begin_start(struct guest_notes *notes, const char *uuid);

/* The start is over. It may have crashed already: that note stays. */
void guest_notes_end_start(struct guest_notes *notes, const char *uuid);

#endif
