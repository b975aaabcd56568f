/*
 * Lines one pixel wide.
 *
 * A piece goes from its first point in steps of one pixel along the longer
 * axis; the other coordinate after i steps is floor((2 m i + M - b) / 2 M),
 * M and m being the longer and shorter distance and b the bias of the octant,
 * which makes a line the same in both directions where it can. Each piece is
 * a list of spans, one a row, from the top down.
 */
#include "recorder/raster_stroke.h"

#include <stdlib.h>

struct piece {
	struct raster_point from;
	int64_t major, minor, bias;
	int sx, sy;
	bool steep; /* y is the longer axis */
};

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static int64_t max(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t min(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static struct piece piece_of(struct raster_point a, struct raster_point b)
{
	int64_t dx = (int64_t)b.x - a.x, dy = (int64_t)b.y - a.y;
	struct piece p = {.from = a, .sx = dx < 0 ? -1 : 1};
	int64_t adx = dx < 0 ? -dx : dx, ady = dy < 0 ? -dy : dy;

	p.sy = dy < 0 ? -1 : 1;
	p.steep = adx <= ady;
	p.major = p.steep ? ady : adx;
	p.minor = p.steep ? adx : ady;
	p.bias = p.steep ? p.sy < 0 : p.sx < 0;
	return p;
}

/* Steps i with first <= i < end whose place on an axis is in [0, size). */
static void limit(int64_t at, int sign, int64_t size, int64_t *first,
		  int64_t *end)
{
	*first = sign > 0 ? -at : at - size + 1;
	*end = sign > 0 ? size - at : at + 1;
}

static int64_t minor_at(const struct piece *p, int64_t i)
{
	return floor_div(2 * p->minor * i + p->major - p->bias, 2 * p->major);
}

/* The first step whose minor offset is c or more; there is a minor. */
static int64_t step_of(const struct piece *p, int64_t c)
{
	return max(0, -floor_div(p->major - p->bias - 2 * p->major * c,
				 2 * p->minor));
}

/* The steps of a piece that lie on the surface. */
static void on_surface(const struct piece *p, const struct surface *s,
		       int64_t *first, int64_t *end)
{
	int64_t at = p->steep ? p->from.x : p->from.y, low, high;

	if (p->steep)
		limit(p->from.y, p->sy, s->height, first, end);
	else
		limit(p->from.x, p->sx, s->width, first, end);
	*first = max(*first, 0);
	*end = min(*end, p->major);
	if (p->steep)
		limit(at, p->sx, s->width, &low, &high);
	else
		limit(at, p->sy, s->height, &low, &high);
	if (high <= 0 || low > p->minor)
		*end = *first;
	else if (p->minor) {
		*first = max(*first, step_of(p, low));
		*end = min(*end, step_of(p, high));
	}
}

static struct raster_span *steep_spans(const struct piece *p, int64_t first,
				       int64_t end, struct raster_span *out)
{
	for (int64_t i = first; i < end; i++) {
		int64_t x = p->from.x + p->sx * minor_at(p, i);
		int64_t y = p->from.y + p->sy * i;

		*out++ = (struct raster_span){(int32_t)x, (int32_t)y, 1};
	}
	return out;
}

static struct raster_span *flat_spans(const struct piece *p, int64_t first,
				      int64_t end, struct raster_span *out)
{
	while (first < end) {
		int64_t c = minor_at(p, first);
		int64_t last = p->minor ? min(end, step_of(p, c + 1)) : end;
		int64_t x = p->from.x + p->sx * (p->sx > 0 ? first : last - 1);
		int64_t y = p->from.y + p->sy * c;

		*out++ = (struct raster_span){(int32_t)x, (int32_t)y,
					      (int32_t)(last - first)};
		first = last;
	}
	return out;
}

static void turn_over(struct raster_span *spans, size_t n)
{
	for (size_t i = 0; i < n / 2; i++) {
		struct raster_span s = spans[i];

		spans[i] = spans[n - 1 - i];
		spans[n - 1 - i] = s;
	}
}

static int draw_piece(struct raster_pen *pen, const struct piece *p,
		      struct raster_span *spans, struct error *error)
{
	struct raster_span *out;
	int64_t first, end;

	if (!p->major)
		return 0;
	on_surface(p, pen->surface, &first, &end);
	out = p->steep ? steep_spans(p, first, end, spans)
		       : flat_spans(p, first, end, spans);
	if (p->sy < 0)
		turn_over(spans, (size_t)(out - spans));
	return raster_spans(pen, spans, (size_t)(out - spans), error);
}

int raster_lines(struct raster_pen *pen, const struct raster_point *points,
		 size_t count, struct error *error)
{
	struct raster_span *spans;
	int r = 0;

	spans = malloc(pen->surface->height * sizeof(*spans));
	if (!spans)
		return error_set(error, ENOMEM, "no memory to draw lines");
	for (size_t i = 1; !r && i < count; i++) {
		struct piece p = piece_of(points[i - 1], points[i]);

		r = draw_piece(pen, &p, spans, error);
	}
	free(spans);
	return r;
}
