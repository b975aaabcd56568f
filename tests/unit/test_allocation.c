/*
 * Every allocation fails once, whoever makes it: our own code, libav, libjpeg,
 * pixman, zlib, jansson. What was asked for then fails with -ENOMEM and
 * a message, or its result is the same as ever; nothing is left allocated.
 */
#include "hostile.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/log.h>
#include <libswresample/swresample.h>
#include <malloc.h>
#include <openssl/err.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <x264.h>
#include <zlib.h>

#include "daemon/sanitized.h"
#include "recorder/capture_stats.h"
#include "recorder/dump.h"
#include "recorder/picture.h"
#include "recorder/render.h"

#ifndef SANITIZED

/*
 * The C library's own, in whose place these stand for the whole process. A
 * thread that is not ours (an encoder's) counts as well.
 */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *p);

static _Atomic long made;         /* allocations since it was set to 0 */
static _Atomic long fatal;        /* the one that fails; 0 = none */
static _Atomic long live;         /* not yet freed */
static _Thread_local bool spared; /* nothing fails in a call that aborts */

extern char __executable_start, etext;

/* `from`: the caller, to tell what is our own. */
static bool fails(const void *from)
{
	const char *at = from;
	long n;

	if (spared && (at < &__executable_start || at >= &etext))
		return false;
	n = atomic_fetch_add(&made, 1) + 1;
	if (n != atomic_load(&fatal))
		return false;
	errno = ENOMEM;
	return true;
}

static void *count(void *p)
{
	if (p)
		atomic_fetch_add(&live, 1);
	return p;
}

void *malloc(size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL
						  : count(__libc_malloc(size));
}

void *calloc(size_t n, size_t size)
{
	return fails(__builtin_return_address(0))
		       ? NULL
		       : count(__libc_calloc(n, size));
}

void *realloc(void *old, size_t size)
{
	void *p;

	if (fails(__builtin_return_address(0)))
		return NULL;
	p = __libc_realloc(old, size);
	if (!old)
		count(p);
	else if (!size)
		atomic_fetch_sub(&live, 1);
	return p;
}

