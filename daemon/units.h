/*
 * Durations, sizes, times and random names as text.
 */
#ifndef DAEMON_UNITS_H
#define DAEMON_UNITS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/error.h"

#define UNITS_TIME_SIZE 32

/* "500ms", "60s", "30m", "8h", "30d", or a plain number of seconds. */
int units_duration_ms(const char *text, uint64_t *ms, struct error *error);

/* "512M", "2G", "1T", "65536": bytes; K, M, G and T are powers of 1024. */
int units_size(const char *text, uint64_t *bytes, struct error *error);

/* Microseconds since 1970, now. */
int64_t units_now_us(void);
/* Microseconds of a clock that nobody sets; only differences mean something. */
int64_t units_steady_us(void);

/* RFC 3339 in UTC with milliseconds, "2026-01-31T12:00:00.000Z". */
void units_time_format(int64_t us, char text[UNITS_TIME_SIZE]);
/* The same as a JSON string; null for 0. The caller's. */
json_t *units_time_json(int64_t us);

/*
 * RFC 3339 ("2026-01-31", "2026-01-31T12:00:00Z", "…+01:00"), or a duration,
 * which means that long before now.
 */
int units_time_parse(const char *text, int64_t *us, struct error *error);

/*
 * Writes `bytes` random bytes as base32 in lower case (no padding) and a
 * NUL; text needs (bytes * 8 + 4) / 5 + 1 characters.
 */
void units_random_text(char *text, size_t bytes);

/*
 * A name that sorts by time: 10 characters of milliseconds, 16 random ones,
 * in Crockford's base32 (the form known as ULID).
 */
#define UNITS_ID_SIZE 27
void units_id(int64_t us, char id[UNITS_ID_SIZE]);
/* Whether text has the form of units_id. */
int units_id_check(const char *text);
/* The time in it, microseconds since 1970. */
int64_t units_id_time(const char *id);

#endif
