/* Records into files, on several threads; see bundle_unpack.h. */
#include "daemon/bundle_unpack.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zstd.h>

#include "daemon/ring.h"

struct bundle_target {
	int fd; /* -1: a check */
	unsigned refs;
};

struct slot {
	struct bundle_target *target;
	uint8_t *body, *data;
	uint32_t body_room, data_room;
	struct bundle_unpacked is;
};

struct bundle_unpack {
	struct ring *ring;
};

/* --- files ------------------------------------------------------------ */

struct bundle_target *bundle_target_new(int fd)
{
	struct bundle_target *target = calloc(1, sizeof(*target));

	if (target) {
		target->fd = fd;
		target->refs = 1;
	} else if (fd >= 0) {
		close(fd);
	}
	return target;
}

void bundle_target_put(struct bundle_target *target)
{
	if (target && --target->refs == 0) {
		if (target->fd >= 0)
			close(target->fd);
		free(target);
	}
}

/* --- workers ---------------------------------------------------------- */

static int write_run(struct slot *slot, uint32_t from, uint32_t to)
{
	while (from < to) {
		ssize_t n =
			pwrite(slot->target->fd, slot->data + from, to - from,
			       (off_t)(slot->is.head.offset + from));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_errno(&slot->is.error, n < 0 ? errno : EIO,
					   "can't be written");
		from += (uint32_t)n;
	}
	return 0;
}

/* Holes stay where the file has zeros. */
static int write_data(struct slot *slot)
{
	uint32_t size = slot->is.head.length, run = 0, at = 0;
	int r = 0;

	slot->is.written = 0;
	while (!r && at < size) {
		uint32_t n =
			size - at < BUNDLE_BLOCK ? size - at : BUNDLE_BLOCK;
		bool zero = bundle_is_zero(slot->data + at, n);

		if (!zero)
			slot->is.written += n;
		if (zero && slot->target->fd >= 0 && run < at)
			r = write_run(slot, run, at);
		at += n;
		if (zero)
			run = at;
	}
	if (!r && slot->target->fd >= 0)
		r = write_run(slot, run, size);
	return r;
}

static int unpack(struct slot *slot, ZSTD_DCtx *zstd)
{
	size_t n;

	if (!bundle_head_fits(&slot->is.head, slot->is.raw, slot->body))
		return error_set(&slot->is.error, -EBADMSG, "damaged");
	n = ZSTD_decompressDCtx(zstd, slot->data, slot->is.head.length,
				slot->body, slot->is.head.stored);
	if (ZSTD_isError(n) || n != slot->is.head.length)
		return error_set(&slot->is.error, -EINVAL,
				 "a record does not hold what its head says");
	return write_data(slot);
}

static void *zstd_begin(void)
{
	return ZSTD_createDCtx();
}

static void zstd_end(void *own)
{
	ZSTD_freeDCtx(own);
}

static void work(void *own, void *data)
{
	struct slot *slot = data;

	slot->is.r = own ? unpack(slot, own)
			 : error_set(&slot->is.error, -ENOMEM, "no memory");
}

static void release(void *data)
{
	struct slot *slot = data;

	bundle_target_put(slot->target);
	free(slot->body);
	free(slot->data);
}

static const struct ring_work unpacking = {
	.slot_size = sizeof(struct slot),
	.begin = zstd_begin,
	.end = zstd_end,
	.work = work,
	.release = release,
};

/* --- the caller's side ------------------------------------------------ */

bool bundle_unpack_is_full(const struct bundle_unpack *w)
{
	return !ring_next(w->ring);
}

/* A slot's buffers are as large as its largest record was. */
static int make_room(uint8_t **buffer, uint32_t *room, uint32_t size)
{
	if (size <= *room)
		return 0;
	free(*buffer);
	*buffer = malloc(size);
	*room = *buffer ? size : 0;
	return *buffer ? 0 : -ENOMEM;
}

int bundle_unpack_add(struct bundle_unpack *w, int fd,
		      const struct bundle_head *head,
		      const uint8_t raw[BUNDLE_HEAD], uint64_t at,
		      struct bundle_target *target)
{
	struct slot *slot = ring_next(w->ring);
	int r = make_room(&slot->body, &slot->body_room, head->stored);

	if (!r)
		r = make_room(&slot->data, &slot->data_room, head->length);
	if (!r)
		r = bundle_read_all(fd, slot->body, head->stored);
	if (r)
		return r;
	slot->is = (struct bundle_unpacked){.head = *head, .at = at};
	memcpy(slot->is.raw, raw, BUNDLE_HEAD);
	slot->target = target;
	target->refs++;
	ring_push(w->ring);
	return 0;
}

bool bundle_unpack_collect(struct bundle_unpack *w,
			   struct bundle_unpacked *unpacked)
{
	struct slot *slot = ring_wait(w->ring);

	if (!slot)
		return false;
	*unpacked = slot->is;
	bundle_target_put(slot->target);
	slot->target = NULL;
	ring_pop(w->ring);
	return true;
}

int bundle_unpack_new(struct bundle_unpack **unpack, unsigned threads,
		      struct error *error)
{
	struct bundle_unpack *w = calloc(1, sizeof(*w));
	int r;

	*unpack = w;
	if (!w)
		return error_set(error, -ENOMEM, "no memory");
	r = ring_new(&w->ring, &unpacking, threads, error);
	if (r) {
		free(w);
		*unpack = NULL;
	}
	return r;
}

void bundle_unpack_free(struct bundle_unpack *w)
{
	if (w)
		ring_free(w->ring);
	free(w);
}
