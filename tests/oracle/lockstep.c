/* Two decoders in lock-step; see lockstep.h. */
#include "tests/oracle/lockstep.h"

#include <spice/enums.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/decoder_parts.h"
#include "tests/oracle/gtk_client.h"
#include "tests/oracle/surfaces.h"

#define LANES 32
#define ALL_EVERY 100 /* messages: then all surfaces are compared */
#define FRAME_TRIES 6
#define FRAMES_BACK 8 /* that a client's decoder may keep back */

/* Messages of every channel that the client shall get. */
#define MESSAGE_SET_ACK 3
#define MESSAGE_WAIT 5
#define MESSAGE_LIST 8

struct video {
	uint8_t codec; /* SPICE_VIDEO_CODEC_TYPE_* */
	bool shown;    /* the client has shown a frame */
	pixman_box32_t dest;
	/* Ours of late, the newest first. */
	struct surfaces_patch *past[FRAMES_BACK];
};

/* A channel that both follow. */
struct lane {
	uint8_t type, id;
	struct gtk_channel *gtk;
	bool drawn[DISPLAY_SURFACES]; /* to be compared */
	struct video videos[DISPLAY_STREAMS];
	uint64_t messages;
};

struct lockstep {
	struct decoder *decoder;
	struct gtk_client *client;
	struct lane lanes[LANES];
	unsigned count;
	uint32_t clock; /* multimedia time of the client, ms */
	uint64_t trouble;
	unsigned warnings;
	bool keep_going;
	struct lockstep_counts counts;
};

static void forget_frames(struct video *video)
{
	for (unsigned i = 0; i < FRAMES_BACK; i++)
		free(video->past[i]);
	memset(video->past, 0, sizeof(video->past));
}

static void forget_lanes(struct lockstep *s)
{
	for (unsigned i = 0; i < s->count; i++)
		for (unsigned k = 0; k < DISPLAY_STREAMS; k++)
			forget_frames(&s->lanes[i].videos[k]);
	s->count = 0;
}

int lockstep_new(struct lockstep **step, bool keep_going, struct error *error)
{
	struct decoder_options options = {0};
	struct lockstep *s = calloc(1, sizeof(*s));
	int r;

	*step = NULL;
	if (!s)
		return error_set(error, ENOMEM, "no memory to compare");
	s->keep_going = keep_going;
	r = decoder_new(&s->decoder, &options, error);
	if (r)
		lockstep_free(s);
	else
		*step = s;
	return r;
}

void lockstep_free(struct lockstep *s)
{
	if (!s)
		return;
	forget_lanes(s);
	gtk_client_free(s->client);
	decoder_free(s->decoder);
	free(s);
}

const struct lockstep_counts *lockstep_counts(struct lockstep *s)
{
	struct lockstep_counts *n = &s->counts;

	memset(n->messages, 0, sizeof(n->messages));
	memset(n->images, 0, sizeof(n->images));
	for (unsigned id = 0; id < DECODER_DISPLAYS; id++) {
		const struct display *d = decoder_display(s->decoder, id);

		for (unsigned i = 0; d && i < DISPLAY_MESSAGE_MAX; i++)
			n->messages[i] += d->seen[i];
		for (unsigned i = 0; d && i < IMAGE_TYPE_MAX; i++)
			n->images[i] += d->reader.seen[i];
	}
	return n;
}

static struct lane *find_lane(struct lockstep *s,
			      const struct capture_channel *channel)
{
	for (unsigned i = 0; i < s->count; i++)
		if (s->lanes[i].type == channel->mess.channel_type &&
		    s->lanes[i].id == channel->mess.channel_id)
			return &s->lanes[i];
	return NULL;
}

/* A channel of the recording begins: the client gets it as well. */
static int begin(struct lockstep *s, const struct capture_channel *channel,
		 struct error *error)
{
	uint8_t type = channel->mess.channel_type;
	struct lane *lane;

	if (type == CHANNEL_MAIN) {
		forget_lanes(s);
		gtk_client_free(s->client);
		s->client = NULL;
		return gtk_client_new(&s->client, error);
	}
	if (type != CHANNEL_DISPLAY && type != CHANNEL_CURSOR)
		return 0;
	if (!s->client || s->count == LANES || find_lane(s, channel))
		return error_set(error, ENOTSUP,
				 "channel %u.%u without a main channel or "
				 "twice",
				 type, channel->mess.channel_id);
	lane = &s->lanes[s->count];
	*lane = (struct lane){.type = type, .id = channel->mess.channel_id};
	lane->gtk = gtk_client_open(s->client, type, lane->id, error);
	if (!lane->gtk)
		return -EPIPE;
	s->count++;
	return 0;
}

