/*
 * The number that each frame of the guest's lesson carries in its pixels.
 *
 * The lesson's picture has a fixed place on the guest's screen (head 0,
 * 1024x768). Its lowest rows are a strip of 20 cells of 32x24 px, each wholly
 * black or white, so that it survives JPEG and H.264:
 *
 *   cell 0 white, 1 black     sync
 *   cells 2..17               the number, most significant bit first, white = 1
 *   cell 18                   parity: cells 2..18 hold an odd number of whites
 *   cell 19 white             sync
 */
#ifndef GUEST_FRAME_STRIP_H
#define GUEST_FRAME_STRIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	LESSON_X = 32, /* on the screen, px */
	LESSON_Y = 88,
	LESSON_WIDTH = 640,
	LESSON_HEIGHT = 360,
	STRIP_CELLS = 20,
	STRIP_CELL_WIDTH = LESSON_WIDTH / STRIP_CELLS,
	STRIP_CELL_HEIGHT = 24,
	STRIP_Y = LESSON_HEIGHT - STRIP_CELL_HEIGHT, /* in the picture */
};

/* Is the cell white in the strip of this number? */
static inline bool frame_strip_cell(uint16_t number, int cell)
{
	if (cell == 0 || cell == STRIP_CELLS - 1)
		return true;
	if (cell == 1)
		return false;
	if (cell == STRIP_CELLS - 2)
		return !__builtin_parity(number);
	return number >> (17 - cell) & 1;
}

/* Mean brightness of a cell's middle; rgb is the screen, RGB24. */
static inline int frame_strip_level(const uint8_t *rgb, int width, int cell)
{
	int left = LESSON_X + cell * STRIP_CELL_WIDTH + STRIP_CELL_WIDTH / 4;
	int top = LESSON_Y + STRIP_Y + STRIP_CELL_HEIGHT / 4;
	int sum = 0, n = 0;

	for (int y = top; y < top + STRIP_CELL_HEIGHT / 2; y++)
		for (int x = left; x < left + STRIP_CELL_WIDTH / 2; x++, n++) {
			const uint8_t *p = rgb + ((size_t)y * width + x) * 3;

			sum += (p[0] + 2 * p[1] + p[2]) / 4;
		}
	return sum / n;
}

/* The number on a screen of RGB24 pixels, or -1 if none is readable. */
static inline int frame_strip_read(const uint8_t *rgb, int width, int height)
{
	bool white[STRIP_CELLS];
	int number = 0;

	if (width < LESSON_X + LESSON_WIDTH ||
	    height < LESSON_Y + LESSON_HEIGHT)
		return -1;
	for (int i = 0; i < STRIP_CELLS; i++) {
		int level = frame_strip_level(rgb, width, i);

		if (level > 80 && level < 176)
			return -1;
		white[i] = level >= 176;
		if (i >= 2 && i < 18)
			number = number << 1 | white[i];
	}
	for (int i = 0; i < STRIP_CELLS; i++)
		if (white[i] != frame_strip_cell(number, i))
			return -1;
	return number;
}

#endif
