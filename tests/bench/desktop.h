/*
 * A person at a desktop, on the recording's clock: types, moves the pointer,
 * opens menus and dialogs, scrolls; a caret blinks and a clock goes on.
 */
#ifndef TESTS_BENCH_DESKTOP_H
#define TESTS_BENCH_DESKTOP_H

#include "tests/bench/recording.h"

#define GLYPH_W 9
#define GLYPH_H 18
#define PANEL_H 32
#define GLYPHS 4096
#define STEP (10 * MS) /* of the clock */

static const struct box editor = {300, 120, 1260, 810};

/* A letter that the viewer keeps. */
struct seen {
	unsigned glyph; /* + 1 */
	uint32_t ink, paper;
};

struct desktop {
	struct recording *r;
	uint32_t *pixels; /* of the screen behind menus and dialogs */
	uint32_t random;
	int column, line; /* of the caret */
	bool caret;
	int x, y, to_x, to_y, moves; /* of the pointer; moves are left */
	struct box open;             /* menu or dialog; w = 0: none */
	int item;                    /* of the menu, under the pointer */
	struct seen seen[GLYPHS];
};

static uint32_t desktop_random(struct desktop *d)
{
	d->random = d->random * 1664525 + 1013904223;
	return d->random >> 8;
}

static uint32_t mix(uint32_t a, uint32_t b, unsigned part)
{
	uint32_t out = 0;

	for (int shift = 0; shift < 24; shift += 8)
		out |= ((a >> shift & 255) * (255 - part) +
			(b >> shift & 255) * part) /
			       255
		       << shift;
	return out;
}

/* Something like a letter with soft edges. */
static unsigned coverage(unsigned glyph, int u, int v)
{
	uint32_t seed = glyph * 2654435761u;
	int bar = (int)(seed >> 3 & 7), stem = (int)(seed >> 7 & 3) + 1;

	if (!glyph || v < 4 || v > 14 || u < 1 || u > 7)
		return 0;
	if (u == stem || (seed >> 11 & 1 && u == 7 - stem))
		return 230;
	if (u == stem + 1)
		return 90;
	if (v == 4 + bar || v == 12 - (int)(seed >> 15 & 3))
		return 200;
	return 0;
}

static void glyph_draw(uint32_t *pixels, size_t stride, unsigned glyph,
		       uint32_t ink, uint32_t paper)
{
	for (int v = 0; v < GLYPH_H; v++)
		for (int u = 0; u < GLYPH_W; u++)
			pixels[(size_t)v * stride + u] =
				mix(paper, ink, coverage(glyph, u, v));
}

/* A letter; the second time it comes from the cache. */
static void put_glyph(struct desktop *d, int x, int y, unsigned glyph,
		      uint32_t ink, uint32_t paper)
{
	uint32_t pixels[GLYPH_W * GLYPH_H];
	struct box box = {x, y, GLYPH_W, GLYPH_H};
	uint32_t key = (glyph * 31 + ink * 7 + paper * 13) % GLYPHS;

	if (d->seen[key].glyph == glyph + 1 && d->seen[key].ink == ink &&
	    d->seen[key].paper == paper) {
		recording_copy(d->r, box, NULL, -(int64_t)key - 1);
		return;
	}
	glyph_draw(pixels, GLYPH_W, glyph, ink, paper);
	recording_copy(d->r, box, pixels,
		       d->seen[key].glyph ? 0 : (int64_t)key + 1);
	if (!d->seen[key].glyph) {
		d->seen[key].glyph = glyph + 1;
		d->seen[key].ink = ink;
		d->seen[key].paper = paper;
	}
}

static uint32_t *at(const struct desktop *d, int x, int y)
{
	return d->pixels + (size_t)y * WIDTH + x;
}

static void paint(struct desktop *d, struct box b, uint32_t colour)
{
	for (int v = b.y; v < b.y + b.h; v++)
		for (int u = b.x; u < b.x + b.w; u++)
			*at(d, u, v) = colour;
}

static void paint_text(struct desktop *d, int x, int y, int n, uint32_t ink,
		       uint32_t paper)
{
	for (int i = 0; i < n; i++)
		glyph_draw(at(d, x + i * GLYPH_W, y), WIDTH,
			   desktop_random(d) % 6 ? desktop_random(d) % 60 + 1
						 : 0,
			   ink, paper);
}

