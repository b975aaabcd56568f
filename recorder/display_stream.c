/*
 * Video streams of a display channel.
 *
 * A frame is drawn when it arrives. Live clients show it at its mm_time,
 * some 0.4 s later, and drop what is late; arrival order is the only one that
 * is the same each time a recording is decoded.
 */
#include "recorder/display.h"

#include <stdlib.h>

#include "recorder/raster.h"
#include "recorder/video_decoder.h"

#define STREAM_TOP_DOWN 1 /* SPICE_STREAM_FLAGS_TOP_DOWN */

struct stream {
	uint32_t surface_id;
	bool top_down;
	uint8_t codec; /* SPICE_VIDEO_CODEC_TYPE_* */
	pixman_box32_t dest;
	struct bytes clip;           /* a Clip, owned bytes */
	struct video_decoder *video; /* NULL for MJPEG */
	struct image *jpeg;          /* memory of the last frame of MJPEG */
	uint64_t *frame_bytes;       /* counts it, see video_decoder.h */
};

static uint64_t image_bytes(const struct image *image)
{
	return (uint64_t)image->width * image->height * sizeof(uint32_t);
}

/* The last frame's memory, to be used again; or NULL. */
static struct image *take_jpeg(struct stream *s)
{
	struct image *image = s->jpeg;

	if (image)
		*s->frame_bytes -= image_bytes(image);
	s->jpeg = NULL;
	return image;
}

static void give_jpeg(struct stream *s, struct image *image)
{
	if (s->jpeg || !image ||
	    image_bytes(image) > VIDEO_FRAME_BYTES_MAX - *s->frame_bytes) {
		image_unref(image);
		return;
	}
	*s->frame_bytes += image_bytes(image);
	s->jpeg = image;
}

static void stream_free(struct stream *s)
{
	if (!s)
		return;
	video_decoder_free(s->video);
	image_unref(take_jpeg(s));
	free((void *)s->clip.data);
	free(s);
}

void display_stream_free_all(struct display *d)
{
	for (unsigned i = 0; i < DISPLAY_STREAMS; i++) {
		stream_free(d->streams[i]);
		d->streams[i] = NULL;
	}
}

/* Keeps what is left of the message: the clip, to be cut by each frame. */
static int set_clip(struct stream *s, const struct bytes *in,
		    struct error *error)
{
	size_t size = bytes_left(in);
	uint8_t *copy;

	if (in->bad || !size)
		return error_set(error, EBADMSG, "a stream is cut short");
	copy = malloc(size);
	if (!copy)
		return error_set(error, ENOMEM, "no memory for a clip");
	memcpy(copy, in->data + in->at, size);
	free((void *)s->clip.data);
	s->clip = bytes_of(copy, size);
	return 0;
}

static int create(struct display *d, struct bytes *in, struct error *error)
{
	uint32_t surface = bytes_le32(in), id = bytes_le32(in);
	struct stream *s;
	int r;

	if (in->bad || id >= DISPLAY_STREAMS)
		return error_set(error, EBADMSG, "stream %u is out of bounds",
				 id);
	s = calloc(1, sizeof(*s));
	if (!s)
		return error_set(error, ENOMEM, "no memory for a stream");
	s->surface_id = surface;
	s->frame_bytes = &d->use->frame_bytes;
	s->top_down = bytes_u8(in) & STREAM_TOP_DOWN;
	s->codec = bytes_u8(in);
	bytes_le64(in); /* stamp */
	bytes_le64(in); /* width and height of frames */
	bytes_le64(in); /* of the source in the guest */
	s->dest = display_read_rect(in);
	r = set_clip(s, in, error);
	if (!r && s->codec != VIDEO_CODEC_MJPEG)
		r = video_decoder_new(&s->video, s->codec, &d->use->frame_bytes,
				      error);
	if (r) {
		stream_free(s);
		return r;
	}
	stream_free(d->streams[id]);
	d->streams[id] = s;
	return 0;
}

/*
 * The place of a frame on its surface as an image, when nothing lies between
 * a frame of that size and the surface; otherwise NULL. What is damaged in
 * its middle is seen up to there.
 */
