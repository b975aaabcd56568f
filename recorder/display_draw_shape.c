/* Drawing messages with shapes of their own: strokes along a path, text. */
#include "recorder/display_draw.h"

#include <stdlib.h>

/* SPICE_PATH_* */
#define PATH_BEGIN 1
#define PATH_END 2
#define PATH_CLOSE 8
#define PATH_BEZIER 16
/* SPICE_LINE_FLAGS_* */
#define LINE_START_WITH_GAP 4
#define LINE_STYLED 8
/* SPICE_STRING_FLAGS_* */
#define STRING_A1 1
#define STRING_A4 2
#define STRING_A8 4

#define BEZIER_DEPTH_MAX 30

/* Points in 28.4 fixed point become whole ones: halves go down. */
static int32_t whole(int32_t v)
{
	return (v >> 4) + ((v & 15) > 8);
}

/* A polyline in the making, drawn when it ends. */
struct stroke {
	struct raster_pen pen;
	struct raster_point *points;
	size_t count, room;
	size_t total;            /* points of the message */
	pixman_box32_t extents;  /* of all points */
				 /* points of the message */
	struct raster_dash dash; /* count 0: solid */
};

static int append(struct stroke *s, struct raster_point p, struct error *error)
{
	if (++s->total > DISPLAY_PATH_POINTS)
		return error_set(error, EMSGSIZE,
				 "a path of more than %u points",
				 DISPLAY_PATH_POINTS);
	if (s->count == s->room) {
		size_t room = s->room ? 2 * s->room : 16;
		void *more = realloc(s->points, room * sizeof(*s->points));

		if (!more)
			return error_set(error, ENOMEM, "no memory for a path");
		s->points = more;
		s->room = room;
	}
	s->points[s->count++] = p;
	s->extents.x1 = p.x < s->extents.x1 ? p.x : s->extents.x1;
	s->extents.y1 = p.y < s->extents.y1 ? p.y : s->extents.y1;
	s->extents.x2 = p.x > s->extents.x2 ? p.x : s->extents.x2;
	s->extents.y2 = p.y > s->extents.y2 ? p.y : s->extents.y2;
	return 0;
}

static int append_fixed(struct stroke *s, struct raster_point p,
			struct error *error)
{
	return append(s, (struct raster_point){whole(p.x), whole(p.y)}, error);
}

/* Products of hostile coordinates wrap around; the depth is bounded anyway. */
static int64_t times(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a * (uint64_t)b);
}

static int64_t dot(struct raster_point a, struct raster_point b)
{
	return (int64_t)((uint64_t)times(a.x, b.x) +
			 (uint64_t)times(a.y, b.y)) >>
	       4;
}

static struct raster_point minus(struct raster_point a, struct raster_point b)
{
	return (struct raster_point){(int32_t)((uint32_t)a.x - (uint32_t)b.x),
				     (int32_t)((uint32_t)a.y - (uint32_t)b.y)};
}

static struct raster_point middle(struct raster_point a, struct raster_point b)
{
	return (struct raster_point){
		(int32_t)((uint32_t)a.x + (uint32_t)b.x) / 2,
		(int32_t)((uint32_t)a.y + (uint32_t)b.y) / 2};
}

/* A control point's distance from the chord: less than half a pixel. */
static bool near_chord(struct raster_point control, struct raster_point chord)
{
	int64_t a = dot(control, control), b = dot(chord, chord);
	int64_t ab = dot(control, chord);

	return (int64_t)((uint64_t)times(a, b) - (uint64_t)times(ab, ab)) >> 3 <
	       b;
}

static bool same(struct raster_point a, struct raster_point b)
{
	return a.x == b.x && a.y == b.y;
}

/* Cut at the middle until it is as good as straight. */
static int curve(struct stroke *s, const struct raster_point p[4],
		 unsigned depth, struct error *error)
{
	struct raster_point low[4], high[4], m = middle(p[1], p[2]);
	bool one = same(p[0], p[1]) && same(p[0], p[2]) && same(p[0], p[3]);
	int r;

	if (one || !depth ||
	    (near_chord(minus(p[1], p[0]), minus(p[3], p[0])) &&
	     near_chord(minus(p[2], p[3]), minus(p[0], p[3]))))
		return append_fixed(s, p[3], error);
	low[0] = p[0];
	low[1] = middle(p[0], p[1]);
	low[2] = middle(low[1], m);
	high[3] = p[3];
	high[2] = middle(p[2], p[3]);
	high[1] = middle(m, high[2]);
	low[3] = high[0] = middle(low[2], high[1]);
	r = curve(s, low, depth - 1, error);
	return r ? r : curve(s, high, depth - 1, error);
}

