/* Lays displays out, follows what is dirty, reads rows with the pointer. */
#include "recorder/screen.h"

#include <stdlib.h>
#include <string.h>

struct place {
	struct surface *surface;
	pixman_box32_t part; /* of the surface */
	int32_t x, y;        /* of the part on the canvas */
};

/* Where a pointer was drawn the last time. */
struct trace {
	pixman_box32_t box; /* on the canvas; empty = not drawn */
	uint32_t changes;
	bool shown;
};

struct screen {
	struct decoder *decoder;
	uint32_t width, height;
	bool with_cursor;
	unsigned monitor; /* from 1; 0: all */
	struct place places[DECODER_DISPLAYS];
	struct trace traces[DECODER_DISPLAYS];
};

static struct surface *visible(const struct decoder *decoder, unsigned id,
			       pixman_box32_t *part)
{
	struct display *display = decoder_display(decoder, id);

	return display ? display_visible(display, part) : NULL;
}

/*
 * Which part of a display a monitor is. On its way `left` counts down the
 * monitors before it; true when it was found. The heads of a surface that
 * goes are still those of the picture that stays.
 */
static bool find_head(const struct decoder *decoder, unsigned id,
		      unsigned *left, pixman_box32_t *part)
{
	const struct display *display = decoder_display(decoder, id);
	const struct surface *s = visible(decoder, id, part);
	bool any = false;

	for (unsigned i = 0; s && i < display->head_count; i++) {
		pixman_box32_t head = display->heads[i];

		head.x2 = head.x2 < (int32_t)s->width ? head.x2
						      : (int32_t)s->width;
		head.y2 = head.y2 < (int32_t)s->height ? head.y2
						       : (int32_t)s->height;
		if (head.x1 >= head.x2 || head.y1 >= head.y2)
			continue;
		any = true;
		if (--*left)
			continue;
		*part = head;
		return true;
	}
	return s && !any && !--*left;
}

/* As visible(), but nothing when the monitor is not of this display. */
static struct surface *shown(const struct decoder *decoder, unsigned monitor,
			     unsigned id, pixman_box32_t *part)
{
	struct surface *s = visible(decoder, id, part);
	pixman_box32_t other;
	unsigned left = monitor;

	if (!monitor || !s)
		return s;
	for (unsigned i = 0; i < id; i++)
		if (find_head(decoder, i, &left, &other))
			return NULL;
	return find_head(decoder, id, &left, part) ? s : NULL;
}

void screen_monitor_size(const struct decoder *decoder, unsigned monitor,
			 uint32_t *width, uint32_t *height)
{
	pixman_box32_t part;

	*width = *height = 0;
	for (unsigned id = 0; id < DECODER_DISPLAYS; id++)
		if (shown(decoder, monitor, id, &part)) {
			uint32_t h = part.y2 - part.y1;

			*width += part.x2 - part.x1;
			*height = h > *height ? h : *height;
		}
}

void screen_size(const struct decoder *decoder, uint32_t *width,
		 uint32_t *height)
{
	screen_monitor_size(decoder, 0, width, height);
}

int screen_new(struct screen **screen, struct decoder *decoder, uint32_t width,
	       uint32_t height, bool cursor, struct error *error)
{
	struct screen *s = calloc(1, sizeof(*s));

	*screen = s;
	if (!s)
		return error_set(error, ENOMEM, "no memory for a screen");
	s->decoder = decoder;
	s->width = width;
	s->height = height;
	s->with_cursor = cursor;
	return 0;
}

void screen_set_monitor(struct screen *screen, unsigned monitor)
{
	screen->monitor = monitor;
}

void screen_free(struct screen *screen)
{
	free(screen);
}

static void lay_out(const struct screen *s,
		    struct place places[DECODER_DISPLAYS])
{
	uint32_t width, height;
	int32_t x, y;

	memset(places, 0, DECODER_DISPLAYS * sizeof(*places));
	screen_monitor_size(s->decoder, s->monitor, &width, &height);
	x = ((int32_t)s->width - (int32_t)width) / 2;
	y = ((int32_t)s->height - (int32_t)height) / 2;
	for (unsigned id = 0; id < DECODER_DISPLAYS; id++) {
		struct place *p = &places[id];

		p->surface = shown(s->decoder, s->monitor, id, &p->part);
		if (!p->surface)
			continue;
		p->x = x;
		p->y = y;
		x += p->part.x2 - p->part.x1;
	}
}

/* The canvas area that a box of a display's surface is seen in. */
static pixman_box32_t to_canvas(const struct screen *s, const struct place *p,
				const pixman_box32_t *box)
{
	int32_t dx = p->x - p->part.x1, dy = p->y - p->part.y1;
	pixman_box32_t out = *box;

	out.x1 = out.x1 > p->part.x1 ? out.x1 : p->part.x1;
	out.y1 = out.y1 > p->part.y1 ? out.y1 : p->part.y1;
	out.x2 = out.x2 < p->part.x2 ? out.x2 : p->part.x2;
	out.y2 = out.y2 < p->part.y2 ? out.y2 : p->part.y2;
	out.x1 = out.x1 + dx > 0 ? out.x1 + dx : 0;
	out.y1 = out.y1 + dy > 0 ? out.y1 + dy : 0;
	out.x2 = out.x2 + dx < (int32_t)s->width ? out.x2 + dx
						 : (int32_t)s->width;
	out.y2 = out.y2 + dy < (int32_t)s->height ? out.y2 + dy
						  : (int32_t)s->height;
	if (out.x1 >= out.x2 || out.y1 >= out.y2)
		out = (pixman_box32_t){0, 0, 0, 0};
	return out;
}

