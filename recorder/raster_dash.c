/*
 * Dashed lines.
 *
 * SPICE's renderers draw them as X11 draws dashed lines that are one pixel
 * wide: each dash is a rectangle along the line, with butt ends, and where a
 * dash goes round a corner a mitre fills it (a bevel when it is too sharp).
 * A polygon covers the pixels whose centres it holds; its edges are computed
 * from whole-numbered slopes and a constant, so that neighbours meet. Which
 * pixels that are depends on the last bits of the sums below: their order is
 * part of the result.
 */
#include "recorder/raster_stroke.h"

#include <math.h>
#include <stdlib.h>

#define ROWS_MAX 4096        /* of a polygon; a dash is shorter than 256 */
#define SPANS_MAX (1u << 20) /* kept to be drawn once */
#define DASH_COST 64         /* of a pen's budget */
#define HALF 0.5             /* of the line's width */
#define MITRE_LIMIT 108.856472512142 /* 1 / sin^2 of half of 11 degrees */

struct vector {
	double x, y;
};

/* On a side x * dy - y * dx = k. */
struct side {
	int64_t dx, dy;
	double k;
};

/* Relative to a whole point; side i leads from corner i to the next one. */
struct polygon {
	struct raster_point at;
	unsigned count;
	struct vector corner[4];
	struct side side[4];
};

/* How a piece of the line ends: half its width, its direction. */
struct face {
	struct vector half;
	struct side along;
	struct raster_point at;
};

struct dashing {
	struct raster_pen *pen;
	const uint8_t *lengths;
	unsigned count, index, offset; /* dash now, and how far in it */
	bool once; /* pixels must be touched once: spans are collected */
	struct raster_span *spans;
	size_t used, room;
	struct error *error;
};

static int64_t ceiling(double v)
{
	int64_t whole = (int64_t)v;

	return v == (double)whole || v < 0 ? whole : whole + 1;
}

static int64_t ceil_div(int64_t a, int64_t b)
{
	return a / b + (a % b > 0);
}

/* One flank of a polygon, from the top down. */
struct flank {
	struct {
		struct side side;
		int64_t y, height;
	} edge[4];
	unsigned count, next;
	int64_t y, left; /* of the edge that is walked on */
	struct side side;
};

static struct flank flank_of(const struct polygon *p, unsigned top,
			     unsigned bottom, int step, int side_offset,
			     int64_t end)
{
	struct flank f = {0};
	int n = (int)p->count, s = ((int)top + side_offset + n) % n;

	for (unsigned i = top; i != bottom; i = (i + n + step) % n) {
		struct side e = p->side[s];

		s = (s + n + step) % n;
		if (!e.dy)
			continue;
		if (e.dy < 0)
			e = (struct side){-e.dx, -e.dy, -e.k};
		f.edge[f.count].side = e;
		f.edge[f.count].y = ceiling(p->corner[i].y);
		f.count++;
	}
	for (unsigned i = 0; i < f.count; i++)
		f.edge[i].height =
			(i + 1 < f.count ? f.edge[i + 1].y : end) - f.edge[i].y;
	return f;
}

/* Goes on to the next edge where one has ended; false at the bottom. */
static bool flank_walk(struct flank *f)
{
	while (f->left <= 0) {
		if (f->next == f->count)
			return false;
		f->side = f->edge[f->next].side;
		f->y = f->edge[f->next].y;
		f->left = f->edge[f->next].height;
		f->next++;
	}
	return true;
}

static int64_t flank_step(struct flank *f)
{
	f->left--;
	return ceil_div(ceiling(f->side.k) + f->y++ * f->side.dx, f->side.dy);
}

static int collect(struct dashing *d, const struct raster_span *spans, size_t n)
{
	if (!d->once)
		return raster_spans(d->pen, (struct raster_span *)spans, n,
				    d->error);
	if (n > SPANS_MAX - d->used)
		return error_set(d->error, EMSGSIZE,
				 "dashed lines of more than %u pieces",
				 SPANS_MAX);
	if (d->used + n > d->room) {
		size_t room = 2 * d->room + n;
		void *more = realloc(d->spans, room * sizeof(*d->spans));

		if (!more)
			return error_set(d->error, ENOMEM,
					 "no memory for dashes");
		d->spans = more;
		d->room = room;
	}
	for (size_t i = 0; i < n; i++)
		d->spans[d->used++] = spans[i];
	return 0;
}

