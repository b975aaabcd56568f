/*
 * For fuzzers that build what they try: choices taken from the input, which
 * read as 0 past its end.
 */
#ifndef TESTS_FUZZ_INPUT_H
#define TESTS_FUZZ_INPUT_H

#include "recorder/bytes.h"

#include <stdlib.h>

/* A small number, below n. */
static inline unsigned input_below(struct bytes *in, unsigned n)
{
	return bytes_u8(in) % n;
}

/* Mostly near a small surface, sometimes anything. */
static inline uint32_t input_coordinate(struct bytes *in)
{
	uint8_t v = bytes_u8(in);

	return v == 255 ? bytes_le32(in) : (uint32_t)(v % 96 - 16);
}

/* As many of n bytes as there are. */
static inline struct bytes input_take(struct bytes *in, size_t n)
{
	size_t left = in->bad ? 0 : bytes_left(in);

	n = n < left ? n : left;
	return bytes_of(n ? bytes_take(in, n) : in->data, n);
}

static inline bool input_more(const struct bytes *in)
{
	return !in->bad && bytes_left(in);
}

#endif
