/* The skippable frames of a capture file; see capture_frame.h. */
#include "recorder/capture_frame.h"

#include <string.h>

static const char name[4] = "MVMC";
static const char tail_name[8] = "MVMCEND\n";

/* Bytes 0 to 16 of every frame; `size` is the whole frame's. */
static void put_head(uint8_t *at, enum capture_frame_kind kind, size_t size)
{
	bytes_put_le32(at, CAPTURE_FRAME_MAGIC);
	bytes_put_le32(at + 4, (uint32_t)(size - 8));
	memcpy(at + 8, name, 4);
	bytes_put_le16(at + 12, CAPTURE_FRAME_VERSION);
	bytes_put_le16(at + 14, kind);
}

static void put_counts(uint8_t *at, const struct capture_counts *counts)
{
	bytes_put_le32(at, counts->packets);
	bytes_put_le32(at + 4, counts->channels);
	bytes_put_le64(at + 8, counts->bytes_to_guest);
	bytes_put_le64(at + 16, counts->bytes_to_client);
}

void capture_entry_put(uint8_t at[CAPTURE_ENTRY_SIZE],
		       const struct capture_entry *entry)
{
	put_head(at, CAPTURE_FRAME_ENTRY, CAPTURE_ENTRY_SIZE);
	bytes_put_le32(at + 16, entry->sequence);
	bytes_put_le32(at + 20, entry->packed);
	bytes_put_le32(at + 24, entry->plain);
	bytes_put_le32(at + 28, 0);
	bytes_put_le64(at + 32, entry->file_offset);
	bytes_put_le64(at + 40, entry->plain_offset);
	bytes_put_le64(at + 48, entry->first_time);
	bytes_put_le64(at + 56, entry->last_time);
	put_counts(at + 64, &entry->counts);
	bytes_put_le64(at + 88, 0);
	memcpy(at + 96, entry->digest, CAPTURE_DIGEST_SIZE);
}

static void put_record(uint8_t *at, const struct capture_record *record)
{
	bytes_put_le64(at, record->file_offset);
	bytes_put_le64(at + 8, record->plain_offset);
	bytes_put_le64(at + 16, record->first_time);
	bytes_put_le64(at + 24, record->last_time);
}

static size_t index_size(uint32_t frames)
{
	return CAPTURE_INDEX_HEAD + CAPTURE_INDEX_TAIL +
	       (size_t)frames * CAPTURE_INDEX_RECORD;
}

void capture_index_put(struct buffer *out, const struct capture_totals *totals,
		       const struct capture_record *records,
		       uint64_t file_offset)
{
	size_t size = index_size(totals->frames);
	uint8_t *at = buffer_grow(out, size);

	if (!at)
		return;
	put_head(at, CAPTURE_FRAME_INDEX, size);
	bytes_put_le32(at + 16, totals->frames);
	bytes_put_le32(at + 20, 0);
	bytes_put_le64(at + 24, totals->plain);
	bytes_put_le64(at + 32, totals->first_time);
	bytes_put_le64(at + 40, totals->last_time);
	put_counts(at + 48, &totals->counts);
	bytes_put_le64(at + 72, 0);
	at += CAPTURE_INDEX_HEAD;
	for (uint32_t i = 0; i < totals->frames; i++) {
		put_record(at, &records[i]);
		at += CAPTURE_INDEX_RECORD;
	}
	bytes_put_le64(at, file_offset);
	memcpy(at + 8, tail_name, sizeof(tail_name));
}

void capture_sign_put(uint8_t at[CAPTURE_SIGN_SIZE],
		      const uint8_t digest[CAPTURE_DIGEST_SIZE],
		      const uint8_t signature[CAPTURE_SIGNATURE_SIZE])
{
	put_head(at, CAPTURE_FRAME_SIGNATURE, CAPTURE_SIGN_SIZE);
	memcpy(at + 16, digest, CAPTURE_DIGEST_SIZE);
	memcpy(at + 48, signature, CAPTURE_SIGNATURE_SIZE);
}

int capture_frame_head(const uint8_t head[CAPTURE_FRAME_HEAD],
		       enum capture_frame_kind *kind, uint64_t *size,
		       struct error *error)
{
	struct bytes b = bytes_of(head, CAPTURE_FRAME_HEAD);
	uint32_t magic = bytes_le32(&b);
	uint64_t whole = (uint64_t)bytes_le32(&b) + 8;
	bool ours = memcmp(bytes_take(&b, 4), name, 4) == 0;
	uint16_t version = bytes_le16(&b);
	uint16_t k = bytes_le16(&b);

