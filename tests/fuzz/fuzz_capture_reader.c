/*
 * The capture reader and all that reads with it: a whole file, packed or
 * plain. Everything given must be readable bytes, and errors must say why.
 * Plain ones are tried packed as well: no mutation gets past a checksum.
 */
#include "recorder/capture_export.h"
#include "recorder/capture_stats.h"
#include "recorder/capture_index.h"
#include "recorder/capture_reader.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t sink;

static void read_all(int fd)
{
	struct capture_reader *reader;
	struct capture_summary summary;
	struct capture_item item;
	struct error error = {0};
	int r;

	if (capture_reader_new(&reader, fd, &error) < 0)
		abort();
	while ((r = capture_reader_next(reader, &item, &error)) > 0) {
		if (!item.channel)
			abort();
		for (size_t i = 0; i < item.size; i++)
			sink ^= item.data[i];
	}
	if (r < 0 && !error.text[0])
		abort();
	capture_reader_summary(reader, &summary);
	capture_reader_free(reader);
}

static void read_index(int fd, size_t size)
{
	struct capture_index *index;
	struct error error = {0};

	if (capture_index_load(&index, fd, &error) == 0) {
		if (index->good_bytes > size)
			abort();
		capture_index_find(index, UINT64_C(1700000000000000000));
	}
	capture_index_free(index);
	if (capture_index_rebuild(&index, fd, &error) < 0 && !error.text[0])
		abort();
	capture_index_free(index);
}

static void store(int fd, const uint8_t *data, size_t size)
{
	if (ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
}

/* One reader more each time, so that there are many times. */
static void read_with_one(int fd, int null, size_t size, unsigned which)
{
	switch (which) {
	case 0:
		read_index(fd, size);
		break;
	case 1:
		capture_export_pcapng(fd, null, true, NULL);
		break;
	case 2:
		capture_export_pcapng(fd, null, false, NULL);
		break;
	case 3:
		capture_stats(fd, null, NULL);
		break;
	}
}

static void read_packed(int fd, const uint8_t *data, size_t size)
{
	static uint8_t packed[CAPTURE_FRAME_MAX];
	size_t n = ZSTD_compress(packed, sizeof(packed), data, size, 1);

	if (ZSTD_isError(n))
		return;
	store(fd, packed, n);
	read_all(fd);
	read_index(fd, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1, null = -1;

	if (fd < 0) {
		fd = memfd_create("capture", 0);
		null = open("/dev/null", O_WRONLY);
	}
	store(fd, data, size);
	read_all(fd);
	read_with_one(fd, null, size, size % 4);
	if (size % 8 == 0)
		read_packed(fd, data, size);
	return 0;
}
