/* Counts the messages of a capture; see capture_export.h. */
#include "recorder/capture_export.h"

#include <jansson.h>
#include <spice/enums.h>
#include <stdio.h>
#include <stdlib.h>

#include "recorder/capture_reader.h"
#include "recorder/framer.h"

#define TYPES_MAX 64 /* a direction; more are counted together */

struct count {
	uint64_t messages, bytes;
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

struct channel {
	const struct capture_channel *channel;
	uint64_t opened, closed; /* ns since 1970; 0 = still open */
	struct direction directions[2];
	struct channel *next;
};

struct stats {
	struct channel *first, **last;
};

static const char *channel_name(uint8_t type)
{
	static const char *const names[] = {
		[SPICE_CHANNEL_MAIN] = "main",
		[SPICE_CHANNEL_DISPLAY] = "display",
		[SPICE_CHANNEL_INPUTS] = "inputs",
		[SPICE_CHANNEL_CURSOR] = "cursor",
		[SPICE_CHANNEL_PLAYBACK] = "playback",
		[SPICE_CHANNEL_RECORD] = "record",
		[SPICE_CHANNEL_TUNNEL] = "tunnel",
		[SPICE_CHANNEL_SMARTCARD] = "smartcard",
		[SPICE_CHANNEL_USBREDIR] = "usbredir",
		[SPICE_CHANNEL_PORT] = "port",
		[SPICE_CHANNEL_WEBDAV] = "webdav",
	};

	if (type < sizeof(names) / sizeof(names[0]) && names[type])
		return names[type];
	return "unknown";
}

static void add(struct count *count, uint64_t bytes)
{
	count->messages++;
	count->bytes += bytes;
}

static void add_message(struct channel *c, const struct capture_item *item)
{
	struct direction *d = &c->directions[item->direction];
	uint64_t bytes = item->size + (c->channel->mini ? FRAMER_HEADER_MINI
							: FRAMER_HEADER_FULL);
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

static int take(struct stats *stats, const struct capture_item *item,
		struct error *error)
{
	struct channel *c = item->channel->user;

	if (item->kind == CAPTURE_OPEN) {
		c = calloc(1, sizeof(*c));
		if (!c)
			return error_errno(error, ENOMEM, "cannot count");
		c->channel = item->channel;
		c->opened = item->time;
		*stats->last = c;
		stats->last = &c->next;
		item->channel->user = c;
	} else if (item->kind == CAPTURE_CLOSE) {
		c->closed = item->time;
	} else if (item->kind == CAPTURE_MESSAGE) {
		add_message(c, item);
	}
	return 0;
}

static json_int_t ms(uint64_t from, uint64_t to)
{
	return (json_int_t)((to - from) / 1000000);
}

static json_t *direction_json(const struct direction *d)
{
	json_t *types = json_object();
	char name[8];

	for (unsigned i = 0; i < d->used; i++) {
		const struct type *t = &d->types[i];

		snprintf(name, sizeof(name), "%u", t->type);
		json_object_set_new(types, name,
				    json_pack("{s:I, s:I}", "messages",
					      (json_int_t)t->count.messages,
					      "bytes",
					      (json_int_t)t->count.bytes));
	}
	return json_pack("{s:I, s:I, s:o}", "messages",
			 (json_int_t)d->all.messages, "bytes",
			 (json_int_t)d->all.bytes, "types", types);
}

static json_t *channel_json(const struct channel *c, uint64_t begin)
{
	const struct capture_channel *ch = c->channel;
	json_t *closed =
		c->closed ? json_integer(ms(begin, c->closed)) : json_null();

	return json_pack(
		"{s:i, s:s, s:i, s:b, s:I, s:o, s:o, s:o}", "number",
		ch->number, "type", channel_name(ch->mess.channel_type), "id",
		ch->mess.channel_id, "mini", ch->mini, "opened_ms",
		ms(begin, c->opened), "closed_ms", closed, "to_guest",
		direction_json(&c->directions[CAPTURE_TO_GUEST]), "to_client",
		direction_json(&c->directions[CAPTURE_TO_CLIENT]));
}

/* Text from the file, which may be no UTF-8. */
static json_t *text(const char *s)
{
	json_t *j = json_string(s);

	return j ? j : json_string("");
}

static json_t *stats_json(const struct stats *stats,
			  const struct capture_summary *s, const char *damage)
{
	json_t *channels = json_array(), *j;

	for (const struct channel *c = stats->first; c; c = c->next)
		json_array_append_new(channels, channel_json(c, s->first_time));
	j = json_pack("{s:b, s:b, s:I, s:I, s:{s:o, s:o, s:o}, s:o}",
		      "complete", s->complete, "signed", s->is_signed,
		      "good_bytes", (json_int_t)s->good_bytes, "duration_ms",
		      ms(s->first_time, s->last_time), "session", "id",
		      text(s->session.id), "vault", text(s->session.vault),
		      "client", text(s->session.client), "channels", channels);
	if (damage)
		json_object_set_new(j, "damage", text(damage));
	return j;
}

static int read_items(struct stats *stats, struct capture_reader *reader,
		      struct error *error)
{
	struct capture_item item;
	int r;

	while ((r = capture_reader_next(reader, &item, error)) > 0) {
		r = take(stats, &item, error);
		if (r < 0)
			return r;
	}
	return r;
}

int capture_stats(int in_fd, int out_fd, struct error *error)
{
	struct capture_summary summary;
	struct capture_reader *reader;
	struct stats stats = {.last = &stats.first};
	struct error damage = {0};
	json_t *j;
	int r = capture_reader_new(&reader, in_fd, error);

	if (r < 0)
		return r;
	r = read_items(&stats, reader, &damage);
	capture_reader_summary(reader, &summary);
	j = stats_json(&stats, &summary, r < 0 ? damage.text : NULL);
	if (r < 0 && error)
		*error = damage;
	if (!j)
		r = error_errno(error, ENOMEM, "cannot count");
	else if (json_dumpfd(j, out_fd, JSON_INDENT(1)) < 0 && r == 0)
		r = error_set(error, EIO, "cannot write the statistics");
	json_decref(j);
	while (stats.first) {
		struct channel *c = stats.first;

		stats.first = c->next;
		free(c);
	}
	capture_reader_free(reader);
	return r;
}
