/* A picture of 32-bit pixels: memory, references, turning over. */
#include "recorder/image.h"

#include <stdlib.h>
#include <string.h>

static _Thread_local uint64_t pixels_made;

uint64_t image_pixels_made(void)
{
	return pixels_made;
}

static int check_size(uint32_t width, uint32_t height, struct error *error)
{
	if (!width || !height || width > IMAGE_SIDE_MAX ||
	    height > IMAGE_SIDE_MAX ||
	    (uint64_t)width * height > IMAGE_PIXELS_MAX)
		return error_set(error, EMSGSIZE,
				 "an image of %u x %u pixels is out of bounds",
				 width, height);
	return 0;
}

int image_new_borrowed(struct image **out, uint32_t *pixels, uint32_t width,
		       uint32_t height, enum image_format format,
		       struct error *error)
{
	struct image *image;
	int r = check_size(width, height, error);

	*out = NULL;
	if (r)
		return r;
	image = calloc(1, sizeof(*image));
	if (!image)
		return error_set(error, ENOMEM, "no memory for an image");
	image->refs = 1;
	image->format = format;
	image->width = width;
	image->height = height;
	image->stride = width;
	image->pixels = pixels;
	image->borrowed = true;
	*out = image;
	return 0;
}

int image_new(struct image **out, uint32_t width, uint32_t height,
	      enum image_format format, struct error *error)
{
	struct image *image;
	int r = image_new_borrowed(&image, NULL, width, height, format, error);

	*out = NULL;
	if (r)
		return r;
	image->borrowed = false;
	pixels_made += (uint64_t)width * height;
	image->pixels = calloc((size_t)width * height, sizeof(uint32_t));
	if (!image->pixels) {
		free(image);
		return error_set(error, ENOMEM,
				 "no memory for an image of %u x %u pixels",
				 width, height);
	}
	*out = image;
	return 0;
}

struct image *image_ref(struct image *image)
{
	image->refs++;
	return image;
}

void image_unref(struct image *image)
{
	if (!image || --image->refs)
		return;
	if (!image->borrowed)
		free(image->pixels);
	free(image);
}

void image_flip(struct image *image)
{
	uint32_t *top = image->pixels;
	uint32_t *low = image_row(image, image->height - 1);

	for (; top < low; top += image->stride, low -= image->stride)
		for (uint32_t x = 0; x < image->width; x++) {
			uint32_t pixel = top[x];

			top[x] = low[x];
			low[x] = pixel;
		}
}

int image_copy(struct image **copy, const struct image *image,
	       struct error *error)
{
	int r = image_new(copy, image->width, image->height, image->format,
			  error);

	if (r)
		return r;
	(*copy)->lossy = image->lossy;
	for (uint32_t y = 0; y < image->height; y++)
		memcpy(image_row(*copy, y), image_row(image, y),
		       image->width * sizeof(uint32_t));
	return 0;
}
