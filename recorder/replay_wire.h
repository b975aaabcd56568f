/*
 * Serves a recording as a SPICE server would: the recorded bytes, channel by
 * channel, at their recorded times.
 *
 * The caller hands in connected stream sockets, one for each channel that the
 * client opens (plain SPICE; TLS and tickets are the gateway's). Everything
 * happens in replay_wire_run()'s one thread. Nothing of the recording is kept
 * in memory but what is being sent.
 *
 * The client gets the recorded link reply with a key of ours, and any
 * well-formed ticket will do. One clock drives all channels; it starts when
 * the client has opened the channels that the recording's client had opened
 * at once, or REPLAY_WIRE_GRACE_NS after its main channel. What the client
 * says is read and not obeyed. At the end the last picture stays until the
 * client goes; a client that connects again starts at the beginning.
 */
#ifndef RECORDER_REPLAY_WIRE_H
#define RECORDER_REPLAY_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/error.h"

#define REPLAY_WIRE_GRACE_NS UINT64_C(3000000000)

struct replay_wire;

struct replay_wire_options {
	double speed;	/* 1 = as recorded; 0.01 to 1e6; not 1: mute */
	bool loop;	/* at the end: wait for the client to come again, or */
			/* (false) return from run when it has gone */
};

/* Does not take over capture_fd, a regular file. */
int replay_wire_new(struct replay_wire **replay, int capture_fd,
		    const struct replay_wire_options *options,
		    struct error *error);
void replay_wire_free(struct replay_wire *replay);

/* Takes over fd, a connected stream socket, also on failure. */
int replay_wire_add_client(struct replay_wire *replay, int fd,
			   struct error *error);

/*
 * Serves until the client has gone (0; with loop: never), control_fd is
 * closed by its other side (0), or the recording can't be read (negative).
 * control_fd is a SOCK_SEQPACKET or SOCK_STREAM socket whose messages carry
 * sockets as SCM_RIGHTS, which become clients; their bytes are not looked
 * at. -1: none; add clients beforehand.
 */
int replay_wire_run(struct replay_wire *replay, int control_fd,
		    struct error *error);

/*
 * The other side of control_fd: hands a client's socket over, which stays the
 * caller's too. Never waits. 0 or a negative errno.
 */
int replay_wire_hand(int control_fd, int client_fd);

/* ns of the recording sent so far, and its length; 0 when not known. */
uint64_t replay_wire_position(const struct replay_wire *replay);
uint64_t replay_wire_length(const struct replay_wire *replay);

#endif
