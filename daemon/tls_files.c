/*
 * Keys and certificates in STATE/tls; see tls_files.h.
 *
 * A key is made once and kept; a certificate is made anew from its key when
 * it is missing, does not fit the key or the authority, lacks a name, or
 * expires soon. So a stop between two files leaves nothing to repair.
 */
#include "daemon/tls_files.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAY 86400L
#define CA_DAYS 7300
#define CERTIFICATE_DAYS 730
#define RENEW_DAYS 60 /* left to live when a certificate is renewed */
#define SUBJECT_O "mediavm"
#define SUBJECT_CN "mediavm gateway"

static int openssl_error(struct error *error, const char *what,
			 const char *path)
{
	char reason[160] = "no reason given";
	unsigned long e = ERR_peek_last_error();

	if (e)
		ERR_error_string_n(e, reason, sizeof(reason));
	ERR_clear_error();
	return error_set(error, EIO, "%s %s: %s", what, path, reason);
}

static void path_of(const struct tls_files *files, const char *name,
		    char path[600])
{
	snprintf(path, 600, "%s/%s", files->folder, name);
}

static int sync_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 || fsync(fd) < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return r;
}

/* The file appears whole or not at all. */
static int write_file(const struct tls_files *files, const char *name,
		      mode_t mode, BIO *content, struct error *error)
{
	char path[600], temporary[620];
	char *data;
	long size = BIO_get_mem_data(content, &data);
	int fd, r = 0;

	path_of(files, name, path);
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	unlink(temporary);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return error_errno(error, errno, "cannot make %s", temporary);
	if (write(fd, data, (size_t)size) != size || fchmod(fd, mode) < 0 ||
	    fsync(fd) < 0)
		r = errno ? -errno : -EIO;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r == 0 && rename(temporary, path) < 0)
		r = -errno;
	if (r == 0)
		r = sync_folder(files->folder);
	if (r < 0) {
		unlink(temporary);
		return error_errno(error, r, "cannot write %s", path);
	}
	return 0;
}

/* NULL with *error untouched and errno ENOENT when there is no such file. */
static BIO *read_file(const struct tls_files *files, const char *name)
{
	char path[600];

	path_of(files, name, path);
	errno = 0;
	return BIO_new_file(path, "r");
}

static int make_key(const struct tls_files *files, const char *name,
		    const char *algorithm, EVP_PKEY **key, struct error *error)
{
	BIO *out = BIO_new(BIO_s_secmem());
	int r = 0;

	*key = strcmp(algorithm, "EC") == 0
		       ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256")
		       : EVP_PKEY_Q_keygen(NULL, NULL, algorithm);
	if (!out || !*key ||
	    PEM_write_bio_PrivateKey(out, *key, NULL, NULL, 0, NULL, NULL) != 1)
		r = openssl_error(error, "cannot make the key", name);
	else
		r = write_file(files, name, 0600, out, error);
	BIO_free(out);
	if (r < 0) {
		EVP_PKEY_free(*key);
		*key = NULL;
	}
	return r;
}

static int load_key(const struct tls_files *files, const char *name,
		    const char *algorithm, EVP_PKEY **key, struct error *error)
{
	BIO *in = read_file(files, name);
	char path[600];

	*key = NULL;
	path_of(files, name, path);
	if (!in) {
		int code = errno ? errno : EIO;

		ERR_clear_error();
		return error_errno(error, code, "cannot open %s", path);
	}
	*key = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
	BIO_free(in);
	if (*key && EVP_PKEY_is_a(*key, algorithm))
		return 0;
	EVP_PKEY_free(*key);
	*key = NULL;
	ERR_clear_error();
	return error_set(error, EBADMSG,
			 "%s holds no %s key; restore it from a backup, or "
			 "delete it to have a new one made",
			 path, algorithm);
}

static int ensure_key(const struct tls_files *files, const char *name,
		      const char *algorithm, EVP_PKEY **key,
		      struct error *error)
{
	int r = load_key(files, name, algorithm, key, error);

