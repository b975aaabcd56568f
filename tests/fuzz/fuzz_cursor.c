/*
 * A cursor channel: shapes of every type, the cache, places, modes; and the
 * pointer laid over rows.
 */
#include "recorder/cursor.h"
#include "tests/fuzz/input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* u16 flags, then a shape of small size with rows from the input. */
static void put_shape(struct buffer *b, struct bytes *in)
{
	uint8_t flags = bytes_u8(in);
	struct bytes rows;

	buffer_put_le16(b, flags & 6);
	if (flags >= 250)
		b->data[b->size - 2] |= 1;
	buffer_put_le64(b, input_below(in, 8));
	buffer_put_u8(b, input_below(in, 8));
	buffer_put_le16(b, input_below(in, 40));
	buffer_put_le16(b, input_below(in, 24));
	buffer_put_le16(b, bytes_u8(in));
	buffer_put_le16(b, bytes_u8(in));
	rows = input_take(in, bytes_u8(in) * 4u);
	buffer_put(b, rows.data, rows.size);
}

static uint16_t build(struct buffer *b, struct bytes *in)
{
	uint16_t type = 101 + input_below(in, 9);

	switch (type) {
	case 101: /* init: place, trail, visible */
		buffer_put_le32(b, bytes_le32(in));
		buffer_put_le32(b, 0);
		buffer_put_u8(b, bytes_u8(in) & 1);
		put_shape(b, in);
		break;
	case 103: /* set: place, visible */
		buffer_put_le32(b, bytes_le32(in));
		buffer_put_u8(b, bytes_u8(in) & 1);
		put_shape(b, in);
		break;
	case 104: /* move */
		buffer_put_le32(b, bytes_le32(in));
		break;
	case 107: /* drop one */
		buffer_put_le64(b, input_below(in, 8));
		break;
	}
	if (!input_below(in, 16))
		b->size = b->size * bytes_u8(in) / 256;
	return type;
}

static void look(const struct cursor *cursor, int32_t x, int32_t y)
{
	uint32_t row[64] = {0};

	for (int32_t i = 0; i < 24; i++)
		cursor_draw(cursor, x, y + i, row, 64);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = bytes_of(data, size);
	struct cursor *cursor;

	if (cursor_new(&cursor, NULL))
		abort();
	while (input_more(&in)) {
		struct buffer b = {0};
		struct error error = {0};
		uint16_t type = build(&b, &in);

		cursor->client_mode = !input_below(&in, 8);
		if (cursor_message(cursor, type, bytes_of(b.data, b.size),
				   &error) &&
		    !error.text[0])
			abort();
		buffer_free(&b);
		look(cursor, cursor->x - cursor->hot_x - 8,
		     cursor->y - cursor->hot_y - 4);
		look(cursor, 0, 0);
	}
	cursor_free(cursor);
	return 0;
}
