/* QXL devices on libspice-server; see device.h. */
#include "tests/oracle/device.h"

#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/server_loop.h"

#define DEVICES 4

static SpiceServer *server;
static int listener = -1, open_channels;
static struct device *devices[DEVICES];
static unsigned device_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Surfaces' memory that the server may still write to. */
static void **retired;
static size_t retired_count;

static struct device *device_of(QXLInstance *qxl)
{
	return (struct device *)(void *)qxl;
}

static void attached_worker(QXLInstance *qxl)
{
	QXLDevMemSlot slot = {.virt_end = ~(uintptr_t)0, .qxl_ram_size = ~0u};

	spice_qxl_add_memslot(qxl, &slot);
}

static void set_compression_level(QXLInstance *qxl, int level)
{
	(void)qxl;
	(void)level;
}

static void get_init_info(QXLInstance *qxl, QXLDevInitInfo *info)
{
	(void)qxl;
	*info = (QXLDevInitInfo){.num_memslots_groups = 1,
				 .num_memslots = 1,
				 .memslot_gen_bits = 1,
				 .memslot_id_bits = 1,
				 .qxl_ram_size = 64 << 20,
				 .n_surfaces = 1024};
}

static int take(struct device *d, int queue, struct QXLCommandExt *ext)
{
	struct command *c;

	pthread_mutex_lock(&lock);
	c = d->first[queue];
	if (c) {
		d->first[queue] = c->next;
		if (!c->next)
			d->last[queue] = &d->first[queue];
	}
	pthread_mutex_unlock(&lock);
	if (!c)
		return 0;
	*ext = (struct QXLCommandExt){
		.cmd = {.data = (uintptr_t)c, .type = c->type}};
	return 1;
}

static int is_empty(struct device *d, int queue)
{
	int empty;

	pthread_mutex_lock(&lock);
	empty = !d->first[queue];
	pthread_mutex_unlock(&lock);
	return empty;
}

static int get_command(QXLInstance *qxl, struct QXLCommandExt *ext)
{
	return take(device_of(qxl), 0, ext);
}

static int get_cursor_command(QXLInstance *qxl, struct QXLCommandExt *ext)
{
	return take(device_of(qxl), 1, ext);
}

static int await_command(QXLInstance *qxl)
{
	return is_empty(device_of(qxl), 0);
}

static int await_cursor_command(QXLInstance *qxl)
{
	return is_empty(device_of(qxl), 1);
}

void command_free(struct command *c)
{
	while (c->owned_count)
		free(c->owned[--c->owned_count]);
	free(c);
}

static void release_resource(QXLInstance *qxl, struct QXLReleaseInfoExt info)
{
	(void)qxl;
	command_free((struct command *)(uintptr_t)info.info->id);
}

static void notify_update(QXLInstance *qxl, uint32_t id)
{
	(void)qxl;
	(void)id;
}

static int flush_resources(QXLInstance *qxl)
{
	(void)qxl;
	return 0;
}

static void async_complete(QXLInstance *qxl, uint64_t cookie)
{
	(void)cookie;
	__atomic_add_fetch(&device_of(qxl)->monitors_done, 1, __ATOMIC_SEQ_CST);
}

static void update_area_complete(QXLInstance *qxl, uint32_t surface,
				 struct QXLRect *dirty, uint32_t count)
{
	(void)qxl, (void)surface, (void)dirty, (void)count;
}

static const QXLInterface qxl_interface = {
	.base = {.type = SPICE_INTERFACE_QXL,
		 .description = "oracle",
		 .major_version = SPICE_INTERFACE_QXL_MAJOR,
		 .minor_version = SPICE_INTERFACE_QXL_MINOR},
	.attached_worker = attached_worker,
	.set_compression_level = set_compression_level,
	.get_init_info = get_init_info,
	.get_command = get_command,
	.req_cmd_notification = await_command,
	.release_resource = release_resource,
	.get_cursor_command = get_cursor_command,
	.req_cursor_notification = await_cursor_command,
	.notify_update = notify_update,
	.flush_resources = flush_resources,
	.async_complete = async_complete,
	.update_area_complete = update_area_complete,
};

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

SpiceServer *device_server_new(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	signal(SIGPIPE, SIG_IGN);
	server_loop.channel_event = channel_event;
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) ||
	    listen(listener, 16))
		abort();
	server = spice_server_new();
	spice_server_set_noauth(server);
	if (spice_server_init(server, &server_loop))
		abort();
	watch_add(listener, 1, accept_client, NULL);
	return server;
}

int device_port(void)
{
	struct sockaddr_in at;
	socklen_t size = sizeof(at);

	getsockname(listener, (struct sockaddr *)&at, &size);
	return ntohs(at.sin_port);
}

void device_run(void)
{
	run_server();
}

int device_open_channels(void)
{
	return open_channels;
}