	if (magic != CAPTURE_FRAME_MAGIC || !ours)
		return -ENOMSG;
	if (version != CAPTURE_FRAME_VERSION)
		return error_set(error, EBADMSG,
				 "capture format version %u; this program "
				 "knows %u",
				 version, CAPTURE_FRAME_VERSION);
	if (!(k == CAPTURE_FRAME_ENTRY && whole == CAPTURE_ENTRY_SIZE) &&
	    !(k == CAPTURE_FRAME_INDEX && whole >= index_size(0)) &&
	    !(k == CAPTURE_FRAME_SIGNATURE && whole == CAPTURE_SIGN_SIZE))
		return error_set(error, EBADMSG,
				 "skippable frame of kind %u with %llu bytes "
				 "cannot be",
				 k, (unsigned long long)whole);
	*kind = k;
	*size = whole;
	return 0;
}

static void get_counts(struct bytes *b, struct capture_counts *counts)
{
	counts->packets = bytes_le32(b);
	counts->channels = bytes_le32(b);
	counts->bytes_to_guest = bytes_le64(b);
	counts->bytes_to_client = bytes_le64(b);
}

int capture_entry_get(const uint8_t at[CAPTURE_ENTRY_SIZE],
		      struct capture_entry *entry)
{
	struct bytes b = bytes_of(at, CAPTURE_ENTRY_SIZE);

	bytes_seek(&b, CAPTURE_FRAME_HEAD);
	entry->sequence = bytes_le32(&b);
	entry->packed = bytes_le32(&b);
	entry->plain = bytes_le32(&b);
	bytes_le32(&b);
	entry->file_offset = bytes_le64(&b);
	entry->plain_offset = bytes_le64(&b);
	entry->first_time = bytes_le64(&b);
	entry->last_time = bytes_le64(&b);
	get_counts(&b, &entry->counts);
	bytes_le64(&b);
	memcpy(entry->digest, bytes_take(&b, CAPTURE_DIGEST_SIZE),
	       CAPTURE_DIGEST_SIZE);
	if (entry->plain > CAPTURE_FRAME_MAX ||
	    entry->first_time > entry->last_time)
		return -EBADMSG;
	return 0;
}

int capture_index_get(const uint8_t at[CAPTURE_INDEX_HEAD], uint64_t frame_size,
		      struct capture_totals *totals)
{
	struct bytes b = bytes_of(at, CAPTURE_INDEX_HEAD);

	bytes_seek(&b, CAPTURE_FRAME_HEAD);
	totals->frames = bytes_le32(&b);
	bytes_le32(&b);
	totals->plain = bytes_le64(&b);
	totals->first_time = bytes_le64(&b);
	totals->last_time = bytes_le64(&b);
	get_counts(&b, &totals->counts);
	if (totals->frames > CAPTURE_INDEX_MAX ||
	    index_size(totals->frames) != frame_size)
		return -EBADMSG;
	return 0;
}

void capture_record_get(const uint8_t at[CAPTURE_INDEX_RECORD],
			struct capture_record *record)
{
	struct bytes b = bytes_of(at, CAPTURE_INDEX_RECORD);

	record->file_offset = bytes_le64(&b);
	record->plain_offset = bytes_le64(&b);
	record->first_time = bytes_le64(&b);
	record->last_time = bytes_le64(&b);
}

int capture_tail_get(const uint8_t at[CAPTURE_INDEX_TAIL],
		     uint64_t *file_offset)
{
	struct bytes b = bytes_of(at, CAPTURE_INDEX_TAIL);

	*file_offset = bytes_le64(&b);
	return memcmp(at + 8, tail_name, sizeof(tail_name)) == 0 ? 0 : -EBADMSG;
}

int capture_sign_get(const uint8_t at[CAPTURE_SIGN_SIZE],
		     uint8_t digest[CAPTURE_DIGEST_SIZE],
		     uint8_t signature[CAPTURE_SIGNATURE_SIZE])
{
	enum capture_frame_kind kind;
	uint64_t size;

	if (capture_frame_head(at, &kind, &size, NULL) < 0 ||
	    kind != CAPTURE_FRAME_SIGNATURE)
		return -EBADMSG;
	memcpy(digest, at + 16, CAPTURE_DIGEST_SIZE);
	memcpy(signature, at + 48, CAPTURE_SIGNATURE_SIZE);
	return 0;
}

void capture_counts_add(struct capture_counts *a,
			const struct capture_counts *b)
{
	a->packets += b->packets;
	a->channels += b->channels;
	a->bytes_to_guest += b->bytes_to_guest;
	a->bytes_to_client += b->bytes_to_client;
}
