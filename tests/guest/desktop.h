/*
 * What is to be seen beside the lesson: a desktop with a panel, the licence,
 * notes, input and test patterns. The lesson's own place is LESSON_X,
 * LESSON_Y (frame_strip.h).
 */
#ifndef GUEST_DESKTOP_H
#define GUEST_DESKTOP_H

#include "licence.h"
#include "screen.h"

/* Everything anew, on all heads, and shows them; the picture's place stays
 * dark. */
void desktop_draw(struct screen *s);

/* One more line in the notes, which scroll. */
void desktop_note(struct screen *s, const char *text);

void desktop_clock(struct screen *s, unsigned seconds);

/* done of whole, below the picture. */
void desktop_progress(struct screen *s, unsigned done, unsigned whole);

/* The last keys and the pointer. */
void desktop_keys(struct screen *s, const char *text);
void desktop_mouse(struct screen *s, int x, int y, unsigned buttons);

/* The fingerprint, changed fields in red. */
void desktop_licence(struct screen *s, const struct fingerprint *f,
		     const struct licence *l);

/* In the picture's place: one heading and lines below it. */
void desktop_refusal(struct screen *s, const char *heading);
void desktop_refusal_line(struct screen *s, int line, const char *text);

#endif
