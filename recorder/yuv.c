/* Screen pixels into planes, two rows at a time. */
#include "recorder/yuv.h"

#include <string.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

#define SPAN 2048 /* px, even */

/* BT.709 for 16..235 and 16..240, in 1/32768. */
#define YR 5983
#define YG 20127
#define YB 2032
#define UR -3298
#define UG -11094
#define UB 14392
#define VR 14392
#define VG -13073
#define VB -1319
#define Y_BITS 15
#define Y_BIAS ((16 << Y_BITS) + (1 << (Y_BITS - 1)))
#define C_BIAS(bits) ((128 << (bits)) + (1 << ((bits)-1)))

static void plain_luma(const uint32_t *row, uint8_t *out, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint32_t p = row[i], r = p >> 16 & 255, g = p >> 8 & 255;

		out[i] = (r * YR + g * YG + (p & 255) * YB + Y_BIAS) >> Y_BITS;
	}
}

static void plain_chroma(const uint32_t *top, const uint32_t *low, uint8_t *u,
			 uint8_t *v, unsigned n)
{
	for (unsigned i = 0; i < n; i++, top += 2, low += 2) {
		/* Sums of four 8-bit values, two of them in one word. */
		const uint32_t mask = 0x00ff00ff;
		uint32_t rb = (top[0] & mask) + (top[1] & mask) +
			      (low[0] & mask) + (low[1] & mask);
		int32_t g = (top[0] >> 8 & 255) + (top[1] >> 8 & 255) +
			    (low[0] >> 8 & 255) + (low[1] >> 8 & 255);
		int32_t r = rb >> 16, b = rb & 0xffff;

		u[i] = (r * UR + g * UG + b * UB + C_BIAS(17)) >> 17;
		v[i] = (r * VR + g * VG + b * VB + C_BIAS(17)) >> 17;
	}
}

const struct yuv_kernels yuv_plain = {plain_luma, plain_chroma};

#ifdef __x86_64__
#define AVX2 __attribute__((target("avx2")))

/*
 * B, G, R, x of four items in each of a and b, 16 bits each, weighted and
 * summed; in each half first the sums of a, then those of b.
 */
AVX2 static inline __m256i weigh(__m256i a, __m256i b, __m256i weights,
				 __m256i bias)
{
	return _mm256_add_epi32(
		_mm256_hadd_epi32(_mm256_madd_epi16(a, weights),
				  _mm256_madd_epi16(b, weights)),
		bias);
}

AVX2 static inline __m256i weights_of(int b, int g, int r)
{
	return _mm256_set1_epi64x((int64_t)((uint64_t)(uint16_t)r << 32 |
					    (uint64_t)(uint16_t)g << 16 |
					    (uint16_t)b));
}

AVX2 static inline __m256i luma8(const uint32_t *row, __m256i weights)
{
	__m256i p = _mm256_loadu_si256((const __m256i *)row);
	__m256i zero = _mm256_setzero_si256();

	return _mm256_srli_epi32(weigh(_mm256_unpacklo_epi8(p, zero),
				       _mm256_unpackhi_epi8(p, zero), weights,
				       _mm256_set1_epi32(Y_BIAS)),
				 Y_BITS);
}

AVX2 static void avx2_luma(const uint32_t *row, uint8_t *out, unsigned n)
{
	const __m256i weights = weights_of(YB, YG, YR);
	const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
	unsigned i = 0;

	for (; i + 32 <= n; i += 32) {
		__m256i a = _mm256_packs_epi32(luma8(row + i, weights),
					       luma8(row + i + 8, weights));
		__m256i b = _mm256_packs_epi32(luma8(row + i + 16, weights),
					       luma8(row + i + 24, weights));
		__m256i y = _mm256_packus_epi16(a, b);

		_mm256_storeu_si256((__m256i *)(out + i),
				    _mm256_permutevar8x32_epi32(y, order));
	}
	plain_luma(row + i, out + i, n - i);
}

/* The sums of B, G, R, x over each of the four squares in eight columns. */
AVX2 static inline __m256i squares(const uint32_t *top, const uint32_t *low)
{
	__m256i t = _mm256_loadu_si256((const __m256i *)top);
	__m256i l = _mm256_loadu_si256((const __m256i *)low);
	__m256i zero = _mm256_setzero_si256();
	__m256i a = _mm256_add_epi16(_mm256_unpacklo_epi8(t, zero),
				     _mm256_unpacklo_epi8(l, zero));
	__m256i b = _mm256_add_epi16(_mm256_unpackhi_epi8(t, zero),
				     _mm256_unpackhi_epi8(l, zero));

	return _mm256_add_epi16(_mm256_unpacklo_epi64(a, b),
				_mm256_unpackhi_epi64(a, b));
}

