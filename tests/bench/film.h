/*
 * A film in a window of the desktop: a stream of JPEG frames as spice-server
 * makes them (libjpeg, quality 85, 4:2:0), and the same frames in a file of
 * their own for the ffmpeg command.
 */
#ifndef TESTS_BENCH_FILM_H
#define TESTS_BENCH_FILM_H

#include <stdio.h>

#include <jpeglib.h>

#include "tests/bench/desktop.h"

#define FILM_W 1280
#define FILM_H 720
#define FILM_FPS 25
#define FILM_QUALITY 85
#define FILM_PICTURES 250 /* shown to and fro */

static const struct box film_box = {320, 180, FILM_W, FILM_H};

struct film {
	uint8_t *jpegs[FILM_PICTURES];
	unsigned long sizes[FILM_PICTURES];
};

static void film_compress(struct film *f, int i, uint8_t *pixels)
{
	struct jpeg_compress_struct c;
	struct jpeg_error_mgr errors;

	c.err = jpeg_std_error(&errors);
	jpeg_create_compress(&c);
	jpeg_mem_dest(&c, &f->jpegs[i], &f->sizes[i]);
	c.image_width = FILM_W;
	c.image_height = FILM_H;
	c.input_components = 4;
	c.in_color_space = JCS_EXT_BGRX;
	jpeg_set_defaults(&c);
	jpeg_set_quality(&c, FILM_QUALITY, TRUE);
	jpeg_start_compress(&c, TRUE);
	while (c.next_scanline < FILM_H) {
		JSAMPROW row = pixels + (size_t)c.next_scanline * FILM_W * 4;

		jpeg_write_scanlines(&c, &row, 1);
	}
	jpeg_finish_compress(&c);
	jpeg_destroy_compress(&c);
}

/* A zoom into a landscape without end, as soft as a film is. */
static void film_make(struct film *f)
{
	FILE *in = popen("ffmpeg -nostdin -v error -f lavfi -i "
			 "mandelbrot=s=1280x720:r=25:start_scale=0.6:"
			 "end_scale=0.002:end_pts=500:maxiter=1500 "
			 "-vf gblur=1.6 "
			 "-frames:v 250 -f rawvideo -pix_fmt bgr0 -",
			 "r");
	size_t size = (size_t)FILM_W * FILM_H * 4;
	uint8_t *pixels = malloc(size);

	must(in && pixels, "starting ffmpeg");
	for (int i = 0; i < FILM_PICTURES; i++) {
		must(fread(pixels, 1, size, in) == size, "ffmpeg");
		film_compress(f, i, pixels);
	}
	pclose(in);
	free(pixels);
}

static int film_picture(unsigned frame)
{
	unsigned i = frame % (2 * FILM_PICTURES);

	return (int)(i < FILM_PICTURES ? i : 2 * FILM_PICTURES - 1 - i);
}

static void film_open(struct recording *r)
{
	struct buffer b = {0};
	const uint32_t sizes[] = {FILM_W, FILM_H, FILM_W, FILM_H};

	buffer_put_le32(&b, 0);
	buffer_put_le32(&b, 0);
	buffer_put_u8(&b, 1); /* top-down */
	buffer_put_u8(&b, 1); /* MJPEG */
	buffer_put_le64(&b, 0);
	for (int i = 0; i < 4; i++)
		buffer_put_le32(&b, sizes[i]);
	put_rect(&b, film_box);
	buffer_put_u8(&b, 0);
	recording_send(r, r->display, 122, &b);
}

static void film_frame(const struct film *f, struct recording *r,
		       unsigned frame, FILE *copy)
{
	int i = film_picture(frame);
	struct buffer b = {0};

	buffer_put_le32(&b, 0);
	buffer_put_le32(&b, (uint32_t)(r->now / MS) + 400);
	buffer_put_le32(&b, (uint32_t)f->sizes[i]);
	buffer_put(&b, f->jpegs[i], f->sizes[i]);
	recording_send(r, r->display, 123, &b);
	must(fwrite(f->jpegs[i], f->sizes[i], 1, copy) == 1, "writing");
}

static void film_free(struct film *f)
{
	for (int i = 0; i < FILM_PICTURES; i++)
		free(f->jpegs[i]);
}

#endif
