/* Messages are found whatever the pieces in which the bytes come. */
#include "recorder/bytes.h"
#include "recorder/framer.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#define MAX 1000

static void put(struct buffer *b, bool mini, uint64_t serial, uint16_t type,
		uint32_t size, uint32_t sub_list)
{
	if (!mini)
		buffer_put_le64(b, serial);
	buffer_put_le16(b, type);
	buffer_put_le32(b, size);
	if (!mini)
		buffer_put_le32(b, sub_list);
	for (uint32_t i = 0; i < size; i++)
		buffer_put_u8(b, (uint8_t)(type + i));
}

/* Three messages, offered `step` bytes at a time. */
static void in_steps(bool mini, size_t step)
{
	static const uint32_t sizes[] = {7, 0, 300};
	struct buffer b = {0};
	struct framer f;
	struct framer_piece p;
	size_t at = 0, body = 0;
	int begun = 0, ended = 0;

	for (int i = 0; i < 3; i++)
		put(&b, mini, 50 + i, 100 + i, sizes[i], 5);
	framer_init(&f, mini, MAX);
	while (at < b.size) {
		size_t n = b.size - at < step ? b.size - at : step;
		int r = framer_next(&f, b.data + at, n, &p, NULL);

		assert_in_range(r, 1, n);
		assert_int_equal(r, p.size);
		assert_ptr_equal(p.data, b.data + at);
		at += r;
		if (p.begins) {
			assert_true(p.header);
			begun++;
			body = 0;
		}
		assert_int_equal(begun, ended + 1);
		if (!p.header) {
			assert_true(p.header_done);
			for (size_t i = 0; i < p.size; i++)
				assert_int_equal(p.data[i],
						 (uint8_t)(f.type + body + i));
			body += p.size;
		}
		if (p.header_done) {
			assert_int_equal(f.type, 100 + ended);
			assert_int_equal(f.size, sizes[ended]);
			assert_int_equal(f.serial,
					 mini ? ended + 1 : 50 + ended);
			assert_int_equal(f.sub_list, mini ? 0 : 5);
		}
		if (p.ends)
			assert_int_equal(body, sizes[ended++]);
	}
	assert_int_equal(ended, 3);
	buffer_free(&b);
}

static void every_step(void **state)
{
	(void)state;
	for (size_t step = 1; step < 400; step++) {
		in_steps(true, step);
		in_steps(false, step);
	}
}

static void nothing_gives_nothing(void **state)
{
	struct framer f;
	struct framer_piece p;

	(void)state;
	framer_init(&f, true, MAX);
	assert_int_equal(framer_next(&f, NULL, 0, &p, NULL), 0);
	assert_int_equal(p.size, 0);
	assert_false(p.begins || p.ends);
}

static void too_large_is_refused_for_good(void **state)
{
	struct buffer b = {0};
	struct framer f;
	struct framer_piece p;
	struct error e = {0};

	(void)state;
	put(&b, true, 0, 102, MAX + 1, 0);
	framer_init(&f, true, MAX);
	assert_int_equal(framer_next(&f, b.data, b.size, &p, &e), -EMSGSIZE);
	assert_non_null(strstr(e.text, "1001"));
	assert_int_equal(framer_next(&f, b.data, b.size, &p, &e), -EMSGSIZE);
	framer_init(&f, true, MAX + 1);
	assert_int_equal(framer_next(&f, b.data, b.size, &p, &e), 6);
	buffer_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_step),
		cmocka_unit_test(nothing_gives_nothing),
		cmocka_unit_test(too_large_is_refused_for_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