static void retire(void *memory)
{
	retired = realloc(retired, (retired_count + 1) * sizeof(*retired));
	if (!retired)
		abort();
	retired[retired_count++] = memory;
}

static uint32_t bits_of(uint32_t format)
{
	switch (format) {
	case SPICE_SURFACE_FMT_1_A:
		return 1;
	case SPICE_SURFACE_FMT_8_A:
		return 8;
	case SPICE_SURFACE_FMT_16_555:
	case SPICE_SURFACE_FMT_16_565:
		return 16;
	}
	return 32;
}

static void canvas_init(struct canvas *canvas, uint32_t id, uint32_t width,
			uint32_t height, uint32_t format)
{
	int32_t stride = (width * bits_of(format) + 31) / 32 * 4;

	*canvas = (struct canvas){.id = id,
				  .format = format,
				  .width = width,
				  .height = height,
				  .stride = stride,
				  .data = calloc(height, stride),
				  .alive = true};
	if (!canvas->data)
		abort();
	retire(canvas->data);
}

static void create_primary(struct device *d, uint32_t width, uint32_t height,
			   uint32_t format)
{
	QXLDevSurfaceCreate primary = {.width = width,
				       .height = height,
				       .format = format,
				       .mouse_mode = 1};

	canvas_init(&d->canvases[0], 0, width, height, format);
	primary.stride = d->canvases[0].stride;
	primary.mem = (uintptr_t)d->canvases[0].data;
	spice_qxl_create_primary_surface(&d->qxl, 0, &primary);
}

struct device *device_new(unsigned id, uint32_t width, uint32_t height,
			  uint32_t format)
{
	struct device *d = calloc(1, sizeof(*d));

	if (!d || device_count == DEVICES)
		abort();
	d->last[0] = &d->first[0];
	d->last[1] = &d->first[1];
	d->qxl.base.sif = &qxl_interface.base;
	d->qxl.id = (int)id;
	if (spice_server_add_interface(server, &d->qxl.base))
		abort();
	create_primary(d, width, height, format);
	return devices[device_count++] = d;
}

void device_start(void)
{
	spice_server_vm_start(server);
}

void device_resize(struct device *d, uint32_t width, uint32_t height,
		   uint32_t format)
{
	spice_qxl_destroy_primary_surface(&d->qxl, 0);
	create_primary(d, width, height, format);
}

struct canvas *device_add_surface(struct device *d, uint32_t width,
				  uint32_t height, uint32_t format)
{
	struct command *c;
	uint32_t id = 1;

	while (id < DEVICE_SURFACES && d->canvases[id].alive)
		id++;
	if (id == DEVICE_SURFACES)
		return NULL;
	canvas_init(&d->canvases[id], id, width, height, format);
	c = command_new(QXL_CMD_SURFACE);
	c->surface.surface_id = id;
	c->surface.type = QXL_SURFACE_CMD_CREATE;
	c->surface.u.surface_create =
		(QXLSurface){.format = format,
			     .width = width,
			     .height = height,
			     .stride = d->canvases[id].stride,
			     .data = (uintptr_t)d->canvases[id].data};
	device_put(d, c);
	return &d->canvases[id];
}

void device_drop_surface(struct device *d, struct canvas *canvas)
{
	struct command *c = command_new(QXL_CMD_SURFACE);

	c->surface.surface_id = canvas->id;
	c->surface.type = QXL_SURFACE_CMD_DESTROY;
	device_put(d, c);
	canvas->alive = false;
}

void device_update(struct device *d, const struct canvas *canvas)
{
	QXLRect all = {0, 0, (int)canvas->height, (int)canvas->width};

	spice_qxl_update_area(&d->qxl, canvas->id, &all, NULL, 0, 0);
}

struct command *command_new(uint32_t type)
{
	struct command *c = calloc(1, sizeof(*c));

	if (!c)
		abort();
	c->release.id = (uintptr_t)c;
	c->type = type;
	return c;
}

void *command_alloc(struct command *c, size_t size)
{
	void *memory = calloc(1, size);

	if (!memory || c->owned_count == sizeof(c->owned) / sizeof(c->owned[0]))
		abort();
	c->owned[c->owned_count++] = memory;
	return memory;
}

void device_put(struct device *d, struct command *c)
{
	int queue = c->type == QXL_CMD_CURSOR;

	pthread_mutex_lock(&lock);
	*d->last[queue] = c;
	d->last[queue] = &c->next;
	pthread_mutex_unlock(&lock);
	spice_qxl_wakeup(&d->qxl);
}

void device_server_free(void)
{
	spice_server_destroy(server);
	close(listener);
	for (unsigned i = 0; i < device_count; i++)
		free(devices[i]);
	while (retired_count)
		free(retired[--retired_count]);
	free(retired);
	retired = NULL;
	device_count = 0;
}
