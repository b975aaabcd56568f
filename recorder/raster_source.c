/* Pixels of a raster operation's source: solid, plain, tiled or scaled. */
#include "recorder/raster_pixman.h"

#include <assert.h>
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
	default:
		assert(!"a scaled source is made plain first");
	}
}

int raster_scaled(const struct raster_source *s, uint32_t format, bool put,
		  const pixman_box32_t *area, struct raster_source *plain,
		  struct image **out, struct error *error)
{
	int width = area->x2 - area->x1, height = area->y2 - area->y1;
	pixman_image_t *from, *to = NULL;
	struct raster_point at;
	bool good = false;
	int r = image_new(out, width, height, IMAGE_XRGB, error);

	if (r)
		return r;
	from = raster_pixman_image(s->image, format, false, RASTER_ALPHA_AS_IS);
	if (from)
		to = raster_pixman_space(put ? format : 0, from, *out);
	if (to) {
		good = raster_pixman_scale(from, s, area->x1, area->y1, &at);
		pixman_image_composite32(PIXMAN_OP_SRC, from, NULL, to, at.x,
					 at.y, 0, 0, 0, 0, width, height);
		raster_pixman_keep(to, *out);
		pixman_image_unref(to);
	}
	if (!good)
		r = error_set(error, ENOMEM, "no memory to scale an image");
	if (from)
		pixman_image_unref(from);
	*plain = (struct raster_source){.how = RASTER_PLAIN,
					.image = *out,
					.box = *area,
					.src = {0, 0, width, height}};
	return r;
}
