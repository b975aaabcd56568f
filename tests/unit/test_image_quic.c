/*
 * QUIC against an encoder of its own, written bit by bit from the format's
 * description: every type of picture, flat, soft, noisy; both of the
 * decoder's twins; streams that are cut.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "recorder/cpu.h"
#include "recorder/image_codecs.h"

#define SIDE_MAX 3000

struct coder {
	struct buffer out;
	uint32_t word;
	unsigned bits; /* in it */
};

static void put(struct coder *c, uint32_t v, unsigned n)
{
	while (n--) {
		c->word = c->word << 1 | (v >> n & 1);
		if (++c->bits == 32) {
			buffer_put_le32(&c->out, c->word);
			c->bits = 0;
		}
	}
}

/* The published tables of its code lengths and of its random numbers. */
static const unsigned prefixes[2][8] = {{18, 18, 18, 18, 15, 7, 3, 1},
					{21, 15, 7, 3, 1}};
static const unsigned escapes[2][8] = {{18, 36, 72, 144, 240, 224, 192, 128},
				       {21, 30, 28, 24, 16}};
static const unsigned suffixes[2][8] = {{8, 8, 8, 7, 4, 5, 6, 7},
					{4, 1, 2, 3, 4}};
static const unsigned run_bits[32] = {0, 0, 0, 0, 1,  1,  1,  1,  2,  2, 2,
				      2, 3, 3, 3, 3,  4,  4,  5,  5,  6, 6,
				      7, 7, 8, 9, 10, 11, 12, 13, 14, 15};
static const char waits[] =
	"02171315071228 0e0c202f2c2406120b04132a1d103f3933100305"
	"0e0f1e1409242d03393d000805290e2b1b2b3b1f23273c2a260d36"
	"3e011a030b3d34220730043b160c16083204 0a062c080b2e1f3335"
	"11012b2e3c24360a1b272c162917022c0028352830102b201c210c"
	"1402383e373a12140d37261d391331212f3f3b00233d13192e263c"
	"0423011a281c0a050e19123031143b3e222e072134223a091d0837"
	"3e3c2524253206030a1c30181a3d391e0b360206322f0711233520"
	"0c171105153137332d341b2719273f16182a343826292938200d18"
	"1a331b383a25182a0f1c111e1f0f1017193621220 11d1f32351531"
	"0f2f09003a252d1e0d092d3f15";

static unsigned wait_at(unsigned i)
{
	static unsigned table[256], known;
	char digits[3] = "";
	unsigned n = 0;

	for (const char *p = waits; !known && *p; p++) {
		if (*p == ' ')
			continue;
		digits[n++ & 1] = *p;
		if (!(n & 1))
			table[n / 2 - 1] = (unsigned)strtoul(digits, NULL, 16);
	}
	known = 1;
	return table[i & 255];
}

struct model {
	unsigned depth, family;
	unsigned counters[3][8][8], best[3][8];
	uint8_t coded[3][SIDE_MAX];
	uint8_t first[3]; /* what stands before the row */
	unsigned step, step_left, trigger, wait, seed, run;
};

static const unsigned triggers[] = {110, 550, 900, 800, 550, 400, 350};

static void model_init(struct model *m, unsigned depth)
{
	*m = (struct model){.depth = depth,
			    .family = depth == 5,
			    .step_left = 2048,
			    .trigger = triggers[0],
			    .seed = 255};
	for (unsigned c = 0; c < 3; c++)
		for (unsigned b = 0; b < 8; b++)
			m->best[c][b] = depth - 1;
}

static unsigned bucket(const struct model *m, unsigned c, unsigned x)
{
	unsigned v = x ? m->coded[c][x - 1] : m->first[c], b = 0;

	while (b + 1 < m->depth && v >= (2u << b) - 1)
		b++;
	return b;
}

static unsigned length(const struct model *m, unsigned v, unsigned l)
{
	return v < escapes[m->family][l]
		       ? (v >> l) + 1 + l
		       : prefixes[m->family][l] + suffixes[m->family][l];
}

static void put_code(struct coder *o, const struct model *m, unsigned v,
		     unsigned l)
{
	unsigned escape = escapes[m->family][l];

	if (v < escape) {
		put(o, 0, v >> l);
		put(o, 1, 1);
		put(o, v & ((1u << l) - 1), l);
	} else {
		put(o, 0, prefixes[m->family][l]);
		put(o, v - escape, suffixes[m->family][l]);
	}
}

