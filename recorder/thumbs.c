/* Tiles by averaging, as JPEG by libjpeg; their times as WebVTT. */
#include "recorder/thumbs.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* behind stdio.h, whose FILE it needs */
#include <jpeglib.h>

#define SECOND 1000000000ull
#define QUALITY 70
#define SAMPLES 4 /* pixels in a row, and rows, that make one of a tile */
#define CUE_SIZE 96

struct thumbs {
	uint32_t width, height;           /* of the video */
	uint32_t tile_width, tile_height; /* px */
	uint64_t interval, duration;      /* ns */
	unsigned count, taken;
	uint8_t *rgb; /* the sheet */
	uint32_t *space;
};

static uint64_t choose_interval(uint64_t duration)
{
	static const unsigned nice[] = {1,  2,   5,   10,  15,   20,   30,
					60, 120, 300, 600, 1200, 1800, 3600};
	const unsigned last = sizeof(nice) / sizeof(*nice) - 1;
	uint64_t least = duration / THUMBS_MAX, hours;

	for (unsigned i = 0; i <= last; i++)
		if (nice[i] * SECOND > least)
			return nice[i] * SECOND;
	hours = least / (nice[last] * SECOND) + 1;
	return hours * nice[last] * SECOND;
}

static unsigned columns(const struct thumbs *t)
{
	return t->count < THUMBS_COLUMNS ? t->count : THUMBS_COLUMNS;
}

static unsigned rows(const struct thumbs *t)
{
	return (t->count + THUMBS_COLUMNS - 1) / THUMBS_COLUMNS;
}

int thumbs_new(struct thumbs **thumbs, uint32_t width, uint32_t height,
	       uint64_t duration, struct error *error)
{
	struct thumbs *t = calloc(1, sizeof(*t));

	*thumbs = t;
	if (!t)
		return error_set(error, ENOMEM, "no memory for thumbnails");
	t->width = width;
	t->height = height;
	t->duration = duration;
	t->interval = choose_interval(duration);
	t->count = (unsigned)(duration / t->interval) + 1;
	if (t->count > 1 && duration % t->interval == 0)
		t->count--;
	t->tile_width = THUMBS_WIDTH;
	t->tile_height = height * THUMBS_WIDTH / width;
	if (t->tile_height > THUMBS_HEIGHT) {
		t->tile_height = THUMBS_HEIGHT;
		t->tile_width = width * THUMBS_HEIGHT / height;
	}
	t->tile_width = t->tile_width ? t->tile_width : 1;
	t->tile_height = t->tile_height ? t->tile_height : 1;
	t->rgb = calloc((size_t)columns(t) * rows(t) * t->tile_width,
			(size_t)t->tile_height * 3);
	t->space = malloc(width * sizeof(*t->space));
	if (t->rgb && t->space)
		return 0;
	thumbs_free(t);
	*thumbs = NULL;
	return error_set(error, ENOMEM, "no memory for thumbnails");
}

void thumbs_free(struct thumbs *t)
{
	if (!t)
		return;
	free(t->rgb);
	free(t->space);
	free(t);
}

uint64_t thumbs_next(const struct thumbs *t)
{
	uint64_t begin = t->taken * t->interval, left = t->duration - begin;

	if (t->taken == t->count)
		return UINT64_MAX;
	return begin + (left < t->interval ? left : t->interval) / 2;
}

static size_t stride(const struct thumbs *t)
{
	return (size_t)columns(t) * t->tile_width * 3;
}

/* Adds a row of the screen to sums of a row of the tile. */
static void add_row(const struct thumbs *t, const uint32_t *row,
		    uint32_t (*sums)[3])
{
	for (uint32_t x = 0; x < t->tile_width; x++)
		for (uint32_t i = 0; i < SAMPLES; i++) {
			uint64_t at = ((uint64_t)x * SAMPLES + i) * t->width /
				      ((uint64_t)t->tile_width * SAMPLES);

			sums[x][0] += row[at] >> 16 & 255;
			sums[x][1] += row[at] >> 8 & 255;
			sums[x][2] += row[at] & 255;
		}
}

