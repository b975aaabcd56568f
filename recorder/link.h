/*
 * The SPICE link: what both sides say on a new connection before the first
 * message. Parsing and building only; no socket is touched here.
 *
 *   client: header, mess            server: header, reply
 *   client: auth mechanism (u32), ticket (128 bytes)
 *   server: result (u32)
 *
 * Numbers are from spice-protocol's protocol.h (SpiceLinkHeader,
 * SpiceLinkMess, SpiceLinkReply); limits are libspice-server 0.15's: a body
 * of 18 to 4096 bytes, at most LINK_MAX_CAPS words of capabilities a kind.
 */
#ifndef RECORDER_LINK_H
#define RECORDER_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/bytes.h"
#include "recorder/error.h"

#define LINK_HEADER_SIZE 16
#define LINK_MESS_SIZE 18	/* without capabilities */
#define LINK_REPLY_SIZE 178	/* without capabilities */
#define LINK_BODY_MAX 4096
#define LINK_KEY_SIZE 162	/* DER SubjectPublicKeyInfo, RSA 1024 */
#define LINK_TICKET_SIZE 128	/* RSAES-OAEP, SHA-1 */
#define LINK_PASSWORD_MAX 60	/* characters, without the NUL */
#define LINK_MAX_CAPS 16	/* words a kind; today one is in use */

/* Capability words; bit n of the set is bit n % 32 of word n / 32. */
struct link_caps {
	uint32_t words[LINK_MAX_CAPS];
	uint32_t count;
};

bool link_caps_test(const struct link_caps *caps, unsigned bit);
void link_caps_set(struct link_caps *caps, unsigned bit, bool on);

struct link_mess {
	uint32_t connection_id;	/* 0 on the first main channel */
	uint8_t channel_type;	/* SPICE_CHANNEL_* */
	uint8_t channel_id;
	struct link_caps common;
	struct link_caps channel;
};

struct link_reply {
	uint32_t error;		/* SPICE_LINK_ERR_* */
	uint8_t key[LINK_KEY_SIZE];
	struct link_caps common;
	struct link_caps channel;
};

/*
 * Reads a header. On success *body is the number of bytes that follow.
 * -EPROTO: not SPICE, another major version, or a body out of bounds; then
 * *link_error is the SPICE_LINK_ERR_* to answer with.
 */
int link_header_parse(const uint8_t header[LINK_HEADER_SIZE], size_t *body,
		      uint32_t *link_error, struct error *error);

/* The body behind a header, all of it. -EPROTO when it does not fit. */
int link_mess_parse(const uint8_t *body, size_t size, struct link_mess *mess,
		    struct error *error);
int link_reply_parse(const uint8_t *body, size_t size,
		     struct link_reply *reply, struct error *error);

/* Append header and body. */
void link_mess_build(struct buffer *out, const struct link_mess *mess);
void link_reply_build(struct buffer *out, const struct link_reply *reply);

/*
 * The ticket: password and NUL, encrypted for the key of a link reply.
 * link_key is one RSA key pair of 1024 bits (a size fixed by the protocol),
 * used by any number of links.
 */
struct link_key;

int link_key_new(struct link_key **key, struct error *error);
void link_key_free(struct link_key *key);
void link_key_public(const struct link_key *key, uint8_t der[LINK_KEY_SIZE]);

/*
 * Decrypts into password (NUL-terminated). -EACCES for anything that is not
 * a well-formed ticket; takes the same path for all of them.
 */
int link_ticket_decrypt(const struct link_key *key,
			const uint8_t ticket[LINK_TICKET_SIZE],
			char password[LINK_PASSWORD_MAX + 1]);
int link_ticket_encrypt(const uint8_t der[LINK_KEY_SIZE], const char *password,
			uint8_t ticket[LINK_TICKET_SIZE], struct error *error);

#endif