static void learn(struct model *m, unsigned c, unsigned x)
{
	unsigned b = bucket(m, c, x), *counter = m->counters[c][b];
	unsigned lowest = UINT32_MAX;

	for (unsigned l = m->depth; l-- > 0;) {
		counter[l] += length(m, m->coded[c][x], l);
		if (counter[l] < lowest) {
			lowest = counter[l];
			m->best[c][b] = l;
		}
	}
	for (unsigned l = 0; lowest > m->trigger && l < m->depth; l++)
		counter[l] /= 2;
}

static unsigned component(uint32_t pixel, unsigned shift, unsigned depth)
{
	return (pixel >> shift & 255) >> (8 - depth);
}

/* Pixels are whole; `components` of them from bit `low` on are coded. */
struct plane {
	struct coder *o;
	struct model *m;
	unsigned components, low;
	const uint32_t *row, *above;
};

static unsigned shift_of(const struct plane *p, unsigned c)
{
	return p->low + 8 * (p->components - 1 - c);
}

static bool same(const struct plane *p, uint32_t a, uint32_t b)
{
	for (unsigned c = 0; c < p->components; c++)
		if (component(a ^ b, shift_of(p, c), p->m->depth))
			return false;
	return true;
}

static void put_pixel(const struct plane *p, unsigned x)
{
	struct model *m = p->m;
	unsigned mask = (1u << m->depth) - 1;

	for (unsigned c = 0; c < p->components; c++) {
		unsigned s = shift_of(p, c), base = 0, v;

		if (x)
			base = component(p->row[x - 1], s, m->depth);
		if (p->above && x)
			base = (base + component(p->above[x], s, m->depth)) / 2;
		else if (p->above)
			base = component(p->above[x], s, m->depth);
		v = (component(p->row[x], s, m->depth) - base) & mask;
		v = v > mask / 2 ? 2 * (mask - v) + 1 : 2 * v;
		put_code(p->o, m, v, m->best[c][bucket(m, c, x)]);
		m->coded[c][x] = (uint8_t)v;
	}
}

static void put_run(struct coder *o, struct model *m, unsigned n)
{
	while (n >= 1u << run_bits[m->run]) {
		put(o, 1, 1);
		n -= 1u << run_bits[m->run];
		m->run += m->run < 31;
	}
	put(o, 0, 1);
	put(o, n, run_bits[m->run]);
	m->run -= m->run > 0;
}

static void put_segment(const struct plane *p, unsigned x, unsigned end)
{
	struct model *m = p->m;
	unsigned stop = x + m->wait, run_at = 0, mask = (1u << m->step) - 1;

	while (x < end) {
		if (p->above && x > 2 && x != run_at &&
		    same(p, p->above[x - 1], p->above[x]) &&
		    same(p, p->row[x - 1], p->row[x - 2])) {
			unsigned n = 0;

			while (x + n < end &&
			       same(p, p->row[x + n], p->row[x - 1]))
				n++;
			m->wait = stop - x;
			run_at = x;
			put_run(p->o, m, n);
			x += n;
			if (x == end)
				return;
			stop = x + m->wait;
			continue;
		}
		put_pixel(p, x);
		if (x++ == stop) {
			for (unsigned c = 0; c < p->components; c++)
				learn(m, c, stop);
			stop = x + (wait_at(++m->seed) & mask);
		}
	}
	m->wait = stop - end;
}

static void put_row(const struct plane *p, unsigned width)
{
	struct model *m = p->m;
	unsigned x = 0;

	for (unsigned c = 0; c < 3; c++)
		m->first[c] = p->above ? m->coded[c][0] : 0;
	while (m->step < 6 && m->step_left <= width - x) {
		put_segment(p, x, x + m->step_left);
		x += m->step_left;
		m->trigger = triggers[++m->step];
		m->step_left = 2048;
	}
	if (x == width)
		return;
	put_segment(p, x, width);
	if (m->step < 6)
		m->step_left -= width - x;
}

