/* Decodes a capture up to a moment and keeps what the screen shows. */
#include "recorder/picture.h"

#include <stdlib.h>

#include "recorder/screen.h"

static int decode_until(struct capture_reader *reader, struct decoder *decoder,
			int64_t at, struct error *error)
{
	struct capture_item item;
	uint64_t first = 0;
	int r;

	while ((r = capture_reader_next(reader, &item, error)) == 1) {
		if (!first)
			first = item.time;
		if (at < 0 ||
		    (at != PICTURE_AT_END && item.time - first > (uint64_t)at))
			return 0;
		r = decoder_feed(decoder, &item, error);
		if (r)
			return r;
	}
	if (r && (r != -EBADMSG || !first))
		return r;
	return decoder_finish(decoder, error);
}

static struct picture *picture_new(uint32_t width, uint32_t height)
{
	struct picture *p = calloc(1, sizeof(*p));

	if (p)
		p->rgb = malloc((size_t)width * height * 3);
	if (!p || !p->rgb) {
		free(p);
		return NULL;
	}
	p->width = width;
	p->height = height;
	return p;
}

void picture_free(struct picture *p)
{
	if (!p)
		return;
	free(p->rgb);
	free(p);
}

static int take(struct screen *screen, struct picture *p, struct error *error)
{
	uint32_t *space = malloc(p->width * sizeof(*space));
	pixman_region32_t changed;
	uint8_t *out = p->rgb;

	if (!space)
		return error_set(error, ENOMEM, "no memory for a picture");
	pixman_region32_init(&changed);
	screen_update(screen, &changed);
	pixman_region32_fini(&changed);
	for (uint32_t y = 0; y < p->height; y++) {
		const uint32_t *row = screen_row(screen, 0, y, p->width, space);

		for (uint32_t x = 0; x < p->width; x++) {
			*out++ = row[x] >> 16 & 255;
			*out++ = row[x] >> 8 & 255;
			*out++ = row[x] & 255;
		}
	}
	free(space);
	return 0;
}

static int take_picture(struct decoder *decoder, unsigned monitor, bool cursor,
			struct picture **picture, struct error *error)
{
	struct screen *screen;
	uint32_t width, height;
	struct picture *p;
	int r;

	screen_monitor_size(decoder, monitor, &width, &height);
	if (!width || !height)
		return error_set(error, ENODATA,
				 "the session shows no picture%s "
				 "at that time",
				 monitor ? " on that monitor" : "");
	if ((uint64_t)width * height > PICTURE_PIXELS_MAX)
		return error_set(error, EMSGSIZE,
				 "a picture of %u x %u pixels is too large; "
				 "take one monitor",
				 width, height);
	r = screen_new(&screen, decoder, width, height, cursor, error);
	if (r)
		return r;
	screen_set_monitor(screen, monitor);
	p = picture_new(width, height);
	r = p ? take(screen, p, error)
	      : error_set(error, ENOMEM, "no memory for a picture");
	screen_free(screen);
	if (r)
		picture_free(p);
	else
		*picture = p;
	return r;
}

int picture_render(int capture_fd, int64_t at, unsigned monitor, bool cursor,
		   struct picture **picture, struct error *error)
{
	struct decoder_options options = {0};
	struct capture_reader *reader;
	struct decoder *decoder = NULL;
	int r;

	*picture = NULL;
	r = capture_reader_new(&reader, capture_fd, error);
	if (r)
		return r;
	r = decoder_new(&decoder, &options, error);
	if (!r)
		r = decode_until(reader, decoder, at, error);
	if (!r)
		r = take_picture(decoder, monitor, cursor, picture, error);
	decoder_free(decoder);
	capture_reader_free(reader);
	return r;
}

int picture_write_ppm(const struct picture *p, FILE *file, struct error *error)
{
	fprintf(file, "P6\n%u %u\n255\n", p->width, p->height);
	fwrite(p->rgb, 3, (size_t)p->width * p->height, file);
	if (fflush(file) || ferror(file))
		return error_errno(error, EIO, "cannot write a picture");
	return 0;
}
