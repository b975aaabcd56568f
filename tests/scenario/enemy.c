/*
 * Makes bundles that an enemy would: of a good one, with something else in its
 * plan or in a file, whole and signed (by somebody).
 *
 *   enemy IN OUT plan FROM TO         a text of the plan
 *   enemy IN OUT file PATH FROM TO    a text of a file
 *   enemy IN OUT image PATH FILE      a file's whole content
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "daemon/bundle_read.h"
#include "daemon/bundle_write.h"

static struct bundle_plan *plan;
static int *files;
static char *plan_text;

static void fail(const char *text)
{
	fprintf(stderr, "enemy: %s\n", text);
	exit(1);
}

/* --- reading ------------------------------------------------------------ */

static int take_plan(void *data, const char *text, size_t size,
		     const uint8_t digest[BUNDLE_DIGEST],
		     const struct bundle_plan **result, struct error *error)
{
	int r = bundle_plan_read(&plan, text, size, error);

	(void)data;
	(void)digest;
	if (r)
		return r;
	plan_text = strndup(text, size);
	files = calloc(plan->count, sizeof(*files));
	for (unsigned i = 0; i < plan->count; i++)
		files[i] = memfd_create("file", 0);
	*result = plan;
	return 0;
}

static int open_file(void *data, unsigned n, int *fd, struct error *error)
{
	(void)data;
	(void)error;
	*fd = dup(files[n]);
	return 0;
}

static int sync_files(void *data, struct error *error)
{
	(void)data;
	(void)error;
	return 0;
}

static int signed_by(void *data, const char *key, struct error *error)
{
	(void)data;
	(void)key;
	(void)error;
	return 0;
}

static int take_handover(void *data, const char *text, size_t size,
			 struct error *error)
{
	(void)error;
	buffer_put(data, text, size);
	return 0;
}

/* --- writing ------------------------------------------------------------ */

static int sign(void *data, const uint8_t *text, struct buffer *body,
		struct error *error)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t public[32], signature[64];
	size_t n = 32, m = 64;
	char hex[129], json[300];

	(void)data;
	(void)error;
	EVP_PKEY_get_raw_public_key(key, public, &n);
	EVP_DigestSignInit(context, NULL, NULL, NULL, key);
	EVP_DigestSign(context, signature, &m, text, BUNDLE_SIGNED_SIZE);
	bundle_hex(public, n, hex);
	n = (size_t)snprintf(json, sizeof(json), "{\"key\":\"%s\",", hex);
	bundle_hex(signature, m, hex);
	snprintf(json + n, sizeof(json) - n, "\"signature\":\"%s\"}", hex);
	buffer_put(body, json, strlen(json));
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	return 0;
}

static int give_handover(void *data, struct buffer *body, struct error *error)
{
	const struct buffer *lease = data;

	(void)error;
	buffer_put(body, lease->data, lease->size);
	return 0;
}

/* --- the change --------------------------------------------------------- */

static char *replace(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);
	char *result;

	if (!at)
		fail("there is no such text");
	if (asprintf(&result, "%.*s%s%s", (int)(at - text), text, to,
		     at + strlen(from)) < 0)
		fail("no memory");
	return result;
}

static unsigned find(const char *path)
{
	for (unsigned i = 0; i < plan->count; i++)
		if (!strcmp(plan->files[i].path, path))
			return i;
	fail("there is no such file");
	return 0;
}

static char *content(int fd, size_t *size)
{
	struct stat st;
	char *data = NULL;

	if (fd < 0 || fstat(fd, &st) ||
	    !(data = calloc(1, (size_t)st.st_size + 1)) ||
	    pread(fd, data, (size_t)st.st_size, 0) != st.st_size)
		fail("can't read");
	*size = (size_t)st.st_size;
	return data;
}

static void set_content(unsigned i, const char *data, size_t size)
{
	if (ftruncate(files[i], 0) ||
	    pwrite(files[i], data, size, 0) != (ssize_t)size)
		fail("can't write");
	plan->files[i].size = plan->files[i].data = size;
	free(plan_text);
	plan_text = bundle_plan_print(plan);
}

static void change_file(const char *path, const char *from, const char *to)
{
	unsigned i = find(path);
	size_t size;
	char *text = content(files[i], &size), *other;

	other = replace(text, from, to);
	set_content(i, other, strlen(other));
	free(other);
	free(text);
}

static void change_image(const char *path, const char *file)
{
	int fd = open(file, O_RDONLY);
	size_t size;
	char *data = content(fd, &size);

	set_content(find(path), data, size);
	free(data);
	close(fd);
}

int main(int argc, char **argv)
{
	struct buffer lease = {0};
	struct bundle_reader reader = {.journal = memfd_create("journal", 0),
				       .take_plan = take_plan,
				       .open = open_file,
				       .sync = sync_files,
				       .signed_by = signed_by,
				       .handover = take_handover,
				       .data = &lease};
	struct bundle_writer writer = {.journal = memfd_create("journal", 0),
				       .is_file = true,
				       .open = open_file,
				       .sign = sign,
				       .handover = give_handover,
				       .data = &lease};
	struct error error = {0};
	char *text;

	if (argc < 6)
		fail("see its source for what it takes");
	reader.input = open(argv[1], O_RDONLY);
	writer.output = open(argv[2], O_RDWR | O_CREAT | O_TRUNC, 0644);
	if (reader.input < 0 || writer.output < 0 ||
	    bundle_read(&reader, &error))
		fail(error.text);
	if (!strcmp(argv[3], "file") && argc > 6) {
		change_file(argv[4], argv[5], argv[6]);
	} else if (!strcmp(argv[3], "image")) {
		change_image(argv[4], argv[5]);
	} else {
		text = replace(plan_text, argv[4], argv[5]);
		free(plan_text);
		plan_text = text;
	}
	writer.plan = plan;
	writer.plan_text = plan_text;
	if (bundle_write(&writer, &error))
		fail(error.text);
	return 0;
}
