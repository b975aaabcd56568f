/*
 * Inside QUIC: the model of its coder and the rows (image_quic_rows.c).
 *
 * A pixel's component is predicted from its left and upper neighbours; the
 * difference is a Golomb-Rice code whose parameter is learnt per context,
 * the context being the difference of the pixel to the left. Where the row
 * above and the pixels to the left are flat, runs are coded adaptively
 * (after the MELCODE of JPEG-LS).
 *
 * A pixel is decoded in lanes of one word: red, green, blue in bits 16, 8, 0
 * (one decision for all three), alpha in bits 24, gray in bits 0.
 */
#ifndef RECORDER_IMAGE_QUIC_H
#define RECORDER_IMAGE_QUIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUIC_BUCKETS 8
#define QUIC_STEP 2048 /* pixels from one model index to the next */
#define QUIC_LAST_STEP 6
#define QUIC_PADDING 24 /* bytes behind the bits that may be loaded */

/* Four 32-bit numbers in a register. */
typedef int32_t quic_lanes __attribute__((vector_size(16)));

/*
 * Of each of 8 codes: bits times 8 plus the lane's number. The code of the
 * longest parameter is in lane 0, so that the lowest lane is the best code,
 * and of equal ones that with the longest parameter.
 */
struct quic_costs {
	quic_lanes lanes[2];
};

/* What is known of a component. */
struct quic_component {
	struct quic_costs costs[QUIC_BUCKETS];
	uint8_t best[256]; /* the code to use behind a difference */
};

/* Components that are decoded together. */
struct quic_plane {
	struct quic_component components[3]; /* lowest lane first */
	uint32_t *coded; /* the last row's differences; [-1] is there too */
	unsigned depth;  /* bits of a component: 5 or 8 */
	unsigned step, step_left;
	uint32_t trigger;
	unsigned wait; /* pixels until the next update */
	uint8_t seed;
	unsigned run_state;
};

struct quic {
	const uint8_t *bits; /* from the top of each byte; padded with 0 */
	size_t at, end;      /* bits */
	struct quic_plane colour, alpha;
	uint32_t width;
};

void quic_plane_init(struct quic_plane *plane, unsigned depth);

/*
 * Decodes a row; above is NULL for the first. False when the stream is
 * damaged or ends too early.
 */
typedef bool quic_row(struct quic *q, uint32_t *row, const uint32_t *above);

/* All components of a type of picture. */
struct quic_rows {
	quic_row *gray, *rgb16, *rgb, *rgba;
};

extern const struct quic_rows quic_rows_plain, quic_rows_fast;

#endif
