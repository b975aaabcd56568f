/*
 * JPEG images and video frames, by libjpeg-turbo with the settings that
 * SPICE's own client uses for each of the two.
 */
#include "recorder/image_codecs.h"
#include "recorder/image_lz.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

struct jpeg_trouble {
	struct jpeg_error_mgr base;
	jmp_buf back;
	char text[JMSG_LENGTH_MAX];
};

static void give_up(j_common_ptr info)
{
	struct jpeg_trouble *t = (struct jpeg_trouble *)info->err;

	info->err->format_message(info, t->text);
	longjmp(t->back, 1);
}

/* Warnings about damaged data: the frame is shown as far as it goes. */
static void say_nothing(j_common_ptr info, int level)
{
	(void)info;
	(void)level;
}

static void read_rows(struct jpeg_decompress_struct *d, struct image *image)
{
	while (d->output_scanline < d->output_height) {
		JSAMPROW rows[8];
		unsigned n = 0;

		for (; n < 8 && d->output_scanline + n < d->output_height; n++)
			rows[n] = (JSAMPROW)image_row(image,
						      d->output_scanline + n);
		if (!jpeg_read_scanlines(d, rows, n))
			break;
	}
}

int jpeg_decode(struct bytes in, enum jpeg_use use, struct image **out,
		struct error *error)
{
	struct jpeg_decompress_struct d;
	struct jpeg_trouble trouble;
	struct image *volatile image = NULL;
	volatile int r = 0;

	*out = NULL;
	d.err = jpeg_std_error(&trouble.base);
	trouble.base.error_exit = give_up;
	trouble.base.emit_message = say_nothing;
	if (setjmp(trouble.back)) {
		jpeg_destroy_decompress(&d);
		image_unref(image);
		return r ? r
			 : error_set(error, EBADMSG,
				     "a JPEG image is damaged: %s",
				     trouble.text);
	}
	jpeg_create_decompress(&d);
	jpeg_mem_src(&d, in.data + in.at, bytes_left(&in));
	jpeg_read_header(&d, TRUE);
	if (d.progressive_mode || jpeg_has_multiple_scans(&d))
		r = error_set(error, EBADMSG,
			      "a JPEG image of several scans, which no server "
			      "sends");
	if (!r) {
		struct image *fresh;

		r = image_new(&fresh, d.image_width, d.image_height, IMAGE_XRGB,
			      error);
		image = r ? NULL : fresh;
	}
	if (!r) {
		if (use == JPEG_FRAME) {
			d.dct_method = JDCT_IFAST;
			d.do_fancy_upsampling = FALSE;
		}
		d.out_color_space = JCS_EXT_BGRX;
		jpeg_start_decompress(&d);
		read_rows(&d, image);
	}
	jpeg_destroy_decompress(&d);
	if (r)
		return r;
	image->lossy = true;
	*out = image;
	return 0;
}

int jpeg_alpha_decode(struct bytes in, uint32_t jpeg_size, struct image **out,
		      struct error *error)
{
	const uint8_t *jpeg = bytes_take(&in, jpeg_size);
	struct image *image;
	int r;

	*out = NULL;
	if (!jpeg)
		return error_set(error, EBADMSG,
				 "a JPEG image with alpha is cut short");
	r = jpeg_decode(bytes_of(jpeg, jpeg_size), JPEG_IMAGE, &image, error);
	if (r)
		return r;
	r = lz_decode_alpha(in, image, error);
	if (r) {
		image_unref(image);
		return r;
	}
	image->format = IMAGE_ARGB;
	*out = image;
	return 0;
}