static struct bytes encode(struct coder *o, uint32_t type,
			   const uint32_t *pixels, unsigned width,
			   unsigned height)
{
	static struct model colour, alpha;
	unsigned components = type == 1 ? 1 : 3;

	*o = (struct coder){0};
	buffer_put(&o->out, "QUIC\0\0\0\0", 8);
	buffer_put_le32(&o->out, type);
	buffer_put_le32(&o->out, width);
	buffer_put_le32(&o->out, height);
	model_init(&colour, type == 2 ? 5 : 8);
	model_init(&alpha, 8);
	for (unsigned y = 0; y < height; y++) {
		const uint32_t *row = pixels + (size_t)y * width;
		const uint32_t *above = y ? row - width : NULL;

		put_row(&(struct plane){o, &colour, components, 0, row, above},
			width);
		if (type == 5)
			put_row(&(struct plane){o, &alpha, 1, 24, row, above},
				width);
	}
	put(o, 0, 31);
	return bytes_of(o->out.data, o->out.size);
}

static uint32_t random_state = 7;

static uint32_t next_random(void)
{
	random_state = random_state * 1664525 + 1013904223;
	return random_state >> 8;
}

enum content { FLAT, BLOCKS, SOFT, NOISE, CONTENTS };

static uint32_t sample(enum content content, unsigned x, unsigned y)
{
	switch (content) {
	case FLAT:
		return 0x80ff8001;
	case BLOCKS:
		return (x / 7 + y / 5) % 5 * 0x31415926 ^ (x > 40 ? 0 : y);
	case SOFT:
		return (x * 0x01000201 + y * 0x00020100) + (next_random() & 3);
	default:
		return next_random() << 8 ^ next_random();
	}
}

/* What type of picture a decoded pixel can have come from. */
static uint32_t as_type(uint32_t type, uint32_t v)
{
	if (type == 1)
		return (v & 255) * 0x010101;
	if (type == 2)
		return (v & 0xf8f8f8) | (v >> 5 & 0x070707);
	return type == 5 ? v : v & 0xffffff;
}

static void expect(uint32_t type, struct bytes stream, const uint32_t *pixels,
		   unsigned width, unsigned height, enum image_format format)
{
	struct image *image;
	struct error error;
	int r = quic_decode(stream, &image, &error);

	if (r)
		fail_msg("type %u, %u x %u: %s", type, width, height,
			 error.text);
	assert_int_equal(image->width, width);
	assert_int_equal(image->height, height);
	assert_int_equal(image->format, format);
	for (size_t i = 0; i < (size_t)width * height; i++)
		if (image->pixels[i] != as_type(type, pixels[i]))
			fail_msg("type %u, %u x %u: pixel %zu is %08x not %08x",
				 type, width, height, i, image->pixels[i],
				 as_type(type, pixels[i]));
	image_unref(image);
}

static void with_sizes(bool plain)
{
	static const unsigned sizes[][2] = {{1, 1},   {2, 3},    {1, 40},
					    {64, 64}, {133, 97}, {SIDE_MAX, 7}};
	static uint32_t pixels[SIDE_MAX * 7];
	struct coder o;

	cpu_pretend_plain(plain);
	for (uint32_t type = 1; type <= 5; type++)
		for (unsigned s = 0; s < sizeof(sizes) / sizeof(*sizes); s++)
			for (int content = 0; content < CONTENTS; content++) {
				unsigned w = sizes[s][0], h = sizes[s][1];

				for (unsigned i = 0; i < w * h; i++)
					pixels[i] =
						sample(content, i % w, i / w);
				expect(type, encode(&o, type, pixels, w, h),
				       pixels, w, h,
				       type == 5 ? IMAGE_ARGB : IMAGE_XRGB);
				buffer_free(&o.out);
			}
	cpu_pretend_plain(false);
}

static void every_type(void **state)
{
	(void)state;
	with_sizes(false);
}

static void every_type_plain(void **state)
{
	(void)state;
	with_sizes(true);
}

/* A stream that lacks a word or more of what it needs is damaged. */
static void cut(void **state)
{
	static uint32_t pixels[80 * 60];
	struct coder o;
	struct bytes whole;

	(void)state;
	for (unsigned i = 0; i < 80 * 60; i++)
		pixels[i] = sample(NOISE, i % 80, i / 80);
	whole = encode(&o, 4, pixels, 80, 60);
	for (size_t size = 0; size + 8 <= whole.size; size += 52) {
		struct image *image;
		uint8_t *copy = malloc(size + 1);

		memcpy(copy, whole.data, size);
		assert_int_equal(
			quic_decode(bytes_of(copy, size), &image, NULL),
			-EBADMSG);
		assert_null(image);
		free(copy);
	}
	buffer_free(&o.out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type),
		cmocka_unit_test(every_type_plain),
		cmocka_unit_test(cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
