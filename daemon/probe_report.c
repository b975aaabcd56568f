/* Reports of the probe, read with suspicion; see probe_run.h. */
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "daemon/probe_run.h"
#include "recorder/bytes.h"

int probe_header_check(const void *page, uint64_t memory,
		       struct probe_header *header, struct error *error)
{
	static const uint32_t magic[4] = PROBE_MAGIC;
	struct bytes b = bytes_of(page, sizeof(*header));
	uint64_t end;

	for (unsigned i = 0; i < 4; i++) {
		header->magic[i] = bytes_le32(&b);
		if (header->magic[i] != magic[i])
			return -EAGAIN;
	}
	header->version = bytes_le32(&b);
	header->lost = bytes_le32(&b);
	header->address = bytes_le64(&b);
	header->size = bytes_le32(&b);
	header->crc = bytes_le32(&b);
	header->header_crc = bytes_le32(&b);
	if (header->header_crc !=
	    crc32(0, page, offsetof(struct probe_header, header_crc)))
		return -EAGAIN; /* being written */
	if (header->version != PROBE_VERSION)
		return error_set(error, EPROTO,
				 "the probe's report has version %u, not %u",
				 header->version, PROBE_VERSION);
	if (header->lost)
		return error_set(error, EPROTO,
				 "%u records of the probe found no room",
				 header->lost);
	if (!header->size || header->size > PROBE_MAX || header->size % 8 ||
	    __builtin_add_overflow(header->address, header->size, &end) ||
	    end > memory)
		return error_set(error, EPROTO,
				 "the probe's report lies outside the guest's "
				 "memory");
	return 0;
}

/* Of 64 processors there are some 15,000. */
#define RECORDS_MAX 32768

/* 1, 0 at the end, -EPROTO. */
static int take(struct bytes *b, struct probe_record *record)
{
	if (!bytes_left(b))
		return 0;
	record->kind = bytes_le16(b);
	record->index = bytes_le16(b);
	record->size = bytes_le32(b);
	record->key = bytes_le64(b);
	record->bytes = bytes_take(b, record->size);
	bytes_take(b, -record->size & 7);
	return b->bad ? -EPROTO : 1;
}

int probe_report_parse(const void *data, size_t size,
		       struct probe_report **report, struct error *error)
{
	struct bytes b = bytes_of(data, size);
	struct probe_record record;
	unsigned count = 0;
	int r;

	*report = NULL;
	if (!size || size > PROBE_MAX || size % 8)
		return error_set(error, EPROTO,
				 "the probe's report has %zu bytes", size);
	while ((r = take(&b, &record)) == 1 && ++count <= RECORDS_MAX)
		;
	if (r == 1)
		return error_set(error, EPROTO,
				 "the probe's report has over %d records",
				 RECORDS_MAX);
	if (r)
		return error_set(error, EPROTO,
				 "a record of the probe's report, before byte "
				 "%zu, does not fit into it",
				 b.at);
	*report = calloc(1, sizeof(**report));
	if (*report)
		(*report)->data = malloc(size);
	if (!*report || !(*report)->data) {
		free(*report);
		*report = NULL;
		return error_set(error, ENOMEM, "no memory");
	}
	memcpy((*report)->data, data, size);
	(*report)->size = size;
	return 0;
}

void probe_report_free(struct probe_report *report)
{
	if (!report)
		return;
	free(report->data);
	free(report);
}

int probe_report_next(const struct probe_report *report, size_t *pos,
		      struct probe_record *record)
{
	struct bytes b = bytes_of(report->data, report->size);
	int r;

	bytes_seek(&b, *pos);
	r = take(&b, record);
	*pos = b.at;
	return r == 1;
}

int probe_report_find(const struct probe_report *report, enum probe_kind kind,
		      uint64_t key, struct probe_record *record)
{
	size_t pos = 0;

	while (probe_report_next(report, &pos, record))
		if (record->kind == kind && record->key == key)
			return 0;
	return -ENOENT;
}

int probe_report_file(const struct probe_report *report, const char *name,
		      struct probe_record *record)
{
	struct probe_record directory;
	struct bytes b;
	uint32_t count;

	if (probe_report_find(report, PROBE_FW_CFG_DIRECTORY, 0, &directory))
		return -ENOENT;
	b = bytes_of(directory.bytes, directory.size);
	count = bytes_be32(&b);
	for (uint32_t i = 0; i < count; i++) {
		/* size, selector, reserved, name (QEMU: specs/fw_cfg) */
		const uint8_t *entry = bytes_take(&b, 64);

		if (!entry)
			break;
		if (strnlen((const char *)entry + 8, 56) == strlen(name) &&
		    !memcmp(entry + 8, name, strlen(name)))
			return probe_report_find(report, PROBE_FW_CFG_FILE,
						 entry[4] << 8 | entry[5],
						 record);
	}
	return -ENOENT;
}
