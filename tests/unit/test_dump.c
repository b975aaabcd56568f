/*
 * The dump: every kind of message along its layout, whole, cut at every byte,
 * and random; what it must not show; agents' messages in chunks.
 */
#include "tests/unit/capture_fixture.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "recorder/dump.h"
#include "recorder/message.h"

#define LINE_MAX_BYTES (20u << 10)

static char *dump(int fd, const struct dump_options *options)
{
	int out = fixture_memfd();
	uint64_t size;
	char *text;

	assert_int_equal(dump_capture(fd, out, options, NULL), 0);
	size = fixture_size(out);
	text = calloc(1, size + 1);
	assert_int_equal(pread(out, text, size, 0), size);
	close(out);
	return text;
}

/* Ends the fixture; what its messages look like. */
static char *dump_fixture(struct fixture *f, const struct dump_options *options)
{
	char *text;

	fixture_finish(f, false);
	fixture_end(f);
	text = dump(f->fd, options);
	close(f->fd);
	return text;
}

static void has(const char *text, const char *what)
{
	if (!strstr(text, what))
		print_error("no \"%s\" in:\n%s\n", what, text);
	assert_non_null(strstr(text, what));
}

static void has_not(const char *text, const char *what)
{
	if (strstr(text, what))
		print_error("\"%s\" in:\n%s\n", what, text);
	assert_null(strstr(text, what));
}

static void put_rect(struct buffer *b, int left, int top, int right, int bottom)
{
	buffer_put_le32(b, (uint32_t)top);
	buffer_put_le32(b, (uint32_t)left);
	buffer_put_le32(b, (uint32_t)bottom);
	buffer_put_le32(b, (uint32_t)right);
}

/* A draw_copy with a clip and a palette image. */
static struct buffer draw_copy(void)
{
	struct buffer b = {0};

	buffer_put_le32(&b, 3);
	put_rect(&b, -1, 2, 33, 44);
	buffer_put_u8(&b, 1);
	buffer_put_le32(&b, 1);
	put_rect(&b, 0, 0, 9, 9);
	buffer_put_le32(&b, (uint32_t)b.size + 4 + 16 + 2 + 1 + 13);
	put_rect(&b, 0, 0, 8, 2);
	buffer_put_le16(&b, 8 | 4);
	buffer_put_u8(&b, 1);
	buffer_put(&b, "\0\0\0\0\0\0\0\0\0\0\0\0\0", 13);
	buffer_put_le64(&b, 0xabcdef);
	buffer_put_u8(&b, 0);
	buffer_put_u8(&b, 1);
	buffer_put_le32(&b, 8);
	buffer_put_le32(&b, 2);
	buffer_put_u8(&b, 5);
	buffer_put_u8(&b, 4);
	buffer_put_le32(&b, 8);
	buffer_put_le32(&b, 2);
	buffer_put_le32(&b, 8);
	buffer_put_le32(&b, (uint32_t)b.size + 4 + 16);
	buffer_put(&b, "0123456789abcdef", 16);
	buffer_put_le64(&b, 7);
	buffer_put_le16(&b, 2);
	buffer_put_le32(&b, 0x112233);
	buffer_put_le32(&b, 0x445566);
	return b;
}

static const char copy_line[] =
	" draw_copy surface_id=3 box=(-1,2)-(33,44) clip=[(0,0)-(9,9)] "
	"src_bitmap={id=0xabcdef type=bitmap flags=cache_me width=8 height=2 "
	"format=8bit bitmap_flags=top_down x=8 y=2 stride=8 "
	"palette={unique=0x7 ents=[0x00112233 0x00445566]} data[16]} "
	"src_area=(0,0)-(8,2) rop_descriptor=invers_dest|op_put "
	"scale_mode=nearest mask=none\n";

static void fields(void **state)
{
	const struct dump_options options = {.id = -1};
	struct fixture f = fixture_new();
	int n = fixture_channel(&f, SPICE_CHANNEL_DISPLAY, 0);
	struct buffer b = draw_copy();
	char *text;

	(void)state;
	fixture_message(&f, n, CAPTURE_TO_CLIENT, 1, 304, b.data, b.size);
	buffer_free(&b);
	text = dump_fixture(&f, &options);
	has(text, "# session=\"0001\" vault=\"player\"");
	has(text, "display:0 to-guest - link_mess instance=0 connection_id="
		  "0x0000004d common_caps=[protocol_auth_selection|"
		  "mini_header] channel_caps=[");
	has(text, copy_line);
	has(text, "# count=7 end=complete\n");
	free(text);
}

