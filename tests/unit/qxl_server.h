/*
 * libspice-server with a QXL device that tests draw on, and a client whose
 * decoder takes what it sends. What the decoder shows must be what the server
 * itself renders into the device's frame buffer.
 *
 * For inclusion by one test program each; everything is static.
 */
#ifndef TESTS_UNIT_QXL_SERVER_H
#define TESTS_UNIT_QXL_SERVER_H

#include "recorder/decoder.h"
#include "recorder/link.h"
#include "tests/server_loop.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <spice.h>
#include <spice/protocol.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#ifndef WIDTH
#define WIDTH 640
#define HEIGHT 480
#endif
#define CELL 80     /* an image's width and height */
#define PATIENCE 30 /* s until a test that hangs fails */

/* A drawing and what it points to, freed when the server is done with it. */
struct command {
	QXLDrawable drawable;
	QXLSurfaceCmd surface; /* instead, when it has a data pointer */
	struct command *next;  /* waiting to be fetched */
	void *owned[16];
	unsigned owned_count;
};

static SpiceServer *server;
static QXLInstance qxl;
static uint32_t primary_format = SPICE_SURFACE_FMT_32_xRGB;
static int pixel_size = 4; /* bytes, of the primary */
static uint8_t framebuffer[HEIGHT * WIDTH * 4];
static struct command *first_command, **last_command = &first_command;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int listener, port;
static int open_channels; /* as the server sees it */

/* What the client can take: LZ4 images and one codec of video. */
static unsigned client_caps[] = {
	SPICE_DISPLAY_CAP_LZ4_COMPRESSION, SPICE_DISPLAY_CAP_SIZED_STREAM,
	SPICE_DISPLAY_CAP_MULTI_CODEC, SPICE_DISPLAY_CAP_CODEC_MJPEG,
	SPICE_DISPLAY_CAP_COMPOSITE, SPICE_DISPLAY_CAP_A8_SURFACE};

/* The client, on its own thread; the decoder is under the lock. */
static struct decoder *decoder;
static pthread_t client_thread;
static int main_fd, display_fd = -1; /* the second under the lock */
/* Sees the display's messages before the decoder does, under the lock. */
static void (*on_message)(uint16_t type, const uint8_t *body, uint32_t size);

static void channel_event(int event, SpiceChannelEventInfo *info)
{
	(void)info;
	open_channels += event == SPICE_CHANNEL_EVENT_CONNECTED;
	open_channels -= event == SPICE_CHANNEL_EVENT_DISCONNECTED;
}

static void accept_client(int fd, int event, void *opaque)
{
	(void)event;
	(void)opaque;
	spice_server_add_client(server, accept(fd, NULL, NULL), 1);
}

/* The QXL device. */
static void attached_worker(QXLInstance *q)
{
	QXLDevMemSlot slot = {.virt_end = ~(uintptr_t)0, .qxl_ram_size = ~0u};
	QXLDevSurfaceCreate primary = {
		.width = WIDTH,
		.height = HEIGHT,
		.stride = WIDTH * pixel_size,
		.format = primary_format,
		.mouse_mode = 1,
		.mem = (uintptr_t)framebuffer,
	};

	spice_qxl_add_memslot(q, &slot);
	spice_qxl_create_primary_surface(q, 0, &primary);
	spice_server_vm_start(server);
}

static void set_compression_level(QXLInstance *q, int level)
{
	(void)q;
	(void)level;
}

static void get_init_info(QXLInstance *q, QXLDevInitInfo *info)
{
	(void)q;
	*info = (QXLDevInitInfo){.num_memslots_groups = 1,
				 .num_memslots = 1,
				 .memslot_gen_bits = 1,
				 .memslot_id_bits = 1,
				 .qxl_ram_size = 64 << 20,
				 .n_surfaces = 1024};
}

static int get_command(QXLInstance *q, struct QXLCommandExt *ext)
{
	struct command *c;

	(void)q;
	pthread_mutex_lock(&lock);
	c = first_command;
	if (c) {
		first_command = c->next;
		if (!first_command)
			last_command = &first_command;
	}
	pthread_mutex_unlock(&lock);
	if (!c)
		return 0;
	*ext = (struct QXLCommandExt){
		.cmd = {.data = (uintptr_t)&c->drawable, .type = QXL_CMD_DRAW}};
	if (c->surface.u.surface_create.data)
		ext->cmd = (QXLCommand){.data = (uintptr_t)&c->surface,
					.type = QXL_CMD_SURFACE};
	return 1;
}

