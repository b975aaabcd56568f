/* Binding the content key to the machine, and getting it back. */
#include "licence.h"

#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

static void digest_field(const struct field *field,
			 const struct bound_licence *b, uint8_t *digest)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();

	EVP_DigestInit_ex(c, EVP_sha256(), NULL);
	EVP_DigestUpdate(c, b->salt, sizeof(b->salt));
	EVP_DigestUpdate(c, field->name, strlen(field->name));
	EVP_DigestUpdate(c, "=", 1);
	EVP_DigestUpdate(c, field->value, strlen(field->value));
	EVP_DigestFinal_ex(c, digest, NULL);
	EVP_MD_CTX_free(c);
}

/* The key that wraps the content key: HKDF-SHA256 over all fields. */
static bool derive(const struct fingerprint *f, const struct bound_licence *b,
		   uint8_t *key)
{
	char input[FIELDS_MAX * (FIELD_TEXT + 32)];
	size_t n = 0;
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *c = EVP_KDF_CTX_new(kdf);
	OSSL_PARAM p[5];
	bool good;

	/* The terminating zeros keep the fields apart. */
	for (int i = 0; i < f->n; i++) {
		n = (size_t)(stpcpy(input + n, f->fields[i].name) - input) + 1;
		n = (size_t)(stpcpy(input + n, f->fields[i].value) - input) + 1;
	}
	p[0] = OSSL_PARAM_construct_utf8_string("digest", "SHA256", 0);
	p[1] = OSSL_PARAM_construct_octet_string("key", input, n);
	p[2] = OSSL_PARAM_construct_octet_string("salt", (void *)b->salt,
						 sizeof(b->salt));
	p[3] = OSSL_PARAM_construct_octet_string("info", "lesson licence", 14);
	p[4] = OSSL_PARAM_construct_end();
	good = EVP_KDF_derive(c, key, KEY_SIZE, p) == 1;
	EVP_KDF_CTX_free(c);
	EVP_KDF_free(kdf);
	return good;
}

static bool wrap(const struct fingerprint *f, struct bound_licence *b,
		 const uint8_t *content)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	uint8_t key[KEY_SIZE];
	int n;
	bool good =
		derive(f, b, key) &&
		EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, b->nonce) &&
		EVP_EncryptUpdate(c, b->key, &n, content, KEY_SIZE) &&
		EVP_EncryptFinal_ex(c, b->key, &n) &&
		EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, b->tag);

	EVP_CIPHER_CTX_free(c);
	explicit_bzero(key, sizeof(key));
	return good;
}

static bool unwrap(const struct fingerprint *f, struct bound_licence *b,
		   uint8_t *content)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	uint8_t key[KEY_SIZE];
	int n;
	bool good =
		derive(f, b, key) &&
		EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, b->nonce) &&
		EVP_DecryptUpdate(c, content, &n, b->key, KEY_SIZE) &&
		EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG_SIZE,
				    b->tag) &&
		EVP_DecryptFinal_ex(c, content + n, &n) == 1;

	EVP_CIPHER_CTX_free(c);
	explicit_bzero(key, sizeof(key));
	if (!good)
		explicit_bzero(content, KEY_SIZE);
	return good;
}

/* Whole blocks only, so that nothing of the old contents is left. */
static bool write_block(int disk, off_t at, const void *data, size_t size,
			uint8_t filler)
{
	uint8_t block[4096];

	memset(block, filler, sizeof(block));
	memcpy(block, data, size);
	return pwrite(disk, block, sizeof(block), at) == sizeof(block) &&
	       fsync(disk) == 0;
}

/* First the bound licence, then the end of the one-time licence: a machine
 * that stops in between has both and starts over. */
static enum licence_state activate(struct licence *l, int disk,
				   const struct fingerprint *f,
				   const struct one_time_licence *once)
{
	struct bound_licence b = {.fields = (uint32_t)f->n};

	memcpy(b.magic, BOUND_MAGIC, sizeof(b.magic));
	if (getrandom(b.salt, sizeof(b.salt), 0) != sizeof(b.salt) ||
	    getrandom(b.nonce, sizeof(b.nonce), 0) != sizeof(b.nonce))
		return LICENCE_FAILED;
	for (int i = 0; i < f->n; i++)
		digest_field(&f->fields[i], &b, b.digest[i]);
	if (!wrap(f, &b, once->key) || !unwrap(f, &b, l->key) ||
	    !write_block(disk, BOUND_AT, &b, sizeof(b), 0) ||
	    !write_block(disk, ONE_TIME_AT, "", 0, 0xff))
		return LICENCE_FAILED;
	return LICENCE_ACTIVATED;
}

static void compare(struct licence *l, const struct bound_licence *b,
		    const struct fingerprint *f)
{
	for (int i = 0; i < f->n; i++) {
		digest_field(&f->fields[i], b, l->now[i]);
		memcpy(l->was[i], b->digest[i], DIGEST_SIZE);
		l->changed[i] = memcmp(l->was[i], l->now[i], DIGEST_SIZE) != 0;
	}
}

enum licence_state licence_open(struct licence *l, int disk,
				const struct fingerprint *f)
{
	struct one_time_licence once;
	struct bound_licence b;

	memset(l, 0, sizeof(*l));
	if (pread(disk, &once, sizeof(once), ONE_TIME_AT) != sizeof(once) ||
	    pread(disk, &b, sizeof(b), BOUND_AT) != sizeof(b))
		return LICENCE_ABSENT;
	if (memcmp(once.magic, ONE_TIME_MAGIC, sizeof(once.magic)) == 0)
		return activate(l, disk, f, &once);
	if (memcmp(b.magic, BOUND_MAGIC, sizeof(b.magic)) != 0 ||
	    b.fields != (uint32_t)f->n)
		return LICENCE_ABSENT;
	if (unwrap(f, &b, l->key))
		return LICENCE_VALID;
	compare(l, &b, f);
	return LICENCE_REFUSED;
}
