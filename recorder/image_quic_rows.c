/* QUIC's rows: bits, codes, the model that learns, runs. */
#include "recorder/image_quic.h"

#include <endian.h>
#include <pthread.h>
#include <string.h>

#include "recorder/cpu.h"
#include "recorder/image.h"
#include "recorder/pixels.h"

#define ALWAYS __attribute__((always_inline)) static inline
#define CODE_BITS 26 /* of the longest code */
#define HELD_BITS 57
#define NEVER (1 << 28) /* the cost of a code that does not exist */

/* One way to code values: Golomb-Rice of a parameter, with an escape. */
struct code {
	uint8_t prefix;  /* zeros that announce an escape */
	uint8_t suffix;  /* bits behind an escape */
	uint16_t escape; /* values from here on are escaped */
};

static const struct code codes_of_8[] = {
	{18, 8, 18},  {18, 8, 36}, {18, 8, 72}, {18, 7, 144},
	{15, 4, 240}, {7, 5, 224}, {3, 6, 192}, {1, 7, 128},
};
static const struct code codes_of_5[] = {
	{21, 4, 21}, {15, 1, 30}, {7, 2, 28}, {3, 3, 24}, {1, 4, 16},
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

/* What a value costs in each code, for 8 and for 5 bits. */
static struct quic_costs lengths_of_8[256], lengths_of_5[32];

static void fill_lengths(struct quic_costs *lengths, unsigned depth,
			 const struct code *codes)
{
	for (unsigned v = 0; v < 1u << depth; v++)
		for (unsigned l = 0; l < depth; l++) {
			const struct code *c = &codes[l];
			unsigned lane = depth - 1 - l;
			unsigned bits =
				v < c->escape ? (v >> l) + 1 + l
					      : (unsigned)c->prefix + c->suffix;

			lengths[v].lanes[lane / 4][lane % 4] = (int)bits * 8;
		}
}

static void fill_tables(void)
{
	fill_lengths(lengths_of_8, 8, codes_of_8);
	fill_lengths(lengths_of_5, 5, codes_of_5);
}

static const quic_lanes fresh_of_8[2] = {{0, 1, 2, 3}, {4, 5, 6, 7}};
static const quic_lanes fresh_of_5[2] = {{0, 1, 2, 3},
					 {4, NEVER | 5, NEVER | 6, NEVER | 7}};

void quic_plane_init(struct quic_plane *p, unsigned depth)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const quic_lanes *fresh = depth == 8 ? fresh_of_8 : fresh_of_5;

	pthread_once(&once, fill_tables);
	p->depth = depth;
	p->step_left = QUIC_STEP;
	p->trigger = triggers[0];
	p->seed = 255;
	for (unsigned c = 0; c < 3; c++) {
		struct quic_component *k = &p->components[c];

		for (unsigned b = 0; b < QUIC_BUCKETS; b++)
			memcpy(k->costs[b].lanes, fresh, sizeof(k->costs[b]));
		memset(k->best, depth - 1, sizeof(k->best));
	}
}

/* The next bits, HELD_BITS at least, at the top of a word. */
ALWAYS uint64_t held_at(const uint8_t *bits, size_t at)
{
	uint64_t word;

	memcpy(&word, bits + at / 8, sizeof(word));
	return be64toh(word) << (at % 8);
}

/* In the code that is best behind the difference `before`. */
ALWAYS uint32_t read_code(uint64_t *held, size_t *at, unsigned depth,
			  const uint8_t *best, uint32_t before)
{
	unsigned l = best[before], n;
	unsigned zeros = (unsigned)__builtin_clzll(*held | 1);
	const struct code *code = depth == 8 ? &codes_of_8[l] : &codes_of_5[l];
	uint32_t v;

	if (__builtin_expect(zeros < code->prefix, 1)) {
		/* A one, then l bits. */
		v = (uint32_t)(*held << zeros >> (63 - l));
		v += (zeros - 1) << l;
		n = zeros + 1 + l;
	} else {
		v = (uint32_t)(*held << code->prefix >> (64 - code->suffix));
		v = (code->escape + v) & ((1u << depth) - 1);
		n = code->prefix + code->suffix;
	}
	*held <<= n;
	*at += n;
	return v;
}

ALWAYS quic_lanes lower(quic_lanes a, quic_lanes b)
{
	quic_lanes less = a < b;

	return (a & less) | (b & ~less);
}

/* Values with the same number of bits, one added, share a bucket. */
ALWAYS unsigned bucket_of(unsigned v, unsigned depth)
{
	unsigned bucket = 31 - (unsigned)__builtin_clz(v + 1);

	return bucket < depth ? bucket : depth - 1;
}

