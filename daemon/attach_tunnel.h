/*
 * The tunnel role: TLS to the SPICE server of an attached vault, for one
 * channel, in a process that has nothing else and outlives the daemon.
 *
 *   gateway <-- plain socket --> mediavmd tunnel <-- TLS --> server
 */
#ifndef DAEMON_ATTACH_TUNNEL_H
#define DAEMON_ATTACH_TUNNEL_H

#include "recorder/error.h"

/*
 * Puts a tunnel before the connected socket fd, which is taken over; *plain
 * is its other end once the server has been verified: its chain by the
 * certificates in the PEM file, its name (or address) by `host`. -EACCES when
 * it is not who it should be.
 */
int attach_tunnel(int fd, const char *host, const char *ca_path, int *plain,
		  struct error *error);

/* The role: mediavmd tunnel HOST, with fds 3 TLS, 4 plain, 5 CA, 6 words. */
int attach_tunnel_main(int argc, char **argv);

#endif
