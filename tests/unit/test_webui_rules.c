/* Routes, ranges, Host and Origin, logins: what needs no socket. */
#include "webui/guard.h"
#include "webui/login.h"
#include "webui/range.h"
#include "webui/routes.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Routes are compared by operation; each needs an address of its own. */
#define API_ROUTE(METHOD, path, name) \
	int operation_##name( \
		struct control *control, const struct operation_call *call, \
		struct operation_answer *answer, struct error *error) \
	{ \
		(void)control, (void)call, (void)answer; \
		return error_set(error, ENOSYS, #name); \
	}
#include "schema/api_routes.h"
#undef API_ROUTE

/* --- routes ------------------------------------------------------------ */

static void finds_routes(void **state)
{
	struct route_match m;

	(void)state;
	routes_find("GET", "/api/v1/vaults", &m);
	assert_ptr_equal(m.route->operation, operation_vault_list);
	assert_int_equal(m.segment_count, 0);
	routes_find("POST", "/api/v1/vaults", &m);
	assert_ptr_equal(m.route->operation, operation_vault_create);
	routes_find("POST", "/api/v1/vaults/a.b/start", &m);
	assert_ptr_equal(m.route->operation, operation_vault_start);
	assert_string_equal(m.segments[0], "a.b");
	routes_find("GET", "/vaults/a.vv.vv", &m);
	assert_int_equal(m.route->kind, ROUTE_CONNECT_FILE);
	assert_string_equal(m.segments[0], "a.vv");
	routes_find("GET", "/style.css", &m);
	assert_int_equal(m.route->kind, ROUTE_STATIC);
	assert_string_equal(m.segments[0], "style.css");
	routes_find("GET", "/", &m);
	assert_int_equal(m.route->kind, ROUTE_STATIC);
}

static void finds_no_routes(void **state)
{
	static const char *const paths[] = {
		"",
		"api",
		"/api/v1",
		"/api/v1/",
		"/api/v1/vaults/",
		"/api/v1/vaults//start",
		"/vaults/",
		"/vaults/.vv",
		"/vaults/a.v",
		"/a/b",
		"//",
		"/api/v1/vaults/a/start/x",
		"/api/v1/vaults/a/b/c",
	};
	struct route_match m;
	char longer[600];
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		routes_find("GET", paths[i], &m);
		assert_null(m.route);
		assert_string_equal(m.allowed, "");
	}
	memset(longer, 'a', sizeof(longer));
	memcpy(longer, "/api/v1/vaults/", 15);
	longer[sizeof(longer) - 1] = 0;
	routes_find("GET", longer, &m);
	assert_null(m.route);
}

static void names_the_methods(void **state)
{
	struct route_match m;

	(void)state;
	routes_find("PUT", "/api/v1/vaults/a/policy", &m);
	assert_null(m.route);
	assert_string_equal(m.allowed, "GET, HEAD, PATCH");
	routes_find("GET", "/api/v1/vaults/a/start", &m);
	assert_null(m.route);
	assert_string_equal(m.allowed, "POST");
	/* Reading these twice does harm: no HEAD. */
	routes_find("HEAD", "/vaults/a.vv", &m);
	assert_string_equal(m.allowed, "GET");
	routes_find("HEAD", "/login", &m);
	assert_string_equal(m.allowed, "GET");
	routes_find("HEAD", "/api/v1/sessions/a/video", &m);
	assert_ptr_equal(m.route->operation, operation_session_video);
	routes_find("HEAD", "/api/v1/sessions/a/pcapng", &m);
	assert_null(m.route);
}

/* --- ranges ------------------------------------------------------------ */