static bool is_waiting(const struct lockstep *s, const struct lane *lane)
{
	const struct channel *c =
		decoder_find(s->decoder, lane->type, lane->id);

	return c && c->first;
}

/* What our decoder could not do is a difference as well. */
static int check_trouble(struct lockstep *s, struct error *error)
{
	const struct decoder_trouble *t = decoder_trouble(s->decoder);
	uint64_t sum = t->damaged + t->missing + t->undrawn;

	if (sum == s->trouble)
		return 0;
	s->trouble = sum;
	return error_set(error, ERANGE, "our decoder left a message out: %s",
			 t->first[0] ? t->first : t->first_undrawn);
}

static const char *name_of(const struct lane *lane, uint16_t type)
{
	const char *name = NULL;

	if (lane->type == CHANNEL_DISPLAY)
		name = display_message_name(type);
	return name ? name : "";
}

/* Which surface a message may draw on: its first word, mostly. */
static void note_target(struct lane *lane, const struct capture_item *item)
{
	struct bytes in = bytes_of(item->data, item->size);
	uint32_t id = bytes_le32(&in);
	uint16_t type = item->type;

	if (type == DISPLAY_MESSAGE_surface_destroy && id < DISPLAY_SURFACES)
		lane->drawn[id] = false;
	else if ((type == DISPLAY_MESSAGE_copy_bits ||
		  type == DISPLAY_MESSAGE_draw_composite ||
		  (type >= DISPLAY_MESSAGE_draw_fill &&
		   type <= DISPLAY_MESSAGE_surface_create)) &&
		 id < DISPLAY_SURFACES)
		lane->drawn[id] = true;
	if (++lane->messages % ALL_EVERY == 0)
		memset(lane->drawn, 1, sizeof(lane->drawn));
}

static int compare_display(struct lockstep *s, struct lane *lane,
			   struct error *error)
{
	struct display *d = decoder_display(s->decoder, lane->id);
	int r = 0;

	for (uint32_t id = 0; d && !r && id < DISPLAY_SURFACES; id++) {
		if (!lane->drawn[id] || !d->surfaces[id])
			continue;
		if (id) {
			r = surfaces_compare(lane->gtk, id, d->surfaces[id],
					     s->keep_going, error);
			s->counts.offscreen++;
		} else {
			r = surfaces_compare_primary(lane->gtk, d->surfaces[0],
						     s->keep_going, error);
			s->counts.compared++;
		}
		/* Without a primary it is looked at later. */
		if (r == -EAGAIN)
			r = 0;
		else if (!r || s->keep_going)
			lane->drawn[id] = false;
	}
	return r;
}

static int compare_cursor(struct lockstep *s, struct lane *lane,
			  struct error *error)
{
	const struct channel *c =
		decoder_find(s->decoder, lane->type, lane->id);

	if (!c || !c->cursor)
		return 0;
	s->counts.cursors++;
	return surfaces_compare_cursor(lane->gtk, c->cursor, error);
}

/* All channels that wait for nothing are at the same point in both. */
static int compare(struct lockstep *s, struct error *error)
{
	int r = 0;

	for (unsigned i = 0; i < s->count && !r; i++) {
		struct lane *lane = &s->lanes[i];

		if (is_waiting(s, lane))
			continue;
		r = gtk_channel_catch_up(lane->gtk, error);
		if (!r)
			r = lane->type == CHANNEL_DISPLAY
				    ? compare_display(s, lane, error)
				    : compare_cursor(s, lane, error);
	}
	return r;
}

static struct video *find_video(struct lane *lane, const uint8_t *id)
{
	uint32_t number = bytes_get_le32(id);

	return number < DISPLAY_STREAMS ? &lane->videos[number] : NULL;
}

/* STREAM_CREATE: u32 surface, id, u8 flags, codec, u64, 4 * u32, Rect. */
static void note_stream(struct lane *lane, const struct capture_item *item)
{
	struct bytes in = bytes_of(item->data, item->size);
	struct video *video;

	if (item->size < 50)
		return;
	video = find_video(lane, item->data + 4);
	bytes_seek(&in, 34);
	if (!video)
		return;
	forget_frames(video);
	*video = (struct video){.codec = item->data[9],
				.dest = display_read_rect(&in)};
}