static struct image *place(struct display *d, const struct stream *s,
			   const pixman_box32_t *dest)
{
	struct surface *surface = display_surface(d, s->surface_id, NULL);
	struct image *image;

	if (!surface || !surface_is_wide(surface) || !s->top_down ||
	    s->clip.data[0] || dest->x1 < 0 || dest->y1 < 0 ||
	    dest->x1 >= dest->x2 || dest->y1 >= dest->y2 ||
	    dest->x2 > (int32_t)surface->width ||
	    dest->y2 > (int32_t)surface->height ||
	    image_new_borrowed(
		    &image, surface_row(surface, dest->y1) + dest->x1,
		    (uint32_t)(dest->x2 - dest->x1),
		    (uint32_t)(dest->y2 - dest->y1), IMAGE_XRGB, NULL))
		return NULL;
	image->stride = surface->width;
	return image;
}

static int decode_jpeg(struct display *d, struct stream *s,
		       const pixman_box32_t *dest, struct bytes frame,
		       struct image **image, struct error *error)
{
	int r;

	/* There is one when frames are not of the size they are shown in. */
	*image = take_jpeg(s);
	if (!*image)
		*image = place(d, s, dest);
	r = jpeg_decode_frame(frame, image, error);
	if (*image)
		d->drawn += (uint64_t)(*image)->width * (*image)->height;
	return r;
}

static int decode(struct display *d, struct stream *s,
		  const pixman_box32_t *dest, struct bytes frame,
		  struct image **image, struct error *error)
{
	int r;

	*image = NULL;
	if (s->codec == VIDEO_CODEC_MJPEG) {
		r = decode_jpeg(d, s, dest, frame, image, error);
	} else {
		r = video_decoder_decode(s->video, frame, image, error);
	}
	if (!r && *image && !s->top_down)
		image_flip(*image);
	return r;
}

/* All of the frame, whatever size was announced, as viewers do. */
static int show(struct display *d, struct stream *s, const struct image *image,
		const pixman_box32_t *dest, struct error *error)
{
	struct surface *surface = display_surface(d, s->surface_id, error);
	struct raster_source source;
	struct bytes clip = s->clip;
	pixman_region32_t region;
	pixman_box32_t src = {0, 0, image->width, image->height};
	int r;

	if (!surface)
		return -EBADMSG;
	r = display_read_clip(&clip, surface, dest, &region, error);
	if (!r && image->borrowed) {
		surface_touch(surface, &region);
	} else if (!r) {
		source = raster_image(image, &src, dest, 1);
		r = raster_paint(surface, &region, &source,
				 raster_rop(ROPD_PUT, 0, 0), NULL, error);
	}
	if (display_drew(d, surface, dest, &region, error))
		r = -ENOMEM;
	pixman_region32_fini(&region);
	return r;
}

static int data(struct display *d, bool sized, struct bytes *in,
		struct error *error)
{
	uint32_t id = bytes_le32(in), size;
	struct image *image = NULL;
	pixman_box32_t dest;
	struct stream *s;
	const uint8_t *frame;
	int r, shown = 0;

	/* A server may speak of streams that its client can't take. */
	if (id >= DISPLAY_STREAMS || !d->streams[id])
		return 0;
	s = d->streams[id];
	bytes_le32(in); /* mm_time */
	dest = s->dest;
	if (sized) {
		bytes_le64(in); /* width, height */
		dest = display_read_rect(in);
	}
	size = bytes_le32(in);
	frame = bytes_take(in, size);
	if (!frame)
		return error_set(error, EBADMSG, "a frame is cut short");
	r = decode(d, s, &dest, bytes_of(frame, size), &image, error);
	if (image && (!r || image->borrowed))
		shown = show(d, s, image, &dest, r ? NULL : error);
	r = r ? r : shown;
	if (s->codec == VIDEO_CODEC_MJPEG && image && !image->borrowed)
		give_jpeg(s, image);
	else
		image_unref(image);
	return r;
}

int display_stream(struct display *d, uint16_t type, struct bytes body,
		   struct error *error)
{
	uint32_t id;

	switch (type) {
	case DISPLAY_MESSAGE_stream_create:
		return create(d, &body, error);
	case DISPLAY_MESSAGE_stream_data:
		return data(d, false, &body, error);
	case DISPLAY_MESSAGE_stream_data_sized:
		return data(d, true, &body, error);
	case DISPLAY_MESSAGE_stream_destroy_all:
		display_stream_free_all(d);
		return 0;
	}
	id = bytes_le32(&body);
	if (body.bad || id >= DISPLAY_STREAMS)
		return error_set(error, EBADMSG, "stream %u is out of bounds",
				 id);
	if (!d->streams[id])
		return 0;
	if (type == DISPLAY_MESSAGE_stream_clip)
		return set_clip(d->streams[id], &body, error);
	stream_free(d->streams[id]);
	d->streams[id] = NULL;
	return 0;
}
