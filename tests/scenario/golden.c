/*
 * golden CAPTURE: what the decoder makes of a capture, in a few lines that
 * are the same on every machine: trouble, the last picture of the screen and
 * of each surface, all pictures of surface 0 one after the other, and the
 * sound.
 *
 * Pictures are told by their SHA-256. Sound is told by its length, and by its
 * SHA-256 when it was not compressed; of what an audio codec decodes with
 * floating point only the loudness, in steps.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <openssl/evp.h>
#include <spice/enums.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "recorder/capture_reader.h"
#include "recorder/decoder.h"
#include "recorder/screen.h"

#define STEP 64 /* of loudness */

struct heard {
	EVP_MD_CTX *digest;
	uint64_t frames, first, last; /* ns */
	double energy;
	uint64_t begin; /* of the capture */
};

static void print_digest(EVP_MD_CTX *digest)
{
	uint8_t sha[EVP_MAX_MD_SIZE];
	unsigned size;

	EVP_DigestFinal_ex(digest, sha, &size);
	for (unsigned i = 0; i < size; i++)
		printf("%02x", sha[i]);
	printf("\n");
}

static EVP_MD_CTX *new_digest(void)
{
	EVP_MD_CTX *digest = EVP_MD_CTX_new();

	if (!digest || !EVP_DigestInit_ex(digest, EVP_sha256(), NULL))
		abort();
	return digest;
}

static int hear(void *user, uint64_t at, const int16_t *samples,
		unsigned frames, struct error *error)
{
	struct heard *h = user;

	(void)error;
	if (!h->frames)
		h->first = at;
	h->last = at;
	h->frames += frames;
	EVP_DigestUpdate(h->digest, samples, frames * 4);
	for (unsigned i = 0; i < 2 * frames; i++)
		h->energy += (double)samples[i] * samples[i];
	return 0;
}

static void print_sound(const char *name, const struct heard *h, bool exact)
{
	double loudness = sqrt(h->energy / (2.0 * (double)h->frames));

	if (!h->frames)
		return;
	printf("%s frames=%" PRIu64 " from=%.2f to=%.2f ", name, h->frames,
	       (double)(h->first - h->begin) / 1e9,
	       (double)(h->last - h->begin) / 1e9);
	if (exact)
		print_digest(h->digest);
	else
		printf("loudness=%d\n", (int)(loudness / STEP) * STEP);
}

static int print_screen(struct decoder *decoder, struct error *error)
{
	uint32_t width, height, *space;
	pixman_region32_t changed;
	EVP_MD_CTX *digest;
	struct screen *screen;
	int r;

	screen_size(decoder, &width, &height);
	printf("screen %ux%u ", width, height);
	if (!width || !height) {
		printf("nothing\n");
		return 0;
	}
	r = screen_new(&screen, decoder, width, height, true, error);
	if (r)
		return r;
	pixman_region32_init(&changed);
	screen_update(screen, &changed);
	pixman_region32_fini(&changed);
	space = calloc(width, 4);
	digest = new_digest();
	for (uint32_t y = 0; y < height; y++) {
		const uint32_t *row = screen_row(screen, 0, y, width, space);

		for (uint32_t x = 0; x < width; x++) {
			uint8_t rgb[3] = {row[x] >> 16 & 255, row[x] >> 8 & 255,
					  row[x] & 255};

			EVP_DigestUpdate(digest, rgb, 3);
		}
	}
	print_digest(digest);
	EVP_MD_CTX_free(digest);
	free(space);
	screen_free(screen);
	return 0;
}

/* The undefined byte of xRGB is left out. */
static void add_surface(EVP_MD_CTX *digest, const struct surface *s)
{
	uint32_t mask = s->format == SURFACE_32_XRGB ? 0xffffff : s->bits;
	uint8_t le[4];

	for (size_t k = 0; k < (size_t)s->width * s->height; k++) {
		bytes_put_le32(le, s->pixels[k] & mask);
		EVP_DigestUpdate(digest, le, 4);
	}
}

