/*
 * Ranges of a file (RFC 9110, section 14): one range of bytes; several at
 * once are answered with the whole file, as the RFC allows.
 */
#ifndef WEBUI_RANGE_H
#define WEBUI_RANGE_H

#include <stdint.h>

enum range_kind {
	RANGE_WHOLE,   /* none asked, or none that we understand: 200 */
	RANGE_PART,    /* 206 */
	RANGE_OUTSIDE, /* 416 */
};

/*
 * header: of Range, or NULL. size: of the file, bytes. For RANGE_PART,
 * *length is at least 1 and offset + length at most size.
 */
enum range_kind range_parse(const char *header, uint64_t size, uint64_t *offset,
			    uint64_t *length);

#endif
