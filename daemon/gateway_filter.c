/* A vault's policy on a channel's messages; see gateway_filter.h. */
#include "daemon/gateway_filter.h"

#include <spice/enums.h>
#include <spice/vd_agent.h>

#define AGENT_HEADER 20   /* u32 protocol, u32 type, u64 opaque, u32 size */
#define MOTIONS_PER_ACK 4 /* SPICE_INPUT_MOTION_ACK_BUNCH */
#define COMMON_LAST 100   /* acknowledgements, pongs and the like */

void filter_rules_set(struct filter_rules *rules, const struct policy *policy,
		      bool view_only, bool replay)
{
	uint64_t clipboard = policy->clipboard;
	bool active = !view_only;

	*rules = (struct filter_rules){
		.redact = policy->keystrokes == POLICY_KEYSTROKES_REDACT,
		.clipboard_to_guest =
			active && (clipboard == POLICY_CLIPBOARD_TO_GUEST ||
				   clipboard == POLICY_CLIPBOARD_BOTH),
		.clipboard_from_guest =
			clipboard == POLICY_CLIPBOARD_FROM_GUEST ||
			clipboard == POLICY_CLIPBOARD_BOTH,
		.file_transfer = active && policy->file_transfer == POLICY_ON,
		.usb = active && policy->usb == POLICY_ON,
		.microphone = active && policy->microphone == POLICY_ON,
		.view_only = view_only,
		.replay = replay,
	};
}

bool filter_allows_channel(const struct filter_rules *rules,
			   unsigned channel_type)
{
	if (rules->replay)
		return true;
	switch (channel_type) {
	case SPICE_CHANNEL_USBREDIR:
		return rules->usb;
	case SPICE_CHANNEL_RECORD:
		return rules->microphone;
	case SPICE_CHANNEL_WEBDAV:
		/* Shared folders are a transfer of files. */
		return rules->file_transfer;
	case SPICE_CHANNEL_SMARTCARD:
		return !rules->view_only;
	default:
		return true;
	}
}

void filter_init(struct filter *filter, const struct filter_rules *rules,
		 uint8_t channel_type)
{
	*filter = (struct filter){
		.rules = rules,
		.channel_type = channel_type,
	};
}

void filter_clear(struct filter *filter)
{
	buffer_free(&filter->body);
	buffer_free(&filter->stored);
}

static enum filter_action main_to_client(struct filter *f, uint16_t type,
					 uint32_t size)
{
	switch (type) {
	case SPICE_MSG_MAIN_AGENT_DISCONNECTED:
		f->agent_started = false;
		f->agent[CAPTURE_TO_CLIENT] = (struct filter_agent){0};
		return FILTER_PASS;
	case SPICE_MSG_MAIN_MIGRATE_BEGIN:
	case SPICE_MSG_MAIN_MIGRATE_BEGIN_SEAMLESS:
	case SPICE_MSG_MAIN_MIGRATE_SWITCH_HOST:
	case SPICE_MSG_MAIN_CHANNELS_LIST:
	case SPICE_MSG_MAIN_AGENT_DATA:
		return size > FILTER_COLLECT_MAX ? FILTER_REFUSE
						 : FILTER_COLLECT;
	default:
		return FILTER_PASS;
	}
}

/*
 * The server throws away what a viewer says to the agent before AGENT_START,
 * at first and after each AGENT_DISCONNECTED. So does the filter: otherwise a
 * viewer could make it lose its place in the stream that the agent gets.
 */
static enum filter_action main_to_guest(struct filter *f, uint16_t type,
					uint32_t size)
{
	switch (type) {
	case SPICE_MSGC_MAIN_AGENT_START:
		if (!f->agent_started)
			f->agent[CAPTURE_TO_GUEST] = (struct filter_agent){0};
		f->agent_started = true;
		return FILTER_PASS;
	case SPICE_MSGC_MAIN_AGENT_DATA:
		return size > FILTER_COLLECT_MAX ? FILTER_REFUSE
						 : FILTER_COLLECT;
	case SPICE_MSGC_MAIN_MOUSE_MODE_REQUEST:
		return f->rules->view_only ? FILTER_DROP : FILTER_PASS;
	default:
		return FILTER_PASS;
	}
}

static enum filter_action inputs_to_guest(const struct filter_rules *rules,
					  uint16_t type, uint32_t size)
{
	switch (type) {
	case SPICE_MSGC_INPUTS_KEY_DOWN:
	case SPICE_MSGC_INPUTS_KEY_UP:
	case SPICE_MSGC_INPUTS_KEY_SCANCODE:
		if (rules->view_only)
			return FILTER_DROP;
		if (!rules->redact)
			return FILTER_PASS;
		return size > FILTER_COLLECT_MAX ? FILTER_REFUSE
						 : FILTER_COLLECT;
	case SPICE_MSGC_INPUTS_MOUSE_MOTION:
	case SPICE_MSGC_INPUTS_MOUSE_POSITION:
		if (!rules->view_only)
			return FILTER_PASS;
		return size > FILTER_COLLECT_MAX ? FILTER_REFUSE
						 : FILTER_COLLECT;
	default:
		/* Modifiers and buttons, and whatever will be invented. */
		return rules->view_only && type > COMMON_LAST ? FILTER_DROP
							      : FILTER_PASS;
	}
}

