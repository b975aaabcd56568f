/* The desktop around the lesson. */
#include "desktop.h"
#include "frame_strip.h"

#include <stdio.h>
#include <string.h>

enum {
	PANEL = 32,
	TITLE = 24,
	NOTES_X = 32,
	NOTES_Y = 512,
	NOTES_LINES = 12,
	SIDE_X = 696,
	SIDE_WIDTH = 296,
	LICENCE_Y = 56,
	LICENCE_LINE = 18,
	LICENCE_LINES = 19,
	INPUT_Y = 448,
	TEST_Y = 568,
};

static const uint32_t PAPER = 0xf4f1ea, INK = 0x22282e, DIM = 0x7a8288,
		      BAR = 0x1d2b38, LIGHT = 0xe8eef2, ACCENT = 0x3f8fd0,
		      RED = 0xc0302a;

static const struct rect progress = {48, 464, 608, 8};
static const struct rect notes = {NOTES_X + 8, NOTES_Y + TITLE + 8, 624,
				  NOTES_LINES * 16};

static void window(struct screen *s, struct rect r, const char *title)
{
	screen_box(s,
		   (struct rect){r.x - 1, r.y - 1, r.width + 2, r.height + 2},
		   0x0c141c);
	screen_box(s, r, PAPER);
	screen_gradient(s, (struct rect){r.x, r.y, r.width, TITLE}, 0x4b6a86,
			0x304a62);
	screen_text(s, r.x + 8, r.y + 4, 1, LIGHT, title);
}

/* Flat colours, ramps and fine lines: food for the lossless codecs. */
static void test_patterns(struct screen *s)
{
	static const uint32_t bars[] = {0xffffff, 0xffff00, 0x00ffff, 0x00ff00,
					0xff00ff, 0xff0000, 0x0000ff, 0x000000};
	static const uint32_t ramps[] = {0xff0000, 0x00ff00, 0x0000ff,
					 0xffffff};
	int x = SIDE_X + 8, y = TEST_Y + TITLE + 8;

	window(s, (struct rect){SIDE_X, TEST_Y, SIDE_WIDTH, 168}, "Test card");
	for (int i = 0; i < 8; i++)
		screen_box(s, (struct rect){x + i * 35, y, 35, 32}, bars[i]);
	for (int i = 0; i < 4; i++)
		for (int c = 0; c < 280; c++) {
			uint32_t v = (uint32_t)c * 255 / 279;

			screen_box(s,
				   (struct rect){x + c, y + 40 + i * 16, 1, 16},
				   (v << 16 | v << 8 | v) & ramps[i]);
		}
	for (int c = 0; c < 280; c++)
		for (int i = 0; i < 16; i++)
			screen_box(s, (struct rect){x + c, y + 112 + i, 1, 1},
				   (c + i * (c / 70)) & 1 ? INK : PAPER);
}

static void other_head(struct screen *s, int head)
{
	char text[2] = {(char)('1' + head), 0};

	screen_gradient(s, (struct rect){0, 0, HEAD_WIDTH, HEAD_HEIGHT},
			0x24465c << (head % 2), 0x101c28);
	screen_text(s, 448, 256, 16, LIGHT, text);
}

void desktop_draw(struct screen *s)
{
	for (int i = 1; i < s->heads; i++) {
		screen_select(s, i);
		other_head(s, i);
	}
	screen_select(s, 0);
	screen_gradient(s, (struct rect){0, 0, HEAD_WIDTH, HEAD_HEIGHT},
			0x5b8aa8, 0x1c3a34);
	screen_box(s, (struct rect){0, 0, HEAD_WIDTH, PANEL}, BAR);
	screen_text(s, 12, 8, 1, LIGHT, "Lesson player");
	if (s->heads > 1)
		screen_text(s, 492, 8, 1, LIGHT, "head 1");
	window(s,
	       (struct rect){LESSON_X, LESSON_Y - 32, LESSON_WIDTH,
			     LESSON_HEIGHT + 72},
	       "Lesson 7: the lake at evening");
	screen_box(s,
		   (struct rect){LESSON_X, LESSON_Y - 8, LESSON_WIDTH,
				 LESSON_HEIGHT + 8},
		   0x101010);
	screen_box(s, progress, 0xc9c4b8);
	window(s,
	       (struct rect){SIDE_X, LICENCE_Y, SIDE_WIDTH,
			     TITLE + 14 + LICENCE_LINES * LICENCE_LINE},
	       "This machine");
	window(s, (struct rect){NOTES_X, NOTES_Y, LESSON_WIDTH, 224}, "Notes");
	window(s, (struct rect){SIDE_X, INPUT_Y + 24, SIDE_WIDTH, 76}, "Input");
	test_patterns(s);
	screen_show(s);
}

