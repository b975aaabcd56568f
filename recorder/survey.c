/* A first reading of a capture, with a decoder that draws nothing. */
#include "recorder/survey.h"

#include <stdio.h>

#include "recorder/decoder.h"
#include "recorder/screen.h"

static int look(struct decoder *decoder, const struct capture_item *item,
		struct survey *s, struct error *error)
{
	uint32_t width, height;
	int r;

	if (!s->first_time)
		s->first_time = item->time;
	s->last_time = item->time;
	r = decoder_feed(decoder, item, error);
	if (r || item->kind != CAPTURE_MESSAGE ||
	    !display_follows_layout(item->type))
		return r;
	screen_size(decoder, &width, &height);
	s->width = width > s->width ? width : s->width;
	s->height = height > s->height ? height : s->height;
	return 0;
}

static int read_all(struct capture_reader *reader, struct decoder *decoder,
		    struct survey *s, struct error *error)
{
	struct capture_item item;
	int r;

	while ((r = capture_reader_next(reader, &item, error)) == 1) {
		r = look(decoder, &item, s, error);
		if (r)
			return r;
	}
	if (r == -EBADMSG) {
		snprintf(s->damage, sizeof(s->damage), "%s", error->text);
		r = 0;
	}
	s->sound = decoder_had_sound(decoder);
	return r;
}

int survey_capture(int capture_fd, struct survey *s, struct error *error)
{
	struct decoder_options options = {.layout_only = true};
	struct capture_summary summary;
	struct capture_reader *reader;
	struct decoder *decoder = NULL;
	int r;

	*s = (struct survey){0};
	r = capture_reader_new(&reader, capture_fd, error);
	if (r)
		return r;
	r = decoder_new(&decoder, &options, error);
	if (!r)
		r = read_all(reader, decoder, s, error);
	if (!r) {
		capture_reader_summary(reader, &summary);
		s->complete = summary.complete;
		error_clear(error);
	}
	decoder_free(decoder);
	capture_reader_free(reader);
	return r;
}
