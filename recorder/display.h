/*
 * One display channel: its messages drawn on its surfaces.
 *
 * Layouts of the messages: spice-protocol's enums.h for the numbers, the
 * SPICE protocol description (spice.proto) for the fields. Bounds that
 * spice-server keeps to and a hostile capture may not break are below.
 *
 * Surface 0 is what the user sees. While it is away (a change of resolution)
 * the last one stays visible until the next is marked as valid.
 */
#ifndef RECORDER_DISPLAY_H
#define RECORDER_DISPLAY_H

#include <pixman.h>
#include <stdbool.h>
#include <stdint.h>

#include "recorder/bytes.h"
#include "recorder/error.h"
#include "recorder/image_reader.h"
#include "recorder/surface.h"
#include "schema/spice_messages.h"

#define DISPLAY_SURFACES 1024u
#define DISPLAY_STREAMS 64u
#define DISPLAY_HEADS 16u
#define DISPLAY_PIXELS_MAX (64u << 20) /* of surfaces: 256 MiB */

enum display_message_type {
#define DISPLAY_MESSAGE(number, name, ...) DISPLAY_MESSAGE_##name = number,
	SPICE_DISPLAY_TO_CLIENT(DISPLAY_MESSAGE)
#undef DISPLAY_MESSAGE
};
#define DISPLAY_MESSAGE_MAX 323

/* "draw_copy" and so on; NULL for a number that is none. */
const char *display_message_name(uint16_t type);
/* Messages that may change the size of what is visible. */
bool display_follows_layout(uint16_t type);

struct stream;

/* What is limited for all displays of a session together. */
struct display_use {
	uint64_t pixels;      /* of surfaces, retired ones too */
	uint64_t frame_bytes; /* of streams, see video_decoder.h */
};

struct display {
	struct image_reader reader;
	struct surface *surfaces[DISPLAY_SURFACES];
	struct surface *retired; /* the last primary, still visible */
	bool marked;             /* surface 0 is valid */
	struct display_use own_use;
	struct display_use *use;      /* own_use, or of all displays */
	const struct surface *target; /* drawn on at this moment */
	struct stream *streams[DISPLAY_STREAMS];
	pixman_box32_t heads[DISPLAY_HEADS];   /* on surface 0 */
	unsigned head_count;                   /* 0 = all of surface 0 */
	uint64_t drawn;                        /* px of all boxes drawn on */
	bool layout_only;                      /* draw nothing, follow sizes */
	uint64_t seen[DISPLAY_MESSAGE_MAX];    /* messages by type */
	uint64_t undrawn[DISPLAY_MESSAGE_MAX]; /* not implemented */
};

/* Cache and window are shared by the displays of a session, not owned. */
int display_new(struct display **display, struct image_cache *images,
		struct glz_window *window, struct error *error);
void display_free(struct display *display);
/* The channel connects anew: surfaces go, the picture stays visible. */
void display_restart(struct display *display);

/*
 * Takes a message of type 101 and up. 0; -EAGAIN when it waits for something
 * that another channel brings (nothing was changed: offer it again);
 * -ENOTSUP when it is known and not drawn; otherwise the message is damaged
 * and was left out.
 */
int display_message(struct display *display, uint16_t type, struct bytes body,
		    struct error *error);

/* What is to be seen and which part of it; NULL when there is nothing. */
struct surface *display_visible(const struct display *display,
				pixman_box32_t *part);

/* For the files of this module: a surface, a rectangle, a clip. */
struct surface *display_surface(struct display *display, uint32_t id,
				struct error *error);
pixman_box32_t display_read_rect(struct bytes *in);
/*
 * Reads a Clip and cuts `box` by it and by the surface. -EBADMSG when the
 * bytes do not fit or a coordinate is out of bounds; -ENOMEM.
 */
int display_read_clip(struct bytes *in, const struct surface *surface,
		      const pixman_box32_t *box, pixman_region32_t *region,
		      struct error *error);
/*
 * Behind a drawing on a region: counts it. -ENOMEM when there was none for
 * regions, and so it may be incomplete.
 */
int display_drew(struct display *display, struct surface *surface,
		 const pixman_box32_t *box, pixman_region32_t *region,
		 struct error *error);

int display_draw(struct display *display, uint16_t type, struct bytes body,
		 struct error *error);
int display_stream(struct display *display, uint16_t type, struct bytes body,
		   struct error *error);
void display_stream_free_all(struct display *display);

#endif
