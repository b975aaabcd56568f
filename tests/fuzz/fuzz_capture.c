/* A whole recording (recording.h), shown and now and then rendered. */
#include "recorder/picture.h"
#include "recorder/render.h"
#include "tests/fuzz/recording.h"

#include <libavutil/log.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int no_file(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = memfd_create("video", 0);
	if (fd < 0 || ftruncate(fd, 0) < 0)
		abort();
	return fd;
}

static int cancel_late(void *user, double done)
{
	(void)done;
	return ++*(int *)user > 40;
}

static void read_all(int fd, bool whole)
{
	static struct render_result result;
	struct render_options options = {
		.fps = 5, .preset = "ultrafast", .threads = 1};
	struct error error = {0};
	struct picture *picture;
	int steps = 0;

	if (picture_render(fd, PICTURE_AT_END, 0, true, &picture, &error) &&
	    !error.text[0])
		abort();
	picture_free(picture);
	if (whole &&
	    render(fd, no_file(), &options, cancel_late, &steps, &result,
		   &error) &&
	    !error.text[0])
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = bytes_of(data, size);
	uint8_t how = bytes_u8(&in);
	static int fd = -1;

	av_log_set_level(AV_LOG_QUIET);
	if (fd < 0)
		fd = memfd_create("capture", 0);
	/* Rendering takes longest; a whole minute of it is too long. */
	read_all(fd, recording_make(&in, fd) < 60000000000 && how % 4 == 0);
	return 0;
}
