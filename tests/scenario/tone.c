/*
 * tone RATE CHANNELS - reads S16LE sound on stdin and prints when the guest's
 * tone is heard, one line "BEGIN END" in seconds for each stretch. The lesson
 * sounds it in its seconds 0, 2, 4 ... and is nearly silent in between
 * (LESSON_TONE in tests/guest/lesson_disk.h). Exit status 0 if it was heard,
 * 1 if not, 2 for wrong usage.
 *
 *   ffmpeg -v error -i x.mp4 -f s16le -ar 48000 -ac 1 - | tone 48000 1
 */
#include "tests/guest/lesson_disk.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { WINDOWS_PER_SECOND = 50, RATE_MAX = 192000 };

/* The amplitude of a frequency in n samples (Goertzel's algorithm), 0..1. */
static double goertzel(const double *samples, int n, double frequency, int rate)
{
	double c = 2 * cos(2 * M_PI * frequency / rate), a = 0, b = 0;

	for (int i = 0; i < n; i++) {
		double next = samples[i] + c * a - b;

		b = a;
		a = next;
	}
	return 2 * sqrt(fmax(0, a * a + b * b - c * a * b)) / n;
}

/* Louder than -40 dB and ten times as loud as what lies 200 Hz beside it and
 * more. The neighbours are whole periods of a window, so a pure tone has
 * nothing there. */
static bool heard(const double *samples, int n, int rate)
{
	static const double beside[] = {-400, -200, 200, 400};
	double tone = goertzel(samples, n, LESSON_TONE, rate);

	for (int i = 0; i < 4; i++)
		if (tone <
		    10 * goertzel(samples, n, LESSON_TONE + beside[i], rate))
			return false;
	return tone > 0.01;
}

/* One window, the channels mixed; false at the end. */
static bool read_window(double *samples, int n, int channels)
{
	for (int i = 0; i < n; i++) {
		samples[i] = 0;
		for (int c = 0; c < channels; c++) {
			int low = getchar(), high = getchar();

			if (high == EOF)
				return false;
			samples[i] +=
				(int16_t)(low | high << 8) / 32768.0 / channels;
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	static double samples[RATE_MAX / WINDOWS_PER_SECOND];
	int rate = argc == 3 ? atoi(argv[1]) : 0;
	int channels = argc == 3 ? atoi(argv[2]) : 0;
	int n = rate / WINDOWS_PER_SECOND;
	long begin = -1, i;
	bool ever = false;

	if (rate < 8000 || rate > RATE_MAX || channels < 1 || channels > 2) {
		fprintf(stderr, "usage: tone RATE CHANNELS\n");
		return 2;
	}
	for (i = 0;; i++) {
		bool more = read_window(samples, n, channels);
		bool now = more && heard(samples, n, rate);

		if (now && begin < 0)
			begin = i;
		if (!now && begin >= 0) {
			printf("%.2f %.2f\n",
			       (double)begin / WINDOWS_PER_SECOND,
			       (double)i / WINDOWS_PER_SECOND);
			ever = true;
			begin = -1;
		}
		if (!more)
			return ever ? 0 : 1;
	}
}
