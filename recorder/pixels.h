/*
 * Runs of pixels: filling and repeating, some at a time.
 */
#ifndef RECORDER_PIXELS_H
#define RECORDER_PIXELS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Eight pixels; unaligned. */
typedef uint32_t pixels8
	__attribute__((vector_size(32), aligned(4), may_alias));

static inline void pixels_fill(uint32_t *to, uint32_t v, size_t n)
{
	pixels8 eight = {v, v, v, v, v, v, v, v};
	size_t i = 0;

	for (; i + 8 <= n; i += 8)
		*(pixels8 *)(to + i) = eight;
	for (; i < n; i++)
		to[i] = v;
}

#endif
