/* Streams, sound and images of statistics: inside of capture_stats.h. */
#ifndef RECORDER_CAPTURE_STATS_MEDIA_H
#define RECORDER_CAPTURE_STATS_MEDIA_H

#include <jansson.h>

#include "recorder/capture_reader.h"
#include "recorder/capture_stats.h"

struct stats_media;

struct stats_media *stats_media_new(uint64_t begin); /* NULL: no memory */
void stats_media_free(struct stats_media *media);
/* Takes a message; -ENOMEM. */
int stats_media_take(struct stats_media *media, const struct capture_item *item,
		     struct error *error);
/* Adds "images", "cache", "glz", "streams", "sound" to an object. */
int stats_media_json(const struct stats_media *media, json_t *object);
/* The value, or NULL when adding to it failed: there is no memory. */
json_t *stats_json_whole(json_t *value, int bad);

#endif
