/* Durations, sizes, times and random names as text. */
#include "daemon/units.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static const char crockford[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/* Digits with nothing before them; returns what follows, NULL if none. */
static const char *digits(const char *text, uint64_t *value)
{
	*value = 0;
	if (!isdigit((unsigned char)*text))
		return NULL;
	for (; isdigit((unsigned char)*text); text++)
		if (__builtin_mul_overflow(*value, 10u, value) ||
		    __builtin_add_overflow(*value, (uint64_t)(*text - '0'),
					   value))
			return NULL;
	return text;
}

int units_duration_ms(const char *text, uint64_t *ms, struct error *error)
{
	static const struct {
		const char *suffix;
		uint64_t ms;
	} units[] = {{"", 1000},      {"ms", 1},
		     {"s", 1000},     {"m", 60000},
		     {"min", 60000},  {"h", 3600000},
		     {"d", 86400000}, {"w", 7 * 86400000ull}};
	uint64_t value;
	const char *rest = digits(text, &value);

	for (unsigned i = 0; rest && i < sizeof(units) / sizeof(*units); i++)
		if (!strcmp(rest, units[i].suffix) &&
		    !__builtin_mul_overflow(value, units[i].ms, ms))
			return 0;
	return error_set(error, -EINVAL,
			 "\"%s\" is not a duration; write it as 30s, 10m, 8h "
			 "or 30d",
			 text);
}

int units_size(const char *text, uint64_t *bytes, struct error *error)
{
	static const char suffixes[] = "KMGT";
	uint64_t value;
	const char *rest = digits(text, &value);
	unsigned shift = 0;

	if (rest && *rest) {
		const char *s = strchr(suffixes, toupper((unsigned char)*rest));

		if (s) {
			shift = 10 * (unsigned)(s - suffixes + 1);
			rest++;
			if (!strcmp(rest, "iB") || !strcmp(rest, "B"))
				rest = "";
		}
	}
	if (rest && !*rest && value <= (UINT64_MAX >> 1) >> shift) {
		*bytes = value << shift;
		return 0;
	}
	return error_set(error, -EINVAL,
			 "\"%s\" is not a size; write it as 512M, 2G or 50G",
			 text);
}

int64_t units_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t units_steady_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void units_time_format(int64_t us, char text[UNITS_TIME_SIZE])
{
	time_t seconds = us / 1000000;
	struct tm tm;
	size_t n;

	gmtime_r(&seconds, &tm);
	n = strftime(text, UNITS_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, UNITS_TIME_SIZE - n, ".%03dZ",
		 (int)(us / 1000 % 1000));
}

json_t *units_time_json(int64_t us)
{
	char text[UNITS_TIME_SIZE];

	if (!us)
		return json_null();
	units_time_format(us, text);
	return json_string(text);
}

/* "Z", "+01:00" or nothing (UTC): seconds east of UTC. */
static int zone(const char *text, int64_t *east)
{
	unsigned hours, minutes;
	int n = 0;

	*east = 0;
	if (!*text || !strcmp(text, "Z") || !strcmp(text, "z"))
		return 0;
	if ((*text != '+' && *text != '-') ||
	    sscanf(text + 1, "%2u:%2u%n", &hours, &minutes, &n) != 2 ||
	    text[1 + n] || hours > 14 || minutes > 59)
		return -EINVAL;
	*east = (int64_t)hours * 3600 + minutes * 60;
	if (*text == '-')
		*east = -*east;
	return 0;
}

int units_time_parse(const char *text, int64_t *us, struct error *error)
{
	struct tm tm = {0};
	const char *rest = strptime(text, "%Y-%m-%d", &tm);
	int64_t east = 0, fraction = 0;
	uint64_t ms;

	if (rest && (*rest == 'T' || *rest == 't' || *rest == ' ')) {
		rest = strptime(rest + 1, "%H:%M:%S", &tm);
		if (rest && *rest == '.')
			for (int64_t unit = 100000;
			     isdigit((unsigned char)*++rest); unit /= 10)
				fraction += (*rest - '0') * unit;
	}
	if (rest && !zone(rest, &east)) {
		*us = ((int64_t)timegm(&tm) - east) * 1000000 + fraction;
		return 0;
	}
	if (!units_duration_ms(text, &ms, NULL) && ms < (1ull << 50)) {
		*us = units_now_us() - (int64_t)ms * 1000;
		return 0;
	}
	return error_set(error, -EINVAL,
			 "\"%s\" is not a time; write it as 2026-01-31, "
			 "2026-01-31T12:00:00Z, or 8h or 30d for that long ago",
			 text);
}

static void random_bytes(uint8_t *bytes, size_t size)
{
	/* Up to 256 bytes come whole once the kernel's pool is ready. */
	if (getrandom(bytes, size, 0) != (ssize_t)size)
		abort();
}

static void base32(char *text, const uint8_t *bytes, size_t size,
		   const char *alphabet)
{
	unsigned bits = 0, have = 0;

	for (size_t i = 0; i < size; i++) {
		bits = bits << 8 | bytes[i];
		for (have += 8; have >= 5; have -= 5)
			*text++ = alphabet[bits >> (have - 5) & 31];
	}
	if (have)
		*text++ = alphabet[bits << (5 - have) & 31];
	*text = '\0';
}

void units_random_text(char *text, size_t bytes)
{
	uint8_t raw[64];

	if (bytes > sizeof(raw))
		bytes = sizeof(raw);
	random_bytes(raw, bytes);
	base32(text, raw, bytes, "abcdefghijklmnopqrstuvwxyz234567");
}

void units_id(int64_t us, char id[UNITS_ID_SIZE])
{
	uint64_t ms = (uint64_t)us / 1000;
	uint8_t raw[10];

	for (int i = 9; i >= 0; i--, ms >>= 5)
		id[i] = crockford[ms & 31];
	random_bytes(raw, sizeof(raw));
	base32(id + 10, raw, sizeof(raw), crockford);
}

int units_id_check(const char *text)
{
	return strlen(text) == UNITS_ID_SIZE - 1 &&
	       strspn(text, crockford) == UNITS_ID_SIZE - 1;
}

int64_t units_id_time(const char *id)
{
	int64_t ms = 0;

	for (int i = 0; i < 10; i++)
		ms = ms << 5 | (strchr(crockford, id[i]) - crockford);
	return ms * 1000;
}
