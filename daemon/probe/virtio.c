/*
 * Disks of virtio controllers (virtio 1.0): the serial number of virtio-blk;
 * INQUIRY, vital product data and capacity of every unit of virtio-scsi. The
 * device is reset before, and left without a driver.
 */
#include "probe.h"

#define QUEUE 8 /* entries */

/* Registers of the common part. */
enum {
	FEATURE_SELECT = 0x08,
	FEATURE = 0x0c,
	STATUS = 0x14,
	QUEUE_SELECT = 0x16,
	QUEUE_SIZE = 0x18,
	QUEUE_ENABLE = 0x1c,
	QUEUE_NOTIFY = 0x1e,
	QUEUE_ADDRESSES = 0x20,
};

static struct {
	struct {
		uint64_t address;
		uint32_t length;
		uint16_t flags, next;
	} descriptors[QUEUE];
	uint16_t available[2 + QUEUE] __attribute__((aligned(16)));
	uint16_t used[2 + 4 * QUEUE] __attribute__((aligned(16)));
} queue __attribute__((aligned(4096)));

/* Parts of a request: what the device reads, then what it writes. */
struct part {
	void *bytes;
	uint32_t size;
	bool written;
};

static uintptr_t notify;
static uint16_t sent;

static void put16(uintptr_t address, uint16_t v)
{
	*(volatile uint16_t *)at_address(address) = v;
}

static uint16_t get16(uintptr_t address)
{
	return *(volatile uint16_t *)at_address(address);
}

static void put_address(uintptr_t at, const void *address)
{
	put32(at, (uint32_t)(uintptr_t)address);
	put32(at + 4, (uint32_t)((uint64_t)(uintptr_t)address >> 32));
}

/* With one queue. */
static bool begin(unsigned function, uint16_t nth)
{
	uint32_t multiplier = 0;
	uintptr_t common = virtio_part(function, 1, NULL);

	notify = virtio_part(function, 2, &multiplier);
	if (!common || !notify)
		return false;
	put8(common + STATUS, 0);
	for (unsigned i = 0; i < PATIENCE && get8(common + STATUS); i++)
		;
	put8(common + STATUS, 3); /* seen, can be driven */
	put32(common + FEATURE_SELECT, 0);
	put32(common + FEATURE, 0);
	put32(common + FEATURE_SELECT, 1);
	put32(common + FEATURE, 1); /* virtio 1.0 */
	put8(common + STATUS, 11);
	put16(common + QUEUE_SELECT, nth);
	if (!(get8(common + STATUS) & 8) || get16(common + QUEUE_SIZE) < QUEUE)
		return false;
	memset(&queue, 0, sizeof(queue));
	sent = 0;
	put16(common + QUEUE_SIZE, QUEUE);
	put_address(common + QUEUE_ADDRESSES, queue.descriptors);
	put_address(common + QUEUE_ADDRESSES + 8, queue.available);
	put_address(common + QUEUE_ADDRESSES + 16, queue.used);
	notify += get16(common + QUEUE_NOTIFY) * multiplier;
	put16(common + QUEUE_ENABLE, 1);
	put8(common + STATUS, 15);
	return true;
}

static void end(unsigned function)
{
	put8(virtio_part(function, 1, NULL) + STATUS, 0);
}

/* A disk's answer may take a while: its file lies on the host's disk. */
static bool request(const struct part *parts, uint16_t count, uint16_t nth)
{
	volatile uint16_t *done = &queue.used[1];

	for (uint16_t i = 0; i < count; i++) {
		queue.descriptors[i].address = (uintptr_t)parts[i].bytes;
		queue.descriptors[i].length = parts[i].size;
		queue.descriptors[i].flags =
			(uint16_t)((i + 1 < count) |
				   (parts[i].written ? 2 : 0));
		queue.descriptors[i].next = i + 1;
	}
	queue.available[2 + sent % QUEUE] = 0;
	sent++;
	__asm__ volatile("" : : : "memory");
	*(volatile uint16_t *)&queue.available[1] = sent;
	__sync_synchronize();
	put16(notify, nth);
	for (unsigned i = 0; i < 60 * PATIENCE && *done != sent; i++)
		in8(0x80);
	return *done == sent;
}

