/* A buffer that grows; the reading cursor is inline in the header. */
#include "recorder/bytes.h"

#include <assert.h>
#include <stdlib.h>

uint8_t *buffer_grow(struct buffer *b, size_t n)
{
	uint8_t *data;
	size_t room;

	if (b->failed)
		return NULL;
	if (n > SIZE_MAX / 2 - b->size ||
	    (b->limit && b->size + n > b->limit)) {
		b->failed = true;
		return NULL;
	}
	if (b->size + n > b->room) {
		room = b->room ? b->room : 256;
		while (room < b->size + n)
			room *= 2;
		data = realloc(b->data, room);
		if (!data) {
			b->failed = true;
			return NULL;
		}
		b->data = data;
		b->room = room;
	}
	data = b->data + b->size;
	b->size += n;
	return data;
}

void buffer_put(struct buffer *b, const void *data, size_t n)
{
	uint8_t *p = n ? buffer_grow(b, n) : NULL;

	if (p)
		memcpy(p, data, n);
}

void buffer_put_u8(struct buffer *b, uint8_t v)
{
	buffer_put(b, &v, 1);
}

void buffer_put_le16(struct buffer *b, uint16_t v)
{
	uint8_t *p = buffer_grow(b, 2);

	if (p)
		bytes_put_le16(p, v);
}

void buffer_put_le32(struct buffer *b, uint32_t v)
{
	uint8_t *p = buffer_grow(b, 4);

	if (p)
		bytes_put_le32(p, v);
}

void buffer_put_le64(struct buffer *b, uint64_t v)
{
	uint8_t *p = buffer_grow(b, 8);

	if (p)
		bytes_put_le64(p, v);
}

void buffer_drop(struct buffer *b, size_t n)
{
	assert(n <= b->size);
	b->size -= n;
	if (b->size)
		memmove(b->data, b->data + n, b->size);
}

void buffer_free(struct buffer *b)
{
	free(b->data);
	*b = (struct buffer){.limit = b->limit};
}
