/* The installation's Ed25519 key; see host_key.h. */
#include "daemon/host_key.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/folder.h"

#define PUBLIC_BYTES 32
#define PEM_MOST 4096

struct host_key {
	EVP_PKEY *pair;
	char id[HOST_KEY_ID_SIZE];
	char public[HOST_KEY_PUBLIC_SIZE];
};

static int openssl_error(struct error *error, const char *what)
{
	char reason[160] = "no reason given";
	unsigned long code = ERR_peek_last_error();

	if (code)
		ERR_error_string_n(code, reason, sizeof(reason));
	ERR_clear_error();
	return error_set(error, -EIO, "%s: %s", what, reason);
}

void host_key_hex(const uint8_t *data, size_t size, char *text)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < size; i++) {
		*text++ = digits[data[i] >> 4];
		*text++ = digits[data[i] & 15];
	}
	*text = '\0';
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int host_key_unhex(const char *text, uint8_t *data, size_t size,
		   struct error *error)
{
	bool fits = text && strlen(text) == 2 * size;

	for (size_t i = 0; fits && i < size; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		fits = high >= 0 && low >= 0;
		data[i] = (uint8_t)(high << 4 | low);
	}
	return fits ? 0
		    : error_set(error, -EINVAL,
				"\"%.80s\" is not %zu hexadecimal digits (0-9 "
				"a-f)",
				text ? text : "", 2 * size);
}

int host_key_id_of(const char *public, char id[HOST_KEY_ID_SIZE],
		   struct error *error)
{
	uint8_t raw[PUBLIC_BYTES], digest[32];
	int r = host_key_unhex(public, raw, sizeof(raw), error);

	if (r)
		return r;
	if (EVP_Digest(raw, sizeof(raw), digest, NULL, EVP_sha256(), NULL) != 1)
		return openssl_error(error, "cannot name a key");
	host_key_hex(digest, sizeof(digest), id);
	return 0;
}

static int make(const char *path, EVP_PKEY **pair, struct error *error)
{
	BIO *out = BIO_new(BIO_s_secmem());
	char *text;
	long size;
	int r = 0;

	*pair = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	if (!out || !*pair ||
	    PEM_write_bio_PrivateKey(out, *pair, NULL, NULL, 0, NULL, NULL) !=
		    1) {
		r = openssl_error(error, "cannot make the host's key");
	} else {
		size = BIO_get_mem_data(out, &text);
		r = folder_write(path, text, (size_t)size, 0600, error);
	}
	BIO_free(out);
	return r;
}

static int load(const char *path, EVP_PKEY **pair, struct error *error)
{
	char *text;
	BIO *in;
	int r = folder_read(path, PEM_MOST, &text, error);

	if (r)
		return r;
	in = BIO_new_mem_buf(text, -1);
	*pair = in ? PEM_read_bio_PrivateKey(in, NULL, NULL, NULL) : NULL;
	BIO_free(in);
	OPENSSL_cleanse(text, strlen(text));
	free(text);
	ERR_clear_error();
	if (*pair && EVP_PKEY_is_a(*pair, "ED25519"))
		return 0;
	return error_set(error, -EBADMSG,
			 "%s holds no Ed25519 key: put it back from a backup, "
			 "or remove it to have a new one made (this host is "
			 "then another one to those it hands vaults to)",
			 path);
}

static int name(struct host_key *key, struct error *error)
{
	uint8_t raw[PUBLIC_BYTES];
	size_t size = sizeof(raw);

	if (EVP_PKEY_get_raw_public_key(key->pair, raw, &size) != 1 ||
	    size != sizeof(raw))
		return openssl_error(error, "cannot read the host's key");
	host_key_hex(raw, sizeof(raw), key->public);
	return host_key_id_of(key->public, key->id, error);
}

int host_key_open(struct host_key **key, const char *state, struct error *error)
{
	struct host_key *k = calloc(1, sizeof(*k));
	char path[PATH_MAX];
	int r;

	*key = NULL;
	if (!k)
		return error_set(error, -ENOMEM, "no memory");
	snprintf(path, sizeof(path), "%s/host.key", state);
	r = load(path, &k->pair, error);
	if (r == -ENOENT) {
		error_clear(error);
		r = make(path, &k->pair, error);
	}
	if (!r)
		r = name(k, error);
	if (r)
		host_key_free(k);
	else
		*key = k;
	return r;
}

void host_key_free(struct host_key *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->pair);
	free(key);
}

const char *host_key_id(const struct host_key *key)
{
	return key->id;
}

const char *host_key_public(const struct host_key *key)
{
	return key->public;
}

int host_key_sign(const struct host_key *key, const void *data, size_t size,
		  uint8_t signature[HOST_KEY_SIGNATURE], struct error *error)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	size_t length = HOST_KEY_SIGNATURE;
	int r = 0;

	if (!context ||
	    EVP_DigestSignInit(context, NULL, NULL, NULL, key->pair) != 1 ||
	    EVP_DigestSign(context, signature, &length, data, size) != 1 ||
	    length != HOST_KEY_SIGNATURE)
		r = openssl_error(error, "cannot sign with the host's key");
	EVP_MD_CTX_free(context);
	return r;
}

int host_key_verify(const char *public, const void *data, size_t size,
		    const uint8_t signature[HOST_KEY_SIGNATURE],
		    struct error *error)
{
	EVP_MD_CTX *context;
	uint8_t raw[PUBLIC_BYTES];
	EVP_PKEY *key;
	int r = host_key_unhex(public, raw, sizeof(raw), error);

	if (r)
		return r;
	context = EVP_MD_CTX_new();
	key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, raw,
					  sizeof(raw));
	if (!context || !key ||
	    EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) != 1)
		r = openssl_error(error, "cannot verify a signature");
	else if (EVP_DigestVerify(context, signature, HOST_KEY_SIGNATURE, data,
				  size) != 1)
		r = error_set(error, -EBADMSG,
			      "the signature does not belong to it: it was "
			      "changed, or signed with another key");
	ERR_clear_error();
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	return r;
}
