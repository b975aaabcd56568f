/* The screen through DRM/KMS ioctls (drm(7)) and QXL's drawing commands. */
#include "screen.h"

#include <drm.h>
#include <drm_mode.h>
#include <qxl_drm.h>
#include <spice/macros.h>
#include <spice/qxl_dev.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kd.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* The console's own font: no other is at hand. */
static int load_font(struct screen *s)
{
	static uint8_t glyphs[512][32];
	struct console_font_op op = {.op = KD_FONT_OP_GET,
				     .width = 32,
				     .height = 32,
				     .charcount = 512,
				     .data = glyphs[0]};
	int fd = open("/dev/tty0", O_RDWR | O_CLOEXEC);
	int error;

	if (fd < 0)
		return -errno;
	error = ioctl(fd, KDFONTOP, &op) ? -errno : 0;
	close(fd);
	if (!error && (op.width != 8 || op.height != 16))
		error = -ENOTSUP;
	for (int i = 0; !error && i < 256; i++)
		memcpy(s->font[i], glyphs[i], 16);
	return error;
}

int screen_open(struct screen *s)
{
	char name[16] = "";
	struct drm_version version = {.name = name, .name_len = 15};
	int error;

	s->fd = open("/dev/dri/card0", O_RDWR | O_CLOEXEC);
	if (s->fd < 0)
		return -errno;
	if (ioctl(s->fd, DRM_IOCTL_VERSION, &version) == 0)
		s->qxl = strcmp(name, "qxl") == 0;
	error = load_font(s);
	error = error ? error : screen_connect(s);
	return error < 0 ? error : 0;
}

/* The mode to set on a connected connector; false if there is none. */
static bool probe(struct screen *s, uint32_t connector,
		  struct drm_mode_modeinfo *mode)
{
	struct drm_mode_modeinfo modes[96];
	struct drm_mode_get_connector c = {.connector_id = connector};

	/* The first call, with no room, makes the driver look anew. */
	if (ioctl(s->fd, DRM_IOCTL_MODE_GETCONNECTOR, &c) || c.connection != 1)
		return false;
	c.count_props = c.count_encoders = 0;
	c.modes_ptr = (uintptr_t)modes;
	if (c.count_modes > 96)
		c.count_modes = 96;
	if (ioctl(s->fd, DRM_IOCTL_MODE_GETCONNECTOR, &c))
		return false;
	for (uint32_t i = 0; i < c.count_modes && i < 96; i++)
		if (modes[i].hdisplay == HEAD_WIDTH &&
		    modes[i].vdisplay == HEAD_HEIGHT) {
			*mode = modes[i];
			return true;
		}
	return false;
}

/* Connected heads, in the order of their connectors. */
static int find_heads(struct screen *s, struct head *heads)
{
	uint32_t crtcs[16], connectors[16];
	struct drm_mode_card_res r = {.crtc_id_ptr = (uintptr_t)crtcs,
				      .connector_id_ptr = (uintptr_t)connectors,
				      .count_crtcs = 16,
				      .count_connectors = 16};
	struct drm_mode_modeinfo mode;
	int n = 0;

	if (ioctl(s->fd, DRM_IOCTL_MODE_GETRESOURCES, &r))
		return -errno;
	for (uint32_t i = 0;
	     i < r.count_connectors && i < r.count_crtcs && n < HEADS_MAX;
	     i++) {
		heads[n] = (struct head){.connector = connectors[i],
					 .crtc = crtcs[i]};
		n += probe(s, connectors[i], &mode);
	}
	return n;
}

static void drop_head(struct screen *s, struct head *h)
{
	struct drm_mode_destroy_dumb destroy = {.handle = h->buffer};

	if (!h->buffer)
		return;
	ioctl(s->fd, DRM_IOCTL_MODE_RMFB, &h->framebuffer);
	munmap(h->pixels, h->size);
	ioctl(s->fd, DRM_IOCTL_MODE_DESTROY_DUMB, &destroy);
	h->buffer = 0;
}

