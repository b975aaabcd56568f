/* Signed words about a lease; see lease_record.h. */
#include "daemon/lease_record.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/lease_file.h"
#include "daemon/units.h"

#define FORMAT "mediavm-lease-1"

/* What is signed: all but the signature. free() it. */
static char *signed_text(const json_t *record)
{
	json_t *rest = json_copy((json_t *)record);
	char *text;

	json_object_del(rest, "signature");
	text = json_dumps(rest, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(rest);
	return text;
}

static int add_signature(const struct host_key *key, json_t *record,
			 struct error *error)
{
	uint8_t signature[HOST_KEY_SIGNATURE];
	char hex[2 * HOST_KEY_SIGNATURE + 1], *text = signed_text(record);
	int r = text ? host_key_sign(key, text, strlen(text), signature, error)
		     : error_set(error, -ENOMEM, "no memory");

	free(text);
	if (r)
		return r;
	host_key_hex(signature, sizeof(signature), hex);
	json_object_set_new(record, "signature", json_string(hex));
	return 0;
}

int lease_record_make(const struct host_key *key,
		      const struct lease_record *says, json_t **record,
		      struct error *error)
{
	const struct lease *lease = says->lease;
	char id[LEASE_TOKEN_SIZE];
	int r;

	units_random_text(id, 16);
	*record =
		json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:o, s:s, "
			  "s:{s:s, s:s, s:s}, s:s?, s:s?}",
			  "format", FORMAT, "id", id, "kind", says->kind,
			  "identity", lease->identity, "vault", lease->vault,
			  "uuid", says->uuid, "epoch", (json_int_t)lease->epoch,
			  "at", units_time_json(lease->at), "who", lease->who,
			  "source", "key", host_key_public(key), "host",
			  host_key_id(key), "name", lease->host_name, "target",
			  says->target, "statement", says->statement);
	r = *record ? add_signature(key, *record, error)
		    : error_set(error, -EINVAL,
				"a record's texts are not "
				"UTF-8");
	if (r) {
		json_decref(*record);
		*record = NULL;
	}
	return r;
}

static const char *text_of(const json_t *json, const char *key)
{
	return json_string_value(json_object_get(json, key));
}

static int check_signature(const json_t *record, const char *host,
			   struct error *error)
{
	const char *key = text_of(json_object_get(record, "source"), "key");
	uint8_t signature[HOST_KEY_SIGNATURE];
	char id[HOST_KEY_ID_SIZE], *text;
	int r = host_key_id_of(key, id, error);

	if (!r && strcmp(id, host))
		r = error_set(error, -EBADMSG, "its key is not its host's");
	if (!r)
		r = host_key_unhex(text_of(record, "signature"), signature,
				   sizeof(signature), error);
	if (r)
		return r;
	text = signed_text(record);
	r = text ? host_key_verify(key, text, strlen(text), signature, error)
		 : error_set(error, -ENOMEM, "no memory");
	free(text);
	return r;
}

int lease_record_read_fence(const json_t *record, struct lease_fence *fence,
			    struct error *error)
{
	const json_t *source = json_object_get(record, "source");
	const char *format = text_of(record, "format");
	const char *kind = text_of(record, "kind");
	struct error why = {0};

	*fence = (struct lease_fence){
		.id = text_of(record, "id"),
		.identity = text_of(record, "identity"),
		.host = text_of(source, "host"),
		.host_name = text_of(source, "name"),
		.target = text_of(record, "target"),
		.epoch = json_integer_value(json_object_get(record, "epoch")),
	};
	if (!format || strcmp(format, FORMAT) || !kind ||
	    strcmp(kind, "fence") || !fence->id || !fence->identity ||
	    !fence->host || !fence->host_name || fence->epoch < 1 ||
	    fence->epoch > LEASE_EPOCH_TAKEN)
		return error_set(error, -EBADMSG,
				 "this is no fencing record of a move");
	if (check_signature(record, fence->host, &why))
		return error_set(
			error, why.code == -ENOMEM ? -ENOMEM : -EBADMSG,
			"the fencing record can't be trusted: %s", why.text);
	return 0;
}
