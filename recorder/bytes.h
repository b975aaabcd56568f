/*
 * Bytes of a peer, read through a cursor that cannot pass their end, and a
 * buffer that grows.
 *
 * Every integer of the SPICE protocol is little-endian and unaligned; the
 * LZ and GLZ headers are big-endian (be). A read past the end returns 0,
 * moves nothing and sets `bad`; so a parser reads a whole structure and
 * checks `bad` once.
 */
#ifndef RECORDER_BYTES_H
#define RECORDER_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
	const uint8_t *data;	/* not owned */
	size_t size;		/* all bytes */
	size_t at;		/* next to be read, <= size */
	bool bad;		/* something did not fit */
};

/* data may be NULL when there are none. */
static inline struct bytes bytes_of(const void *data, size_t size)
{
	return (struct bytes){.data = data ? data : (const uint8_t *)"",
			      .size = size};
}

static inline size_t bytes_left(const struct bytes *b)
{
	return b->size - b->at;
}

/* n bytes, borrowed; NULL when fewer are left. */
static inline const uint8_t *bytes_take(struct bytes *b, size_t n)
{
	const uint8_t *p;

	if (b->bad || n > b->size - b->at) {
		b->bad = true;
		return NULL;
	}
	p = b->data + b->at;
	b->at += n;
	return p;
}

/* Moves to an offset from the first byte. */
static inline void bytes_seek(struct bytes *b, size_t at)
{
	if (at > b->size)
		b->bad = true;
	else
		b->at = at;
}

static inline uint8_t bytes_u8(struct bytes *b)
{
	const uint8_t *p = bytes_take(b, 1);

	return p ? p[0] : 0;
}

static inline uint16_t bytes_le16(struct bytes *b)
{
	const uint8_t *p = bytes_take(b, 2);

	return p ? (uint16_t)(p[0] | p[1] << 8) : 0;
}

static inline uint32_t bytes_get_le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

static inline uint32_t bytes_get_be32(const uint8_t *p)
{
	return (uint32_t)p[3] | (uint32_t)p[2] << 8 | (uint32_t)p[1] << 16 |
	       (uint32_t)p[0] << 24;
}

static inline uint32_t bytes_le32(struct bytes *b)
{
	const uint8_t *p = bytes_take(b, 4);

	return p ? bytes_get_le32(p) : 0;
}

static inline uint64_t bytes_le64(struct bytes *b)
{
	uint64_t low = bytes_le32(b);

	return low | (uint64_t)bytes_le32(b) << 32;
}

static inline uint32_t bytes_be32(struct bytes *b)
{
	const uint8_t *p = bytes_take(b, 4);

	return p ? bytes_get_be32(p) : 0;
}

static inline uint64_t bytes_be64(struct bytes *b)
{
	uint64_t high = bytes_be32(b);

	return high << 32 | bytes_be32(b);
}

static inline void bytes_put_le16(uint8_t *p, uint16_t v)
{
	p[0] = v & 0xff;
	p[1] = v >> 8;
}

static inline void bytes_put_le32(uint8_t *p, uint32_t v)
{
	bytes_put_le16(p, v & 0xffff);
	bytes_put_le16(p + 2, v >> 16);
}

static inline void bytes_put_le64(uint8_t *p, uint64_t v)
{
	bytes_put_le32(p, (uint32_t)v);
	bytes_put_le32(p + 4, (uint32_t)(v >> 32));
}

/*
 * A buffer that grows. Zeroed is empty. `failed` stays set after an
 * allocation that failed or a size over `limit` (0 = none); later puts do
 * nothing, so a builder checks it once.
 */
struct buffer {
	uint8_t *data;
	size_t size;		/* bytes in use */
	size_t room;		/* bytes allocated */
	size_t limit;
	bool failed;
};

/* n more bytes, not initialised; NULL and `failed` when there is no room. */
uint8_t *buffer_grow(struct buffer *b, size_t n);
void buffer_put(struct buffer *b, const void *data, size_t n);
void buffer_put_u8(struct buffer *b, uint8_t v);
void buffer_put_le16(struct buffer *b, uint16_t v);
void buffer_put_le32(struct buffer *b, uint32_t v);
void buffer_put_le64(struct buffer *b, uint64_t v);
/* Drops n bytes from the front. */
void buffer_drop(struct buffer *b, size_t n);
void buffer_free(struct buffer *b);

#endif
