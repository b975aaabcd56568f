/*
 * Who may ask what: the rules that keep other users of this machine, and web
 * pages of other sites, away from the API.
 */
#ifndef WEBUI_GUARD_H
#define WEBUI_GUARD_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

#define GUARD_MAX_HOSTS 16

/* Names that Host may hold (against DNS rebinding). */
struct guard_hosts {
	unsigned count;
	char names[GUARD_MAX_HOSTS][256];
	bool any_address; /* every literal IP address */
};

/*
 * localhost, 127.0.0.1, [::1], the extra names, and the address that is
 * listened on: a name can be rebound by its owner, a literal address cannot.
 */
void guard_hosts_set(struct guard_hosts *hosts, const char *const *extra,
		     const struct sockaddr *listening);

/* header: of Host, "name" or "name:port". NULL is refused. */
bool guard_host_ok(const struct guard_hosts *hosts, const char *header);

/* The name in a Host header, without port; the brackets stay. */
void guard_host_name(const char *header, char *name, unsigned size);

/*
 * Whether a request can only come from our own page or from no page at all.
 * origin, fetch_site: headers Origin and Sec-Fetch-Site, NULL when absent.
 */
bool guard_origin_ok(const char *host, const char *origin,
		     const char *fetch_site);

struct guard_peer {
	uid_t uid;
	pid_t pid;
	bool allowed; /* root, our own user, or in the group */
};

/* group: (gid_t)-1 for none. */
struct guard_peer guard_peer(int unix_socket, gid_t group);

#endif
