/*
 * A picture of 32-bit pixels: memory, references, turning over.
 *
 * Memory of large images is used again for the next ones: to get it from the
 * system page by page takes about as long as to decode an image. What is
 * kept is at most POOL_SLOTS images, POOL_PIXELS each.
 */
#include "recorder/image.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/pixels.h"

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
	image->own.filter = PIXMAN_FILTER_NEAREST;
	image->lens = &image->own;
	*out = image;
	return 0;
}

/*
 * Pixels begin 16 bytes off a multiple of 32: rows that are aligned to it
 * libjpeg-turbo writes past the cache, from where they are read again soon.
 * (Not by aligned_alloc, which can't use again the holes that it leaves.)
 */
static uint32_t *off_line(void *memory)
{
	return (uint32_t *)((((uintptr_t)memory + 15) & ~(uintptr_t)31) + 16);
}

#define POOL_SLOTS 4
#define POOL_PIXELS (4u << 20) /* 16 MiB */
#define POOL_LEAST (16u << 10) /* smaller ones are malloc's own */

/* Address sanitizers shall see what is used after it was freed. */
#if defined(__SANITIZE_ADDRESS__)
#define POOL_USED false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define POOL_USED false
#endif
#endif
#ifndef POOL_USED
#define POOL_USED true
#endif

static struct {
	pthread_mutex_t lock;
	void *memory[POOL_SLOTS];
	size_t room[POOL_SLOTS]; /* px; 0 = free slot */
	unsigned next;           /* to be replaced when all are full */
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool is_pooled(size_t room)
{
	return POOL_USED && room >= POOL_LEAST && room <= POOL_PIXELS;
}

/* Memory of *room px or up to twice as many, at off_line() in it. */
static void *take_memory(size_t *room)
{
	void *memory = NULL;

	if (is_pooled(*room)) {
		pthread_mutex_lock(&pool.lock);
		for (unsigned i = 0; i < POOL_SLOTS && !memory; i++)
			if (pool.room[i] >= *room &&
			    pool.room[i] / 2 <= *room) {
				memory = pool.memory[i];
				*room = pool.room[i];
				pool.room[i] = 0;
			}
		pthread_mutex_unlock(&pool.lock);
	}
	return memory ? memory : malloc(*room * sizeof(uint32_t) + 32);
}

static void give_memory(void *memory, size_t room)
{
	unsigned i = 0;

	if (is_pooled(room)) {
		void *old = NULL;

		pthread_mutex_lock(&pool.lock);
		while (i < POOL_SLOTS && pool.room[i])
			i++;
		if (i == POOL_SLOTS) {
			i = pool.next++ % POOL_SLOTS;
			old = pool.memory[i];
		}
		pool.memory[i] = memory;
		pool.room[i] = room;
		pthread_mutex_unlock(&pool.lock);
		memory = old;
	}
	free(memory);
}

int image_new_unset(struct image **out, uint32_t width, uint32_t height,
		    enum image_format format, struct error *error)
{
	struct image *image;
	int r = image_new_borrowed(&image, NULL, width, height, format, error);

	*out = NULL;
	if (r)
		return r;
	image->borrowed = false;
	pixels_made += (uint64_t)width * height;
	image->room = (size_t)width * height + PIXELS_SLACK;
	image->memory = take_memory(&image->room);
	if (!image->memory) {
		free(image);
		return error_set(error, ENOMEM,
				 "no memory for an image of %u x %u pixels",
				 width, height);
	}
	image->pixels = off_line(image->memory);
	*out = image;
	return 0;
}

int image_new(struct image **out, uint32_t width, uint32_t height,
	      enum image_format format, struct error *error)
{
	int r = image_new_unset(out, width, height, format, error);

	if (!r)
		memset((*out)->pixels, 0,
		       (size_t)width * height * sizeof(uint32_t));
	return r;
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
		give_memory(image->memory, image->room);
	free(image);
}

void image_flip(struct image *image)
{
	uint32_t *top = image->pixels;
	uint32_t *low = image_row(image, image->height - 1);

	for (; top < low; top += image->stride, low -= image->stride)
		for (uint32_t x = 0; x < image->width;) {
			uint32_t part[256];
			size_t n =
				image->width - x < 256 ? image->width - x : 256;

			memcpy(part, top + x, n * sizeof(*part));
			memcpy(top + x, low + x, n * sizeof(*part));
			memcpy(low + x, part, n * sizeof(*part));
			x += n;
		}
}

int image_copy(struct image **copy, const struct image *image, bool turned,
	       struct error *error)
{
	int r = image_new_unset(copy, image->width, image->height,
				image->format, error);

	if (r)
		return r;
	(*copy)->lossy = image->lossy;
	(*copy)->is_555 = image->is_555;
	for (uint32_t y = 0; y < image->height; y++)
		memcpy(image_row(*copy, y),
		       image_row(image, turned ? image->height - 1 - y : y),
		       image->width * sizeof(uint32_t));
	return 0;
}
