/* Counts the messages of a capture by channel; see capture_stats.h. */
#include "recorder/capture_stats.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "recorder/capture_stats_media.h"
#include "recorder/framer.h"
#include "recorder/message.h"

#define TYPES_MAX 64 /* a direction; more are counted together */

struct count {
	uint64_t messages, bytes, largest;
};

struct type {
	uint16_t type;
	struct count count;
};

struct direction {
	struct count all;
	struct type types[TYPES_MAX];
	unsigned used;
};

/* Of a type and id; all its instances. */
struct channel {
	uint8_t type, id;
	unsigned instances;
	bool mini;
	uint64_t opened; /* ns since 1970, of the first */
	uint64_t closed; /* of the last; 0 = still open */
	struct direction to[2];
	struct channel *next;
};

struct stats {
	struct channel *first, **last;
	struct stats_media *media;
};

static void add(struct count *count, uint64_t bytes)
{
	count->messages++;
	count->bytes += bytes;
	count->largest = bytes > count->largest ? bytes : count->largest;
}

static void add_message(struct channel *c, const struct capture_item *item)
{
	struct direction *d = &c->to[item->direction];
	uint64_t bytes =
		item->size +
		(item->channel->mini ? FRAMER_HEADER_MINI : FRAMER_HEADER_FULL);
	unsigned i = 0;

	add(&d->all, bytes);
	while (i < d->used && d->types[i].type != item->type)
		i++;
	if (i == TYPES_MAX)
		return;
	if (i == d->used)
		d->types[d->used++].type = item->type;
	add(&d->types[i].count, bytes);
}

/* The channel that an instance belongs to, once its link is known. */
static int join(struct stats *stats, const struct capture_item *item,
		struct error *error)
{
	const struct link_mess *mess = &item->channel->mess;
	struct channel *c = stats->first;

	while (c &&
	       (c->type != mess->channel_type || c->id != mess->channel_id))
		c = c->next;
	if (!c) {
		c = calloc(1, sizeof(*c));
		if (!c)
			return error_errno(error, ENOMEM, "cannot count");
		c->type = mess->channel_type;
		c->id = mess->channel_id;
		c->opened = item->time;
		*stats->last = c;
		stats->last = &c->next;
	}
	c->instances++;
	c->closed = 0;
	item->channel->user = c;
	return 0;
}

static int take(struct stats *stats, const struct capture_item *item,
		struct error *error)
{
	struct channel *c = item->channel->user;

	if (item->kind == CAPTURE_LINK_MESS)
		return join(stats, item, error);
	if (!c)
		return 0;
	if (item->kind == CAPTURE_CLOSE)
		c->closed = item->time;
	if (item->kind != CAPTURE_MESSAGE)
		return 0;
	c->mini = item->channel->mini;
	add_message(c, item);
	return stats_media_take(stats->media, item, error);
}

static json_int_t ms(uint64_t from, uint64_t to)
{
	return (json_int_t)((to - from) / 1000000);
}

static json_t *types_json(const struct channel *c,
			  enum capture_direction direction)
{
	const struct direction *d = &c->to[direction];
	json_t *types = json_object();
	char number[32];
	int bad = 0;

	for (unsigned i = 0; i < d->used; i++) {
		const struct type *t = &d->types[i];
		const struct message_kind *kind =
			message_kind(c->type, direction, t->type);

		snprintf(number, sizeof(number), "unknown_%u", t->type);
		bad |= json_object_set_new(
			types, kind ? kind->name : number,
			json_pack("{s:I, s:I, s:I}", "messages",
				  (json_int_t)t->count.messages, "bytes",
				  (json_int_t)t->count.bytes, "largest",
				  (json_int_t)t->count.largest));
	}
	return stats_json_whole(types, bad);
}

