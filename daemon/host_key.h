/*
 * The key by which one installation is known to others: Ed25519, made at first
 * use, STATE/host.key (PKCS #8, PEM, 0600). It signs what leaves the host:
 * fencing records (lease.h) and bundles.
 *
 * A host is named by its id, the SHA-256 of the raw public key in hexadecimal.
 * A copy of STATE has the same key: it says who signed, not where that ran.
 */
#ifndef DAEMON_HOST_KEY_H
#define DAEMON_HOST_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "recorder/error.h"

#define HOST_KEY_ID_SIZE 65     /* 64 hexadecimal digits and a NUL */
#define HOST_KEY_PUBLIC_SIZE 65 /* the same of the 32 bytes of the key */
#define HOST_KEY_SIGNATURE 64   /* bytes */

struct host_key;

/* Reads it, or makes it where there is none. */
int host_key_open(struct host_key **key, const char *state,
		  struct error *error);
void host_key_free(struct host_key *key);

const char *host_key_id(const struct host_key *key);
const char *host_key_public(const struct host_key *key);

int host_key_sign(const struct host_key *key, const void *data, size_t size,
		  uint8_t signature[HOST_KEY_SIGNATURE], struct error *error);

/*
 * Whether the signature was made of the data with the private half of a
 * public key (hexadecimal): -EBADMSG when not, -EINVAL when the text is none.
 */
int host_key_verify(const char *public, const void *data, size_t size,
		    const uint8_t signature[HOST_KEY_SIGNATURE],
		    struct error *error);

/* The id that goes with a public key; -EINVAL. */
int host_key_id_of(const char *public, char id[HOST_KEY_ID_SIZE],
		   struct error *error);

/* 2 * size digits and a NUL; and back, -EINVAL unless it is exactly that. */
void host_key_hex(const uint8_t *data, size_t size, char *text);
int host_key_unhex(const char *text, uint8_t *data, size_t size,
		   struct error *error);

#endif
