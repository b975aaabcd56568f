/*
 * Capture file to channel instances and segments; see capture_reader.h. What
 * is in the segments, capture_cut.c finds.
 */
#include "recorder/capture_reader.h"

#include <stdio.h>
#include <stdlib.h>

#include "recorder/capture_cut.h"
#include "recorder/capture_source.h"

int capture_reader_new(struct capture_reader **reader, int fd,
		       struct error *error)
{
	struct capture_reader *r = calloc(1, sizeof(*r));
	int e;

	*reader = NULL;
	if (!r)
		return error_errno(error, ENOMEM, "cannot read the recording");
	e = capture_source_new(&r->source, fd, error);
	if (e < 0) {
		free(r);
		return e;
	}
	*reader = r;
	return 0;
}

void capture_reader_free(struct capture_reader *r)
{
	if (!r)
		return;
	for (uint32_t i = 0; i < r->instance_room; i++) {
		if (!r->instances[i])
			continue;
		buffer_free(&r->instances[i]->streams[0].parts);
		buffer_free(&r->instances[i]->streams[1].parts);
		free(r->instances[i]);
	}
	free(r->instances);
	capture_source_free(r->source);
	free(r);
}

static struct instance *find_instance(const struct capture_reader *r,
				      uint32_t number)
{
	return number < r->instance_room ? r->instances[number] : NULL;
}

static int new_instance(struct capture_reader *r, uint32_t number,
			struct error *error)
{
	uint32_t room = r->instance_room;
	struct instance **instances = r->instances;

	if (number >= room) {
		while (room <= number)
			room = room ? 2 * room : 16;
		instances = reallocarray(instances, room, sizeof(*instances));
		if (!instances)
			return error_errno(error, ENOMEM,
					   "cannot read the recording");
		for (uint32_t i = r->instance_room; i < room; i++)
			instances[i] = NULL;
		r->instances = instances;
		r->instance_room = room;
	}
	instances[number] = calloc(1, sizeof(*instances[number]));
	if (!instances[number])
		return error_errno(error, ENOMEM, "cannot read the recording");
	instances[number]->channel.number = (int)number;
	instances[number]->streams[0].need = LINK_HEADER_SIZE;
	instances[number]->streams[1].need = LINK_HEADER_SIZE;
	r->summary.channels++;
	return 0;
}

static int lacks_bytes(const struct capture_reader *r, uint32_t n,
		       struct error *error)
{
	char what[32];

	snprintf(what, sizeof(what), "it lacks %u bytes", n);
	return capture_cut_damaged(r, error, what);
}

/* Sequence number, SYN and FIN of the segment; 1 when they are an item. */
static int begin_segment(struct capture_reader *r, struct capture_item *item,
			 struct error *error)
{
	struct pcapng_segment *s = &r->segment;
	struct instance *i = find_instance(r, s->channel);
	struct stream *stream;
	int e;

	r->instance = i;
	if (s->flags == PCAPNG_SYN) {
		if (i || s->direction != CAPTURE_TO_GUEST)
			return capture_cut_damaged(r, error,
						   "a channel begins twice");
		e = new_instance(r, s->channel, error);
		if (e < 0)
			return e;
		i = r->instances[s->channel];
	} else if (!i) {
		return capture_cut_damaged(
			r, error, "bytes of a channel that has not begun");
	}
	r->instance = i;
	stream = &i->streams[s->direction];
	if (s->flags & PCAPNG_SYN) {
		if (stream->synced || s->size)
			return capture_cut_damaged(r, error,
						   "a channel begins twice");
		stream->synced = true;
		stream->seq = s->seq + 1;
		capture_cut_give(r, item, CAPTURE_OPEN, NULL, 0);
		return s->flags == PCAPNG_SYN;
	}
	if (!stream->synced || s->seq != stream->seq)
		return lacks_bytes(r, s->seq - stream->seq, error);
	if (s->size && i->closed)
		return capture_cut_damaged(r, error,
					   "bytes behind a channel's end");
	stream->seq += (uint32_t)s->size + (s->flags & PCAPNG_FIN ? 1 : 0);
	if (s->direction == CAPTURE_TO_GUEST)
		r->summary.bytes_to_guest += s->size;
	else
		r->summary.bytes_to_client += s->size;
	return 0;
}

/* Reads blocks up to the next segment; 1, or 0 at the end. */
static int next_segment(struct capture_reader *r, struct error *error)
{
	struct capture_block b;
	int e;

	while ((e = capture_source_next(r->source, &b, error)) > 0) {
		r->offset = b.offset;
		if (!r->has_section && b.type != PCAPNG_SECTION)
			return capture_cut_damaged(r, error,
						   "no pcapng section begins");
		if (b.type == PCAPNG_SECTION) {
			if (r->has_section)
				return capture_cut_damaged(r, error,
							   "a second section");
			r->has_section = true;
			e = pcapng_get_section(b.data, b.size,
					       &r->summary.session, error);
		} else if (b.type == PCAPNG_INTERFACE) {
			if (r->has_interface)
				return capture_cut_damaged(
					r, error, "a second interface");
			r->has_interface = true;
			e = pcapng_get_interface(b.data, b.size, error);
		} else if (b.type == PCAPNG_PACKET) {
			if (!r->has_interface)
				return capture_cut_damaged(
					r, error, "a packet of no interface");
			e = pcapng_get_segment(b.data, b.size, &r->segment,
					       error);
			if (e == 0)
				return 1;
		}
		if (e < 0) {
			error_prefix(error,
				     "the recording is damaged at offset %llu "
				     "of its pcapng",
				     (unsigned long long)b.offset);
			return e;
		}
	}
	return e;
}

static void note_time(struct capture_summary *s, uint64_t time)
{
	if (!s->first_time)
		s->first_time = time;
	if (time > s->last_time)
		s->last_time = time;
}

static int next_item(struct capture_reader *r, struct capture_item *item,
		     struct error *error)
{
	int e;

	capture_cut_drop(r);
	for (;;) {
		if (r->instance) {
			e = capture_cut_next(r, item, error);
			if (e)
				return e;
		}
		r->instance = NULL;
		e = next_segment(r, error);
		if (e <= 0)
			return e;
		note_time(&r->summary, r->segment.time);
		e = begin_segment(r, item, error);
		if (e)
			return e;
	}
}

int capture_reader_next(struct capture_reader *r, struct capture_item *item,
			struct error *error)
{
	int e;

	if (r->failure) {
		if (error)
			*error = r->error;
		return r->failure;
	}
	e = next_item(r, item, &r->error);
	if (e < 0) {
		r->failure = e;
		if (error)
			*error = r->error;
	}
	return e;
}

void capture_reader_summary(const struct capture_reader *r,
			    struct capture_summary *summary)
{
	struct capture_source_end end;

	capture_source_end(r->source, &end);
	*summary = r->summary;
	summary->complete = end.complete;
	summary->is_signed = end.is_signed;
	summary->good_bytes = end.good_bytes;
}
