/*
 * A vault's policy: what its sessions may do. The keys, their values and
 * defaults stand in schema/policy_keys.h.
 */
#ifndef DAEMON_POLICY_H
#define DAEMON_POLICY_H

#include <stdint.h>

#include "recorder/error.h"

enum policy_record { POLICY_RECORD_REQUIRED, POLICY_RECORD_BEST_EFFORT,
		     POLICY_RECORD_OFF };
enum policy_keystrokes { POLICY_KEYSTROKES_REDACT, POLICY_KEYSTROKES_STORE };
enum policy_clipboard { POLICY_CLIPBOARD_OFF, POLICY_CLIPBOARD_TO_GUEST,
			POLICY_CLIPBOARD_FROM_GUEST, POLICY_CLIPBOARD_BOTH };
enum policy_switch { POLICY_OFF, POLICY_ON };
enum policy_takeover { POLICY_TAKEOVER_ASK, POLICY_TAKEOVER_ALLOW,
		       POLICY_TAKEOVER_DENY };
/* A POLICY_INTERVAL that is no number of seconds. */
#define POLICY_VERIFY_DEFAULT 0
#define POLICY_VERIFY_OFF INT64_MAX
enum policy_bind_address { POLICY_BIND_ON, POLICY_BIND_OFF };
enum policy_machine { POLICY_MACHINE_AUTO, POLICY_MACHINE_OWN };

/* Every member is a uint64_t: an index, a number, seconds or bytes. */
struct policy {
#define POLICY_CHOICE(field, key, values) uint64_t field;
#define POLICY_NUMBER(field, key, initial, min, max) uint64_t field;
#define POLICY_DURATION(field, key, initial) uint64_t field;
#define POLICY_RETENTION(field, key, initial) uint64_t field;
#define POLICY_INTERVAL(field, key) uint64_t field;
#define POLICY_SIZE(field, key, initial) uint64_t field;
#include "schema/policy_keys.h"
#undef POLICY_CHOICE
#undef POLICY_NUMBER
#undef POLICY_DURATION
#undef POLICY_RETENTION
#undef POLICY_INTERVAL
#undef POLICY_SIZE
};

void policy_default(struct policy *policy);

/* -EINVAL for an unknown key or value; the error lists what is allowed. */
int policy_set(struct policy *policy, const char *key, const char *value,
	       struct error *error);

/* Number of keys; the i-th key and its value as text. */
unsigned policy_count(void);
void policy_get(const struct policy *policy, unsigned i, const char **key,
		char *value, unsigned value_size);

#endif