	if (r != -ENOENT)
		return r;
	error_clear(error);
	return make_key(files, name, algorithm, key, error);
}

static X509 *load_certificate(const struct tls_files *files, const char *name)
{
	BIO *in = read_file(files, name);
	X509 *x = in ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;

	BIO_free(in);
	ERR_clear_error();
	return x;
}

static bool lives_on(const X509 *x)
{
	time_t soon = time(NULL) + RENEW_DAYS * DAY;

	return X509_cmp_time(X509_get0_notAfter(x), &soon) > 0 &&
	       X509_cmp_current_time(X509_get0_notBefore(x)) < 0;
}

static bool has_name(X509 *x, const char *name)
{
	return X509_check_ip_asc(x, name, 0) == 1 ||
	       X509_check_host(x, name, 0, 0, NULL) == 1;
}

static const char *const always[] = {"localhost", "127.0.0.1", "::1", NULL};

static bool has_names(X509 *x, const char *const *names)
{
	for (; *names; names++)
		if (!has_name(x, *names))
			return false;
	return true;
}

static bool add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *e;
	bool good;

	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	good = e && X509_add_ext(x, e, -1) == 1;
	X509_EXTENSION_free(e);
	return good;
}

static bool add_name(GENERAL_NAMES *list, const char *name)
{
	ASN1_OCTET_STRING *ip = a2i_IPADDRESS(name);
	GENERAL_NAME *g = GENERAL_NAME_new();
	ASN1_IA5STRING *dns = ip ? NULL : ASN1_IA5STRING_new();

	if (!g || (!ip && (!dns || !ASN1_STRING_set(dns, name, -1)))) {
		ASN1_IA5STRING_free(dns);
		ASN1_OCTET_STRING_free(ip);
		GENERAL_NAME_free(g);
		return false;
	}
	GENERAL_NAME_set0_value(g, ip ? GEN_IPADD : GEN_DNS,
				ip ? (void *)ip : (void *)dns);
	if (sk_GENERAL_NAME_push(list, g) > 0)
		return true;
	GENERAL_NAME_free(g);
	return false;
}

static bool add_names(X509 *x, const char *const *names)
{
	GENERAL_NAMES *list = sk_GENERAL_NAME_new_null();
	bool good = list;

	for (const char *const *n = always; good && *n; n++)
		good = add_name(list, *n);
	for (; good && *names; names++)
		good = add_name(list, *names);
	good = good && X509_add1_ext_i2d(x, NID_subject_alt_name, list, 0,
					 X509V3_ADD_DEFAULT) == 1;
	ERR_clear_error(); /* of texts that are no addresses */
	sk_GENERAL_NAME_pop_free(list, GENERAL_NAME_free);
	return good;
}

static bool add_subject(X509 *x, const char *cn)
{
	X509_NAME *name = X509_get_subject_name(x);

	return X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8,
					  (const uint8_t *)SUBJECT_O, -1, -1,
					  0) == 1 &&
	       X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
					  (const uint8_t *)cn, -1, -1, 0) == 1;
}

/* What the authority's and the gateway's certificates have in common. */
static X509 *new_certificate(EVP_PKEY *key, const char *cn, long days)
{
	X509 *x = X509_new();
	BIGNUM *serial = BN_new();

	if (x && serial && X509_set_version(x, X509_VERSION_3) == 1 &&
	    BN_rand(serial, 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
	    BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(x)) &&
	    X509_gmtime_adj(X509_getm_notBefore(x), -DAY) &&
	    X509_gmtime_adj(X509_getm_notAfter(x), days * DAY) &&
	    add_subject(x, cn) && X509_set_pubkey(x, key) == 1) {
		BN_free(serial);
		return x;
	}
	BN_free(serial);
	X509_free(x);
	return NULL;
}

