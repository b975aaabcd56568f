/* Counts images, streams and sound; see capture_stats.h. */
#include "recorder/capture_stats_media.h"

#include <errno.h>
#include <spice/enums.h>
#include <stdlib.h>

#include "recorder/bytes.h"
#include "recorder/message.h"

#define IMAGE_TYPES_MAX 128u
#define INTERVALS 4096u /* ms; longer ones are counted with the last */
#define OPEN_MAX 128u   /* streams at a time */
#define SOUNDS_MAX 32u

struct image_count {
	uint64_t count, bytes, pixels;
};

struct stream {
	uint8_t display;
	uint32_t id, width, height;
	uint8_t codec;
	uint64_t begun, ended; /* ns since 1970; ended 0 = open */
	uint64_t first, last;  /* arrival of frames */
	uint64_t frames, sized, bytes, largest;
	uint64_t late;
	uint32_t latest;           /* ms */
	uint64_t window;           /* where the present second began */
	uint32_t in_window, least; /* frames; least UINT32_MAX = no second */
	uint32_t longest;          /* ms between two frames */
	uint64_t gaps;
	uint32_t *intervals; /* by ms, while it is open */
	struct stream *next;
};

/* A playback or record channel. */
struct sound {
	uint8_t type, id;
	uint16_t mode;
	uint32_t channels, frequency;
	uint64_t runs, packets, bytes, gaps;
	uint32_t longest, last; /* ms */
	bool running, heard;    /* heard: `last` is of this run */
};

struct stats_media {
	uint64_t begin;
	struct image_count images[IMAGE_TYPES_MAX];
	uint64_t added, replaced, palettes, cursors, cursors_added;
	uint64_t glz_images, glz_window;
	struct stream *streams, **last;
	struct stream *open[OPEN_MAX];
	unsigned stream_count;
	uint64_t left_out;
	struct sound sounds[SOUNDS_MAX];
	unsigned sound_count;
	bool clock_known;
	uint32_t clock;
	uint64_t clock_at;
};

struct stats_media *stats_media_new(uint64_t begin)
{
	struct stats_media *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->begin = begin;
	m->last = &m->streams;
	return m;
}

void stats_media_free(struct stats_media *m)
{
	struct stream *s;

	if (!m)
		return;
	while ((s = m->streams)) {
		m->streams = s->next;
		free(s->intervals);
		free(s);
	}
	free(m);
}

/* --- images ------------------------------------------------------------- */

static void add_image(void *user, const struct message_image *image)
{
	struct stats_media *m = user;
	struct image_count *c;

	if (image->type >= IMAGE_TYPES_MAX)
		return;
	c = &m->images[image->type];
	c->count++;
	c->bytes += image->bytes;
	c->pixels += (uint64_t)image->width * image->height;
	m->palettes += image->palette_cached;
	if (image->type != SPICE_IMAGE_TYPE_FROM_CACHE &&
	    image->type != SPICE_IMAGE_TYPE_FROM_CACHE_LOSSLESS) {
		m->added += image->flags & SPICE_IMAGE_FLAGS_CACHE_ME ? 1 : 0;
		m->replaced += image->flags & SPICE_IMAGE_FLAGS_CACHE_REPLACE_ME
				       ? 1
				       : 0;
	}
	if (image->type == SPICE_IMAGE_TYPE_GLZ_RGB &&
	    image->glz_window > m->glz_window)
		m->glz_window = image->glz_window;
	m->glz_images += image->type == SPICE_IMAGE_TYPE_GLZ_RGB ||
			 image->type == SPICE_IMAGE_TYPE_ZLIB_GLZ_RGB;
}

static void take_drawing(struct stats_media *m, const struct capture_item *item)
{
	struct message_walk walk = {.channel = SPICE_CHANNEL_DISPLAY,
				    .direction = CAPTURE_TO_CLIENT,
				    .image = add_image,
				    .user = m};
	const struct message_kind *kind = message_kind(
		SPICE_CHANNEL_DISPLAY, CAPTURE_TO_CLIENT, item->type);

	if (kind)
		message_walk(&walk, kind, item->data, item->size, 0);
}

