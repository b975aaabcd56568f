/* The adding side of a capture; see capture_writer.h and capture_pool.h. */
#include "recorder/capture_writer.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "recorder/capture_pool.h"
#include "recorder/pcapng.h"

#define SYNC_NS UINT64_C(1000000000) /* a quiet file is on disk then */

int capture_writer_new(struct capture_writer **writer,
		       struct capture_pool *pool, int fd,
		       const struct capture_session *session,
		       struct error *error)
{
	struct capture_writer *w = calloc(1, sizeof(*w));
	int r;

	*writer = NULL;
	if (!w)
		return error_errno(error, ENOMEM, "cannot begin a recording");
	r = capture_pool_add(pool, &w->file, error);
	if (r < 0) {
		free(w);
		return r;
	}
	w->file.fd = fd;
	w->session = *session;
	*writer = w;
	return 0;
}

static void submit(struct capture_writer *w, uint64_t time)
{
	struct chunk *c = w->chunk;

	w->chunk = NULL;
	w->submitted = time;
	w->unsynced = c->size != 0;
	capture_pool_submit(c);
}

/* Makes sure of an open chunk. */
static int begin_chunk(struct capture_writer *w, uint64_t time,
		       struct error *error)
{
	struct chunk *c;

	if (w->chunk)
		return 0;
	c = capture_pool_chunk(w->file.pool);
	if (!c)
		return error_errno(error, ENOMEM, "no memory to record with");
	c->writer = w;
	w->chunk = c;
	w->opened = time;
	if (!w->begun)
		c->size = (size_t)(pcapng_put_section(c->plain, &w->session,
						      NULL) -
				   c->plain);
	w->begun = true;
	return 0;
}

/* The clock may have been set back: then the frame is closed at once. */
static bool is_due(uint64_t since, uint64_t time, uint64_t ns)
{
	return time < since || time - since >= ns;
}

/*
 * Writes one segment into the open chunk; a failure here leaves a hole in the
 * stream and so ends the recording.
 */
static int put_segment(struct capture_writer *w, struct pcapng_segment *s,
		       const void *head, size_t head_size, const void *data,
		       size_t size)
{
	size_t need = pcapng_segment_size(head_size + size, s->flags);
	struct capture_channel_state *ch = &w->channels[s->channel];
	struct error error = {0};
	struct chunk *c;

	if (w->chunk && (w->chunk->size + need > CAPTURE_FRAME_MAX ||
			 is_due(w->opened, s->time, CAPTURE_FLUSH_NS)))
		submit(w, s->time);
	if (begin_chunk(w, s->time, &error) < 0) {
		capture_pool_fail(&w->file, &error);
		return error.code;
	}
	c = w->chunk;
	s->seq = ch->seq[s->direction];
	s->ack = s->flags & PCAPNG_ACK ? ch->seq[!s->direction] : 0;
	if (s->time > w->time)
		w->time = s->time;
	else
		s->time = w->time;
	pcapng_put_segment(c->plain + c->size, s, head, head_size, data, size);
	c->size += need;
	c->counts.packets++;
	if (!c->first_time)
		c->first_time = s->time;
	c->last_time = s->time;
	ch->seq[s->direction] += (uint32_t)(head_size + size) +
				 ((s->flags & (PCAPNG_SYN | PCAPNG_FIN)) != 0);
	return 0;
}

/* A segment without payload. */
static int put_flags(struct capture_writer *w, uint32_t channel,
		     enum capture_direction direction, uint64_t time,
		     uint8_t flags)
{
	struct pcapng_segment s = {
		.time = time,
		.channel = channel,
		.direction = direction,
		.flags = flags,
	};

	return put_segment(w, &s, NULL, 0, NULL, 0);
}

