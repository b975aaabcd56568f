/* A recording (recording.h) as text, as JSON and in numbers. */
#include "recorder/capture_export.h"
#include "recorder/capture_stats.h"
#include "recorder/dump.h"
#include "tests/fuzz/recording.h"

#include <fcntl.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = bytes_of(data, size);
	uint8_t how = bytes_u8(&in);
	struct dump_options options = {
		.json = how & 1,
		.hex = how & 2,
		.contents = how & 4,
		.id = -1,
	};
	struct error error = {0};
	static int fd = -1, null = -1;
	int r;

	if (fd < 0) {
		fd = memfd_create("capture", 0);
		null = open("/dev/null", O_WRONLY);
	}
	recording_make(&in, fd);
	if (how & 8)
		r = capture_stats(fd, null, &error);
	else
		r = dump_capture(fd, null, &options, &error);
	if (r && !error.text[0])
		abort();
	return 0;
}
