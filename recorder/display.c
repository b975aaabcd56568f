/* A display channel's surfaces, caches and heads; the table of messages. */
#include "recorder/display.h"

#include <stdlib.h>

#include "recorder/raster.h"

#define SURFACE_FLAG_PRIMARY 1 /* SPICE_SURFACE_FLAGS_PRIMARY */

static const char *const names[DISPLAY_MESSAGE_MAX] = {
#define DISPLAY_MESSAGE(number, name, ...) [number] = #name,
	SPICE_DISPLAY_TO_CLIENT(DISPLAY_MESSAGE)
#undef DISPLAY_MESSAGE
};

const char *display_message_name(uint16_t type)
{
	return type < DISPLAY_MESSAGE_MAX ? names[type] : NULL;
}

static int image_of_surface(void *user, uint32_t id, struct image **image,
			    struct error *error)
{
	struct display *d = user;
	struct surface *surface = display_surface(d, id, error);

	if (!surface)
		return -EBADMSG;
	return surface_image(surface, surface == d->target, image, error);
}

int display_new(struct display **display, struct image_cache *images,
		struct glz_window *window, struct error *error)
{
	struct display *d = calloc(1, sizeof(*d));

	*display = d;
	if (!d)
		return error_set(error, ENOMEM, "no memory for a display");
	d->use = &d->own_use;
	d->reader.images = images;
	d->reader.window = window;
	d->reader.surface = image_of_surface;
	d->reader.user = d;
	return 0;
}

static void forget_surface(struct display *d, struct surface *s)
{
	if (s)
		d->use->pixels -= (uint64_t)s->width * s->height;
	surface_free(s);
}

static void drop_surface(struct display *d, uint32_t id)
{
	struct surface *s = d->surfaces[id];

	if (!s)
		return;
	d->surfaces[id] = NULL;
	if (!id && d->marked) {
		forget_surface(d, d->retired);
		d->retired = s;
		d->marked = false;
	} else {
		forget_surface(d, s);
	}
}

void display_restart(struct display *d)
{
	display_stream_free_all(d);
	for (uint32_t id = 0; id < DISPLAY_SURFACES; id++)
		drop_surface(d, id);
	image_reader_clear(&d->reader);
	d->head_count = 0;
}

void display_free(struct display *d)
{
	if (!d)
		return;
	display_restart(d);
	forget_surface(d, d->retired);
	free(d);
}

struct surface *display_surface(struct display *d, uint32_t id,
				struct error *error)
{
	if (id < DISPLAY_SURFACES && d->surfaces[id])
		return d->surfaces[id];
	error_set(error, EBADMSG, "there is no surface %u", id);
	return NULL;
}

/* What two spans have in common. */
static uint64_t common(int32_t a, int32_t b, uint32_t size)
{
	int32_t from = a > 0 ? a : 0,
		to = b < (int32_t)size ? b : (int32_t)size;

	return to > from ? (uint64_t)(to - from) : 0;
}

int display_drew(struct display *d, struct surface *s,
		 const pixman_box32_t *box, pixman_region32_t *region,
		 struct error *error)
{
	d->drawn += common(box->x1, box->x2, s->width) *
		    common(box->y1, box->y2, s->height);
	/* A region that lacked memory is not whole any more. */
	if (!s->torn && pixman_region32_selfcheck(region))
		return 0;
	s->torn = false;
	return error_set(error, ENOMEM, "no memory for a region drawn on");
}

struct surface *display_visible(const struct display *d, pixman_box32_t *part)
{
	struct surface *s = d->marked ? d->surfaces[0] : d->retired;
	pixman_box32_t all = {INT32_MAX, INT32_MAX, 0, 0};

