/*
 * Rendering: how many times faster than the session was, of an idle desktop
 * and of a film in a window; the film beside the ffmpeg command, which
 * transcodes the same JPEG frames with the same preset.
 *
 * Each run is a process of its own. Runs that are compared take turns; the
 * figures are medians. In brackets: by CPU time, what one core would reach
 * alone; it says more on a machine that has other work. Recordings are made in
 * TMPDIR, always the same.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "recorder/decoder.h"
#include "recorder/render.h"
#include "tests/bench/film.h"

#define IDLE_SECONDS 600
#define FILM_SECONDS 60
#define RUNS 3
/* What encoder_x264.c makes of the fast presets, beside qp and no B-frames. */
#define LIKE_US "scenecut=0:weightp=0:rc-lookahead=0:mbtree=0"

struct figure {
	double wall, cpu; /* s */
	double bytes;
};

struct subject {
	const char *name;
	void (*run)(const struct subject *s);
	const char *preset;
	const char *like_us;      /* ffmpeg's: our settings of libx264 */
	double psnr;              /* dB of the film, once it is known */
	struct figure runs[RUNS]; /* then: the median first */
};

static char folder[200];
static const char *capture; /* "idle" or "film" */

static const char *path_of(const char *name)
{
	static char paths[8][256];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static int open_file(const char *name, int flags)
{
	int fd = open(path_of(name), flags | O_CLOEXEC, 0600);

	must(fd >= 0, name);
	return fd;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void make_idle(void)
{
	struct recording r;
	struct desktop d;

	recording_begin(&r, open_file("idle", O_RDWR | O_CREAT | O_TRUNC));
	desktop_begin(&d, &r);
	while (r.now < IDLE_SECONDS * UINT64_C(1000) * MS) {
		unsigned second = (unsigned)(r.now / (1000 * MS));

		/* Two fifths of the time. */
		if (second % 300 >= 60 && second % 300 < 180)
			recording_sound(&r);
		else if (r.playing)
			sound_stop(&r);
		desktop_step(&d);
	}
	recording_end(&r);
	free(d.pixels);
}

/* A film in a player's window; a person who watches it. */
static void make_film(void)
{
	struct film film = {0};
	FILE *copy = fopen(path_of("film.mjpeg"), "w");
	struct recording r;
	struct desktop d;

	must(copy, "film.mjpeg");
	film_make(&film);
	recording_begin(&r, open_file("film", O_RDWR | O_CREAT | O_TRUNC));
	desktop_begin(&d, &r);
	film_open(&r);
	for (unsigned step = 0; step < FILM_SECONDS * 100; step++) {
		recording_sound(&r);
		if (step % 4 == 0)
			film_frame(&film, &r, step / 4, copy);
		if (step % 100 == 50)
			tick_clock(&d);
		if (step % 1000 == 300)
			aim(&d, 200 + (int)(desktop_random(&d) % 1500), 940,
			    40);
		if (step % 2 == 0)
			move_pointer(&d);
		r.now += STEP;
	}
	recording_end(&r);
	film_free(&film);
	free(d.pixels);
	must(!fclose(copy), "film.mjpeg");
}

static int ignore_sound(void *user, uint64_t at, const int16_t *samples,
			unsigned frames, struct error *error)
{
	(void)user;
	(void)at;
	(void)samples;
	(void)frames;
	(void)error;
	return 0;
}

static void run_decoder(const struct subject *s)
{
	struct decoder_options options = {.sound = {.samples = ignore_sound}};
	struct capture_reader *reader;
	struct decoder *decoder;
	struct capture_item item;
	struct error error = {0};

	(void)s;
	must(!capture_reader_new(&reader, open_file(capture, O_RDONLY),
				 &error) &&
		     !decoder_new(&decoder, &options, &error),
	     error.text);
	while (capture_reader_next(reader, &item, &error) == 1)
		must(!decoder_feed(decoder, &item, &error), error.text);
	must(!decoder_trouble(decoder)->first[0],
	     decoder_trouble(decoder)->first);
	decoder_free(decoder);
	capture_reader_free(reader);
}

static void run_render(const struct subject *s)
{
	struct render_options options = {.preset = s->preset};
	struct render_result result;
	struct error error = {0};

	must(!render(open_file(capture, O_RDONLY),
		     open_file("video", O_RDWR | O_CREAT | O_TRUNC), &options,
		     NULL, NULL, &result, &error),
	     error.text);
	must(!result.damage[0], result.damage);
}

static void run_ffmpeg(const struct subject *s)
{
	const char *in = path_of("film.mjpeg"), *out = path_of("video");

	if (s->like_us)
		execlp("ffmpeg", "ffmpeg", "-nostdin", "-v", "error", "-y",
		       "-framerate", "25", "-i", in, "-c:v", "libx264",
		       "-preset", s->preset, "-qp", "25", "-bf", "0",
		       "-x264-params", s->like_us, "-f", "mp4", out,
		       (char *)NULL);
	else if (s->preset)
		execlp("ffmpeg", "ffmpeg", "-nostdin", "-v", "error", "-y",
		       "-framerate", "25", "-i", in, "-c:v", "libx264",
		       "-preset", s->preset, "-f", "mp4", out, (char *)NULL);
	else
		execlp("ffmpeg", "ffmpeg", "-nostdin", "-v", "error",
		       "-framerate", "25", "-i", in, "-f", "null", "-",
		       (char *)NULL);
	must(false, "starting ffmpeg");
}

static struct figure measure(const struct subject *s)
{
	struct figure f = {.wall = now()};
	struct rusage usage;
	struct stat st = {0};
	int status;
	pid_t pid;

	unlink(path_of("video"));
	fflush(stdout);
	pid = fork();
	must(pid >= 0, "fork");
	if (!pid) {
		s->run(s);
		_exit(0);
	}
	must(wait4(pid, &status, 0, &usage) == pid && !status, s->name);
	f.wall = now() - f.wall;
	f.cpu = (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
		(double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	stat(path_of("video"), &st);
	f.bytes = (double)st.st_size;
	return f;
}

/*
 * Of the film's first seconds against its JPEGs, in the video's kind of
 * pixels. Ours has the film in the desktop; of the frames in each 40 ms the
 * last shows it.
 */
static double psnr_of(const struct subject *s)
{
	const char *crop = s->run == run_render
				   ? "fps=25:round=down:"
				     "start_time=0,crop=1280:720:320:180,"
				   : "";
	char line[4096], *found;
	double psnr = 0;
	FILE *out;

	snprintf(
		line, sizeof(line),
		"ffmpeg -nostdin -hide_banner -i '%s' -framerate 25 -i '%s' "
		"-lavfi '[0]%sscale=in_color_matrix=%s:out_color_matrix=bt709:"
		"out_range=tv,format=yuv420p[a];[1]scale=in_color_matrix=bt601:"
		"out_color_matrix=bt709:out_range=tv,format=yuv420p[b];"
		"[a][b]psnr=shortest=1' -t 8 -f null - 2>&1",
		path_of("video"), path_of("film.mjpeg"), crop,
		*crop ? "bt709" : "bt601");
	out = popen(line, "r");
	must(out, "starting ffmpeg");
	while (fgets(line, sizeof(line), out)) {
		found = strstr(line, "average:");
		if (found)
			psnr = atof(found + strlen("average:"));
	}
	pclose(out);
	return psnr;
}

static int by_wall(const void *a, const void *b)
{
	const struct figure *x = a, *y = b;

	return (x->wall > y->wall) - (x->wall < y->wall);
}

/* All subjects in turn, `runs` times; then the median comes first. */
static void measure_all(struct subject *s, unsigned n, unsigned runs)
{
	for (unsigned run = 0; run < runs; run++)
		for (unsigned i = 0; i < n; i++) {
			s[i].runs[run] = measure(&s[i]);
			if (!run && s[i].preset && !strcmp(capture, "film"))
				s[i].psnr = psnr_of(&s[i]);
		}
	for (unsigned i = 0; i < n; i++) {
		qsort(s[i].runs, runs, sizeof(struct figure), by_wall);
		s[i].runs[0] = s[i].runs[runs / 2];
	}
}

static void print(const struct subject *s, unsigned n, double seconds)
{
	for (unsigned i = 0; i < n; i++) {
		const struct figure *f = &s[i].runs[0];

		printf("  %-36s %7.1f x %8.2f s CPU (%6.1f x)", s[i].name,
		       seconds / f->wall, f->cpu, seconds / f->cpu);
		if (f->bytes > 0)
			printf(" %8.2f MB", f->bytes / 1e6);
		if (s[i].psnr > 0)
			printf(" %6.1f dB", s[i].psnr);
		printf("\n");
	}
}

static void bench_idle(void)
{
	struct subject s[] = {
		{.name = "decode alone", .run = run_decoder},
		{.name = "MP4, veryfast, sound",
		 .run = run_render,
		 .preset = "veryfast"},
	};
	struct stat st;

	capture = "idle";
	make_idle();
	stat(path_of("idle"), &st);
	measure_all(s, 2, RUNS);
	printf("a desktop, mostly idle, %d s, 1920x1080, sound for two "
	       "fifths; capture of %.1f MB\n",
	       IDLE_SECONDS, (double)st.st_size / 1e6);
	print(s, 2, IDLE_SECONDS);
	printf("  %-36s %7.1f x %28s %6d MB\n"
	       "  goal: MP4 at 65 x, at most 15 MB\n\n",
	       "guacenc 1.5, documented, not run here", 6.5, "", 150);
}

static void bench_film(void)
{
	struct subject s[] = {
		{.name = "decode alone", .run = run_decoder},
		{.name = "ffmpeg, decoding the JPEGs alone", .run = run_ffmpeg},
		{.name = "MP4, ultrafast, sound",
		 .run = run_render,
		 .preset = "ultrafast"},
		{.name = "ffmpeg, the JPEGs, ultrafast",
		 .run = run_ffmpeg,
		 .preset = "ultrafast"},
		{.name = "ffmpeg, the same settings, ultrafast",
		 .run = run_ffmpeg,
		 .preset = "ultrafast",
		 .like_us = LIKE_US},
		{.name = "MP4, veryfast, sound",
		 .run = run_render,
		 .preset = "veryfast"},
		{.name = "ffmpeg, the JPEGs, veryfast",
		 .run = run_ffmpeg,
		 .preset = "veryfast"},
		{.name = "ffmpeg, the same settings, veryfast",
		 .run = run_ffmpeg,
		 .preset = "veryfast",
		 .like_us = LIKE_US},
	};
	struct stat st;

	capture = "film";
	make_film();
	stat(path_of("film"), &st);
	measure_all(s, 8, RUNS);
	printf("a film of 1280x720, 25 fps, in a desktop, %d s, 1920x1080, "
	       "sound; capture of %.1f MB\n",
	       FILM_SECONDS, (double)st.st_size / 1e6);
	print(s, 8, FILM_SECONDS);
	printf("  %-36s %7.1f x %28s %6d MB\n",
	       "guacenc 1.5, documented, not run here", 2.7, "", 15);
	for (int i = 2; i < 8; i += 3)
		printf("  of ffmpeg's speed, %s: %.2f (goal 0.90)\n",
		       s[i].preset, s[i + 1].runs[0].wall / s[i].runs[0].wall);
}

/* With a folder as argument the recordings are kept there. */
int main(int argc, char **argv)
{
	const char *parent = getenv("TMPDIR");

	snprintf(folder, sizeof(folder), "%s/render.XXXXXX",
		 parent ? parent : "/tmp");
	if (argc > 1)
		snprintf(folder, sizeof(folder), "%s", argv[1]);
	else
		must(mkdtemp(folder), folder);
	bench_idle();
	bench_film();
	if (argc > 1)
		return 0;
	for (unsigned i = 0; i < 4; i++)
		unlink(path_of((const char *const[]){
			"idle", "film", "film.mjpeg", "video"}[i]));
	rmdir(folder);
	return 0;
}
