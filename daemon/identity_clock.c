/*
 * The clock of a machine: whether its hardware keeps UTC or the time of a zone
 * (MC146818A, table 2 and register B; the century is QEMU's byte 0x32).
 */
#include "daemon/identity.h"

#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "daemon/probe_run.h"

#define QUARTER 900 /* s; zones lie that far apart at least */

/* -1 for what is no number. */
static int number(uint8_t byte, bool binary)
{
	if (binary)
		return byte;
	return (byte & 0xf) > 9 || byte > 0x99
		       ? -1
		       : (byte >> 4) * 10 + (byte & 0xf);
}

void identity_add_clock(struct identity *identity,
			const struct probe_record *cmos, int64_t at)
{
	/* second, minute, hour, day, month, year, century */
	static const uint8_t places[] = {0, 2, 4, 7, 8, 9, 0x32};
	const uint8_t *p = cmos->bytes;
	struct tm tm = {0};
	long long quarters;
	int n[7];

	if (cmos->size != 128 || !at || !(p[0x0b] & 2)) /* of 24 hours */
		return;
	for (unsigned i = 0; i < 7; i++)
		if ((n[i] = number(p[places[i]], p[0x0b] & 4)) < 0)
			return;
	tm.tm_sec = n[0];
	tm.tm_min = n[1];
	tm.tm_hour = n[2];
	tm.tm_mday = n[3];
	tm.tm_mon = n[4] - 1;
	tm.tm_year = n[6] * 100 + n[5] - 1900;
	quarters = timegm(&tm) - at + QUARTER / 2;
	quarters = quarters / QUARTER - (quarters % QUARTER < 0);
	identity_add(identity, "rtc.offset", "%c%02lld:%02lld",
		     quarters < 0 ? '-' : '+', llabs(quarters) / 4,
		     llabs(quarters) % 4 * 15);
}