/* The polygon's topmost and lowest corners. */
static void find_ends(const struct polygon *p, unsigned *top, unsigned *bottom)
{
	*top = *bottom = 0;
	for (unsigned i = 1; i < p->count; i++) {
		if (p->corner[i].y < p->corner[*top].y)
			*top = i;
		if (p->corner[i].y >= p->corner[*bottom].y)
			*bottom = i;
	}
}

static int fill(struct dashing *d, const struct polygon *p)
{
	struct raster_span rows[ROWS_MAX];
	struct flank left, right;
	const struct side *in, *out;
	unsigned top, bottom;
	int64_t y, end;
	size_t n = 0;
	bool turned;

	find_ends(p, &top, &bottom);
	end = ceiling(p->corner[bottom].y);
	in = &p->side[(top + p->count - 1) % p->count];
	out = &p->side[top];
	turned = in->dy * out->dx > out->dy * in->dx;
	right = flank_of(p, top, bottom, turned ? -1 : 1, turned ? -1 : 0, end);
	left = flank_of(p, top, bottom, turned ? 1 : -1, turned ? 0 : -1, end);
	if (!right.count || !left.count)
		return 0;
	for (y = right.edge[0].y; flank_walk(&left) && flank_walk(&right);
	     y++) {
		int64_t x1 = flank_step(&left), x2 = flank_step(&right);

		if (x2 <= x1)
			continue;
		if (n == ROWS_MAX)
			return error_set(d->error, EMSGSIZE,
					 "a dash of more than %d rows",
					 ROWS_MAX);
		rows[n++] = (struct raster_span){(int32_t)(p->at.x + x1),
						 (int32_t)(p->at.y + y),
						 (int32_t)(x2 - x1)};
	}
	return n ? collect(d, rows, n) : 0;
}

static bool is_drawn(unsigned index)
{
	return !(index & 1);
}

static void next_dash(struct dashing *d)
{
	d->index = d->index + 1 == d->count ? 0 : d->index + 1;
	d->offset = 0;
}

/* Corners: along one side of the line there and back on the other. */
enum { TOP, RIGHT, BOTTOM, LEFT };

/* The dashes of one piece that end inside it; returns what length is left. */
static int whole_dashes(struct dashing *d, struct polygon *p, double length,
			double *rest)
{
	int64_t dx = p->side[TOP].dx, dy = p->side[TOP].dy;
	int r = 0;

	*rest = length;
	while (!r) {
		int dash = d->lengths[d->index] - (int)d->offset;
		struct vector v = {(double)(dash * dx) / length,
				   (double)(dash * dy) / length};

		if (*rest <= dash)
			break;
		if (d->pen->budget < DASH_COST)
			return error_set(d->error, EMSGSIZE,
					 "dashed lines are too long");
		d->pen->budget -= DASH_COST;
		p->corner[RIGHT].x += v.x;
		p->corner[RIGHT].y += v.y;
		p->corner[BOTTOM].x += v.x;
		p->corner[BOTTOM].y += v.y;
		p->side[RIGHT].k = p->corner[RIGHT].x * (double)dx +
				   p->corner[RIGHT].y * (double)dy;
		if (is_drawn(d->index))
			r = fill(d, p);
		*rest -= dash;
		next_dash(d);
		p->corner[TOP] = p->corner[RIGHT];
		p->corner[LEFT] = p->corner[BOTTOM];
		p->side[LEFT].k = -p->side[RIGHT].k;
	}
	return r;
}

/* The dash that the piece ends in, seen from the end. */
static int last_dash(struct dashing *d, struct polygon *p,
		     struct raster_point to, struct vector half)
{
	double dx = (double)p->side[TOP].dx, dy = (double)p->side[TOP].dy;

