/*
 * What operations read from a call: query arguments and members of a body.
 */
#ifndef DAEMON_OPERATIONS_QUERY_H
#define DAEMON_OPERATIONS_QUERY_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/operations.h"

/* Arguments that are not given leave the value as it is. -EINVAL. */
int query_limit(const struct operation_call *call, unsigned *limit,
		struct error *error); /* 1 to 1000, 100 when not given */
int query_time(const struct operation_call *call, const char *key, int64_t *us,
	       struct error *error);
int query_number(const struct operation_call *call, const char *key,
		 int64_t *number, struct error *error);

struct vault;

/*
 * The vault that the call names: one of our keeping, and locked, so that
 * nobody else is at work on it. End with vaults_unlock and vault_release.
 */
int query_vault(struct control *control, const struct operation_call *call,
		struct vault *vault, struct error *error);

enum body_kind { BODY_TEXT, BODY_BOOL, BODY_NUMBER, BODY_SIZE, BODY_COUNT };

/*
 * One member of a body. TEXT: const char **, borrowed from the body; BOOL:
 * bool *; NUMBER: double *; SIZE: uint64_t *, a number of bytes or a text as
 * "2G"; COUNT: unsigned *.
 */
struct body_member {
	const char *name;
	enum body_kind kind;
	void *value;
};

/* Reads the members that are there; -EINVAL for others and other types. */
int body_read(const struct operation_call *call,
	      const struct body_member *members, unsigned count,
	      struct error *error);

#define BODY_READ(call, members, error) \
	body_read(call, members, sizeof(members) / sizeof(*(members)), error)

#endif
