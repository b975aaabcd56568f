/* What operations read from a call. */
#include "daemon/operations_query.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/attach.h"
#include "daemon/control.h"
#include "daemon/units.h"
#include "daemon/vault.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MOST 1000

int query_number(const struct operation_call *call, const char *key,
		 int64_t *number, struct error *error)
{
	const char *text = call->query(call, key);
	char *end;

	if (!text || !*text)
		return 0;
	errno = 0;
	*number = strtoll(text, &end, 10);
	if (!errno && !*end)
		return 0;
	return error_set(error, -EINVAL, "%s is \"%s\"; it must be a number",
			 key, text);
}

int query_limit(const struct operation_call *call, unsigned *limit,
		struct error *error)
{
	int64_t number = LIMIT_DEFAULT;
	int r = query_number(call, "limit", &number, error);

	if (!r && (number < 1 || number > LIMIT_MOST))
		r = error_set(error, -EINVAL, "limit may be 1 to %d",
			      LIMIT_MOST);
	*limit = (unsigned)number;
	return r;
}

int query_time(const struct operation_call *call, const char *key, int64_t *us,
	       struct error *error)
{
	const char *text = call->query(call, key);

	return text && *text ? units_time_parse(text, us, error) : 0;
}

static int read_size(const json_t *value, uint64_t *size, struct error *error)
{
	*size = 0;
	if (json_is_string(value) &&
	    units_size(json_string_value(value), size, error))
		return -EINVAL;
	if (json_is_integer(value) && json_integer_value(value) > 0)
		*size = (uint64_t)json_integer_value(value);
	if (!*size)
		return error_set(error, -EINVAL,
				 "it must be a size and not 0: bytes, or text "
				 "as 2G");
	return 0;
}

/* Also of a text, as the command line's words are. */
static int read_count(const json_t *value, unsigned *count, struct error *error)
{
	json_int_t number = json_integer_value(value);
	char *end;

	if (json_is_string(value)) {
		number = strtoll(json_string_value(value), &end, 10);
		if (*end)
			number = -1;
	}
	if (number < 1 || number > INT_MAX)
		return error_set(error, -EINVAL,
				 "it must be a number, 1 at least");
	*count = (unsigned)number;
	return 0;
}

static int read_member(const struct body_member *member, const json_t *value,
		       struct error *error)
{
	switch (member->kind) {
	case BODY_TEXT:
		if (!json_is_string(value))
			return error_set(error, -EINVAL, "it must be text");
		*(const char **)member->value = json_string_value(value);
		return 0;
	case BODY_BOOL:
		if (!json_is_boolean(value))
			return error_set(error, -EINVAL,
					 "it must be true or false");
		*(bool *)member->value = json_is_true(value);
		return 0;
	case BODY_NUMBER:
		if (!json_is_number(value))
			return error_set(error, -EINVAL, "it must be a number");
		*(double *)member->value = json_number_value(value);
		return 0;
	case BODY_SIZE:
		return read_size(value, member->value, error);
	default:
		return read_count(value, member->value, error);
	}
}

int body_read(const struct operation_call *call,
	      const struct body_member *members, unsigned count,
	      struct error *error)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)call->body, key, value)
	{
		unsigned i = 0;
		int r;

		while (i < count && strcmp(members[i].name, key))
			i++;
		if (i == count)
			return error_set(error, -EINVAL,
					 "\"%s\" is not known here", key);
		if (json_is_null(value))
			continue;
		r = read_member(&members[i], value, error);
		if (r) {
			error_prefix(error, "%s", key);
			return r;
		}
	}
	return 0;
}

int query_vault(struct control *control, const struct operation_call *call,
		struct vault *vault, struct error *error)
{
	int r = vault_find(control, call->path[0], vault, error);

	if (r)
		return r;
	r = attach_refuse(vault, error);
	if (!r)
		r = vaults_lock(control->vaults, vault->uuid, false, error);
	if (r) {
		error_prefix(error, "vault %s", vault->name);
		vault_release(vault);
	}
	return r;
}
