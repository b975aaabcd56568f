/* Surfaces side by side; see surfaces.h. */
#include "tests/oracle/surfaces.h"

#include <spice/enums.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/bytes.h"

/* The bits of a pixel that mean something. */
static uint32_t meaning(uint32_t format)
{
	switch (format) {
	case SURFACE_1_A:
		return 1;
	case SURFACE_8_A:
		return 0xff;
	case SURFACE_16_555:
		return 0x7fff;
	case SURFACE_16_565:
		return 0xffff;
	case SURFACE_32_XRGB:
		return 0xffffff;
	}
	return 0xffffffff;
}

static uint32_t theirs_at(const struct gtk_picture *p, uint32_t x, uint32_t y)
{
	const uint8_t *row = p->data + y * p->stride;

	if (p->format == SURFACE_16_555 || p->format == SURFACE_16_565)
		return row[2 * x] | (uint32_t)row[2 * x + 1] << 8;
	return bytes_get_le32(row + 4 * x);
}

static int differs(uint32_t id, uint32_t x, uint32_t y, uint32_t ours,
		   uint32_t theirs, struct error *error)
{
	return error_set(error, ERANGE,
			 "surface %u, pixel (%u, %u): ours is %#x, the "
			 "client's %#x",
			 id, x, y, ours, theirs);
}

static int check_size(const struct gtk_picture *p, const struct surface *ours,
		      struct error *error)
{
	if (p->width == ours->width && p->height == ours->height &&
	    p->format == ours->format)
		return 0;
	return error_set(error, ERANGE,
			 "the primary is %ux%u of format %u here and %ux%u of "
			 "format %u there",
			 ours->width, ours->height, ours->format, p->width,
			 p->height, p->format);
}

static bool inside(const pixman_box32_t *box, uint32_t x, uint32_t y)
{
	return box && (int32_t)x >= box->x1 && (int32_t)x < box->x2 &&
	       (int32_t)y >= box->y1 && (int32_t)y < box->y2;
}

/* Everything but what is inside the box. */
static int compare_outside(const struct gtk_picture *p,
			   const struct surface *ours,
			   const pixman_box32_t *box, struct error *error)
{
	uint32_t mask = meaning(ours->format);

	for (uint32_t y = 0; y < ours->height; y++) {
		const uint32_t *row = surface_row(ours, (int32_t)y);

		for (uint32_t x = 0; x < ours->width; x++) {
			uint32_t theirs = theirs_at(p, x, y);

			if ((row[x] ^ theirs) & mask && !inside(box, x, y))
				return differs(0, x, y, row[x] & mask,
					       theirs & mask, error);
		}
	}
	return 0;
}

static void adopt_primary(const struct gtk_picture *p, struct surface *ours)
{
	for (uint32_t y = 0; y < ours->height; y++)
		for (uint32_t x = 0; x < ours->width; x++)
			surface_row(ours, (int32_t)y)[x] = theirs_at(p, x, y);
}

int surfaces_compare_primary(struct gtk_channel *gtk, struct surface *ours,
			     bool adopt, struct error *error)
{
	struct gtk_picture p;
	int r;

	if (!gtk_channel_primary(gtk, &p))
		return -EAGAIN;
	r = check_size(&p, ours, error);
	if (r)
		return r;
	r = compare_outside(&p, ours, NULL, error);
	if (r && adopt)
		adopt_primary(&p, ours);
	return r;
}

static void add_distance(struct surfaces_distance *d, uint32_t a, uint32_t b)
{
	for (int shift = 0; shift < 24; shift += 8) {
		unsigned one =
			abs((int)(a >> shift & 255) - (int)(b >> shift & 255));

		d->worst = one > d->worst ? one : d->worst;
		d->mean += one;
	}
}