void thumbs_take(struct thumbs *t, const struct screen *screen)
{
	unsigned column = t->taken % THUMBS_COLUMNS;
	unsigned line = t->taken / THUMBS_COLUMNS;
	uint8_t *out = t->rgb + (size_t)line * t->tile_height * stride(t) +
		       (size_t)column * t->tile_width * 3;

	for (uint32_t y = 0; y < t->tile_height; y++, out += stride(t)) {
		uint32_t sums[THUMBS_WIDTH][3] = {{0}};

		for (uint32_t i = 0; i < SAMPLES; i++) {
			uint64_t at = ((uint64_t)y * SAMPLES + i) * t->height /
				      ((uint64_t)t->tile_height * SAMPLES);

			add_row(t,
				screen_row(screen, 0, (uint32_t)at, t->width,
					   t->space),
				sums);
		}
		for (uint32_t x = 0; x < t->tile_width; x++)
			for (unsigned c = 0; c < 3; c++)
				out[x * 3 + c] = (uint8_t)(sums[x][c] /
							   (SAMPLES * SAMPLES));
	}
	t->taken++;
}

struct failure {
	struct jpeg_error_mgr base;
	jmp_buf out;
};

static void fail(j_common_ptr info)
{
	longjmp(((struct failure *)info->err)->out, 1);
}

static int compress(const struct thumbs *t, unsigned char **data,
		    unsigned long *size, struct error *error)
{
	struct jpeg_compress_struct jpeg = {0};
	struct failure failure;

	*data = NULL;
	jpeg.err = jpeg_std_error(&failure.base);
	failure.base.error_exit = fail;
	if (setjmp(failure.out)) {
		jpeg_destroy_compress(&jpeg);
		return error_set(error, ENOMEM, "no memory for thumbnails");
	}
	jpeg_create_compress(&jpeg);
	jpeg_mem_dest(&jpeg, data, size);
	jpeg.image_width = columns(t) * t->tile_width;
	jpeg.image_height = rows(t) * t->tile_height;
	jpeg.input_components = 3;
	jpeg.in_color_space = JCS_RGB;
	jpeg_set_defaults(&jpeg);
	jpeg_set_quality(&jpeg, QUALITY, TRUE);
	jpeg_start_compress(&jpeg, TRUE);
	while (jpeg.next_scanline < jpeg.image_height) {
		JSAMPROW row = t->rgb + jpeg.next_scanline * stride(t);

		jpeg_write_scanlines(&jpeg, &row, 1);
	}
	jpeg_finish_compress(&jpeg);
	jpeg_destroy_compress(&jpeg);
	return 0;
}

static int write_all(int fd, const void *data, size_t size, struct error *error)
{
	const uint8_t *at = data;
	off_t offset = 0;

	while (size) {
		ssize_t n = pwrite(fd, at, size, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_errno(error, n ? errno : EIO,
					   "cannot write thumbnails");
		at += n;
		offset += n;
		size -= (size_t)n;
	}
	return 0;
}

static int put_time(char *to, size_t size, uint64_t ns)
{
	uint64_t ms = ns / 1000000;

	return snprintf(to, size, "%02u:%02u:%02u.%03u",
			(unsigned)(ms / 3600000), (unsigned)(ms / 60000 % 60),
			(unsigned)(ms / 1000 % 60), (unsigned)(ms % 1000));
}

static int write_vtt(const struct thumbs *t, int fd, struct error *error)
{
	char *text = malloc((size_t)(t->count + 1) * CUE_SIZE);
	char from[24], to[24];
	int n, r;

	if (!text)
		return error_set(error, ENOMEM, "no memory for thumbnails");
	n = sprintf(text, "WEBVTT\n");
	for (unsigned i = 0; i < t->count; i++) {
		uint64_t end = (i + 1) * t->interval;

		put_time(from, sizeof(from), i * t->interval);
		put_time(to, sizeof(to), end < t->duration ? end : t->duration);
		n += snprintf(text + n, CUE_SIZE,
			      "\n%s --> %s\nthumbs.jpg#xywh=%u,%u,%u,%u\n",
			      from, to, i % THUMBS_COLUMNS * t->tile_width,
			      i / THUMBS_COLUMNS * t->tile_height,
			      t->tile_width, t->tile_height);
	}
	r = write_all(fd, text, (size_t)n, error);
	free(text);
	return r;
}

int thumbs_write(const struct thumbs *t, int jpeg_fd, int vtt_fd,
		 struct error *error)
{
	unsigned char *data;
	unsigned long size = 0;
	int r = compress(t, &data, &size, error);

	if (!r)
		r = write_all(jpeg_fd, data, size, error);
	free(data);
	return r ? r : write_vtt(t, vtt_fd, error);
}
