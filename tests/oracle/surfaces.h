/*
 * A surface of ours beside the one that spice-client-glib has, pixel by
 * pixel. All return 0, -ERANGE and the first difference, or the client's
 * failure.
 */
#ifndef TESTS_ORACLE_SURFACES_H
#define TESTS_ORACLE_SURFACES_H

#include <pixman.h>
#include <stdint.h>

#include "recorder/cursor.h"
#include "recorder/error.h"
#include "recorder/surface.h"
#include "tests/oracle/gtk_client.h"

/*
 * With `adopt` ours has the client's pixels afterwards.
 * -EAGAIN: the client shows no primary.
 */
int surfaces_compare_primary(struct gtk_channel *gtk, struct surface *ours,
			     bool adopt, struct error *error);

/*
 * An off-screen surface, laid on the primary in as many pieces as it takes;
 * the primary's pixels are put back. -EAGAIN: there is no primary of 32 bits
 * to lay it on.
 */
int surfaces_compare(struct gtk_channel *gtk, uint32_t id, struct surface *ours,
		     bool adopt, struct error *error);

/* A part of a surface of 32 bits, kept; free() it. */
struct surfaces_patch {
	pixman_box32_t box;
	uint32_t pixels[];
};

/* NULL when there is no memory or nothing of the box on the surface. */
struct surfaces_patch *surfaces_cut(const struct surface *ours,
				    const pixman_box32_t *box);

/* Of components: the largest and the mean. */
struct surfaces_distance {
	unsigned worst;
	double mean;
};

/* How far the client's primary is from a patch; 0 when it has none. */
struct surfaces_distance surfaces_measure(struct gtk_channel *gtk,
					  const struct surfaces_patch *patch);
/* The client gets our pixels in the box. -ERANGE: they differ outside. */
int surfaces_hand_over(struct gtk_channel *gtk, const struct surface *ours,
		       const pixman_box32_t *box, struct error *error);

/* The pointer's shape, and whether there is any. */
int surfaces_compare_cursor(struct gtk_channel *gtk, const struct cursor *ours,
			    struct error *error);

#endif