/* Sends what the desktop has there. */
static void show(struct desktop *d, struct box b)
{
	uint32_t *copy = malloc((size_t)b.w * b.h * 4);

	for (int v = 0; v < b.h; v++)
		memcpy(copy + (size_t)v * b.w, at(d, b.x, b.y + v),
		       (size_t)b.w * 4);
	recording_copy(d->r, b, copy, 0);
	free(copy);
}

static void desktop_begin(struct desktop *d, struct recording *r)
{
	*d = (struct desktop){.r = r, .random = 42, .x = 960, .y = 540};
	d->pixels = calloc((size_t)WIDTH * HEIGHT, 4);
	must(d->pixels, "memory");
	for (int y = 0; y < HEIGHT; y++)
		for (int x = 0; x < WIDTH; x++) {
			double hill = 640 + 120 * sin(x / 230.0) +
				      40 * sin(x / 71.0 + 1);
			uint32_t sky =
				mix(0x3a6ea5, 0xbfdcf5, y * 255 / HEIGHT);

			*at(d, x, y) =
				y < hill ? sky
					 : mix(0x2d6a2d, 0x8fbc5a,
					       (unsigned)((x * 7 + y * 3) %
							  256));
		}
	paint(d, (struct box){0, 0, WIDTH, PANEL_H}, 0x2b2b2b);
	paint_text(d, 16, 7, 40, 0xf0f0f0, 0x2b2b2b);
	for (int i = 0; i < 8; i++) {
		paint(d, (struct box){40, 80 + i * 110, 64, 64},
		      mix(0x4060c0, 0xe0a030, (unsigned)i * 36));
		paint_text(d, 40, 150 + i * 110, 7, 0xffffff, 0x204060);
	}
	paint(d, (struct box){editor.x - 4, editor.y - 30, editor.w + 8, 30},
	      0x3c3f41);
	paint_text(d, editor.x + 8, editor.y - 24, 30, 0xdddddd, 0x3c3f41);
	paint(d, editor, 0xffffff);
	for (int line = 0; line < editor.h / GLYPH_H - 12; line++)
		paint_text(d, editor.x + 8, editor.y + line * GLYPH_H,
			   20 + (int)(desktop_random(d) % 100), 0x202020,
			   0xffffff);
	d->line = editor.h / GLYPH_H - 12;
	show(d, (struct box){0, 0, WIDTH, HEIGHT});
}

static void put_caret(struct desktop *d, bool on)
{
	struct box b = {editor.x + 8 + d->column * GLYPH_W,
			editor.y + d->line * GLYPH_H, 2, GLYPH_H};

	if (on != d->caret)
		recording_fill(d->r, b, on ? 0x000000 : 0xffffff);
	d->caret = on;
}

static void scroll(struct desktop *d, int lines)
{
	int h = lines * GLYPH_H, rest = editor.h / GLYPH_H * GLYPH_H - h;
	struct box to = {editor.x, editor.y, editor.w, rest};
	struct box new = {editor.x, editor.y + rest, editor.w, h};

	put_caret(d, false);
	recording_move(d->r, to, editor.x, editor.y + h);
	memmove(at(d, 0, editor.y), at(d, 0, editor.y + h),
		(size_t)rest * WIDTH * 4);
	paint(d, new, 0xffffff);
	recording_fill(d->r, new, 0xffffff);
}

static void type(struct desktop *d)
{
	unsigned glyph = desktop_random(d) % 6 ? desktop_random(d) % 60 + 1 : 0;
	int x = editor.x + 8 + d->column * GLYPH_W;
	int y = editor.y + d->line * GLYPH_H;

	put_caret(d, false);
	put_glyph(d, x, y, glyph, 0x202020, 0xffffff);
	glyph_draw(at(d, x, y), WIDTH, glyph, 0x202020, 0xffffff);
	if (++d->column == 120) {
		d->column = 0;
		if (++d->line == editor.h / GLYPH_H - 1) {
			scroll(d, 1);
			d->line--;
		}
	}
	put_caret(d, true);
}

static void tick_clock(struct desktop *d)
{
	unsigned s = (unsigned)(d->r->now / (1000 * MS)),
		 digits[] = {s / 600 % 10, s / 60 % 10, s % 60 / 10, s % 10};

	for (int i = 0; i < 4; i++)
		put_glyph(d, WIDTH - 80 + i * GLYPH_W, 7, 70 + digits[i],
			  0xf0f0f0, 0x2b2b2b);
}

