/*
 * What the daemon does to its vaults by itself, at the lowest priority, one
 * thing at a time: it makes digests that are missing, verifies everything that
 * is frozen when its time has come ([verify] in mediavmd.conf, the policy's
 * `verify`), and joins layers that no snapshot needs when a vault has not
 * been used for a while. What was interrupted is gone on with.
 */
#ifndef DAEMON_UPKEEP_H
#define DAEMON_UPKEEP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "recorder/error.h"

struct control;
struct upkeep;
struct vault;

/* -EINVAL when the configured hours are none. */
int upkeep_new(struct upkeep **upkeep, struct control *control,
	       struct error *error);
/* Nothing new begins after it. Both take NULL. */
void upkeep_stop(struct upkeep *upkeep);
void upkeep_free(struct upkeep *upkeep);

/* Something has changed: it looks at once, and not in a minute. */
void upkeep_poke(struct control *control);

/*
 * -ECANCELED when background work on a vault's frozen layers shall end: for a
 * verification outside of the configured hours, for anything while somebody
 * waits to change the layers.
 */
int upkeep_check(struct control *control, const char *uuid, bool verifies,
		 struct error *error);

/* Somebody waits to change the layers of a vault, or does not any more ("").
 */
void upkeep_want(struct control *control, const char *uuid);
bool upkeep_is_wanted(struct control *control, const char *uuid);

/*
 * What is known of a vault's frozen state, for the API: state ("never", "good",
 * "damaged", "failed"), at, text, damage, bytes, seconds, next_at, and whether
 * all digests are there (digested).
 */
json_t *upkeep_json(struct control *control, const struct vault *vault);

/* For doctor: how many vaults were found damaged, and their names. */
unsigned upkeep_damaged(struct control *control, char *names, size_t size);

/* The same as Prometheus' text, one line for each vault; free() it. */
char *upkeep_metrics(struct control *control);

#endif