struct surfaces_patch *surfaces_cut(const struct surface *ours,
				    const pixman_box32_t *wanted)
{
	pixman_box32_t box = *wanted;
	struct surfaces_patch *patch;
	size_t width, height;

	box.x1 = box.x1 < 0 ? 0 : box.x1;
	box.y1 = box.y1 < 0 ? 0 : box.y1;
	if (box.x2 > (int32_t)ours->width)
		box.x2 = (int32_t)ours->width;
	if (box.y2 > (int32_t)ours->height)
		box.y2 = (int32_t)ours->height;
	if (box.x1 >= box.x2 || box.y1 >= box.y2)
		return NULL;
	width = (size_t)(box.x2 - box.x1);
	height = (size_t)(box.y2 - box.y1);
	patch = malloc(sizeof(*patch) + width * height * sizeof(uint32_t));
	if (!patch)
		return NULL;
	patch->box = box;
	for (size_t y = 0; y < height; y++)
		memcpy(patch->pixels + y * width,
		       surface_row(ours, box.y1 + (int32_t)y) + box.x1,
		       width * sizeof(uint32_t));
	return patch;
}

struct surfaces_distance surfaces_measure(struct gtk_channel *gtk,
					  const struct surfaces_patch *patch)
{
	struct surfaces_distance d = {0};
	const pixman_box32_t *box = &patch->box;
	const uint32_t *pixel = patch->pixels;
	struct gtk_picture p;

	if (!gtk_channel_primary(gtk, &p) || p.format != SURFACE_32_XRGB ||
	    (int32_t)p.width < box->x2 || (int32_t)p.height < box->y2)
		return d;
	for (int32_t y = box->y1; y < box->y2; y++)
		for (int32_t x = box->x1; x < box->x2; x++)
			add_distance(&d, *pixel++,
				     theirs_at(&p, (uint32_t)x, (uint32_t)y));
	d.mean /= 3.0 * (double)(pixel - patch->pixels);
	return d;
}

int surfaces_hand_over(struct gtk_channel *gtk, const struct surface *ours,
		       const pixman_box32_t *box, struct error *error)
{
	struct gtk_picture p;
	int r;

	if (!gtk_channel_primary(gtk, &p) || p.format != SURFACE_32_XRGB)
		return 0;
	r = check_size(&p, ours, error);
	if (!r)
		r = compare_outside(&p, ours, box, error);
	for (uint32_t y = 0; !r && y < ours->height; y++) {
		uint32_t *row = (uint32_t *)(void *)(p.data + y * p.stride);

		for (uint32_t x = 0; x < ours->width; x++)
			if (inside(box, x, y))
				row[x] = surface_row(ours, (int32_t)y)[x];
	}
	return r;
}

/* Box of the surface at (x, y), to the primary's corner. */
struct piece {
	uint32_t id, x, y, width, height;
};

static void put_rect(struct buffer *out, uint32_t x, uint32_t y, uint32_t width,
		     uint32_t height)
{
	buffer_put_le32(out, y);
	buffer_put_le32(out, x);
	buffer_put_le32(out, y + height);
	buffer_put_le32(out, x + width);
}

/*
 * How to see a surface: colours by a bitwise OR onto black, which takes all
 * 32 bits; those of 16 bits by compositing, as nothing else may change the
 * depth; surfaces of alpha alone by what they leave of white.
 */
enum method { OR, OVER_BLACK, OVER_WHITE };

static enum method method_of(uint32_t format)
{
	switch (format) {
	case SURFACE_32_XRGB:
	case SURFACE_32_ARGB:
		return OR;
	case SURFACE_16_555:
	case SURFACE_16_565:
		return OVER_BLACK;
	}
	return OVER_WHITE;
}

/* SPICE_COMPOSITE_HAS_SRC_TRANSFORM; filter and repeat are 0. */
#define LOOK_STRAIGHT (1u << 20 | PIXMAN_OP_OVER)

