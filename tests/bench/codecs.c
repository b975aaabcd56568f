/*
 * Image codecs: MB/s of decoded pixels (4 bytes each), drawn on a surface,
 * beside spice-client-glib's on the same messages.
 *
 * libspice-server encodes pictures of a desktop and of a photograph in each
 * of its forms; its DRAW_COPY messages are kept and then decoded again and
 * again: later pictures of a series refer to earlier ones if they are GLZ.
 * CPU time of one thread, medians of interleaved runs. The client reads from
 * a socket pair; what it takes to read as many bytes in as many messages
 * that do nothing is taken off its time. Columns: ours, theirs, quotient.
 */
#define WIDTH 1920
#define HEIGHT 1080
#include "tests/unit/qxl_server.h"

#include "tests/bench/codecs_pictures.h"
#include "tests/oracle/gtk_client.h"

#define RUNS 7
#define MESSAGES_MAX 1024
#define MESSAGE_MAX (WIDTH * HEIGHT * 4 + 4096)

struct message {
	uint8_t *body;
	uint32_t size;
};

/* Pictures of one size in one form. */
struct series {
	struct message messages[MESSAGES_MAX];
	unsigned count;
	uint64_t bytes, pixels;
	unsigned others; /* came in another form than wanted: left out */
};

struct form {
	const char *name;
	unsigned type; /* IMAGE_TYPE_* */
	uint8_t compression, format;
	bool zlib, jpeg;
};

static const struct form forms[] = {
	{"bitmap 32", 0, 1, BITMAP_32BIT, false, false},
	{"bitmap 24", 0, 1, BITMAP_24BIT, false, false},
	{"bitmap 16", 0, 1, BITMAP_16BIT, false, false},
	{"bitmap 8", 0, 1, BITMAP_8BIT, false, false},
	{"quic 32", 1, 4, BITMAP_32BIT, false, false},
	{"quic 16", 1, 4, BITMAP_16BIT, false, false},
	{"quic rgba", 1, 4, BITMAP_RGBA, false, false},
	{"lz 32", 101, 6, BITMAP_32BIT, false, false},
	{"lz 16", 101, 6, BITMAP_16BIT, false, false},
	{"lz rgba", 101, 6, BITMAP_RGBA, false, false},
	{"lz palette 8", 100, 6, BITMAP_8BIT, false, false},
	{"glz 32", 102, 5, BITMAP_32BIT, false, false},
	{"glz 16", 102, 5, BITMAP_16BIT, false, false},
	{"glz rgba", 102, 5, BITMAP_RGBA, false, false},
	{"zlib-glz 32", 107, 5, BITMAP_32BIT, true, false},
	{"lz4 32", 109, 7, BITMAP_32BIT, false, false},
	{"lz4 16", 109, 7, BITMAP_16BIT, false, false},
	{"jpeg", 105, 4, BITMAP_32BIT, false, true},
	{"jpeg alpha", 108, 4, BITMAP_RGBA, false, true},
};

static const struct {
	int width, height;
	unsigned count;
} sizes[] = {{64, 64, 400}, {512, 384, 16}, {1920, 1080, 4}};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static struct series *collected; /* under the server's lock */
static unsigned wanted_type;

/* Keeps what is drawn from an image: the body's layout is fixed here. */
static void collect(uint16_t type, const uint8_t *body, uint32_t size)
{
	struct series *s = collected;
	uint32_t at;

	if (!s || type != SPICE_MSG_DISPLAY_DRAW_COPY ||
	    s->count == MESSAGES_MAX)
		return;
	if (size > MESSAGE_MAX)
		abort();
	at = bytes_get_le32(body + 21); /* of the image, behind no clip */
	if (body[20] || at + 18 > size)
		abort();
	if (body[at + 8] != wanted_type) {
		s->others++;
		return;
	}
	s->messages[s->count].body = malloc(size);
	memcpy(s->messages[s->count].body, body, size);
	s->messages[s->count++].size = size;
	s->bytes += size;
	s->pixels += (uint64_t)bytes_get_le32(body + at + 10) *
		     bytes_get_le32(body + at + 14);
}