/* A person's hand: fast first, slow at the end. */
static void move_pointer(struct desktop *d)
{
	if (!d->moves)
		return;
	d->x += (d->to_x - d->x) * 2 / (d->moves + 1);
	d->y += (d->to_y - d->y) * 2 / (d->moves + 1);
	d->moves--;
	recording_pointer(d->r, d->x, d->y);
}

static void aim(struct desktop *d, int x, int y, int moves)
{
	d->to_x = x;
	d->to_y = y;
	d->moves = moves;
}

static void put_item(struct desktop *d, int item, bool chosen)
{
	uint32_t paper = chosen ? 0x3874d8 : 0xf4f4f4;
	struct box b = {d->open.x + 2, d->open.y + 2 + item * 26, d->open.w - 4,
			26};

	recording_fill(d->r, b, paper);
	for (int i = 0; i < 8 + item % 5; i++)
		put_glyph(d, b.x + 12 + i * GLYPH_W, b.y + 4,
			  (unsigned)(item * 7 + i * 3) % 60 + 1,
			  chosen ? 0xffffff : 0x202020, paper);
}

static void open_menu(struct desktop *d)
{
	d->open = (struct box){d->x, d->y, 220, 11 * 26 + 4};
	recording_fill(d->r, d->open, 0x888888);
	for (int i = 0; i < 11; i++)
		put_item(d, i, false);
	d->item = -1;
}

static void choose(struct desktop *d, int item)
{
	if (d->item >= 0)
		put_item(d, d->item, false);
	put_item(d, item, true);
	d->item = item;
}

static void open_dialog(struct desktop *d)
{
	struct desktop other = *d;
	struct box b = {620, 330, 680, 420};

	other.pixels = calloc((size_t)WIDTH * HEIGHT, 4);
	must(other.pixels, "memory");
	paint(&other, b, 0xf0f0f0);
	paint(&other, (struct box){b.x, b.y, b.w, 30}, 0x3c3f41);
	paint_text(&other, b.x + 10, b.y + 6, 25, 0xdddddd, 0x3c3f41);
	for (int i = 0; i < 14; i++)
		paint_text(&other, b.x + 24, b.y + 50 + i * 24,
			   30 + (int)(desktop_random(&other) % 38), 0x303030,
			   0xf0f0f0);
	paint(&other, (struct box){b.x + 560, b.y + 376, 90, 30}, 0x3874d8);
	show(&other, b);
	free(other.pixels);
	d->random = other.random;
	d->open = b;
}

static void close_open(struct desktop *d)
{
	show(d, d->open);
	d->open.w = 0;
}

/*
 * A minute of it, by tenths of a second: thirteen seconds of typing, some of
 * pointing, a menu, a dialog, a scroll now and then; then it is read.
 */
static void act(struct desktop *d, unsigned tenth)
{
	unsigned minute = tenth / 600, now = tenth % 600;

	if (now >= 20 && now < 150 && now % 40 < 22 && desktop_random(d) % 2)
		type(d);
	if (now == 180 || now == 320)
		aim(d, 500 + (int)(desktop_random(d) % 500),
		    200 + (int)(desktop_random(d) % 300), 45);
	if (now == 200)
		open_menu(d);
	if (now > 200 && now <= 224 && now % 4 == 0) {
		aim(d, d->open.x + 60, d->open.y + (int)(now - 200) / 4 * 26,
		    6);
		choose(d, (int)(now - 204) / 4);
	}
	if (now == 235 || now == 400)
		close_open(d);
	if (now == 340)
		open_dialog(d);
	if (now == 380)
		aim(d, 1225, 720, 40);
	if (minute % 2 && now >= 450 && now < 474 && now % 2 == 0 &&
	    d->line > 3) {
		scroll(d, 2);
		d->line -= 2;
	}
}

/* One STEP of the clock. */
static void desktop_step(struct desktop *d)
{
	uint64_t step = d->r->now / STEP;

	if (step % 10 == 0)
		act(d, (unsigned)(step / 10));
	if (step % 53 == 0 && !d->open.w)
		put_caret(d, !d->caret);
	if (step % 100 == 50)
		tick_clock(d);
	/* The pointer comes 60 times a second. */
	if (step % 5 == 0 || step % 5 == 2 || step % 5 == 4)
		move_pointer(d);
	d->r->now += STEP;
}

#endif