static int store_certificate(const struct tls_files *files, const char *name,
			     X509 *x, struct error *error)
{
	BIO *out = BIO_new(BIO_s_mem());
	int r;

	if (!out || PEM_write_bio_X509(out, x) != 1)
		r = openssl_error(error, "cannot write the certificate", name);
	else
		r = write_file(files, name, 0644, out, error);
	BIO_free(out);
	return r;
}

static int ensure_ca(const struct tls_files *files, EVP_PKEY *key, X509 **ca,
		     struct error *error)
{
	uint8_t random[4] = {0};
	char cn[64];
	X509 *x = load_certificate(files, "ca.pem");
	int r;

	*ca = x;
	if (x && lives_on(x) && X509_check_private_key(x, key) == 1)
		return 0;
	X509_free(x);
	*ca = NULL;
	RAND_bytes(random, sizeof(random));
	snprintf(cn, sizeof(cn), "mediavm authority %02x%02x%02x%02x",
		 random[0], random[1], random[2], random[3]);
	x = new_certificate(key, cn, CA_DAYS);
	if (!x || X509_set_issuer_name(x, X509_get_subject_name(x)) != 1 ||
	    !add_extension(x, x, NID_basic_constraints,
			   "critical,CA:TRUE,pathlen:0") ||
	    !add_extension(x, x, NID_key_usage,
			   "critical,keyCertSign,cRLSign") ||
	    !add_extension(x, x, NID_subject_key_identifier, "hash") ||
	    X509_sign(x, key, EVP_sha256()) == 0)
		r = openssl_error(error, "cannot make the certificate",
				  "ca.pem");
	else
		r = store_certificate(files, "ca.pem", x, error);
	if (r < 0)
		X509_free(x);
	else
		*ca = x;
	return r;
}

static int ensure_certificate(const struct tls_files *files, EVP_PKEY *key,
			      EVP_PKEY *ca_key, X509 *ca,
			      const char *const *names, struct error *error)
{
	X509 *x = load_certificate(files, "gateway.pem");
	int r;

	if (x && lives_on(x) && X509_check_private_key(x, key) == 1 &&
	    X509_verify(x, ca_key) == 1 && has_names(x, always) &&
	    X509_check_issued(ca, x) == X509_V_OK && has_names(x, names)) {
		X509_free(x);
		return 0;
	}
	ERR_clear_error();
	X509_free(x);
	x = new_certificate(key, SUBJECT_CN, CERTIFICATE_DAYS);
	if (!x || X509_set_issuer_name(x, X509_get_subject_name(ca)) != 1 ||
	    !add_extension(x, ca, NID_basic_constraints, "critical,CA:FALSE") ||
	    !add_extension(x, ca, NID_key_usage, "critical,digitalSignature") ||
	    !add_extension(x, ca, NID_ext_key_usage, "serverAuth") ||
	    !add_extension(x, ca, NID_authority_key_identifier, "keyid") ||
	    !add_names(x, names) || X509_sign(x, ca_key, EVP_sha256()) == 0)
		r = openssl_error(error, "cannot make the certificate",
				  "gateway.pem");
	else
		r = store_certificate(files, "gateway.pem", x, error);
	X509_free(x);
	return r;
}

static int prepare_gateway(struct tls_files *files, const char *const *names,
			   struct error *error)
{
	EVP_PKEY *ca_key = NULL, *key = NULL;
	X509 *ca = NULL;
	BIO *out = BIO_new(BIO_s_mem());
	int n = 0;
	int r = ensure_key(files, "ca.key", "EC", &ca_key, error);

	if (r == 0)
		r = ensure_ca(files, ca_key, &ca, error);
	if (r == 0)
		r = ensure_key(files, "gateway.key", "EC", &key, error);
	if (r == 0)
		r = ensure_certificate(files, key, ca_key, ca, names, error);
	if (r == 0) {
		if (out && PEM_write_bio_X509(out, ca) == 1)
			n = BIO_read(out, files->ca_pem,
				     sizeof(files->ca_pem) - 1);
		if (n <= 0)
			r = openssl_error(error, "cannot read", "ca.pem");
		else
			files->ca_pem[n] = 0;
	}
	BIO_free(out);
	X509_free(ca);
	EVP_PKEY_free(key);
	EVP_PKEY_free(ca_key);
	return r;
}

