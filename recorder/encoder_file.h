/* The MP4 file behind an encoder: libavformat on an open fd. */
#ifndef RECORDER_ENCODER_FILE_H
#define RECORDER_ENCODER_FILE_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <stdbool.h>

#include "recorder/error.h"

struct encoder_file;

int encoder_file_new(struct encoder_file **file, int fd, struct error *error);
void encoder_file_free(struct encoder_file *file);
/* A track for what an opened codec makes; its index is returned. */
int encoder_file_track(struct encoder_file *file, const AVCodecContext *codec,
		       struct error *error);
int encoder_file_begin(struct encoder_file *file, struct error *error);
/* Takes the packet's reference; its times are in `base` units. */
int encoder_file_write(struct encoder_file *file, int track, AVRational base,
		       AVPacket *packet, struct error *error);
int encoder_file_end(struct encoder_file *file, struct error *error);

/* Text of a libav error number. */
int encoder_error(struct error *error, int averror, const char *what);

#endif
