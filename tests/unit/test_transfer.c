/*
 * URLs of transfers: which can be used, what of them is shown, and whom they
 * make of us at the far end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/transfer.h"
#include "daemon/transfer_far.h"

static char netrc[] = "/tmp/mvm-netrc-XXXXXX";

static void urls_are_told_from_paths(void **state)
{
	(void)state;
	assert_true(transfer_is_url("https://host/file"));
	assert_true(transfer_is_url("S3://bucket/key"));
	assert_true(transfer_is_url("gopher://x"));
	assert_false(transfer_is_url("/srv/a://b"));
	assert_false(transfer_is_url("file"));
	assert_false(transfer_is_url("://"));
	assert_false(transfer_is_url(""));
}

static void some_can_be_used(void **state)
{
	static const char *const good[] = {
		"http://host/a", "https://host:8443/a/b?token=1",
		"sftp://me@host/~/a.mvault", "s3://bucket/a%20b",
		"HTTPS://host/a#sha256=00"};
	static const struct {
		const char *url, *says;
	} bad[] = {
		{"ftp://host/a", "none of the URLs"},
		{"file:///etc/passwd", "none of the URLs"},
		{"http://me:secret@host/a", "password"},
		{"http://host", "names no file"},
		{"http://host/", "names no file"},
		{"http://host/folder/", "names no file"},
		{"s3://bucket", "names no file"},
		{"http://", "no URL"},
		{"http://ho st/a", "no URL"},
	};
	struct error error;

	(void)state;
	for (unsigned i = 0; i < sizeof(good) / sizeof(*good); i++)
		if (transfer_check(good[i], &error))
			fail_msg("%s: %s", good[i], error.text);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(transfer_check(bad[i].url, &error), -EINVAL);
		if (!strstr(error.text, bad[i].says))
			fail_msg("%s: %s", bad[i].url, error.text);
		assert_null(strstr(error.text, "secret"));
	}
}

static void secrets_are_not_shown(void **state)
{
	static const char *const urls[][2] = {
		{"https://u:p@host:1/a?token=x#y", "https://host:1/a"},
		{"sftp://me@host/a@b", "sftp://host/a@b"},
		{"http://host/a@b/c", "http://host/a@b/c"},
		{"http://host?x", "http://host"},
		{"http://u:p/w@host/", "http://u:p/w@host/"},
		{"no url", "no url"},
	};
	char shown[TRANSFER_URL_SIZE];

	(void)state;
	for (unsigned i = 0; i < sizeof(urls) / sizeof(*urls); i++) {
		transfer_shown(urls[i][0], shown);
		assert_string_equal(shown, urls[i][1]);
	}
}

static void write_netrc(mode_t mode)
{
	FILE *file = fopen(netrc, "w");

	assert_non_null(file);
	fputs("# logins\n"
	      "machine host login me password one\n"
	      "machine other\n\tlogin \"a b\"\n\tpassword \"x\\\"#y\"\n"
	      "machine keys login ssh\n"
	      "machine host login you password two # the other\n"
	      "default login anybody password \"\"\n",
	      file);
	fclose(file);
	assert_int_equal(chmod(netrc, mode), 0);
}

/* Who we are at a URL. */
static void expect(const char *url, const char *user, const char *password)
{
	json_t *request = json_pack("{s:s, s:s, s:s}", "url", url, "netrc",
				    netrc, "id", "7");
	struct error error = {0};
	struct far far;

	if (far_open(&far, request, &error))
		fail_msg("%s: %s", url, error.text);
	assert_string_equal(far.user, user);
	assert_string_equal(far.password, password);
	assert_null(strstr(far.url, "you"));
	far_close(&far);
	json_decref(request);
}

static void logins_are_found(void **state)
{
	(void)state;
	write_netrc(0600);
	expect("http://host/a", "me", "one");
	expect("http://HOST/a", "me", "one");
	expect("http://you@host/a", "you", "two");
	expect("http://who@host/a", "who", "");
	expect("http://other:8080/a", "a b", "x\"#y");
	expect("sftp://keys/a", "ssh", "");
	expect("http://unknown/a", "anybody", "");
}

static void a_file_that_all_can_read_is_refused(void **state)
{
	json_t *request =
		json_pack("{s:s, s:s}", "url", "http://host/a", "netrc", netrc);
	struct error error = {0};
	struct far far;

	(void)state;
	write_netrc(0644);
	assert_int_equal(far_open(&far, request, &error), -EACCES);
	assert_non_null(strstr(error.text, "chmod 600"));
	far_close(&far);
	json_decref(request);
}

static void names_at_the_far_end(void **state)
{
	static const char *const urls[][3] = {
		{"http://me@host/a%20b?q=1#f", "http://host/a%20b?q=1",
		 "http://host/a%20b.7.part?q=1"},
		{"s3://bucket/a b+c/%41", "http://end:9/bucket/a%20b%2Bc/A",
		 NULL},
	};
	struct error error = {0};
	struct far far;

	(void)state;
	write_netrc(0600);
	for (unsigned i = 0; i < 2; i++) {
		json_t *request = json_pack(
			"{s:s, s:s, s:s, s:s}", "url", urls[i][0], "id", "7",
			"s3_endpoint", "http://end:9/", "netrc", netrc);
		int r = far_open(&far, request, &error);

		/* There are no keys for it. */
		assert_int_equal(r, urls[i][2] ? 0 : -EACCES);
		assert_string_equal(far.url, urls[i][1]);
		if (urls[i][2])
			assert_string_equal(far.beside, urls[i][2]);
		far_close(&far);
		json_decref(request);
	}
}

static int setup(void **state)
{
	int fd = mkstemp(netrc);

	(void)state;
	return fd < 0 || close(fd);
}

static int teardown(void **state)
{
	(void)state;
	return unlink(netrc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls_are_told_from_paths),
		cmocka_unit_test(some_can_be_used),
		cmocka_unit_test(secrets_are_not_shown),
		cmocka_unit_test(logins_are_found),
		cmocka_unit_test(a_file_that_all_can_read_is_refused),
		cmocka_unit_test(names_at_the_far_end),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
