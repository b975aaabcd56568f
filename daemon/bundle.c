/* Heads and the plan of a bundle; see bundle.h. */
#include "daemon/bundle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <zlib.h>

#include "recorder/bytes.h"

#define SUMMED 24 /* bytes of a head under its checksum */
#define HASHED 32 /* bytes of a head under the digest */

/* --- heads ------------------------------------------------------------ */

static int digest_of(const uint8_t raw[BUNDLE_HEAD], const void *body,
		     size_t size, uint8_t digest[BUNDLE_DIGEST])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) &&
		    EVP_DigestUpdate(context, raw, HASHED) &&
		    (!size || EVP_DigestUpdate(context, body, size)) &&
		    EVP_DigestFinal_ex(context, digest, NULL);

	EVP_MD_CTX_free(context);
	return good ? 0 : -ENOMEM;
}

static uint32_t checksum(const uint8_t *raw)
{
	return (uint32_t)crc32(0, raw, SUMMED);
}

int bundle_head_make(struct bundle_head *head, const void *body,
		     uint8_t to[BUNDLE_HEAD], struct error *error)
{
	memset(to, 0, BUNDLE_HEAD);
	bytes_put_le32(to, head->kind);
	bytes_put_le32(to + 4, head->stored);
	bytes_put_le32(to + 8, head->length);
	bytes_put_le32(to + 12, head->file);
	bytes_put_le64(to + 16, head->offset);
	bytes_put_le32(to + 24, checksum(to));
	if (digest_of(to, body, head->stored, head->digest))
		return error_set(error, -ENOMEM, "no memory");
	memcpy(to + HASHED, head->digest, BUNDLE_DIGEST);
	return 0;
}

int bundle_head_read(struct bundle_head *head, const uint8_t from[BUNDLE_HEAD],
		     struct error *error)
{
	struct bytes b = bytes_of(from, BUNDLE_HEAD);
	uint32_t sum, zero;

	head->kind = bytes_le32(&b);
	head->stored = bytes_le32(&b);
	head->length = bytes_le32(&b);
	head->file = bytes_le32(&b);
	head->offset = bytes_le64(&b);
	sum = bytes_le32(&b);
	zero = bytes_le32(&b);
	memcpy(head->digest, from + HASHED, BUNDLE_DIGEST);
	if (sum != checksum(from) || zero)
		return error_set(error, -EBADMSG, "a record's head is damaged");
	if (head->kind < BUNDLE_PLAN || head->kind > BUNDLE_END)
		return error_set(error, -EINVAL,
				 "a record of a kind that is not known (%u)",
				 head->kind);
	if (head->stored > BUNDLE_STORED_MAX || head->length > BUNDLE_CHUNK)
		return error_set(error, -EINVAL,
				 "a record of an impossible size");
	return 0;
}

bool bundle_head_fits(const struct bundle_head *head,
		      const uint8_t raw[BUNDLE_HEAD], const void *body)
{
	uint8_t digest[BUNDLE_DIGEST];

	return !digest_of(raw, body, head->stored, digest) &&
	       !memcmp(digest, head->digest, sizeof(digest));
}

void bundle_signed_text(const uint8_t manifest[BUNDLE_DIGEST],
			uint8_t text[BUNDLE_SIGNED_SIZE])
{
	memcpy(text, "mediavm bundle 1\n", BUNDLE_SIGNED_SIZE - BUNDLE_DIGEST);
	memcpy(text + BUNDLE_SIGNED_SIZE - BUNDLE_DIGEST, manifest,
	       BUNDLE_DIGEST);
}

void bundle_hex(const uint8_t *data, size_t size, char *hex)
{
	for (size_t i = 0; i < size; i++)
		snprintf(hex + 2 * i, 3, "%02x", data[i]);
}

static int digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
				      : -1;
}

