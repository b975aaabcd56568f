/*
 * The ticket of the SPICE link: RSAES-OAEP with SHA-1 and a key of 1024 bits,
 * sizes that the protocol fixes. The ticket is no protection without TLS.
 *
 * All of it runs on OpenSSL's default provider in a library context of its
 * own: a host whose configuration selects the FIPS provider refuses such
 * short keys, and without them no SPICE link can be made.
 */
#include "recorder/link.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdlib.h>

#define KEY_BITS 1024

struct link_key {
	EVP_PKEY *pair;
	uint8_t der[LINK_KEY_SIZE];
};

static OSSL_LIB_CTX *library; /* kept until the process ends */

static void load_library(void)
{
	OSSL_LIB_CTX *context = OSSL_LIB_CTX_new();

	if (context && !OSSL_PROVIDER_load(context, "default")) {
		OSSL_LIB_CTX_free(context);
		context = NULL;
	}
	library = context;
}

static OSSL_LIB_CTX *rsa_library(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, load_library);
	return library;
}

/* OpenSSL's last reason becomes the error's, and its queue is emptied. */
static int openssl_error(struct error *error, int code, const char *what)
{
	char reason[160] = "no reason given";
	unsigned long e = ERR_peek_last_error();

	if (e)
		ERR_error_string_n(e, reason, sizeof(reason));
	ERR_clear_error();
	return error_set(error, code, "%s: %s", what, reason);
}

static EVP_PKEY *generate(void)
{
	EVP_PKEY_CTX *c =
		EVP_PKEY_CTX_new_from_name(rsa_library(), "RSA", NULL);
	EVP_PKEY *pair = NULL;

	if (!c || EVP_PKEY_keygen_init(c) <= 0 ||
	    EVP_PKEY_CTX_set_rsa_keygen_bits(c, KEY_BITS) <= 0 ||
	    EVP_PKEY_generate(c, &pair) <= 0)
		pair = NULL;
	EVP_PKEY_CTX_free(c);
	return pair;
}

int link_key_new(struct link_key **key, struct error *error)
{
	struct link_key *k = calloc(1, sizeof(*k));
	uint8_t *der = NULL;
	int size;

	*key = NULL;
	if (!k)
		return error_errno(error, ENOMEM, "cannot make a link key");
	if (!rsa_library() || !(k->pair = generate())) {
		link_key_free(k);
		return openssl_error(error, EIO,
				     "cannot make the RSA key of the SPICE "
				     "link");
	}
	size = i2d_PUBKEY(k->pair, &der);
	if (size == LINK_KEY_SIZE)
		memcpy(k->der, der, LINK_KEY_SIZE);
	OPENSSL_free(der);
	if (size != LINK_KEY_SIZE) {
		link_key_free(k);
		return error_set(error, EIO,
				 "the RSA key of the SPICE link has %d bytes "
				 "where the protocol wants %d",
				 size, LINK_KEY_SIZE);
	}
	*key = k;
	return 0;
}

void link_key_free(struct link_key *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->pair);
	free(key);
}

void link_key_public(const struct link_key *key, uint8_t der[LINK_KEY_SIZE])
{
	memcpy(der, key->der, LINK_KEY_SIZE);
}

/* A context for the link's padding; NULL when OpenSSL can't. */
static EVP_PKEY_CTX *oaep(EVP_PKEY *pkey, int (*init)(EVP_PKEY_CTX *))
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(rsa_library(), pkey, NULL);

	/* SHA-1 is the default digest of OAEP and of its mask. */
	if (c && init(c) > 0 &&
	    EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_OAEP_PADDING) > 0)
		return c;
	EVP_PKEY_CTX_free(c);
	return NULL;
}

int link_ticket_decrypt(const struct link_key *key,
			const uint8_t ticket[LINK_TICKET_SIZE],
			char password[LINK_PASSWORD_MAX + 1])
{
	uint8_t plain[LINK_TICKET_SIZE] = {0};
	size_t size = sizeof(plain);
	EVP_PKEY_CTX *c = oaep(key->pair, EVP_PKEY_decrypt_init);
	uint8_t seen = 0; /* the NUL has been seen */
	bool good = c && EVP_PKEY_decrypt(c, plain, &size, ticket,
					  LINK_TICKET_SIZE) > 0;

	/* From here on the same steps, whatever came out. */
	EVP_PKEY_CTX_free(c);
	ERR_clear_error();
	for (size_t i = 0; i <= LINK_PASSWORD_MAX; i++) {
		seen |= plain[i] == 0;
		password[i] = seen ? 0 : (char)plain[i];
	}
	good = good & (size >= 1) & (size <= LINK_PASSWORD_MAX + 1) & seen;
	good = good & (plain[(size - 1) % sizeof(plain)] == 0);
	OPENSSL_cleanse(plain, sizeof(plain));
	if (good)
		return 0;
	OPENSSL_cleanse(password, LINK_PASSWORD_MAX + 1);
	return -EACCES;
}

int link_ticket_encrypt(const uint8_t der[LINK_KEY_SIZE], const char *password,
			uint8_t ticket[LINK_TICKET_SIZE], struct error *error)
{
	const uint8_t *at = der;
	size_t size = LINK_TICKET_SIZE, length = strlen(password);
	EVP_PKEY_CTX *c = NULL;
	EVP_PKEY *pkey;
	int r = 0;

	if (length > LINK_PASSWORD_MAX)
		return error_set(error, EINVAL,
				 "a SPICE password has at most %d characters, "
				 "this one %zu",
				 LINK_PASSWORD_MAX, length);
	pkey = d2i_PUBKEY_ex(NULL, &at, LINK_KEY_SIZE, rsa_library(), NULL);
	if (!pkey || !EVP_PKEY_is_a(pkey, "RSA") ||
	    EVP_PKEY_get_size(pkey) != LINK_TICKET_SIZE)
		r = openssl_error(error, EPROTO,
				  "the server's link key is no RSA key of 1024 "
				  "bits");
	else if (!(c = oaep(pkey, EVP_PKEY_encrypt_init)) ||
		 EVP_PKEY_encrypt(c, ticket, &size, (const uint8_t *)password,
				  length + 1) <= 0 ||
		 size != LINK_TICKET_SIZE)
		r = openssl_error(error, EPROTO,
				  "cannot encrypt the ticket with the server's "
				  "link key");
	EVP_PKEY_CTX_free(c);
	EVP_PKEY_free(pkey);
	return r;
}