	if (!s)
		return NULL;
	for (unsigned i = 0; d->marked && i < d->head_count; i++) {
		const pixman_box32_t *head = &d->heads[i];

		if (head->x1 >= (int32_t)s->width ||
		    head->y1 >= (int32_t)s->height)
			continue;
		all.x1 = head->x1 < all.x1 ? head->x1 : all.x1;
		all.y1 = head->y1 < all.y1 ? head->y1 : all.y1;
		all.x2 = head->x2 > all.x2 ? head->x2 : all.x2;
		all.y2 = head->y2 > all.y2 ? head->y2 : all.y2;
	}
	all.x2 = all.x2 > (int32_t)s->width ? (int32_t)s->width : all.x2;
	all.y2 = all.y2 > (int32_t)s->height ? (int32_t)s->height : all.y2;
	if (all.x1 >= all.x2 || all.y1 >= all.y2)
		all = (pixman_box32_t){0, 0, s->width, s->height};
	*part = all;
	return s;
}

static int make_surface(struct display *d, uint32_t id, uint32_t width,
			uint32_t height, uint32_t format, struct error *error)
{
	uint64_t pixels = (uint64_t)width * height;
	struct surface *old;
	int r;

	if (id >= DISPLAY_SURFACES)
		return error_set(error, EBADMSG, "surface %u is out of bounds",
				 id);
	old = d->surfaces[id];
	if (old && !id && old->width == width && old->height == height &&
	    old->format == format)
		return 0; /* the primary keeps its pixels, as clients do */
	drop_surface(d, id);
	if (pixels > DISPLAY_PIXELS_MAX - d->use->pixels)
		return error_set(error, EMSGSIZE,
				 "surfaces of more than %u pixels",
				 DISPLAY_PIXELS_MAX);
	r = surface_new(&d->surfaces[id], width, height, format, error);
	if (!r)
		d->use->pixels += pixels;
	return r;
}

static int surface_create(struct display *d, struct bytes *in,
			  struct error *error)
{
	uint32_t id = bytes_le32(in), width = bytes_le32(in);
	uint32_t height = bytes_le32(in), format = bytes_le32(in);

	bytes_le32(in); /* flags */
	if (in->bad)
		return error_set(error, EBADMSG, "a surface is cut short");
	return make_surface(d, id, width, height, format, error);
}

/* The primary of servers before surfaces: 32 bits, or else 16. */
static int mode(struct display *d, struct bytes *in, struct error *error)
{
	uint32_t width = bytes_le32(in), height = bytes_le32(in);
	uint32_t format =
		bytes_le32(in) == 32 ? SURFACE_32_XRGB : SURFACE_16_555;

	if (in->bad)
		return error_set(error, EBADMSG, "a mode is cut short");
	return make_surface(d, 0, width, height, format, error);
}

static int surface_destroy(struct display *d, struct bytes *in,
			   struct error *error)
{
	uint32_t id = bytes_le32(in);

	if (in->bad || id >= DISPLAY_SURFACES || !d->surfaces[id])
		return error_set(error, EBADMSG, "there is no surface %u", id);
	drop_surface(d, id);
	return 0;
}

static int mark(struct display *d, struct error *error)
{
	if (!display_surface(d, 0, error))
		return -EBADMSG;
	d->marked = true;
	forget_surface(d, d->retired);
	d->retired = NULL;
	return 0;
}

static int monitors_config(struct display *d, struct bytes *in,
			   struct error *error)
{
	unsigned count = bytes_le16(in), kept = 0;

	bytes_le16(in); /* the most heads there may be */
	for (unsigned i = 0; i < count && !in->bad; i++) {
		pixman_box32_t head;
		uint32_t surface, w, h, x, y;

		bytes_le32(in);
		surface = bytes_le32(in);
		w = bytes_le32(in);
		h = bytes_le32(in);
		x = bytes_le32(in);
		y = bytes_le32(in);
		bytes_le32(in);
		if (surface || !w || !h || w > IMAGE_SIDE_MAX ||
		    h > IMAGE_SIDE_MAX || x > IMAGE_SIDE_MAX ||
		    y > IMAGE_SIDE_MAX || kept == DISPLAY_HEADS)
			continue;
		head = (pixman_box32_t){x, y, x + w, y + h};
		d->heads[kept++] = head;
	}
	d->head_count = kept;
	if (in->bad)
		return error_set(error, EBADMSG,
				 "a monitor configuration is cut short");
	return 0;
}

