/* Host, Origin and peer credentials. */
#include "webui/guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static void add(struct guard_hosts *hosts, const char *name)
{
	if (hosts->count < GUARD_MAX_HOSTS && *name &&
	    strlen(name) < sizeof(hosts->names[0]))
		strcpy(hosts->names[hosts->count++], name);
}

static void add_address(struct guard_hosts *hosts,
			const struct sockaddr *address)
{
	const struct sockaddr_in *four = (const void *)address;
	const struct sockaddr_in6 *six = (const void *)address;
	char text[INET6_ADDRSTRLEN], bracketed[INET6_ADDRSTRLEN + 2];

	if (address->sa_family == AF_INET) {
		hosts->any_address = four->sin_addr.s_addr == INADDR_ANY;
		add(hosts,
		    inet_ntop(AF_INET, &four->sin_addr, text, sizeof(text)));
	} else if (address->sa_family == AF_INET6) {
		hosts->any_address = IN6_IS_ADDR_UNSPECIFIED(&six->sin6_addr);
		inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof(text));
		snprintf(bracketed, sizeof(bracketed), "[%s]", text);
		add(hosts, bracketed);
	}
}

void guard_hosts_set(struct guard_hosts *hosts, const char *const *extra,
		     const struct sockaddr *listening)
{
	*hosts = (struct guard_hosts){0};
	add(hosts, "localhost");
	add(hosts, "127.0.0.1");
	add(hosts, "[::1]");
	if (listening)
		add_address(hosts, listening);
	for (; extra && *extra; extra++)
		add(hosts, *extra);
}

void guard_host_name(const char *header, char *name, unsigned size)
{
	const char *end;

	if (header[0] == '[') {
		end = strchr(header, ']');
		end = end ? end + 1 : header + strlen(header);
	} else {
		end = header + strcspn(header, ":");
	}
	snprintf(name, size, "%.*s", (int)(end - header), header);
}

static bool is_port(const char *text)
{
	if (!*text)
		return true;
	return *text == ':' && text[1] && strlen(text) <= 6 &&
	       text[1 + strspn(text + 1, "0123456789")] == 0;
}

static bool is_address(const char *name)
{
	char inside[256];
	struct in6_addr six;
	struct in_addr four;
	size_t n = strlen(name);

	if (name[0] != '[')
		return inet_pton(AF_INET, name, &four) == 1;
	if (n < 3 || n - 2 >= sizeof(inside))
		return false;
	memcpy(inside, name + 1, n - 2);
	inside[n - 2] = 0;
	return inet_pton(AF_INET6, inside, &six) == 1;
}

bool guard_host_ok(const struct guard_hosts *hosts, const char *header)
{
	char name[256];
	unsigned i;

	if (!header || strlen(header) >= sizeof(name))
		return false;
	guard_host_name(header, name, sizeof(name));
	if (!is_port(header + strlen(name)))
		return false;
	for (i = 0; i < hosts->count; i++)
		if (strcasecmp(hosts->names[i], name) == 0)
			return true;
	return hosts->any_address && is_address(name);
}

bool guard_origin_ok(const char *host, const char *origin,
		     const char *fetch_site)
{
	if (fetch_site && strcmp(fetch_site, "same-origin") != 0 &&
	    strcmp(fetch_site, "none") != 0)
		return false;
	if (!origin)
		return true;
	return host && strncasecmp(origin, "http://", 7) == 0 &&
	       strcasecmp(origin + 7, host) == 0;
}

static bool in_group(int socket, gid_t group)
{
	gid_t *list;
	socklen_t size = 0;
	bool found = false;
	unsigned i;

	getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, NULL, &size);
	list = malloc(size + sizeof(*list));
	if (!list)
		return false;
	if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, list, &size) == 0)
		for (i = 0; i < size / sizeof(*list); i++)
			found = found || list[i] == group;
	free(list);
	return found;
}

struct guard_peer guard_peer(int unix_socket, gid_t group)
{
	struct ucred who;
	socklen_t size = sizeof(who);
	struct guard_peer peer = {.uid = (uid_t)-1};

	if (getsockopt(unix_socket, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0)
		return peer;
	peer.uid = who.uid;
	peer.pid = who.pid;
	peer.allowed = who.uid == 0 || who.uid == geteuid();
	if (!peer.allowed && group != (gid_t)-1)
		peer.allowed = who.gid == group || in_group(unix_socket, group);
	return peer;
}
