/*
 * STATE/tls: the gateway's own certificate authority and certificate, made
 * at first start, and the Ed25519 key that signs recordings.
 *
 *   ca.pem, ca.key          the authority (its certificate goes into a .vv)
 *   gateway.pem, gateway.key  the gateway's, made anew before it expires or
 *                           when the host's names have changed
 *   sign.key, sign.pem      Ed25519, private and public
 */
#ifndef DAEMON_TLS_FILES_H
#define DAEMON_TLS_FILES_H

#include <stdint.h>

#include "recorder/error.h"

struct tls_files {
	char folder[512];
	char ca_pem[8192];	/* for the .vv */
	char subject[256];	/* of gateway.pem as host-subject= wants it */
};

/*
 * Makes what is missing. names: DNS names and addresses for subjectAltName,
 * ended by NULL (localhost, 127.0.0.1 and ::1 are always there). Private keys
 * are 0600; files appear whole or not at all.
 */
int tls_files_prepare(struct tls_files *files, const char *folder,
		      const char *const *names, struct error *error);

/* Open descriptors for the gateway. */
int tls_files_open(const struct tls_files *files, int *certificate, int *key,
		   struct error *error);

int tls_files_sign(const struct tls_files *files, const uint8_t digest[32],
		   uint8_t signature[64], struct error *error);
/* 0, or -EBADMSG when the signature is not of this digest and key. */
int tls_files_verify(const struct tls_files *files, const uint8_t digest[32],
		     const uint8_t signature[64], struct error *error);

#endif