void desktop_note(struct screen *s, const char *text)
{
	struct rect last = {notes.x, notes.y + notes.height - 16, notes.width,
			    16};

	screen_scroll_up(s, notes, 16);
	screen_fill(s, last, PAPER);
	screen_text(s, last.x, last.y, 1, INK, text);
	screen_flush(s, last);
}

/* Text on a plain ground, flushed. */
static void label(struct screen *s, struct rect r, uint32_t ground,
		  uint32_t colour, const char *text)
{
	char cut[128];

	snprintf(cut, sizeof(cut), "%.*s", r.width / 8, text);
	screen_box(s, r, ground);
	screen_text(s, r.x, r.y, 1, colour, cut);
	screen_flush(s, r);
}

void desktop_clock(struct screen *s, unsigned seconds)
{
	char text[16];

	snprintf(text, sizeof(text), "%02u:%02u", seconds / 60 % 100,
		 seconds % 60);
	label(s, (struct rect){HEAD_WIDTH - 52, 8, 40, 16}, BAR, LIGHT, text);
}

void desktop_progress(struct screen *s, unsigned done, unsigned whole)
{
	struct rect left = progress, right = progress;
	char text[32];

	left.width = whole ? (int)(done * (unsigned)left.width / whole) : 0;
	right.x += left.width;
	right.width -= left.width;
	screen_fill(s, left, ACCENT);
	screen_fill(s, right, 0xc9c4b8);
	snprintf(text, sizeof(text), "frame %u of %u", done, whole);
	label(s, (struct rect){48, 448, 240, 16}, PAPER, DIM, text);
}

void desktop_keys(struct screen *s, const char *text)
{
	label(s, (struct rect){SIDE_X + 8, INPUT_Y + 56, 280, 16}, PAPER, INK,
	      text);
}

void desktop_mouse(struct screen *s, int x, int y, unsigned buttons)
{
	char text[48];

	snprintf(text, sizeof(text), "pointer %d,%d  buttons %c%c%c", x, y,
		 buttons & 1 ? 'L' : '-', buttons & 4 ? 'M' : '-',
		 buttons & 2 ? 'R' : '-');
	label(s, (struct rect){SIDE_X + 8, INPUT_Y + 76, 280, 16}, PAPER, INK,
	      text);
}

void desktop_licence(struct screen *s, const struct fingerprint *f,
		     const struct licence *l)
{
	struct rect all = {SIDE_X + 8, LICENCE_Y + TITLE + 8, SIDE_WIDTH - 16,
			   LICENCE_LINES * LICENCE_LINE};

	screen_box(s, all, PAPER);
	for (int i = 0; i < f->n && i < LICENCE_LINES; i++) {
		int y = all.y + i * LICENCE_LINE;
		char value[20];

		snprintf(value, sizeof(value), "%.19s", f->fields[i].value);
		screen_text(s, all.x, y, 1, l->changed[i] ? RED : DIM,
			    f->fields[i].name);
		screen_text(s, all.x + 128, y, 1, l->changed[i] ? RED : INK,
			    value);
	}
	screen_flush(s, all);
}

void desktop_refusal(struct screen *s, const char *heading)
{
	struct rect r = {LESSON_X, LESSON_Y, LESSON_WIDTH, LESSON_HEIGHT};

	screen_gradient(s, r, 0x5a1a1a, 0x2a0c0c);
	screen_text(s, r.x + 24, r.y + 32, 2, 0xffffff, heading);
	screen_flush(s, r);
}

void desktop_refusal_line(struct screen *s, int line, const char *text)
{
	struct rect r = {LESSON_X + 24, LESSON_Y + 96 + line * 24,
			 LESSON_WIDTH - 48, 16};

	if (line < 10)
		label(s, r, 0x3a1010, 0xffd8c8, text);
}