/* Maps a dumb buffer; NULL with errno set. */
static uint32_t *map_dumb(int fd, struct drm_mode_create_dumb *c)
{
	struct drm_mode_map_dumb map = {0};
	void *p;

	if (ioctl(fd, DRM_IOCTL_MODE_CREATE_DUMB, c))
		return NULL;
	map.handle = c->handle;
	if (ioctl(fd, DRM_IOCTL_MODE_MAP_DUMB, &map))
		return NULL;
	p = mmap(NULL, c->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		 (off_t)map.offset);
	return p == MAP_FAILED ? NULL : p;
}

static int make_head(struct screen *s, struct head *h)
{
	struct drm_mode_create_dumb c = {
		.width = HEAD_WIDTH, .height = HEAD_HEIGHT, .bpp = 32};
	struct drm_mode_fb_cmd fb = {
		.width = c.width, .height = c.height, .bpp = 32, .depth = 24};

	h->pixels = map_dumb(s->fd, &c);
	if (!h->pixels)
		return -errno;
	fb.pitch = c.pitch;
	fb.handle = c.handle;
	if (ioctl(s->fd, DRM_IOCTL_MODE_ADDFB, &fb))
		return -errno;
	h->buffer = c.handle;
	h->size = c.size;
	h->framebuffer = fb.fb_id;
	s->stride = (int)c.pitch / 4;
	return 0;
}

int screen_connect(struct screen *s)
{
	struct head heads[HEADS_MAX];
	int n = find_heads(s, heads), error = 0;

	if (n < 0 || n == s->heads)
		return n < 0 ? n : 0;
	if (n == 0)
		return s->heads ? 0 : -ENODEV;
	for (int i = 0; i < s->heads; i++)
		drop_head(s, &s->head[i]);
	for (int i = 0; i < n && !error; i++) {
		s->head[i] = heads[i];
		error = make_head(s, &s->head[i]);
	}
	s->heads = error ? 0 : n;
	screen_select(s, 0);
	return error ? error : 1;
}

void screen_select(struct screen *s, int head)
{
	s->pixels = s->head[head].pixels;
}

/* The qxl driver makes its primary surface anew, and empty, for each head
 * that comes; so all are set once more when it has its size. */
void screen_show(struct screen *s)
{
	int rounds = s->heads > 1 ? 2 * s->heads : 1;

	for (int i = 0; i < rounds; i++) {
		struct head *h = &s->head[i % s->heads];
		struct drm_mode_crtc c = {.set_connectors_ptr =
						  (uintptr_t)&h->connector,
					  .count_connectors = 1,
					  .crtc_id = h->crtc,
					  .fb_id = h->framebuffer,
					  .mode_valid = 1};

		if (probe(s, h->connector, &c.mode))
			ioctl(s->fd, DRM_IOCTL_MODE_SETCRTC, &c);
	}
}

void screen_flush(struct screen *s, struct rect r)
{
	struct drm_clip_rect clip = {
		.x1 = (uint16_t)r.x,
		.y1 = (uint16_t)r.y,
		.x2 = (uint16_t)(r.x + r.width),
		.y2 = (uint16_t)(r.y + r.height),
	};
	struct drm_mode_fb_dirty_cmd dirty = {
		.fb_id = s->head[0].framebuffer,
		.num_clips = 1,
		.clips_ptr = (uintptr_t)&clip,
	};

	ioctl(s->fd, DRM_IOCTL_MODE_DIRTYFB, &dirty);
}

void screen_box(struct screen *s, struct rect r, uint32_t colour)
{
	for (int y = r.y; y < r.y + r.height; y++) {
		uint32_t *row = s->pixels + y * s->stride;

		for (int x = r.x; x < r.x + r.width; x++)
			row[x] = colour;
	}
}

static uint32_t blend(uint32_t a, uint32_t b, int part, int whole)
{
	uint32_t out = 0;

	for (int shift = 0; shift < 24; shift += 8) {
		int from = a >> shift & 0xff, to = b >> shift & 0xff;

		out |= (uint32_t)(from + (to - from) * part / whole) << shift;
	}
	return out;
}