/* Cut anywhere it is one line that says where, and the next follows. */
static void cut(void **state)
{
	const struct dump_options options = {.id = -1, .channel = 2};
	struct fixture f = fixture_new();
	int n = fixture_channel(&f, SPICE_CHANNEL_DISPLAY, 0);
	struct buffer b = draw_copy();
	size_t count = 0, damaged = 0;
	char *text;

	(void)state;
	for (size_t size = 0; size < b.size; size++)
		fixture_message(&f, n, CAPTURE_TO_CLIENT, 1, 304, b.data, size);
	fixture_message(&f, n, CAPTURE_TO_CLIENT, 1, 999, "x", 1);
	fixture_message(&f, n, CAPTURE_TO_CLIENT, 1, 102, "x", 1);
	text = dump_fixture(&f, &options);
	for (char *at = text; (at = strstr(at, " draw_copy")); at++)
		count++;
	for (char *at = text; (at = strstr(at, " damaged=")); at++)
		damaged++;
	assert_int_equal(count, b.size);
	assert_int_equal(damaged, b.size);
	has(text, "draw_copy damaged=surface_id at=0 size=0 offset=");
	has(text, " unknown type=999 data[1] offset=");
	has(text, " mark unread=1\n");
	buffer_free(&b);
	free(text);
}

static void add_agent(struct fixture *f, int n, uint32_t type, const void *data,
		      uint32_t size, size_t chunk)
{
	struct buffer b = {0};

	buffer_put_le32(&b, 1);
	buffer_put_le32(&b, type);
	buffer_put_le64(&b, 0);
	buffer_put_le32(&b, size);
	buffer_put(&b, data, size);
	for (size_t at = 0; at < b.size; at += chunk)
		fixture_message(f, n, CAPTURE_TO_GUEST, 1, 107, b.data + at,
				b.size - at < chunk ? b.size - at : chunk);
	buffer_free(&b);
}

static struct fixture secrets(void)
{
	struct fixture f = fixture_new();
	int main = fixture_channel(&f, SPICE_CHANNEL_MAIN, 0);
	int inputs = fixture_channel(&f, SPICE_CHANNEL_INPUTS, 0);

	fixture_message(&f, inputs, CAPTURE_TO_GUEST, 1, 101, "\x1e\0\0\0", 4);
	fixture_message(&f, inputs, CAPTURE_TO_GUEST, 1, 101, "\0\0\0\0", 4);
	add_agent(&f, main, 4, "\1\0\0\0pass\033word", 13, 2048);
	add_agent(&f, main, 4, "\1\0\0\0pass\033word", 13, 10);
	return f;
}

static void withheld(void **state)
{
	struct dump_options options = {.id = -1, .hex = true};
	struct fixture f = secrets();
	char *text = dump_fixture(&f, &options);

	(void)state;
	has(text, " key_down code[4]\n\t(withheld)\n");
	has(text, " agent_data chunk=33 agent=[{type=clipboard opaque=0x0 "
		  "size=13 type=utf8_text data[9]}]\n\t(withheld)\n");
	has(text, "agent=[{type=clipboard opaque=0x0 size=13 part=30-33 "
		  "type=utf8_text data[9]}]");
	has_not(text, "pass");
	has_not(text, "1e");
	has_not(text, "70 61 73 73");
	free(text);
	options.contents = true;
	f = secrets();
	text = dump_fixture(&f, &options);
	has(text, " key_down code[4]=1e000000\n");
	has(text, " key_down code[4]=00000000\n");
	has(text, "data[9]=706173731b776f7264}");
	has(text, "1e 00 00 00");
	free(text);
}

