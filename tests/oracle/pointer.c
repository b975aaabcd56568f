/* Pointers; see pointer.h. */
#include "tests/oracle/pointer.h"

#include <stdlib.h>
#include <string.h>

#include "tests/oracle/bitmaps.h"

#define TYPES 7
#define KEPT 6

/* Bytes of a shape's data: pixels or nibbles, palette, mask. */
static size_t data_size(int type, size_t w, size_t h)
{
	size_t mask = (w + 7) / 8 * h;

	switch (type) {
	case SPICE_CURSOR_TYPE_ALPHA:
		return w * h * 4;
	case SPICE_CURSOR_TYPE_MONO:
		return 2 * mask;
	case SPICE_CURSOR_TYPE_COLOR4:
		return (w + 1) / 2 * h + 16 * 4 + mask;
	case SPICE_CURSOR_TYPE_COLOR8:
		return w * h + 256 * 4 + mask;
	case SPICE_CURSOR_TYPE_COLOR16:
		return w * h * 2 + mask;
	case SPICE_CURSOR_TYPE_COLOR24:
		return w * h * 3 + mask;
	default:
		return w * h * 4 + mask;
	}
}

static QXLCursor *new_shape(struct command *c, uint64_t unique)
{
	int type = pick(0, TYPES - 1), w = pick(1, 40), h = pick(1, 40);
	size_t size = data_size(type, (size_t)w, (size_t)h);
	QXLCursor *shape = command_alloc(c, sizeof(*shape) + size);
	uint8_t *data = shape->chunk.data;

	shape->header = (QXLCursorHeader){
		.unique = unique,
		.type = (uint16_t)type,
		.width = (uint16_t)w,
		.height = (uint16_t)h,
		.hot_spot_x = (uint16_t)pick(0, w - 1),
		.hot_spot_y = (uint16_t)pick(0, h - 1),
	};
	shape->data_size = (uint32_t)size;
	shape->chunk.data_size = (uint32_t)size;
	for (size_t i = 0; i < size; i++)
		data[i] = chance(3) ? 0 : (uint8_t)random_bits();
	for (size_t i = 0; type == SPICE_CURSOR_TYPE_ALPHA && i + 3 < size;
	     i += 4)
		for (int k = 0; k < 3; k++)
			if (data[i + k] > data[i + 3])
				data[i + k] = data[i + 3];
	return shape;
}

static struct command *keepers[KEPT];
static QXLCursor *kept[KEPT];

/* One that stays, which the server lets its client keep. */
static QXLCursor *keep(int i)
{
	if (!kept[i]) {
		keepers[i] = command_new(QXL_CMD_CURSOR);
		kept[i] = new_shape(keepers[i], (uint64_t)i + 1);
	}
	return kept[i];
}

void pointer_free(void)
{
	for (int i = 0; i < KEPT; i++)
		if (keepers[i])
			command_free(keepers[i]);
	memset(kept, 0, sizeof(kept));
	memset(keepers, 0, sizeof(keepers));
}

void pointer_any(struct device *device)
{
	struct command *c = command_new(QXL_CMD_CURSOR);
	QXLCursorCmd *cursor = &c->cursor;
	int what = pick(0, 9);

	cursor->type = QXL_CURSOR_SET;
	if (what == 0) {
		cursor->type = QXL_CURSOR_HIDE;
	} else if (what <= 2) {
		cursor->type = QXL_CURSOR_MOVE;
		cursor->u.position.x = (int16_t)pick(0, 500);
		cursor->u.position.y = (int16_t)pick(0, 400);
	} else if (what == 3) {
		cursor->type = QXL_CURSOR_TRAIL;
		cursor->u.trail.length = 3;
		cursor->u.trail.frequency = 5;
	} else {
		cursor->u.set.position.x = (int16_t)pick(0, 500);
		cursor->u.set.position.y = (int16_t)pick(0, 400);
		cursor->u.set.visible = 1;
		cursor->u.set.shape =
			(uintptr_t)(chance(2) ? keep(pick(0, KEPT - 1))
					      : new_shape(c, 0));
	}
	device_put(device, c);
}
