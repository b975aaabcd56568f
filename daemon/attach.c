/*
 * Attached vaults; see attach.h. Their place is in vault.spec ("kind":
 * "attached", "spice": the endpoint), secrets are files of the folder.
 */
#include "daemon/attach.h"

#include <openssl/crypto.h>
#include <spice/enums.h>
#include <spice/protocol.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/attach_endpoint.h"
#include "daemon/attach_tunnel.h"
#include "daemon/control.h"
#include "daemon/folder.h"
#include "daemon/vault.h"

#define PASSWORD_FILE "spice-password"
#define CA_FILE "spice-ca.pem"
#define CONNECT_MS 5000
#define ANSWERS_MS 1000
#define REPLY_S 5

bool attach_is(const struct vault *vault)
{
	const char *kind =
		json_string_value(json_object_get(vault->spec, "kind"));

	return kind && strcmp(kind, "attached") == 0;
}

const char *attach_spice(const struct vault *vault)
{
	const char *spice =
		json_string_value(json_object_get(vault->spec, "spice"));

	return spice ? spice : "";
}

int attach_refuse(const struct vault *vault, struct error *error)
{
	if (!attach_is(vault))
		return 0;
	return error_set(error, -EINVAL,
			 "it is attached (%s): its guest is kept elsewhere, "
			 "and only sessions of it are our business",
			 attach_spice(vault));
}

bool attach_answers(const struct vault *vault)
{
	struct attach_endpoint endpoint;
	int fd;

	if (attach_endpoint_read(&endpoint, attach_spice(vault), NULL) ||
	    attach_endpoint_connect(&endpoint, ANSWERS_MS, &fd, NULL))
		return false;
	close(fd);
	return true;
}

int attach_open(struct control *control, const struct vault *vault, int *fd,
		struct error *error)
{
	struct attach_endpoint endpoint;
	char ca[PATH_MAX];
	int r = attach_endpoint_read(&endpoint, attach_spice(vault), error);

	*fd = -1;
	if (!r)
		r = attach_endpoint_connect(&endpoint, CONNECT_MS, fd, error);
	if (r || !endpoint.tls)
		return r;
	vault_path(control, vault->uuid, CA_FILE, ca);
	return attach_tunnel(*fd, endpoint.host, ca, fd, error);
}

int attach_password(struct control *control, const struct vault *vault,
		    char password[LINK_PASSWORD_MAX + 1], struct error *error)
{
	char path[PATH_MAX], *text;
	int r;

	password[0] = '\0';
	vault_path(control, vault->uuid, PASSWORD_FILE, path);
	if (access(path, F_OK))
		return 0;
	r = folder_read(path, LINK_PASSWORD_MAX, &text, error);
	if (r)
		return r;
	snprintf(password, LINK_PASSWORD_MAX + 1, "%s", text);
	OPENSSL_cleanse(text, strlen(text));
	free(text);
	return 0;
}

/* --- does it take the password? ------------------------------------------ */

static int receive(int fd, void *to, size_t size, struct error *error)
{
	ssize_t n = recv(fd, to, size, MSG_WAITALL);

	if (n == (ssize_t)size)
		return 0;
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return error_set(error, -ETIMEDOUT,
				 "it takes connections but does not answer "
				 "within %d s",
				 REPLY_S);
	return error_set(error, -EPROTO,
			 "it closed the connection: no SPICE server, or one "
			 "that wants TLS (tls:HOST:PORT)");
}

static int send_all(int fd, const void *data, size_t size, struct error *error)
{
	if (send(fd, data, size, MSG_NOSIGNAL) == (ssize_t)size)
		return 0;
	return error_set(error, -EPROTO, "it closed the connection");
}

/*
 * A channel of a session that does not exist: the server looks at the password
 * first, and nobody is sent away for it.
 */
static int send_mess(int fd, struct error *error)
{
	struct link_mess mess = {.connection_id = 0x6d76636c,
				 .channel_type = SPICE_CHANNEL_INPUTS};
	struct buffer out = {0};
	int r;

	link_caps_set(&mess.common, SPICE_COMMON_CAP_PROTOCOL_AUTH_SELECTION,
		      true);
	link_caps_set(&mess.common, SPICE_COMMON_CAP_AUTH_SPICE, true);
	link_caps_set(&mess.common, SPICE_COMMON_CAP_MINI_HEADER, true);
	link_mess_build(&out, &mess);
	r = out.failed ? error_set(error, -ENOMEM, "no memory")
		       : send_all(fd, out.data, out.size, error);
	buffer_free(&out);
	return r;
}

static int receive_reply(int fd, struct link_reply *reply, struct error *error)
{
	uint8_t header[LINK_HEADER_SIZE], body[LINK_BODY_MAX];
	uint32_t code;
	size_t size;
	int r = receive(fd, header, sizeof(header), error);

	if (!r)
		r = link_header_parse(header, &size, &code, error);
	if (!r)
		r = receive(fd, body, size, error);
	if (!r)
		r = link_reply_parse(body, size, reply, error);
	if (!r && reply->error == SPICE_LINK_ERR_NEED_SECURED)
		r = error_set(error, -EPROTO,
			      "it wants TLS: give tls:HOST:PORT with its TLS "
			      "port");
	else if (!r && reply->error != SPICE_LINK_ERR_OK)
		r = error_set(error, -EPROTO, "it answered with link error %u",
			      reply->error);
	return r;
}

static int send_ticket(int fd, const struct link_reply *reply,
		       const char *password, struct error *error)
{
	uint8_t auth[4], ticket[LINK_TICKET_SIZE];
	int r = link_ticket_encrypt(reply->key, password, ticket, error);

	bytes_put_le32(auth, SPICE_COMMON_CAP_AUTH_SPICE);
	if (!r && link_caps_test(&reply->common,
				 SPICE_COMMON_CAP_PROTOCOL_AUTH_SELECTION))
		r = send_all(fd, auth, sizeof(auth), error);
	return r ? r : send_all(fd, ticket, sizeof(ticket), error);
}

static int check_link(int fd, const char *password, struct error *error)
{
	const struct timeval wait = {.tv_sec = REPLY_S};
	struct link_reply reply;
	uint8_t result[4];
	int r;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	r = send_mess(fd, error);
	if (!r)
		r = receive_reply(fd, &reply, error);
	if (!r)
		r = send_ticket(fd, &reply, password, error);
	if (!r)
		r = receive(fd, result, sizeof(result), error);
	if (!r && bytes_get_le32(result) == SPICE_LINK_ERR_PERMISSION_DENIED)
		r = error_set(error, -EACCES,
			      password[0] ? "it refuses the password"
					  : "it wants a password "
					    "(--password-file)");
	return r;
}

int attach_check(struct control *control, const struct vault *vault,
		 struct error *error)
{
	char password[LINK_PASSWORD_MAX + 1];
	int fd = -1, r = attach_password(control, vault, password, error);

	if (!r)
		r = attach_open(control, vault, &fd, error);
	if (!r)
		r = check_link(fd, password, error);
	if (fd >= 0)
		close(fd);
	OPENSSL_cleanse(password, sizeof(password));
	if (r)
		error_prefix(error, "the SPICE server at %s",
			     attach_spice(vault));
	return r;
}
