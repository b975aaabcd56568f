/*
 * The link parser: a header and a body as a client or a server would send
 * them. What parses must survive building and parsing again.
 */
#include "recorder/link.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_mess(const struct link_mess *mess)
{
	struct buffer b = {0};
	struct link_mess again;
	uint32_t link_error;
	size_t body;

	link_mess_build(&b, mess);
	if (link_header_parse(b.data, &body, &link_error, NULL) < 0 ||
	    body != b.size - LINK_HEADER_SIZE ||
	    link_mess_parse(b.data + LINK_HEADER_SIZE, body, &again, NULL) <
		    0 ||
	    memcmp(mess, &again, sizeof(again)) != 0)
		abort();
	buffer_free(&b);
}

static void check_reply(const struct link_reply *reply)
{
	struct buffer b = {0};
	struct link_reply again;

	link_reply_build(&b, reply);
	if (link_reply_parse(b.data + LINK_HEADER_SIZE,
			     b.size - LINK_HEADER_SIZE, &again, NULL) < 0 ||
	    memcmp(reply, &again, sizeof(again)) != 0)
		abort();
	buffer_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct link_mess mess;
	struct link_reply reply;
	struct error error = {0};
	uint32_t link_error;
	size_t body;

	if (size < LINK_HEADER_SIZE)
		return 0;
	if (link_header_parse(data, &body, &link_error, &error) < 0) {
		if (!link_error || !error.text[0])
			abort();
		return 0;
	}
	data += LINK_HEADER_SIZE;
	size -= LINK_HEADER_SIZE;
	if (body > size)
		body = size;
	/* The caller's buffer holds no more than the body. */
	uint8_t *copy = malloc(body ? body : 1);

	if (!copy)
		return 0;
	memcpy(copy, data, body);
	if (link_mess_parse(copy, body, &mess, &error) == 0)
		check_mess(&mess);
	if (link_reply_parse(copy, body, &reply, &error) == 0)
		check_reply(&reply);
	free(copy);
	return 0;
}
