/* A vault's policy on messages: what passes, what is changed, what is not. */
#include "daemon/gateway_filter.h"

#include <spice/enums.h>
#include <spice/vd_agent.h>
#include <stdarg.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#define TO_GUEST CAPTURE_TO_GUEST
#define TO_CLIENT CAPTURE_TO_CLIENT
#define SERVER_AGENT SPICE_MSG_MAIN_AGENT_DATA
#define CLIENT_AGENT SPICE_MSGC_MAIN_AGENT_DATA

static struct filter_rules rules;
static struct filter filter;

static void begin(unsigned channel, const char *key, const char *value,
		  bool view_only)
{
	struct policy p;

	policy_default(&p);
	if (key)
		assert_int_equal(policy_set(&p, key, value, NULL), 0);
	filter_clear(&filter);
	filter_rules_set(&rules, &p, view_only, false);
	filter_init(&filter, &rules, (uint8_t)channel);
}

static int teardown(void **state)
{
	(void)state;
	filter_clear(&filter);
	return 0;
}

static enum filter_action action(enum capture_direction d, uint16_t type,
				 uint32_t size)
{
	return filter_begin(&filter, d, type, size);
}

static struct filter_verdict say(enum capture_direction d, uint16_t type,
				 const void *body, size_t size)
{
	struct filter_verdict v;

	assert_int_equal(action(d, type, (uint32_t)size), FILTER_COLLECT);
	assert_int_equal(filter_message(&filter, d, type, body, size, &v), 0);
	return v;
}

static size_t agent_message(uint8_t *to, uint32_t type, uint32_t size)
{
	bytes_put_le32(to, 1);
	bytes_put_le32(to + 4, type);
	bytes_put_le64(to + 8, 0);
	bytes_put_le32(to + 16, size);
	for (uint32_t i = 0; i < size; i++)
		to[20 + i] = (uint8_t)(type + i);
	return 20 + size;
}

static void start_agent(void)
{
	assert_int_equal(action(TO_GUEST, SPICE_MSGC_MAIN_AGENT_START, 4),
			 FILTER_PASS);
}

static bool agent_passes(enum capture_direction d, uint32_t type)
{
	uint8_t bytes[64];
	size_t n = agent_message(bytes, type, 8);
	struct filter_verdict v;

	start_agent();
	v = say(d, d == TO_GUEST ? CLIENT_AGENT : SERVER_AGENT, bytes, n);
	if (!v.drop) {
		assert_int_equal(v.size, n);
		assert_memory_equal(v.body, bytes, n);
		assert_memory_equal(v.stored, bytes, n);
		assert_int_equal(v.reply_type, 0);
		return true;
	}
	/* The token goes back to the side that spent it. */
	assert_int_equal(v.reply_direction, !d);
	assert_int_equal(v.reply_type, d == TO_GUEST
					       ? SPICE_MSG_MAIN_AGENT_TOKEN
					       : SPICE_MSGC_MAIN_AGENT_TOKEN);
	assert_int_equal(v.reply_size, 4);
	assert_int_equal(bytes_get_le32(v.reply_body), 1);
	return false;
}

static void the_agent_obeys_the_policy(void **state)
{
	/* y or n for clipboard=off, to-guest, from-guest, both */
	static const struct {
		uint32_t type;
		const char *to_guest, *to_client;
	} rows[] = {
		{VD_AGENT_CLIPBOARD, "nyny", "nnyy"},
		{VD_AGENT_CLIPBOARD_GRAB, "nyny", "nnyy"},
		{VD_AGENT_CLIPBOARD_RELEASE, "nyny", "nnyy"},
		{VD_AGENT_CLIPBOARD_REQUEST, "nnyy", "nyny"},
		{VD_AGENT_FILE_XFER_START, "nnnn", "nnnn"},
		{VD_AGENT_FILE_XFER_STATUS, "nnnn", "nnnn"},
		{VD_AGENT_FILE_XFER_DATA, "nnnn", "nnnn"},
		{VD_AGENT_MONITORS_CONFIG, "yyyy", "yyyy"},
		{VD_AGENT_MOUSE_STATE, "yyyy", "yyyy"},
		{VD_AGENT_MAX_CLIPBOARD, "yyyy", "yyyy"},
	};
	static const char *const values[] = {"off", "to-guest", "from-guest",
					     "both"};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int v = 0; v < 4; v++) {
			begin(SPICE_CHANNEL_MAIN, "clipboard", values[v],
			      false);
			assert_int_equal(agent_passes(TO_GUEST, rows[i].type),
					 rows[i].to_guest[v] == 'y');
			assert_int_equal(agent_passes(TO_CLIENT, rows[i].type),
					 rows[i].to_client[v] == 'y');
		}
	begin(SPICE_CHANNEL_MAIN, "file-transfer", "on", false);
	assert_true(agent_passes(TO_GUEST, VD_AGENT_FILE_XFER_DATA));
	assert_true(agent_passes(TO_CLIENT, VD_AGENT_FILE_XFER_STATUS));
}

