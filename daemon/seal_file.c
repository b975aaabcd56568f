/* Files of a seal, and their digests; see seal_file.h. */
#include "daemon/seal_file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "daemon/control.h"
#include "daemon/folder.h"
#include "daemon/vault.h"

#define FINGERPRINT_MAX (8 << 20)

/* --- digests ----------------------------------------------------------- */

static void to_hex(const uint8_t sum[32], char hex[SEAL_DIGEST_SIZE])
{
	for (unsigned i = 0; i < 32; i++)
		sprintf(hex + 2 * i, "%02x", sum[i]);
}

void seal_bytes_digest(const void *data, size_t size,
		       char hex[SEAL_DIGEST_SIZE])
{
	uint8_t sum[EVP_MAX_MD_SIZE] = {0};

	EVP_Digest(data, size, sum, NULL, EVP_sha256(), NULL);
	to_hex(sum, hex);
}

int seal_file_digest(const char *path, char hex[SEAL_DIGEST_SIZE],
		     struct error *error)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	FILE *file = fopen(path, "re");
	uint8_t buffer[1 << 14], sum[EVP_MAX_MD_SIZE];
	size_t n;
	int r = 0;

	if (!file)
		r = error_errno(error, errno, "can't read %s", path);
	else if (!context || !EVP_DigestInit(context, EVP_sha256()))
		r = error_set(error, -ENOMEM, "no memory");
	while (!r && (n = fread(buffer, 1, sizeof(buffer), file)))
		EVP_DigestUpdate(context, buffer, n);
	if (!r && ferror(file))
		r = error_set(error, -EIO, "can't read %s", path);
	if (!r) {
		EVP_DigestFinal(context, sum, NULL);
		to_hex(sum, hex);
	}
	if (file)
		fclose(file);
	EVP_MD_CTX_free(context);
	return r;
}

/* Of what was sealed. */
static int sum_of(const json_t *json, char hex[SEAL_DIGEST_SIZE])
{
	json_t *copy = json_copy((json_t *)json);
	char *text;

	json_object_del(copy, "sum");
	json_object_del(copy, "check");
	text = json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(copy);
	if (!text)
		return -ENOMEM;
	seal_bytes_digest(text, strlen(text), hex);
	free(text);
	return 0;
}

json_int_t seal_epoch(const struct seal *seal)
{
	return json_integer_value(json_object_get(seal->json, "epoch"));
}

/* --- fingerprint.json -------------------------------------------------- */

static int check(const struct seal *seal, struct error *error)
{
	const char *is = json_string_value(json_object_get(seal->json, "sum"));
	char sum[SEAL_DIGEST_SIZE];

	if (sum_of(seal->json, sum))
		return error_set(error, -ENOMEM, "no memory");
	if (!is || strcmp(is, sum))
		return error_set(error, -EBADMSG,
				 "it is not as it was written");
	if (json_integer_value(json_object_get(seal->json, "version")) !=
	    SEAL_VERSION)
		return error_set(error, -EBADMSG,
				 "it is of another version of this program");
	if (seal_epoch(seal) < 1 || seal_epoch(seal) > SEAL_EPOCH_MAX)
		return error_set(error, -EBADMSG, "it has no epoch");
	return 0;
}

int seal_file_read(const char *path, struct seal **result, struct error *error)
{
	struct seal *seal = calloc(1, sizeof(*seal));
	char *text = NULL;
	int r = seal ? 0 : error_set(error, -ENOMEM, "no memory");

	*result = NULL;
	if (!r && access(path, F_OK))
		r = error_errno(error, errno, "%s", path);
	if (!r)
		r = folder_read(path, FINGERPRINT_MAX, &text, error);
	if (!r) {
		seal->json = json_loads(text, 0, NULL);
		r = identity_read(json_object_get(seal->json, "fields"),
				  &seal->identity, error);
		if (!r)
			r = check(seal, error);
		if (r) {
			error_prefix(error, "%s is damaged", path);
			r = r == -ENOMEM ? r : -EBADMSG;
		}
	}
	free(text);
	if (r)
		seal_free(seal);
	else
		*result = seal;
	return r;
}

void seal_free(struct seal *seal)
{
	if (!seal)
		return;
	json_decref(seal->json);
	identity_free(seal->identity);
	free(seal);
}

int seal_file_write(const char *path, json_t *json, struct error *error)
{
	char sum[SEAL_DIGEST_SIZE], *text;
	int r;

	if (sum_of(json, sum) ||
	    json_object_set_new(json, "sum", json_string(sum)) ||
	    !(text = json_dumps(json, JSON_INDENT(1))))
		return error_set(error, -ENOMEM, "no memory");
	r = folder_write(path, text, strlen(text), 0600, error);
	free(text);
	return r;
}

/* --- the files beside it ----------------------------------------------- */

static int is_file(const struct dirent *entry)
{
	const char *name = entry->d_name;
	size_t n = strlen(name);

	return name[0] != '.' && strcmp(name, "fingerprint.json") &&
	       !(n > 5 && !strcmp(name + n - 5, ".part"));
}

static int list_folder(const char *folder, const char *as, json_t *files,
		       struct error *error)
{
	char path[PATH_MAX], name[300], hex[SEAL_DIGEST_SIZE];
	struct dirent **entries;
	int r = 0, count = scandir(folder, &entries, is_file, alphasort);

	if (count < 0)
		return errno == ENOENT ? 0
				       : error_errno(error, errno,
						     "can't read %s", folder);
	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder,
			 entries[i]->d_name);
		snprintf(name, sizeof(name), "%s/%s", as, entries[i]->d_name);
		if (!r)
			r = seal_file_digest(path, hex, error);
		if (!r && json_object_set_new(files, name, json_string(hex)))
			r = error_set(error, -EINVAL,
				      "the name of %s is not UTF-8", path);
		free(entries[i]);
	}
	free(entries);
	return r;
}

int seal_list_files(const struct control *control, const struct vault *vault,
		    const char *folder, json_t **files, struct error *error)
{
	char firmware[PATH_MAX];
	int r;

	*files = json_object();
	vault_path(control, vault->uuid, "fw", firmware);
	r = list_folder(folder, "seal", *files, error);
	if (!r)
		r = list_folder(firmware, "fw", *files, error);
	if (r) {
		json_decref(*files);
		*files = NULL;
	}
	return r;
}

static int damaged(const char *name, const char *what, struct error *error)
{
	return error_set(error, -EBADMSG,
			 "its %s %s: put it back from a backup of the vault, "
			 "or seal it anew on purpose (vault seal --again)",
			 name, what);
}

int seal_check_files(const struct control *control, const struct vault *vault,
		     const struct seal *seal, struct error *error)
{
	json_t *sealed = json_object_get(seal->json, "files"), *now, *value;
	char folder[PATH_MAX];
	const char *name;
	int r;

	vault_path(control, vault->uuid, "seal", folder);
	r = seal_list_files(control, vault, folder, &now, error);
	if (r)
		return r;
	json_object_foreach(sealed, name, value)
	{
		json_t *is = json_object_get(now, name);

		if (!r && !is)
			r = damaged(name, "is missing", error);
		else if (!r && !json_equal(is, value))
			r = damaged(name, "is not as it was sealed", error);
	}
	json_object_foreach(now, name, value)
	{
		if (!r && !json_object_get(sealed, name))
			r = error_set(error, -EBADMSG,
				      "its %s was not there when it was "
				      "sealed: remove it, or seal it anew on "
				      "purpose (vault seal --again)",
				      name);
	}
	json_decref(now);
	return r;
}
