/* Image descriptors and every codec on arbitrary bytes. */
#include "recorder/image_reader.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int no_surface(void *user, uint32_t id, struct image **image,
		      struct error *error)
{
	(void)user;
	*image = NULL;
	return error_set(error, EBADMSG, "no surface %u", id);
}

/* Two images, so that the second can refer to the first. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image_reader reader = {.surface = no_surface};
	struct image *image;
	struct error error;
	size_t half;

	if (size < 2)
		return 0;
	if (image_cache_new(&reader.images, IMAGE_CACHE_PIXELS, &error) ||
	    glz_window_new(&reader.window, &error))
		abort();
	half = (size - 1) * data[0] / 255;
	image_read(&reader, bytes_of(data, half + 1), 1, &image, &error);
	image_reader_commit(&reader, true, &error);
	image_unref(image);
	image_read(&reader, bytes_of(data + half, size - half), 1, &image,
		   &error);
	image_unref(image);
	image_read_mask(&reader, bytes_of(data, size), 1, data[0] & 1, &image,
			&error);
	image_unref(image);
	image_reader_clear(&reader);
	image_cache_free(reader.images);
	glz_window_free(reader.window);
	return 0;
}
