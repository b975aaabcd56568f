/*
 * What a capture holds, counted.
 *
 * Messages, by channel and type; bytes are bodies and headers.
 *
 * Images by type: their bytes on the wire, with descriptor and palette, and
 * `ratio`, how many times smaller they are than 4 bytes a pixel. Images that
 * were not sent but referred to (from_cache, surface) have no ratio.
 *
 * Streams, one by one. `fps` is the mean from the first frame to the last, by
 * arrival; `fps_min` the least in any whole second, counted from the first
 * frame. A gap is a time between two frames of more than STATS_GAP times
 * the stream's mean. A frame is late when its mm_time had passed on the
 * session's clock as it arrived. That clock is set by main's init and
 * multi_media_time and runs with the capture's time, as a client's does
 * that plays no sound; so the figures say what the network and the server
 * did, not how a viewer's loudspeaker held pictures back.
 *
 * Sound: a gap is STATS_SOUND_GAP_MS or more between the times in two packets
 * of one run (start to stop).
 */
#ifndef RECORDER_CAPTURE_STATS_H
#define RECORDER_CAPTURE_STATS_H

#include "recorder/error.h"

#define STATS_GAP 3
#define STATS_SOUND_GAP_MS 100
#define STATS_STREAMS_MAX 1000u /* told one by one; the rest is counted */

/*
 * Writes one JSON object to out_fd; schema/openapi.yaml, Stats, has its
 * members. Damage is no error: what stands before it is counted, and
 * "damage" says where it is; but -EBADMSG when nothing does. -ENOMEM, or what
 * writing failed with.
 */
int capture_stats(int in_fd, int out_fd, struct error *error);

#endif
