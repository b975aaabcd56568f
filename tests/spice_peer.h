/*
 * Both ends of a SPICE channel in a few lines, for tests and benches: a
 * viewer that links through TLS (or plainly) and a guest that is linked to.
 * Blocking; what fails returns -1.
 */
#ifndef TESTS_SPICE_PEER_H
#define TESTS_SPICE_PEER_H

#include <openssl/ssl.h>
#include <spice/protocol.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "recorder/link.h"

struct peer {
	int fd;
	SSL *ssl;        /* NULL: plain */
	bool mini;       /* after the link */
	uint64_t serial; /* of the last message sent */
};

__attribute__((unused)) static SSL_CTX *peer_tls(void)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_client_method());

	SSL_CTX_set_ciphersuites(tls, "TLS_AES_128_GCM_SHA256");
	SSL_CTX_set_read_ahead(tls, 1);
	SSL_CTX_set_default_read_buffer_len(tls, 256 << 10);
	return tls;
}

/* Takes over fd; -1 when TLS fails. */
__attribute__((unused)) static int peer_start_tls(struct peer *p, SSL_CTX *tls)
{
	p->ssl = SSL_new(tls);
	SSL_set_fd(p->ssl, p->fd);
	return SSL_connect(p->ssl) == 1 ? 0 : -1;
}

__attribute__((unused)) static void peer_close(struct peer *p)
{
	SSL_free(p->ssl);
	if (p->fd >= 0)
		close(p->fd);
	*p = (struct peer){.fd = -1};
}

static ssize_t peer_some(struct peer *p, void *data, size_t size)
{
	int n;

	if (!p->ssl)
		return recv(p->fd, data, size, 0);
	n = SSL_read(p->ssl, data, size > INT32_MAX ? INT32_MAX : (int)size);
	return n > 0 ? n : -1;
}

/* Exactly size bytes. */
static int peer_read(struct peer *p, void *data, size_t size)
{
	size_t have = 0;

	while (have < size) {
		ssize_t n = peer_some(p, (uint8_t *)data + have, size - have);

		if (n <= 0)
			return -1;
		have += (size_t)n;
	}
	return 0;
}

