/* Where attached vaults are: the endpoint's text, and a connection to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/attach.h"
#include "daemon/attach_endpoint.h"
#include "daemon/vault.h"

static void reads(void **state)
{
	struct attach_endpoint e;

	(void)state;
	assert_int_equal(attach_endpoint_read(&e, "host:5900", NULL), 0);
	assert_string_equal(e.host, "host");
	assert_string_equal(e.port, "5900");
	assert_false(e.tls || e.is_unix);
	assert_int_equal(attach_endpoint_read(&e, "tls:[::1]:65535", NULL), 0);
	assert_string_equal(e.host, "::1");
	assert_string_equal(e.port, "65535");
	assert_true(e.tls);
	assert_int_equal(attach_endpoint_read(&e, "unix:/run/s:1", NULL), 0);
	assert_string_equal(e.host, "/run/s:1");
	assert_true(e.is_unix);
}

static void refuses(void **state)
{
	static const char *const wrong[] = {
		"",           "host",     "host:",    ":5900",   "host:0",
		"host:65536", "host:59x", "::1:5900", "[]:5900", "tls:",
		"tls:host",   "unix:",    "unix:s",   "host:-1",
	};
	struct attach_endpoint e;
	struct error error;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_int_equal(attach_endpoint_read(&e, wrong[i], &error),
				 -EINVAL);
}

static void refuses_long(void **state)
{
	struct attach_endpoint e;
	char text[600];

	(void)state;
	memset(text, 'a', sizeof(text));
	strcpy(text + 256, ":1"); /* 256 letters: one too many */
	assert_int_equal(attach_endpoint_read(&e, text, NULL), -EINVAL);
	assert_int_equal(attach_endpoint_read(&e, text + 1, NULL), 0);
	memcpy(text, "unix:/", 6);
	strcpy(text + 5 + 108, "");
	assert_int_equal(attach_endpoint_read(&e, text, NULL), -EINVAL);
	text[5 + 107] = '\0';
	assert_int_equal(attach_endpoint_read(&e, text, NULL), 0);
}

static void connects(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd;
	struct attach_endpoint e;
	struct error error;
	char text[40];

	(void)state;
	bind(listener, (struct sockaddr *)&address, size);
	getsockname(listener, (struct sockaddr *)&address, &size);
	snprintf(text, sizeof(text), "127.0.0.1:%u", ntohs(address.sin_port));
	assert_int_equal(attach_endpoint_read(&e, text, NULL), 0);
	assert_int_equal(attach_endpoint_connect(&e, 1000, &fd, &error),
			 -ECONNREFUSED);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(attach_endpoint_connect(&e, 1000, &fd, &error), 0);
	close(fd);
	close(listener);
}

static void keeps_apart(void **state)
{
	struct vault kept = {.spec = json_pack("{s:s}", "firmware", "bios")};
	struct vault attached = {.spec = json_pack("{s:s, s:s}", "kind",
						   "attached", "spice",
						   "host:1")};
	struct error error;

	(void)state;
	assert_false(attach_is(&kept));
	assert_int_equal(attach_refuse(&kept, &error), 0);
	assert_true(attach_is(&attached));
	assert_int_equal(attach_refuse(&attached, &error), -EINVAL);
	assert_non_null(strstr(error.text, "host:1"));
	json_decref(kept.spec);
	json_decref(attached.spec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads),        cmocka_unit_test(refuses),
		cmocka_unit_test(refuses_long), cmocka_unit_test(connects),
		cmocka_unit_test(keeps_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