/* sign.pem is for people who verify a recording elsewhere. */
static int prepare_signing(const struct tls_files *files, struct error *error)
{
	EVP_PKEY *key = NULL, *public = NULL;
	BIO *in = NULL, *out = NULL;
	int r = ensure_key(files, "sign.key", "ED25519", &key, error);

	if (r < 0)
		return r;
	in = read_file(files, "sign.pem");
	public = in ? PEM_read_bio_PUBKEY(in, NULL, NULL, NULL) : NULL;
	ERR_clear_error();
	if (!public || EVP_PKEY_eq(public, key) != 1) {
		out = BIO_new(BIO_s_mem());
		if (!out || PEM_write_bio_PUBKEY(out, key) != 1)
			r = openssl_error(error, "cannot write", "sign.pem");
		else
			r = write_file(files, "sign.pem", 0644, out, error);
	}
	BIO_free(out);
	BIO_free(in);
	EVP_PKEY_free(public);
	EVP_PKEY_free(key);
	return r;
}

int tls_files_prepare(struct tls_files *files, const char *folder,
		      const char *const *names, struct error *error)
{
	int r;

	*files = (struct tls_files){0};
	if (strlen(folder) >= sizeof(files->folder))
		return error_set(error, ENAMETOOLONG,
				 "the name of folder %.80s… is too long",
				 folder);
	strcpy(files->folder, folder);
	snprintf(files->subject, sizeof(files->subject), "O=%s,CN=%s",
		 SUBJECT_O, SUBJECT_CN);
	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		return error_errno(error, errno, "cannot make folder %s",
				   folder);
	r = prepare_gateway(files, names, error);
	if (r == 0)
		r = prepare_signing(files, error);
	return r;
}

static int open_file(const struct tls_files *files, const char *name, int *fd,
		     struct error *error)
{
	char path[600];

	path_of(files, name, path);
	*fd = open(path, O_RDONLY | O_CLOEXEC);
	if (*fd < 0)
		return error_errno(error, errno, "cannot open %s", path);
	return 0;
}

int tls_files_open(const struct tls_files *files, int *certificate, int *key,
		   struct error *error)
{
	int r = open_file(files, "gateway.pem", certificate, error);

	*key = -1;
	if (r < 0)
		return r;
	r = open_file(files, "gateway.key", key, error);
	if (r < 0) {
		close(*certificate);
		*certificate = -1;
	}
	return r;
}

int tls_files_sign(const struct tls_files *files, const uint8_t digest[32],
		   uint8_t signature[64], struct error *error)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY *key;
	size_t size = 64;
	int r = load_key(files, "sign.key", "ED25519", &key, error);

	if (r == 0 &&
	    (!context ||
	     EVP_DigestSignInit(context, NULL, NULL, NULL, key) != 1 ||
	     EVP_DigestSign(context, signature, &size, digest, 32) != 1 ||
	     size != 64))
		r = openssl_error(error, "cannot sign with", "sign.key");
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	return r;
}

int tls_files_verify(const struct tls_files *files, const uint8_t digest[32],
		     const uint8_t signature[64], struct error *error)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY *key;
	int r = load_key(files, "sign.key", "ED25519", &key, error);

	if (r == 0 && (!context || EVP_DigestVerifyInit(context, NULL, NULL,
							NULL, key) != 1))
		r = openssl_error(error, "cannot verify with", "sign.key");
	else if (r == 0 &&
		 EVP_DigestVerify(context, signature, 64, digest, 32) != 1)
		r = error_set(error, EBADMSG,
			      "the signature was not made of this digest with "
			      "the key of %s",
			      files->folder);
	ERR_clear_error();
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	return r;
}
