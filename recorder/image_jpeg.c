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

#include <jerror.h>

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

/* Of the picture's size: what there is or a new one. */
static int make_room(const struct jpeg_decompress_struct *d,
		     struct image **image, struct error *error)
{
	struct image *i = *image;

	if (i && i->refs == 1 && i->width == d->image_width &&
	    i->height == d->image_height)
		return 0;
	image_unref(i);
	*image = NULL;
	return image_new(image, d->image_width, d->image_height, IMAGE_XRGB,
			 error);
}

static int decode(struct bytes in, enum jpeg_use use, struct image **image,
		  struct error *error)
{
	struct jpeg_decompress_struct d;
	struct jpeg_trouble trouble;
	volatile int r = 0;

	d.err = jpeg_std_error(&trouble.base);
	trouble.base.error_exit = give_up;
	trouble.base.emit_message = say_nothing;
	if (setjmp(trouble.back)) {
		jpeg_destroy_decompress(&d);
		if (trouble.base.msg_code == JERR_OUT_OF_MEMORY)
			return error_set(error, ENOMEM,
					 "no memory for a JPEG image");
		return error_set(error, EBADMSG, "a JPEG image is damaged: %s",
				 trouble.text);
	}
	jpeg_create_decompress(&d);
	jpeg_mem_src(&d, in.data + in.at, bytes_left(&in));
	jpeg_read_header(&d, TRUE);
	if (d.progressive_mode || jpeg_has_multiple_scans(&d))
		r = error_set(error, EBADMSG,
			      "a JPEG image of several scans, which no server "
			      "sends");
	if (!r)
		r = make_room(&d, image, error);
	if (!r) {
		if (use == JPEG_FRAME) {
			d.dct_method = JDCT_IFAST;
			d.do_fancy_upsampling = FALSE;
		}
		d.out_color_space = JCS_EXT_BGRX;
		jpeg_start_decompress(&d);
		read_rows(&d, *image);
		(*image)->lossy = true;
	}
	jpeg_destroy_decompress(&d);
	return r;
}

int jpeg_decode(struct bytes in, enum jpeg_use use, struct image **image,
		struct error *error)
{
	int r;

	*image = NULL;
	r = decode(in, use, image, error);
	if (r) {
		image_unref(*image);
		*image = NULL;
	}
	return r;
}

int jpeg_decode_frame(struct bytes in, struct image **image,
		      struct error *error)
{
	return decode(in, JPEG_FRAME, image, error);
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