void *memalign(size_t alignment, size_t size)
{
	return fails(__builtin_return_address(0))
		       ? NULL
		       : count(__libc_memalign(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return memalign(alignment, size);
}

int posix_memalign(void **p, size_t alignment, size_t size)
{
	*p = memalign(alignment, size);
	return *p ? 0 : ENOMEM;
}

void free(void *p)
{
	if (p)
		atomic_fetch_sub(&live, 1);
	__libc_free(p);
}

/*
 * Libraries that do not live through it, or say nothing: libavcodec aborts
 * when the default of an option can't be stored, its H.264 decoder passes over
 * headers it has no memory for, libx264 and libswresample crash, and
 * libavformat leaves out what it can't write. There a call fails as a whole,
 * and what it calls of ours.
 */
#define TEXT_OF(name) #name
#define TEXT(name) TEXT_OF(name) /* libx264's names are macros */
#define SPARED(type, none, name, declared, given) \
	type name declared \
	{ \
		type(*real) declared = dlsym(RTLD_NEXT, TEXT(name)); \
		bool outer = spared; \
		type r; \
\
		if (fails(__builtin_return_address(0))) \
			return none; \
		spared = true; \
		r = real given; \
		spared = outer; \
		return r; \
	}

SPARED(AVCodecContext *, NULL, avcodec_alloc_context3, (const AVCodec *codec),
       (codec))
SPARED(int, AVERROR(ENOMEM), avcodec_send_packet,
       (AVCodecContext * c, const AVPacket *packet), (c, packet))
SPARED(int, AVERROR(ENOMEM), avcodec_send_frame,
       (AVCodecContext * c, const AVFrame *frame), (c, frame))
SPARED(int, AVERROR(ENOMEM), avcodec_receive_packet,
       (AVCodecContext * c, AVPacket *packet), (c, packet))

SPARED(x264_t *, NULL, x264_encoder_open, (x264_param_t * p), (p))
SPARED(int, -1, x264_encoder_headers, (x264_t * x, x264_nal_t **n, int *count),
       (x, n, count))
SPARED(int, AVERROR(ENOMEM), avformat_write_header,
       (AVFormatContext * f, AVDictionary **o), (f, o))
SPARED(int, AVERROR(ENOMEM), av_write_trailer, (AVFormatContext * f), (f))
SPARED(int, AVERROR(ENOMEM), swr_init, (struct SwrContext * c), (c))
SPARED(int, AVERROR(ENOMEM), swr_convert,
       (struct SwrContext * c, uint8_t **out, int room, const uint8_t **in,
	int frames),
       (c, out, room, in, frames))

/* It takes what comes with the picture, also when it fails later on. */
int x264_encoder_encode(x264_t *x, x264_nal_t **nals, int *count,
			x264_picture_t *in, x264_picture_t *out)
{
	int (*real)(x264_t *, x264_nal_t **, int *, x264_picture_t *,
		    x264_picture_t *) =
		dlsym(RTLD_NEXT, TEXT(x264_encoder_encode));
	int r;

	if (fails(__builtin_return_address(0))) {
		if (in && in->prop.mb_info_free)
			in->prop.mb_info_free(in->prop.mb_info);
		return -1;
	}
	spared = true;
	r = real(x, nals, count, in, out);
	spared = false;
	return r;
}

/* Nor does pixman say that it has drawn nothing. */
void pixman_image_composite32(pixman_op_t op, pixman_image_t *src,
			      pixman_image_t *mask, pixman_image_t *dest,
			      int32_t src_x, int32_t src_y, int32_t mask_x,
			      int32_t mask_y, int32_t dest_x, int32_t dest_y,
			      int32_t width, int32_t height)
{
	void (*real)(pixman_op_t, pixman_image_t *, pixman_image_t *,
		     pixman_image_t *, int32_t, int32_t, int32_t, int32_t,
		     int32_t, int32_t, int32_t, int32_t) =
		dlsym(RTLD_NEXT, "pixman_image_composite32");

	spared = true;
	real(op, src, mask, dest, src_x, src_y, mask_x, mask_y, dest_x, dest_y,
	     width, height);
	spared = false;
}

int avcodec_open2(AVCodecContext *c, const AVCodec *codec, AVDictionary **o)
{
	int (*real)(AVCodecContext *, const AVCodec *, AVDictionary **) =
		dlsym(RTLD_NEXT, "avcodec_open2");
	int r;

	if (fails(__builtin_return_address(0)))
		return AVERROR(ENOMEM);
	spared = av_codec_is_encoder(codec);
	r = real(c, codec, o);
	spared = false;
	return r;
}

/* One frame of 48 x 32 pixels, or 20 ms of sound. */
static void encode(const char *name, enum AVPixelFormat format,
		   struct buffer *b)
{
	const AVCodec *codec = avcodec_find_encoder_by_name(name);
	AVCodecContext *c = avcodec_alloc_context3(codec);
	AVPacket *packet = av_packet_alloc();
	AVFrame *frame = av_frame_alloc();

	c->width = frame->width = 48;
	c->height = frame->height = 32;
	c->pix_fmt = format;
	c->time_base = (AVRational){1, 25};
	c->color_range = AVCOL_RANGE_JPEG;
	frame->format = format;
	assert_int_equal(avcodec_open2(c, codec, NULL), 0);
	assert_int_equal(av_frame_get_buffer(frame, 0), 0);
	for (unsigned p = 0; p < 3; p++)
		memset(frame->data[p], 90 + 40 * (int)p,
		       (size_t)frame->linesize[p] * (p ? 16 : 32));
	frame->pts = 0;
	assert_int_equal(avcodec_send_frame(c, frame), 0);
	avcodec_send_frame(c, NULL);
	assert_int_equal(avcodec_receive_packet(c, packet), 0);
	buffer_put(b, packet->data, (size_t)packet->size);
	av_packet_free(&packet);
	av_frame_free(&frame);
	avcodec_free_context(&c);
}

static void add_image(struct sample *s, uint8_t type, const void *data,
		      size_t size)
{
	struct buffer *b = sample_add(s, ON_DISPLAY, DISPLAY_MESSAGE_draw_copy);

	put_copy(b, 16);
	put_descriptor(b, 50 + type, type, 1, 16);
	if (type == IMAGE_TYPE_ZLIB_GLZ_RGB)
		buffer_put_le32(b, 200);
	buffer_put_le32(b, (uint32_t)size);
	buffer_put(b, data, size);
}

static void add_stream(struct sample *s, uint32_t id, uint8_t codec,
		       const struct buffer *frame)
{
	struct buffer *b =
		sample_add(s, ON_DISPLAY, DISPLAY_MESSAGE_stream_create);

	put_numbers(b, 2, 0, id);
	buffer_put_u8(b, 1);
	buffer_put_u8(b, codec);
	put_numbers(b, 10, 0, 0, 48, 32, 48, 32, 0, 8 * id, 8, 8 * id + 8);
	buffer_put_u8(b, 0);
	b = sample_add(s, ON_DISPLAY, DISPLAY_MESSAGE_stream_data);
	put_numbers(b, 3, id, 0, (uint32_t)frame->size);
	buffer_put(b, frame->data, frame->size);
}

static void add_glz(struct sample *s)
{
	struct buffer b = {0};
	uint8_t packed[512];
	uLongf size = sizeof(packed);

	put_be32(&b, 0x20205a4c);
	put_be32(&b, 0x00010001);
	buffer_put_u8(&b, 8);
	put_be32(&b, 4);
	put_be32(&b, 4);
	put_numbers(&b, 4, 0, 0, 0x01000000, 0);
	buffer_put_u8(&b, 15);
	for (unsigned i = 0; i < 48; i++)
		buffer_put_u8(&b, (uint8_t)(i * 5));
	while (b.size < 200)
		buffer_put_u8(&b, 0);
	assert_int_equal(compress(packed, &size, b.data, b.size), Z_OK);
	add_image(s, IMAGE_TYPE_ZLIB_GLZ_RGB, packed, size);
	buffer_free(&b);
}

/* The sample, and what only libraries decode. */
static int make_capture(void)
{
	struct buffer jpeg = {0}, h264 = {0};
	struct sample s;
	int fd;

	encode("mjpeg", AV_PIX_FMT_YUVJ420P, &jpeg);
	encode("libx264", AV_PIX_FMT_YUV420P, &h264);
	sample_make(&s);
	add_image(&s, IMAGE_TYPE_JPEG, jpeg.data, jpeg.size);
	add_glz(&s);
	add_stream(&s, 1, 1, &jpeg);
	add_stream(&s, 2, 3, &h264);
	fd = sample_file(&s);
	sample_free(&s);
	buffer_free(&jpeg);
	buffer_free(&h264);
	return fd;
}

/* What is tried: reads `in`, leaves its result in the file `out`. */
typedef int task(int in, int out, struct error *error);

static int take_picture(int in, int out, struct error *error)
{
	struct picture *p;
	int r = picture_render(in, PICTURE_AT_END, 0, true, &p, error);

	if (r)
		return r;
	if (pwrite(out, p->rgb, (size_t)p->width * p->height * 3, 0) < 0)
		r = error_errno(error, EIO, "pwrite");
	picture_free(p);
	return r;
}

static int write_dump(int in, int out, struct error *error)
{
	const struct dump_options options = {.contents = true, .id = -1};

	return dump_capture(in, out, &options, error);
}

static int write_json(int in, int out, struct error *error)
{
	const struct dump_options options = {.json = true, .id = -1};

	return dump_capture(in, out, &options, error);
}

static int write_video(int in, int out, struct error *error)
{
	struct render_options options = {.preset = "ultrafast", .threads = 1};
	struct render_result *result = calloc(1, sizeof(*result));
	int r;

	if (!result)
		return error_set(error, ENOMEM, "no memory");
	r = render(in, out, &options, NULL, NULL, result, error);
	/* What is told about damage is part of the result. */
	if (!r &&
	    pwrite(out, result->damage, sizeof(result->damage), 1 << 20) < 0)
		r = error_errno(error, EIO, "pwrite");
	free(result);
	return r;
}

static int run(task *task, int in, int out, struct error *error)
{
	assert_int_equal(ftruncate(out, 0), 0);
	lseek(out, 0, SEEK_SET);
	*error = (struct error){0};
	return task(in, out, error);
}

static bool same(int a, int b)
{
	size_t size = fixture_size(a);
	void *x, *y;
	bool equal;

	if (size != fixture_size(b))
		return false;
	x = mmap(NULL, size, PROT_READ, MAP_SHARED, a, 0);
	y = mmap(NULL, size, PROT_READ, MAP_SHARED, b, 0);
	assert_true(x != MAP_FAILED && y != MAP_FAILED);
	equal = !memcmp(x, y, size);
	munmap(x, size);
	munmap(y, size);
	return equal;
}

/* Lets allocation n fail; false when there is none so late. */
static bool try(task *task, int in, int good, int out, long n, unsigned *bad)
{
	struct error error;
	long before = atomic_load(&live), after;
	const char *why = NULL;
	bool reached;
	int r;

	atomic_store(&made, 0);
	atomic_store(&fatal, n);
	r = run(task, in, out, &error);
	atomic_store(&fatal, 0);
	ERR_clear_error();
	reached = atomic_load(&made) >= n;
	after = atomic_load(&live);
	if (r && r != -ENOMEM)
		why = "another error";
	else if (r && !error.text[0])
		why = "no message";
	else if (!r && !same(good, out))
		why = "another result";
	else if (after > before)
		why = "something is left";
	if (why && ++*bad <= 20)
		print_error("allocation %ld: %s (%d %s; %ld left)\n", n, why, r,
			    error.text, after - before);
	return reached;
}

static void try_all(task *task)
{
	unsigned bad = 0;
	int in = make_capture(), good = fixture_memfd(), out = fixture_memfd();
	struct error error;
	long n = 1;

	/* Libraries keep things of their own from the first times. */
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(run(task, in, good, &error), 0);
	while (try(task, in, good, out, n, &bad))
		n++;
	print_message("%ld allocations\n", n);
	assert_true(n > 20);
	assert_int_equal(bad, 0);
	close(in);
	close(good);
	close(out);
}

static void a_picture(void **state)
{
	(void)state;
	try_all(take_picture);
}

static void text(void **state)
{
	(void)state;
	try_all(write_dump);
}

static void json(void **state)
{
	(void)state;
	try_all(write_json);
}

static void statistics(void **state)
{
	(void)state;
	try_all(capture_stats);
}

static void a_video(void **state)
{
	(void)state;
	try_all(write_video);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_picture), cmocka_unit_test(text),
		cmocka_unit_test(json),      cmocka_unit_test(statistics),
		cmocka_unit_test(a_video),
	};

	av_log_set_level(AV_LOG_QUIET);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void has_allocators_of_its_own(void **state)
{
	(void)state;
	skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_allocators_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
