/*
 * What a snapshot holds beside disk layers: firmware variables and TPM state,
 * small files that are copied. For snapshot.c only.
 */
#ifndef DAEMON_SNAPSHOT_STATE_H
#define DAEMON_SNAPSHOT_STATE_H

#include <stdbool.h>

#include "daemon/vault.h"
#include "recorder/error.h"

struct control;

/* Copies both to snapshots/NAME/, lasting. What is there goes first. */
int snapshot_state_save(struct control *control, const struct vault *vault,
			const char *name, struct error *error);

/* Whether they are as they were saved: -EBADMSG names what is not. */
int snapshot_state_check(struct control *control, const struct vault *vault,
			 const char *name, struct error *error);

/*
 * Puts both back. Each file is replaced whole; it can be interrupted and done
 * again. Of a snapshot without TPM state the TPM stays as it is: one without
 * state would be made anew, with another identity.
 */
int snapshot_state_restore(struct control *control, const struct vault *vault,
			   const char *name, struct error *error);

/* A mark that we have paused the guest, which survives us. */
int snapshot_state_mark(struct control *control, const struct vault *vault,
			struct error *error);
bool snapshot_state_is_marked(struct control *control,
			      const struct vault *vault);
void snapshot_state_unmark(struct control *control, const struct vault *vault);

#endif
