/*
 * spice_watch - a headless SPICE client on spice-client-glib.
 *
 *   spice_watch [--seconds N] [--picture FILE.ppm] [--keys TEXT]
 *               [--heads N] FILE.vv
 *
 * Connects as remote-viewer does with the .vv file, opens every channel, and
 * prints a line for each thing that happens ("open display 0", "primary 0
 * 1024x768", "error main 0: auth"). Ends after N seconds, on SIGTERM or
 * when the main channel closes; writes what the first display's primary
 * surface shows then. Exit status: 0 when a picture had come, 2 when access
 * was refused, 1 otherwise.
 */
#include <signal.h>
#include <spice-client.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <glib-unix.h>

/* The leak checker can't follow spice-gtk's coroutines. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return 1;
}

struct watch {
	SpiceSession *session;
	SpiceChannel *display; /* display 0 */
	GMainLoop *loop;
	char *picture;
	char *keys;
	int heads; /* monitors to ask the guest's agent for, 0 = as it likes */
	guint64 audio_bytes;
	unsigned updates;
	int have_primary;
	int saved;
	int refused;
};

static const char *type_name(SpiceChannel *channel)
{
	int type;

	g_object_get(channel, "channel-type", &type, NULL);
	return spice_channel_type_to_string(type);
}

static int channel_id(SpiceChannel *channel)
{
	int id;

	g_object_get(channel, "channel-id", &id, NULL);
	return id;
}

/* xRGB rows to a PPM; -1 when there is nothing to write. */
static int save_picture(struct watch *w)
{
	SpiceDisplayPrimary p;
	FILE *f;
	int x, y;

	if (!w->picture || !w->display ||
	    !spice_display_channel_get_primary(w->display, 0, &p) || !p.data)
		return -1;
	f = fopen(w->picture, "wb");
	if (!f)
		return -1;
	fprintf(f, "P6\n%d %d\n255\n", p.width, p.height);
	for (y = 0; y < p.height; y++) {
		const guint8 *row = p.data + (gssize)y * p.stride;

		for (x = 0; x < p.width; x++, row += 4) {
			const guint8 rgb[3] = {row[2], row[1], row[0]};

			fwrite(rgb, 1, 3, f);
		}
	}
	w->saved = 1;
	printf("picture %s %dx%d\n", w->picture, p.width, p.height);
	return fclose(f);
}

static void on_primary_create(SpiceChannel *channel, gint format, gint width,
			      gint height, gint stride, gint shmid,
			      gpointer data, struct watch *w)
{
	(void)format, (void)stride, (void)shmid, (void)data;
	printf("primary %d %dx%d\n", channel_id(channel), width, height);
	w->have_primary = 1;
}

static void on_primary_destroy(SpiceChannel *channel, struct watch *w)
{
	(void)w;
	printf("primary %d gone\n", channel_id(channel));
}

static void on_invalidate(SpiceChannel *channel, gint x, gint y, gint width,
			  gint height, struct watch *w)
{
	(void)channel, (void)x, (void)y, (void)width, (void)height;
	w->updates++;
}

static void on_playback_start(SpiceChannel *channel, gint format,
			      gint channels, gint rate, struct watch *w)
{
	(void)channel, (void)w;
	printf("playback format %d channels %d rate %d\n", format, channels,
	       rate);
}

static void on_playback_data(SpiceChannel *channel, gpointer data, gint size,
			     struct watch *w)
{
	(void)channel, (void)data;
	w->audio_bytes += size;
}

static gboolean press_keys(gpointer data)
{
	/* Set 1 scan codes of a to z, enough for a test to be seen. */
	static const guint8 codes[] = {
		30, 48, 46, 32, 18, 33, 34, 35, 23, 36, 37, 38, 50,
		49, 24, 25, 16, 19, 31, 20, 22, 47, 17, 45, 21, 44,
	};
	SpiceInputsChannel *inputs = data;
	const char *p = g_object_get_data(data, "keys");

	for (; *p; p++)
		if (*p >= 'a' && *p <= 'z')
			spice_inputs_channel_key_press_and_release(
				inputs, codes[*p - 'a']);
	return G_SOURCE_REMOVE;
}

