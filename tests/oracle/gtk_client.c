/* spice-client-glib in this process; see gtk_client.h. */
#include "tests/oracle/gtk_client.h"

#include <glib-unix.h>
#include <spice-client.h>
#include <spice/protocol.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "recorder/framer.h"
#include "recorder/link.h"

#define CHANNELS 32
#define SECOND UINT64_C(1000000000)

/* The leak checker can't follow spice-gtk's coroutines. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return 1;
}

/* What the next bytes of the client are. */
enum awaited { LINK_HEADER, LINK_MESS, AUTH, TICKET, HEADER, BODY };

struct gtk_channel {
	struct gtk_client *client;
	uint8_t type, id;
	int fd;    /* ours of the pair, -1 while there is none */
	bool left; /* the client has closed its own */
	guint watch;
	enum awaited awaited;
	size_t need;      /* bytes of it */
	struct buffer in; /* of it, so far */
	uint16_t message; /* whose body is awaited */
	bool attached;    /* main: the client asks for the channels */
	uint64_t serial;  /* of the last message sent */
	uint32_t pings, pongs;
	SpiceChannel *object;
	bool primary;
	unsigned updates;
	SpiceCursorShape *cursor;
	bool cursor_shown;
};

struct gtk_client {
	SpiceSession *session;
	struct link_key *key;
	struct gtk_channel *channels[CHANNELS];
	unsigned count;
	bool expired;
	uint64_t cpu;
	unsigned warnings;
	char warning[256];
};

static void put_result(struct gtk_channel *c)
{
	static const uint8_t ok[4];

	if (send(c->fd, ok, sizeof(ok), MSG_NOSIGNAL) != sizeof(ok))
		c->need = 0;
}

/* What libspice-server says of itself, but for mini headers. */
static void put_reply(struct gtk_channel *c)
{
	struct link_reply reply = {0};
	struct buffer out = {0};

	link_key_public(c->client->key, reply.key);
	link_caps_set(&reply.common, SPICE_COMMON_CAP_PROTOCOL_AUTH_SELECTION,
		      true);
	link_caps_set(&reply.common, SPICE_COMMON_CAP_AUTH_SPICE, true);
	if (c->type == SPICE_CHANNEL_DISPLAY)
		link_caps_set(&reply.channel, SPICE_DISPLAY_CAP_MONITORS_CONFIG,
			      true);
	link_reply_build(&out, &reply);
	if (out.failed ||
	    send(c->fd, out.data, out.size, MSG_NOSIGNAL) != (ssize_t)out.size)
		c->need = 0;
	buffer_free(&out);
}

static void await(struct gtk_channel *c, enum awaited what, size_t bytes)
{
	c->awaited = what;
	c->need = bytes;
}

static void take_message(struct gtk_channel *c)
{
	if (c->message == SPICE_MSGC_PONG && c->in.size >= 4)
		c->pongs = bytes_get_le32(c->in.data);
	if (c->type == SPICE_CHANNEL_MAIN &&
	    c->message == SPICE_MSGC_MAIN_ATTACH_CHANNELS)
		c->attached = true;
	await(c, HEADER, FRAMER_HEADER_FULL);
}

/* What was awaited is whole. */
static void take(struct gtk_channel *c)
{
	size_t body;
	uint32_t result;

	switch (c->awaited) {
	case LINK_HEADER:
		if (link_header_parse(c->in.data, &body, &result, NULL))
			body = 0;
		await(c, LINK_MESS, body);
		break;
	case LINK_MESS:
		put_reply(c);
		await(c, AUTH, 4);
		break;
	case AUTH:
		await(c, TICKET, LINK_TICKET_SIZE);
		break;
	case TICKET:
		put_result(c);
		await(c, HEADER, FRAMER_HEADER_FULL);
		break;
	case HEADER:
		c->message = c->in.data[8] | c->in.data[9] << 8;
		await(c, BODY, bytes_get_le32(c->in.data + 10));
		if (!c->need)
			take_message(c);
		break;
	case BODY:
		take_message(c);
		break;
	}
}

static void hang_up(struct gtk_channel *c)
{
	if (c->watch)
		g_source_remove(c->watch);
	c->watch = 0;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->left = true;
}

static gboolean on_readable(gint fd, GIOCondition condition, gpointer data)
{
	struct gtk_channel *c = data;
	uint8_t *room = buffer_grow(&c->in, c->need - c->in.size);
	size_t want = c->need - (room ? (size_t)(room - c->in.data) : 0);
	ssize_t n = room ? recv(fd, room, want, MSG_DONTWAIT) : 0;

	(void)condition;
	if (n < 0 && errno == EAGAIN)
		n = 0;
	else if (n <= 0) {
		c->watch = 0;
		hang_up(c);
		return G_SOURCE_REMOVE;
	}
	c->in.size -= want - (size_t)n;
	if (c->in.size == c->need) {
		take(c);
		c->in.size = 0;
	}
	return G_SOURCE_CONTINUE;
}