static int new_channel(struct capture_writer *w, struct error *error)
{
	uint32_t room = w->channel_room;

	if (w->channel_count == PCAPNG_CHANNELS_MAX)
		return error_set(error, ENOSPC,
				 "the recording has %u channel connections, "
				 "more than its format holds",
				 w->channel_count);
	if (w->channel_count == room) {
		struct capture_channel_state *channels;

		room = room ? 2 * room : 16;
		channels = reallocarray(w->channels, room, sizeof(*channels));
		if (!channels)
			return error_errno(error, ENOMEM,
					   "no memory to record with");
		w->channels = channels;
		w->channel_room = room;
	}
	w->channels[w->channel_count] =
		(struct capture_channel_state){.open = true};
	return (int)w->channel_count++;
}

int capture_writer_open_channel(struct capture_writer *w, uint64_t time,
				struct error *error)
{
	int r = capture_pool_failure(&w->file, error);
	int n;

	if (r < 0)
		return r;
	n = new_channel(w, error);
	if (n < 0)
		return n;
	if (put_flags(w, n, CAPTURE_TO_GUEST, time, PCAPNG_SYN) < 0 ||
	    put_flags(w, n, CAPTURE_TO_CLIENT, time, PCAPNG_SYN | PCAPNG_ACK) <
		    0 ||
	    put_flags(w, n, CAPTURE_TO_GUEST, time, PCAPNG_ACK) < 0)
		return capture_pool_failure(&w->file, error);
	w->chunk->counts.channels++;
	return n;
}

int capture_writer_close_channel(struct capture_writer *w, int channel,
				 uint64_t time, struct error *error)
{
	int r = capture_pool_failure(&w->file, error);
	uint8_t flags = PCAPNG_FIN | PCAPNG_ACK;

	if (r < 0)
		return r;
	assert(channel >= 0 && (uint32_t)channel < w->channel_count);
	assert(w->channels[channel].open);
	w->channels[channel].open = false;
	if (put_flags(w, channel, CAPTURE_TO_GUEST, time, flags) < 0 ||
	    put_flags(w, channel, CAPTURE_TO_CLIENT, time, flags) < 0 ||
	    put_flags(w, channel, CAPTURE_TO_GUEST, time, PCAPNG_ACK) < 0)
		return capture_pool_failure(&w->file, error);
	return 0;
}

static void count(struct chunk *c, enum capture_direction direction, size_t n)
{
	if (direction == CAPTURE_TO_GUEST)
		c->counts.bytes_to_guest += n;
	else
		c->counts.bytes_to_client += n;
}

int capture_writer_addv(struct capture_writer *w, int channel,
			enum capture_direction direction, uint64_t time,
			const void *head, size_t head_size, const void *data,
			size_t size, struct error *error)
{
	const uint8_t *h = head, *d = data;
	int r = capture_pool_failure(&w->file, error);

	if (r < 0)
		return r;
	assert(channel >= 0 && (uint32_t)channel < w->channel_count);
	assert(w->channels[channel].open);
	if (atomic_load(&w->file.backlog) >= CAPTURE_BACKLOG_MAX) {
		atomic_store(&w->file.starved, true);
		/* The pool may have caught up between the two. */
		if (atomic_load(&w->file.backlog) >= CAPTURE_BACKLOG_MAX / 2)
			return error_set(error, EAGAIN,
					 "the recording is behind");
	}
	while (head_size + size) {
		size_t hn = head_size < PCAPNG_PAYLOAD_MAX ? head_size
							   : PCAPNG_PAYLOAD_MAX;
		size_t dn = size < PCAPNG_PAYLOAD_MAX - hn
				    ? size
				    : PCAPNG_PAYLOAD_MAX - hn;
		struct pcapng_segment s = {
			.time = time,
			.channel = (uint32_t)channel,
			.direction = direction,
			.flags = PCAPNG_PSH | PCAPNG_ACK,
		};

		if (put_segment(w, &s, h, hn, d, dn) < 0)
			return capture_pool_failure(&w->file, error);
		count(w->chunk, direction, hn + dn);
		h = hn ? h + hn : h;
		d = dn ? d + dn : d;
		head_size -= hn;
		size -= dn;
	}
	return 0;
}

