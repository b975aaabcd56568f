/*
 * Pixels of a raster operation's source: solid, plain, tiled or scaled.
 *
 * Scaling is in 16.16 fixed point, as SPICE's renderers do it, so that the
 * result is the same bit for bit.
 */
#include "recorder/raster.h"

#include <string.h>

struct raster_source raster_image(const struct image *image,
				  const pixman_box32_t *src,
				  const pixman_box32_t *box, uint8_t mode)
{
	struct raster_source s = {.image = image, .box = *box, .src = *src};

	if (src->x2 - src->x1 == box->x2 - box->x1 &&
	    src->y2 - src->y1 == box->y2 - box->y1)
		s.how = RASTER_PLAIN;
	else
		s.how = mode == 1 ? RASTER_NEAREST : RASTER_BILINEAR;
	return s;
}

static uint32_t image_at(const struct image *image, int64_t x, int64_t y)
{
	if (x < 0 || y < 0 || x >= image->width || y >= image->height)
		return 0;
	return image_row(image, y)[x];
}

static void fetch_plain(const struct raster_source *s, int32_t x, int32_t y,
			uint32_t *out, unsigned n)
{
	const struct image *image = s->image;
	int32_t u = x - s->box.x1 + s->src.x1;
	int32_t v = y - s->box.y1 + s->src.y1;

	if (u >= 0 && v >= 0 && v < (int32_t)image->height &&
	    u <= (int32_t)image->width - (int32_t)n) {
		memcpy(out, image_row(image, v) + u, n * sizeof(*out));
		return;
	}
	for (unsigned i = 0; i < n; i++)
		out[i] = image_at(image, (int64_t)u + i, v);
}

static uint32_t modulo(int32_t a, uint32_t n)
{
	int64_t r = (int64_t)a % n;

	return r < 0 ? r + n : r;
}

static void fetch_tiled(const struct raster_source *s, int32_t x, int32_t y,
			uint32_t *out, unsigned n)
{
	const struct image *image = s->image;
	const uint32_t *row =
		image_row(image, modulo(y - s->src.y1, image->height));
	uint32_t u = modulo(x - s->src.x1, image->width);

	for (unsigned i = 0; i < n; i++) {
		out[i] = row[u];
		if (++u == image->width)
			u = 0;
	}
}

/* From a surface coordinate to one of the image, both of one axis. */
static int64_t scale(int32_t at, int32_t box, int32_t box_end, int32_t src,
		     int32_t src_end)
{
	int64_t factor = ((int64_t)(src_end - src) * 65536) / (box_end - box);
	int64_t i = at - box;

	return (((i * 65536 + 32768) * factor + 32768) >> 16) +
	       (int64_t)src * 65536;
}

static int64_t scale_x(const struct raster_source *s, int32_t x)
{
	return scale(x, s->box.x1, s->box.x2, s->src.x1, s->src.x2);
}

static int64_t scale_y(const struct raster_source *s, int32_t y)
{
	return scale(y, s->box.y1, s->box.y2, s->src.y1, s->src.y2);
}

static void fetch_nearest(const struct raster_source *s, int32_t x, int32_t y,
			  uint32_t *out, unsigned n)
{
	int64_t v = (scale_y(s, y) - 1) >> 16;

	for (unsigned i = 0; i < n; i++)
		out[i] = image_at(s->image, (scale_x(s, x + i) - 1) >> 16, v);
}

static uint32_t mix(const uint32_t p[4], const uint32_t weight[4])
{
	uint32_t out = 0;

	for (unsigned shift = 0; shift < 32; shift += 8) {
		uint32_t sum = 0;

		for (unsigned k = 0; k < 4; k++)
			sum += (p[k] >> shift & 255) * weight[k];
		out |= (sum >> 16 & 255) << shift;
	}
	return out;
}

static void fetch_bilinear(const struct raster_source *s, int32_t x, int32_t y,
			   uint32_t *out, unsigned n)
{
	int64_t v = scale_y(s, y) - 32768;
	uint32_t wy = (v >> 9 & 127) << 1;

	for (unsigned i = 0; i < n; i++) {
		int64_t u = scale_x(s, x + i) - 32768;
		uint32_t wx = (u >> 9 & 127) << 1, both = wx * wy;
		uint32_t p[4], weight[4];

		for (unsigned k = 0; k < 4; k++)
			p[k] = image_at(s->image, (u >> 16) + (k & 1),
					(v >> 16) + (k >> 1));
		weight[0] = 65536 - (wx << 8) - (wy << 8) + both;
		weight[1] = (wx << 8) - both;
		weight[2] = (wy << 8) - both;
		weight[3] = both;
		out[i] = mix(p, weight);
	}
}

void raster_fetch(const struct raster_source *s, int32_t x, int32_t y,
		  uint32_t *out, unsigned n)
{
	switch (s->how) {
	case RASTER_SOLID:
		for (unsigned i = 0; i < n; i++)
			out[i] = s->colour;
		break;
	case RASTER_PLAIN:
		fetch_plain(s, x, y, out, n);
		break;
	case RASTER_TILED:
		fetch_tiled(s, x, y, out, n);
		break;
	case RASTER_NEAREST:
		fetch_nearest(s, x, y, out, n);
		break;
	case RASTER_BILINEAR:
		fetch_bilinear(s, x, y, out, n);
		break;
	}
}
