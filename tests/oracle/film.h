/* Pictures that move, so that libspice-server makes a video stream of them. */
#ifndef TESTS_ORACLE_FILM_H
#define TESTS_ORACLE_FILM_H

#include "tests/oracle/device.h"
#include "tests/oracle/viewer.h"

struct film_codec {
	const char *name; /* for spice_server_set_video_codecs() */
	unsigned cap;     /* SPICE_DISPLAY_CAP_CODEC_* */
};

/* The n-th, counted round. */
const struct film_codec *film_codec(unsigned long n);
/*
 * Shows a film on a device's primary of 32 bits, 640 x 480, until some frames
 * came as a stream, and lets the stream end. Takes some seconds.
 */
void film_show(struct device *device, struct viewer *viewer, unsigned display);

#endif