static int set_clock(struct lockstep *s, struct error *error)
{
	struct gtk_channel *gtk = gtk_client_main(s->client);
	uint8_t body[4];
	struct gtk_message m = {.type = SPICE_MSG_MAIN_MULTI_MEDIA_TIME,
				.body = body,
				.size = sizeof(body)};
	int r;

	s->clock += 10000;
	bytes_put_le32(body, s->clock);
	r = gtk_channel_send(gtk, &m, error);
	return r ? r : gtk_channel_wait(gtk, error);
}

/*
 * A frame that is due `margin` ms from now; true in *shown when the client
 * said that its picture has changed.
 */
static int show_frame(struct lockstep *s, struct lane *lane,
		      struct gtk_message *m, unsigned margin, bool *shown,
		      struct error *error)
{
	unsigned before;
	int r = set_clock(s, error);

	if (r)
		return r;
	bytes_put_le32((uint8_t *)m->body + 4, s->clock + margin);
	r = gtk_channel_send(lane->gtk, m, error);
	before = gtk_channel_updates(lane->gtk);
	if (!r)
		r = gtk_channel_wait(lane->gtk, error);
	*shown = gtk_channel_updates(lane->gtk) != before;
	for (unsigned i = 0; !*shown && !r && i < margin / 5 + 10; i++) {
		gtk_client_run(s->client, 5);
		*shown = gtk_channel_updates(lane->gtk) != before;
	}
	return r;
}

/* Codecs other than MJPEG go through a pipeline that must not be fed twice. */
static int try_frame(struct lockstep *s, struct lane *lane, struct video *video,
		     struct gtk_message *m, bool *shown, struct error *error)
{
	unsigned margin = video->shown ? 60 : 1200;
	int r = 0;

	if (video->codec != SPICE_VIDEO_CODEC_TYPE_MJPEG)
		return show_frame(s, lane, m, margin, shown, error);
	*shown = false;
	margin = 10;
	for (int i = 0; i < FRAME_TRIES && !r && !*shown; i++, margin *= 2)
		r = show_frame(s, lane, m, margin, shown, error);
	return r;
}

/* Where a frame goes. */
static pixman_box32_t dest_of(const struct video *video,
			      const struct capture_item *item)
{
	struct bytes in = bytes_of(item->data, item->size);

	if (item->type != DISPLAY_MESSAGE_stream_data_sized)
		return video->dest;
	bytes_seek(&in, 16);
	return display_read_rect(&in);
}

static void remember(struct video *video, const struct surface *ours,
		     const pixman_box32_t *box)
{
	free(video->past[FRAMES_BACK - 1]);
	memmove(video->past + 1, video->past,
		(FRAMES_BACK - 1) * sizeof(*video->past));
	video->past[0] = surfaces_cut(ours, box);
}

/* Of the client's picture to that frame of ours which is nearest. */
static struct surfaces_distance nearest(struct gtk_channel *gtk,
					const struct video *video)
{
	struct surfaces_distance best = {256, 256};

	for (unsigned i = 0; i < FRAMES_BACK && video->past[i]; i++) {
		struct surfaces_distance d =
			surfaces_measure(gtk, video->past[i]);

		if (d.mean < best.mean)
			best = d;
		if (video->codec == SPICE_VIDEO_CODEC_TYPE_MJPEG)
			break; /* decoded one by one */
	}
	return best;
}

static int judge_frame(struct lockstep *s, struct lane *lane,
		       const struct video *video, struct error *error)
{
	struct surfaces_distance d = nearest(lane->gtk, video);
	bool exact = video->codec == SPICE_VIDEO_CODEC_TYPE_MJPEG;

	if (d.worst > s->counts.frame_worst)
		s->counts.frame_worst = d.worst;
	if (d.mean > s->counts.frame_mean)
		s->counts.frame_mean = d.mean;
	if (exact ? !d.worst : d.mean <= LOCKSTEP_FRAME_MEAN)
		return 0;
	return error_set(error, ERANGE,
			 "a frame of codec %u is %.1f off, at most %u",
			 video->codec, d.mean, d.worst);
}