enum filter_action filter_begin(struct filter *filter,
				enum capture_direction direction, uint16_t type,
				uint32_t size)
{
	bool to_guest = direction == CAPTURE_TO_GUEST;

	if (filter->rules->replay)
		return FILTER_PASS;
	switch (filter->channel_type) {
	case SPICE_CHANNEL_MAIN:
		return to_guest ? main_to_guest(filter, type, size)
				: main_to_client(filter, type, size);
	case SPICE_CHANNEL_INPUTS:
		return to_guest ? inputs_to_guest(filter->rules, type, size)
				: FILTER_PASS;
	default:
		return FILTER_PASS;
	}
}

static void reply(struct filter_verdict *v, enum capture_direction direction,
		  uint16_t type, uint32_t size)
{
	v->reply_direction = direction;
	v->reply_type = type;
	v->reply_size = size;
}

/* Entries of channels that the policy has switched off are left out. */
static int channels_list(struct filter *f, struct filter_verdict *v)
{
	struct bytes b = bytes_of(v->body, v->size);
	uint32_t n = bytes_le32(&b), kept = 0;

	f->body.size = 0;
	buffer_put_le32(&f->body, 0);
	for (uint32_t i = 0; i < n && !b.bad; i++) {
		uint8_t type = bytes_u8(&b), id = bytes_u8(&b);

		if (b.bad || !filter_allows_channel(f->rules, type))
			continue;
		buffer_put_u8(&f->body, type);
		buffer_put_u8(&f->body, id);
		kept++;
	}
	if (f->body.failed)
		return -ENOMEM;
	bytes_put_le32(f->body.data, kept);
	v->body = v->stored = f->body.data;
	v->size = f->body.size;
	return 0;
}

static bool agent_allows(const struct filter_rules *r,
			 enum capture_direction direction, uint32_t type)
{
	bool to_guest = direction == CAPTURE_TO_GUEST;

	switch (type) {
	case VD_AGENT_CLIPBOARD:
	case VD_AGENT_CLIPBOARD_GRAB:
	case VD_AGENT_CLIPBOARD_RELEASE:
		/* Said by the side that has the text. */
		return to_guest ? r->clipboard_to_guest
				: r->clipboard_from_guest;
	case VD_AGENT_CLIPBOARD_REQUEST:
		return to_guest ? r->clipboard_from_guest
				: r->clipboard_to_guest;
	case VD_AGENT_FILE_XFER_START:
	case VD_AGENT_FILE_XFER_STATUS:
	case VD_AGENT_FILE_XFER_DATA:
		return r->file_transfer;
	case VD_AGENT_MOUSE_STATE:
	case VD_AGENT_MONITORS_CONFIG:
	case VD_AGENT_DISPLAY_CONFIG:
	case VD_AGENT_AUDIO_VOLUME_SYNC:
		return !to_guest || !r->view_only;
	default:
		return true;
	}
}

/* The header is whole: it goes on, or its message is dropped. */
static void agent_header(struct filter *f, enum capture_direction direction)
{
	struct filter_agent *a = &f->agent[direction];
	struct bytes b = bytes_of(a->header, AGENT_HEADER);

	bytes_le32(&b);
	a->type = bytes_le32(&b);
	bytes_le64(&b);
	a->left = bytes_le32(&b);
	a->drop = !agent_allows(f->rules, direction, a->type);
	a->header_have = 0;
	if (!a->drop)
		buffer_put(&f->body, a->header, AGENT_HEADER);
}

/*
 * Capabilities follow a u32. Both sides are told not to try what would be
 * dropped; a viewer then says so to its user instead of waiting.
 */
static void edit_capabilities(const struct filter_rules *r,
			      enum capture_direction direction, uint8_t *data,
			      size_t size)
{
	uint32_t word;

	if (size < 8)
		return;
	word = bytes_get_le32(data + 4);
	if (!r->clipboard_to_guest && !r->clipboard_from_guest)
		word &= ~(UINT32_C(1) << VD_AGENT_CAP_CLIPBOARD |
			  UINT32_C(1) << VD_AGENT_CAP_CLIPBOARD_BY_DEMAND |
			  UINT32_C(1) << VD_AGENT_CAP_CLIPBOARD_SELECTION);
	if (!r->file_transfer && direction == CAPTURE_TO_CLIENT)
		word |= UINT32_C(1) << VD_AGENT_CAP_FILE_XFER_DISABLED;
	bytes_put_le32(data + 4, word);
}