static uint64_t thread_cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static void iterate(struct gtk_client *client)
{
	uint64_t begin = thread_cpu();

	g_main_context_iteration(NULL, TRUE);
	client->cpu += thread_cpu() - begin;
}

static gboolean on_expired(gpointer data)
{
	struct gtk_client *client = data;

	client->expired = true;
	return G_SOURCE_CONTINUE;
}

/* Runs the client until done(channel) or the patience ends. */
static int run_until(struct gtk_channel *c,
		     bool (*done)(const struct gtk_channel *), const char *what,
		     struct error *error)
{
	guint timer;

	if (!c->left && done(c))
		return 0;
	c->client->expired = false;
	timer = g_timeout_add_seconds(GTK_CLIENT_PATIENCE, on_expired,
				      c->client);
	while (!c->left && !done(c) && !c->client->expired)
		iterate(c->client);
	g_source_remove(timer);
	if (c->left)
		return error_set(error, EPIPE, "the client left channel %u.%u",
				 c->type, c->id);
	if (!done(c))
		return error_set(error, ETIMEDOUT,
				 "channel %u.%u of the client did not %s",
				 c->type, c->id, what);
	return 0;
}

static void on_primary_create(SpiceChannel *object, gint format, gint width,
			      gint height, gint stride, gint shmid,
			      gpointer data, struct gtk_channel *c)
{
	(void)object, (void)format, (void)width, (void)height;
	(void)stride, (void)shmid, (void)data;
	c->primary = true;
}

static void on_primary_destroy(SpiceChannel *object, struct gtk_channel *c)
{
	(void)object;
	c->primary = false;
}

static void on_invalidate(SpiceChannel *object, gint x, gint y, gint width,
			  gint height, struct gtk_channel *c)
{
	(void)object, (void)x, (void)y, (void)width, (void)height;
	c->updates++;
}

static void on_cursor_set(SpiceChannel *object, gint width, gint height,
			  gint hot_x, gint hot_y, gpointer rgba,
			  struct gtk_channel *c)
{
	(void)object, (void)width, (void)height, (void)hot_x, (void)hot_y;
	c->cursor_shown = rgba != NULL;
}

static void on_cursor_gone(SpiceChannel *object, struct gtk_channel *c)
{
	(void)object;
	c->cursor_shown = false;
}

/* Our end of a new pair is the channel's; the client's is returned, or -1. */
static int add_pair(struct gtk_channel *c)
{
	int fds[2], room = 8 << 20;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return -1;
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	c->fd = fds[0];
	await(c, LINK_HEADER, LINK_HEADER_SIZE);
	c->watch = g_unix_fd_add(fds[0], G_IO_IN | G_IO_HUP, on_readable, c);
	return fds[1];
}

static struct gtk_channel *channel_new(struct gtk_client *client, uint8_t type,
				       uint8_t id)
{
	struct gtk_channel *c;

	if (client->count == CHANNELS)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	*c = (struct gtk_channel){
		.client = client, .type = type, .id = id, .fd = -1};
	return client->channels[client->count++] = c;
}

static void follow(struct gtk_channel *c)
{
	SpiceChannel *o = c->object;

	if (c->type == SPICE_CHANNEL_DISPLAY) {
		g_signal_connect(o, "display-primary-create",
				 G_CALLBACK(on_primary_create), c);
		g_signal_connect(o, "display-primary-destroy",
				 G_CALLBACK(on_primary_destroy), c);
		g_signal_connect(o, "display-invalidate",
				 G_CALLBACK(on_invalidate), c);
	} else if (c->type == SPICE_CHANNEL_CURSOR) {
		g_signal_connect(o, "cursor-set", G_CALLBACK(on_cursor_set), c);
		g_signal_connect(o, "cursor-hide", G_CALLBACK(on_cursor_gone),
				 c);
		g_signal_connect(o, "cursor-reset", G_CALLBACK(on_cursor_gone),
				 c);
	}
}

/* The client made a channel that gtk_client_open() has listed. */
static void on_channel(SpiceSession *session, SpiceChannel *object,
		       struct gtk_client *client)
{
	int type, id, fd;

	(void)session;
	g_object_get(object, "channel-type", &type, "channel-id", &id, NULL);
	for (unsigned i = 0; i < client->count; i++) {
		struct gtk_channel *c = client->channels[i];

		if (c->type != type || c->id != id || c->object)
			continue;
		c->object = g_object_ref(object);
		follow(c);
		fd = type == SPICE_CHANNEL_MAIN ? -1 : add_pair(c);
		if (fd >= 0)
			spice_channel_open_fd(object, fd);
	}
}

