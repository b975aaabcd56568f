/* Tickets. */
#include "daemon/ticket.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "daemon/catalogue.h"
#include "daemon/log.h"
#include "daemon/units.h"

void ticket_digest(const char *text, uint8_t digest[TICKET_DIGEST_SIZE])
{
	SHA256((const unsigned char *)text, strlen(text), digest);
}

int ticket_make(struct catalogue *catalogue, const struct ticket_spec *spec,
		char text[TICKET_SIZE], struct error *error)
{
	uint8_t digest[TICKET_DIGEST_SIZE];
	int64_t r;

	units_random_text(text, TICKET_BYTES);
	ticket_digest(text, digest);
	r = catalogue_write(
		catalogue,
		"INSERT INTO ticket (digest, vault, job, view_only, address, "
		"made_by, created_at, expires_at) "
		"VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		CATALOGUE_VALUES(
			catalogue_blob(digest, sizeof(digest)),
			catalogue_text(spec->vault), catalogue_text(spec->job),
			catalogue_int(spec->view_only),
			catalogue_text(spec->address),
			catalogue_text(spec->made_by), catalogue_int(spec->now),
			catalogue_int(spec->now + spec->lifetime)),
		NULL, NULL, error);
	return r < 0 ? (int)r : 0;
}

const char *ticket_verdict_name(enum ticket_verdict verdict)
{
	static const char *const names[] = {"good", "unknown", "used",
					    "expired", "foreign address"};

	return names[verdict];
}

static void take_text(char *to, size_t size, const char *text)
{
	snprintf(to, size, "%s", text ? text : "");
}

static int take_grant(void *data, const struct catalogue_row *row)
{
	struct ticket_grant *grant = data;

	take_text(grant->vault, sizeof(grant->vault),
		  catalogue_row_text(row, 0));
	take_text(grant->job, sizeof(grant->job), catalogue_row_text(row, 1));
	grant->view_only = catalogue_row_int(row, 2) != 0;
	return 0;
}

struct refusal {
	struct ticket_grant *grant;
	int64_t now;
	enum ticket_verdict verdict;
};

static int take_refusal(void *data, const struct catalogue_row *row)
{
	struct refusal *refusal = data;

	take_grant(refusal->grant, row);
	if (!catalogue_row_is_null(row, 3))
		refusal->verdict = TICKET_USED;
	else if (catalogue_row_int(row, 4) <= refusal->now)
		refusal->verdict = TICKET_EXPIRED;
	else
		refusal->verdict = TICKET_FOREIGN;
	return 0;
}

int ticket_redeem(struct catalogue *catalogue,
		  const uint8_t digest[TICKET_DIGEST_SIZE], const char *address,
		  int64_t now, enum ticket_verdict *verdict,
		  struct ticket_grant *grant, struct error *error)
{
	struct refusal refusal = {grant, now, TICKET_UNKNOWN};
	struct catalogue_value key = catalogue_blob(digest, TICKET_DIGEST_SIZE);
	int64_t r;

	memset(grant, 0, sizeof(*grant));
	r = catalogue_write(
		catalogue,
		"UPDATE ticket SET used_at = ?1, used_by = ?2 "
		"WHERE digest = ?3 AND used_at IS NULL AND expires_at > ?1 "
		"AND (address IS NULL OR address = ?2) "
		"RETURNING vault, job, view_only",
		CATALOGUE_VALUES(catalogue_int(now), catalogue_text(address),
				 key),
		take_grant, grant, error);
	if (r < 0)
		return (int)r;
	if (r > 0) {
		*verdict = TICKET_GOOD;
		return 0;
	}
	r = catalogue_read(catalogue,
			   "SELECT vault, job, view_only, used_at, expires_at "
			   "FROM ticket WHERE digest = ?",
			   CATALOGUE_VALUES(key), take_refusal, &refusal,
			   error);
	*verdict = refusal.verdict;
	return r < 0 ? (int)r : 0;
}

void ticket_sweep(struct catalogue *catalogue, int64_t before)
{
	struct error error = {0};

	if (catalogue_write(catalogue,
			    "DELETE FROM ticket WHERE expires_at < ?",
			    CATALOGUE_VALUES(catalogue_int(before)), NULL, NULL,
			    &error) < 0)
		log_warning("old tickets stay: %s", error.text);
}
