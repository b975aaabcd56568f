/* Tickets are used once, in time, from the right place; the .vv they go in. */
#include "daemon/catalogue.h"
#include "daemon/ticket.h"
#include "daemon/vv.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define NOW 1000000000
#define LIFETIME 60000000

static char folder[64], path[80];
static struct catalogue *catalogue;

static int make_catalogue(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/mediavm-ticket-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/c.db", folder);
	return catalogue_open(&catalogue, path, schema_migrations, NULL);
}

static int remove_catalogue(void **state)
{
	(void)state;
	catalogue_free(catalogue);
	unlink(path);
	return rmdir(folder);
}

static void make(const char *address, char text[TICKET_SIZE])
{
	const struct ticket_spec spec = {
		.vault = "v",
		.view_only = true,
		.address = address,
		.made_by = "test",
		.now = NOW,
		.lifetime = LIFETIME,
	};

	assert_int_equal(ticket_make(catalogue, &spec, text, NULL), 0);
}

static enum ticket_verdict redeem(const char *text, const char *address,
				  int64_t now, struct ticket_grant *grant)
{
	uint8_t digest[TICKET_DIGEST_SIZE];
	enum ticket_verdict verdict;

	ticket_digest(text, digest);
	assert_int_equal(ticket_redeem(catalogue, digest, address, now,
				       &verdict, grant, NULL),
			 0);
	return verdict;
}

static void works_once(void **state)
{
	char text[TICKET_SIZE], other[TICKET_SIZE];
	struct ticket_grant grant;

	(void)state;
	make(NULL, text);
	make(NULL, other);
	assert_int_equal(strlen(text), 32);
	assert_string_not_equal(text, other);
	assert_int_equal(redeem(text, "1.2.3.4", NOW, &grant), TICKET_GOOD);
	assert_string_equal(grant.vault, "v");
	assert_string_equal(grant.job, "");
	assert_true(grant.view_only);
	assert_int_equal(redeem(text, "1.2.3.4", NOW, &grant), TICKET_USED);
	assert_string_equal(grant.vault, "v");
	assert_int_equal(redeem("nonsense", "1.2.3.4", NOW, &grant),
			 TICKET_UNKNOWN);
	assert_string_equal(grant.vault, "");
	assert_int_equal(redeem(other, "1.2.3.4", NOW, &grant), TICKET_GOOD);
}

static void expires(void **state)
{
	char text[TICKET_SIZE];
	struct ticket_grant grant;

	(void)state;
	make(NULL, text);
	assert_int_equal(redeem(text, "::1", NOW + LIFETIME, &grant),
			 TICKET_EXPIRED);
	assert_int_equal(redeem(text, "::1", NOW + LIFETIME - 1, &grant),
			 TICKET_GOOD);
	ticket_sweep(catalogue, NOW + LIFETIME + 1);
	assert_int_equal(redeem(text, "::1", NOW, &grant), TICKET_UNKNOWN);
}

static void keeps_to_its_address(void **state)
{
	char text[TICKET_SIZE];
	struct ticket_grant grant;

	(void)state;
	make("192.0.2.7", text);
	assert_int_equal(redeem(text, "192.0.2.8", NOW, &grant),
			 TICKET_FOREIGN);
	/* The stranger has not used it up. */
	assert_int_equal(redeem(text, "192.0.2.7", NOW, &grant), TICKET_GOOD);
}

static int take_blob(void *data, const struct catalogue_row *row)
{
	size_t size;
	const void *blob = catalogue_row_blob(row, 0, &size);

	assert_int_equal(size, TICKET_DIGEST_SIZE);
	memcpy(data, blob, size);
	return 0;
}

static void only_the_digest_is_kept(void **state)
{
	/* SHA-256 of "abc", FIPS 180-4. */
	static const uint8_t abc[] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf,
				      0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae,
				      0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96,
				      0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61,
				      0xf2, 0x00, 0x15, 0xad};
	uint8_t stored[TICKET_DIGEST_SIZE], digest[TICKET_DIGEST_SIZE];
	char text[TICKET_SIZE];

	(void)state;
	ticket_digest("abc", digest);
	assert_memory_equal(digest, abc, sizeof(abc));
	make(NULL, text);
	ticket_digest(text, digest);
	assert_int_equal(catalogue_read(catalogue, "SELECT digest FROM ticket",
					CATALOGUE_NONE, take_blob, stored,
					NULL),
			 1);
	assert_memory_equal(stored, digest, sizeof(digest));
}

