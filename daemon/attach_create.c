/* A new attached vault: its row, its folder with the secrets, a check. */
#include "daemon/attach.h"

#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/attach_endpoint.h"
#include "daemon/control.h"
#include "daemon/domain.h"
#include "daemon/event.h"
#include "daemon/folder.h"
#include "daemon/vault.h"
#include "daemon/vault_make.h"

static int check_ca(const char *pem, struct error *error)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *x = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	bool good = x != NULL;

	X509_free(x);
	BIO_free(bio);
	return good ? 0
		    : error_set(error, -EINVAL,
				"the CA file holds no certificate in PEM");
}

static int check(const struct attach_spec *spec, struct error *error)
{
	struct attach_endpoint endpoint;
	int r = domain_name_check(spec->name, error);

	if (!r)
		r = attach_endpoint_read(&endpoint, spec->spice, error);
	if (!r && spec->password && strlen(spec->password) > LINK_PASSWORD_MAX)
		r = error_set(error, -EINVAL,
			      "a SPICE password has %d characters at most",
			      LINK_PASSWORD_MAX);
	if (!r && endpoint.tls && !spec->ca)
		r = error_set(error, -EINVAL,
			      "TLS needs the certificate that signed the "
			      "server's (--ca-file): nothing is sent to a "
			      "server that is not known");
	if (!r && !endpoint.tls && spec->ca)
		r = error_set(error, -EINVAL,
			      "a CA file goes with tls:HOST:PORT only");
	return !r && spec->ca ? check_ca(spec->ca, error) : r;
}

static int write_file(struct control *control, const char *uuid,
		      const char *name, const char *text, struct error *error)
{
	char path[PATH_MAX];

	if (!text || !*text)
		return 0;
	vault_path(control, uuid, name, path);
	return folder_write(path, text, strlen(text), 0600, error);
}

static int fill(struct control *control, const struct attach_spec *spec,
		struct vault *vault, struct error *error)
{
	char path[PATH_MAX];
	int r;

	vault_path(control, vault->uuid, NULL, path);
	r = folder_make(path, 0700, error);
	if (!r)
		r = write_file(control, vault->uuid, "spice-password",
			       spec->password, error);
	if (!r)
		r = write_file(control, vault->uuid, "spice-ca.pem", spec->ca,
			       error);
	if (!r)
		r = attach_check(control, vault, error);
	if (r)
		return r;
	return vault_mark_ready(control, vault->uuid, json_incref(vault->spec),
				error);
}

int attach_create(struct control *control, const struct attach_spec *spec,
		  struct error *error)
{
	struct vault vault = {.name = ""};
	int r = check(spec, error);

	if (r)
		return r;
	vault_make_uuid(vault.uuid);
	r = vault_insert(control, spec->name, vault.uuid, error);
	if (r)
		return r;
	snprintf(vault.name, sizeof(vault.name), "%s", spec->name);
	vault.spec = json_pack("{s:s, s:s}", "kind", "attached", "spice",
			       spec->spice);
	r = fill(control, spec, &vault, error);
	if (r) {
		vault_undo(control, vault.uuid);
	} else {
		vault_learn_caps(control, &vault);
		events_post(control->events, "vault.created", spec->name,
			    json_pack("{s:s, s:s, s:s, s:s}", "vault",
				      spec->name, "uuid", vault.uuid, "who",
				      spec->who, "spice", spec->spice));
	}
	vault_release(&vault);
	return r;
}
