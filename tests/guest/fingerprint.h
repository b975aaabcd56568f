/* What the player takes for the identity of the machine. */
#ifndef GUEST_FINGERPRINT_H
#define GUEST_FINGERPRINT_H

#include "lesson_disk.h"

enum { FIELD_TEXT = 96 };

struct field {
	const char *name;       /* e.g. "board-serial" */
	char value[FIELD_TEXT]; /* printable, without blanks at its ends */
};

struct fingerprint {
	int n;
	struct field fields[FIELDS_MAX];
};

/* Reads SMBIOS strings, CPUID, the identity of the open disk and the MAC
 * addresses. A field that the machine does not have is empty. */
void fingerprint_read(struct fingerprint *f, int disk);

#endif