static struct raster_point read_point(struct bytes *in)
{
	struct raster_point p;

	p.x = (int32_t)bytes_le32(in);
	p.y = (int32_t)bytes_le32(in);
	return p;
}

static int finish(struct stroke *s, struct error *error)
{
	int r = s->dash.count
			? raster_dashes(&s->pen, s->points, s->count, &s->dash,
					error)
			: raster_lines(&s->pen, s->points, s->count, error);

	s->count = 0;
	return r;
}

/* Triples of points that continue from the last, whole, point. */
static int read_curves(struct stroke *s, struct bytes *in, uint32_t count,
		       struct error *error)
{
	struct raster_point p[4];
	int r = 0;

	for (; !r && count >= 3; count -= 3) {
		if (!s->count)
			return error_set(error, EBADMSG,
					 "a curve has no beginning");
		p[0] = s->points[s->count - 1];
		p[0].x = (int32_t)((uint32_t)p[0].x << 4);
		p[0].y = (int32_t)((uint32_t)p[0].y << 4);
		for (unsigned i = 1; i < 4; i++)
			p[i] = read_point(in);
		r = curve(s, p, BEZIER_DEPTH_MAX, error);
	}
	return r;
}

static int read_segment(struct stroke *s, struct bytes *in, struct error *error)
{
	uint8_t flags = bytes_u8(in);
	uint32_t count = bytes_le32(in);
	int r = 0;

	if (in->bad || count > bytes_left(in) / 8)
		return error_set(error, EBADMSG, "a path is cut short");
	if (flags & PATH_BEGIN) {
		r = finish(s, error);
		if (!r && count--)
			r = append_fixed(s, read_point(in), error);
		else if (!r)
			return error_set(error, EBADMSG,
					 "a path begins without a point");
	}
	if (!r && flags & PATH_BEZIER)
		r = read_curves(s, in, count, error);
	else
		for (; !r && count; count--)
			r = append_fixed(s, read_point(in), error);
	if (r || !(flags & PATH_END))
		return r;
	if (flags & PATH_CLOSE && s->count)
		r = append(s, s->points[0], error);
	return r ? r : finish(s, error);
}

static int read_path(struct stroke *s, struct bytes in, uint32_t at,
		     struct error *error)
{
	uint32_t segments;
	int r = 0;

	bytes_seek(&in, at);
	segments = bytes_le32(&in);
	if (in.bad || !at)
		return error_set(error, EBADMSG,
				 "a path is said to be at offset %u", at);
	for (uint32_t i = 0; !r && i < segments; i++)
		r = read_segment(s, &in, error);
	return r ? r : finish(s, error);
}

/*
 * Lengths in 28.4 fixed point, of which the renderers keep one byte. A line
 * that starts with a gap has its first length at the end of the list.
 */
static int read_line_style(struct draw *draw, struct raster_dash *dash,
			   struct error *error)
{
	uint8_t flags = bytes_u8(&draw->in);
	struct bytes there = draw->body;
	unsigned first = flags & LINE_START_WITH_GAP ? 1 : 0;

	if (!(flags & LINE_STYLED))
		return 0;
	dash->count = bytes_u8(&draw->in);
	bytes_seek(&there, bytes_le32(&draw->in));
	if (!dash->count)
		return error_set(error, EBADMSG, "a line's style is empty");
	for (unsigned i = 0; i < dash->count; i++)
		dash->lengths[(i + dash->count - first) % dash->count] =
			(uint8_t)whole((int32_t)bytes_le32(&there));
	dash->offset = first ? dash->lengths[0] : 0;
	return there.bad ? error_set(error, EBADMSG,
				     "a line's style is cut short")
			 : 0;
}

/* Lines stay near their points: mitres reach a few pixels beyond. */
static void touch_path(struct draw *draw, const pixman_box32_t *extents)
{
	const int32_t far = 8;

	if (extents->x1 > extents->x2)
		return;
	pixman_region32_intersect_rect(&draw->region, &draw->region,
				       extents->x1 - far, extents->y1 - far,
				       extents->x2 - extents->x1 + 2 * far,
				       extents->y2 - extents->y1 + 2 * far);
	surface_touch(draw->surface, &draw->region);
}

