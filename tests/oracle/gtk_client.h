/*
 * spice-client-glib in this process, fed with server messages one by one.
 *
 * It is a second opinion on what messages mean: the caller is the server of
 * every channel, sends what it likes, waits until the client has done it,
 * and looks at the client's primary surface and pointer. No display, no
 * sound, no desktop bus. Everything runs on the caller's thread (but video
 * decoders of GStreamer); one client at a time.
 *
 *	gtk_client_new(&client, &error);
 *	display = gtk_client_open(client, SPICE_CHANNEL_DISPLAY, 0, &error);
 *	gtk_channel_send(display, &message, &error);
 *	gtk_channel_wait(display, &error);
 *	gtk_channel_primary(display, &picture);
 *
 * Links have full headers, so that serials are the caller's to choose: those
 * of a recording stay right whatever is put in between.
 *
 * On failure functions return a negative errno: -EPIPE when the client has
 * left the channel, -ETIMEDOUT when it did nothing for GTK_CLIENT_PATIENCE.
 */
#ifndef TESTS_ORACLE_GTK_CLIENT_H
#define TESTS_ORACLE_GTK_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/error.h"

#define GTK_CLIENT_PATIENCE 20 /* s */

struct gtk_client;
struct gtk_channel; /* lives as long as its client */

struct gtk_message {
	uint64_t serial;
	uint16_t type;
	uint32_t sub_list; /* offset in the body, 0 = none */
	const void *body;
	size_t size;
};

/* The client's own memory; may be written to. */
struct gtk_picture {
	uint32_t format; /* SPICE_SURFACE_FMT_* */
	uint32_t width, height;
	size_t stride; /* bytes */
	uint8_t *data; /* top row first */
};

/* As shown: 4 bytes a pixel R, G, B, A; borrowed until the next call. */
struct gtk_cursor {
	uint32_t width, height, hot_x, hot_y;
	const uint8_t *rgba;
};

/* Its main channel is open then. */
int gtk_client_new(struct gtk_client **client, struct error *error);
void gtk_client_free(struct gtk_client *client);

/*
 * Has the client open a channel: type is SPICE_CHANNEL_DISPLAY or _CURSOR.
 * NULL and the error when it does not.
 */
struct gtk_channel *gtk_client_open(struct gtk_client *client, uint8_t type,
				    uint8_t id, struct error *error);
struct gtk_channel *gtk_client_main(struct gtk_client *client);

/* ns of processor time that this thread spent in the client's code. */
uint64_t gtk_client_cpu(const struct gtk_client *client);
/* Warnings that the client gave, and the last one's text. */
unsigned gtk_client_warnings(const struct gtk_client *client,
			     const char **last);

/* The client may have done it, or a part, or nothing yet. */
int gtk_channel_send(struct gtk_channel *channel,
		     const struct gtk_message *message, struct error *error);
/* With the serial of the message before, whatever that was. */
int gtk_channel_insert(struct gtk_channel *channel,
		       const struct gtk_message *message, struct error *error);
/* Sends a ping: once it is answered, all before it was done. */
int gtk_channel_ping(struct gtk_channel *channel, struct error *error);
/* Waits for the answers to all pings. */
int gtk_channel_catch_up(struct gtk_channel *channel, struct error *error);
/* Both. */
int gtk_channel_wait(struct gtk_channel *channel, struct error *error);
/* Lets the client run for a moment, at most ms. */
void gtk_client_run(struct gtk_client *client, unsigned ms);

/* False when it has none. */
bool gtk_channel_primary(const struct gtk_channel *channel,
			 struct gtk_picture *picture);
/* How often the client said that its picture has changed. */
unsigned gtk_channel_updates(const struct gtk_channel *channel);
/* False when the client shows no pointer of its own shape. */
bool gtk_channel_cursor(struct gtk_channel *channel, struct gtk_cursor *cursor);

#endif
