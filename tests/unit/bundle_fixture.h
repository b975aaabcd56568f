/*
 * Bundles for tests: files in memory, a key, and what stands for the control
 * role. Of those who include it, each uses what it needs.
 */
#ifndef TESTS_UNIT_BUNDLE_FIXTURE_H
#define TESTS_UNIT_BUNDLE_FIXTURE_H

#include "daemon/bundle_read.h"
#include "daemon/bundle_write.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FIXTURE_FILES 5
#define MIB (1u << 20)

struct fixture {
	struct bundle_plan *plan;
	char *text;
	int files[FIXTURE_FILES]; /* what is written */
	int made[FIXTURE_FILES];  /* what is read */
	EVP_PKEY *key;
	const struct bundle_plan *seen; /* by the reader */
	struct bundle_plan *taken;
	char signer[65], handover[64];
	unsigned syncs;
	int sync_fails_at; /* the n-th fails, as a kill; 0: none */
};

static inline void fixture_noise(int fd, off_t at, size_t size, uint32_t seed)
{
	uint32_t *data = malloc(size);

	for (size_t i = 0; i < size / 4; i++)
		data[i] = seed = seed * 1664525 + 1013904223;
	if (pwrite(fd, data, size, at) != (ssize_t)size)
		abort();
	free(data);
}

static inline int fixture_file(uint64_t size)
{
	int fd = memfd_create("file", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)size))
		abort();
	return fd;
}

static inline void fixture_plan(struct fixture *f, bool moved)
{
	static const char *const paths[FIXTURE_FILES] = {
		"disks/a.qcow2", "disks/b.raw", "domain.xml", "fw/empty",
		"nvram/vars.fd"};
	static const uint64_t sizes[FIXTURE_FILES] = {40 * MIB + 1234, 64 * MIB,
						      11, 0, 5 * MIB};
	struct bundle_plan *plan = calloc(1, sizeof(*plan));

	strcpy(plan->id, "00112233445566778899aabbccddeeff");
	strcpy(plan->name, "kept");
	strcpy(plan->uuid, "6a3c9d3e-1111-4222-8333-444455556666");
	plan->moved = moved;
	plan->spec = json_object();
	plan->policy = json_object();
	plan->count = FIXTURE_FILES;
	plan->files = calloc(FIXTURE_FILES, sizeof(*plan->files));
	for (unsigned i = 0; i < FIXTURE_FILES; i++) {
		plan->files[i] = (struct bundle_file){
			.path = strdup(paths[i]),
			.size = sizes[i],
			.data = sizes[i],
		};
		plan->data += sizes[i];
		f->files[i] = fixture_file(sizes[i]);
		f->made[i] = fixture_file(0);
	}
	f->plan = plan;
	f->text = bundle_plan_print(plan);
}

/*
 * a.qcow2: noise here and there, an odd end; b.raw: nothing; the definition;
 * an empty file; variables that compress well.
 */
static inline void fixture_make(struct fixture *f, bool moved)
{
	memset(f, 0, sizeof(*f));
	fixture_plan(f, moved);
	fixture_noise(f->files[0], 0, 64 << 10, 1);
	fixture_noise(f->files[0], 8 * MIB - 98304, 300 << 10, 2);
	fixture_noise(f->files[0], 40 * MIB, 1232, 3);
	if (pwrite(f->files[2], "<domain/>\n", 10, 0) != 10)
		abort();
	for (unsigned i = 0; i < 5 * MIB; i += 16)
		if (pwrite(f->files[4], &i, sizeof(i), i) != sizeof(i))
			abort();
	f->key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
}

static inline void fixture_free(struct fixture *f)
{
	for (unsigned i = 0; i < FIXTURE_FILES; i++) {
		close(f->files[i]);
		close(f->made[i]);
	}
	bundle_plan_free(f->plan);
	bundle_plan_free(f->taken);
	free(f->text);
	EVP_PKEY_free(f->key);
}

/* --- of the writer ---------------------------------------------------- */