static int peer_write(struct peer *p, const void *data, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n;

		if (p->ssl)
			n = SSL_write(p->ssl, (const uint8_t *)data + done,
				      (int)(size - done));
		else
			n = send(p->fd, (const uint8_t *)data + done,
				 size - done, MSG_NOSIGNAL);
		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

/* Reads a PDU of the link; its body, or NULL; free it. */
static uint8_t *peer_read_pdu(struct peer *p, size_t *size)
{
	uint8_t header[LINK_HEADER_SIZE], *body;
	uint32_t code;

	if (peer_read(p, header, sizeof(header)) < 0 ||
	    link_header_parse(header, size, &code, NULL) < 0)
		return NULL;
	body = malloc(*size);
	if (peer_read(p, body, *size) < 0) {
		free(body);
		return NULL;
	}
	return body;
}

__attribute__((unused)) static struct link_mess
peer_mess(uint8_t type, uint8_t id, uint32_t connection_id, bool mini)
{
	struct link_mess mess = {
		.channel_type = type,
		.channel_id = id,
		.connection_id = connection_id,
	};

	link_caps_set(&mess.common, SPICE_COMMON_CAP_PROTOCOL_AUTH_SELECTION,
		      true);
	link_caps_set(&mess.common, SPICE_COMMON_CAP_MINI_HEADER, mini);
	return mess;
}

/*
 * The viewer's side of the link: 0 linked, > 0 the server's error or result,
 * -1 it closed.
 */
__attribute__((unused)) static int
peer_link(struct peer *p, const struct link_mess *mess, const char *ticket)
{
	struct buffer b = {0};
	struct link_reply reply;
	uint8_t block[LINK_TICKET_SIZE], le[4];
	uint8_t *body;
	size_t size;
	int r;

	link_mess_build(&b, mess);
	r = peer_write(p, b.data, b.size);
	buffer_free(&b);
	if (r < 0 || !(body = peer_read_pdu(p, &size)))
		return -1;
	r = link_reply_parse(body, size, &reply, NULL);
	free(body);
	if (r < 0)
		return -1;
	if (reply.error)
		return (int)reply.error;
	bytes_put_le32(le, SPICE_COMMON_CAP_AUTH_SPICE);
	if (link_ticket_encrypt(reply.key, ticket, block, NULL) < 0 ||
	    (link_caps_test(&mess->common,
			    SPICE_COMMON_CAP_PROTOCOL_AUTH_SELECTION) &&
	     peer_write(p, le, 4) < 0) ||
	    peer_write(p, block, sizeof(block)) < 0 || peer_read(p, le, 4) < 0)
		return -1;
	p->mini = link_caps_test(&mess->common, SPICE_COMMON_CAP_MINI_HEADER);
	return (int)bytes_get_le32(le);
}

/*
 * The guest's side of the link, with an error for the reply and a result.
 * 0 and what the viewer said, or -1.
 */
__attribute__((unused)) static int
peer_accept_link(struct peer *p, const struct link_key *key, uint32_t error,
		 uint32_t result, struct link_mess *mess)
{
	struct link_reply reply = {.error = error};
	struct buffer b = {0};
	uint8_t le[4], block[LINK_TICKET_SIZE];
	char password[LINK_PASSWORD_MAX + 1];
	size_t size;
	uint8_t *body = peer_read_pdu(p, &size);
	int r = body ? link_mess_parse(body, size, mess, NULL) : -1;

	free(body);
	if (r < 0)
		return -1;
	link_caps_set(&reply.common, SPICE_COMMON_CAP_PROTOCOL_AUTH_SELECTION,
		      true);
	link_caps_set(&reply.common, SPICE_COMMON_CAP_AUTH_SPICE, true);
	link_caps_set(&reply.common, SPICE_COMMON_CAP_MINI_HEADER, true);
	link_key_public(key, reply.key);
	link_reply_build(&b, &reply);
	r = peer_write(p, b.data, b.size);
	buffer_free(&b);
	if (r < 0 || error || peer_read(p, le, 4) < 0 ||
	    peer_read(p, block, sizeof(block)) < 0 ||
	    link_ticket_decrypt(key, block, password) < 0)
		return -1;
	bytes_put_le32(le, result);
	p->mini = link_caps_test(&mess->common, SPICE_COMMON_CAP_MINI_HEADER);
	return peer_write(p, le, 4) < 0 || result ? -1 : 0;
}

__attribute__((unused)) static size_t
peer_header(struct peer *p, uint8_t header[18], uint16_t type, uint32_t size)
{
	p->serial++;
	if (p->mini) {
		bytes_put_le16(header, type);
		bytes_put_le32(header + 2, size);
		return 6;
	}
	bytes_put_le64(header, p->serial);
	bytes_put_le16(header + 8, type);
	bytes_put_le32(header + 10, size);
	bytes_put_le32(header + 14, 0);
	return 18;
}

__attribute__((unused)) static int peer_send(struct peer *p, uint16_t type,
					     const void *body, uint32_t size)
{
	uint8_t header[18];
	size_t n = peer_header(p, header, type, size);

	if (peer_write(p, header, n) < 0)
		return -1;
	return size ? peer_write(p, body, size) : 0;
}

/* A whole message of at most room bytes; its size, or -1. */
__attribute__((unused)) static ssize_t
peer_receive(struct peer *p, uint16_t *type, void *body, size_t room)
{
	uint8_t header[18];
	uint32_t size;

	if (peer_read(p, header, p->mini ? 6 : 18) < 0)
		return -1;
	*type = (uint16_t)(header[p->mini ? 0 : 8] | header[p->mini ? 1 : 9]
							     << 8);
	size = bytes_get_le32(header + (p->mini ? 2 : 10));
	if (size > room || peer_read(p, body, size) < 0)
		return -1;
	return (ssize_t)size;
}

#endif
