/* Ages of machine types; see machine_age.h. */
#include "daemon/machine_age.h"

#include <stdio.h>
#include <string.h>

#define YEARS_DEPRECATED 3
#define YEARS_REMOVED 6

/*
 * Releases of QEMU before there was a rule to their numbers; source: the news
 * on www.qemu.org.
 */
static const struct {
	unsigned major, minor, year, month;
} releases[] = {
	{2, 4, 2015, 8},  {2, 5, 2015, 12}, {2, 6, 2016, 5},  {2, 7, 2016, 9},
	{2, 8, 2016, 12}, {2, 9, 2017, 4},  {2, 10, 2017, 8}, {2, 11, 2017, 12},
	{2, 12, 2018, 4}, {3, 0, 2018, 8},  {3, 1, 2018, 12},
};

/*
 * Since 4.0 the first number is the year's, and .0, .1 and .2 come in April,
 * August and December.
 */
static bool release(unsigned major, unsigned minor, unsigned *year,
		    unsigned *month)
{
	for (unsigned i = 0; i < sizeof(releases) / sizeof(*releases); i++)
		if (releases[i].major == major && releases[i].minor == minor) {
			*year = releases[i].year;
			*month = releases[i].month;
			return true;
		}
	*year = 2015 + major;
	*month = 4 * (minor + 1);
	return major >= 4 && major < 100 && minor <= 2;
}

static void write_month(char text[8], unsigned year, unsigned month)
{
	snprintf(text, 8, "%04u-%02u", year % 10000, month % 100);
}

bool machine_age(const char *machine, struct machine_age *age)
{
	static const char *const families[] = {"pc-q35-", "pc-i440fx-"};
	unsigned year, month;
	int end = 0;

	memset(age, 0, sizeof(*age));
	for (unsigned i = 0; i < 2; i++) {
		size_t n = strlen(families[i]);

		if (strncmp(machine, families[i], n) == 0 &&
		    sscanf(machine + n, "%3u.%3u%n", &age->major, &age->minor,
			   &end) == 2 &&
		    machine[n + (size_t)end] == '\0' &&
		    release(age->major, age->minor, &year, &month)) {
			write_month(age->released, year, month);
			write_month(age->deprecated, year + YEARS_DEPRECATED,
				    month);
			write_month(age->removed, year + YEARS_REMOVED, month);
			age->removed_major = age->major + YEARS_REMOVED;
			return true;
		}
	}
	return false;
}
