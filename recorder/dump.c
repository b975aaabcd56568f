/* Writes a capture's items as lines; see dump.h. */
#include "recorder/dump.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "recorder/capture_reader.h"
#include "recorder/message.h"

#define FLUSH_SIZE (1u << 16)
#define HEX_ROW 16u
#define NS 1000000000u

/* Of one channel instance. */
struct dump_channel {
	struct message_agent agent;
	struct dump_channel *next;
};

struct dump {
	const struct dump_options *options;
	int out;
	struct dump_text text;
	struct dump_channel *channels;
	uint64_t first, count;
	bool begun; /* head, and a message in JSON's list */
	bool listed;
};

static int flush(struct dump *d, size_t least, struct error *error)
{
	struct buffer *b = &d->text.out;
	size_t done = 0;

	if (b->failed)
		return error_errno(error, ENOMEM, "cannot write the dump");
	if (b->size < least)
		return 0;
	while (done < b->size) {
		ssize_t n = write(d->out, b->data + done, b->size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(error, errno,
					   "cannot write the dump");
		done += (size_t)n;
	}
	b->size = 0;
	return 0;
}

static void put(struct dump *d, const char *s)
{
	buffer_put(&d->text.out, s, strlen(s));
}

/* --- head and end ------------------------------------------------------- */

static void put_session(struct dump *d, const struct capture_session *session)
{
	struct dump_text *t = &d->text;
	time_t seconds = (time_t)(d->first / NS);
	char started[40], fraction[16];
	struct tm tm = {0};

	gmtime_r(&seconds, &tm);
	strftime(started, sizeof(started), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(fraction, sizeof(fraction), ".%06" PRIu64 "Z",
		 d->first % NS / 1000);
	dump_text_string(t, "session", session->id, strlen(session->id));
	dump_text_string(t, "vault", session->vault, strlen(session->vault));
	dump_text_string(t, "client", session->client, strlen(session->client));
	if (d->first)
		dump_text_word(t, "started", "%s%s", started, fraction);
}

static void put_head(struct dump *d, const struct capture_reader *reader)
{
	struct capture_summary summary;

	capture_reader_summary(reader, &summary);
	d->text.fresh = true;
	put(d, d->options->json ? "{" : "# ");
	put_session(d, &summary.session);
	put(d, d->options->json ? ",\"messages\":[" : "\n");
	d->begun = true;
}

static void put_end(struct dump *d, const struct capture_reader *reader,
		    const char *damage)
{
	struct capture_summary summary;
	struct dump_text *t = &d->text;

	capture_reader_summary(reader, &summary);
	t->fresh = !d->options->json;
	put(d, d->options->json ? "\n]" : "# ");
	dump_text_u64(t, "count", d->count);
	dump_text_word(t, "end", "%s",
		       damage             ? "damaged"
		       : summary.complete ? "complete"
					  : "cut_off");
	if (damage)
		dump_text_string(t, "damage", damage, strlen(damage));
	put(d, d->options->json ? "}\n" : "\n");
}

/* --- one item ----------------------------------------------------------- */

static void put_channel(struct dump *d, const struct capture_channel *c,
			bool known)
{
	const char *name = message_channel_name(c->mess.channel_type);
	struct dump_text *t = &d->text;

	if (!known)
		dump_text_word(t, d->options->json ? "channel" : NULL, "-");
	else if (name)
		dump_text_word(t, d->options->json ? "channel" : NULL, "%s:%u",
			       name, c->mess.channel_id);
	else
		dump_text_word(t, d->options->json ? "channel" : NULL, "%u:%u",
			       c->mess.channel_type, c->mess.channel_id);
}

/* Everything up to the name; the rest of the line follows. */
static void begin_line(struct dump *d, const struct capture_item *item,
		       const char *name)
{
	struct dump_text *t = &d->text;
	bool json = d->options->json;
	uint64_t us = (item->time - d->first) / 1000;
	bool edge = item->kind == CAPTURE_OPEN || item->kind == CAPTURE_CLOSE;

	put(d, json ? d->listed ? ",\n{" : "\n{" : "");
	d->listed = true;
	d->count++;
	t->fresh = true;
	if (json)
		dump_text_u64(t, "time_us", us);
	else
		dump_text_word(t, NULL, "%" PRIu64 ".%06" PRIu64, us / 1000000,
			       us % 1000000);
	put_channel(d, item->channel, item->kind != CAPTURE_OPEN);
	if (!edge || !json)
		dump_text_word(t, json ? "direction" : NULL, "%s",
			       edge ? "-"
			       : item->direction == CAPTURE_TO_CLIENT
				       ? "to-client"
				       : "to-guest");
	if (item->kind == CAPTURE_MESSAGE)
		dump_text_u64(t, json ? "serial" : NULL, item->serial);
	else if (!json)
		dump_text_word(t, NULL, "-");
	dump_text_word(t, json ? "message" : NULL, "%s", name);
}

static void put_hex_row(struct dump *d, const uint8_t *data, size_t at,
			size_t n)
{
	char row[HEX_ROW * 4 + 32], *p = row;

	p += sprintf(p, "\t%06zx ", at);
	for (size_t i = 0; i < HEX_ROW; i++)
		p += i < n ? sprintf(p, " %02x", data[at + i])
			   : sprintf(p, "   ");
	p += sprintf(p, "  ");
	for (size_t i = 0; i < n; i++)
		*p++ = data[at + i] >= ' ' && data[at + i] < 127
			       ? (char)data[at + i]
			       : '.';
	*p++ = '\n';
	buffer_put(&d->text.out, row, (size_t)(p - row));
}

static void end_line(struct dump *d, const struct capture_item *item,
		     bool shown)
{
	struct dump_text *t = &d->text;
	char byte[4];

	if (d->options->json) {
		if (d->options->hex && shown) {
			put(d, ",\"body\":\"");
			for (size_t i = 0; i < item->size; i++) {
				snprintf(byte, sizeof(byte), "%02x",
					 item->data[i]);
				put(d, byte);
			}
			put(d, "\"");
		}
		dump_text_close(t, '}');
		return;
	}
	put(d, "\n");
	for (size_t i = 0; d->options->hex && shown && i < item->size;
	     i += HEX_ROW)
		put_hex_row(d, item->data, i,
			    item->size - i < HEX_ROW ? item->size - i
						     : HEX_ROW);
	if (d->options->hex && !shown && item->size)
		put(d, "\t(withheld)\n");
}

static void put_link(struct dump *d, const struct capture_item *item)
{
	const struct link_mess *mess = &item->channel->mess;
	const struct link_reply *reply = &item->channel->reply;
	const struct message_set *caps =
		message_channel_caps(mess->channel_type);
	struct dump_text *t = &d->text;
	bool client = item->kind == CAPTURE_LINK_MESS;
	const struct link_caps *common =
		client ? &mess->common : &reply->common;
	const struct link_caps *own = client ? &mess->channel : &reply->channel;
	const char *why =
		message_value_name(message_link_errors(), reply->error);

	begin_line(d, item, client ? "link_mess" : "link_reply");
	if (client) {
		dump_text_u64(t, "instance", (uint64_t)item->channel->number);
		dump_text_word(t, "connection_id", "0x%08" PRIx32,
			       mess->connection_id);
	} else if (why) {
		dump_text_word(t, "error", "%s", why);
	} else {
		dump_text_u64(t, "error", reply->error);
	}
	message_put_caps(t, "common_caps", message_common_caps(), common->words,
			 common->count);
	message_put_caps(t, "channel_caps", caps, own->words, own->count);
	end_line(d, item, true);
}

static void put_auth(struct dump *d, const struct capture_item *item)
{
	struct dump_text *t = &d->text;
	uint32_t value = item->size == 4 ? bytes_get_le32(item->data) : 0;
	const struct message_set *set = item->kind == CAPTURE_AUTH
						? message_auth_mechanisms()
						: message_link_errors();
	const char *word = message_value_name(set, value);

	if (item->size != 4) {
		begin_line(d, item, "ticket");
		dump_text_bytes(t, "data", NULL, item->size);
		end_line(d, item, false);
		return;
	}
	begin_line(d, item, item->kind == CAPTURE_AUTH ? "auth" : "result");
	if (word)
		dump_text_word(t, "value", "%s", word);
	else
		dump_text_u64(t, "value", value);
	end_line(d, item, true);
}

static void put_message(struct dump *d, const struct capture_item *item,
			bool wanted)
{
	struct dump_channel *c = item->channel->user;
	uint8_t channel = item->channel->mess.channel_type;
	const struct message_kind *kind =
		message_kind(channel, item->direction, item->type);
	struct message_walk walk = {
		.channel = channel,
		.direction = item->direction,
		.contents = d->options->contents,
		.text = wanted ? &d->text : NULL,
		.agent = c ? &c->agent : NULL,
	};

	if (wanted)
		begin_line(d, item, kind ? kind->name : "unknown");
	if (kind)
		message_walk(&walk, kind, item->data, item->size,
			     item->sub_list);
	if (!wanted)
		return;
	if (!kind) {
		dump_text_u64(&d->text, "type", item->type);
		dump_text_bytes(&d->text, "data", NULL, item->size);
		dump_text_u64(&d->text, "offset", item->offset);
	} else if (walk.damaged) {
		dump_text_word(&d->text, "damaged", "%s", walk.where);
		dump_text_u64(&d->text, "at", walk.at);
		dump_text_u64(&d->text, "size", item->size);
		dump_text_u64(&d->text, "offset", item->offset);
	} else if (walk.unread) {
		dump_text_u64(&d->text, "unread", walk.unread);
	}
	end_line(d, item, !walk.secret || d->options->contents);
}

static int open_channel(struct dump *d, const struct capture_item *item,
			struct error *error)
{
	struct dump_channel *c = calloc(1, sizeof(*c));

	if (!c)
		return error_errno(error, ENOMEM, "cannot write the dump");
	c->next = d->channels;
	d->channels = c;
	item->channel->user = c;
	return 0;
}

static bool is_wanted(const struct dump *d, const struct capture_item *item)
{
	const struct dump_options *o = d->options;
	uint64_t at = item->time - d->first;

	if (at < o->from || (o->to && at > o->to))
		return false;
	if (!o->channel)
		return true;
	return item->kind != CAPTURE_OPEN &&
	       item->channel->mess.channel_type == o->channel &&
	       (o->id < 0 || item->channel->mess.channel_id == o->id);
}

static int dump_item(struct dump *d, const struct capture_item *item,
		     struct error *error)
{
	bool wanted = is_wanted(d, item);
	int r = 0;

	if (item->kind == CAPTURE_OPEN)
		r = open_channel(d, item, error);
	if (r)
		return r;
	/* An agent's messages go on from one to the next. */
	if (item->kind == CAPTURE_MESSAGE)
		put_message(d, item, wanted);
	else if (!wanted)
		return 0;
	else if (item->kind == CAPTURE_LINK_MESS ||
		 item->kind == CAPTURE_LINK_REPLY)
		put_link(d, item);
	else if (item->kind == CAPTURE_AUTH || item->kind == CAPTURE_RESULT)
		put_auth(d, item);
	else {
		begin_line(d, item,
			   item->kind == CAPTURE_OPEN ? "open" : "close");
		dump_text_u64(&d->text, "instance",
			      (uint64_t)item->channel->number);
		end_line(d, item, true);
	}
	return flush(d, FLUSH_SIZE, error);
}

static int dump_items(struct dump *d, struct capture_reader *reader,
		      struct error *error)
{
	struct capture_item item;
	struct error damage = {0};
	int r, w;

	while ((r = capture_reader_next(reader, &item, &damage)) == 1) {
		if (!d->begun) {
			d->first = item.time;
			put_head(d, reader);
		}
		w = dump_item(d, &item, error);
		if (w)
			return w;
	}
	if (r && (r != -EBADMSG || !d->begun))
		return error_set(error, -r, "%s", damage.text);
	if (!d->begun)
		put_head(d, reader);
	put_end(d, reader, r ? damage.text : NULL);
	return flush(d, 1, error);
}

int dump_capture(int capture_fd, int out_fd, const struct dump_options *options,
		 struct error *error)
{
	struct dump d = {
		.options = options, .out = out_fd, .text.json = options->json};
	struct capture_reader *reader;
	int r = capture_reader_new(&reader, capture_fd, error);

	if (r)
		return r;
	r = dump_items(&d, reader, error);
	while (d.channels) {
		struct dump_channel *c = d.channels;

		d.channels = c->next;
		message_agent_free(&c->agent);
		free(c);
	}
	buffer_free(&d.text.out);
	capture_reader_free(reader);
	return r;
}
