/*
 * The HTTP server: the page and /api/v1, on TCP for browsers and on a Unix
 * socket for the command line. It calls the operations of
 * daemon/operations.h on its own threads. schema/openapi.yaml describes what
 * it answers and who may ask.
 */
#ifndef WEBUI_WEBUI_H
#define WEBUI_WEBUI_H

#include <sys/types.h>

#include "recorder/error.h"

struct control;
struct webui;

struct webui_options {
	int tcp_fd;       /* a listening socket, or -1 for none */
	int unix_fd;      /* a listening Unix socket, or -1 for none */
	unsigned threads; /* that run operations; 0: a sensible number */
	/* May use the Unix socket beside root and our own user; -1: nobody. */
	gid_t unix_group;
	/* Names under which TCP may be reached beside localhost, 127.0.0.1 and
	 * [::1]; ended by NULL. NULL for none. */
	const char *const *hosts;
	/* Folder where the digests of browser sessions are kept, so that a
	 * restart logs nobody out; NULL: in memory only. */
	const char *folder;
};

/*
 * The descriptors become the server's, also when it fails. It calls
 * control_observe(), so control must be ready before and outlive it.
 */
int webui_start(struct webui **webui, const struct webui_options *options,
		struct control *control, struct error *error);

/* Ends open requests and streams, closes the sockets, joins the threads. */
void webui_stop(struct webui *webui);

/* The TCP port, 0 when there is none. */
int webui_port(const struct webui *webui);

/*
 * "http://127.0.0.1:8930/login?token=…": opens the page, once, within five
 * minutes. free() it. NULL without TCP or when there is no memory.
 */
char *webui_login_link(struct webui *webui);

#endif