static uint32_t announced(enum capture_direction d, uint32_t word)
{
	uint8_t bytes[28];
	struct filter_verdict v;

	agent_message(bytes, VD_AGENT_ANNOUNCE_CAPABILITIES, 8);
	bytes_put_le32(bytes + 24, word);
	start_agent();
	v = say(d, d == TO_GUEST ? CLIENT_AGENT : SERVER_AGENT, bytes, 28);
	assert_int_equal(v.size, 28);
	assert_memory_equal(v.body, bytes, 24);
	return bytes_get_le32(v.body + 24);
}

static void nobody_is_told_of_what_is_forbidden(void **state)
{
	uint32_t clipboard = 1 << VD_AGENT_CAP_CLIPBOARD |
			     1 << VD_AGENT_CAP_CLIPBOARD_BY_DEMAND |
			     1 << VD_AGENT_CAP_CLIPBOARD_SELECTION;
	uint32_t no_files = 1 << VD_AGENT_CAP_FILE_XFER_DISABLED;

	(void)state;
	begin(SPICE_CHANNEL_MAIN, NULL, NULL, false);
	assert_int_equal(announced(TO_CLIENT, 0x5ff),
			 (0x5ff & ~clipboard) | no_files);
	assert_int_equal(announced(TO_GUEST, 0x5ff), 0x5ff & ~clipboard);
	begin(SPICE_CHANNEL_MAIN, "clipboard", "to-guest", false);
	assert_int_equal(announced(TO_GUEST, 0x5ff), 0x5ff);
	begin(SPICE_CHANNEL_MAIN, "file-transfer", "on", false);
	assert_int_equal(announced(TO_CLIENT, 0x5ff), 0x5ff & ~clipboard);
}

static void a_view_changes_nothing(void **state)
{
	(void)state;
	begin(SPICE_CHANNEL_MAIN, "clipboard", "both", true);
	assert_false(agent_passes(TO_GUEST, VD_AGENT_CLIPBOARD));
	assert_true(agent_passes(TO_CLIENT, VD_AGENT_CLIPBOARD));
	assert_false(agent_passes(TO_GUEST, VD_AGENT_MONITORS_CONFIG));
	assert_int_equal(
		action(TO_GUEST, SPICE_MSGC_MAIN_MOUSE_MODE_REQUEST, 2),
		FILTER_DROP);
	begin(SPICE_CHANNEL_MAIN, "file-transfer", "on", true);
	assert_false(agent_passes(TO_GUEST, VD_AGENT_FILE_XFER_START));
	assert_false(filter_allows_channel(&rules, SPICE_CHANNEL_WEBDAV));
}

/*
 * Three messages, of which the middle one is forbidden, cut into chunks of
 * every size: what comes out is the first and the last.
 */
static void the_agent_s_stream_may_be_cut_anywhere(void **state)
{
	uint8_t bytes[256], want[256], got[256];
	size_t n = 0, wanted = 0;

	(void)state;
	n += agent_message(bytes, VD_AGENT_MONITORS_CONFIG, 30);
	memcpy(want, bytes, n);
	wanted = n;
	n += agent_message(bytes + n, VD_AGENT_CLIPBOARD, 50);
	wanted += agent_message(want + wanted, VD_AGENT_REPLY, 0);
	n += agent_message(bytes + n, VD_AGENT_REPLY, 0);
	for (size_t chunk = 1; chunk <= n; chunk++) {
		size_t have = 0, dropped = 0, sent = 0;

		begin(SPICE_CHANNEL_MAIN, NULL, NULL, false);
		start_agent();
		for (size_t at = 0; at < n; at += chunk, sent++) {
			size_t m = n - at < chunk ? n - at : chunk;
			struct filter_verdict v =
				say(TO_GUEST, CLIENT_AGENT, bytes + at, m);

			if (v.drop) {
				dropped++;
				continue;
			}
			memcpy(got + have, v.body, v.size);
			have += v.size;
		}
		assert_int_equal(have, wanted);
		assert_memory_equal(got, want, wanted);
		assert_true(chunk > 25 || dropped > 0);
		assert_true(dropped < sent);
	}
}

