/* The manifest of a bundle; see bundle_manifest.h. */
#include "daemon/bundle_manifest.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

struct bundle_manifest {
	const struct bundle_plan *plan;
	uint64_t records;
	uint32_t *counts;
	uint8_t (*digests)[BUNDLE_DIGEST];
	EVP_MD_CTX *digest; /* of the file at hand */
	unsigned file;      /* at hand; those before have their digests */
};

int bundle_manifest_new(struct bundle_manifest **result,
			const struct bundle_plan *plan, struct error *error)
{
	struct bundle_manifest *m = calloc(1, sizeof(*m));

	*result = m;
	if (!m)
		return error_set(error, -ENOMEM, "no memory");
	m->plan = plan;
	m->counts = calloc(plan->count, sizeof(*m->counts));
	m->digests = calloc(plan->count, sizeof(*m->digests));
	m->digest = EVP_MD_CTX_new();
	if (m->counts && m->digests && m->digest &&
	    EVP_DigestInit_ex(m->digest, EVP_sha256(), NULL))
		return 0;
	bundle_manifest_free(m);
	*result = NULL;
	return error_set(error, -ENOMEM, "no memory");
}

void bundle_manifest_free(struct bundle_manifest *m)
{
	if (!m)
		return;
	free(m->counts);
	free(m->digests);
	EVP_MD_CTX_free(m->digest);
	free(m);
}

/* Files before this one get no more records. */
static void go_to(struct bundle_manifest *m, unsigned file)
{
	for (; m->file < file; m->file++) {
		EVP_DigestFinal_ex(m->digest, m->digests[m->file], NULL);
		EVP_DigestInit_ex(m->digest, EVP_sha256(), NULL);
	}
}

void bundle_manifest_add(struct bundle_manifest *m,
			 const struct bundle_head *head)
{
	go_to(m, head->file);
	m->counts[head->file]++;
	m->records++;
	EVP_DigestUpdate(m->digest, head->digest, BUNDLE_DIGEST);
}

char *bundle_manifest_print(struct bundle_manifest *m,
			    const uint8_t plan[BUNDLE_DIGEST])
{
	char hex[2 * BUNDLE_DIGEST + 1], *text;
	json_t *files = json_array(), *json;

	go_to(m, m->plan->count);
	for (unsigned i = 0; i < m->plan->count; i++) {
		bundle_hex(m->digests[i], BUNDLE_DIGEST, hex);
		json_array_append_new(
			files, json_pack("[i, s]", (int)m->counts[i], hex));
	}
	bundle_hex(plan, BUNDLE_DIGEST, hex);
	json = json_pack("{s:s, s:I, s:o}", "plan", hex, "records",
			 (json_int_t)m->records, "files", files);
	text = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	return text;
}

static bool is_digest(const json_t *json, const uint8_t digest[BUNDLE_DIGEST])
{
	uint8_t other[BUNDLE_DIGEST];

	return bundle_unhex(json_string_value(json), other, sizeof(other)) &&
	       !memcmp(other, digest, sizeof(other));
}

static int compare(struct bundle_manifest *m, const json_t *json,
		   const uint8_t plan[BUNDLE_DIGEST], struct error *error)
{
	const json_t *files = json_object_get(json, "files");

	if (!is_digest(json_object_get(json, "plan"), plan) ||
	    json_integer_value(json_object_get(json, "records")) !=
		    (json_int_t)m->records ||
	    json_array_size(files) != m->plan->count)
		return error_set(error, -EBADMSG,
				 "the bundle's manifest is not that of its "
				 "plan and records");
	for (unsigned i = 0; i < m->plan->count; i++) {
		const json_t *file = json_array_get(files, i);

		if (json_integer_value(json_array_get(file, 0)) !=
			    m->counts[i] ||
		    !is_digest(json_array_get(file, 1), m->digests[i]))
			return error_set(error, -EBADMSG,
					 "the bundle's manifest does not agree "
					 "with what it has of %s",
					 m->plan->files[i].path);
	}
	return 0;
}

int bundle_manifest_compare(struct bundle_manifest *m,
			    const uint8_t plan[BUNDLE_DIGEST], const char *text,
			    size_t size, struct error *error)
{
	json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
	int r;

	go_to(m, m->plan->count);
	r = json ? compare(m, json, plan, error)
		 : error_set(error, -EINVAL,
			     "the bundle's manifest is no JSON");
	json_decref(json);
	return r;
}