static void take_cursor(struct stats_media *m, const struct capture_item *item)
{
	struct bytes in = bytes_of(item->data, item->size);
	unsigned flags;

	if (item->type == SPICE_MSG_CURSOR_INIT)
		bytes_seek(&in, 9);
	else if (item->type == SPICE_MSG_CURSOR_SET)
		bytes_seek(&in, 5);
	else
		return;
	flags = bytes_le16(&in);
	m->cursors += flags & SPICE_CURSOR_FLAGS_FROM_CACHE ? 1 : 0;
	m->cursors_added += flags & SPICE_CURSOR_FLAGS_CACHE_ME ? 1 : 0;
}

/* --- streams ------------------------------------------------------------ */

static struct stream **find_stream(struct stats_media *m, uint8_t display,
				   uint32_t id)
{
	for (unsigned i = 0; i < OPEN_MAX; i++)
		if (m->open[i] && m->open[i]->display == display &&
		    m->open[i]->id == id)
			return &m->open[i];
	return NULL;
}

/* Counts intervals of more than STATS_GAP times the mean. */
static uint64_t count_gaps(const struct stream *s)
{
	uint64_t limit, gaps = 0;

	if (s->frames < 2)
		return 0;
	limit = STATS_GAP * (s->last - s->first) / (s->frames - 1) / 1000000;
	for (uint64_t ms = limit + 1; ms < INTERVALS; ms++)
		gaps += s->intervals[ms];
	if (limit >= INTERVALS - 1)
		gaps += s->intervals[INTERVALS - 1];
	return gaps;
}

static void end_stream(struct stream **at, uint64_t time)
{
	struct stream *s = *at;

	*at = NULL;
	s->ended = time;
	s->gaps = count_gaps(s);
	free(s->intervals);
	s->intervals = NULL;
}

static int begin_stream(struct stats_media *m, const struct capture_item *item,
			struct error *error)
{
	struct bytes in = bytes_of(item->data, item->size);
	uint8_t display = item->channel->mess.channel_id;
	struct stream **at, *s;
	uint32_t id;

	bytes_le32(&in); /* surface */
	id = bytes_le32(&in);
	bytes_u8(&in); /* flags */
	at = find_stream(m, display, id);
	if (at)
		end_stream(at, item->time);
	for (at = m->open; at < m->open + OPEN_MAX && *at;)
		at++;
	if (at == m->open + OPEN_MAX || m->stream_count == STATS_STREAMS_MAX) {
		m->left_out++;
		return 0;
	}
	s = calloc(1, sizeof(*s));
	if (s)
		s->intervals = calloc(INTERVALS, sizeof(*s->intervals));
	if (!s || !s->intervals) {
		free(s);
		return error_errno(error, ENOMEM, "cannot count");
	}
	s->display = display;
	s->id = id;
	s->codec = bytes_u8(&in);
	bytes_le64(&in); /* stamp */
	s->width = bytes_le32(&in);
	s->height = bytes_le32(&in);
	s->begun = item->time;
	s->least = UINT32_MAX;
	*at = *m->last = s;
	m->last = &s->next;
	m->stream_count++;
	return 0;
}

/* Whole seconds that have passed since the first frame. */
static void move_window(struct stream *s, uint64_t time)
{
	while (time - s->window >= 1000000000u) {
		if (s->in_window < s->least)
			s->least = s->in_window;
		s->in_window = 0;
		s->window += 1000000000u;
		/* Empty seconds need no counting one by one. */
		if (s->least == 0)
			s->window +=
				(time - s->window) / 1000000000u * 1000000000u;
	}
}

