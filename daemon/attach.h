/*
 * Attached vaults: SPICE servers that libvirt does not manage, such as that of
 * a plain `qemu -spice`. Gateway, tickets, policy, recording and replay are
 * theirs; what keeps a vault (start, stop, seal, snapshots …) is not.
 *
 * An endpoint is HOST:PORT, tls:HOST:PORT or unix:PATH (spice-server does not
 * compress images for a Unix socket: recordings are several times larger).
 * The password is STATE/vaults/UUID/spice-password, readable by us alone; it
 * is never in the catalogue, a log or an answer. For TLS the server is
 * verified, chain and name, against STATE/vaults/UUID/spice-ca.pem.
 */
#ifndef DAEMON_ATTACH_H
#define DAEMON_ATTACH_H

#include <stdbool.h>

#include "recorder/error.h"
#include "recorder/link.h"

struct control;
struct vault;

/* Texts are borrowed; NULL: not given. */
struct attach_spec {
	const char *name;
	const char *spice;    /* the endpoint */
	const char *password; /* at most LINK_PASSWORD_MAX characters */
	const char *ca;       /* PEM; goes with tls: and only with it */
	const char *who;
};

/* A new vault; the endpoint must answer and take the password. */
int attach_create(struct control *control, const struct attach_spec *spec,
		  struct error *error);

bool attach_is(const struct vault *vault);
/* The endpoint as it was given. */
const char *attach_spice(const struct vault *vault);

/* -EINVAL with a line when the vault is attached: keeping is not for it. */
int attach_refuse(const struct vault *vault, struct error *error);

/* Whether it takes connections; waits a second at most. */
bool attach_answers(const struct vault *vault);

/*
 * Whether it answers and takes the password; disturbs no session. -EACCES,
 * -ETIMEDOUT, -ECONNREFUSED …
 */
int attach_check(struct control *control, const struct vault *vault,
		 struct error *error);

/*
 * A connected socket for one channel, without TLS: with tls: a process of
 * its own is between (attach_tunnel.h), so that it outlives us.
 */
int attach_open(struct control *control, const struct vault *vault, int *fd,
		struct error *error);

/* "" when it has none. */
int attach_password(struct control *control, const struct vault *vault,
		    char password[LINK_PASSWORD_MAX + 1], struct error *error);

#endif