/* What follows a DRAW_COMPOSITE's base, up to the image. */
static void put_composite(struct buffer *out, const struct piece *piece)
{
	buffer_put_le32(out, LOOK_STRAIGHT);
	buffer_put_le32(out, 61);
	for (unsigned i = 0; i < 6; i++)
		buffer_put_le32(out, i % 4 ? 0 : pixman_fixed_1);
	buffer_put_le16(out, (uint16_t)piece->x);
	buffer_put_le16(out, (uint16_t)piece->y);
	buffer_put_le32(out, 0); /* where the mask is that is not there */
}

static void put_copy(struct buffer *out, const struct piece *piece)
{
	buffer_put_le32(out, 57);
	put_rect(out, piece->x, piece->y, piece->width, piece->height);
	buffer_put_le16(out, SPICE_ROPD_OP_OR);
	buffer_put_u8(out, SPICE_IMAGE_SCALE_MODE_NEAREST);
	buffer_put_u8(out, 0); /* no mask */
	buffer_put_le64(out, 0);
	buffer_put_le32(out, 0);
}

static void put_message(struct buffer *out, const struct piece *piece,
			enum method method)
{
	buffer_put_le32(out, 0); /* on the primary */
	put_rect(out, 0, 0, piece->width, piece->height);
	buffer_put_u8(out, SPICE_CLIP_TYPE_NONE);
	if (method == OR)
		put_copy(out, piece);
	else
		put_composite(out, piece);
	buffer_put_le64(out, 0);
	buffer_put_u8(out, SPICE_IMAGE_TYPE_SURFACE);
	buffer_put_u8(out, 0);
	buffer_put_le32(out, piece->width);
	buffer_put_le32(out, piece->height);
	buffer_put_le32(out, piece->id);
}

static int lay(struct gtk_channel *gtk, const struct piece *piece,
	       enum method method, struct error *error)
{
	struct buffer body = {0};
	struct gtk_message m = {
		.type = method == OR ? SPICE_MSG_DISPLAY_DRAW_COPY
				     : SPICE_MSG_DISPLAY_DRAW_COMPOSITE};
	int r;

	put_message(&body, piece, method);
	m.body = body.data;
	m.size = body.size;
	r = gtk_channel_insert(gtk, &m, error);
	if (!r)
		r = gtk_channel_wait(gtk, error);
	buffer_free(&body);
	return r;
}

/* What a pixel of ours looks like on the primary. */
static uint32_t expected(const struct surface *ours, uint32_t x, uint32_t y)
{
	uint32_t v = surface_row(ours, (int32_t)y)[x];

	switch (ours->format) {
	case SURFACE_1_A:
		return v & 1 ? 0 : 0xffffff;
	case SURFACE_8_A:
		return (255 - (v & 255)) * 0x10101u;
	case SURFACE_16_555:
	case SURFACE_16_565:
		surface_widen(ours, &v, 1);
		return v & 0xffffff;
	}
	return v & meaning(ours->format);
}

/* The other way round. */
static uint32_t seen_as(const struct surface *ours, uint32_t v)
{
	switch (ours->format) {
	case SURFACE_1_A:
		return !v;
	case SURFACE_8_A:
		return 255 - (v & 255);
	case SURFACE_16_555:
	case SURFACE_16_565:
		surface_narrow(ours, &v, 1);
	}
	return v;
}

static int compare_piece(struct gtk_channel *gtk, const struct gtk_picture *p,
			 struct surface *ours, const struct piece *piece,
			 bool adopt, struct error *error)
{
	enum method method = method_of(ours->format);
	uint32_t mask = ours->format == SURFACE_32_ARGB ? ~0u : 0xffffff;
	int r;

	memset(p->data, method == OVER_WHITE ? 0xff : 0, p->stride * p->height);
	r = lay(gtk, piece, method, error);
	if (r)
		return r;
	for (uint32_t y = 0; y < piece->height; y++)
		for (uint32_t x = 0; x < piece->width; x++) {
			uint32_t left = piece->x + x, top = piece->y + y;
			uint32_t a = expected(ours, left, top);
			uint32_t b = theirs_at(p, x, y) & mask;

			if (a == b)
				continue;
			if (!r)
				r = differs(piece->id, left, top, a, b, error);
			if (!adopt)
				return r;
			surface_row(ours, (int32_t)top)[left] =
				seen_as(ours, b);
		}
	return r;
}

