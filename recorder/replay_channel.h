/*
 * One channel connection of a wire replay: answers the link, then sends the
 * server's recorded messages when they are due. Every connection reads the
 * recording for itself, so one that comes late catches up by itself.
 *
 * Only main, display, inputs, cursor and playback are served: a client shall
 * not open its microphone or its USB devices for a recording. For the same
 * reason agent messages (clipboard) and migration, which would send the
 * client elsewhere, are left out.
 */
#ifndef RECORDER_REPLAY_CHANNEL_H
#define RECORDER_REPLAY_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/bytes.h"
#include "recorder/capture_reader.h"
#include "recorder/framer.h"
#include "recorder/link.h"

#define REPLAY_CHANNELS_MAX 64

struct replay_pair {
	uint8_t type, id;
};

/* The channels (type, id) that a recording has. */
struct replay_pairs {
	struct replay_pair pairs[REPLAY_CHANNELS_MAX];
	unsigned count;
};

/* What the connections of one replay share. */
struct replay_shared {
	int fd;			/* of the recording */
	struct link_key *key;
	double speed;
	bool running;		/* the clock; if not, `base` is the time */
	uint64_t base;		/* ns since 1970, recorded */
	uint64_t started;	/* CLOCK_MONOTONIC ns at base */
	bool listed;		/* main has sent its list of channels */
	struct replay_pairs wanted;	/* what that list held */
	/* The recorded multimedia clock: mm_value ms at mm_time. */
	bool mm_known;
	uint32_t mm_value;
	uint64_t mm_time;
	uint32_t mm_origin; /* what it showed when the clock started */
};

enum replay_state {
	REPLAY_HEADER,	/* client's link header */
	REPLAY_MESS,	/* its body */
	REPLAY_FIND,	/* looks for the channel in the recording */
	REPLAY_AUTH,	/* mechanism */
	REPLAY_TICKET,
	REPLAY_UP,
	REPLAY_DEAD,
};

struct replay_channel {
	struct replay_shared *shared;
	int fd;			/* owned */
	enum replay_state state;
	struct link_mess mess;
	bool mini;		/* towards the client */
	struct buffer in;	/* PDU of the link not yet whole */
	size_t need;
	struct framer framer;	/* of what the client says */
	unsigned motions;	/* of the mouse, not yet acknowledged */
	struct buffer out;
	size_t sent;		/* of out */
	uint64_t serial;	/* of the last message sent */
	struct capture_reader *reader;
	struct capture_channel *instance;	/* being sent */
	struct capture_item item;	/* read, not yet due */
	bool has_item;
	uint64_t begun;		/* main: time of its first message */
	bool ended;		/* nothing more in the recording */
	struct error damage;	/* why it ended, if not at its end */
};

uint64_t replay_monotonic(void);
/* Where the clock stands: ns since 1970, recorded. */
uint64_t replay_now(const struct replay_shared *shared);

/* Takes over fd, also on failure. */
int replay_channel_new(struct replay_channel **channel,
		       struct replay_shared *shared, int fd,
		       struct error *error);
void replay_channel_free(struct replay_channel *channel);

/* Reads what the client says; the state is DEAD when it has gone. */
void replay_channel_receive(struct replay_channel *channel);
/*
 * Queues what is due and writes what goes. True when there is more to do at
 * once. *due: CLOCK_MONOTONIC ns of the next message, unchanged if none.
 */
bool replay_channel_send(struct replay_channel *channel, uint64_t *due);
bool replay_channel_waits_to_write(const struct replay_channel *channel);

/* The recorded link reply with our key; the recorded header form stays. */
void replay_channel_answer(struct replay_channel *channel);
/* Queues one message in the header form of this connection. */
void replay_channel_put(struct replay_channel *channel, uint16_t type,
			uint32_t sub_list, const void *body, size_t size);
void replay_channel_flush(struct replay_channel *channel);
void replay_channel_die(struct replay_channel *channel);
bool replay_channel_is_served(uint8_t type);

/*
 * Tells the client (of main) what the recorded multimedia clock shows, once,
 * when the clock starts.
 */
void replay_channel_tell_time(struct replay_channel *channel);

#endif
