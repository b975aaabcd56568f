/*
 * The framer: first byte = header form and how the rest is cut in pieces.
 * Cutting must not change what is found: a second framer gets all at once.
 */
#include "recorder/framer.h"

#include <stdlib.h>
#include <string.h>

#define MESSAGE_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct found {
	uint64_t messages;
	uint64_t bodies; /* bytes */
	uint64_t sum;    /* over types, serials and body bytes */
	int end;
};

static void note(struct found *found, const struct framer *f,
		 const struct framer_piece *p)
{
	if (p->header &&
	    p->begins != (f->header_have == p->size ||
			  (p->header_done && p->size >= (f->mini ? 6u : 18u))))
		abort();
	if (p->header_done && p->header)
		found->sum += f->type * 31u + f->serial * 7u + f->size;
	if (!p->header) {
		found->bodies += p->size;
		for (size_t i = 0; i < p->size; i++)
			found->sum = found->sum * 33 + p->data[i];
	}
	if (p->ends) {
		found->messages++;
		if (f->left)
			abort();
	}
}

static struct found cut(const uint8_t *data, size_t size, bool mini,
			size_t step)
{
	struct found found = {0};
	struct framer_piece p;
	struct framer f;
	size_t at = 0;

	framer_init(&f, mini, MESSAGE_MAX);
	while (at < size) {
		size_t n = size - at < step ? size - at : step;
		int r = framer_next(&f, data + at, n, &p, NULL);

		if (r < 0) {
			found.end = r;
			break;
		}
		if (r == 0 || (size_t)r > n || p.data != data + at)
			abort();
		note(&found, &f, &p);
		at += (size_t)r;
	}
	return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct found a, b;
	bool mini;
	size_t step;

	if (size == 0)
		return 0;
	mini = data[0] & 1;
	step = (data[0] >> 1) + 1;
	a = cut(data + 1, size - 1, mini, step);
	b = cut(data + 1, size - 1, mini, size);
	if (memcmp(&a, &b, sizeof(a)) != 0)
		abort();
	return 0;
}
