/* mediavmd.conf: defaults, every kind of value, errors that name the line. */
#include "daemon/config.h"
#include "daemon/units.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <unistd.h>
#include <cmocka.h>

static int read_text(struct config *config, const char *text,
		     struct error *error)
{
	char path[] = "/tmp/mediavm-config-XXXXXX";
	int fd = mkstemp(path);
	int r;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	config_default(config);
	r = config_read(config, path, error);
	unlink(path);
	return r;
}

static void has_defaults(void **state)
{
	struct config config;

	(void)state;
	config_default(&config);
	assert_string_equal(config.libvirt_uri, "embed");
	assert_int_equal(config.gateway_port, 5930);
	assert_int_equal(config.link_timeout, 5000);
	assert_string_equal(config.gateway_host, "");
	assert_int_equal(config.render_automatic, 1);
}

static void reads_a_file(void **state)
{
	struct config config;
	struct error error = {0};

	(void)state;
	assert_int_equal(read_text(&config,
				   "# comment\n[daemon]\nstate = /srv/vaults/\n"
				   "[gateway]\naddress = 10.0.0.1 ::1\n"
				   "port=0\nlink-timeout = 1500ms\n"
				   "[http]\nport = -1\n",
				   &error),
			 0);
	assert_string_equal(config.state, "/srv/vaults");
	assert_string_equal(config.gateway_address, "10.0.0.1 ::1");
	assert_int_equal(config.gateway_port, 0);
	assert_int_equal(config.link_timeout, 1500);
	assert_int_equal(config.http_port, -1);
}

static void names_the_line(void **state)
{
	static const struct {
		const char *text, *line, *what;
	} bad[] = {
		{"[gateway]\nprot = 1\n", "line 2", "no key \"prot\""},
		{"[gatway]\n\nport = 1\n", "line 3", "[gatway]"},
		{"[gateway]\nport = 65536\n", "line 2", "65535"},
		{"[gateway]\nport = -1\n", "line 2", "0 to 65535"},
		{"[gateway]\nport = 12x\n", "line 2", "number"},
		{"[daemon]\nstate = vaults\n", "line 2", "absolute"},
		{"[gateway]\nlink-timeout = soon\n", "line 2", "duration"},
		{"[gateway]\nnonsense\n", "line 2", "key = value"},
		{"[http]\nport = 1\nprot = 1\nport = x\n", "line 3", "prot"},
	};
	struct config config;

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct error error = {0};

		assert_int_equal(read_text(&config, bad[i].text, &error),
				 -EINVAL);
		assert_non_null(strstr(error.text, bad[i].line));
		assert_non_null(strstr(error.text, bad[i].what));
	}
}

static void a_missing_file_is_told(void **state)
{
	struct config config;
	struct error error = {0};

	(void)state;
	assert_int_equal(config_read(&config, "/nonexistent/x.conf", &error),
			 -ENOENT);
	assert_non_null(strstr(error.text, "/nonexistent/x.conf"));
}

static void reads_durations_and_sizes(void **state)
{
	uint64_t v;

	(void)state;
	assert_int_equal(units_duration_ms("90", &v, NULL), 0);
	assert_int_equal(v, 90000);
	assert_int_equal(units_duration_ms("30d", &v, NULL), 0);
	assert_int_equal(v, 30ull * 86400000);
	assert_int_equal(units_duration_ms("-1s", &v, NULL), -EINVAL);
	assert_int_equal(units_duration_ms("99999999999999999999", &v, NULL),
			 -EINVAL);
	assert_int_equal(units_duration_ms("18446744073709551615d", &v, NULL),
			 -EINVAL);
	assert_int_equal(units_size("2G", &v, NULL), 0);
	assert_int_equal(v, 2ull << 30);
	assert_int_equal(units_size("512MiB", &v, NULL), 0);
	assert_int_equal(v, 512ull << 20);
	assert_int_equal(units_size("9999999999T", &v, NULL), -EINVAL);
	assert_int_equal(units_size("G", &v, NULL), -EINVAL);
	assert_int_equal(units_size("2GG", &v, NULL), -EINVAL);
}

static void reads_and_writes_times(void **state)
{
	char text[UNITS_TIME_SIZE];
	int64_t us, now = units_now_us();

	(void)state;
	assert_int_equal(units_time_parse("2026-01-31T12:00:00.25Z", &us, NULL),
			 0);
	assert_int_equal(us, 1769860800250000);
	units_time_format(us, text);
	assert_string_equal(text, "2026-01-31T12:00:00.250Z");
	assert_int_equal(
		units_time_parse("2026-01-31T13:00:00+01:00", &us, NULL), 0);
	assert_int_equal(us, 1769860800000000);
	assert_int_equal(units_time_parse("2026-01-31", &us, NULL), 0);
	assert_int_equal(us, 1769817600000000);
	assert_int_equal(units_time_parse("1h", &us, NULL), 0);
	assert_in_range(us, now - 3600000000, now - 3590000000);
	assert_int_equal(units_time_parse("yesterday", &us, NULL), -EINVAL);
	assert_int_equal(units_time_parse("2026-01-31T12:00:00+1", &us, NULL),
			 -EINVAL);
}

static void ids_sort_by_time(void **state)
{
	char a[UNITS_ID_SIZE], b[UNITS_ID_SIZE], c[UNITS_ID_SIZE];

	(void)state;
	units_id(1769860800000000, a);
	units_id(1769860800001000, b);
	units_id(1769860800001000, c);
	assert_true(strcmp(a, b) < 0);
	assert_string_not_equal(b, c);
	assert_true(units_id_check(a));
	assert_int_equal(units_id_time(b), 1769860800001000);
	assert_false(units_id_check("../../../../etc/passwd0000"));
	assert_false(units_id_check(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_defaults),
		cmocka_unit_test(reads_a_file),
		cmocka_unit_test(names_the_line),
		cmocka_unit_test(a_missing_file_is_told),
		cmocka_unit_test(reads_durations_and_sizes),
		cmocka_unit_test(reads_and_writes_times),
		cmocka_unit_test(ids_sort_by_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
