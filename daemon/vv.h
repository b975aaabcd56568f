/*
 * The connection file for remote-viewer ("virt-viewer file", .vv).
 *
 * Keys as remote-viewer 11 reads them. There is no plain port in it, so
 * every channel uses TLS; the name of the host is not checked but the whole
 * subject of the certificate is, against our own authority.
 */
#ifndef DAEMON_VV_H
#define DAEMON_VV_H

#include <stdbool.h>

struct vv {
	const char *title; /* what is shown: the vault's name */
	const char *host;
	int tls_port;
	const char *ticket;
	const char *ca_pem;
	const char *subject; /* of the gateway's certificate */
	bool usb;
};

/* The text of the file; free() it. NULL when there is no memory. */
char *vv_text(const struct vv *vv);

#endif
