/* A policy's keys: defaults, what is accepted and how it reads back. */
#include "daemon/policy.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static const char *get(const struct policy *p, const char *name)
{
	static char value[64];
	const char *key;

	for (unsigned i = 0; i < policy_count(); i++) {
		policy_get(p, i, &key, value, sizeof(value));
		if (strcmp(key, name) == 0)
			return value;
	}
	return "no such key";
}

static void defaults_are_the_design_s(void **state)
{
	static const char *const want[][2] = {
		{"record", "required"}, {"keystrokes", "redact"},
		{"clipboard", "off"},   {"file-transfer", "off"},
		{"usb", "off"},         {"microphone", "off"},
		{"viewers", "1"},       {"takeover", "ask"},
		{"idle-timeout", "0"},  {"ticket-lifetime", "60s"},
		{"bind-address", "on"}, {"retention", "forever"},
		{"verify", "default"},  {"quota", "0"},
		{"machine", "auto"},
	};
	struct policy p;

	(void)state;
	memset(&p, 0xff, sizeof(p));
	policy_default(&p);
	assert_int_equal(policy_count(), sizeof(want) / sizeof(want[0]));
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		assert_string_equal(get(&p, want[i][0]), want[i][1]);
	assert_int_equal(p.record, POLICY_RECORD_REQUIRED);
	assert_int_equal(p.bind_address, POLICY_BIND_ON);
}

static void values_read_back(void **state)
{
	/* key, value, as it reads back; NULL: refused */
	static const char *const rows[][3] = {
		{"record", "best-effort", "best-effort"},
		{"record", "best", NULL},
		{"record", "required|best-effort", NULL},
		{"record", "", NULL},
		{"clipboard", "from-guest", "from-guest"},
		{"clipboard", "on", NULL},
		{"viewers", "16", "16"},
		{"viewers", "0", NULL},
		{"viewers", "17", NULL},
		{"viewers", "1s", NULL},
		{"viewers", "-1", NULL},
		{"idle-timeout", "90m", "90m"},
		{"idle-timeout", "2h", "2h"},
		{"idle-timeout", "3600", "60m"},
		{"idle-timeout", "1h30m", NULL},
		{"idle-timeout", "m", NULL},
		{"idle-timeout", "99999999999999999999", NULL},
		{"idle-timeout", "999999999999999999d", NULL},
		{"ticket-lifetime", "5", "5s"},
		{"retention", "30d", "30d"},
		{"retention", "forever", "forever"},
		{"retention", "0", NULL},
		{"verify", "30d", "30d"},
		{"verify", "off", "off"},
		{"verify", "default", "default"},
		{"verify", "0", NULL},
		{"verify", "9223372036854775807", NULL},
		{"quota", "20G", "20G"},
		{"quota", "1024M", "1G"},
		{"quota", "1500", "1500"},
		{"quota", "20g", NULL},
		{"colour", "red", NULL},
	};
	struct policy p, before;
	struct error e;

	(void)state;
	policy_default(&p);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		before = p;
		e.text[0] = 0;
		if (rows[i][2]) {
			assert_int_equal(
				policy_set(&p, rows[i][0], rows[i][1], &e), 0);
			assert_string_equal(get(&p, rows[i][0]), rows[i][2]);
		} else {
			assert_int_equal(
				policy_set(&p, rows[i][0], rows[i][1], &e),
				-EINVAL);
			assert_memory_equal(&p, &before, sizeof(p));
			assert_true(strlen(e.text) > 10);
		}
	}
	assert_int_equal(p.quota, 1500);
}

static void errors_say_what_is_allowed(void **state)
{
	struct policy p;
	struct error e;

	(void)state;
	policy_default(&p);
	policy_set(&p, "clipboard", "on", &e);
	assert_non_null(strstr(e.text, "off|to-guest|from-guest|both"));
	policy_set(&p, "colour", "red", &e);
	assert_non_null(strstr(e.text, "retention"));
	assert_non_null(strstr(e.text, "quota"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_the_design_s),
		cmocka_unit_test(values_read_back),
		cmocka_unit_test(errors_say_what_is_allowed),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
