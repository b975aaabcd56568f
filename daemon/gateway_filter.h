/*
 * The policy of a vault, enforced on the messages of one channel.
 *
 * No socket here: the relay asks by a message's header what to do with it and
 * hands over whole bodies of the few kinds that must be looked into.
 *
 * Messages and their numbers: spice-protocol's enums.h and vd_agent.h.
 */
#ifndef DAEMON_GATEWAY_FILTER_H
#define DAEMON_GATEWAY_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/policy.h"
#include "recorder/bytes.h"
#include "recorder/capture_writer.h"	/* enum capture_direction */

#define FILTER_COLLECT_MAX (64u << 10)	/* body of a message looked into */

struct filter_rules {
	bool redact;		/* scancodes are zero in the recording */
	bool clipboard_to_guest, clipboard_from_guest;
	bool file_transfer;
	bool usb, microphone;
	bool view_only;		/* nothing the viewer does changes the guest */
	bool replay;		/* the upstream is no guest: nothing applies */
};

void filter_rules_set(struct filter_rules *rules, const struct policy *policy,
		      bool view_only, bool replay);

/* May a channel of this type (SPICE_CHANNEL_*) be opened at all? */
bool filter_allows_channel(const struct filter_rules *rules,
			   unsigned channel_type);

/* A stream of VDAgentMessages, cut anywhere into AGENT_DATA messages. */
struct filter_agent {
	uint8_t header[20];
	unsigned header_have;
	uint32_t type;		/* of the present message */
	uint32_t left;		/* of its data */
	bool drop;
};

struct filter {
	const struct filter_rules *rules;
	uint8_t channel_type;
	struct filter_agent agent[2];	/* by enum capture_direction */
	bool agent_started;	/* by the viewer's AGENT_START */
	unsigned motions;	/* dropped and not yet acknowledged */
	struct buffer body;	/* what a message was changed into */
	struct buffer stored;	/* what of it is recorded */
};

void filter_init(struct filter *filter, const struct filter_rules *rules,
		 uint8_t channel_type);
void filter_clear(struct filter *filter);

enum filter_action {
	FILTER_PASS,		/* as it comes */
	FILTER_DROP,		/* as if it had not been sent */
	FILTER_COLLECT,		/* call filter_message with the whole body */
	FILTER_REFUSE,		/* the peer breaks the protocol */
};

enum filter_action filter_begin(struct filter *filter,
				enum capture_direction direction,
				uint16_t type, uint32_t size);

struct filter_verdict {
	bool drop;
	/* What goes on and what is recorded, of one size; borrowed. */
	const uint8_t *body, *stored;
	size_t size;
	/* A message of our own, if reply_type is not 0. */
	enum capture_direction reply_direction;
	uint16_t reply_type;
	uint8_t reply_body[12];
	uint32_t reply_size;
};

/* -ENOMEM, otherwise 0 and a verdict, valid until the next call. */
int filter_message(struct filter *filter, enum capture_direction direction,
		   uint16_t type, const uint8_t *body, size_t size,
		   struct filter_verdict *verdict);

#endif
