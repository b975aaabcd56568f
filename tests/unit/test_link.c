/* The link's messages, their oddities, and the ticket. */
#include "recorder/link.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <spice/protocol.h>

static void caps_are_a_set(void **state)
{
	struct link_caps c = {0};

	(void)state;
	assert_false(link_caps_test(&c, 3));
	link_caps_set(&c, 3, false);
	assert_int_equal(c.count, 0);
	link_caps_set(&c, 40, true);
	assert_int_equal(c.count, 2);
	assert_true(link_caps_test(&c, 40));
	assert_false(link_caps_test(&c, 8));
	link_caps_set(&c, 40, false);
	assert_false(link_caps_test(&c, 40));
	link_caps_set(&c, LINK_MAX_CAPS * 32, true);
	assert_int_equal(c.count, 2);
	assert_false(link_caps_test(&c, UINT32_MAX));
}

static uint32_t header_error(uint32_t magic, uint32_t major, uint32_t size)
{
	uint8_t h[LINK_HEADER_SIZE] = {0};
	uint32_t link_error = 99;
	struct error e = {0};
	size_t body = 99;
	int r;

	bytes_put_le32(h, magic);
	bytes_put_le32(h + 4, major);
	bytes_put_le32(h + 8, 12345); /* the minor version is not looked at */
	bytes_put_le32(h + 12, size);
	r = link_header_parse(h, &body, &link_error, &e);
	if (link_error == SPICE_LINK_ERR_OK) {
		assert_int_equal(r, 0);
		assert_int_equal(body, size);
	} else {
		assert_int_equal(r, -EPROTO);
		assert_true(e.text[0]);
	}
	return link_error;
}

static void header_errors(void **state)
{
	const uint32_t magic = SPICE_MAGIC;

	(void)state;
	assert_int_equal(header_error(magic, 2, 18), SPICE_LINK_ERR_OK);
	assert_int_equal(header_error(magic, 2, 4096), SPICE_LINK_ERR_OK);
	assert_int_equal(header_error(magic + 1, 2, 18),
			 SPICE_LINK_ERR_INVALID_MAGIC);
	assert_int_equal(header_error(magic, 1, 18),
			 SPICE_LINK_ERR_VERSION_MISMATCH);
	assert_int_equal(header_error(magic, 3, 18),
			 SPICE_LINK_ERR_VERSION_MISMATCH);
	assert_int_equal(header_error(magic, 2, 17),
			 SPICE_LINK_ERR_INVALID_DATA);
	assert_int_equal(header_error(magic, 2, 4097),
			 SPICE_LINK_ERR_INVALID_DATA);
	assert_int_equal(header_error(magic, 2, UINT32_MAX),
			 SPICE_LINK_ERR_INVALID_DATA);
}

static void mess_round_trip(void **state)
{
	struct link_mess in =
				 {
					 .connection_id = 0x12345678,
					 .channel_type = SPICE_CHANNEL_DISPLAY,
					 .channel_id = 3,
					 .common = {{0xd}, 1},
					 .channel = {{0x6fbf, 1}, 2},
				 },
			 out;
	struct buffer b = {0};
	uint32_t link_error;
	size_t body;

	(void)state;
	link_mess_build(&b, &in);
	assert_int_equal(link_header_parse(b.data, &body, &link_error, NULL),
			 0);
	assert_int_equal(body, LINK_MESS_SIZE + 12);
	assert_int_equal(b.size, LINK_HEADER_SIZE + body);
	assert_int_equal(
		link_mess_parse(b.data + LINK_HEADER_SIZE, body, &out, NULL),
		0);
	assert_int_equal(out.connection_id, in.connection_id);
	assert_int_equal(out.channel_type, in.channel_type);
	assert_int_equal(out.channel_id, in.channel_id);
	assert_memory_equal(&out.common, &in.common, sizeof(in.common));
	assert_memory_equal(&out.channel, &in.channel, sizeof(in.channel));
	buffer_free(&b);
}

static void reply_round_trip(void **state)
{
	struct link_reply in = {.error = 5,
				.key = {1, 2, 3},
				.common = {{0xb}, 1}},
			  out;
	struct buffer b = {0};

	(void)state;
	link_reply_build(&b, &in);
	assert_int_equal(b.size, LINK_HEADER_SIZE + LINK_REPLY_SIZE + 4);
	assert_int_equal(link_reply_parse(b.data + LINK_HEADER_SIZE,
					  b.size - LINK_HEADER_SIZE, &out,
					  NULL),
			 0);
	assert_int_equal(out.error, 5);
	assert_memory_equal(out.key, in.key, LINK_KEY_SIZE);
	assert_memory_equal(&out.common, &in.common, sizeof(in.common));
	assert_int_equal(out.channel.count, 0);
	for (size_t n = 0; n < LINK_REPLY_SIZE + 4; n++)
		assert_int_equal(link_reply_parse(b.data + LINK_HEADER_SIZE, n,
						  &out, NULL),
				 -EPROTO);
	buffer_free(&b);
}