static void cuts_ranges(void **state)
{
	static const struct {
		const char *header;
		uint64_t size;
		enum range_kind kind;
		uint64_t offset, length;
	} cases[] = {
		{NULL, 10, RANGE_WHOLE, 0, 10},
		{"bytes=0-", 10, RANGE_PART, 0, 10},
		{"bytes=0-0", 10, RANGE_PART, 0, 1},
		{"bytes=9-9", 10, RANGE_PART, 9, 1},
		{"bytes=3-99", 10, RANGE_PART, 3, 7},
		{"BYTES= 3-4", 10, RANGE_PART, 3, 2},
		{"bytes=-4", 10, RANGE_PART, 6, 4},
		{"bytes=-40", 10, RANGE_PART, 0, 10},
		{"bytes=10-", 10, RANGE_OUTSIDE, 0, 10},
		{"bytes=-0", 10, RANGE_OUTSIDE, 0, 10},
		{"bytes=0-", 0, RANGE_OUTSIDE, 0, 0},
		{"bytes=-1", 0, RANGE_OUTSIDE, 0, 0},
		/* Not understood: the whole file, as RFC 9110 allows. */
		{"bytes=5-4", 10, RANGE_WHOLE, 0, 10},
		{"bytes=0-1,3-4", 10, RANGE_WHOLE, 0, 10},
		{"bytes=a-b", 10, RANGE_WHOLE, 0, 10},
		{"bytes=", 10, RANGE_WHOLE, 0, 10},
		{"bytes=-", 10, RANGE_WHOLE, 0, 10},
		{"lines=0-1", 10, RANGE_WHOLE, 0, 10},
		{"bytes=99999999999999999999-", 10, RANGE_WHOLE, 0, 10},
		{"bytes=0-18446744073709551615", 10, RANGE_PART, 0, 10},
		{"bytes=0-18446744073709551616", 10, RANGE_WHOLE, 0, 10},
	};
	uint64_t offset, length;
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum range_kind kind = range_parse(
			cases[i].header, cases[i].size, &offset, &length);

		if (kind != cases[i].kind ||
		    (kind != RANGE_OUTSIDE &&
		     (offset != cases[i].offset || length != cases[i].length)))
			fail_msg("%s of %d: kind %d, %d+%d", cases[i].header,
				 (int)cases[i].size, kind, (int)offset,
				 (int)length);
	}
}

/* --- hosts and origins ------------------------------------------------- */

static struct guard_hosts hosts_on(const char *address)
{
	static const char *const extra[] = {"vaults.example", NULL};
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct guard_hosts hosts;

	inet_pton(AF_INET, address, &in.sin_addr);
	guard_hosts_set(&hosts, extra, (struct sockaddr *)&in);
	return hosts;
}

static void checks_hosts(void **state)
{
	static const char *const good[] = {
		"localhost", "localhost:8930", "LOCALHOST",      "127.0.0.1:1",
		"[::1]",     "[::1]:8930",     "vaults.example", "192.0.2.1:80",
	};
	static const char *const bad[] = {
		"",
		"evil.example",
		"localhost.evil.example",
		"127.0.0.1.evil.example",
		"192.0.2.2",
		"localhost:",
		"localhost:80a",
		"localhost:123456",
		"[::2]",
		"[::1",
		"[::1]x",
		"localhost:80:80",
		"xlocalhost",
		":80",
	};
	struct guard_hosts hosts = hosts_on("192.0.2.1");
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!guard_host_ok(&hosts, good[i]))
			fail_msg("%s is refused", good[i]);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (guard_host_ok(&hosts, bad[i]))
			fail_msg("%s is taken", bad[i]);
	assert_false(guard_host_ok(&hosts, NULL));
	/* On all addresses every literal one is right, and no other name. */
	hosts = hosts_on("0.0.0.0");
	assert_true(guard_host_ok(&hosts, "192.0.2.2:80"));
	assert_true(guard_host_ok(&hosts, "[2001:db8::1]:80"));
	assert_false(guard_host_ok(&hosts, "[zz]"));
	assert_false(guard_host_ok(&hosts, "1.2.3"));
	assert_false(guard_host_ok(&hosts, "evil.example"));
}

static void names_hosts(void **state)
{
	char name[32];

	(void)state;
	guard_host_name("localhost:80", name, sizeof(name));
	assert_string_equal(name, "localhost");
	guard_host_name("[::1]:80", name, sizeof(name));
	assert_string_equal(name, "[::1]");
	guard_host_name("[::1", name, sizeof(name));
	assert_string_equal(name, "[::1");
}

static void checks_origins(void **state)
{
	const char *host = "localhost:8930", *same = "same-origin";

	(void)state;
	assert_true(guard_origin_ok(host, NULL, NULL));
	assert_true(guard_origin_ok(host, "http://localhost:8930", NULL));
	assert_true(guard_origin_ok(host, "http://localhost:8930", same));
	assert_true(guard_origin_ok(host, NULL, "none"));
	assert_false(guard_origin_ok(host, "http://localhost:8931", NULL));
	assert_false(guard_origin_ok(host, "https://localhost:8930", NULL));
	assert_false(guard_origin_ok(host, "http://localhost", NULL));
	assert_false(guard_origin_ok(host, "null", NULL));
	assert_false(guard_origin_ok(host, "null", same));
	assert_false(guard_origin_ok(host, NULL, "cross-site"));
	assert_false(guard_origin_ok(host, NULL, "same-site"));
	assert_false(
		guard_origin_ok(host, "http://localhost:8930", "cross-site"));
	assert_false(guard_origin_ok(NULL, "http://x", NULL));
}