/* The client's copy of a frame is due when it comes. */
static int play_frame(struct lockstep *s, struct lane *lane,
		      struct video *video, const struct capture_item *item,
		      bool *shown, struct error *error)
{
	uint8_t *body = malloc(item->size);
	struct gtk_message m = {.serial = item->serial,
				.type = item->type,
				.body = body,
				.size = item->size};
	int r;

	if (!body)
		return error_set(error, ENOMEM, "no memory for a frame");
	memcpy(body, item->data, item->size);
	r = try_frame(s, lane, video, &m, shown, error);
	free(body);
	return r;
}

static int feed_frame(struct lockstep *s, struct lane *lane,
		      const struct capture_item *item, struct error *error)
{
	struct video *video = find_video(lane, item->data);
	const struct display *d = decoder_display(s->decoder, lane->id);
	pixman_box32_t dest;
	bool shown = false;
	int r, over;

	if (!video || !d || !d->surfaces[0])
		return 0;
	r = play_frame(s, lane, video, item, &shown, error);
	if (r)
		return r;
	dest = dest_of(video, item);
	remember(video, d->surfaces[0], &dest);
	s->counts.frames++;
	s->counts.frames_shown += shown;
	video->shown |= shown;
	if (shown && video->past[0])
		r = judge_frame(s, lane, video, error);
	over = surfaces_hand_over(lane->gtk, d->surfaces[0], &dest,
				  r ? NULL : error);
	return r ? r : over;
}

static bool is_frame(const struct lane *lane, uint16_t type)
{
	return lane->type == CHANNEL_DISPLAY &&
	       (type == DISPLAY_MESSAGE_stream_data ||
		type == DISPLAY_MESSAGE_stream_data_sized);
}

static int feed(struct lockstep *s, struct lane *lane,
		const struct capture_item *item, struct error *error)
{
	struct gtk_message m = {.serial = item->serial,
				.type = item->type,
				.sub_list = item->sub_list,
				.body = item->data,
				.size = item->size};
	int r;

	if (item->type < MESSAGE_FIRST_OWN && item->type != MESSAGE_SET_ACK &&
	    item->type != MESSAGE_WAIT && item->type != MESSAGE_LIST)
		return 0;
	if (is_frame(lane, item->type) && item->size >= 12)
		return feed_frame(s, lane, item, error);
	if (lane->type == CHANNEL_DISPLAY) {
		note_target(lane, item);
		if (item->type == DISPLAY_MESSAGE_stream_create)
			note_stream(lane, item);
	}
	r = gtk_channel_send(lane->gtk, &m, error);
	if (!r)
		r = gtk_channel_ping(lane->gtk, error);
	return r ? r : compare(s, error);
}

static void print_warnings(struct lockstep *s)
{
	const char *text;
	unsigned n = s->client ? gtk_client_warnings(s->client, &text) : 0;

	if (n > s->warnings)
		printf("the client warns: %s\n", text);
	s->warnings = n;
}

/* What comes of a failure: whether to stop. */
static int differ(struct lockstep *s, const struct lane *lane,
		  const struct capture_item *item, int r, struct error *error)
{
	if (!r)
		return 0;
	error_prefix(error, "channel %u.%u, message %llu, type %u %s",
		     lane->type, lane->id, (unsigned long long)item->serial,
		     item->type, name_of(lane, item->type));
	s->counts.differences++;
	if (r != -ERANGE || !s->keep_going)
		return r;
	printf("differs %s\n", error->text);
	return 0;
}

int lockstep_feed(struct lockstep *s, const struct capture_item *item,
		  struct error *error)
{
	struct lane *lane;
	int r = decoder_feed(s->decoder, item, error);

	if (!r && item->kind == CAPTURE_RESULT && item->size >= 4 &&
	    !bytes_get_le32(item->data))
		r = begin(s, item->channel, error);
	if (r || item->kind != CAPTURE_MESSAGE ||
	    item->direction != CAPTURE_TO_CLIENT)
		return r;
	lane = find_lane(s, item->channel);
	if (!lane)
		return 0;
	r = differ(s, lane, item, check_trouble(s, error), error);
	if (!r)
		r = differ(s, lane, item, feed(s, lane, item, error), error);
	print_warnings(s);
	return r;
}

int lockstep_finish(struct lockstep *s, struct error *error)
{
	int r;

	for (unsigned i = 0; i < s->count; i++)
		memset(s->lanes[i].drawn, 1, sizeof(s->lanes[i].drawn));
	r = compare(s, error);
	if (r)
		return r;
	r = decoder_finish(s->decoder, error);
	return r ? r : check_trouble(s, error);
}
