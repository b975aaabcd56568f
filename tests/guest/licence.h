/*
 * The licence: the lesson's content key, bound to one machine.
 *
 * Activation wraps the key of the one-time licence under a key derived from
 * the fingerprint and then overwrites the one-time licence. After that the
 * key comes back only on a machine with the same fingerprint.
 */
#ifndef GUEST_LICENCE_H
#define GUEST_LICENCE_H

#include "fingerprint.h"

#include <stdbool.h>

enum licence_state {
	LICENCE_VALID,
	LICENCE_ACTIVATED, /* in this very call */
	LICENCE_REFUSED,   /* another machine */
	LICENCE_ABSENT,    /* neither kind on the disk, or it is damaged */
	LICENCE_FAILED,    /* the disk could not be written */
};

struct licence {
	uint8_t key[KEY_SIZE]; /* when valid or activated */
	/* When refused: which fields differ, and both digests. */
	bool changed[FIELDS_MAX];
	uint8_t was[FIELDS_MAX][DIGEST_SIZE];
	uint8_t now[FIELDS_MAX][DIGEST_SIZE];
};

enum licence_state licence_open(struct licence *l, int disk,
				const struct fingerprint *f);

#endif