static int notify_when_ready(QXLInstance *q)
{
	int empty;

	(void)q;
	pthread_mutex_lock(&lock);
	empty = !first_command;
	pthread_mutex_unlock(&lock);
	return empty;
}

static void release_resource(QXLInstance *q, struct QXLReleaseInfoExt info)
{
	struct command *c = (struct command *)(uintptr_t)info.info->id;

	(void)q;
	while (c->owned_count)
		free(c->owned[--c->owned_count]);
	free(c);
}

static int no_cursor(QXLInstance *q, struct QXLCommandExt *ext)
{
	(void)q;
	(void)ext;
	return 0;
}

static int nothing(QXLInstance *q)
{
	(void)q;
	return 1;
}

static void notify_update(QXLInstance *q, uint32_t id)
{
	(void)q;
	(void)id;
}

static int flush_resources(QXLInstance *q)
{
	(void)q;
	return 0;
}

static const QXLInterface qxl_interface = {
	.base = {.type = SPICE_INTERFACE_QXL,
		 .description = "test",
		 .major_version = SPICE_INTERFACE_QXL_MAJOR,
		 .minor_version = SPICE_INTERFACE_QXL_MINOR},
	.attached_worker = attached_worker,
	.set_compression_level = set_compression_level,
	.get_init_info = get_init_info,
	.get_command = get_command,
	.req_cmd_notification = notify_when_ready,
	.release_resource = release_resource,
	.get_cursor_command = no_cursor,
	.req_cursor_notification = nothing,
	.notify_update = notify_update,
	.flush_resources = flush_resources,
};

/* The client: links, acknowledges, and hands messages to the decoder. */
static bool read_all(int fd, void *data, size_t size)
{
	for (size_t have = 0; have < size;) {
		ssize_t n = read(fd, (uint8_t *)data + have, size - have);

		if (n <= 0)
			return false;
		have += n;
	}
	return true;
}

static void write_all(int fd, const void *data, size_t size)
{
	if (write(fd, data, size) != (ssize_t)size)
		abort();
}

static int link_channel(uint32_t session, uint8_t type)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct link_mess mess = {.connection_id = session,
				 .channel_type = type};
	struct link_reply reply;
	struct buffer out = {0};
	uint8_t in[LINK_HEADER_SIZE + LINK_BODY_MAX];
	uint8_t ticket[4 + LINK_TICKET_SIZE] = {1};
	size_t body;
	uint32_t result;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&at, sizeof(at)))
		abort();
	link_caps_set(&mess.common, SPICE_COMMON_CAP_PROTOCOL_AUTH_SELECTION,
		      true);
	link_caps_set(&mess.common, SPICE_COMMON_CAP_AUTH_SPICE, true);
	link_caps_set(&mess.common, SPICE_COMMON_CAP_MINI_HEADER, true);
	for (unsigned i = 0; type == SPICE_CHANNEL_DISPLAY &&
			     i < sizeof(client_caps) / sizeof(*client_caps);
	     i++)
		link_caps_set(&mess.channel, client_caps[i], true);
	link_mess_build(&out, &mess);
	write_all(fd, out.data, out.size);
	buffer_free(&out);
	if (!read_all(fd, in, LINK_HEADER_SIZE) ||
	    link_header_parse(in, &body, &result, NULL) ||
	    !read_all(fd, in, body) ||
	    link_reply_parse(in, body, &reply, NULL) ||
	    link_ticket_encrypt(reply.key, "", ticket + 4, NULL))
		abort();
	write_all(fd, ticket, sizeof(ticket));
	if (!read_all(fd, &result, 4) || result)
		abort();
	return fd;
}

static bool read_message(int fd, uint16_t *type, uint8_t **body, uint32_t *size)
{
	uint8_t header[6];

	*body = NULL;
	if (!read_all(fd, header, 6))
		return false;
	*type = header[0] | header[1] << 8;
	*size = bytes_get_le32(header + 2);
	*body = malloc(*size + 1u);
	return read_all(fd, *body, *size);
}