void screen_gradient(struct screen *s, struct rect r, uint32_t top,
		     uint32_t bottom)
{
	for (int y = 0; y < r.height; y++)
		screen_box(s, (struct rect){r.x, r.y + y, r.width, 1},
			   blend(top, bottom, y, r.height));
}

void screen_text(struct screen *s, int x, int y, int scale, uint32_t colour,
		 const char *text)
{
	for (; *text && x + 8 * scale <= HEAD_WIDTH; text++, x += 8 * scale) {
		const uint8_t *glyph = s->font[(uint8_t)*text];

		for (int i = 0; i < 16 * 8; i++)
			if (glyph[i / 8] >> (7 - i % 8) & 1)
				screen_box(s,
					   (struct rect){x + i % 8 * scale,
							 y + i / 8 * scale,
							 scale, scale},
					   colour);
	}
}

/* Hands a drawing command to the device, which draws on its primary surface;
 * the framebuffer must get the same by other means. */
static int draw(struct screen *s, QXLDrawable *d)
{
	struct drm_qxl_command command = {
		.command = (uintptr_t)d + sizeof(d->release_info),
		.type = QXL_CMD_DRAW,
		.command_size = sizeof(*d) - sizeof(d->release_info),
	};
	struct drm_qxl_execbuffer e = {.commands_num = 1,
				       .commands = (uintptr_t)&command};

	if (!s->qxl)
		return -ENOTSUP;
	d->effect = QXL_EFFECT_OPAQUE;
	for (int i = 0; i < 3; i++)
		d->surfaces_dest[i] = -1;
	return ioctl(s->fd, DRM_IOCTL_QXL_EXECBUFFER, &e) ? -errno : 0;
}

static QXLRect qxl_rect(struct rect r)
{
	return (QXLRect){.left = r.x,
			 .top = r.y,
			 .right = r.x + r.width,
			 .bottom = r.y + r.height};
}

void screen_fill(struct screen *s, struct rect r, uint32_t colour)
{
	QXLDrawable d = {.type = QXL_DRAW_FILL, .bbox = qxl_rect(r)};

	if (r.width <= 0 || r.height <= 0)
		return;
	d.u.fill.brush.type = SPICE_BRUSH_TYPE_SOLID;
	d.u.fill.brush.u.color = colour;
	d.u.fill.rop_descriptor = SPICE_ROPD_OP_PUT;
	screen_box(s, r, colour);
	if (draw(s, &d) != 0)
		screen_flush(s, r);
}

void screen_scroll_up(struct screen *s, struct rect r, int rows)
{
	struct rect to = {r.x, r.y, r.width, r.height - rows};
	QXLDrawable d = {.type = QXL_COPY_BITS, .bbox = qxl_rect(to)};

	d.u.copy_bits.src_pos = (QXLPoint){.x = r.x, .y = r.y + rows};
	for (int y = to.y; y < to.y + to.height; y++)
		memmove(s->pixels + y * s->stride + to.x,
			s->pixels + (y + rows) * s->stride + to.x,
			(size_t)to.width * 4);
	if (draw(s, &d) != 0)
		screen_flush(s, to);
}

void screen_cursor_shape(struct screen *s, const uint32_t *argb)
{
	struct drm_mode_create_dumb c = {.width = 64, .height = 64, .bpp = 32};
	struct drm_mode_cursor cursor = {.flags = DRM_MODE_CURSOR_BO,
					 .crtc_id = s->head[0].crtc,
					 .width = 64,
					 .height = 64};
	uint32_t *p;

	if (!s->cursor) {
		p = map_dumb(s->fd, &c);
		if (!p)
			return;
		memcpy(p, argb, 64 * 64 * 4);
		munmap(p, c.size);
		s->cursor = c.handle;
	}
	cursor.handle = s->cursor;
	ioctl(s->fd, DRM_IOCTL_MODE_CURSOR, &cursor);
}

void screen_cursor_move(struct screen *s, int x, int y)
{
	struct drm_mode_cursor cursor = {.flags = DRM_MODE_CURSOR_MOVE,
					 .crtc_id = s->head[0].crtc,
					 .x = x,
					 .y = y};

	ioctl(s->fd, DRM_IOCTL_MODE_CURSOR, &cursor);
}
