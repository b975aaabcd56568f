/*
 * How fast a recording is written: bench_capture FILE [THREADS [MIB [KIND]]].
 *
 * Adds messages of a desktop's sizes to one session until so many MiB are in,
 * and prints MB/s as the adding thread sees it when the pool keeps up with
 * it. KIND is `noise` (as encoded video: nothing to compress) or `desktop`
 * (half of the bytes repeat). With a FILE.bin to read, use its bytes.
 */
#include "recorder/capture_writer.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static uint64_t now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void fill(uint8_t *data, size_t size, bool desktop)
{
	uint64_t x = 88172645463325252u;

	for (size_t i = 0; i < size; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		data[i] = desktop && i / 64 % 2 ? 0x55 : (uint8_t)x;
	}
}

static void await(struct capture_writer *w)
{
	struct pollfd p = {.fd = capture_writer_eventfd(w), .events = POLLIN};
	eventfd_t n;

	poll(&p, 1, 1000);
	eventfd_read(p.fd, &n);
}

_Noreturn static void die(const struct error *e)
{
	fprintf(stderr, "bench_capture: %s\n", e->text);
	exit(1);
}

static uint64_t add_all(struct capture_writer *w, const uint8_t *data,
			size_t size, size_t total)
{
	static const size_t sizes[] = {60, 300, 1400, 16384, 65536, 200};
	struct error e = {0};
	uint64_t adding = 0, begin;
	size_t done = 0;
	int channel = capture_writer_open_channel(w, now(CLOCK_REALTIME), &e);

	for (size_t i = 0; done < total; i++) {
		size_t n = sizes[i % 6];
		int r;

		begin = now(CLOCK_MONOTONIC);
		while ((r = capture_writer_add(w, channel, CAPTURE_TO_CLIENT,
					       now(CLOCK_REALTIME),
					       data + done % (size - n), n,
					       &e)) == -EAGAIN) {
			adding += now(CLOCK_MONOTONIC) - begin;
			await(w);
			begin = now(CLOCK_MONOTONIC);
		}
		adding += now(CLOCK_MONOTONIC) - begin;
		if (r < 0)
			die(&e);
		done += n;
	}
	return adding;
}

int main(int argc, char **argv)
{
	static uint8_t data[8 << 20];
	unsigned threads = argc > 2 ? (unsigned)atoi(argv[2]) : 1;
	size_t total = (argc > 3 ? (size_t)atoi(argv[3]) : 512) << 20;
	struct capture_session session = {"bench", "vault", "client"};
	uint8_t digest[CAPTURE_DIGEST_SIZE];
	struct capture_writer *w;
	struct capture_pool *pool;
	struct error e = {0};
	struct rusage usage;
	uint64_t begin, adding, end;
	double cpu;
	int fd, r;

	if (argc < 2)
		return 2;
	fill(data, sizeof(data), argc < 5 || strcmp(argv[4], "noise") != 0);
	fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || capture_pool_new(&pool, threads, &e) < 0 ||
	    capture_writer_new(&w, pool, fd, &session, &e) < 0)
		die(&e);
	begin = now(CLOCK_MONOTONIC);
	adding = add_all(w, data, sizeof(data), total);
	if (capture_writer_finish(w, &e) < 0)
		die(&e);
	while ((r = capture_writer_finished(w, digest, &e)) == 0)
		await(w);
	if (r < 0)
		die(&e);
	end = now(CLOCK_MONOTONIC);
	getrusage(RUSAGE_SELF, &usage);
	cpu = (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
	      (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	printf("capture %s: %.0f MB/s recorded with %u threads, file %.2f of "
	       "it; adding costs %.0f ns/KB (%.1f GB/s), all CPU %.2f s/GB\n",
	       argc > 4 ? argv[4] : "desktop",
	       (double)total * 1e3 / (double)(end - begin), threads,
	       (double)capture_writer_bytes(w) / (double)total,
	       (double)adding * 1024 / (double)total,
	       (double)total / (double)adding, cpu * 1e9 / (double)total);
	capture_writer_free(w);
	capture_pool_free(pool);
	return 0;
}