/* The connection may have been shut down: then reading ends as well. */
static void write_or_end(int fd, const void *data, size_t size)
{
	if (write(fd, data, size) != (ssize_t)size)
		shutdown(fd, SHUT_RDWR);
}

static void acknowledge(int fd, uint16_t type, const uint8_t *body)
{
	static unsigned window, count;
	uint8_t sync[] = {1, 0, 4, 0, 0, 0, 0, 0, 0, 0};
	uint8_t ack[] = {2, 0, 0, 0, 0, 0};

	if (type == SPICE_MSG_SET_ACK) {
		memcpy(sync + 6, body, 4);
		window = bytes_get_le32(body + 4);
		count = 0;
		write_or_end(fd, sync, sizeof(sync));
	} else if (window && ++count == window) {
		count = 0;
		write_or_end(fd, ack, sizeof(ack));
	}
}

static void *run_client(void *unused)
{
	uint8_t init[20] = {SPICE_MSGC_DISPLAY_INIT, 0, 14, 0, 0, 0, 1};
	struct capture_channel channel = {.mess.channel_type =
						  SPICE_CHANNEL_DISPLAY};
	struct capture_item item = {.kind = CAPTURE_RESULT,
				    .data = (const uint8_t *)"\0\0\0",
				    .size = 4,
				    .channel = &channel,
				    .direction = CAPTURE_TO_CLIENT};
	uint8_t *body;
	uint32_t size;
	int fd;

	(void)unused;
	main_fd = link_channel(0, SPICE_CHANNEL_MAIN);
	if (!read_message(main_fd, &item.type, &body, &size))
		abort();
	fd = link_channel(bytes_get_le32(body), SPICE_CHANNEL_DISPLAY);
	free(body);
	bytes_put_le32(init + 7, 8 << 20);
	init[15] = 1;
	bytes_put_le32(init + 16, 4 << 20);
	write_all(fd, init, sizeof(init));
	pthread_mutex_lock(&lock);
	decoder_feed(decoder, &item, NULL);
	display_fd = fd;
	pthread_mutex_unlock(&lock);
	item.kind = CAPTURE_MESSAGE;
	while (read_message(fd, &item.type, &body, &size)) {
		acknowledge(fd, item.type, body);
		item.data = body;
		item.size = size;
		item.serial++;
		pthread_mutex_lock(&lock);
		if (on_message)
			on_message(item.type, body, size);
		if (decoder_feed(decoder, &item, NULL))
			abort();
		pthread_mutex_unlock(&lock);
		free(body);
	}
	free(body);
	return NULL;
}

static void connect_client(void)
{
	struct decoder_options options = {0};

	assert_int_equal(decoder_new(&decoder, &options, NULL), 0);
	assert_int_equal(pthread_create(&client_thread, NULL, run_client, NULL),
			 0);
	pthread_mutex_lock(&lock);
	while (display_fd < 0) {
		pthread_mutex_unlock(&lock);
		run_server();
		pthread_mutex_lock(&lock);
	}
	pthread_mutex_unlock(&lock);
}

static void disconnect_client(void)
{
	shutdown(display_fd, SHUT_RDWR);
	pthread_join(client_thread, NULL);
	close(display_fd);
	display_fd = -1;
	close(main_fd);
	while (open_channels)
		run_server();
	decoder_free(decoder);
	decoder = NULL;
}

static void expect_same(int tolerance);

static int server_set_up(void **state)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(at);

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	server_loop.channel_event = channel_event;
	listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&at, size), 0);
	assert_int_equal(listen(listener, 8), 0);
	getsockname(listener, (struct sockaddr *)&at, &size);
	port = ntohs(at.sin_port);
	server = spice_server_new();
	spice_server_set_noauth(server);
	spice_server_set_streaming_video(server, SPICE_STREAM_VIDEO_OFF);
	spice_server_set_jpeg_compression(server, SPICE_WAN_COMPRESSION_NEVER);
	spice_server_set_zlib_glz_compression(server,
					      SPICE_WAN_COMPRESSION_NEVER);
	assert_int_equal(spice_server_init(server, &server_loop), 0);
	qxl.base.sif = &qxl_interface.base;
	assert_int_equal(spice_server_add_interface(server, &qxl.base), 0);
	watch_add(listener, 1, accept_client, NULL);
	connect_client();
	/* The server's worker crashes when a client leaves before its display
	 * is there. */
	expect_same(0);
	return 0;
}