static void add_late(const struct stats_media *m, struct stream *s,
		     uint32_t mm_time, uint64_t time)
{
	uint32_t now = m->clock + (uint32_t)((time - m->clock_at) / 1000000);
	int32_t late = (int32_t)(now - mm_time);

	if (!m->clock_known || late <= 0)
		return;
	s->late++;
	if ((uint32_t)late > s->latest)
		s->latest = (uint32_t)late;
}

static void take_frame(struct stats_media *m, const struct capture_item *item)
{
	struct bytes in = bytes_of(item->data, item->size);
	uint32_t id = bytes_le32(&in), mm_time = bytes_le32(&in);
	struct stream **at = find_stream(m, item->channel->mess.channel_id, id);
	struct stream *s = at ? *at : NULL;
	uint64_t ms;

	if (!s || in.bad)
		return;
	if (s->frames) {
		ms = (item->time - s->last) / 1000000;
		if (ms > s->longest)
			s->longest =
				ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
		s->intervals[ms < INTERVALS ? ms : INTERVALS - 1]++;
	} else {
		s->first = s->window = item->time;
	}
	move_window(s, item->time);
	s->in_window++;
	s->last = item->time;
	s->frames++;
	s->sized += item->type == SPICE_MSG_DISPLAY_STREAM_DATA_SIZED;
	s->bytes += item->size;
	s->largest = item->size > s->largest ? item->size : s->largest;
	add_late(m, s, mm_time, item->time);
}

static int take_display(struct stats_media *m, const struct capture_item *item,
			struct error *error)
{
	struct bytes in = bytes_of(item->data, item->size);
	uint8_t display = item->channel->mess.channel_id;
	struct stream **at;

	switch (item->type) {
	case SPICE_MSG_DISPLAY_STREAM_CREATE:
		return begin_stream(m, item, error);
	case SPICE_MSG_DISPLAY_STREAM_DATA:
	case SPICE_MSG_DISPLAY_STREAM_DATA_SIZED:
		take_frame(m, item);
		return 0;
	case SPICE_MSG_DISPLAY_STREAM_DESTROY:
		at = find_stream(m, display, bytes_le32(&in));
		if (at)
			end_stream(at, item->time);
		return 0;
	case SPICE_MSG_DISPLAY_STREAM_DESTROY_ALL:
		for (at = m->open; at < m->open + OPEN_MAX; at++)
			if (*at && (*at)->display == display)
				end_stream(at, item->time);
		return 0;
	default:
		if (item->type >= SPICE_MSG_DISPLAY_DRAW_FILL)
			take_drawing(m, item);
		return 0;
	}
}

/* --- sound -------------------------------------------------------------- */

static struct sound *find_sound(struct stats_media *m,
				const struct capture_item *item)
{
	uint8_t type = item->channel->mess.channel_type;
	uint8_t id = item->channel->mess.channel_id;
	unsigned i = 0;

	while (i < m->sound_count &&
	       (m->sounds[i].type != type || m->sounds[i].id != id))
		i++;
	if (i == SOUNDS_MAX)
		return NULL;
	if (i == m->sound_count) {
		m->sound_count++;
		m->sounds[i].type = type;
		m->sounds[i].id = id;
	}
	return &m->sounds[i];
}

static void add_packet(struct sound *s, const struct capture_item *item)
{
	struct bytes in = bytes_of(item->data, item->size);
	uint32_t time = bytes_le32(&in);
	int32_t passed = (int32_t)(time - s->last);

	if (in.bad)
		return;
	s->packets++;
	s->bytes += bytes_left(&in);
	if (s->heard && passed >= STATS_SOUND_GAP_MS)
		s->gaps++;
	if (s->heard && passed > (int32_t)s->longest)
		s->longest = (uint32_t)passed;
	s->heard = true;
	s->last = time;
}