/* Without memory for a region all of the canvas has changed. */
static void add(const struct screen *s, pixman_region32_t *region,
		const pixman_box32_t *box)
{
	if (box->x1 >= box->x2 ||
	    pixman_region32_union_rect(region, region, box->x1, box->y1,
				       box->x2 - box->x1, box->y2 - box->y1))
		return;
	pixman_region32_fini(region);
	pixman_region32_init_rect(region, 0, 0, s->width, s->height);
}

static void update_surface(struct screen *s, const struct place *p,
			   pixman_region32_t *changed)
{
	const pixman_box32_t *boxes;
	int n;

	boxes = pixman_region32_rectangles(&p->surface->dirty, &n);
	for (int i = 0; i < n; i++) {
		pixman_box32_t box = to_canvas(s, p, &boxes[i]);

		add(s, changed, &box);
	}
	pixman_region32_fini(&p->surface->dirty);
	pixman_region32_init(&p->surface->dirty);
}

static void update_cursor(struct screen *s, unsigned id,
			  pixman_region32_t *changed)
{
	const struct cursor *c = decoder_cursor(s->decoder, id);
	struct trace *trace = &s->traces[id];
	const struct place *p = &s->places[id];
	pixman_box32_t box;

	if (!s->with_cursor || (!c && !trace->shown) ||
	    (c && trace->shown && c->changes == trace->changes))
		return;
	add(s, changed, &trace->box);
	*trace = (struct trace){0};
	if (!c || !p->surface)
		return;
	box.x1 = c->x - c->hot_x;
	box.y1 = c->y - c->hot_y;
	box.x2 = box.x1 + (int32_t)c->shape->width;
	box.y2 = box.y1 + (int32_t)c->shape->height;
	trace->box = to_canvas(s, p, &box);
	trace->changes = c->changes;
	trace->shown = true;
	add(s, changed, &trace->box);
}

static bool update_layout(struct screen *s, pixman_region32_t *changed)
{
	struct place places[DECODER_DISPLAYS];
	pixman_box32_t all = {0, 0, s->width, s->height};

	lay_out(s, places);
	if (!memcmp(places, s->places, sizeof(places)))
		return false;
	memcpy(s->places, places, sizeof(places));
	memset(s->traces, 0, sizeof(s->traces));
	add(s, changed, &all);
	return true;
}

bool screen_update(struct screen *s, pixman_region32_t *changed)
{
	update_layout(s, changed);
	for (unsigned id = 0; id < DECODER_DISPLAYS; id++) {
		if (s->places[id].surface)
			update_surface(s, &s->places[id], changed);
		update_cursor(s, id, changed);
	}
	return pixman_region32_not_empty(changed);
}

bool screen_is_dirty(const struct screen *s)
{
	for (unsigned id = 0; id < DECODER_DISPLAYS; id++) {
		const struct cursor *c = decoder_cursor(s->decoder, id);
		const struct trace *trace = &s->traces[id];
		struct surface *surface;
		pixman_box32_t part;

		surface = shown(s->decoder, s->monitor, id, &part);
		if (surface && (surface != s->places[id].surface ||
				pixman_region32_not_empty(&surface->dirty)))
			return true;
		if (s->with_cursor && surface &&
		    ((c != NULL) != trace->shown ||
		     (c && c->changes != trace->changes)))
			return true;
	}
	return false;
}

/* The overlap of canvas columns [x, x + n) with a display. */
static void fill_part(const struct screen *s, unsigned id, int32_t x, int32_t y,
		      int32_t n, uint32_t *out)
{
	const struct place *p = &s->places[id];
	const struct cursor *c;
	int32_t from = p->x > x ? p->x : x;
	int32_t end = p->x + p->part.x2 - p->part.x1;
	int32_t u, v = y - p->y + p->part.y1;

	end = end < x + n ? end : x + n;
	if (from >= end || v < p->part.y1 || v >= p->part.y2)
		return;
	u = from - p->x + p->part.x1;
	out += from - x;
	memcpy(out, surface_row(p->surface, v) + u,
	       (end - from) * sizeof(*out));
	surface_widen(p->surface, out, end - from);
	c = s->with_cursor ? decoder_cursor(s->decoder, id) : NULL;
	if (c)
		cursor_draw(c, u, v, out, end - from);
}

/* A row of one display that nothing covers, straight from its surface. */
static const uint32_t *plain_row(const struct screen *s, unsigned id, int32_t x,
				 int32_t y, int32_t n)
{
	const struct place *p = &s->places[id];
	const pixman_box32_t *cursor = &s->traces[id].box;
	int32_t u = x - p->x + p->part.x1, v = y - p->y + p->part.y1;

	if (!p->surface || u < p->part.x1 || u + n > p->part.x2 ||
	    v < p->part.y1 || v >= p->part.y2 || !surface_is_wide(p->surface))
		return NULL;
	if (y >= cursor->y1 && y < cursor->y2 && x < cursor->x2 &&
	    x + n > cursor->x1)
		return NULL;
	return surface_row(p->surface, v) + u;
}

const uint32_t *screen_row(const struct screen *s, uint32_t x, uint32_t y,
			   uint32_t n, uint32_t *space)
{
	for (unsigned id = 0; id < DECODER_DISPLAYS; id++) {
		const uint32_t *row =
			plain_row(s, id, (int32_t)x, (int32_t)y, (int32_t)n);

		if (row)
			return row;
	}
	memset(space, 0, n * sizeof(*space));
	for (unsigned id = 0; id < DECODER_DISPLAYS; id++)
		if (s->places[id].surface)
			fill_part(s, id, (int32_t)x, (int32_t)y, (int32_t)n,
				  space);
	return space;
}
