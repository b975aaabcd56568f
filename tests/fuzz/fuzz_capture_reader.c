/*
 * The capture reader and all that reads with it: a whole file, packed or
 * plain. Everything given must be readable bytes, and errors must say why.
 */
#include "recorder/capture_export.h"
#include "recorder/capture_index.h"
#include "recorder/capture_reader.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1, null = -1;

	if (fd < 0) {
		fd = memfd_create("capture", 0);
		null = open("/dev/null", O_WRONLY);
	}
	if (ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	read_all(fd);
	/* One more reader each time, so that there are many times. */
	switch (size % 4) {
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
	return 0;
}
