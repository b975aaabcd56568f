/* Options of a look into a recording: what is understood, what is not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <spice/enums.h>
#include <string.h>

#include "daemon/look.h"
#include "recorder/picture.h"

static struct look good(const char *text)
{
	struct error error = {0};
	struct look look;

	if (look_read(&look, text, &error))
		print_error("%s: %s\n", text, error.text);
	assert_int_equal(error.code, 0);
	return look;
}

static void defaults(void **state)
{
	struct look look = good("");

	(void)state;
	assert_true(look.at == PICTURE_AT_END);
	assert_true(look.cursor);
	assert_int_equal(look.monitor, 0);
	assert_int_equal(look.dump.channel, 0);
	assert_int_equal(look.dump.id, -1);
	assert_int_equal(look.dump.from, 0);
	assert_int_equal(look.dump.to, 0);
	assert_false(look.dump.hex || look.dump.json || look.dump.contents);
}

static void times(void **state)
{
	(void)state;
	assert_int_equal(good("at=0").at, 0);
	assert_int_equal(good("at=90.5").at, 90500000000);
	assert_int_equal(good("at=1:30.5").at, 90500000000);
	assert_int_equal(good("at=01:00:00.001").at, 3600001000000);
	assert_int_equal(good("from=2&to=3").dump.from, 2000000000);
	assert_int_equal(good("from=2&to=3").dump.to, 3000000000);
	assert_true(good("at=end").at == PICTURE_AT_END);
}

static void channels(void **state)
{
	(void)state;
	assert_int_equal(good("channel=display").dump.channel,
			 SPICE_CHANNEL_DISPLAY);
	assert_int_equal(good("channel=display").dump.id, -1);
	assert_int_equal(good("channel=webdav:3").dump.channel,
			 SPICE_CHANNEL_WEBDAV);
	assert_int_equal(good("channel=webdav:3").dump.id, 3);
}

static void refused(void **state)
{
	static const char *const texts[] = {
		"at=",
		"at=x",
		"at=-1",
		"at=1:",
		"at=1:2:3:4",
		"at=1e3",
		"at=0x10",
		"at=99999999999",
		"from=end",
		"to=now",
		"channel=",
		"channel=dis",
		"channel=2",
		"channel=main:",
		"channel=main:x",
		"channel=main:256",
		"monitor=0",
		"monitor=one",
		"monitor=-1",
		"hex=yes",
		"json",
		"colour=red",
		"cursor=2",
	};
	struct look look;

	(void)state;
	for (unsigned i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct error error = {0};

		if (look_read(&look, texts[i], &error) != -EINVAL)
			print_error("\"%s\" is taken\n", texts[i]);
		assert_int_equal(error.code, -EINVAL);
		assert_true(error.text[0] != '\0');
	}
}

static void building(void **state)
{
	char text[LOOK_SIZE] = "", huge[LOOK_SIZE + 1];

	(void)state;
	memset(huge, 'x', LOOK_SIZE);
	huge[LOOK_SIZE] = '\0';
	assert_int_equal(look_add(text, "at", NULL, NULL), 0);
	assert_string_equal(text, "");
	assert_int_equal(look_add(text, "at", "5", NULL), 0);
	assert_int_equal(look_add(text, "monitor", "2", NULL), 0);
	assert_string_equal(text, "at=5&monitor=2");
	assert_int_equal(look_add(text, "at", "1&hex=1", NULL), -EINVAL);
	assert_int_equal(look_add(text, "at", huge, NULL), -EINVAL);
	assert_string_equal(text, "at=5&monitor=2");
	assert_int_equal(good(text).monitor, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults), cmocka_unit_test(times),
		cmocka_unit_test(channels), cmocka_unit_test(refused),
		cmocka_unit_test(building),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
