/* Images by id in a chained hash table; palettes in a short array. */
#include "recorder/image_cache.h"

#include <stdlib.h>

#define BUCKETS 4096u

struct entry {
	struct entry *next;
	uint64_t id;
	struct image *image;
	unsigned puts; /* drops until it goes */
};

struct image_cache {
	struct entry *buckets[BUCKETS];
	uint64_t pixels;
	unsigned count;
};

int image_cache_new(struct image_cache **cache, struct error *error)
{
	*cache = calloc(1, sizeof(**cache));
	if (!*cache)
		return error_set(error, ENOMEM, "no memory for image cache");
	return 0;
}

void image_cache_free(struct image_cache *cache)
{
	if (!cache)
		return;
	image_cache_clear(cache);
	free(cache);
}

/* The link that points at the entry, or at the end of its chain. */
static struct entry **find(const struct image_cache *cache, uint64_t id)
{
	uint64_t hash = id * 0x9e3779b97f4a7c15u;
	struct entry **link =
		(struct entry **)&cache->buckets[hash >> 52 & (BUCKETS - 1)];

	while (*link && (*link)->id != id)
		link = &(*link)->next;
	return link;
}

static uint64_t area(const struct image *image)
{
	return (uint64_t)image->width * image->height;
}

static void set_image(struct image_cache *cache, struct entry *entry,
		      struct image *image)
{
	image_ref(image);
	if (entry->image)
		cache->pixels -= area(entry->image);
	image_unref(entry->image);
	entry->image = image;
	cache->pixels += area(image);
}

int image_cache_put(struct image_cache *cache, uint64_t id, struct image *image,
		    bool replace, struct error *error)
{
	struct entry **link = find(cache, id);
	struct entry *entry = *link;

	if (entry && !replace) {
		entry->puts++;
		return 0;
	}
	if (cache->pixels + area(image) > IMAGE_CACHE_PIXELS ||
	    cache->count >= IMAGE_CACHE_ENTRIES)
		return error_set(error, ENOSPC,
				 "the image cache of %u pixels is full",
				 IMAGE_CACHE_PIXELS);
	if (!entry) {
		entry = calloc(1, sizeof(*entry));
		if (!entry)
			return error_set(error, ENOMEM,
					 "no memory for the image cache");
		entry->id = id;
		entry->puts = 1;
		*link = entry;
		cache->count++;
	}
	set_image(cache, entry, image);
	return 0;
}

struct image *image_cache_get(const struct image_cache *cache, uint64_t id,
			      bool lossless)
{
	const struct entry *entry = *find(cache, id);

	if (!entry || (lossless && entry->image->lossy))
		return NULL;
	return entry->image;
}

static void remove_entry(struct image_cache *cache, struct entry **link)
{
	struct entry *entry = *link;

	*link = entry->next;
	cache->pixels -= area(entry->image);
	cache->count--;
	image_unref(entry->image);
	free(entry);
}

void image_cache_drop(struct image_cache *cache, uint64_t id)
{
	struct entry **link = find(cache, id);

	if (*link && --(*link)->puts == 0)
		remove_entry(cache, link);
}

void image_cache_clear(struct image_cache *cache)
{
	for (unsigned i = 0; i < BUCKETS; i++)
		while (cache->buckets[i])
			remove_entry(cache, &cache->buckets[i]);
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
