/* Records of the report, and the few functions that compilers call. */
#include "probe.h"

static uint8_t *records;
static uint32_t used, lost;
static uint16_t processor;

void *memcpy(void *to, const void *from, size_t size)
{
	void *start = to;

	__asm__ volatile("rep movsb"
			 : "+D"(to), "+S"(from), "+c"(size)
			 :
			 : "memory");
	return start;
}

void *memset(void *to, int value, size_t size)
{
	void *start = to;

	__asm__ volatile("rep stosb"
			 : "+D"(to), "+c"(size)
			 : "a"(value)
			 : "memory");
	return start;
}

int memcmp(const void *a, const void *b, size_t size)
{
	const uint8_t *p = a, *q = b;

	for (; size; size--, p++, q++)
		if (*p != *q)
			return *p - *q;
	return 0;
}

void report_begin(void *room)
{
	records = room;
	used = lost = 0;
}

void report_processor(uint16_t nth)
{
	processor = nth;
}

void report_lost(void)
{
	lost++;
}

/* How many of this kind and key are there already. */
static uint16_t count(enum probe_kind kind, uint64_t key)
{
	uint16_t n = 0;
	uint32_t at = 0;

	while (at < used) {
		const struct probe_record_head *head =
			(const void *)(records + at);

		n += head->kind == kind && head->key == key;
		at += sizeof(*head) + ((head->size + 7) & ~7u);
	}
	return n;
}

void *report_open(enum probe_kind kind, uint64_t key, uint32_t size)
{
	struct probe_record_head *head = (void *)(records + used);
	uint32_t room = (size + 7) & ~7u;

	if (size > PROBE_MAX || sizeof(*head) + room > PROBE_MAX - used) {
		lost++;
		return NULL;
	}
	head->index = kind == PROBE_CPUID || kind == PROBE_MSR
			      ? processor
			      : count(kind, key);
	head->kind = kind;
	head->size = size;
	head->key = key;
	memset(head + 1, 0, room);
	used += sizeof(*head) + room;
	return head + 1;
}

void report_put(enum probe_kind kind, uint64_t key, const void *data,
		uint32_t size)
{
	void *bytes = report_open(kind, key, size);

	if (bytes)
		memcpy(bytes, data, size);
}

/* CRC-32 as in zlib, by a table. */
uint32_t crc32_of(const void *data, size_t size)
{
	static uint32_t table[256];
	const uint8_t *p = data;
	uint32_t crc = ~0u;

	if (!table[1])
		for (unsigned i = 0; i < 256; i++) {
			uint32_t c = i;

			for (int bit = 0; bit < 8; bit++)
				c = c >> 1 ^ (c & 1 ? 0xedb88320u : 0);
			table[i] = c;
		}
	while (size--)
		crc = crc >> 8 ^ table[(crc ^ *p++) & 0xff];
	return ~crc;
}

void report_end(struct probe_header *header)
{
	/* Not to be found in the program itself. */
	static const volatile uint32_t masked[4] = {~0x6964656du, ~0x206d7661u,
						    ~0x626f7270u, ~0x0a312065u};
	struct probe_header h = {
		.version = PROBE_VERSION,
		.lost = lost,
		.address = (uintptr_t)records,
		.size = used,
	};

	for (unsigned i = 0; i < 4; i++)
		h.magic[i] = ~masked[i];
	h.crc = crc32_of(records, used);
	h.header_crc = crc32_of(&h, offsetof(struct probe_header, header_crc));
	memcpy(header, &h, sizeof(h));
}
