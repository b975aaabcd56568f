/*
 * QUIC: SPICE's predictive lossless coder.
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
#include "recorder/image_codecs.h"

#include <stdlib.h>

#define QUIC_MAGIC 0x43495551u /* "QUIC" */
#define QUIC_CODE_LIMIT 26     /* bits of the longest code */
#define QUIC_BUCKETS 8
#define QUIC_STEP 2048 /* pixels from one model index to the next */
#define QUIC_LAST_STEP 6

enum quic_type {
	QUIC_GRAY = 1,
	QUIC_RGB16,
	QUIC_RGB24,
	QUIC_RGB32,
	QUIC_RGBA,
};

/* Bits from the most significant end of little-endian words. */
struct quic_bits {
	struct bytes in;
	uint64_t held;    /* next bits at the top */
	unsigned count;   /* of them; others are 0 */
	unsigned missing; /* words read past the end */
};

/* One way to code values of `depth` bits: Golomb-Rice with an escape. */
struct quic_code {
	uint8_t prefix;  /* zeros that announce an escape */
	uint8_t suffix;  /* bits behind an escape */
	uint16_t escape; /* values from here on are escaped */
};

struct quic_family {
	unsigned depth; /* bits of a component: 5 or 8 */
	struct quic_code codes[8];
	uint8_t length[256][8]; /* bits of a value in each code */
	uint8_t bucket[256];
};

struct quic_bucket {
	uint32_t cost[8]; /* bits each code would have spent */
	uint8_t best;
};

/* A component: its statistics and the row of coded differences. */
struct quic_component {
	struct quic_bucket buckets[QUIC_BUCKETS];
	uint8_t *coded; /* coded[-1] is there too */
};

/* Components that are decoded together. */
struct quic_plane {
	const struct quic_family *family;
	struct quic_component components[3];
	unsigned step, step_left;
	uint32_t trigger;
	unsigned wait; /* pixels until the next update */
	uint8_t seed;
	unsigned run_state;
};

struct quic {
	struct quic_bits bits;
	struct quic_family family;
	struct quic_plane colour, alpha;
	uint8_t *rows; /* memory of all coded rows */
	uint32_t width;
};

static const uint16_t triggers[QUIC_LAST_STEP + 1] = {110, 550, 900, 800,
						      550, 400, 350};

/* clang-format off */
static const uint8_t run_order[32] = {
	0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3,
	4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15,
};

/* Distances between updates; only the low six bits are ever used. */
static const uint8_t waits[256] = {
	0x02, 0x17, 0x13, 0x15, 0x07, 0x12, 0x28, 0x0e, 0x0c, 0x20, 0x2f,
	0x2c, 0x24, 0x06, 0x12, 0x0b, 0x04, 0x13, 0x2a, 0x1d, 0x10, 0x3f,
	0x39, 0x33, 0x10, 0x03, 0x05, 0x0e, 0x0f, 0x1e, 0x14, 0x09, 0x24,
	0x2d, 0x03, 0x39, 0x3d, 0x00, 0x08, 0x05, 0x29, 0x0e, 0x2b, 0x1b,
	0x2b, 0x3b, 0x1f, 0x23, 0x27, 0x3c, 0x2a, 0x26, 0x0d, 0x36, 0x3e,
	0x01, 0x1a, 0x03, 0x0b, 0x3d, 0x34, 0x22, 0x07, 0x30, 0x04, 0x3b,
	0x16, 0x0c, 0x16, 0x08, 0x32, 0x04, 0x0a, 0x06, 0x2c, 0x08, 0x0b,
	0x2e, 0x1f, 0x33, 0x35, 0x11, 0x01, 0x2b, 0x2e, 0x3c, 0x24, 0x36,
	0x0a, 0x1b, 0x27, 0x2c, 0x16, 0x29, 0x17, 0x02, 0x2c, 0x00, 0x28,
	0x35, 0x28, 0x30, 0x10, 0x2b, 0x20, 0x1c, 0x21, 0x0c, 0x14, 0x02,
	0x38, 0x3e, 0x37, 0x3a, 0x12, 0x14, 0x0d, 0x37, 0x26, 0x1d, 0x39,
	0x13, 0x31, 0x21, 0x2f, 0x3f, 0x3b, 0x00, 0x23, 0x3d, 0x13, 0x19,
	0x2e, 0x26, 0x3c, 0x04, 0x23, 0x01, 0x1a, 0x28, 0x1c, 0x0a, 0x05,
	0x0e, 0x19, 0x12, 0x30, 0x31, 0x14, 0x3b, 0x3e, 0x22, 0x2e, 0x07,
	0x21, 0x34, 0x22, 0x3a, 0x09, 0x1d, 0x08, 0x37, 0x3e, 0x3c, 0x25,
	0x24, 0x25, 0x32, 0x06, 0x03, 0x0a, 0x1c, 0x30, 0x18, 0x1a, 0x3d,
	0x39, 0x1e, 0x0b, 0x36, 0x02, 0x06, 0x32, 0x2f, 0x07, 0x11, 0x23,
	0x35, 0x20, 0x0c, 0x17, 0x11, 0x05, 0x15, 0x31, 0x37, 0x33, 0x2d,
	0x34, 0x1b, 0x27, 0x19, 0x27, 0x3f, 0x16, 0x18, 0x2a, 0x34, 0x38,
	0x26, 0x29, 0x29, 0x38, 0x20, 0x0d, 0x18, 0x1a, 0x33, 0x1b, 0x38,
	0x3a, 0x25, 0x18, 0x2a, 0x0f, 0x1c, 0x11, 0x1e, 0x1f, 0x0f, 0x10,
	0x17, 0x19, 0x36, 0x21, 0x22, 0x01, 0x1d, 0x1f, 0x32, 0x35, 0x15,
	0x31, 0x0f, 0x2f, 0x09, 0x00, 0x3a, 0x25, 0x2d, 0x1e, 0x0d, 0x09,
	0x2d, 0x3f, 0x15,
};
/* clang-format on */