static int compare_pieces(struct gtk_channel *gtk, const struct gtk_picture *p,
			  uint32_t id, struct surface *ours, bool adopt,
			  struct error *error)
{
	int r = 0;

	for (uint32_t y = 0; y < ours->height && !r; y += p->height)
		for (uint32_t x = 0; x < ours->width && !r; x += p->width) {
			struct piece piece = {id, x, y, ours->width - x,
					      ours->height - y};

			if (piece.width > p->width)
				piece.width = p->width;
			if (piece.height > p->height)
				piece.height = p->height;
			r = compare_piece(gtk, p, ours, &piece, adopt, error);
		}
	return r;
}

int surfaces_compare(struct gtk_channel *gtk, uint32_t id, struct surface *ours,
		     bool adopt, struct error *error)
{
	struct gtk_picture p;
	uint8_t *kept;
	int r;

	if (!gtk_channel_primary(gtk, &p) || p.format != SURFACE_32_XRGB)
		return -EAGAIN;
	kept = malloc(p.stride * p.height);
	if (!kept)
		return error_set(error, ENOMEM, "no memory for a picture");
	memcpy(kept, p.data, p.stride * p.height);
	r = compare_pieces(gtk, &p, id, ours, adopt, error);
	memcpy(p.data, kept, p.stride * p.height);
	free(kept);
	/* A composition stays with a surface; ours takes part in this one. */
	if (method_of(ours->format) != OR)
		surface_look_straight(ours);
	return r;
}

static uint32_t cursor_pixel(const struct gtk_cursor *theirs, uint32_t x,
			     uint32_t y)
{
	const uint8_t *p = theirs->rgba + 4 * ((size_t)y * theirs->width + x);

	return (uint32_t)p[3] << 24 | (uint32_t)p[0] << 16 |
	       (uint32_t)p[1] << 8 | p[2];
}

/* Where nothing is shown the colour does not matter. */
static bool same_cursor_pixel(uint32_t ours, uint32_t theirs)
{
	return ours == theirs || !(ours >> 24 | theirs >> 24);
}

static int compare_shape(const struct gtk_cursor *theirs,
			 const struct cursor *ours, struct error *error)
{
	for (uint32_t y = 0; y < theirs->height; y++)
		for (uint32_t x = 0; x < theirs->width; x++) {
			uint32_t a = image_row(ours->shape, y)[x];
			uint32_t b = cursor_pixel(theirs, x, y);

			if (!same_cursor_pixel(a, b))
				return error_set(error, ERANGE,
						 "pointer, pixel (%u, %u): "
						 "ours is %#x, the client's "
						 "%#x",
						 x, y, a, b);
		}
	return 0;
}

int surfaces_compare_cursor(struct gtk_channel *gtk, const struct cursor *ours,
			    struct error *error)
{
	struct gtk_cursor theirs;

	/*
	 * Shapes that the client can't read it shows as an arrow; and it
	 * shows what is set as invisible until it is told to hide it.
	 */
	if (!gtk_channel_cursor(gtk, &theirs) || !ours->visible)
		return 0;
	if (!ours->shape)
		return error_set(error, ERANGE,
				 "the client shows a pointer, we don't");
	if (ours->shape->width != theirs.width ||
	    ours->shape->height != theirs.height ||
	    ours->hot_x != (int32_t)theirs.hot_x ||
	    ours->hot_y != (int32_t)theirs.hot_y)
		return error_set(error, ERANGE,
				 "the pointer is %ux%u at %d, %d here, and "
				 "%ux%u at %u, %u there",
				 ours->shape->width, ours->shape->height,
				 ours->hot_x, ours->hot_y, theirs.width,
				 theirs.height, theirs.hot_x, theirs.hot_y);
	return compare_shape(&theirs, ours, error);
}
