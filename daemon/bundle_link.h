/*
 * What a job of an export or import asks the control role for, over a socket
 * pair of whole messages (SOCK_SEQPACKET): it may open nothing itself.
 */
#ifndef DAEMON_BUNDLE_LINK_H
#define DAEMON_BUNDLE_LINK_H

#include <stddef.h>
#include <stdint.h>

#include "recorder/bytes.h"
#include "recorder/error.h"

#define BUNDLE_LINK_MAX (60u << 10) /* bytes of a text */

enum bundle_ask {
	BUNDLE_ASK_BEGIN = 1, /* answer: struct bundle_orders */
	BUNDLE_ASK_OPEN,      /* number: of the file; answer: a descriptor */
	BUNDLE_ASK_SIGN,      /* text: what to sign; answer: SIGNATURE's body */
	BUNDLE_ASK_HANDOVER,  /* answer: HANDOVER's body (export) */
	/* Of an import; number: bytes of the plan, in its file; text: the
	 * digest of its record. */
	BUNDLE_ASK_PLAN,
	BUNDLE_ASK_SYNC,
	BUNDLE_TELL_SIGNER,   /* text: the key, hexadecimal */
	BUNDLE_TELL_HANDOVER, /* text: HANDOVER's body */
	/* Of both, last. number: 0 or the errno of the text. */
	BUNDLE_TELL_END,
};

struct bundle_orders {
	uint64_t have;      /* of an export; see bundle_writer */
	uint32_t plan_size; /* of its text; 0: it comes in the bundle */
	uint32_t is_file;
	uint32_t is_check;
	uint8_t plan_digest[32];
};

/*
 * In the job. text may be NULL; answer and fd as well, when none is awaited.
 * Errors are those of the control role.
 */
int bundle_ask(int socket, enum bundle_ask what, unsigned number,
	       const void *text, size_t size, struct buffer *answer, int *fd,
	       struct error *error);

/* One question; the answer's text and descriptor (closed after sending). */
struct bundle_question {
	enum bundle_ask what;
	unsigned number;
	const char *text; /* with a NUL behind it */
	size_t size;
};

/* Answers until the job has closed its end. */
void bundle_serve(int socket,
		  int (*answer)(void *data, const struct bundle_question *asked,
				struct buffer *text, int *fd,
				struct error *error),
		  void *data);

#endif