static inline int fixture_open(void *data, unsigned n, int *fd,
			       struct error *error)
{
	struct fixture *f = data;

	(void)error;
	*fd = dup(f->files[n]);
	return 0;
}

static inline int fixture_sign(void *data, const uint8_t *text,
			       struct buffer *body, struct error *error)
{
	struct fixture *f = data;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t key[32], signature[64];
	size_t key_size = 32, size = 64;
	char hex[129], line[300];

	(void)error;
	EVP_PKEY_get_raw_public_key(f->key, key, &key_size);
	EVP_DigestSignInit(context, NULL, NULL, NULL, f->key);
	EVP_DigestSign(context, signature, &size, text, BUNDLE_SIGNED_SIZE);
	EVP_MD_CTX_free(context);
	bundle_hex(key, 32, hex);
	snprintf(line, sizeof(line), "{\"key\":\"%s\",\"signature\":\"", hex);
	buffer_put(body, line, strlen(line));
	bundle_hex(signature, 64, hex);
	buffer_put(body, hex, 128);
	buffer_put(body, "\"}", 2);
	return 0;
}

static inline int fixture_handover(void *data, struct buffer *body,
				   struct error *error)
{
	(void)data;
	(void)error;
	buffer_put(body, "{\"lease\":1}", 11);
	return 0;
}

static inline struct bundle_writer fixture_writer(struct fixture *f, int output,
						  int journal)
{
	return (struct bundle_writer){.plan = f->plan,
				      .plan_text = f->text,
				      .output = output,
				      .is_file = true,
				      .journal = journal,
				      .open = fixture_open,
				      .sign = fixture_sign,
				      .handover = fixture_handover,
				      .data = f};
}

/* A whole bundle in a file. */
static inline int fixture_bundle(struct fixture *f)
{
	int output = memfd_create("bundle", MFD_CLOEXEC);
	int journal = memfd_create("journal", MFD_CLOEXEC);
	struct bundle_writer writer = fixture_writer(f, output, journal);
	struct error error = {0};

	if (bundle_write(&writer, &error)) {
		fprintf(stderr, "%s\n", error.text);
		abort();
	}
	close(journal);
	lseek(output, 0, SEEK_SET);
	return output;
}

/* --- of the reader ---------------------------------------------------- */

static inline int fixture_take_plan(void *data, const char *text, size_t size,
				    const uint8_t digest[BUNDLE_DIGEST],
				    const struct bundle_plan **plan,
				    struct error *error)
{
	struct fixture *f = data;
	int r;

	(void)digest;
	bundle_plan_free(f->taken);
	r = bundle_plan_read(&f->taken, text, size, error);
	f->seen = *plan = f->taken;
	return r;
}

static inline int fixture_open_made(void *data, unsigned n, int *fd,
				    struct error *error)
{
	struct fixture *f = data;

	(void)error;
	*fd = n < FIXTURE_FILES ? dup(f->made[n]) : fixture_file(0);
	return 0;
}

static inline int fixture_sync(void *data, struct error *error)
{
	struct fixture *f = data;

	return ++f->syncs == (unsigned)f->sync_fails_at
		       ? error_set(error, -EIO, "killed")
		       : 0;
}

static inline int fixture_signer(void *data, const char *key,
				 struct error *error)
{
	struct fixture *f = data;

	(void)error;
	snprintf(f->signer, sizeof(f->signer), "%s", key);
	return 0;
}

static inline int fixture_take_handover(void *data, const char *text,
					size_t size, struct error *error)
{
	struct fixture *f = data;

	(void)error;
	snprintf(f->handover, sizeof(f->handover), "%.*s", (int)size, text);
	return 0;
}

/* journal: -1 for a check. */
static inline struct bundle_reader fixture_reader(struct fixture *f, int input,
						  int journal)
{
	return (struct bundle_reader){.input = input,
				      .journal = journal,
				      .take_plan = fixture_take_plan,
				      .open = fixture_open_made,
				      .sync = fixture_sync,
				      .signed_by = fixture_signer,
				      .handover = fixture_take_handover,
				      .data = f};
}

#endif