/* The agent is there: tells it of monitors side by side, as a viewer does. */
static void on_agent(SpiceMainChannel *channel, GParamSpec *pspec,
		     struct watch *w)
{
	gboolean connected;
	int i;

	(void)pspec;
	g_object_get(channel, "agent-connected", &connected, NULL);
	printf("agent %s\n", connected ? "connected" : "gone");
	if (!connected || w->heads == 0)
		return;
	for (i = 0; i < w->heads; i++) {
		spice_main_channel_update_display_enabled(channel, i, TRUE,
							  FALSE);
		spice_main_channel_update_display(channel, i, i * 640, 0, 640,
						  480, FALSE);
	}
	spice_main_channel_send_monitor_config(channel);
}

static void on_monitors(SpiceChannel *channel, GParamSpec *pspec,
			struct watch *w)
{
	GArray *monitors = NULL;

	(void)pspec, (void)w;
	g_object_get(channel, "monitors", &monitors, NULL);
	printf("monitors %d: %u\n", channel_id(channel),
	       monitors ? monitors->len : 0);
	if (monitors)
		g_array_unref(monitors);
}

static const char *failure_name(SpiceChannelEvent event)
{
	switch (event) {
	case SPICE_CHANNEL_CLOSED:
		return "closed";
	case SPICE_CHANNEL_ERROR_AUTH:
		return "auth";
	case SPICE_CHANNEL_ERROR_CONNECT:
		return "connect";
	case SPICE_CHANNEL_ERROR_TLS:
		return "tls";
	case SPICE_CHANNEL_ERROR_LINK:
		return "link";
	case SPICE_CHANNEL_ERROR_IO:
		return "io";
	default:
		return NULL;
	}
}

static void on_event(SpiceChannel *channel, SpiceChannelEvent event,
		     struct watch *w)
{
	const char *what = failure_name(event);

	if (event == SPICE_CHANNEL_OPENED) {
		printf("open %s %d\n", type_name(channel),
		       channel_id(channel));
		if (w->keys && SPICE_IS_INPUTS_CHANNEL(channel)) {
			g_object_set_data(G_OBJECT(channel), "keys", w->keys);
			g_timeout_add(1000, press_keys, channel);
		}
	}
	if (!what)
		return;
	if (event == SPICE_CHANNEL_ERROR_AUTH)
		w->refused = 1;
	printf("%s %s %d: %s\n",
	       event == SPICE_CHANNEL_CLOSED ? "close" : "error",
	       type_name(channel), channel_id(channel), what);
	if (SPICE_IS_MAIN_CHANNEL(channel)) {
		if (!w->saved)
			save_picture(w);
		g_main_loop_quit(w->loop);
	}
}

static void on_channel(SpiceSession *session, SpiceChannel *channel,
		       struct watch *w)
{
	(void)session;
	g_signal_connect(channel, "channel-event", G_CALLBACK(on_event), w);
	if (SPICE_IS_MAIN_CHANNEL(channel)) {
		g_signal_connect(channel, "notify::agent-connected",
				 G_CALLBACK(on_agent), w);
	}
	if (SPICE_IS_DISPLAY_CHANNEL(channel)) {
		if (channel_id(channel) == 0)
			w->display = channel;
		g_signal_connect(channel, "notify::monitors",
				 G_CALLBACK(on_monitors), w);
		g_signal_connect(channel, "display-primary-create",
				 G_CALLBACK(on_primary_create), w);
		g_signal_connect(channel, "display-primary-destroy",
				 G_CALLBACK(on_primary_destroy), w);
		g_signal_connect(channel, "display-invalidate",
				 G_CALLBACK(on_invalidate), w);
	}
	if (SPICE_IS_PLAYBACK_CHANNEL(channel)) {
		g_signal_connect(channel, "playback-start",
				 G_CALLBACK(on_playback_start), w);
		g_signal_connect(channel, "playback-data",
				 G_CALLBACK(on_playback_data), w);
	}
	spice_channel_connect(channel);
}

