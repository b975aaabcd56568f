/*
 * Images by id in a balanced tree, which ids of an attacker's choice can't
 * make slow; palettes in a short array.
 */
#include "recorder/image_cache.h"

#include <search.h>
#include <stdlib.h>

struct kept {
	uint64_t id; /* first: a key is an entry's beginning */
	struct image *image;
	unsigned puts; /* drops until it goes */
};

struct image_cache {
	void *entries; /* of tsearch() */
	uint64_t pixels, pixels_max;
	unsigned count;
};

int image_cache_new(struct image_cache **cache, uint64_t pixels,
		    struct error *error)
{
	*cache = calloc(1, sizeof(**cache));
	if (!*cache)
		return error_set(error, ENOMEM, "no memory for image cache");
	(*cache)->pixels_max = pixels;
	return 0;
}

void image_cache_free(struct image_cache *cache)
{
	if (!cache)
		return;
	image_cache_clear(cache);
	free(cache);
}

static int compare(const void *a, const void *b)
{
	const struct kept *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static struct kept *find(const struct image_cache *cache, uint64_t id)
{
	struct kept key = {.id = id};
	struct kept *const *found = tfind(&key, &cache->entries, compare);

	return found ? *found : NULL;
}

static uint64_t area(const struct image *image)
{
	return (uint64_t)image->width * image->height;
}

static struct kept *add_entry(struct image_cache *cache, uint64_t id,
			      struct error *error)
{
	struct kept *entry = calloc(1, sizeof(*entry));

	if (entry) {
		entry->id = id;
		entry->puts = 1;
		if (tsearch(entry, &cache->entries, compare)) {
			cache->count++;
			return entry;
		}
		free(entry);
	}
	error_set(error, ENOMEM, "no memory for the image cache");
	return NULL;
}

int image_cache_put(struct image_cache *cache, uint64_t id, struct image *image,
		    bool replace, struct error *error)
{
	struct kept *entry = find(cache, id);
	uint64_t less = entry ? area(entry->image) : 0;

	if (entry && !replace) {
		entry->puts += entry->puts < UINT32_MAX;
		return 0;
	}
	if (cache->pixels - less + area(image) > cache->pixels_max ||
	    (!entry && cache->count >= IMAGE_CACHE_ENTRIES))
		return error_set(error, ENOSPC,
				 "the image cache of %llu pixels is full",
				 (unsigned long long)cache->pixels_max);
	if (!entry)
		entry = add_entry(cache, id, error);
	if (!entry)
		return -ENOMEM;
	image_ref(image);
	image_unref(entry->image);
	entry->image = image;
	cache->pixels += area(image) - less;
	return 0;
}

struct image *image_cache_get(const struct image_cache *cache, uint64_t id,
			      bool lossless)
{
	const struct kept *entry = find(cache, id);

	if (!entry || (lossless && entry->image->lossy))
		return NULL;
	return entry->image;
}

static void entry_free(void *data)
{
	struct kept *entry = data;

	image_unref(entry->image);
	free(entry);
}

void image_cache_drop(struct image_cache *cache, uint64_t id)
{
	struct kept *entry = find(cache, id);

	if (!entry || --entry->puts)
		return;
	cache->pixels -= area(entry->image);
	cache->count--;
	tdelete(entry, &cache->entries, compare);
	entry_free(entry);
}

void image_cache_clear(struct image_cache *cache)
{
	tdestroy(cache->entries, entry_free);
	cache->entries = NULL;
	cache->pixels = 0;
	cache->count = 0;
}

static struct palette *find_palette(const struct palette_cache *cache,
				    uint64_t unique)
{
	for (unsigned i = 0; i < cache->count; i++)
		if (cache->entries[i].unique == unique)
			return &cache->entries[i];
	return NULL;
}

int palette_cache_put(struct palette_cache *cache,
		      const struct palette *palette, struct error *error)
{
	struct palette *slot = find_palette(cache, palette->unique);

	if (!cache->entries) {
		cache->entries =
			calloc(PALETTE_CACHE_ENTRIES, sizeof(*cache->entries));
		if (!cache->entries)
			return error_set(error, ENOMEM,
					 "no memory for the palette cache");
	}
	if (!slot && cache->count < PALETTE_CACHE_ENTRIES)
		slot = &cache->entries[cache->count++];
	if (!slot)
		slot = &cache->entries[cache->next++ % PALETTE_CACHE_ENTRIES];
	*slot = *palette;
	return 0;
}

const struct palette *palette_cache_get(const struct palette_cache *cache,
					uint64_t unique)
{
	return find_palette(cache, unique);
}

void palette_cache_drop(struct palette_cache *cache, uint64_t unique)
{
	struct palette *slot = find_palette(cache, unique);

	if (slot)
		*slot = cache->entries[--cache->count];
}

void palette_cache_clear(struct palette_cache *cache)
{
	free(cache->entries);
	*cache = (struct palette_cache){0};
}
