/*
 * The daemon's configuration: mediavmd.conf, then options of the command
 * line. The keys stand in schema/config_keys.h.
 */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include <stdint.h>

#include "recorder/error.h"

#define CONFIG_TEXT_SIZE 512

/* STRING and PATH are text, NUMBER an int64_t, DURATION milliseconds. */
struct config {
#define CONFIG_FIELD_STRING(field) char field[CONFIG_TEXT_SIZE];
#define CONFIG_FIELD_PATH(field) char field[CONFIG_TEXT_SIZE];
#define CONFIG_FIELD_NUMBER(field) int64_t field;
#define CONFIG_FIELD_DURATION(field) uint64_t field;
#define CONFIG_KEY(section, key, kind, field, initial, text) \
	CONFIG_FIELD_##kind(field)
#include "schema/config_keys.h"
#undef CONFIG_KEY
#undef CONFIG_FIELD_STRING
#undef CONFIG_FIELD_PATH
#undef CONFIG_FIELD_NUMBER
#undef CONFIG_FIELD_DURATION
};

/* The file that is read when none is named and it exists. */
#define CONFIG_FILE MEDIAVM_SYSCONFDIR "/mediavm/mediavmd.conf"

void config_default(struct config *config);

/* -EINVAL for an unknown key or a value that does not fit. */
int config_set(struct config *config, const char *section, const char *key,
	       const char *value, struct error *error);

/* What [verify] hours says: "1-6"; equal ones, also of "", are any hour. */
int config_hours(const char *text, int *from, int *to, struct error *error);

/* Reads a file; the error names file and line. -ENOENT when it is not there. */
int config_read(struct config *config, const char *path, struct error *error);

#endif