/* The keys of the .vv file that remote-viewer gives to its session. */
static int load_vv(SpiceSession *session, const char *path)
{
	static const char *const keys[][2] = {
		{"host", "host"}, {"tls-port", "tls-port"},
		{"port", "port"}, {"password", "password"},
		{"host-subject", "cert-subject"},
	};
	GKeyFile *file = g_key_file_new();
	GError *error = NULL;
	GByteArray *ca;
	char *text;
	gsize i;

	if (!g_key_file_load_from_file(file, path, G_KEY_FILE_NONE, &error)) {
		fprintf(stderr, "spice_watch: %s: %s\n", path, error->message);
		return -1;
	}
	for (i = 0; i < G_N_ELEMENTS(keys); i++) {
		text = g_key_file_get_string(file, "virt-viewer", keys[i][0],
					     NULL);
		if (text)
			g_object_set(session, keys[i][1], text, NULL);
		g_free(text);
	}
	text = g_key_file_get_string(file, "virt-viewer", "ca", NULL);
	if (text) {
		ca = g_byte_array_new_take((guint8 *)text, strlen(text));
		g_object_set(session, "ca", ca, NULL);
		g_byte_array_unref(ca);
	}
	/* A subject takes the place of the host name, as in remote-viewer. */
	g_object_set(session, "verify",
		     g_key_file_has_key(file, "virt-viewer", "host-subject",
					NULL) ? SPICE_SESSION_VERIFY_SUBJECT
					      : SPICE_SESSION_VERIFY_HOSTNAME,
		     NULL);
	g_key_file_free(file);
	return 0;
}

static gboolean on_end(gpointer data)
{
	struct watch *w = data;

	save_picture(w);
	g_main_loop_quit(w->loop);
	return G_SOURCE_REMOVE;
}

int main(int argc, char **argv)
{
	struct watch w = {0};
	int seconds = 0;
	GOptionEntry options[] = {
		{"seconds", 0, 0, G_OPTION_ARG_INT, &seconds,
		 "leave after that long", "N"},
		{"picture", 0, 0, G_OPTION_ARG_FILENAME, &w.picture,
		 "write the last picture", "FILE.ppm"},
		{"keys", 0, 0, G_OPTION_ARG_STRING, &w.keys,
		 "type these letters", "TEXT"},
		{"heads", 0, 0, G_OPTION_ARG_INT, &w.heads,
		 "ask the guest for that many monitors", "N"},
		{0},
	};
	GOptionContext *context = g_option_context_new("FILE.vv");
	GError *error = NULL;

	g_option_context_add_main_entries(context, options, NULL);
	if (!g_option_context_parse(context, &argc, &argv, &error) ||
	    argc != 2) {
		fprintf(stderr, "spice_watch: %s\n",
			error ? error->message : "give one .vv file");
		return 64;
	}
	g_option_context_free(context);
	setvbuf(stdout, NULL, _IOLBF, 0);
	w.loop = g_main_loop_new(NULL, FALSE);
	w.session = spice_session_new();
	if (load_vv(w.session, argv[1]) < 0)
		return 64;
	g_signal_connect(w.session, "channel-new", G_CALLBACK(on_channel), &w);
	g_unix_signal_add(SIGTERM, on_end, &w);
	g_unix_signal_add(SIGINT, on_end, &w);
	if (seconds > 0)
		g_timeout_add_seconds(seconds, on_end, &w);
	if (spice_session_connect(w.session))
		g_main_loop_run(w.loop);
	printf("updates %u audio %llu\n", w.updates,
	       (unsigned long long)w.audio_bytes);
	spice_session_disconnect(w.session);
	return w.have_primary ? 0 : w.refused ? 2 : 1;
}