static void knows_peers(void **state)
{
	struct guard_peer peer;
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	peer = guard_peer(ends[0], (gid_t)-1);
	assert_true(peer.allowed);
	assert_int_equal(peer.uid, geteuid());
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(pipe(ends), 0);
	assert_false(guard_peer(ends[0], getegid()).allowed);
	close(ends[0]);
	close(ends[1]);
}

/* --- logins ------------------------------------------------------------ */

static void links_work_once(void **state)
{
	struct logins *logins = logins_new(NULL);
	char link[LOGIN_TEXT_SIZE], other[LOGIN_TEXT_SIZE];
	char cookie[LOGIN_TEXT_SIZE];

	(void)state;
	assert_int_equal(logins_link(logins, 1000, link), 0);
	assert_int_equal(logins_link(logins, 1000, other), 0);
	assert_string_not_equal(link, other);
	assert_int_equal(strlen(link), LOGIN_TEXT_SIZE - 1);
	assert_false(logins_redeem(logins, 1001, "", cookie));
	assert_true(logins_redeem(logins, 1001, link, cookie));
	assert_false(logins_redeem(logins, 1001, link, cookie));
	assert_string_not_equal(link, cookie);
	assert_true(logins_check(logins, 1002, cookie));
	assert_false(logins_check(logins, 1002, link));
	assert_false(logins_check(logins, 1001 + LOGIN_TIME, cookie));
	/* Too late for the other. */
	assert_false(
		logins_redeem(logins, 1000 + LOGIN_LINK_TIME, other, cookie));
	logins_free(logins);
}

static void logins_end_and_are_few(void **state)
{
	struct logins *logins = logins_new(NULL);
	char link[LOGIN_TEXT_SIZE], first[LOGIN_TEXT_SIZE];
	char cookie[LOGIN_TEXT_SIZE];
	int i;

	(void)state;
	logins_link(logins, 0, link);
	assert_true(logins_redeem(logins, 1, link, first));
	logins_end(logins, "nobody");
	assert_true(logins_check(logins, 1, first));
	for (i = 0; i < LOGIN_MAX_SESSIONS; i++) {
		logins_link(logins, 2 + i, link);
		assert_true(logins_redeem(logins, 2 + i, link, cookie));
	}
	assert_false(logins_check(logins, 100, first));
	assert_true(logins_check(logins, 100, cookie));
	logins_end(logins, cookie);
	assert_false(logins_check(logins, 100, cookie));
	logins_free(logins);
}

static void logins_are_kept(void **state)
{
	char folder[] = "/tmp/test_rules.XXXXXX", file[64];
	char link[LOGIN_TEXT_SIZE], cookie[LOGIN_TEXT_SIZE];
	struct logins *logins;
	struct stat st;
	char bytes[8192];
	FILE *f;
	size_t n;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(file, sizeof(file), "%s/logins", folder);
	logins = logins_new(folder);
	logins_link(logins, 0, link);
	assert_true(logins_redeem(logins, 1, link, cookie));
	logins_free(logins);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	logins = logins_new(folder);
	assert_true(logins_check(logins, 2, cookie));
	assert_false(logins_redeem(logins, 2, link, cookie));
	logins_free(logins);
	/* The cookie itself is not in the file. */
	f = fopen(file, "r+");
	n = fread(bytes, 1, sizeof(bytes), f);
	assert_true(n > LOGIN_MAX_SESSIONS * 32);
	assert_null(memmem(bytes, n, cookie, strlen(cookie)));
	/* A damaged file lets nobody in and hurts nobody. */
	assert_int_equal(ftruncate(fileno(f), 100), 0);
	fclose(f);
	logins = logins_new(folder);
	assert_false(logins_check(logins, 2, cookie));
	logins_free(logins);
	unlink(file);
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_routes),
		cmocka_unit_test(finds_no_routes),
		cmocka_unit_test(names_the_methods),
		cmocka_unit_test(cuts_ranges),
		cmocka_unit_test(checks_hosts),
		cmocka_unit_test(names_hosts),
		cmocka_unit_test(checks_origins),
		cmocka_unit_test(knows_peers),
		cmocka_unit_test(links_work_once),
		cmocka_unit_test(logins_end_and_are_few),
		cmocka_unit_test(logins_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