static void put_pixel(uint8_t *row, uint8_t format, int x, int width,
		      uint32_t v)
{
	switch (format) {
	case BITMAP_8BIT:
		row[x] = (uint8_t)((v >> 16 & 0xe0) | (v >> 11 & 0x1c) |
				   (v >> 6 & 3));
		break;
	case BITMAP_16BIT:
		bytes_put_le16(row + 2 * x, (v >> 9 & 0x7c00) |
						    (v >> 6 & 0x3e0) |
						    (v >> 3 & 31));
		break;
	case BITMAP_24BIT:
		row[3 * x] = v & 255;
		row[3 * x + 1] = v >> 8 & 255;
		row[3 * x + 2] = v >> 16;
		break;
	case BITMAP_RGBA:
		v = picture_fade(v, x, width);
		/* fall through */
	default:
		bytes_put_le32(row + 4 * x, v);
	}
}

static void set_palette(struct command *c, QXLBitmap *bitmap)
{
	QXLPalette *palette = command_alloc(c, sizeof(*palette) + 1024);

	palette->unique = 1;
	palette->num_ents = 256;
	for (uint32_t i = 0; i < 256; i++)
		palette->ents[i] =
			(i & 0xe0) << 16 | (i & 0x1c) << 11 | (i & 3) << 6;
	bitmap->palette = (uintptr_t)palette;
}

static void draw(const struct form *f, enum picture what, int width, int height,
		 int k)
{
	QXLRect all = {0, 0, height, width};
	struct command *c = command_new(QXL_DRAW_COPY, all);
	QXLCopy *copy = &c->drawable.u.copy;
	QXLImage *image = command_bitmap(c, f->format, width, height, true);
	uint8_t *row = (uint8_t *)(uintptr_t)image->bitmap.data;

	for (int y = 0; y < height; y++, row += image->bitmap.stride)
		for (int x = 0; x < width; x++)
			put_pixel(row, f->format, x, width,
				  picture_pixel(what, x, y, width, height, k));
	if (f->format == BITMAP_8BIT)
		set_palette(c, &image->bitmap);
	c->drawable.effect = QXL_EFFECT_OPAQUE;
	copy->src_bitmap = (uintptr_t)image;
	copy->src_area = all;
	copy->rop_descriptor = SPICE_ROPD_OP_PUT;
	command_put(c);
}

static unsigned have(const struct series *s)
{
	unsigned n;

	pthread_mutex_lock(&lock);
	n = s->count + s->others;
	pthread_mutex_unlock(&lock);
	return n;
}

/* Small pictures are parts of the desktop, one beside the other. */
static void make_series(struct series *s, const struct form *f,
			enum picture what, unsigned size)
{
	uint8_t wish[] = {SPICE_MSGC_DISPLAY_PREFERRED_COMPRESSION,
			  0,
			  1,
			  0,
			  0,
			  0,
			  f->compression};

	*s = (struct series){0};
	spice_server_set_zlib_glz_compression(
		server, f->zlib ? SPICE_WAN_COMPRESSION_ALWAYS
				: SPICE_WAN_COMPRESSION_NEVER);
	spice_server_set_jpeg_compression(
		server, f->jpeg ? SPICE_WAN_COMPRESSION_ALWAYS
				: SPICE_WAN_COMPRESSION_NEVER);
	disconnect_client();
	connect_client();
	write_all(display_fd, wish, sizeof(wish));
	expect_same(f->jpeg ? 64 : 0);
	wanted_type = f->type;
	collected = s;
	for (unsigned i = 0; i < sizes[size].count; i++) {
		draw(f, what, sizes[size].width, sizes[size].height, (int)i);
		while (have(s) <= i)
			run_server();
	}
	expect_same(255);
	collected = NULL;
}

static void free_series(struct series *s)
{
	while (s->count)
		free(s->messages[--s->count].body);
}

static double cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct ours {
	struct image_cache *cache;
	struct glz_window *window;
	struct display *display;
};

/* SURFACE_CREATE of the primary. */
static void build_create(uint8_t create[20])
{
	bytes_put_le32(create, 0);
	bytes_put_le32(create + 4, WIDTH);
	bytes_put_le32(create + 8, HEIGHT);
	bytes_put_le32(create + 12, SURFACE_32_XRGB);
	bytes_put_le32(create + 16, 1);
}

static void ours_new(struct ours *o)
{
	uint8_t create[20];

	build_create(create);
	if (image_cache_new(&o->cache, IMAGE_CACHE_PIXELS, NULL) ||
	    glz_window_new(&o->window, NULL) ||
	    display_new(&o->display, o->cache, o->window, NULL) ||
	    display_message(o->display, DISPLAY_MESSAGE_surface_create,
			    bytes_of(create, sizeof(create)), NULL))
		abort();
	/* Its pages are there before it is measured. */
	memset(o->display->surfaces[0]->pixels, 1, (size_t)WIDTH * HEIGHT * 4);
}

