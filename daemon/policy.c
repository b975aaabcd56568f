/* A vault's policy: keys, values, text; see policy.h. */
#include "daemon/policy.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum kind { CHOICE, NUMBER, DURATION, RETENTION, INTERVAL, SIZE };

static const struct key {
	const char *name;
	size_t offset; /* of the member of struct policy */
	enum kind kind;
	const char *values; /* CHOICE: "a|b|c" */
	uint64_t initial, min, max;
} keys[] = {
#define MEMBER(field) offsetof(struct policy, field)
#define POLICY_CHOICE(field, key, values) \
	{key, MEMBER(field), CHOICE, values, 0, 0, 0},
#define POLICY_NUMBER(field, key, initial, min, max) \
	{key, MEMBER(field), NUMBER, NULL, initial, min, max},
#define POLICY_DURATION(field, key, initial) \
	{key, MEMBER(field), DURATION, NULL, initial, 0, 0},
#define POLICY_RETENTION(field, key, initial) \
	{key, MEMBER(field), RETENTION, NULL, initial, 0, 0},
#define POLICY_INTERVAL(field, key) \
	{key, MEMBER(field), INTERVAL, NULL, POLICY_VERIFY_DEFAULT, 0, 0},
#define POLICY_SIZE(field, key, initial) \
	{key, MEMBER(field), SIZE, NULL, initial, 0, 0},
#include "schema/policy_keys.h"
};

#define KEYS (sizeof(keys) / sizeof(keys[0]))

/* Suffixes, smallest first; the first one may be left out. */
static const struct unit {
	char letter;
	uint64_t factor;
} seconds[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {0, 0}},
  bytes[] = {{'B', 1},
	     {'K', UINT64_C(1) << 10},
	     {'M', UINT64_C(1) << 20},
	     {'G', UINT64_C(1) << 30},
	     {'T', UINT64_C(1) << 40},
	     {0, 0}};

static uint64_t *member(struct policy *policy, const struct key *key)
{
	return (uint64_t *)((char *)policy + key->offset);
}

static uint64_t member_value(const struct policy *policy, const struct key *key)
{
	return *(const uint64_t *)((const char *)policy + key->offset);
}

void policy_default(struct policy *policy)
{
	for (size_t i = 0; i < KEYS; i++)
		*member(policy, &keys[i]) = keys[i].initial;
}

/* The i-th of "a|b|c"; its length, or 0 past the last. */
static int choice(const char *values, uint64_t i, const char **text)
{
	for (; i; i--) {
		values = strchr(values, '|');
		if (!values)
			return 0;
		values++;
	}
	*text = values;
	return (int)strcspn(values, "|");
}

static int parse_choice(const char *values, const char *value, uint64_t *v)
{
	const char *text;
	int n;

	for (uint64_t i = 0; (n = choice(values, i, &text)) > 0; i++)
		if (strlen(value) == (size_t)n && !memcmp(value, text, n)) {
			*v = i;
			return 1;
		}
	return 0;
}

/* Digits and at most one suffix of units (NULL: none). */
static int parse_number(const char *value, const struct unit *units,
			uint64_t *v)
{
	uint64_t n = 0;
	const char *p = value;

	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
			return 0;
	if (p == value)
		return 0;
	if (*p && units) {
		while (units->letter && units->letter != *p)
			units++;
		if (!units->letter ||
		    __builtin_mul_overflow(n, units->factor, &n))
			return 0;
		p++;
	}
	/* Catalogue columns are signed. */
	if (*p || n > INT64_MAX)
		return 0;
	*v = n;
	return 1;
}