/* What the server would throw away must not shift the filter's place. */
static void half_a_message_before_the_start_is_no_trick(void **state)
{
	uint8_t bytes[128];

	(void)state;
	begin(SPICE_CHANNEL_MAIN, NULL, NULL, false);
	agent_message(bytes, VD_AGENT_REPLY, 70);
	assert_true(say(TO_GUEST, CLIENT_AGENT, bytes, 30).drop);
	assert_false(agent_passes(TO_GUEST, VD_AGENT_CLIPBOARD));
	/* Nor a second start, without the agent having gone. */
	assert_false(say(TO_GUEST, CLIENT_AGENT, bytes, 30).drop);
	start_agent();
	assert_false(say(TO_GUEST, CLIENT_AGENT, bytes, 30).drop);
	assert_int_equal(filter.agent[TO_GUEST].left, 30);
	assert_int_equal(
		action(TO_CLIENT, SPICE_MSG_MAIN_AGENT_DISCONNECTED, 4),
		FILTER_PASS);
	assert_true(say(TO_GUEST, CLIENT_AGENT, bytes, 30).drop);
	assert_false(agent_passes(TO_GUEST, VD_AGENT_CLIPBOARD));
}

static void channels_that_are_off_are_not_listed(void **state)
{
	static const uint8_t list[] = {5, 0, 0, 0, 2, 0, 9,
				       0, 6, 0, 3, 0, 9, 1};
	static const uint8_t both_off[] = {2, 0, 0, 0, 2, 0, 3, 0};
	static const uint8_t usb_on[] = {4, 0, 0, 0, 2, 0, 9, 0, 3, 0, 9, 1};
	static const uint8_t lies[] = {255, 255, 255, 255, 2, 0};
	struct filter_verdict v;

	(void)state;
	begin(SPICE_CHANNEL_MAIN, NULL, NULL, false);
	v = say(TO_CLIENT, SPICE_MSG_MAIN_CHANNELS_LIST, list, sizeof(list));
	assert_int_equal(v.size, sizeof(both_off));
	assert_memory_equal(v.body, both_off, sizeof(both_off));
	v = say(TO_CLIENT, SPICE_MSG_MAIN_CHANNELS_LIST, lies, sizeof(lies));
	assert_int_equal(v.size, 6);
	assert_int_equal(bytes_get_le32(v.body), 1);
	assert_false(filter_allows_channel(&rules, SPICE_CHANNEL_USBREDIR));
	assert_false(filter_allows_channel(&rules, SPICE_CHANNEL_RECORD));
	assert_true(filter_allows_channel(&rules, SPICE_CHANNEL_DISPLAY));
	begin(SPICE_CHANNEL_MAIN, "usb", "on", false);
	v = say(TO_CLIENT, SPICE_MSG_MAIN_CHANNELS_LIST, list, sizeof(list));
	assert_int_equal(v.size, sizeof(usb_on));
	assert_memory_equal(v.body, usb_on, sizeof(usb_on));
	assert_true(filter_allows_channel(&rules, SPICE_CHANNEL_USBREDIR));
}

static void keys_are_redacted_in_the_recording_only(void **state)
{
	static const uint8_t down[] = {0xe0, 0x1e, 0, 0};
	static const uint8_t up[] = {0x9e, 0, 0, 0};
	static const uint8_t codes[] = {0x1e, 0x9e, 0xe0, 0x48, 0xe0, 0xc8};
	static const uint8_t stored[] = {0, 0x80, 0, 0, 0, 0x80};
	static const uint8_t zeros[4];
	struct filter_verdict v;

	(void)state;
	begin(SPICE_CHANNEL_INPUTS, NULL, NULL, false);
	v = say(TO_GUEST, SPICE_MSGC_INPUTS_KEY_DOWN, down, 4);
	assert_memory_equal(v.body, down, 4);
	assert_memory_equal(v.stored, zeros, 4);
	assert_int_equal(v.size, 4);
	v = say(TO_GUEST, SPICE_MSGC_INPUTS_KEY_UP, up, 4);
	assert_memory_equal(v.body, up, 4);
	assert_memory_equal(v.stored, zeros, 4);
	v = say(TO_GUEST, SPICE_MSGC_INPUTS_KEY_SCANCODE, codes, 6);
	assert_memory_equal(v.body, codes, 6);
	assert_memory_equal(v.stored, stored, 6);
	assert_int_equal(action(TO_GUEST, SPICE_MSGC_INPUTS_MOUSE_MOTION, 10),
			 FILTER_PASS);
	begin(SPICE_CHANNEL_INPUTS, "keystrokes", "store", false);
	assert_int_equal(action(TO_GUEST, SPICE_MSGC_INPUTS_KEY_DOWN, 4),
			 FILTER_PASS);
}