	if (!is_drawn(d->index))
		return 0;
	p->corner[TOP].x -= dx;
	p->corner[TOP].y -= dy;
	p->corner[LEFT].x -= dx;
	p->corner[LEFT].y -= dy;
	p->corner[RIGHT] = half;
	p->corner[BOTTOM] = (struct vector){-half.x, -half.y};
	p->side[RIGHT].k = 0;
	p->side[LEFT].k += dx * dx + dy * dy;
	p->at = to;
	return fill(d, p);
}

static double length_of(double dx, double dy, struct vector *half)
{
	double length = dx && dy ? hypot(dx, dy) : fabs(dx + dy), r;

	if (dx && dy) {
		r = HALF / length;
		*half = (struct vector){r * dy, -(r * dx)};
	} else {
		*half = (struct vector){dy > 0   ? HALF
					: dy < 0 ? -HALF
						 : 0,
					dx > 0   ? -HALF
					: dx < 0 ? HALF
						 : 0};
	}
	return length;
}

/* A piece from one point to another, which differ; how it begins and ends. */
static int piece(struct dashing *d, struct raster_point from,
		 struct raster_point to, struct face *begin, struct face *end)
{
	int64_t dx = (int64_t)to.x - from.x, dy = (int64_t)to.y - from.y;
	struct vector half;
	double length = length_of((double)dx, (double)dy, &half), rest;
	double k = HALF * length;
	struct polygon p = {
		.at = from,
		.count = 4,
		.corner = {half, half, {-half.x, -half.y}, {-half.x, -half.y}},
		.side = {{dx, dy, k},
			 {-dy, dx, 0},
			 {-dx, -dy, k},
			 {dy, -dx, 0}},
	};
	int dash, r = whole_dashes(d, &p, length, &rest);

	if (!r)
		r = last_dash(d, &p, to, half);
	*begin = (struct face){half, {dx, dy, k}, from};
	*end = (struct face){{-half.x, -half.y}, {-dx, -dy, k}, to};
	if (r)
		return r;
	dash = d->lengths[d->index] - (int)d->offset;
	dash = (int)((double)dash - rest);
	if (dash)
		d->offset = d->lengths[d->index] - (unsigned)dash;
	else
		next_dash(d);
	return 0;
}

static struct face opposite(struct face f)
{
	f.half = (struct vector){-f.half.x, -f.half.y};
	f.along.dx = -f.along.dx;
	f.along.dy = -f.along.dy;
	return f;
}

/* A line of width 1 covers the corner's pixel when it goes that way. */
static bool covers_corner(const struct face *f)
{
	return f->along.dx > 0 || (!f->along.dx && f->along.dy > 0);
}

static double cross(const struct vector *v, const struct side *s)
{
	return v->x * (double)s->dy - v->y * (double)s->dx;
}

/* The third corner and side of a join that is not pointed. */
static void bevel(struct polygon *p, const struct face *l, const struct face *r)
{
	double dx = r->half.x - l->half.x, dy = r->half.y - l->half.y;
	double scale = fabs(dx) > fabs(dy) ? fabs(dx) : fabs(dy);
	struct side *s = &p->side[2];

	s->dx = (int)(dx * 65536 / scale);
	s->dy = (int)(dy * 65536 / scale);
	s->k = ((l->half.x + r->half.x) * (double)s->dy -
		(l->half.y + r->half.y) * (double)s->dx) /
	       2.0;
	p->count = 3;
}

static struct side turned_if(bool turn, struct side s)
{
	return turn ? (struct side){-s.dx, -s.dy, -s.k} : s;
}