/* At least 32 bits are held afterwards; past the end they are zeros. */
static inline void refill(struct quic_bits *b)
{
	if (b->count > 32)
		return;
	if (bytes_left(&b->in) >= 4)
		b->held |= (uint64_t)bytes_le32(&b->in) << (32 - b->count);
	else
		b->missing++;
	b->count += 32;
}

static inline void drop(struct quic_bits *b, unsigned n)
{
	b->held <<= n;
	b->count -= n;
}

static inline uint32_t take(struct quic_bits *b, unsigned n)
{
	uint32_t v;

	if (!n)
		return 0;
	refill(b);
	v = (uint32_t)(b->held >> (64 - n));
	drop(b, n);
	return v;
}

/* Some of the zeros that stand for what is missing were used. */
static bool ran_out(const struct quic_bits *b)
{
	return (uint64_t)b->missing * 32 > b->count;
}

static unsigned code_length(const struct quic_code *code, unsigned l,
			    unsigned v)
{
	if (v < code->escape)
		return (v >> l) + 1 + l;
	return code->prefix + code->suffix;
}

static void family_init(struct quic_family *f, unsigned depth)
{
	unsigned values = 1u << depth;

	f->depth = depth;
	for (unsigned l = 0; l < depth; l++) {
		struct quic_code *code = &f->codes[l];
		unsigned prefix = (1u << (depth - l)) - 1;

		if (prefix > QUIC_CODE_LIMIT - depth)
			prefix = QUIC_CODE_LIMIT - depth;
		code->prefix = prefix;
		code->escape = prefix << l;
		code->suffix = 0;
		while (1u << code->suffix < values - code->escape)
			code->suffix++;
		for (unsigned v = 0; v < values; v++)
			f->length[v][l] = code_length(code, l, v);
	}
	for (unsigned v = 0; v < values; v++) {
		unsigned bucket = 31 - __builtin_clz(v + 1);

		f->bucket[v] = bucket < depth ? bucket : depth - 1;
	}
}

static void plane_init(struct quic_plane *p, const struct quic_family *f)
{
	p->family = f;
	p->step_left = QUIC_STEP;
	p->trigger = triggers[0];
	p->seed = 255;
	for (unsigned c = 0; c < 3; c++)
		for (unsigned b = 0; b < QUIC_BUCKETS; b++)
			p->components[c].buckets[b].best = f->depth - 1;
}

static inline unsigned next_wait(struct quic_plane *p)
{
	return waits[++p->seed] & ((1u << p->step) - 1);
}

static inline unsigned read_code(struct quic_bits *b,
				 const struct quic_code *code, unsigned l)
{
	unsigned zeros, v;

	refill(b);
	zeros = b->held ? (unsigned)__builtin_clzll(b->held) : 64;
	if (zeros < code->prefix) {
		v = (unsigned)(b->held << zeros >> (63 - l)) - (1u << l);
		drop(b, zeros + 1 + l);
		return v + (zeros << l);
	}
	drop(b, code->prefix);
	v = code->suffix ? (unsigned)(b->held >> (64 - code->suffix)) : 0;
	drop(b, code->suffix);
	return code->escape + v;
}