bool bundle_unhex(const char *hex, uint8_t *data, size_t size)
{
	if (!hex || strlen(hex) != 2 * size)
		return false;
	for (size_t i = 0; i < size; i++) {
		int high = digit(hex[2 * i]), low = digit(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		data[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

int bundle_read_all(int fd, void *data, size_t size)
{
	uint8_t *to = data;

	while (size) {
		ssize_t n = read(fd, to, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		to += n;
		size -= (size_t)n;
	}
	return 0;
}

int bundle_write_all(int fd, const void *data, size_t size)
{
	const uint8_t *from = data;

	while (size) {
		ssize_t n = write(fd, from, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		from += n;
		size -= (size_t)n;
	}
	return 0;
}

bool bundle_is_zero(const uint8_t *data, size_t size)
{
	return !data[0] && !memcmp(data, data + 1, size - 1);
}

/* --- paths ------------------------------------------------------------ */

static const char *const lone[] = {"domain.xml", "fingerprint.json"};
static const char *const folders[] = {"fw",      "nvram",  "tpm",   "boot",
				      "seal",    "seals",  "disks", "snapshots",
				      "digests", "machine"};

static bool is_component(const char *name, size_t length)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-+@=~";

	return length >= 1 && length <= 128 && name[0] != '.' &&
	       strspn(name, letters) >= length;
}

bool bundle_path_is_good(const char *path)
{
	size_t first = strcspn(path, "/"), length = strlen(path);
	const char *at = path;
	unsigned depth = 0;
	bool known = false;

	if (length >= BUNDLE_PATH_SIZE)
		return false;
	for (unsigned i = 0; i < sizeof(lone) / sizeof(*lone); i++)
		if (!strcmp(path, lone[i]))
			return true;
	for (unsigned i = 0; i < sizeof(folders) / sizeof(*folders); i++)
		known = known || (strlen(folders[i]) == first &&
				  !strncmp(path, folders[i], first));
	if (!known || !path[first])
		return false;
	for (;;) {
		size_t n = strcspn(at, "/");

		if (!is_component(at, n) || ++depth > 10)
			return false;
		if (!at[n])
			return true;
		at += n + 1;
	}
}

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n >= m && !strcmp(name + n - m, end);
}

bool bundle_path_is_passing(const char *path)
{
	static const char *const ends[] = {".part", ".checked", ".next", ".log",
					   ".mediavm-new"};
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	bool passing = name[0] == '.' || !strncmp(name, "TMP", 3);

	for (unsigned i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		passing = passing || ends_with(name, ends[i]);
	/* A QEMU's folder has nothing of that. */
	return passing && strncmp(path, "machine/", 8) != 0;
}

/* --- the plan --------------------------------------------------------- */

static int bad(struct error *error, const char *what)
{
	return error_set(error, -EINVAL, "the bundle's plan is not ours: %s",
			 what);
}

static bool take_text(const json_t *json, const char *key, char *to,
		      size_t size)
{
	const char *text = json_string_value(json_object_get(json, key));

	if (!text || !*text || strlen(text) >= size)
		return false;
	strcpy(to, text);
	return true;
}

static bool take_number(const json_t *json, const char *key, uint64_t max,
			uint64_t *number)
{
	const json_t *value = json_object_get(json, key);

	if (!json_is_integer(value) || json_integer_value(value) < 0 ||
	    (uint64_t)json_integer_value(value) > max)
		return false;
	*number = (uint64_t)json_integer_value(value);
	return true;
}

static int take_file(struct bundle_plan *plan, const json_t *json,
		     struct error *error)
{
	const char *path = json_string_value(json_object_get(json, "path"));
	struct bundle_file *file = &plan->files[plan->count];

	if (!path || !bundle_path_is_good(path) || bundle_path_is_passing(path))
		return error_set(error, -EINVAL,
				 "the bundle names a file that no vault has: "
				 "\"%.100s\"",
				 path ? path : "");
	if (plan->count && strcmp(plan->files[plan->count - 1].path, path) >= 0)
		return error_set(error, -EINVAL,
				 "the bundle names its files twice, or in "
				 "disorder: %.100s",
				 path);
	if (!take_number(json, "size", BUNDLE_FILE_MAX, &file->size) ||
	    !take_number(json, "data", BUNDLE_FILE_MAX + BUNDLE_BLOCK,
			 &file->data) ||
	    file->data > file->size + BUNDLE_BLOCK)
		return error_set(error, -EINVAL,
				 "the bundle says an impossible size of %.100s",
				 path);
	file->program = json_is_true(json_object_get(json, "program"));
	if (file->program && strncmp(path, "machine/", 8) != 0)
		return bad(error, "a program outside of machine/");
	/* 20000 files of 64 TiB are less than 2^64. */
	plan->data += file->data;
	file->path = strdup(path);
	if (!file->path)
		return error_set(error, -ENOMEM, "no memory");
	plan->count++;
	return 0;
}

static bool is_uuid(const char *text)
{
	for (int i = 0; i < 36; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23
			    ? text[i] != '-'
			    : digit(text[i]) < 0)
			return false;
	return text[36] == '\0';
}

static int take_vault(struct bundle_plan *plan, const json_t *json,
		      struct error *error)
{
	const json_t *vault = json_object_get(json, "vault");
	uint64_t created, made;
	uint8_t id[16];

	if (!take_number(json, "format", 1, &made) || made != 1)
		return bad(error, "it is of another version; a newer mediavmd "
				  "may read it");
	if (!take_text(json, "id", plan->id, sizeof(plan->id)) ||
	    !bundle_unhex(plan->id, id, sizeof(id)) ||
	    !take_text(vault, "name", plan->name, sizeof(plan->name)) ||
	    !take_text(vault, "uuid", plan->uuid, sizeof(plan->uuid)) ||
	    !is_uuid(plan->uuid) ||
	    !take_number(vault, "created_at", INT64_MAX, &created) ||
	    !take_number(json, "made_at", INT64_MAX, &made))
		return bad(error, "it does not say which vault it is");
	plan->created_at = (int64_t)created;
	plan->made_at = (int64_t)made;
	plan->moved = json_is_true(json_object_get(json, "moved"));
	plan->running = json_is_true(json_object_get(json, "running"));
	plan->spec = json_incref(json_object_get(vault, "spec"));
	plan->policy = json_incref(json_object_get(vault, "policy"));
	if (!json_is_object(plan->spec) || !json_is_object(plan->policy))
		return bad(error, "it lacks the vault's properties");
	return 0;
}

static int take_plan(struct bundle_plan *plan, const json_t *json,
		     struct error *error)
{
	const json_t *files = json_object_get(json, "files");
	size_t count = json_array_size(files);
	int r = take_vault(plan, json, error);

	if (r)
		return r;
	if (!count || count > BUNDLE_FILES_MAX)
		return bad(error, "it names too many files, or none");
	plan->files = calloc(count, sizeof(*plan->files));
	if (!plan->files)
		return error_set(error, -ENOMEM, "no memory");
	for (size_t i = 0; !r && i < count; i++)
		r = take_file(plan, json_array_get(files, i), error);
	return r;
}

int bundle_plan_read(struct bundle_plan **result, const char *text, size_t size,
		     struct error *error)
{
	json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
	struct bundle_plan *plan = calloc(1, sizeof(*plan));
	int r;

	*result = NULL;
	if (!json_is_object(json))
		r = bad(error, "it is not JSON");
	else if (!plan)
		r = error_set(error, -ENOMEM, "no memory");
	else
		r = take_plan(plan, json, error);
	json_decref(json);
	if (r)
		bundle_plan_free(plan);
	else
		*result = plan;
	return r;
}

void bundle_plan_free(struct bundle_plan *plan)
{
	if (!plan)
		return;
	for (unsigned i = 0; i < plan->count; i++)
		free(plan->files[i].path);
	free(plan->files);
	json_decref(plan->spec);
	json_decref(plan->policy);
	free(plan);
}

char *bundle_plan_print(const struct bundle_plan *plan)
{
	json_t *files = json_array(), *json;
	char *text;

	for (unsigned i = 0; i < plan->count; i++) {
		const struct bundle_file *file = &plan->files[i];
		json_t *one = json_pack("{s:s, s:I, s:I}", "path", file->path,
					"size", (json_int_t)file->size, "data",
					(json_int_t)file->data);

		if (file->program)
			json_object_set_new(one, "program", json_true());
		json_array_append_new(files, one);
	}
	json = json_pack("{s:i, s:s, s:I, s:b, s:b, s:{s:s, s:s, s:I, s:O, "
			 "s:O}, s:o}",
			 "format", 1, "id", plan->id, "made_at",
			 (json_int_t)plan->made_at, "moved", plan->moved,
			 "running", plan->running, "vault", "name", plan->name,
			 "uuid", plan->uuid, "created_at",
			 (json_int_t)plan->created_at, "spec", plan->spec,
			 "policy", plan->policy, "files", files);
	text = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	return text;
}