struct racer {
	pthread_t thread;
	pthread_barrier_t *start;
	const uint8_t (*digests)[TICKET_DIGEST_SIZE];
	unsigned good;
	int failed;
};

#define RACERS 8
#define RACED 40

/* Each with a connection of its own, as separate processes would have. */
static void *race(void *data)
{
	struct racer *racer = data;
	struct catalogue *own;

	racer->failed = catalogue_open(&own, path, schema_migrations, NULL);
	pthread_barrier_wait(racer->start);
	for (unsigned i = 0; !racer->failed && i < RACED; i++) {
		struct ticket_grant grant;
		enum ticket_verdict verdict;

		racer->failed = ticket_redeem(own, racer->digests[i], "::1",
					      NOW, &verdict, &grant, NULL);
		racer->good += verdict == TICKET_GOOD;
	}
	catalogue_free(own);
	return NULL;
}

static void one_of_eight_threads_wins(void **state)
{
	uint8_t digests[RACED][TICKET_DIGEST_SIZE];
	struct racer racers[RACERS];
	pthread_barrier_t start;
	unsigned good = 0;

	(void)state;
	for (unsigned i = 0; i < RACED; i++) {
		char text[TICKET_SIZE];

		make(NULL, text);
		ticket_digest(text, digests[i]);
	}
	pthread_barrier_init(&start, NULL, RACERS);
	for (unsigned i = 0; i < RACERS; i++) {
		racers[i] = (struct racer){.start = &start,
					   .digests = (const void *)digests};
		pthread_create(&racers[i].thread, NULL, race, &racers[i]);
	}
	for (unsigned i = 0; i < RACERS; i++) {
		pthread_join(racers[i].thread, NULL);
		assert_int_equal(racers[i].failed, 0);
		good += racers[i].good;
	}
	pthread_barrier_destroy(&start);
	assert_int_equal(good, RACED);
}

static void the_vv_is_what_viewers_read(void **state)
{
	const struct vv vv = {
		.title = "algebra",
		.host = "vault.example",
		.tls_port = 5930,
		.ticket = "abcdefghijklmnopqrstuvwxyz234567",
		.ca_pem = "-----BEGIN CERTIFICATE-----\nAA==\n"
			  "-----END CERTIFICATE-----\n",
		.subject = "O=mediavm,CN=mediavm gateway",
		.usb = false,
	};
	char *text = vv_text(&vv);

	(void)state;
	assert_non_null(text);
	assert_int_equal(strncmp(text, "[virt-viewer]\ntype=spice\n", 25), 0);
	assert_non_null(strstr(text, "\nhost=vault.example\n"));
	assert_non_null(strstr(text, "\ntls-port=5930\n"));
	assert_null(strstr(text, "\nport="));
	assert_non_null(strstr(text, "\npassword=abcdefghijklmnopqrstuvwxyz"
				     "234567\n"));
	assert_true(strlen(vv.ticket) <= 60);
	assert_non_null(strstr(text, "\ntitle=algebra"));
	assert_non_null(strstr(text, "\ndelete-this-file=1\n"));
	assert_non_null(strstr(text, "\nhost-subject=O=mediavm,CN=mediavm "
				     "gateway\n"));
	assert_non_null(strstr(text,
			       "\nca=-----BEGIN CERTIFICATE-----\\nAA==\\n"
			       "-----END CERTIFICATE-----\\n\n"));
	assert_non_null(strstr(text, "\nsecure-attention="));
	assert_non_null(strstr(text, "\ntoggle-fullscreen="));
	assert_non_null(strstr(text, "\nrelease-cursor="));
	assert_non_null(strstr(text, "\nenable-usbredir=0\n"));
	free(text);
}

#define TEST(f) \
	cmocka_unit_test_setup_teardown(f, make_catalogue, remove_catalogue)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(works_once),
		TEST(expires),
		TEST(keeps_to_its_address),
		TEST(only_the_digest_is_kept),
		TEST(one_of_eight_threads_wins),
		cmocka_unit_test(the_vv_is_what_viewers_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