/* After each message to a display. */
static void add_history(EVP_MD_CTX *history, const struct decoder *decoder,
			const struct capture_item *item)
{
	const struct link_mess *mess = &item->channel->mess;
	const struct display *d;

	if (item->kind != CAPTURE_MESSAGE ||
	    mess->channel_type != SPICE_CHANNEL_DISPLAY ||
	    item->direction != CAPTURE_TO_CLIENT)
		return;
	d = decoder_display(decoder, mess->channel_id);
	if (d && d->surfaces[0])
		add_surface(history, d->surfaces[0]);
}

static void print_surfaces(const struct decoder *decoder, unsigned id)
{
	const struct display *d = decoder_display(decoder, id);
	EVP_MD_CTX *digest;

	for (unsigned i = 0; d && i < DISPLAY_SURFACES; i++) {
		const struct surface *s = d->surfaces[i];

		if (!s)
			continue;
		printf("display %u surface %u %ux%u format %u ", id, i,
		       s->width, s->height, s->format);
		digest = new_digest();
		add_surface(digest, s);
		print_digest(digest);
		EVP_MD_CTX_free(digest);
	}
}

static void print_all(struct decoder *decoder, EVP_MD_CTX *history,
		      const struct heard *sound, const struct heard *microphone,
		      bool raw)
{
	const struct decoder_trouble *t = decoder_trouble(decoder);
	struct error error = {0};

	printf("damaged %" PRIu64 " missing %" PRIu64 " undrawn %" PRIu64 "\n",
	       t->damaged, t->missing, t->undrawn);
	if (t->first[0])
		printf("%s\n", t->first);
	if (t->first_undrawn[0])
		printf("%s\n", t->first_undrawn);
	if (print_screen(decoder, &error))
		printf("%s\n", error.text);
	for (unsigned i = 0; i < DECODER_DISPLAYS; i++)
		print_surfaces(decoder, i);
	printf("pictures ");
	print_digest(history);
	print_sound("sound", sound, raw);
	print_sound("microphone", microphone, raw);
}

/* Whether all sound comes as it is. */
static void note_mode(const struct capture_item *item, bool *raw)
{
	uint8_t type = item->channel->mess.channel_type;

	if (item->kind == CAPTURE_MESSAGE && item->size >= 6 &&
	    (type == SPICE_CHANNEL_PLAYBACK || type == SPICE_CHANNEL_RECORD) &&
	    item->type == SPICE_MSG_PLAYBACK_MODE)
		*raw &= item->data[4] == SPICE_AUDIO_DATA_MODE_RAW;
}

static int decode(int fd, struct error *error)
{
	struct heard sound = {.digest = new_digest()};
	struct heard microphone = {.digest = new_digest()};
	struct decoder_options options = {
		.sound = {hear, &sound, false},
		.microphone = {hear, &microphone, false}};
	EVP_MD_CTX *history = new_digest();
	struct capture_reader *reader;
	struct decoder *decoder = NULL;
	struct capture_item item;
	bool raw = true;
	int r = capture_reader_new(&reader, fd, error);

	if (!r)
		r = decoder_new(&decoder, &options, error);
	while (!r && (r = capture_reader_next(reader, &item, error)) == 1) {
		if (!sound.begin)
			sound.begin = microphone.begin = item.time;
		note_mode(&item, &raw);
		r = decoder_feed(decoder, &item, error);
		add_history(history, decoder, &item);
	}
	if (r == -EBADMSG || !r)
		r = decoder_finish(decoder, error);
	if (!r)
		print_all(decoder, history, &sound, &microphone, raw);
	decoder_free(decoder);
	capture_reader_free(reader);
	EVP_MD_CTX_free(history);
	EVP_MD_CTX_free(sound.digest);
	EVP_MD_CTX_free(microphone.digest);
	return r;
}

int main(int argc, char **argv)
{
	struct error error = {0};
	int fd = argc == 2 ? open(argv[1], O_RDONLY) : -1;

	if (fd < 0) {
		fprintf(stderr, "usage: golden CAPTURE\n");
		return 2;
	}
	if (decode(fd, &error)) {
		fprintf(stderr, "golden: %s\n", error.text);
		return 1;
	}
	return 0;
}
