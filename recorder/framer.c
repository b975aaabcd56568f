/* Cuts one direction of a SPICE channel into messages; see framer.h. */
#include "recorder/framer.h"

#include <string.h>

#include "recorder/bytes.h"

void framer_init(struct framer *f, bool mini, uint32_t max_size)
{
	*f = (struct framer){.mini = mini, .max_size = max_size};
}

static unsigned header_size(const struct framer *f)
{
	return f->mini ? FRAMER_HEADER_MINI : FRAMER_HEADER_FULL;
}

/* The header is whole: what does it say? */
static int read_header(struct framer *f, struct error *error)
{
	struct bytes b = bytes_of(f->header, header_size(f));
	uint64_t serial = f->mini ? f->serial + 1 : bytes_le64(&b);
	uint16_t type = bytes_le16(&b);
	uint32_t size = bytes_le32(&b);

	f->serial = serial;
	f->type = type;
	if (size > f->max_size)
		return error_set(error, EMSGSIZE,
				 "message of type %u claims %u bytes; at most "
				 "%u are accepted",
				 type, size, f->max_size);
	f->size = size;
	f->sub_list = f->mini ? 0 : bytes_le32(&b);
	f->left = size;
	f->header_have = 0;
	return 0;
}

static int next_header(struct framer *f, const uint8_t *data, size_t size,
		       struct framer_piece *piece, struct error *error)
{
	unsigned want = header_size(f);
	size_t n = want - f->header_have;
	int r;

	if (n > size)
		n = size;
	*piece = (struct framer_piece){
		.data = data,
		.size = n,
		.header = true,
		.begins = f->header_have == 0,
	};
	memcpy(f->header + f->header_have, data, n);
	f->header_have += n;
	if (f->header_have < want)
		return (int)n;
	/* On failure the whole header stays, so that every call fails. */
	r = read_header(f, error);
	if (r < 0)
		return r;
	piece->header_done = true;
	piece->ends = f->left == 0;
	return (int)n;
}

int framer_next(struct framer *f, const uint8_t *data, size_t size,
		struct framer_piece *piece, struct error *error)
{
	size_t n;

	*piece = (struct framer_piece){.data = data};
	if (size == 0)
		return 0;
	if (f->left == 0)
		return next_header(f, data, size, piece, error);
	n = size < f->left ? size : f->left;
	if (n > INT32_MAX)
		n = INT32_MAX;
	f->left -= (uint32_t)n;
	piece->size = n;
	piece->header_done = true;
	piece->ends = f->left == 0;
	return (int)n;
}
