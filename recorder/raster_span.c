/* Spans: cut by a region the way SPICE's renderers do it, and painted. */
#include "recorder/raster_stroke.h"

/* The spans, what of them is read, and what is written over them. */
struct cutting {
	struct raster_pen *pen;
	struct raster_span *spans;
	size_t n, read, written;
};

/* Draws the part of a span that lies in the box. */
static void put(struct cutting *c, const struct raster_span *s,
		const pixman_box32_t *box)
{
	int64_t end = (int64_t)s->x + s->width;
	pixman_box32_t out = {s->x, s->y, 0, s->y + 1};

	out.x1 = out.x1 > box->x1 ? out.x1 : box->x1;
	out.x2 = end < box->x2 ? (int32_t)end : box->x2;
	if (out.x1 >= out.x2)
		return;
	raster_paint_box(c->pen->surface, &out, c->pen->brush, &c->pen->rop);
	if (c->written < c->n)
		c->spans[c->written] =
			(struct raster_span){out.x1, out.y1, out.x2 - out.x1};
	c->written++;
}

static bool spend(struct raster_pen *pen, uint64_t spans)
{
	if (spans > pen->budget)
		return false;
	pen->budget -= spans;
	return true;
}

static bool cut_by_box(struct cutting *c, const pixman_box32_t *box)
{
	if (!spend(c->pen, c->n))
		return false;
	for (size_t i = 0; i < c->n; i++) {
		struct raster_span s = c->spans[i];

		if (s.y >= box->y1 && s.y < box->y2)
			put(c, &s, box);
	}
	return true;
}

/* Boxes of one height are a band; spans above it are passed over. */
static bool cut_by_band(struct cutting *c, const pixman_box32_t *band,
			size_t boxes)
{
	while (c->read < c->n && c->spans[c->read].y < band->y1)
		c->read++;
	while (c->read < c->n && c->spans[c->read].y < band->y2) {
		struct raster_span s = c->spans[c->read];

		if (!spend(c->pen, boxes))
			return false;
		for (size_t i = 0; i < boxes; i++)
			put(c, &s, &band[i]);
		c->read++;
	}
	return true;
}

int raster_spans(struct raster_pen *pen, struct raster_span *spans, size_t n,
		 struct error *error)
{
	struct cutting c = {.pen = pen, .spans = spans, .n = n};
	const pixman_box32_t *boxes, *box, *end;
	int count;
	bool good = true;

	boxes = pixman_region32_rectangles((pixman_region32_t *)pen->region,
					   &count);
	if (count == 1)
		good = cut_by_box(&c, boxes);
	for (box = boxes; good && count > 1 && box < boxes + count; box = end) {
		for (end = box; end < boxes + count && end->y1 == box->y1;)
			end++;
		good = spend(pen, 1) && cut_by_band(&c, box, end - box);
	}
	if (!good)
		return error_set(error, EMSGSIZE,
				 "lines through more than %u pieces",
				 RASTER_PEN_BUDGET);
	return 0;
}