/* --- virtio-blk --------------------------------------------------------- */

static void read_block(unsigned function)
{
	static uint32_t head[4] = {8}; /* the serial number, please */
	static uint8_t status;
	uint8_t answer[32] = {0};
	const struct part parts[] = {{head, sizeof(head), false},
				     {answer, 20, true},
				     {&status, 1, true}};
	uintptr_t own = virtio_part(function, 4, NULL);

	status = 0xff;
	if (!own || !begin(function, 0))
		return;
	if (!request(parts, 3, 0) || status)
		memset(answer, 0, 20);
	for (unsigned i = 0; i < 8; i++)
		answer[20 + i] = get8(own + i);
	for (unsigned i = 0; i < 4; i++)
		answer[28 + i] = get8(own + 20 + i);
	report_put(PROBE_VIRTIO_BLK, function, answer, sizeof(answer));
	end(function);
}

/* --- virtio-scsi -------------------------------------------------------- */

#define COMMANDS 2 /* their queue */

static uint8_t data[512];

/* 0: nobody there; else how many bytes came. */
static uint32_t scsi(uint8_t target, uint8_t unit, const uint8_t command[10],
		     uint32_t size)
{
	static struct __attribute__((packed)) {
		uint8_t unit[8], id[8], attributes[3], command[32];
	} head;
	static struct __attribute__((packed)) {
		uint32_t sense_size, left;
		uint16_t qualifier;
		uint8_t status, response, sense[96];
	} answer;
	const struct part parts[] = {{&head, sizeof(head), false},
				     {&answer, sizeof(answer), true},
				     {data, size, true}};

	memset(&head, 0, sizeof(head));
	memset(&answer, 0xff, sizeof(answer));
	memset(data, 0, sizeof(data));
	head.unit[0] = 1;
	head.unit[1] = target;
	head.unit[2] = 0x40;
	head.unit[3] = unit;
	memcpy(head.command, command, 10);
	if (!request(parts, 3, COMMANDS) || answer.response || answer.status ||
	    answer.left > size)
		return 0;
	return size - answer.left;
}

static bool inquire(unsigned function, uint8_t target, uint8_t unit,
		    uint8_t page)
{
	const uint8_t command[10] = {0x12, page != 0, page, 0, 252, 0};
	uint32_t size = scsi(target, unit, command, 252);

	/* the first byte's upper bits: nothing connected */
	if (!size || data[0] >> 5)
		return false;
	report_put(PROBE_SCSI,
		   (uint64_t)function << 24 | target << 16 | unit << 8 | page,
		   data, size);
	return true;
}

static void read_unit(unsigned function, uint8_t target, uint8_t unit)
{
	static const uint8_t capacity[10] = {0x25};

	if (!inquire(function, target, unit, 0))
		return;
	inquire(function, target, unit, 0x80);
	inquire(function, target, unit, 0x83);
	/* The first answer is that it was reset just now. */
	if (scsi(target, unit, capacity, 8) || scsi(target, unit, capacity, 8))
		report_put(PROBE_SCSI,
			   (uint64_t)function << 24 | target << 16 | unit << 8 |
				   0x25,
			   data, 8);
}

static void read_target(unsigned function, uint8_t target)
{
	static const uint8_t list[10] = {0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0};
	uint8_t units[31];
	uint32_t size = scsi(target, 0, list, 256), count = 0;

	/* size of the list (big-endian), 4 bytes, 8 for each unit */
	for (uint32_t at = 8; at + 8 <= size && count < sizeof(units); at += 8)
		if (at < 8u + (uint32_t)(data[2] << 8 | data[3]))
			units[count++] = data[at + 1];
	for (uint32_t i = 0; i < count; i++)
		read_unit(function, target, units[i]);
}

void read_virtio_disks(unsigned function)
{
	uint32_t id = pci_read(function, 0);

	if (id == 0x10011af4 || id == 0x10421af4)
		read_block(function);
	if ((id == 0x10041af4 || id == 0x10481af4) &&
	    begin(function, COMMANDS)) {
		for (unsigned target = 0; target < 256; target++)
			read_target(function, (uint8_t)target);
		end(function);
	}
}