ALWAYS void learn(struct quic_component *k, unsigned depth, uint32_t trigger,
		  unsigned before, unsigned v)
{
	const quic_lanes *fresh = depth == 8 ? fresh_of_8 : fresh_of_5;
	const struct quic_costs *add =
		depth == 8 ? &lengths_of_8[v] : &lengths_of_5[v];
	unsigned bucket = bucket_of(before, depth), best;
	quic_lanes *cost = k->costs[bucket].lanes;
	quic_lanes low;

	cost[0] += add->lanes[0];
	cost[1] += add->lanes[1];
	low = lower(cost[0], cost[1]);
	low = lower(low, __builtin_shufflevector(low, low, 2, 3, 0, 1));
	low = lower(low, __builtin_shufflevector(low, low, 1, 0, 3, 2));
	best = depth - 1 - (low[0] & 7);
	if (best != k->best[before]) {
		unsigned first = (1u << bucket) - 1;
		unsigned end =
			bucket == depth - 1 ? 1u << depth : first * 2 + 1;

		memset(k->best + first, (int)best, end - first);
	}
	if ((uint32_t)low[0] >> 3 > trigger) {
		cost[0] = (cost[0] >> 4 << 3) | fresh[0];
		cost[1] = (cost[1] >> 4 << 3) | fresh[1];
	}
}

/* Of the differences `coded`, which stand behind `before`. */
ALWAYS void update(struct quic_plane *p, unsigned components, unsigned depth,
		   uint32_t before, uint32_t coded)
{
	for (unsigned c = 0; c < components; c++)
		learn(&p->components[c], depth, p->trigger,
		      before >> (8 * c) & 0xff, coded >> (8 * c) & 0xff);
}

static unsigned next_wait(struct quic_plane *p)
{
	return waits[++p->seed] & ((1u << p->step) - 1);
}

/* More than IMAGE_SIDE_MAX when the stream is damaged. */
static uint32_t run_length(struct quic *q, struct quic_plane *p)
{
	uint32_t n = 0;
	uint64_t held;
	unsigned bits;

	for (;;) {
		if (q->at > q->end || n > IMAGE_SIDE_MAX)
			return UINT32_MAX;
		held = held_at(q->bits, q->at++);
		if (!(held >> 63))
			break;
		n += 1u << run_order[p->run_state];
		if (p->run_state < 31)
			p->run_state++;
	}
	bits = run_order[p->run_state];
	n += (uint32_t)(held << 1 >> 1 >> (63 - bits));
	q->at += bits;
	if (p->run_state)
		p->run_state--;
	return n;
}

/* Lanes of a byte each: the mean, rounded down. */
ALWAYS uint32_t mean(uint32_t a, uint32_t b)
{
	return (a & b) + (((a ^ b) & 0xfefefe) >> 1);
}

/* Differences 0, -1, 1, -2 ... are coded as 0, 1, 2, 3 ... */
ALWAYS uint32_t add_coded(uint32_t base, uint32_t coded, unsigned depth)
{
	uint32_t ones = 0x010101, one = (1u << depth) - 1, all = one * ones;
	uint32_t top = ones << (depth - 1), low = all ^ top;
	uint32_t v = (coded >> 1 & low) ^ (coded & ones) * one;

	return ((v & low) + (base & low)) ^ ((v ^ base) & top);
}

/* The model learns from differences and those to their left. */
typedef void quic_update(struct quic_plane *p, uint32_t before, uint32_t coded);

/* What is known while a row is decoded. */
struct place {
	uint32_t before;     /* the differences of the pixel to the left */
	uint32_t left;       /* that pixel, shifted to bit 0 */
	uint32_t left_twice; /* the one to the left of it */
};

/* The differences of a pixel; false when the stream has ended. */
ALWAYS bool read_pixel(struct quic *q, const struct quic_plane *p,
		       unsigned components, unsigned depth, uint32_t before,
		       uint32_t *coded)
{
	size_t at = q->at, from = at;
	uint64_t held;

	if (__builtin_expect(at > q->end, 0))
		return false;
	held = held_at(q->bits, at);
	if (components == 1) {
		*coded = read_code(&held, &at, depth, p->components[0].best,
				   before);
	} else {
		*coded = read_code(&held, &at, depth, p->components[2].best,
				   before >> 16)
			 << 16;
		*coded |= read_code(&held, &at, depth, p->components[1].best,
				    before >> 8 & 0xff)
			  << 8;
		if (__builtin_expect(at - from > HELD_BITS - CODE_BITS, 0))
			held = held_at(q->bits, at);
		*coded |= read_code(&held, &at, depth, p->components[0].best,
				    before & 0xff);
	}
	q->at = at;
	return true;
}