static inline struct quic_bucket *bucket_at(struct quic_plane *p, unsigned c,
					    uint32_t x)
{
	struct quic_component *k = &p->components[c];

	return &k->buckets[p->family->bucket[k->coded[(ptrdiff_t)x - 1]]];
}

static void update(struct quic_plane *p, unsigned components, uint32_t x)
{
	unsigned depth = p->family->depth;

	for (unsigned c = 0; c < components; c++) {
		struct quic_bucket *bucket = bucket_at(p, c, x);
		const uint8_t *length =
			p->family->length[p->components[c].coded[x]];
		uint32_t lowest = UINT32_MAX;

		for (unsigned l = depth; l-- > 0;) {
			bucket->cost[l] += length[l];
			if (bucket->cost[l] < lowest) {
				lowest = bucket->cost[l];
				bucket->best = l;
			}
		}
		if (lowest > p->trigger)
			for (unsigned l = 0; l < depth; l++)
				bucket->cost[l] >>= 1;
	}
}

static uint32_t run_length(struct quic_plane *p, struct quic_bits *b)
{
	uint32_t n = 0;

	while (take(b, 1)) {
		n += 1u << run_order[p->run_state];
		if (p->run_state < 31)
			p->run_state++;
		if (n > IMAGE_SIDE_MAX)
			return n;
	}
	n += take(b, run_order[p->run_state]);
	if (p->run_state)
		p->run_state--;
	return n;
}

/* The pixel at x; lanes begin at bit `low`. */
__attribute__((always_inline)) static inline void
pixel(struct quic_plane *p, struct quic_bits *b, unsigned components,
      unsigned low, unsigned depth, uint32_t *row, const uint32_t *above,
      uint32_t x)
{
	unsigned mask = (1u << depth) - 1;
	uint32_t left = x ? row[x - 1] : 0, up = above ? above[x] : 0;
	uint32_t out = 0;

	for (unsigned c = 0; c < components; c++) {
		unsigned shift = low + 8 * (components - 1 - c);
		const struct quic_bucket *bucket = bucket_at(p, c, x);
		unsigned l = bucket->best;
		unsigned v = read_code(b, &p->family->codes[l], l) & mask;
		unsigned base;

		p->components[c].coded[x] = v;
		if (!above)
			base = left >> shift & mask;
		else if (!x)
			base = up >> shift & mask;
		else
			base = ((left >> shift & mask) +
				(up >> shift & mask)) >>
			       1;
		v = v & 1 ? mask - (v >> 1) : v >> 1;
		out |= ((v + base) & mask) << shift;
	}
	row[x] |= out;
}

/* A run begins where the surroundings are flat. */
static inline bool flat(const uint32_t *row, const uint32_t *above, uint32_t x,
			uint32_t lanes)
{
	return x > 2 && !((above[x - 1] ^ above[x]) & lanes) &&
	       !((row[x - 1] ^ row[x - 2]) & lanes);
}

/* Pixels x to end, which share one model index; false at damage. */
__attribute__((always_inline)) static inline bool
segment(struct quic_plane *p, struct quic_bits *b, unsigned components,
	unsigned low, unsigned depth, uint32_t *row, const uint32_t *above,
	uint32_t x, uint32_t end)
{
	uint32_t lanes = (components == 3 ? 0xffffffu : 0xffu) << low;
	uint32_t stop, run_at = 0;

	if (!x) {
		pixel(p, b, components, low, depth, row, above, x);
		if (p->wait) {
			p->wait--;
		} else {
			p->wait = next_wait(p);
			update(p, components, 0);
		}
		x = 1;
	}
	stop = x + p->wait;
	while (x < end) {
		if (above && x != run_at && flat(row, above, x, lanes)) {
			uint32_t n;

			p->wait = stop - x;
			run_at = x;
			n = run_length(p, b);
			if (n > end - x)
				return false;
			for (; n; n--, x++)
				row[x] |= row[x - 1] & lanes;
			if (x == end)
				return true;
			stop = x + p->wait;
			continue;
		}
		pixel(p, b, components, low, depth, row, above, x);
		if (x++ == stop) {
			update(p, components, stop);
			stop = x + next_wait(p);
		}
	}
	p->wait = stop - end;
	return true;
}