static int inval_list(struct display *d, struct bytes *in, struct error *error)
{
	unsigned count = bytes_le16(in);

	for (unsigned i = 0; i < count && !in->bad; i++) {
		uint8_t type = bytes_u8(in);
		uint64_t id = bytes_le64(in);

		if (!in->bad && type == 1) /* SPICE_RES_TYPE_PIXMAP */
			image_cache_drop(d->reader.images, id);
	}
	if (in->bad)
		return error_set(error, EBADMSG,
				 "a list of images to drop "
				 "is cut short");
	return 0;
}

static int reset(struct display *d)
{
	display_stream_free_all(d);
	drop_surface(d, 0);
	palette_cache_clear(&d->reader.palettes);
	return 0;
}

bool display_follows_layout(uint16_t type)
{
	return type == DISPLAY_MESSAGE_mode || type == DISPLAY_MESSAGE_mark ||
	       type == DISPLAY_MESSAGE_reset ||
	       type == DISPLAY_MESSAGE_surface_create ||
	       type == DISPLAY_MESSAGE_surface_destroy ||
	       type == DISPLAY_MESSAGE_monitors_config;
}

static int dispatch(struct display *d, uint16_t type, struct bytes body,
		    struct error *error)
{
	switch (type) {
	case DISPLAY_MESSAGE_mark:
		return mark(d, error);
	case DISPLAY_MESSAGE_reset:
		return reset(d);
	case DISPLAY_MESSAGE_inval_list:
		return inval_list(d, &body, error);
	case DISPLAY_MESSAGE_inval_all_pixmaps:
		image_cache_clear(d->reader.images);
		return 0;
	case DISPLAY_MESSAGE_inval_palette:
		palette_cache_drop(&d->reader.palettes, bytes_le64(&body));
		return 0;
	case DISPLAY_MESSAGE_inval_all_palettes:
		palette_cache_clear(&d->reader.palettes);
		return 0;
	case DISPLAY_MESSAGE_surface_create:
		return surface_create(d, &body, error);
	case DISPLAY_MESSAGE_surface_destroy:
		return surface_destroy(d, &body, error);
	case DISPLAY_MESSAGE_monitors_config:
		return monitors_config(d, &body, error);
	case DISPLAY_MESSAGE_mode:
		return mode(d, &body, error);
	case DISPLAY_MESSAGE_gl_scanout_unix:
	case DISPLAY_MESSAGE_gl_draw:
		return error_set(error, ENOTSUP,
				 "%s: its pixels are in memory shared with "
				 "the viewer (dma-buf), a recording has none "
				 "of them; turn OpenGL off in the guest's "
				 "graphics",
				 names[type]);
	case DISPLAY_MESSAGE_stream_activate_report:
	case DISPLAY_MESSAGE_quality_indicator:
		return 0;
	case DISPLAY_MESSAGE_stream_create:
	case DISPLAY_MESSAGE_stream_data:
	case DISPLAY_MESSAGE_stream_data_sized:
	case DISPLAY_MESSAGE_stream_clip:
	case DISPLAY_MESSAGE_stream_destroy:
	case DISPLAY_MESSAGE_stream_destroy_all:
		return display_stream(d, type, body, error);
	}
	return display_draw(d, type, body, error);
}

int display_message(struct display *d, uint16_t type, struct bytes body,
		    struct error *error)
{
	int r, kept;

	if (!display_message_name(type))
		return error_set(error, EBADMSG,
				 "display message %u is unknown", type);
	if (d->layout_only && !display_follows_layout(type))
		return 0;
	r = dispatch(d, type, body, error);
	d->target = NULL;
	/* Images are kept even when the drawing itself is not done. */
	kept = image_reader_commit(&d->reader, !r || r == -ENOTSUP, error);
	if (r == -EAGAIN)
		return r;
	d->seen[type]++;
	if (r == -ENOTSUP)
		d->undrawn[type]++;
	return r ? r : kept;
}