ALWAYS void repeat(uint32_t *row, unsigned low, uint32_t left, uint32_t n)
{
	if (low)
		for (uint32_t i = 0; i < n; i++)
			row[i] |= left << low;
	else
		pixels_fill(row, left, n);
}

/* Pixels x to end, which share one model index; false at damage. */
ALWAYS bool decode_segment(struct quic *q, struct quic_plane *p,
			   quic_update *update_rarely, unsigned components,
			   unsigned low, unsigned depth, uint32_t *row,
			   const uint32_t *above, uint32_t x, uint32_t end,
			   struct place *place)
{
	uint32_t lanes = components == 3 ? 0xffffff : 0xff;
	uint32_t stop = x + p->wait, run_at = 0, *known = p->coded;
	uint32_t before = place->before, left = place->left;
	uint32_t left_twice = place->left_twice;

	while (x < end) {
		uint32_t coded, base = left;

		if (above && left == left_twice && x > 2 && x != run_at &&
		    !((above[x - 1] ^ above[x]) >> low & lanes)) {
			uint32_t n = run_length(q, p);

			if (n > end - x)
				return false;
			p->wait = stop - x;
			run_at = x;
			repeat(row + x, low, left, n);
			x += n;
			before = known[(ptrdiff_t)x - 1];
			if (x == end)
				goto done;
			stop = x + p->wait;
			continue;
		}
		if (!read_pixel(q, p, components, depth, before, &coded))
			return false;
		known[x] = coded;
		if (above) {
			base = above[x] >> low & lanes;
			if (x)
				base = mean(left, base);
		}
		left_twice = left;
		left = add_coded(base, coded, depth) & lanes;
		row[x] = low ? row[x] | left << low : left;
		if (x++ == stop) {
			update_rarely(p, before, coded);
			stop = x + next_wait(p);
		}
		before = coded;
	}
	p->wait = stop - end;
done:
	*place = (struct place){before, left, left_twice};
	return true;
}

ALWAYS bool decode_row(struct quic *q, struct quic_plane *p,
		       quic_update *update_rarely, unsigned components,
		       unsigned low, unsigned depth, uint32_t *row,
		       const uint32_t *above)
{
	struct place place = {.before = above ? p->coded[0] : 0};
	uint32_t x = 0;

	p->coded[-1] = place.before;
	for (;;) {
		bool whole = p->step < QUIC_LAST_STEP &&
			     p->step_left <= q->width - x;
		uint32_t end = whole ? x + p->step_left : q->width;

		if (!decode_segment(q, p, update_rarely, components, low, depth,
				    row, above, x, end, &place))
			return false;
		if (!whole) {
			p->step_left -= end - x;
			return q->at <= q->end;
		}
		x = end;
		p->trigger = triggers[++p->step];
		p->step_left = QUIC_STEP;
	}
}

/* The same functions twice. */
#define ROWS(suffix, attribute) \
	attribute __attribute__((noinline)) static void update3_##suffix( \
		struct quic_plane *p, uint32_t before, uint32_t coded) \
	{ \
		update(p, 3, 8, before, coded); \
	} \
	attribute __attribute__((noinline)) static void update1_##suffix( \
		struct quic_plane *p, uint32_t before, uint32_t coded) \
	{ \
		update(p, 1, 8, before, coded); \
	} \
	attribute __attribute__((noinline)) static void update16_##suffix( \
		struct quic_plane *p, uint32_t before, uint32_t coded) \
	{ \
		update(p, 3, 5, before, coded); \
	} \
	attribute static bool gray_##suffix(struct quic *q, uint32_t *row, \
					    const uint32_t *above) \
	{ \
		return decode_row(q, &q->colour, update1_##suffix, 1, 0, 8, \
				  row, above); \
	} \
	attribute static bool rgb16_##suffix(struct quic *q, uint32_t *row, \
					     const uint32_t *above) \
	{ \
		return decode_row(q, &q->colour, update16_##suffix, 3, 0, 5, \
				  row, above); \
	} \
	attribute static bool rgb_##suffix(struct quic *q, uint32_t *row, \
					   const uint32_t *above) \
	{ \
		return decode_row(q, &q->colour, update3_##suffix, 3, 0, 8, \
				  row, above); \
	} \
	attribute static bool rgba_##suffix(struct quic *q, uint32_t *row, \
					    const uint32_t *above) \
	{ \
		return rgb_##suffix(q, row, above) && \
		       decode_row(q, &q->alpha, update1_##suffix, 1, 24, 8, \
				  row, above); \
	} \
	const struct quic_rows quic_rows_##suffix = { \
		gray_##suffix, rgb16_##suffix, rgb_##suffix, rgba_##suffix}

ROWS(plain, );
ROWS(fast, CPU_FAST);