__attribute__((always_inline)) static inline bool
decode_row(struct quic *q, struct quic_plane *p, unsigned components,
	   unsigned low, unsigned depth, uint32_t *row, const uint32_t *above)
{
	uint32_t x = 0;

	for (unsigned c = 0; c < components; c++) {
		uint8_t *coded = p->components[c].coded;

		coded[-1] = above ? coded[0] : 0;
	}
	while (p->step < QUIC_LAST_STEP && p->step_left <= q->width - x) {
		uint32_t end = x + p->step_left;

		if (end > x && !segment(p, &q->bits, components, low, depth,
					row, above, x, end))
			return false;
		x = end;
		p->trigger = triggers[++p->step];
		p->step_left = QUIC_STEP;
	}
	if (x == q->width)
		return true;
	if (p->step < QUIC_LAST_STEP)
		p->step_left -= q->width - x;
	return segment(p, &q->bits, components, low, depth, row, above, x,
		       q->width);
}

static bool row_gray(struct quic *q, uint32_t *row, const uint32_t *above)
{
	return decode_row(q, &q->colour, 1, 0, 8, row, above);
}

static bool row_rgb16(struct quic *q, uint32_t *row, const uint32_t *above)
{
	return decode_row(q, &q->colour, 3, 0, 5, row, above);
}

static bool row_rgb(struct quic *q, uint32_t *row, const uint32_t *above)
{
	return decode_row(q, &q->colour, 3, 0, 8, row, above);
}

static bool row_rgba(struct quic *q, uint32_t *row, const uint32_t *above)
{
	return row_rgb(q, row, above) &&
	       decode_row(q, &q->alpha, 1, 24, 8, row, above);
}

/* Lanes of five bits, or a single gray lane, become whole pixels. */
static void widen(struct image *image, enum quic_type type)
{
	size_t n = (size_t)image->width * image->height;

	for (size_t i = 0; i < n; i++) {
		uint32_t v = image->pixels[i];

		if (type == QUIC_GRAY)
			image->pixels[i] = v * 0x010101;
		else
			image->pixels[i] = v << 3 | (v >> 2 & 0x070707);
	}
}

static int quic_init(struct quic *q, enum quic_type type, struct error *error)
{
	size_t row = q->width + 1;

	q->rows = calloc(4, row);
	if (!q->rows)
		return error_set(error, ENOMEM, "no memory for a QUIC image");
	family_init(&q->family, type == QUIC_RGB16 ? 5 : 8);
	plane_init(&q->colour, &q->family);
	plane_init(&q->alpha, &q->family);
	for (unsigned c = 0; c < 3; c++)
		q->colour.components[c].coded = q->rows + c * row + 1;
	q->alpha.components[0].coded = q->rows + 3 * row + 1;
	return 0;
}

static bool decode_rows(struct quic *q, enum quic_type type,
			struct image *image)
{
	bool (*decode)(struct quic *, uint32_t *, const uint32_t *) =
		type == QUIC_GRAY    ? row_gray
		: type == QUIC_RGB16 ? row_rgb16
		: type == QUIC_RGBA  ? row_rgba
				     : row_rgb;
	const uint32_t *above = NULL;

	for (uint32_t y = 0; y < image->height; y++) {
		uint32_t *row = image_row(image, y);

		if (!decode(q, row, above) || ran_out(&q->bits))
			return false;
		above = row;
	}
	return true;
}

int quic_decode(struct bytes in, struct image **out, struct error *error)
{
	uint32_t magic = bytes_le32(&in), version = bytes_le32(&in);
	uint32_t type = bytes_le32(&in);
	uint32_t width = bytes_le32(&in), height = bytes_le32(&in);
	struct quic q = {.bits.in = in, .width = width};
	struct image *image;
	int r;

	*out = NULL;
	if (in.bad || magic != QUIC_MAGIC || version || type < QUIC_GRAY ||
	    type > QUIC_RGBA)
		return error_set(error, EBADMSG, "a QUIC header is damaged");
	r = image_new(&image, width, height,
		      type == QUIC_RGBA ? IMAGE_ARGB : IMAGE_XRGB, error);
	if (!r)
		r = quic_init(&q, type, error);
	if (!r && !decode_rows(&q, type, image))
		r = error_set(error, EBADMSG, "a QUIC image is damaged");
	free(q.rows);
	if (r) {
		image_unref(image);
		return r;
	}
	if (type == QUIC_GRAY || type == QUIC_RGB16)
		widen(image, type);
	*out = image;
	return 0;
}