static int server_tear_down(void **state)
{
	(void)state;
	disconnect_client();
	spice_server_destroy(server);
	close(listener);
	return 0;
}

/* Memory that lives as long as the command. */
static void *command_alloc(struct command *c, size_t size)
{
	void *p = calloc(1, size);

	if (!p || c->owned_count == 16)
		abort();
	c->owned[c->owned_count++] = p;
	return p;
}

static struct command *command_new(uint8_t type, QXLRect box)
{
	struct command *c = calloc(1, sizeof(*c));
	QXLDrawable *d = &c->drawable;

	d->release_info.id = (uintptr_t)c;
	d->effect = QXL_EFFECT_BLEND;
	d->type = type;
	d->bbox = box;
	d->surfaces_dest[0] = d->surfaces_dest[1] = d->surfaces_dest[2] = -1;
	return c;
}

/* A bitmap without content; its bytes are image->bitmap.data. */
static QXLImage *command_bitmap(struct command *c, uint8_t format, int width,
				int height, bool top_down)
{
	static const uint8_t bits[] = {0, 1, 1, 4, 4, 8, 16, 24, 32, 32};
	static uint32_t unique;
	QXLImage *image = command_alloc(c, sizeof(*image));
	QXLBitmap *bitmap = &image->bitmap;

	QXL_SET_IMAGE_ID(image, 1, ++unique);
	image->descriptor.type = SPICE_IMAGE_TYPE_BITMAP;
	image->descriptor.width = width;
	image->descriptor.height = height;
	bitmap->format = format;
	bitmap->flags =
		QXL_BITMAP_DIRECT | (top_down ? QXL_BITMAP_TOP_DOWN : 0);
	bitmap->x = width;
	bitmap->y = height;
	bitmap->stride = ((width * bits[format] + 7) / 8 + 3) & ~3;
	bitmap->data =
		(uintptr_t)command_alloc(c, (size_t)bitmap->stride * height);
	return image;
}

static void command_put(struct command *c)
{
	pthread_mutex_lock(&lock);
	*last_command = c;
	last_command = &c->next;
	pthread_mutex_unlock(&lock);
	spice_qxl_wakeup(&qxl);
}

static uint32_t random_state = 1;

static inline uint32_t next_random(void)
{
	random_state = random_state * 1664525 + 1013904223;
	return random_state >> 8;
}

/* Of one pixel: the largest of a component, or 255 for 16 bits. */
static int pixel_difference(const struct surface *s, int i)
{
	int worst = 0;

	if (pixel_size == 2)
		return ((s->pixels[i] & 0x7fff) ==
			((framebuffer[2 * i] | framebuffer[2 * i + 1] << 8) &
			 0x7fff))
			       ? 0
			       : 255;
	for (int k = 0; k < 3; k++) {
		int d = abs((int)(s->pixels[i] >> (8 * k) & 255) -
			    framebuffer[4 * i + k]);

		worst = d > worst ? d : worst;
	}
	return worst;
}

/* The largest of all, or 256 while there is no picture. */
static int difference(void)
{
	int worst = 0;
	struct surface *s;
	pixman_box32_t part;
	struct display *display;

	pthread_mutex_lock(&lock);
	display = decoder_display(decoder, 0);
	s = display ? display_visible(display, &part) : NULL;
	if (!s)
		worst = 256;
	for (int i = 0; s && i < WIDTH * HEIGHT; i++) {
		int d = pixel_difference(s, i);

		worst = d > worst ? d : worst;
	}
	pthread_mutex_unlock(&lock);
	return worst;
}

/* Lets everything pass, then the picture must be the server's. */
static void expect_same(int tolerance)
{
	QXLRect all = {0, 0, HEIGHT, WIDTH};
	int64_t end = now_ms() + PATIENCE * 1000;

	spice_qxl_update_area(&qxl, 0, &all, NULL, 0, 0);
	while (difference() > tolerance && now_ms() < end)
		run_server();
	assert_in_range(difference(), 0, tolerance);
	assert_int_equal(decoder_trouble(decoder)->damaged, 0);
	assert_int_equal(decoder_trouble(decoder)->missing, 0);
	assert_int_equal(decoder_trouble(decoder)->undrawn, 0);
}

#endif