static void a_view_has_no_keys_and_its_mouse_is_acknowledged(void **state)
{
	static const uint16_t types[] = {101, 102, 103, 104, 113, 114, 120};
	static const uint8_t position[11];
	struct filter_verdict v = {0};

	(void)state;
	begin(SPICE_CHANNEL_INPUTS, NULL, NULL, true);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		assert_int_equal(action(TO_GUEST, types[i], 4), FILTER_DROP);
	assert_int_equal(action(TO_GUEST, SPICE_MSGC_PONG, 12), FILTER_PASS);
	for (int i = 1; i <= 12; i++) {
		v = say(TO_GUEST, SPICE_MSGC_INPUTS_MOUSE_POSITION, position,
			sizeof(position));
		assert_true(v.drop);
		assert_int_equal(v.reply_type,
				 i % 4 ? 0 : SPICE_MSG_INPUTS_MOUSE_MOTION_ACK);
	}
	assert_int_equal(v.reply_direction, TO_CLIENT);
	assert_int_equal(v.reply_size, 0);
}

static void nobody_migrates(void **state)
{
	static const uint16_t types[] = {SPICE_MSG_MAIN_MIGRATE_BEGIN,
					 SPICE_MSG_MAIN_MIGRATE_BEGIN_SEAMLESS};
	struct filter_verdict v;

	(void)state;
	begin(SPICE_CHANNEL_MAIN, NULL, NULL, false);
	for (int i = 0; i < 2; i++) {
		v = say(TO_CLIENT, types[i], "somewhere", 9);
		assert_true(v.drop);
		assert_int_equal(v.reply_direction, TO_GUEST);
		assert_int_equal(v.reply_type,
				 SPICE_MSGC_MAIN_MIGRATE_CONNECT_ERROR);
	}
	v = say(TO_CLIENT, SPICE_MSG_MAIN_MIGRATE_SWITCH_HOST, "elsewhere", 9);
	assert_true(v.drop);
	assert_int_equal(v.reply_type, 0);
}

static void what_is_too_large_is_refused(void **state)
{
	(void)state;
	begin(SPICE_CHANNEL_MAIN, NULL, NULL, false);
	assert_int_equal(action(TO_GUEST, CLIENT_AGENT, FILTER_COLLECT_MAX + 1),
			 FILTER_REFUSE);
	assert_int_equal(
		action(TO_CLIENT, SPICE_MSG_MAIN_CHANNELS_LIST, UINT32_MAX),
		FILTER_REFUSE);
	assert_int_equal(action(TO_CLIENT, SPICE_MSG_PING, 256000),
			 FILTER_PASS);
	begin(SPICE_CHANNEL_INPUTS, NULL, NULL, false);
	assert_int_equal(
		action(TO_GUEST, SPICE_MSGC_INPUTS_KEY_SCANCODE, UINT32_MAX),
		FILTER_REFUSE);
}

static void a_replay_is_not_filtered(void **state)
{
	struct policy p;

	(void)state;
	policy_default(&p);
	filter_clear(&filter);
	filter_rules_set(&rules, &p, true, true);
	filter_init(&filter, &rules, SPICE_CHANNEL_MAIN);
	assert_int_equal(action(TO_CLIENT, SERVER_AGENT, 40), FILTER_PASS);
	assert_true(filter_allows_channel(&rules, SPICE_CHANNEL_USBREDIR));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_teardown(f, teardown)
		TEST(the_agent_obeys_the_policy),
		TEST(nobody_is_told_of_what_is_forbidden),
		TEST(a_view_changes_nothing),
		TEST(the_agent_s_stream_may_be_cut_anywhere),
		TEST(half_a_message_before_the_start_is_no_trick),
		TEST(channels_that_are_off_are_not_listed),
		TEST(keys_are_redacted_in_the_recording_only),
		TEST(a_view_has_no_keys_and_its_mouse_is_acknowledged),
		TEST(nobody_migrates),
		TEST(what_is_too_large_is_refused),
		TEST(a_replay_is_not_filtered),
	};

	return cmocka_run_group_tests_name("gateway_filter", tests, NULL, NULL);
}