static uint32_t next(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

/* Every kind of message with bytes by chance: nothing but printable lines. */
static struct fixture noise(void)
{
	struct fixture f = fixture_new();
	uint32_t chance = 1;
	uint8_t body[300];

	for (uint8_t channel = 1; channel < 14; channel++) {
		int n = fixture_channel(&f, channel, 0);

		for (unsigned i = 0; i < 1500; i++) {
			uint16_t type = (uint16_t)(next(&chance) % 330);
			size_t size = next(&chance) % sizeof(body);

			for (size_t k = 0; k < size; k++)
				body[k] = next(&chance) % 4
						  ? 0
						  : (uint8_t)next(&chance);
			fixture_message(&f, n, i & 1, 1, type, body, size);
		}
	}
	return f;
}

static void hostile(void **state)
{
	const struct dump_options options = {.id = -1, .contents = true};
	struct fixture f = noise();
	char *text = dump_fixture(&f, &options);
	size_t line = 0, longest = 0, lines = 0;

	(void)state;
	for (const char *c = text; *c; c++) {
		assert_true(*c == '\n' || (*c >= ' ' && *c < 127));
		line = *c == '\n' ? 0 : line + 1;
		lines += *c == '\n';
		longest = line > longest ? line : longest;
	}
	assert_in_range(longest, 100, LINE_MAX_BYTES);
	assert_int_equal(lines, 2 + 13 * (1500 + 6));
	free(text);
}

/* One value, with the same messages. */
static void json(void **state)
{
	const struct dump_options options = {
		.id = -1, .json = true, .contents = true, .hex = true};
	struct fixture f = noise();
	char *text = dump_fixture(&f, &options);
	json_error_t where;
	json_t *all = json_loads(text, 0, &where), *list;

	(void)state;
	if (!all)
		print_error("%s\n", where.text);
	assert_non_null(all);
	list = json_object_get(all, "messages");
	assert_int_equal(json_array_size(list), 13 * (1500 + 6));
	assert_int_equal(json_integer_value(json_object_get(all, "count")),
			 json_array_size(list));
	assert_string_equal(json_string_value(json_object_get(all, "end")),
			    "complete");
	json_decref(all);
	free(text);
}

static void chosen(void **state)
{
	struct dump_options options = {
		.id = 0, .channel = SPICE_CHANNEL_INPUTS, .from = 1};
	struct fixture f = secrets();
	char *text = dump_fixture(&f, &options);

	(void)state;
	has(text, "inputs:0 to-guest");
	has_not(text, "main:0");
	free(text);
	options = (struct dump_options){.id = -1, .from = 6 * MS, .to = 8 * MS};
	f = secrets();
	text = dump_fixture(&f, &options);
	has(text, "\n0.006000 ");
	has(text, "\n0.008000 ");
	has_not(text, "\n0.005000 ");
	has_not(text, "\n0.009000 ");
	free(text);
}

/* Nothing stands before the damage; cut off there is just nothing. */
static void damaged(void **state)
{
	const struct dump_options options = {.id = -1};
	struct fixture f = secrets();
	int out = fixture_memfd();
	uint8_t byte;
	char *text;

	(void)state;
	fixture_finish(&f, false);
	fixture_end(&f);
	assert_int_equal(pread(f.fd, &byte, 1, 60), 1);
	byte ^= 0xff;
	assert_int_equal(pwrite(f.fd, &byte, 1, 60), 1);
	assert_int_equal(dump_capture(f.fd, out, &options, NULL), -EBADMSG);
	assert_int_equal(fixture_size(out), 0);
	close(out);
	assert_int_equal(ftruncate(f.fd, 40), 0);
	text = dump(f.fd, &options);
	has(text, " end=cut_off");
	free(text);
	close(f.fd);
}

static void names(void **state)
{
	(void)state;
	assert_string_equal(message_channel_name(SPICE_CHANNEL_WEBDAV),
			    "webdav");
	assert_null(message_channel_name(200));
	assert_int_equal(message_channel_number("record", 6), 6);
	assert_int_equal(message_channel_number("rec", 3), -1);
	assert_string_equal(message_name(SPICE_CHANNEL_DISPLAY,
					 CAPTURE_TO_CLIENT,
					 SPICE_MSG_DISPLAY_STREAM_CREATE),
			    "stream_create");
	assert_string_equal(message_name(SPICE_CHANNEL_CURSOR, CAPTURE_TO_GUEST,
					 SPICE_MSGC_PONG),
			    "pong");
	assert_string_equal(
		message_name(SPICE_CHANNEL_CURSOR, CAPTURE_TO_GUEST, 101),
		"unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields),   cmocka_unit_test(cut),
		cmocka_unit_test(withheld), cmocka_unit_test(hostile),
		cmocka_unit_test(json),     cmocka_unit_test(chosen),
		cmocka_unit_test(damaged),  cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