static void ours_free(struct ours *o)
{
	display_free(o->display);
	glz_window_free(o->window);
	image_cache_free(o->cache);
}

static void die(const struct error *error)
{
	fprintf(stderr, "codecs: %s\n", error->text);
	exit(1);
}

/* Seconds to decode and draw a series. */
static double run_ours(const struct series *s)
{
	struct error error;
	struct ours o;
	double from, taken;

	ours_new(&o);
	from = cpu();
	for (unsigned i = 0; i < s->count; i++)
		if (display_message(
			    o.display, DISPLAY_MESSAGE_draw_copy,
			    bytes_of(s->messages[i].body, s->messages[i].size),
			    &error))
			die(&error);
	taken = cpu() - from;
	ours_free(&o);
	return taken;
}

static void send_theirs(struct gtk_channel *channel, uint16_t type,
			const void *body, size_t size)
{
	static uint64_t serial;
	struct gtk_message m = {
		.serial = ++serial, .type = type, .body = body, .size = size};
	struct error error;

	if (gtk_channel_send(channel, &m, &error))
		die(&error);
}

/* Seconds that a client took for messages of a series' sizes. */
static double run_messages(struct gtk_client *client,
			   struct gtk_channel *channel, const struct series *s,
			   uint16_t type)
{
	uint64_t from = gtk_client_cpu(client);
	struct error error;

	for (unsigned i = 0; i < s->count; i++)
		send_theirs(channel, type, s->messages[i].body,
			    s->messages[i].size);
	if (gtk_channel_wait(channel, &error))
		die(&error);
	return (double)(gtk_client_cpu(client) - from) / 1e9;
}

static double run_theirs(const struct series *s)
{
	uint8_t create[20];
	struct gtk_client *client;
	struct gtk_channel *channel;
	struct gtk_picture picture;
	struct error error;
	double taken;

	if (gtk_client_new(&client, &error))
		die(&error);
	channel = gtk_client_open(client, SPICE_CHANNEL_DISPLAY, 0, &error);
	if (!channel)
		die(&error);
	build_create(create);
	send_theirs(channel, SPICE_MSG_DISPLAY_SURFACE_CREATE, create,
		    sizeof(create));
	if (gtk_channel_wait(channel, &error) ||
	    !gtk_channel_primary(channel, &picture))
		die(&error);
	memset(picture.data, 1, picture.stride * picture.height);
	taken = -run_messages(client, channel, s,
			      SPICE_MSG_DISPLAY_INVAL_ALL_PALETTES);
	taken += run_messages(client, channel, s, SPICE_MSG_DISPLAY_DRAW_COPY);
	gtk_client_free(client);
	return taken;
}

static int ascending(const void *a, const void *b)
{
	double d = *(const double *)a - *(const double *)b;

	return (d > 0) - (d < 0);
}

static double median(double *v)
{
	qsort(v, RUNS, sizeof(*v), ascending);
	return v[RUNS / 2];
}

/* A cell of the table. */
static void measure(const struct series *s)
{
	double ours[RUNS], theirs[RUNS], bytes = (double)s->pixels * 4 / 1e6;

	if (!s->count) {
		printf(" | %-20s", "comes in another form");
		return;
	}
	for (unsigned i = 0; i < RUNS; i++) {
		ours[i] = run_ours(s);
		theirs[i] = run_theirs(s);
	}
	printf(" | %6.0f %6.0f %5.2fx", bytes / median(ours),
	       bytes / median(theirs), median(theirs) / median(ours));
	fflush(stdout);
}

static void measure_form(const struct form *f, enum picture what)
{
	static struct series s;

	printf("%-13s %-8s", f->name,
	       what == PICTURE_PHOTO ? "photo" : "desktop");
	for (unsigned size = 0; size < SIZES; size++) {
		make_series(&s, f, what, size);
		measure(&s);
		free_series(&s);
	}
	putchar('\n');
}

int main(int argc, char **argv)
{
	on_message = collect;
	server_set_up(NULL);
	printf("image codecs, MB/s of pixels: ours, spice-client-glib's\n%-22s",
	       "");
	for (unsigned size = 0; size < SIZES; size++)
		printf(" | %4d x %-4d %9s", sizes[size].width,
		       sizes[size].height, "");
	putchar('\n');
	for (unsigned i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (argc > 1 && !strstr(forms[i].name, argv[1]))
			continue;
		measure_form(&forms[i], PICTURE_DESKTOP);
		measure_form(&forms[i], PICTURE_PHOTO);
	}
	server_tear_down(NULL);
	return 0;
}
