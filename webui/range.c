/* One range of bytes out of a file. */
#include "webui/range.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* Digits of a number; false without any or past UINT64_MAX. */
static bool number(const char **text, uint64_t *value)
{
	const char *p = *text;

	for (*value = 0; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(*value, 10, value) ||
		    __builtin_add_overflow(*value, (uint64_t)(*p - '0'), value))
			return false;
	if (p == *text)
		return false;
	*text = p;
	return true;
}

static enum range_kind suffix(const char *p, uint64_t size, uint64_t *offset,
			      uint64_t *length)
{
	uint64_t n;

	if (!number(&p, &n) || *p)
		return RANGE_WHOLE;
	if (n == 0 || size == 0)
		return RANGE_OUTSIDE;
	*length = n < size ? n : size;
	*offset = size - *length;
	return RANGE_PART;
}

enum range_kind range_parse(const char *header, uint64_t size, uint64_t *offset,
			    uint64_t *length)
{
	uint64_t first, last;
	const char *p;

	*offset = 0;
	*length = size;
	if (!header || strncasecmp(header, "bytes=", 6) != 0)
		return RANGE_WHOLE;
	p = header + 6 + strspn(header + 6, " ");
	if (*p == '-')
		return suffix(p + 1, size, offset, length);
	if (!number(&p, &first) || *p++ != '-')
		return RANGE_WHOLE;
	if (!*p)
		last = UINT64_MAX;
	else if (!number(&p, &last) || *p || last < first)
		return RANGE_WHOLE;
	if (first >= size)
		return RANGE_OUTSIDE;
	if (last >= size)
		last = size - 1;
	*offset = first;
	*length = last - first + 1;
	return RANGE_PART;
}