/* A client's link body with these counts and offset, `size` bytes of it. */
static int mess_result(uint32_t common, uint32_t channel, uint32_t offset,
		       size_t size)
{
	uint8_t body[256] = {0};
	struct link_mess mess;

	bytes_put_le32(body + 6, common);
	bytes_put_le32(body + 10, channel);
	bytes_put_le32(body + 14, offset);
	return link_mess_parse(body, size, &mess, NULL);
}

static void mess_oddities(void **state)
{
	(void)state;
	assert_int_equal(mess_result(0, 0, 0, 18), 0);
	assert_int_equal(mess_result(0, 0, UINT32_MAX, 18), 0);
	assert_int_equal(mess_result(1, 1, 18, 26), 0);
	assert_int_equal(mess_result(1, 1, 30, 38), 0);
	assert_int_equal(mess_result(16, 16, 18, 146), 0);
	assert_int_equal(mess_result(0, 0, 0, 17), -EPROTO);
	assert_int_equal(mess_result(1, 1, 18, 25), -EPROTO);
	assert_int_equal(mess_result(1, 0, UINT32_MAX, 26), -EPROTO);
	assert_int_equal(mess_result(1, 0, UINT32_MAX - 3, 26), -EPROTO);
	assert_int_equal(mess_result(17, 0, 18, 256), -EPROTO);
	assert_int_equal(mess_result(0, 17, 18, 256), -EPROTO);
	assert_int_equal(mess_result(UINT32_MAX, 1, 18, 256), -EPROTO);
	assert_int_equal(mess_result(0x40000000, 0, 18, 256), -EPROTO);
}

struct keys {
	struct link_key *key;
	uint8_t der[LINK_KEY_SIZE];
};

static int make_key(void **state)
{
	static struct keys k;

	*state = &k;
	if (link_key_new(&k.key, NULL) < 0)
		return -1;
	link_key_public(k.key, k.der);
	return 0;
}

static int free_key(void **state)
{
	link_key_free(((struct keys *)*state)->key);
	link_key_free(NULL);
	return 0;
}

static void ticket_round_trip(void **state)
{
	static const char longest[] = "012345678901234567890123456789"
				      "012345678901234567890123456789";
	const char *passwords[] = {"", "x", "correct horse", longest};
	struct keys *k = *state;
	uint8_t ticket[LINK_TICKET_SIZE];
	char out[LINK_PASSWORD_MAX + 1];

	for (int i = 0; i < 4; i++) {
		assert_int_equal(
			link_ticket_encrypt(k->der, passwords[i], ticket, NULL),
			0);
		memset(out, 'z', sizeof(out));
		assert_int_equal(link_ticket_decrypt(k->key, ticket, out), 0);
		assert_string_equal(out, passwords[i]);
	}
	assert_int_equal(link_ticket_encrypt(k->der,
					     "0123456789012345678901234567890"
					     "123456789012345678901234567890",
					     ticket, NULL),
			 -EINVAL);
}

static void bad_tickets(void **state)
{
	struct keys *k = *state;
	uint8_t ticket[LINK_TICKET_SIZE] = {0};
	char out[LINK_PASSWORD_MAX + 1];

	assert_int_equal(link_ticket_decrypt(k->key, ticket, out), -EACCES);
	memset(ticket, 0xff, sizeof(ticket));
	assert_int_equal(link_ticket_decrypt(k->key, ticket, out), -EACCES);
	assert_int_equal(link_ticket_encrypt(k->der, "secret", ticket, NULL),
			 0);
	for (int i = 0; i < LINK_TICKET_SIZE; i += 9) {
		ticket[i] ^= 0x10;
		assert_int_equal(link_ticket_decrypt(k->key, ticket, out),
				 -EACCES);
		assert_string_equal(out, "");
		ticket[i] ^= 0x10;
	}
	assert_int_equal(link_ticket_decrypt(k->key, ticket, out), 0);
}

static void bad_keys(void **state)
{
	struct keys *k = *state;
	uint8_t der[LINK_KEY_SIZE] = {0}, ticket[LINK_TICKET_SIZE];
	struct error e = {0};

	assert_int_equal(link_ticket_encrypt(der, "x", ticket, &e), -EPROTO);
	assert_true(e.text[0]);
	memcpy(der, k->der, sizeof(der));
	der[1] ^= 1;
	assert_int_equal(link_ticket_encrypt(der, "x", ticket, &e), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(caps_are_a_set),
		cmocka_unit_test(header_errors),
		cmocka_unit_test(mess_round_trip),
		cmocka_unit_test(reply_round_trip),
		cmocka_unit_test(mess_oddities),
		cmocka_unit_test(ticket_round_trip),
		cmocka_unit_test(bad_tickets),
		cmocka_unit_test(bad_keys),
	};

	return cmocka_run_group_tests(tests, make_key, free_key);
}
