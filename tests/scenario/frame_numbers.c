/*
 * frame_numbers WIDTH HEIGHT - reads raw RGB24 frames of the guest's screen
 * on stdin and prints for each "INDEX NUMBER", the number that the lesson's
 * picture carries (tests/guest/frame_strip.h), or "INDEX -" if none is
 * readable. Exit status 0 if any was, 1 if none, 2 for wrong usage.
 *
 *   ffmpeg -v error -i x.mp4 -f rawvideo -pix_fmt rgb24 - |
 *       frame_numbers 1024 768
 */
#include "tests/guest/frame_strip.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	int width = argc == 3 ? atoi(argv[1]) : 0;
	int height = argc == 3 ? atoi(argv[2]) : 0;
	bool found = false;
	uint8_t *rgb;
	size_t size;

	if (width < 1 || width > 16384 || height < 1 || height > 16384) {
		fprintf(stderr, "usage: frame_numbers WIDTH HEIGHT\n");
		return 2;
	}
	size = (size_t)width * (size_t)height * 3;
	rgb = malloc(size);
	if (!rgb) {
		perror("frame_numbers");
		return 2;
	}
	for (long i = 0; fread(rgb, 1, size, stdin) == size; i++) {
		int number = frame_strip_read(rgb, width, height);

		if (number < 0) {
			printf("%ld -\n", i);
			continue;
		}
		printf("%ld %d\n", i, number);
		found = true;
	}
	free(rgb);
	return found ? 0 : 1;
}