/* Fills the corner between a piece's begin (l) and another's end (r). */
static int join(struct dashing *d, struct face l, struct face r)
{
	double turn = -(double)l.along.dx * (double)r.along.dy +
		      (double)r.along.dx * (double)l.along.dy;
	struct polygon p = {.at = l.at, .count = 4};
	struct vector tip;
	bool swap = turn <= 0;

	if ((!d->once && (covers_corner(&l) || covers_corner(&r))) || turn == 0)
		return 0;
	if (swap)
		r = opposite(r);
	else
		l = opposite(l);
	p.corner[0] = r.half;
	p.side[0] = (struct side){-r.along.dy, r.along.dx, 0};
	p.side[1] = (struct side){l.along.dy, -l.along.dx, 0};
	p.corner[2] = l.half;
	tip.y = ((double)l.along.dy * cross(&r.half, &r.along) -
		 (double)r.along.dy * cross(&l.half, &l.along)) /
		turn;
	if (l.along.dy)
		tip.x = l.half.x + (tip.y - l.half.y) * (double)l.along.dx /
					   (double)l.along.dy;
	else
		tip.x = r.half.x + (tip.y - r.half.y) * (double)r.along.dx /
					   (double)r.along.dy;
	if ((tip.x * tip.x + tip.y * tip.y) * 4 > MITRE_LIMIT) {
		bevel(&p, &l, &r);
	} else {
		p.corner[3] = tip;
		p.side[2] = turned_if(swap, l.along);
		p.side[3] = turned_if(swap, r.along);
	}
	return fill(d, &p);
}

static bool same_point(struct raster_point a, struct raster_point b)
{
	return a.x == b.x && a.y == b.y;
}

static int pieces(struct dashing *d, const struct raster_point *points,
		  size_t count)
{
	bool closed = same_point(points[0], points[count - 1]);
	bool first = true, first_drawn = false, before = false;
	struct face begin, end = {0}, last_end, first_begin = {0};
	int r = 0;

	for (size_t i = 1; !r && i < count; i++) {
		bool drawn = is_drawn(d->index);

		if (same_point(points[i - 1], points[i]))
			continue;
		last_end = end;
		r = piece(d, points[i - 1], points[i], &begin, &end);
		if (!r && drawn && !first && before)
			r = join(d, begin, last_end);
		if (first && closed && drawn) {
			first_begin = begin;
			first_drawn = true;
		}
		before = (d->index & 1) != (d->offset != 0);
		first = false;
	}
	if (!r && !first && before && first_drawn)
		r = join(d, first_begin, end);
	return r;
}

static int by_row(const void *a, const void *b)
{
	const struct raster_span *s = a, *t = b;

	if (s->y != t->y)
		return s->y < t->y ? -1 : 1;
	return (s->x > t->x) - (s->x < t->x);
}

/* Spans that meet or overlap become one. */
static size_t merge(struct raster_span *spans, size_t n)
{
	size_t kept = 0;

	for (size_t i = 1; i < n; i++) {
		struct raster_span *k = &spans[kept], *s = &spans[i];

		if (s->y != k->y || s->x > k->x + k->width)
			spans[++kept] = *s;
		else if (s->x + s->width > k->x + k->width)
			k->width = s->x + s->width - k->x;
	}
	return n ? kept + 1 : 0;
}

/* Drawn twice it is not what it was drawn once. */
static bool turns_over(const struct raster_rop *rop)
{
	bool d = rop->destination;

	switch (rop->operation) {
	case ROPD_INVERS:
	case ROPD_XOR:
		return true;
	case ROPD_OR:
	case ROPD_AND:
		return d != (bool)rop->result;
	}
	return false;
}

static int start(struct dashing *d, unsigned offset)
{
	unsigned total = 0;

	for (unsigned i = 0; i < d->count; i++)
		total += d->lengths[i];
	if (!total)
		return error_set(d->error, EBADMSG, "dashes have no length");
	while (offset >= d->lengths[d->index]) {
		offset -= d->lengths[d->index];
		next_dash(d);
	}
	d->offset = offset;
	return 0;
}

int raster_dashes(struct raster_pen *pen, const struct raster_point *points,
		  size_t count, const struct raster_dash *dash,
		  struct error *error)
{
	struct dashing d = {.pen = pen,
			    .lengths = dash->lengths,
			    .count = dash->count,
			    .once = count >= 3 && turns_over(&pen->rop),
			    .error = error};
	int r;

	if (!count)
		return 0;
	r = start(&d, dash->offset);
	if (!r)
		r = pieces(&d, points, count);
	if (!r && d.used) {
		qsort(d.spans, d.used, sizeof(*d.spans), by_row);
		r = raster_spans(pen, d.spans, merge(d.spans, d.used), error);
	}
	free(d.spans);
	return r;
}