static void take_sound(struct stats_media *m, const struct capture_item *item)
{
	bool playback =
		item->channel->mess.channel_type == SPICE_CHANNEL_PLAYBACK;
	enum capture_direction data =
		playback ? CAPTURE_TO_CLIENT : CAPTURE_TO_GUEST;
	unsigned start =
		playback ? SPICE_MSG_PLAYBACK_START : SPICE_MSG_RECORD_START;
	unsigned stop =
		playback ? SPICE_MSG_PLAYBACK_STOP : SPICE_MSG_RECORD_STOP;
	struct bytes in = bytes_of(item->data, item->size);
	struct sound *s = item->type > 100 ? find_sound(m, item) : NULL;

	if (!s)
		return;
	/* Data and mode have the same numbers in either. */
	if (item->direction == data && item->type == SPICE_MSG_PLAYBACK_DATA) {
		add_packet(s, item);
	} else if (item->direction == data &&
		   item->type == SPICE_MSG_PLAYBACK_MODE) {
		bytes_le32(&in);
		s->mode = bytes_le16(&in);
	} else if (item->direction == CAPTURE_TO_CLIENT &&
		   item->type == start) {
		s->channels = bytes_le32(&in);
		bytes_le16(&in);
		s->frequency = bytes_le32(&in);
		s->runs++;
		s->heard = false;
	} else if (item->direction == CAPTURE_TO_CLIENT && item->type == stop) {
		s->heard = false;
	}
}

/* --- all ---------------------------------------------------------------- */

static void take_main(struct stats_media *m, const struct capture_item *item)
{
	struct bytes in = bytes_of(item->data, item->size);
	uint32_t value;

	if (item->type == SPICE_MSG_MAIN_INIT)
		bytes_seek(&in, 24);
	else if (item->type != SPICE_MSG_MAIN_MULTI_MEDIA_TIME)
		return;
	value = bytes_le32(&in);
	if (in.bad)
		return;
	m->clock = value;
	m->clock_at = item->time;
	m->clock_known = true;
}

int stats_media_take(struct stats_media *m, const struct capture_item *item,
		     struct error *error)
{
	uint8_t channel = item->channel->mess.channel_type;

	if (channel == SPICE_CHANNEL_PLAYBACK ||
	    channel == SPICE_CHANNEL_RECORD)
		take_sound(m, item);
	else if (item->direction != CAPTURE_TO_CLIENT)
		return 0;
	else if (channel == SPICE_CHANNEL_MAIN)
		take_main(m, item);
	else if (channel == SPICE_CHANNEL_CURSOR)
		take_cursor(m, item);
	else if (channel == SPICE_CHANNEL_DISPLAY)
		return take_display(m, item, error);
	return 0;
}

static json_t *ms(const struct stats_media *m, uint64_t time)
{
	return time ? json_integer((json_int_t)((time - m->begin) / 1000000))
		    : json_null();
}

json_t *stats_json_whole(json_t *value, int bad)
{
	if (!bad)
		return value;
	json_decref(value);
	return NULL;
}

/* Two decimals; what a damaged capture makes huge has none. */
static json_t *rounded(double value)
{
	if (value < 1e15)
		value = (double)(int64_t)(value * 100 + 0.5) / 100;
	return json_real(value);
}

static json_t *images_json(const struct stats_media *m)
{
	json_t *images = json_array(), *j;
	int bad = 0;

	for (unsigned i = 0; i < IMAGE_TYPES_MAX; i++) {
		const struct image_count *c = &m->images[i];
		const char *name = message_value_name(message_image_types(), i);

		if (!c->count)
			continue;
		j = json_pack(
			"{s:s, s:I, s:I, s:I}", "type", name ? name : "unknown",
			"count", (json_int_t)c->count, "bytes",
			(json_int_t)c->bytes, "pixels", (json_int_t)c->pixels);
		if (c->bytes && i != SPICE_IMAGE_TYPE_FROM_CACHE &&
		    i != SPICE_IMAGE_TYPE_FROM_CACHE_LOSSLESS &&
		    i != SPICE_IMAGE_TYPE_SURFACE)
			bad |= json_object_set_new(
				j, "ratio",
				rounded(4.0 * (double)c->pixels /
					(double)c->bytes));
		bad |= json_array_append_new(images, j);
	}
	return stats_json_whole(images, bad);
}