int capture_writer_add(struct capture_writer *w, int channel,
		       enum capture_direction direction, uint64_t time,
		       const void *data, size_t size, struct error *error)
{
	return capture_writer_addv(w, channel, direction, time, NULL, 0, data,
				   size, error);
}

int capture_writer_tick(struct capture_writer *w, uint64_t time,
			struct error *error)
{
	int r = capture_pool_failure(&w->file, error);

	if (r < 0 || atomic_load(&w->file.state) != WRITER_OPEN)
		return r;
	if (w->chunk) {
		if (is_due(w->opened, time, CAPTURE_FLUSH_NS))
			submit(w, time);
	} else if (w->unsynced && is_due(w->submitted, time, SYNC_NS)) {
		/* An empty chunk brings what was written to disk. */
		if (begin_chunk(w, time, NULL) == 0)
			submit(w, time);
	}
	return 0;
}

bool capture_writer_is_behind(struct capture_writer *w)
{
	if (atomic_load(&w->file.backlog) < CAPTURE_BACKLOG_MAX / 2)
		return false;
	atomic_store(&w->file.starved, true);
	/* The pool may have caught up between the two. */
	return atomic_load(&w->file.backlog) >= CAPTURE_BACKLOG_MAX / 2;
}

uint64_t capture_writer_bytes(struct capture_writer *w)
{
	return atomic_load(&w->file.bytes);
}

size_t capture_writer_backlog(struct capture_writer *w)
{
	return atomic_load(&w->file.backlog) + (w->chunk ? w->chunk->size : 0);
}

int capture_writer_eventfd(struct capture_writer *w)
{
	return w->file.event;
}

int capture_writer_finish(struct capture_writer *w, struct error *error)
{
	int r = capture_pool_failure(&w->file, error);

	if (r < 0 || atomic_load(&w->file.state) != WRITER_OPEN)
		return r;
	r = begin_chunk(w, w->time, error);
	if (r < 0)
		return r;
	w->chunk->last = true;
	atomic_store(&w->file.state, WRITER_FINISHING);
	submit(w, w->time);
	return 0;
}

int capture_writer_finished(struct capture_writer *w,
			    uint8_t digest[CAPTURE_DIGEST_SIZE],
			    struct error *error)
{
	int r = capture_pool_failure(&w->file, error);

	if (r < 0)
		return r;
	if (atomic_load(&w->file.state) < WRITER_FINISHED)
		return 0;
	memcpy(digest, w->file.digest, CAPTURE_DIGEST_SIZE);
	return 1;
}

int capture_writer_sign(struct capture_writer *w,
			const uint8_t signature[CAPTURE_SIGNATURE_SIZE],
			uint8_t file_digest[CAPTURE_DIGEST_SIZE],
			uint64_t *file_size, struct error *error)
{
	uint8_t frame[CAPTURE_SIGN_SIZE];
	struct error failure = {0};
	int r = capture_pool_failure(&w->file, error);

	if (r < 0)
		return r;
	assert(atomic_load(&w->file.state) == WRITER_FINISHED);
	capture_sign_put(frame, w->file.digest, signature);
	if (capture_file_append(&w->file, frame, sizeof(frame), &failure) < 0 ||
	    capture_file_sync(&w->file, &failure) < 0 ||
	    capture_file_digest(&w->file, file_digest, &failure) < 0) {
		capture_pool_fail(&w->file, &failure);
		return capture_pool_failure(&w->file, error);
	}
	*file_size = atomic_load(&w->file.bytes);
	atomic_store(&w->file.state, WRITER_SIGNED);
	eventfd_write(w->file.event, 1);
	return 0;
}

void capture_writer_free(struct capture_writer *w)
{
	if (!w)
		return;
	if (w->chunk)
		submit(w, w->time);
	capture_pool_remove(w);
}