/* Sixteen samples from sixteen squares. */
AVX2 static inline void weigh_squares(const __m256i s[4], __m256i weights,
				      uint8_t *out)
{
	const __m256i bias = _mm256_set1_epi32(C_BIAS(17));
	const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
	__m256i a = _mm256_srai_epi32(weigh(s[0], s[1], weights, bias), 17);
	__m256i b = _mm256_srai_epi32(weigh(s[2], s[3], weights, bias), 17);
	__m256i words = _mm256_packs_epi32(a, b);

	/* In pairs 01 45 89 cd 23 67 ab ef. */
	words = _mm256_permutevar8x32_epi32(words, order);
	words = _mm256_packus_epi16(words, words);
	words = _mm256_permute4x64_epi64(words, 0 | 2 << 2 | 1 << 4 | 3 << 6);
	_mm_storeu_si128((__m128i *)out, _mm256_castsi256_si128(words));
}

AVX2 static void avx2_chroma(const uint32_t *top, const uint32_t *low,
			     uint8_t *u, uint8_t *v, unsigned n)
{
	const __m256i to_u = weights_of(UB, UG, UR);
	const __m256i to_v = weights_of(VB, VG, VR);
	unsigned i = 0;

	for (; i + 16 <= n; i += 16) {
		__m256i s[4];

		for (unsigned k = 0; k < 4; k++)
			s[k] = squares(top + 2 * i + 8 * k,
				       low + 2 * i + 8 * k);
		weigh_squares(s, to_u, u + i);
		weigh_squares(s, to_v, v + i);
	}
	plain_chroma(top + 2 * i, low + 2 * i, u + i, v + i, n - i);
}

const struct yuv_kernels *yuv_best(void)
{
	static const struct yuv_kernels avx2 = {avx2_luma, avx2_chroma};

	return __builtin_cpu_supports("avx2") ? &avx2 : &yuv_plain;
}
#else
const struct yuv_kernels *yuv_best(void)
{
	return &yuv_plain;
}
#endif

/* n chroma samples of as many pixels. */
static void full_chroma(const uint32_t *row, uint8_t *u, uint8_t *v, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		int32_t r = row[i] >> 16 & 255, g = row[i] >> 8 & 255;
		int32_t b = row[i] & 255;

		u[i] = (r * UR + g * UG + b * UB + C_BIAS(15)) >> 15;
		v[i] = (r * VR + g * VG + b * VB + C_BIAS(15)) >> 15;
	}
}

static void split(const uint32_t *row, uint8_t *g, uint8_t *b, uint8_t *r,
		  unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		r[i] = (uint8_t)(row[i] >> 16);
		g[i] = (uint8_t)(row[i] >> 8);
		b[i] = (uint8_t)row[i];
	}
}

/* Planes, and the way into them. */
struct target {
	enum yuv_format format;
	const struct yuv_kernels *kernels;
	uint8_t *const *planes;
	const int *strides;
};

static uint8_t *place(const struct target *t, unsigned plane, uint32_t x,
		      uint32_t y)
{
	return t->planes[plane] + (size_t)y * t->strides[plane] + x;
}

static void convert_row(const struct target *t, const uint32_t *row, uint32_t x,
			uint32_t y, uint32_t n)
{
	switch (t->format) {
	case YUV_420:
		t->kernels->luma(row, place(t, 0, x, y), n);
		break;
	case YUV_444:
		t->kernels->luma(row, place(t, 0, x, y), n);
		full_chroma(row, place(t, 1, x, y), place(t, 2, x, y), n);
		break;
	case YUV_GBR:
		split(row, place(t, 0, x, y), place(t, 1, x, y),
		      place(t, 2, x, y), n);
		break;
	case YUV_BGR0:
		memcpy(place(t, 0, 4 * x, y), row, n * sizeof(*row));
		break;
	}
}

static void convert_pair(const struct target *t, const struct screen *screen,
			 uint32_t x, uint32_t y, uint32_t n)
{
	uint32_t space[2][SPAN];
	const uint32_t *rows[2];

	for (unsigned k = 0; k < 2; k++) {
		rows[k] = screen_row(screen, x, y + k, n, space[k]);
		convert_row(t, rows[k], x, y + k, n);
	}
	if (t->format == YUV_420)
		t->kernels->chroma(rows[0], rows[1], place(t, 1, x / 2, y / 2),
				   place(t, 2, x / 2, y / 2), n / 2);
}

void yuv_convert(enum yuv_format format, const struct screen *screen,
		 pixman_region32_t *region, uint8_t *const planes[3],
		 const int strides[3])
{
	struct target t = {format, yuv_best(), planes, strides};
	const pixman_box32_t *boxes;
	int count;

	boxes = pixman_region32_rectangles(region, &count);
	for (const pixman_box32_t *b = boxes; b < boxes + count; b++) {
		uint32_t left = b->x1 & ~1, right = (b->x2 + 1) & ~1;

		for (uint32_t y = b->y1 & ~1; y < (uint32_t)b->y2; y += 2)
			for (uint32_t x = left; x < right; x += SPAN)
				convert_pair(&t, screen, x, y,
					     right - x < SPAN ? right - x
							      : SPAN);
	}
}