static json_t *stream_json(const struct stats_media *m, const struct stream *s)
{
	const char *codec = message_value_name(message_codecs(), s->codec);
	double seconds = (double)(s->last - s->first) / 1e9;
	uint64_t gaps = s->intervals ? count_gaps(s) : s->gaps;

	return json_pack(
		"{s:i, s:I, s:s, s:I, s:I, s:o, s:o, s:I, s:I, s:I, s:I, s:o, "
		"s:o, s:I, s:I, s:I, s:I}",
		"display", s->display, "id", (json_int_t)s->id, "codec",
		codec ? codec : "unknown", "width", (json_int_t)s->width,
		"height", (json_int_t)s->height, "begin_ms", ms(m, s->begun),
		"end_ms", ms(m, s->ended), "frames", (json_int_t)s->frames,
		"sized_frames", (json_int_t)s->sized, "bytes",
		(json_int_t)s->bytes, "largest", (json_int_t)s->largest, "fps",
		seconds > 0 ? rounded((double)(s->frames - 1) / seconds)
			    : json_null(),
		"fps_min",
		s->least != UINT32_MAX ? json_integer(s->least) : json_null(),
		"gaps", (json_int_t)gaps, "longest_gap_ms",
		(json_int_t)s->longest, "late", (json_int_t)s->late,
		"latest_ms", (json_int_t)s->latest);
}

static json_t *sound_json(const struct sound *s)
{
	const char *mode = message_value_name(message_sound_modes(), s->mode);

	return json_pack("{s:s, s:i, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			 "channel", message_channel_name(s->type), "id", s->id,
			 "mode", mode ? mode : "unknown", "channels",
			 (json_int_t)s->channels, "frequency",
			 (json_int_t)s->frequency, "runs", (json_int_t)s->runs,
			 "packets", (json_int_t)s->packets, "bytes",
			 (json_int_t)s->bytes, "gaps", (json_int_t)s->gaps,
			 "longest_gap_ms", (json_int_t)s->longest);
}

int stats_media_json(const struct stats_media *m, json_t *object)
{
	const struct image_count *hit = &m->images[SPICE_IMAGE_TYPE_FROM_CACHE];
	const struct image_count *lossless =
		&m->images[SPICE_IMAGE_TYPE_FROM_CACHE_LOSSLESS];
	json_t *streams = json_array(), *sounds = json_array();
	int bad = 0;

	for (const struct stream *s = m->streams; s; s = s->next)
		bad |= json_array_append_new(streams, stream_json(m, s));
	for (unsigned i = 0; i < m->sound_count; i++)
		bad |= json_array_append_new(sounds, sound_json(&m->sounds[i]));
	bad |= json_object_set_new(object, "images", images_json(m));
	bad |= json_object_set_new(
		object, "cache",
		json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "image_hits",
			  (json_int_t)hit->count, "image_lossless_hits",
			  (json_int_t)lossless->count, "images_added",
			  (json_int_t)m->added, "images_replaced",
			  (json_int_t)m->replaced, "palette_hits",
			  (json_int_t)m->palettes, "cursor_hits",
			  (json_int_t)m->cursors, "cursors_added",
			  (json_int_t)m->cursors_added));
	bad |= json_object_set_new(
		object, "glz",
		json_pack("{s:I, s:I}", "images", (json_int_t)m->glz_images,
			  "longest_window", (json_int_t)m->glz_window));
	bad |= json_object_set_new(object, "streams", streams);
	bad |= json_object_set_new(object, "streams_left_out",
				   json_integer((json_int_t)m->left_out));
	bad |= json_object_set_new(object, "sound", sounds);
	return bad;
}