static int parse(const struct key *key, const char *value, uint64_t *v,
		 struct error *error)
{
	switch (key->kind) {
	case CHOICE:
		if (parse_choice(key->values, value, v))
			return 0;
		return error_set(error, EINVAL, "%s=%s: one of %s is allowed",
				 key->name, value, key->values);
	case NUMBER:
		if (parse_number(value, NULL, v) && *v >= key->min &&
		    *v <= key->max)
			return 0;
		return error_set(error, EINVAL,
				 "%s=%s: a number from %" PRIu64 " to %" PRIu64
				 " is allowed",
				 key->name, value, key->min, key->max);
	case RETENTION:
		if (strcmp(value, "forever") == 0) {
			*v = 0;
			return 0;
		}
		if (parse_number(value, seconds, v) && *v > 0)
			return 0;
		return error_set(error, EINVAL,
				 "%s=%s: forever or a duration such as 30d is "
				 "allowed",
				 key->name, value);
	case INTERVAL:
		*v = strcmp(value, "off") == 0 ? POLICY_VERIFY_OFF
					       : POLICY_VERIFY_DEFAULT;
		if (*v || strcmp(value, "default") == 0 ||
		    (parse_number(value, seconds, v) && *v > 0 &&
		     *v < POLICY_VERIFY_OFF))
			return 0;
		return error_set(error, EINVAL,
				 "%s=%s: default, off or a duration such as "
				 "30d is allowed",
				 key->name, value);
	case DURATION:
		if (parse_number(value, seconds, v))
			return 0;
		return error_set(error, EINVAL,
				 "%s=%s: a duration such as 60s, 30m, 8h or "
				 "30d is allowed, or 0",
				 key->name, value);
	case SIZE:
		if (parse_number(value, bytes, v))
			return 0;
		break;
	}
	return error_set(error, EINVAL,
			 "%s=%s: a size such as 500M or 20G is allowed, or 0",
			 key->name, value);
}

static int unknown_key(const char *name, struct error *error)
{
	char list[320] = "";
	size_t at = 0;

	for (size_t i = 0; i < KEYS; i++)
		at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%s",
				       i ? ", " : "", keys[i].name);
	return error_set(error, EINVAL,
			 "a policy has no key '%.60s'; its keys are %s", name,
			 list);
}

int policy_set(struct policy *policy, const char *key, const char *value,
	       struct error *error)
{
	uint64_t v = 0;
	int r;

	for (size_t i = 0; i < KEYS; i++) {
		if (strcmp(keys[i].name, key) != 0)
			continue;
		r = parse(&keys[i], value, &v, error);
		if (r == 0)
			*member(policy, &keys[i]) = v;
		return r;
	}
	return unknown_key(key, error);
}

unsigned policy_count(void)
{
	return KEYS;
}

/* With the largest suffix that leaves a whole number of `least` or more. */
static void print_number(uint64_t v, const struct unit *units, uint64_t least,
			 char *value, unsigned size)
{
	const struct unit *best = units;

	for (const struct unit *u = units; u->letter; u++)
		if (v % u->factor == 0 && v / u->factor >= least)
			best = u;
	if (v == 0 || (best->factor == 1 && best->letter == 'B'))
		snprintf(value, size, "%" PRIu64, v);
	else
		snprintf(value, size, "%" PRIu64 "%c", v / best->factor,
			 best->letter);
}

void policy_get(const struct policy *policy, unsigned i, const char **key,
		char *value, unsigned value_size)
{
	const struct key *k = &keys[i];
	uint64_t v = member_value(policy, k);
	const char *text = "";
	int n;

	*key = k->name;
	switch (k->kind) {
	case CHOICE:
		n = choice(k->values, v, &text);
		snprintf(value, value_size, "%.*s", n, text);
		break;
	case NUMBER:
		snprintf(value, value_size, "%" PRIu64, v);
		break;
	case INTERVAL:
		if (v == POLICY_VERIFY_DEFAULT || v == POLICY_VERIFY_OFF)
			snprintf(value, value_size, "%s",
				 v ? "off" : "default");
		else
			print_number(v, seconds, 2, value, value_size);
		break;
	case RETENTION:
		if (v == 0) {
			snprintf(value, value_size, "forever");
			break;
		}
		/* fall through */
	case DURATION:
		/* 60s is more usual than 1m. */
		print_number(v, seconds, 2, value, value_size);
		break;
	case SIZE:
		print_number(v, bytes, 1, value, value_size);
		break;
	}
}