static GLogWriterOutput on_log(GLogLevelFlags level, const GLogField *fields,
			       gsize count, gpointer data)
{
	struct gtk_client *client = data;

	if (!(level &
	      (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING)))
		return G_LOG_WRITER_HANDLED;
	client->warnings++;
	for (gsize i = 0; i < count; i++)
		if (!strcmp(fields[i].key, "MESSAGE"))
			snprintf(client->warning, sizeof(client->warning), "%s",
				 (const char *)fields[i].value);
	if (level & G_LOG_LEVEL_ERROR)
		fprintf(stderr, "the client ends: %s\n", client->warning);
	return G_LOG_WRITER_HANDLED;
}

/* The writer can be set once, so its client is whichever there is. */
static struct gtk_client *the_client;

static GLogWriterOutput on_any_log(GLogLevelFlags level,
				   const GLogField *fields, gsize count,
				   gpointer data)
{
	(void)data;
	if (the_client)
		on_log(level, fields, count, the_client);
	return G_LOG_WRITER_HANDLED;
}

static void silence_desktop(void)
{
	static bool done;

	if (done)
		return;
	done = true;
	g_setenv("GSETTINGS_BACKEND", "memory", TRUE);
	g_setenv("GIO_USE_VFS", "local", TRUE);
	g_setenv("GIO_USE_PROXY_RESOLVER", "dummy", TRUE);
	/* Where there is a choice, not the library that we use ourselves. */
	g_setenv("GST_PLUGIN_FEATURE_RANK", "avdec_vp8:NONE,avdec_vp9:NONE",
		 TRUE);
	g_setenv("DBUS_SESSION_BUS_ADDRESS", "disabled:", TRUE);
	g_log_set_writer_func(on_any_log, NULL, NULL);
}

static bool is_attached(const struct gtk_channel *c)
{
	return c->attached;
}

static bool is_linked(const struct gtk_channel *c)
{
	return c->awaited >= HEADER;
}

/* Links main and says what a server says first. */
static int open_main(struct gtk_client *client, struct error *error)
{
	struct gtk_channel *c = channel_new(client, SPICE_CHANNEL_MAIN, 0);
	uint8_t init[32] = {1, 0, 0, 0, 1};
	int fd = c ? add_pair(c) : -1, r;

	if (fd < 0)
		return error_errno(error, errno, "cannot open main");
	bytes_put_le32(init + 8, SPICE_MOUSE_MODE_SERVER);
	bytes_put_le32(init + 12, SPICE_MOUSE_MODE_SERVER);
	bytes_put_le32(init + 20, 10);   /* agent tokens */
	bytes_put_le32(init + 24, 1000); /* multimedia time, ms */
	if (!spice_session_open_fd(client->session, fd))
		return error_set(error, EPIPE, "the client opens no main");
	r = run_until(c, is_linked, "link", error);
	if (!r)
		r = gtk_channel_send(
			c,
			&(struct gtk_message){.serial = 1,
					      .type = SPICE_MSG_MAIN_INIT,
					      .body = init,
					      .size = sizeof(init)},
			error);
	return r ? r : run_until(c, is_attached, "ask for channels", error);
}

int gtk_client_new(struct gtk_client **client, struct error *error)
{
	struct gtk_client *c = calloc(1, sizeof(*c));
	int r;

	*client = NULL;
	if (!c)
		return error_set(error, ENOMEM, "no memory for a client");
	silence_desktop();
	the_client = c;
	c->session = spice_session_new();
	g_object_set(c->session, "enable-audio", FALSE, "enable-smartcard",
		     FALSE, "enable-usbredir", FALSE, NULL);
	g_signal_connect(c->session, "channel-new", G_CALLBACK(on_channel), c);
	r = link_key_new(&c->key, error);
	if (!r)
		r = open_main(c, error);
	if (r)
		gtk_client_free(c);
	else
		*client = c;
	return r;
}

static void forget_cursor(struct gtk_channel *c)
{
	if (c->cursor)
		g_boxed_free(SPICE_TYPE_CURSOR_SHAPE, c->cursor);
	c->cursor = NULL;
}

void gtk_client_free(struct gtk_client *client)
{
	if (!client)
		return;
	for (unsigned i = 0; i < client->count; i++) {
		struct gtk_channel *c = client->channels[i];

		hang_up(c);
		buffer_free(&c->in);
		forget_cursor(c);
		if (c->object) {
			g_signal_handlers_disconnect_by_data(c->object, c);
			g_object_unref(c->object);
		}
	}
	g_signal_handlers_disconnect_by_data(client->session, client);
	spice_session_disconnect(client->session);
	g_object_unref(client->session);
	while (g_main_context_iteration(NULL, FALSE))
		;
	the_client = NULL;
	for (unsigned i = 0; i < client->count; i++)
		free(client->channels[i]);
	link_key_free(client->key);
	free(client);
}

