/*
 * Pixels into planes: vectors give what plain C gives, and plain C gives
 * BT.709's values.
 */
#include "recorder/yuv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define LENGTH 515

static uint32_t random_state = 7;

static uint32_t next_random(void)
{
	random_state = random_state * 1664525 + 1013904223;
	return random_state >> 16 | random_state << 16;
}

/* Noise, and the values at the ends of the range. */
static void fill(uint32_t *row, unsigned n, bool ends)
{
	for (unsigned i = 0; i < n; i++) {
		row[i] = next_random();
		if (!ends)
			continue;
		for (unsigned shift = 0; shift < 32; shift += 8)
			if (row[i] >> shift & 1)
				row[i] |= 255u << shift;
			else
				row[i] &= ~(255u << shift);
	}
}

static void compare(const uint32_t *top, const uint32_t *low, unsigned n)
{
	uint8_t plain[3][LENGTH + 1], best[3][LENGTH + 1];

	memset(plain, 170, sizeof(plain));
	memset(best, 170, sizeof(best));
	yuv_plain.luma(top, plain[0], n);
	yuv_best()->luma(top, best[0], n);
	yuv_plain.chroma(top, low, plain[1], plain[2], n / 2);
	yuv_best()->chroma(top, low, best[1], best[2], n / 2);
	assert_memory_equal(plain, best, sizeof(plain));
}

static void vectors_agree_with_plain_c(void **state)
{
	uint32_t top[LENGTH], low[LENGTH];

	(void)state;
	for (int round = 0; round < 200; round++) {
		fill(top, LENGTH, round & 1);
		fill(low, LENGTH, round & 1);
		for (unsigned at = 0; at < 3; at++)
			for (unsigned n = 0; n + at <= LENGTH; n += 1 + n / 3)
				compare(top + at, low + at, n);
	}
}

static int rounded(double v)
{
	return (int)(v + 0.5);
}

static void plain_c_is_bt709(void **state)
{
	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint32_t p = next_random(), row[2] = {p, p};
		double r = (p >> 16 & 255) / 255.0, g = (p >> 8 & 255) / 255.0;
		double b = (p & 255) / 255.0;
		double y = 0.2126 * r + 0.7152 * g + 0.0722 * b;
		uint8_t out[3];

		yuv_plain.luma(row, &out[0], 1);
		yuv_plain.chroma(row, row, &out[1], &out[2], 1);
		assert_in_range(out[0] + 1 - rounded(16 + 219 * y), 0, 2);
		assert_in_range(out[1] + 1 -
					rounded(128 + 224 * (b - y) / 1.8556),
				0, 2);
		assert_in_range(out[2] + 1 -
					rounded(128 + 224 * (r - y) / 1.5748),
				0, 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_agree_with_plain_c),
		cmocka_unit_test(plain_c_is_bt709),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
