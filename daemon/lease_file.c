/* A lease as a file; see lease_file.h. */
#include "daemon/lease_file.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/folder.h"
#include "daemon/units.h"

#define FORMAT 1
#define FILE_MOST 65536
#define TIME_MOST 253402300800000000 /* the year 10000 */

static const char *const state_names[] = {
	[LEASE_HELD] = "held",
	[LEASE_HANDED] = "handed-over",
	[LEASE_COPY] = "copy",
	[LEASE_GONE] = "gone",
};

static bool take_text(const json_t *json, const char *key, char *text,
		      size_t size)
{
	const char *value = json_string_value(json_object_get(json, key));

	if (!value || strlen(value) >= size)
		return false;
	strcpy(text, value);
	/* It is shown on terminals. */
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 127)
			*text = '?';
	return true;
}

static bool take_state(const json_t *json, struct lease *lease)
{
	const char *name = json_string_value(json_object_get(json, "state"));

	for (int i = LEASE_HELD; name && i <= LEASE_GONE; i++)
		if (!strcmp(name, state_names[i])) {
			lease->state = (enum lease_state)i;
			return true;
		}
	return false;
}

static bool take_all(const json_t *json, struct lease *lease)
{
	const json_t *host = json_object_get(json, "host");
	const char *at = json_string_value(json_object_get(json, "at"));

	lease->epoch = json_integer_value(json_object_get(json, "epoch"));
	lease->record = json_incref(json_object_get(json, "record"));
	return json_integer_value(json_object_get(json, "format")) == FORMAT &&
	       take_state(json, lease) && lease->epoch >= 0 &&
	       lease->epoch < LEASE_EPOCH_MOST && at &&
	       !units_time_parse(at, &lease->at, NULL) && lease->at > 0 &&
	       lease->at < TIME_MOST &&
	       (!lease->record || json_is_object(lease->record)) &&
#define TAKE(object, key, field) \
	take_text(object, key, lease->field, sizeof(lease->field))
	       TAKE(json, "identity", identity) && TAKE(json, "token", token) &&
	       TAKE(json, "before", before) &&
	       TAKE(json, "registry", registry) && TAKE(host, "id", host) &&
	       TAKE(host, "name", host_name) && TAKE(json, "vault", vault) &&
	       TAKE(json, "folder", folder) && TAKE(json, "who", who);
#undef TAKE
}

int lease_file_parse(const char *text, struct lease *lease, struct error *error)
{
	json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	bool whole;

	memset(lease, 0, sizeof(*lease));
	whole = json && take_all(json, lease);
	json_decref(json);
	if (whole)
		return 0;
	lease_file_release(lease);
	memset(lease, 0, sizeof(*lease));
	return error_set(error, -EBADMSG, "this is no lease");
}

int lease_file_read(const char *path, struct lease *lease, struct error *error)
{
	char *text;
	int r = folder_read(path, FILE_MOST, &text, error);

	memset(lease, 0, sizeof(*lease));
	if (r == -ENOENT) {
		error_clear(error);
		return 0;
	}
	if (!r)
		r = lease_file_parse(text, lease, NULL);
	free(text);
	if (r == -EFBIG || r == -EBADMSG)
		r = error_set(error, -EBADMSG, "%s is damaged", path);
	return r;
}

int lease_file_write(const char *path, const struct lease *lease,
		     struct error *error)
{
	json_t *json = json_pack(
		"{s:i, s:s, s:s, s:I, s:s, s:s, s:s, s:{s:s, s:s}, s:s, s:s, "
		"s:s, s:o, s:O*}",
		"format", FORMAT, "state", state_names[lease->state],
		"identity", lease->identity, "epoch", (json_int_t)lease->epoch,
		"token", lease->token, "before", lease->before, "registry",
		lease->registry, "host", "id", lease->host, "name",
		lease->host_name, "vault", lease->vault, "folder",
		lease->folder, "who", lease->who, "at",
		units_time_json(lease->at), "record", lease->record);
	char *text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
	int r;

	json_decref(json);
	if (!text)
		return error_set(error, -EINVAL,
				 "a lease's names are not UTF-8");
	r = folder_write(path, text, strlen(text), 0600, error);
	free(text);
	return r;
}

void lease_file_release(struct lease *lease)
{
	json_decref(lease->record);
	lease->record = NULL;
}