int draw_stroke(struct draw *draw, struct error *error)
{
	uint32_t path = bytes_le32(&draw->in);
	struct stroke s = {
		.pen = {.surface = draw->surface,
			.region = &draw->region,
			.brush = &draw->brush.source,
			.budget = RASTER_PEN_BUDGET},
		.extents = {INT32_MAX, INT32_MAX, INT32_MIN, INT32_MIN}};
	int r = read_line_style(draw, &s.dash, error);

	if (!r)
		r = draw_read_brush(draw, &draw->brush, error);
	s.pen.rop = raster_rop(bytes_le16(&draw->in), ROPD_INVERS_BRUSH,
			       ROPD_INVERS_DEST);
	bytes_le16(&draw->in); /* the mode of gaps, which has no use */
	if (!r)
		r = draw_complete(draw, error);
	if (!r)
		r = read_path(&s, draw->body, path, error);
	touch_path(draw, &s.extents);
	free(s.points);
	return r;
}

static int read_glyphs(struct bytes *in, unsigned count, unsigned depth,
		       struct raster_glyph *glyphs, struct error *error)
{
	for (struct raster_glyph *g = glyphs; g < glyphs + count; g++) {
		struct raster_point at = read_point(in), o = read_point(in);
		int64_t x = (int64_t)at.x + o.x, y = (int64_t)at.y + o.y;
		pixman_box32_t box = {(int32_t)x, (int32_t)y, 0, 0};

		if (x != box.x1 || y != box.y1 || !draw_in_bounds(&box))
			return error_set(error, EBADMSG,
					 "a glyph is out of bounds");
		g->x = box.x1;
		g->y = box.y1;
		g->width = bytes_le16(in);
		g->height = bytes_le16(in);
		g->bits = bytes_take(in, raster_glyph_row(depth, g->width) *
						 g->height);
	}
	return in->bad ? error_set(error, EBADMSG, "a text is cut short") : 0;
}

static unsigned glyph_depth(uint8_t flags)
{
	if (flags & STRING_A1)
		return 1;
	if (flags & STRING_A4)
		return 4;
	return flags & STRING_A8 ? 8 : 0;
}

static int draw_string(struct draw *draw, uint32_t at, struct error *error)
{
	struct bytes in = draw->body;
	struct raster_glyph *glyphs;
	unsigned count, depth;
	int r;

	bytes_seek(&in, at);
	count = bytes_le16(&in);
	depth = glyph_depth(bytes_u8(&in));
	if (in.bad || !at)
		return error_set(error, EBADMSG,
				 "a text is said to be at offset %u", at);
	if (!depth || draw->brush.none)
		return 0; /* nor do clients draw that */
	glyphs = malloc((count + 1) * sizeof(*glyphs));
	if (!glyphs)
		return error_set(error, ENOMEM, "no memory for text");
	r = read_glyphs(&in, count, depth, glyphs, error);
	if (!r)
		r = raster_text(draw->surface, &draw->region, glyphs, count,
				depth, &draw->brush.source, error);
	free(glyphs);
	return r;
}

/* What lies behind the text: the back brush as it is. */
static int draw_back(struct draw *draw, const pixman_box32_t *area,
		     struct error *error)
{
	pixman_region32_t region;
	int r;

	pixman_region32_init(&region);
	pixman_region32_intersect_rect(&region, &draw->region, area->x1,
				       area->y1, area->x2 - area->x1,
				       area->y2 - area->y1);
	r = raster_paint(draw->surface, &region, &draw->back.source,
			 raster_rop(ROPD_PUT, 0, 0), NULL, error);
	pixman_region32_fini(&region);
	return r;
}

int draw_text(struct draw *draw, struct error *error)
{
	uint32_t string = bytes_le32(&draw->in);
	pixman_box32_t area = display_read_rect(&draw->in);
	bool back = area.x1 < area.x2 && area.y1 < area.y2;
	int r = draw_read_brush(draw, &draw->brush, error);
	uint16_t mode;

	if (!r)
		r = draw_read_brush(draw, &draw->back, error);
	mode = bytes_le16(&draw->in);
	bytes_le16(&draw->in);
	if (!r)
		r = draw_complete(draw, error);
	if (!r && back && !draw_in_bounds(&area))
		r = error_set(error, EBADMSG,
			      "a text's back area is out of bounds");
	if (r || (back && mode != ROPD_PUT))
		return r; /* clients draw nothing then */
	if (back)
		r = draw_back(draw, &area, error);
	return r ? r : draw_string(draw, string, error);
}
