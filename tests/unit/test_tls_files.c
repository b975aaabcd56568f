/* Keys and certificates: made once, renewed when needed, signing. */
#include "daemon/tls_files.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[64];
static const char *const names[] = {"vaults.example.org", "192.0.2.7", NULL};
static const char *const files_made[] = {"ca.pem",      "ca.key",
					 "gateway.pem", "gateway.key",
					 "sign.key",    "sign.pem"};

static void path_of(char path[128], const char *name)
{
	snprintf(path, 128, "%s/%s", folder, name);
}

static int setup(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/test_tls_files.XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
	char path[128];

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		path_of(path, files_made[i]);
		unlink(path);
	}
	return rmdir(folder); /* nothing else was left there */
}

static void prepare(struct tls_files *files, const char *const *n)
{
	struct error e = {0};

	if (tls_files_prepare(files, folder, n, &e) < 0)
		fail_msg("%s", e.text);
}

static void read_whole(const char *name, char text[8192])
{
	char path[128];
	ssize_t n;
	int fd;

	path_of(path, name);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	n = read(fd, text, 8191);
	assert_true(n > 0);
	text[n] = 0;
	close(fd);
}

static X509 *certificate(const char *name)
{
	char path[128];
	FILE *f;
	X509 *x;

	path_of(path, name);
	f = fopen(path, "r");
	assert_non_null(f);
	x = PEM_read_X509(f, NULL, NULL, NULL);
	fclose(f);
	assert_non_null(x);
	return x;
}

static void made_once_and_kept(void **state)
{
	struct tls_files files;
	char before[6][8192], after[8192], path[128];
	struct stat st;

	(void)state;
	prepare(&files, names);
	for (size_t i = 0; i < 6; i++) {
		read_whole(files_made[i], before[i]);
		path_of(path, files_made[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 0777,
				 strstr(path, ".key") ? 0600 : 0644);
	}
	assert_string_equal(files.ca_pem, before[0]);
	prepare(&files, names);
	for (size_t i = 0; i < 6; i++) {
		read_whole(files_made[i], after);
		assert_string_equal(after, before[i]);
	}
}

/* What a viewer checks: chain, names, subject. */
static void a_viewer_can_check_it(void **state)
{
	struct tls_files files;
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *c = X509_STORE_CTX_new();
	X509 *ca, *x;
	char subject[256];
	BIO *out = BIO_new(BIO_s_mem());

	(void)state;
	prepare(&files, names);
	ca = certificate("ca.pem");
	x = certificate("gateway.pem");
	assert_int_equal(X509_STORE_add_cert(store, ca), 1);
	assert_int_equal(X509_STORE_CTX_init(c, store, x, NULL), 1);
	X509_STORE_CTX_set_purpose(c, X509_PURPOSE_SSL_SERVER);
	assert_int_equal(X509_verify_cert(c), 1);
	assert_int_equal(X509_check_host(x, names[0], 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(x, "localhost", 0, 0, NULL), 1);
	assert_int_equal(X509_check_ip_asc(x, names[1], 0), 1);
	assert_int_equal(X509_check_ip_asc(x, "127.0.0.1", 0), 1);
	assert_int_equal(X509_check_ip_asc(x, "::1", 0), 1);
	assert_int_equal(X509_check_ip_asc(x, "192.0.2.8", 0), 0);
	X509_NAME_print_ex(out, X509_get_subject_name(x), 0,
			   XN_FLAG_SEP_COMMA_PLUS | XN_FLAG_FN_SN);
	subject[BIO_read(out, subject, sizeof(subject) - 1)] = 0;
	assert_string_equal(files.subject, subject);
	BIO_free(out);
	X509_STORE_CTX_free(c);
	X509_STORE_free(store);
	X509_free(ca);
	X509_free(x);
}

static void made_anew_for_a_new_name(void **state)
{
	static const char *const more[] = {"other.example.org", NULL};
	struct tls_files files;
	char ca[8192], key[8192], text[8192], old[8192];
	X509 *x;

	(void)state;
	prepare(&files, names);
	read_whole("ca.pem", ca);
	read_whole("gateway.key", key);
	read_whole("gateway.pem", old);
	prepare(&files, more);
	read_whole("ca.pem", text);
	assert_string_equal(text, ca);
	read_whole("gateway.key", text);
	assert_string_equal(text, key);
	read_whole("gateway.pem", text);
	assert_string_not_equal(text, old);
	x = certificate("gateway.pem");
	assert_int_equal(X509_check_host(x, more[0], 0, 0, NULL), 1);
	X509_free(x);
}

/* Each file lost alone is made so that the others still fit. */
static void a_lost_file_is_made_again(void **state)
{
	struct tls_files files;
	char path[128];

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		prepare(&files, names);
		path_of(path, files_made[i]);
		assert_int_equal(unlink(path), 0);
		a_viewer_can_check_it(state);
	}
}

static void signs_and_verifies(void **state)
{
	struct tls_files files;
	uint8_t digest[32] = {1, 2, 3}, signature[64];
	struct error e = {0};

	(void)state;
	prepare(&files, names);
	assert_int_equal(tls_files_sign(&files, digest, signature, &e), 0);
	assert_int_equal(tls_files_verify(&files, digest, signature, &e), 0);
	digest[31] ^= 1;
	assert_int_equal(tls_files_verify(&files, digest, signature, &e),
			 -EBADMSG);
	digest[31] ^= 1;
	signature[40] ^= 1;
	assert_int_equal(tls_files_verify(&files, digest, signature, &e),
			 -EBADMSG);
}

static void a_damaged_key_is_not_replaced(void **state)
{
	struct tls_files files;
	struct error e = {0};
	char path[128];
	uint8_t digest[32] = {0}, signature[64];

	(void)state;
	prepare(&files, names);
	path_of(path, "sign.key");
	assert_int_equal(truncate(path, 20), 0);
	assert_int_equal(tls_files_prepare(&files, folder, names, &e),
			 -EBADMSG);
	assert_non_null(strstr(e.text, "sign.key"));
	assert_int_equal(tls_files_sign(&files, digest, signature, &e),
			 -EBADMSG);
}

static void opens_both(void **state)
{
	struct tls_files files;
	int certificate = -1, key = -1;
	char path[128];

	(void)state;
	prepare(&files, names);
	assert_int_equal(tls_files_open(&files, &certificate, &key, NULL), 0);
	assert_true(certificate >= 0 && key >= 0);
	close(certificate);
	close(key);
	path_of(path, "gateway.key");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(tls_files_open(&files, &certificate, &key, NULL),
			 -ENOENT);
	assert_int_equal(certificate, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(made_once_and_kept),
		TEST(a_viewer_can_check_it),
		TEST(made_anew_for_a_new_name),
		TEST(a_lost_file_is_made_again),
		TEST(signs_and_verifies),
		TEST(a_damaged_key_is_not_replaced),
		TEST(opens_both),
	};

	return cmocka_run_group_tests_name("tls_files", tests, NULL, NULL);
}
