/* Reading past the end, numbers in both byte orders, a buffer's limit. */
#include "recorder/bytes.h"
#include "recorder/error.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

static void reads_both_orders(void **state)
{
	const uint8_t data[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
	struct bytes b = bytes_of(data, sizeof(data));

	(void)state;
	assert_int_equal(bytes_u8(&b), 1);
	assert_int_equal(bytes_le16(&b), 0x0302);
	assert_int_equal(bytes_be32(&b), 0x04050607);
	assert_int_equal(bytes_le32(&b), 0x0b0a0908);
	assert_false(b.bad);
	assert_int_equal(bytes_left(&b), 0);
}

static void stops_at_the_end(void **state)
{
	const uint8_t data[] = {1, 2, 3};
	struct bytes b = bytes_of(data, sizeof(data));

	(void)state;
	assert_int_equal(bytes_le32(&b), 0);
	assert_true(b.bad);
	assert_int_equal(bytes_u8(&b), 0);
	assert_null(bytes_take(&b, 1));
	b = bytes_of(data, sizeof(data));
	bytes_seek(&b, 4);
	assert_true(b.bad);
}

static void buffer_keeps_to_its_limit(void **state)
{
	struct buffer b = {.limit = 6};

	(void)state;
	buffer_put_le32(&b, 0x04030201);
	assert_false(b.failed);
	buffer_put_le32(&b, 0);
	assert_true(b.failed);
	assert_int_equal(b.size, 4);
	buffer_drop(&b, 3);
	assert_int_equal(b.size, 1);
	assert_int_equal(b.data[0], 4);
	buffer_free(&b);
}

static void error_is_one_line(void **state)
{
	struct error e = {0};

	(void)state;
	assert_int_equal(error_set(&e, EINVAL, "a%cb", '\n'), -EINVAL);
	assert_string_equal(e.text, "a b");
	error_prefix(&e, "vault %s", "x");
	assert_string_equal(e.text, "vault x: a b");
	assert_int_equal(e.code, -EINVAL);
	assert_int_equal(error_set(NULL, -EIO, "x"), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_both_orders),
		cmocka_unit_test(stops_at_the_end),
		cmocka_unit_test(buffer_keeps_to_its_limit),
		cmocka_unit_test(error_is_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
