/* A first reading of a capture, with a decoder that draws nothing. */
#include "recorder/survey.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "recorder/decoder.h"
#include "recorder/render.h"
#include "recorder/screen.h"

#define ASK_ITEMS 4096

struct surveyor {
	struct survey *survey;
	struct decoder *decoder;
	unsigned monitor;
	EVP_MD_CTX *hash;
	/* The size of this moment, and since when it is. */
	uint32_t width, height;
	uint64_t since;
	int (*wanted)(void *user);
	void *user;
};

static int digest(struct surveyor *v, const struct capture_item *item,
		  struct error *error)
{
	const uint64_t facts[] = {
		item->time,      item->kind, (uint64_t)item->channel->number,
		item->direction, item->type, item->size};

	return EVP_DigestUpdate(v->hash, facts, sizeof(facts))
		       ? 0
		       : error_set(error, ENOMEM, "no memory for a digest");
}

/* A size that was there for a moment only, between two messages, is none. */
static void settle(struct surveyor *v, uint64_t now)
{
	struct survey *s = v->survey;

	if (now - v->since < RENDER_SETTLE)
		return;
	s->width = v->width > s->width ? v->width : s->width;
	s->height = v->height > s->height ? v->height : s->height;
}

static int look(struct surveyor *v, const struct capture_item *item,
		struct error *error)
{
	struct survey *s = v->survey;
	uint32_t width, height;
	int r;

	if (!s->first_time)
		s->first_time = item->time;
	s->last_time = item->time;
	r = digest(v, item, error);
	if (!r)
		r = decoder_feed(v->decoder, item, error);
	if (r || item->kind != CAPTURE_MESSAGE ||
	    !display_follows_layout(item->type))
		return r;
	settle(v, item->time);
	screen_size(v->decoder, &width, &height);
	s->pictures |= width > 0;
	screen_monitor_size(v->decoder, v->monitor, &v->width, &v->height);
	v->since = item->time;
	return 0;
}

static int read_all(struct surveyor *v, struct capture_reader *reader,
		    struct error *error)
{
	struct survey *s = v->survey;
	struct capture_item item;
	unsigned n = 0;
	int r;

	while ((r = capture_reader_next(reader, &item, error)) == 1) {
		r = look(v, &item, error);
		if (r)
			return r;
		if (v->wanted && ++n % ASK_ITEMS == 0 && v->wanted(v->user))
			return error_set(error, ECANCELED,
					 "rendering was cancelled");
	}
	if (r == -EBADMSG) {
		snprintf(s->damage, sizeof(s->damage), "%s", error->text);
		r = 0;
	}
	settle(v, UINT64_MAX);
	s->sound = decoder_had_sound(v->decoder);
	s->microphone = decoder_had_microphone(v->decoder);
	if (!r && !EVP_DigestFinal_ex(v->hash, s->digest, NULL))
		r = error_set(error, ENOMEM, "no memory for a digest");
	return r;
}

int survey_capture(int capture_fd, unsigned monitor, struct survey *s,
		   int (*wanted)(void *user), void *user, struct error *error)
{
	struct decoder_options options = {.layout_only = true};
	struct surveyor v = {.survey = s,
			     .monitor = monitor,
			     .hash = EVP_MD_CTX_new(),
			     .wanted = wanted,
			     .user = user};
	struct capture_summary summary;
	struct capture_reader *reader = NULL;
	int r;

	*s = (struct survey){0};
	r = v.hash && EVP_DigestInit_ex(v.hash, EVP_sha256(), NULL)
		    ? capture_reader_new(&reader, capture_fd, error)
		    : error_set(error, ENOMEM, "no memory for a digest");
	if (!r)
		r = decoder_new(&v.decoder, &options, error);
	if (!r)
		r = read_all(&v, reader, error);
	if (!r) {
		capture_reader_summary(reader, &summary);
		s->complete = summary.complete;
		error_clear(error);
	}
	decoder_free(v.decoder);
	capture_reader_free(reader);
	EVP_MD_CTX_free(v.hash);
	return r;
}
