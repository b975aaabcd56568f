/* The host's key: made once, signs, and names itself. */
#include "daemon/folder.h"
#include "daemon/host_key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[64], path[96];

static int setup(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/test_host_key.XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/host.key", folder);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return folder_remove(folder, NULL);
}

static struct host_key *open_key(void)
{
	struct host_key *key;
	struct error error = {0};

	if (host_key_open(&key, folder, &error))
		fail_msg("%s", error.text);
	return key;
}

static void it_is_made_once(void **state)
{
	char id[HOST_KEY_ID_SIZE];
	struct host_key *first = open_key(), *second = open_key();
	struct stat st;

	(void)state;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_string_equal(host_key_id(first), host_key_id(second));
	assert_int_equal(strlen(host_key_public(first)), 64);
	assert_int_equal(host_key_id_of(host_key_public(first), id, NULL), 0);
	assert_string_equal(id, host_key_id(first));
	host_key_free(first);
	host_key_free(second);
}

static void a_damaged_key_is_not_replaced(void **state)
{
	struct error error = {0};
	struct host_key *key;
	char *text;

	(void)state;
	assert_int_equal(folder_write(path, "no key\n", 7, 0600, NULL), 0);
	assert_int_equal(host_key_open(&key, folder, &error), -EBADMSG);
	assert_non_null(strstr(error.text, path));
	assert_null(key);
	assert_int_equal(folder_read(path, 100, &text, NULL), 0);
	assert_string_equal(text, "no key\n");
	free(text);
}

static void a_signature_belongs_to_data_and_key(void **state)
{
	uint8_t signature[HOST_KEY_SIGNATURE];
	struct host_key *key = open_key(), *other;
	struct error error = {0};

	(void)state;
	unlink(path);
	other = open_key();
	assert_string_not_equal(host_key_id(key), host_key_id(other));
	assert_int_equal(host_key_sign(key, "data", 4, signature, NULL), 0);
	assert_int_equal(host_key_verify(host_key_public(key), "data", 4,
					 signature, NULL),
			 0);
	assert_int_equal(host_key_verify(host_key_public(key), "dat", 3,
					 signature, &error),
			 -EBADMSG);
	assert_int_equal(host_key_verify(host_key_public(other), "data", 4,
					 signature, NULL),
			 -EBADMSG);
	signature[63] ^= 1;
	assert_int_equal(host_key_verify(host_key_public(key), "data", 4,
					 signature, NULL),
			 -EBADMSG);
	assert_int_equal(host_key_verify("zz", "data", 4, signature, NULL),
			 -EINVAL);
	host_key_free(key);
	host_key_free(other);
}

static void digits_are_read_strictly(void **state)
{
	uint8_t data[2];
	char text[5];

	(void)state;
	assert_int_equal(host_key_unhex("0fa9", data, 2, NULL), 0);
	assert_int_equal(data[0], 0x0f);
	assert_int_equal(data[1], 0xa9);
	host_key_hex(data, 2, text);
	assert_string_equal(text, "0fa9");
	assert_int_equal(host_key_unhex("0fa", data, 2, NULL), -EINVAL);
	assert_int_equal(host_key_unhex("0fa9a", data, 2, NULL), -EINVAL);
	assert_int_equal(host_key_unhex("0FA9", data, 2, NULL), -EINVAL);
	assert_int_equal(host_key_unhex(NULL, data, 2, NULL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_is_made_once, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_damaged_key_is_not_replaced,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_signature_belongs_to_data_and_key, setup, teardown),
		cmocka_unit_test(digits_are_read_strictly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