static json_t *channel_json(const struct channel *c, uint64_t begin)
{
	const struct count *client = &c->to[CAPTURE_TO_CLIENT].all;
	const struct count *guest = &c->to[CAPTURE_TO_GUEST].all;
	const char *name = message_channel_name(c->type);
	json_t *closed =
		c->closed ? json_integer(ms(begin, c->closed)) : json_null();

	return json_pack("{s:s, s:i, s:i, s:i, s:b, s:I, s:o, s:I, s:I, s:I, "
			 "s:I, s:I, s:I, s:o, s:o}",
			 "type", name ? name : "unknown", "number", c->type,
			 "id", c->id, "instances", (int)c->instances, "mini",
			 c->mini, "opened_ms", ms(begin, c->opened),
			 "closed_ms", closed, "messages_to_client",
			 (json_int_t)client->messages, "bytes_to_client",
			 (json_int_t)client->bytes, "largest_to_client",
			 (json_int_t)client->largest, "messages_to_guest",
			 (json_int_t)guest->messages, "bytes_to_guest",
			 (json_int_t)guest->bytes, "largest_to_guest",
			 (json_int_t)guest->largest, "to_client",
			 types_json(c, CAPTURE_TO_CLIENT), "to_guest",
			 types_json(c, CAPTURE_TO_GUEST));
}

/* Text from the file, which may be no UTF-8. */
static json_t *text(const char *s)
{
	json_t *j;

	errno = 0;
	j = json_string(s);
	return j || errno == ENOMEM ? j : json_string("");
}

static json_t *stats_json(const struct stats *stats,
			  const struct capture_summary *s, const char *damage)
{
	json_t *channels = json_array(), *j;
	int bad = 0;

	for (const struct channel *c = stats->first; c; c = c->next)
		bad |= json_array_append_new(channels,
					     channel_json(c, s->first_time));
	j = json_pack("{s:b, s:b, s:I, s:I, s:{s:o, s:o, s:o}, s:o}",
		      "complete", s->complete, "signed", s->is_signed,
		      "good_bytes", (json_int_t)s->good_bytes, "duration_ms",
		      ms(s->first_time, s->last_time), "session", "id",
		      text(s->session.id), "vault", text(s->session.vault),
		      "client", text(s->session.client), "channels", channels);
	bad |= j ? stats_media_json(stats->media, j) : -1;
	if (damage)
		bad |= json_object_set_new(j, "damage", text(damage));
	return stats_json_whole(j, bad);
}

/* 0 at the end or at damage behind something good, which is then told. */
static int read_items(struct stats *stats, struct capture_reader *reader,
		      struct error *damage, struct error *error)
{
	struct capture_item item;
	int r, w;

	while ((r = capture_reader_next(reader, &item, damage)) > 0) {
		if (!stats->media)
			stats->media = stats_media_new(item.time);
		if (!stats->media)
			return error_errno(error, ENOMEM, "cannot count");
		w = take(stats, &item, error);
		if (w < 0)
			return w;
	}
	if (r < 0 && (r != -EBADMSG || !stats->media))
		return error_set(error, -r, "%s", damage->text);
	if (!stats->media)
		stats->media = stats_media_new(0);
	return stats->media ? 0 : error_errno(error, ENOMEM, "cannot count");
}

static int write_stats(const struct stats *stats, struct capture_reader *reader,
		       const struct error *damage, int out_fd,
		       struct error *error)
{
	struct capture_summary summary;
	json_t *j;
	int r = 0;

	capture_reader_summary(reader, &summary);
	errno = 0;
	j = stats_json(stats, &summary, damage->code ? damage->text : NULL);
	if (!j)
		r = error_errno(error, ENOMEM, "cannot count");
	else if (json_dumpfd(j, out_fd,
			     JSON_INDENT(1) | JSON_REAL_PRECISION(6)) < 0)
		r = error_set(error, errno == ENOMEM ? ENOMEM : EIO,
			      "cannot write the statistics");
	json_decref(j);
	return r;
}

int capture_stats(int in_fd, int out_fd, struct error *error)
{
	struct capture_reader *reader;
	struct stats stats = {.last = &stats.first};
	struct error damage = {0};
	int r = capture_reader_new(&reader, in_fd, error);

	if (r < 0)
		return r;
	r = read_items(&stats, reader, &damage, error);
	if (r == 0)
		r = write_stats(&stats, reader, &damage, out_fd, error);
	while (stats.first) {
		struct channel *c = stats.first;

		stats.first = c->next;
		free(c);
	}
	stats_media_free(stats.media);
	capture_reader_free(reader);
	return r;
}