struct gtk_channel *gtk_client_main(struct gtk_client *client)
{
	return client->channels[0];
}

struct gtk_channel *gtk_client_open(struct gtk_client *client, uint8_t type,
				    uint8_t id, struct error *error)
{
	struct gtk_channel *c = channel_new(client, type, id);
	const uint8_t list[] = {1, 0, 0, 0, type, id};
	struct gtk_message m = {.serial = client->count,
				.type = SPICE_MSG_MAIN_CHANNELS_LIST,
				.body = list,
				.size = sizeof(list)};

	if (!c) {
		error_set(error, ENOMEM, "too many channels");
		return NULL;
	}
	if (gtk_channel_send(client->channels[0], &m, error))
		return NULL;
	return run_until(c, is_linked, "link", error) ? NULL : c;
}

uint64_t gtk_client_cpu(const struct gtk_client *client)
{
	return client->cpu;
}

unsigned gtk_client_warnings(const struct gtk_client *client, const char **last)
{
	*last = client->warning;
	return client->warnings;
}

/* The client reads while we write: the pair holds less than a message. */
static int write_all(struct gtk_channel *c, const uint8_t *data, size_t size,
		     struct error *error)
{
	while (size && c->fd >= 0) {
		ssize_t n =
			send(c->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0) {
			data += n;
			size -= (size_t)n;
		} else if (errno == EAGAIN) {
			iterate(c->client);
		} else {
			hang_up(c);
		}
	}
	if (!size)
		return 0;
	return error_set(error, EPIPE, "the client left channel %u.%u", c->type,
			 c->id);
}

int gtk_channel_send(struct gtk_channel *c, const struct gtk_message *m,
		     struct error *error)
{
	uint8_t header[FRAMER_HEADER_FULL];
	int r;

	c->serial = m->serial;
	bytes_put_le64(header, m->serial);
	bytes_put_le16(header + 8, m->type);
	bytes_put_le32(header + 10, (uint32_t)m->size);
	bytes_put_le32(header + 14, m->sub_list);
	r = write_all(c, header, sizeof(header), error);
	return r ? r : write_all(c, m->body, m->size, error);
}

int gtk_channel_insert(struct gtk_channel *c, const struct gtk_message *m,
		       struct error *error)
{
	struct gtk_message inserted = *m;

	inserted.serial = c->serial;
	return gtk_channel_send(c, &inserted, error);
}

int gtk_channel_ping(struct gtk_channel *c, struct error *error)
{
	uint8_t body[12] = {0};
	struct gtk_message m = {
		.type = SPICE_MSG_PING, .body = body, .size = sizeof(body)};

	bytes_put_le32(body, ++c->pings);
	return gtk_channel_insert(c, &m, error);
}

static bool is_answered(const struct gtk_channel *c)
{
	return c->pings == c->pongs;
}

int gtk_channel_catch_up(struct gtk_channel *c, struct error *error)
{
	return run_until(c, is_answered, "answer", error);
}

int gtk_channel_wait(struct gtk_channel *c, struct error *error)
{
	int r = gtk_channel_ping(c, error);

	return r ? r : gtk_channel_catch_up(c, error);
}

void gtk_client_run(struct gtk_client *client, unsigned ms)
{
	guint timer = g_timeout_add(ms, on_expired, client);

	client->expired = false;
	iterate(client);
	g_source_remove(timer);
}

bool gtk_channel_primary(const struct gtk_channel *c, struct gtk_picture *p)
{
	SpiceDisplayPrimary primary;

	if (!c->primary ||
	    !spice_display_channel_get_primary(c->object, 0, &primary))
		return false;
	*p = (struct gtk_picture){.format = primary.format,
				  .width = primary.width,
				  .height = primary.height,
				  .stride = primary.stride,
				  .data = primary.data};
	return true;
}

unsigned gtk_channel_updates(const struct gtk_channel *c)
{
	return c->updates;
}

bool gtk_channel_cursor(struct gtk_channel *c, struct gtk_cursor *cursor)
{
	forget_cursor(c);
	g_object_get(c->object, "cursor", &c->cursor, NULL);
	if (c->cursor)
		*cursor = (struct gtk_cursor){.width = c->cursor->width,
					      .height = c->cursor->height,
					      .hot_x = c->cursor->hot_spot_x,
					      .hot_y = c->cursor->hot_spot_y,
					      .rgba = c->cursor->data};
	return c->cursor && c->cursor_shown;
}
