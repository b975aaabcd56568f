/* The daemon's configuration. */
#include "daemon/config.h"

#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/units.h"

enum kind { STRING, PATH, NUMBER, DURATION };

struct key {
	const char *section, *key;
	enum kind kind;
	size_t offset;
	const char *initial;
};

static const struct key keys[] = {
#define CONFIG_KEY(section, key, kind, field, initial, text) \
	{section, key, kind, offsetof(struct config, field), initial},
#include "schema/config_keys.h"
#undef CONFIG_KEY
};

#define KEY_COUNT (sizeof(keys) / sizeof(*keys))

/* What a NUMBER may be. */
static const struct {
	const char *key;
	int64_t min, max;
} limits[] = {
	{"port", -1, 65535},      {"max-pending", 1, 100000},
	{"memory", 256, 1 << 20}, {"automatic", 0, 1},
	{"rate", 0, 1 << 20},
};

static int check_choice(const struct key *key, const char *value,
			const char *const choices[], const char *said,
			struct error *error)
{
	for (unsigned i = 0; choices[i]; i++)
		if (strcmp(value, choices[i]) == 0)
			return 0;
	return error_set(error, -EINVAL, "%s is \"%s\"; it may be %s", key->key,
			 value, said);
}

/* Texts of which not every one will do. */
static int check_text(const struct key *key, const char *value,
		      struct error *error)
{
	static const char *const accelerators[] = {"auto", "kvm", "tcg", NULL};
	static const char *const locks[] = {"", "lockd", "sanlock", NULL};
	int from, to;

	if (strcmp(key->key, "accelerator") == 0)
		return check_choice(key, value, accelerators,
				    "auto, kvm or tcg", error);
	if (strcmp(key->key, "lock-manager") == 0)
		return check_choice(key, value, locks,
				    "lockd, sanlock or empty", error);
	if (strcmp(key->key, "hours") == 0)
		return config_hours(value, &from, &to, error);
	return 0;
}

static int set_text(char *field, const struct key *key, const char *value,
		    struct error *error)
{
	size_t size = strlen(value);

	if (size >= CONFIG_TEXT_SIZE)
		return error_set(error, -EINVAL,
				 "%s is longer than %d characters", key->key,
				 CONFIG_TEXT_SIZE - 1);
	if (key->kind == PATH && value[0] != '/')
		return error_set(error, -EINVAL,
				 "%s wants an absolute path, not \"%s\"",
				 key->key, value);
	if (check_text(key, value, error))
		return -EINVAL;
	memcpy(field, value, size + 1);
	while (key->kind == PATH && size > 1 && field[size - 1] == '/')
		field[--size] = '\0';
	return 0;
}

static int set_number(int64_t *field, const struct key *key, const char *value,
		      struct error *error)
{
	char *end;
	long long number;

	errno = 0;
	number = strtoll(value, &end, 10);
	if (errno || end == value || *end)
		return error_set(error, -EINVAL,
				 "%s wants a number, not \"%s\"", key->key,
				 value);
	for (unsigned i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		int64_t min = limits[i].min;

		if (strcmp(limits[i].key, key->key))
			continue;
		/* Only the page can be switched off. */
		if (min < 0 && strcmp(key->section, "http"))
			min = 0;
		if (number < min || number > limits[i].max)
			return error_set(error, -EINVAL,
					 "%s is %lld; it may be %lld to %lld",
					 key->key, number, (long long)min,
					 (long long)limits[i].max);
	}
	*field = number;
	return 0;
}

static int set(struct config *config, const struct key *key, const char *value,
	       struct error *error)
{
	char *field = (char *)config + key->offset;
	int r;

	switch (key->kind) {
	case NUMBER:
		return set_number((int64_t *)(void *)field, key, value, error);
	case DURATION:
		r = units_duration_ms(value, (uint64_t *)(void *)field, error);
		if (r)
			error_prefix(error, "%s", key->key);
		return r;
	default:
		return set_text(field, key, value, error);
	}
}

int config_hours(const char *text, int *from, int *to, struct error *error)
{
	char end;

	*from = *to = 0;
	if (!text[0] || (sscanf(text, "%2d-%2d%c", from, to, &end) == 2 &&
			 *from >= 0 && *from <= 23 && *to >= 0 && *to <= 24))
		return 0;
	return error_set(error, -EINVAL,
			 "hours is \"%s\"; it may be empty, or two hours of "
			 "the day such as 1-6",
			 text);
}

void config_default(struct config *config)
{
	memset(config, 0, sizeof(*config));
	for (unsigned i = 0; i < KEY_COUNT; i++)
		set(config, &keys[i], keys[i].initial, NULL);
}

int config_set(struct config *config, const char *section, const char *key,
	       const char *value, struct error *error)
{
	for (unsigned i = 0; i < KEY_COUNT; i++)
		if (!strcmp(keys[i].section, section) &&
		    !strcmp(keys[i].key, key))
			return set(config, &keys[i], value, error);
	return error_set(error, -EINVAL,
			 "there is no key \"%s\" in section [%s]; "
			 "mediavmd.conf(5) lists them",
			 key, section);
}

struct reading {
	struct config *config;
	struct error error;
};

static int reading_key(void *data, const char *section, const char *key,
		       const char *value)
{
	struct reading *reading = data;

	/* inih goes on after an error; the first one is the one to tell. */
	if (reading->error.code)
		return 0;
	return !config_set(reading->config, section, key, value ? value : "",
			   &reading->error);
}

int config_read(struct config *config, const char *path, struct error *error)
{
	struct reading reading = {.config = config};
	FILE *file = fopen(path, "re");
	int line, r;

	if (!file)
		return error_errno(error, errno, "can't read %s", path);
	line = ini_parse_file(file, reading_key, &reading);
	/* inih takes a file that cannot be read, such as a folder, for empty.
	 */
	r = ferror(file) ? error_errno(error, errno, "can't read %s", path) : 0;
	fclose(file);
	if (r)
		return r;
	if (!line)
		return 0;
	if (line < 0)
		return error_set(error, -ENOMEM, "can't read %s", path);
	if (!reading.error.code)
		error_set(&reading.error, -EINVAL,
			  "neither a [section] nor key = value");
	return error_set(error, -EINVAL, "%s, line %d: %s", path, line,
			 reading.error.text);
}