/* Data of the present message; n bytes, no more than are left of it. */
static void agent_piece(struct filter *f, enum capture_direction direction,
			const uint8_t *data, size_t n)
{
	struct filter_agent *a = &f->agent[direction];
	uint8_t *copy;

	a->left -= (uint32_t)n;
	if (a->drop)
		return;
	copy = buffer_grow(&f->body, n);
	if (!copy)
		return;
	memcpy(copy, data, n);
	/* It is always in one chunk; if not, it goes on as it is. */
	if (a->type == VD_AGENT_ANNOUNCE_CAPABILITIES && a->left == 0)
		edit_capabilities(f->rules, direction, copy, n);
}

/*
 * The agent's stream with the messages left out that the policy forbids. A
 * chunk of which nothing remains is dropped, and its token given back to the
 * side that spent it (a message costs its sender one).
 */
static int agent_data(struct filter *f, enum capture_direction direction,
		      struct filter_verdict *v)
{
	struct filter_agent *a = &f->agent[direction];
	struct bytes b = bytes_of(v->body, v->size);

	f->body.size = 0;
	if (direction == CAPTURE_TO_GUEST && !f->agent_started)
		b.at = b.size;
	while (bytes_left(&b)) {
		size_t n = bytes_left(&b);
		size_t want = a->left ? a->left : AGENT_HEADER - a->header_have;
		const uint8_t *p = bytes_take(&b, n < want ? n : want);

		n = n < want ? n : want;
		if (a->left) {
			agent_piece(f, direction, p, n);
			continue;
		}
		memcpy(a->header + a->header_have, p, n);
		a->header_have += (unsigned)n;
		if (a->header_have == AGENT_HEADER)
			agent_header(f, direction);
	}
	if (f->body.failed)
		return -ENOMEM;
	v->body = v->stored = f->body.data;
	v->size = f->body.size;
	v->drop = v->size == 0;
	if (!v->drop)
		return 0;
	if (direction == CAPTURE_TO_GUEST)
		reply(v, CAPTURE_TO_CLIENT, SPICE_MSG_MAIN_AGENT_TOKEN, 4);
	else
		reply(v, CAPTURE_TO_GUEST, SPICE_MSGC_MAIN_AGENT_TOKEN, 4);
	bytes_put_le32(v->reply_body, 1);
	return 0;
}

static int main_message(struct filter *f, enum capture_direction direction,
			uint16_t type, struct filter_verdict *v)
{
	if (direction == CAPTURE_TO_GUEST)
		return agent_data(f, direction, v);
	switch (type) {
	case SPICE_MSG_MAIN_CHANNELS_LIST:
		return channels_list(f, v);
	case SPICE_MSG_MAIN_AGENT_DATA:
		return agent_data(f, direction, v);
	case SPICE_MSG_MAIN_MIGRATE_BEGIN:
	case SPICE_MSG_MAIN_MIGRATE_BEGIN_SEAMLESS:
		/* They name the real host: the viewer would go round us. */
		reply(v, CAPTURE_TO_GUEST,
		      SPICE_MSGC_MAIN_MIGRATE_CONNECT_ERROR, 0);
		break;
	default:
		break;
	}
	v->drop = true;
	return 0;
}

/*
 * Scan codes become zero, and of KEY_SCANCODE the bit that tells release
 * from press is kept; 0xe0 and 0xe1 are prefixes and have no such bit.
 */
static int redact(struct filter *f, uint16_t type, struct filter_verdict *v)
{
	f->stored.size = 0;
	for (size_t i = 0; i < v->size; i++) {
		uint8_t c = v->body[i];

		if (type != SPICE_MSGC_INPUTS_KEY_SCANCODE || c == 0xe0 ||
		    c == 0xe1)
			c = 0;
		buffer_put_u8(&f->stored, c & 0x80);
	}
	v->stored = f->stored.data;
	return f->stored.failed ? -ENOMEM : 0;
}

static int inputs_message(struct filter *f, uint16_t type,
			  struct filter_verdict *v)
{
	if (!f->rules->view_only)
		return redact(f, type, v);
	/* A viewer stops moving the mouse when nothing is acknowledged. */
	v->drop = true;
	if (++f->motions == MOTIONS_PER_ACK) {
		f->motions = 0;
		reply(v, CAPTURE_TO_CLIENT, SPICE_MSG_INPUTS_MOUSE_MOTION_ACK,
		      0);
	}
	return 0;
}

int filter_message(struct filter *filter, enum capture_direction direction,
		   uint16_t type, const uint8_t *body, size_t size,
		   struct filter_verdict *verdict)
{
	*verdict = (struct filter_verdict){
		.body = body,
		.stored = body,
		.size = size,
	};
	if (filter->channel_type == SPICE_CHANNEL_MAIN)
		return main_message(filter, direction, type, verdict);
	return inputs_message(filter, type, verdict);
}
