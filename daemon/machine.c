/* Which QEMU runs a vault; see machine.h. */
#include "daemon/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/catalogue.h"
#include "daemon/control.h"
#include "daemon/domain.h"
#include "daemon/folder.h"
#include "daemon/log.h"
#include "daemon/machine_files.h"
#include "daemon/machine_qemu.h"
#include "daemon/vault.h"

#define DEFINITION_MAX (1 << 20)

/* --- what the host has ------------------------------------------------- */

static int take_text(void *data, const struct catalogue_row *row)
{
	*(char **)data = strdup(catalogue_row_text(row, 0));
	return 1;
}

/* Another file under the path is another QEMU. */
static void make_key(const char *emulator, char *key, size_t size)
{
	struct stat st = {0};

	stat(emulator, &st);
	snprintf(key, size, "%s %lld %lld.%09ld", emulator,
		 (long long)st.st_size, (long long)st.st_mtim.tv_sec,
		 st.st_mtim.tv_nsec);
}

static json_t *recall(struct control *control, const char *key)
{
	char *text = NULL;
	json_t *facts;

	catalogue_read(control->catalogue,
		       "SELECT CAST(value AS TEXT) FROM fact "
		       "WHERE name = 'qemu' AND key = ?",
		       CATALOGUE_VALUES(catalogue_text(key)), take_text, &text,
		       NULL);
	facts = text ? json_loads(text, 0, NULL) : NULL;
	free(text);
	return facts;
}

static void keep(struct control *control, const char *key, const json_t *facts)
{
	char *text = json_dumps(facts, JSON_COMPACT);
	struct error error;

	if (text &&
	    catalogue_write(
		    control->catalogue,
		    "INSERT OR REPLACE INTO fact (name, key, value) "
		    "VALUES ('qemu', ?, ?)",
		    CATALOGUE_VALUES(catalogue_text(key),
				     catalogue_blob(text, strlen(text))),
		    NULL, NULL, &error) < 0)
		log_warning("%s", error.text);
	free(text);
}

int machine_host_facts(struct control *control, json_t **facts,
		       struct error *error)
{
	const char *emulator = control->config.emulator;
	char key[CONFIG_TEXT_SIZE + 64];
	int r;

	*facts = NULL;
	if (access(emulator, X_OK))
		return error_errno(error, errno, "this host has no QEMU at %s",
				   emulator);
	make_key(emulator, key, sizeof(key));
	*facts = recall(control, key);
	if (*facts)
		return 0;
	r = machine_qemu_facts(emulator, facts, error);
	if (!r)
		keep(control, key, *facts);
	return r;
}

int machine_type(struct control *control, const struct vault *vault, char *type,
		 size_t size, struct error *error)
{
	struct domain_facts facts;
	char path[PATH_MAX], *xml;
	int r;

	vault_path(control, vault->uuid, "domain.xml", path);
	r = folder_read(path, DEFINITION_MAX, &xml, error);
	if (r)
		return r;
	r = domain_read(xml, &facts, error);
	free(xml);
	if (!r)
		snprintf(type, size, "%s", facts.machine);
	return r;
}

/* --- trust ------------------------------------------------------------- */

static void fact_name(const char *digest, char name[80])
{
	snprintf(name, 80, "machine %.64s", digest);
}

static int take_one(void *data, const struct catalogue_row *row)
{
	(void)row;
	*(bool *)data = true;
	return 1;
}

bool machine_is_trusted(struct control *control, const char *digest)
{
	bool found = false;
	char name[80];

	fact_name(digest, name);
	catalogue_read(control->catalogue, "SELECT 1 FROM fact WHERE name = ?",
		       CATALOGUE_VALUES(catalogue_text(name)), take_one, &found,
		       NULL);
	return found;
}

int machine_agree(struct control *control, const char *digest,
		  const char *agreed, struct error *error)
{
	char name[80];
	int64_t r;

	fact_name(digest, name);
	if (agreed)
		r = catalogue_write(
			control->catalogue,
			"INSERT OR REPLACE INTO fact (name, key, value) "
			"VALUES (?, 'trusted', ?)",
			CATALOGUE_VALUES(
				catalogue_text(name),
				catalogue_blob(agreed, strlen(agreed))),
			NULL, NULL, error);
	else
		r = catalogue_write(control->catalogue,
				    "DELETE FROM fact WHERE name = ?",
				    CATALOGUE_VALUES(catalogue_text(name)),
				    NULL, NULL, error);
	return r < 0 ? (int)r : 0;
}

/* --- the choice -------------------------------------------------------- */

/* What there is to choose from, and what was chosen. */
struct choice {
	char type[32];
	char version[48]; /* of the host's QEMU; "" when it has none */
	bool host;        /* has the machine */
	json_t *manifest; /* of the vault's own, or NULL */
	char digest[MACHINE_DIGEST_SIZE];
	bool damaged; /* it has one, without a sound manifest */
	bool own;     /* chosen */
	char why[MACHINE_WHY_SIZE];
};

static void look_at_host(struct control *control, struct choice *choice)
{
	struct error error = {0};
	json_t *facts;

	if (machine_host_facts(control, &facts, &error)) {
		snprintf(choice->why, sizeof(choice->why), "%.200s",
			 error.text);
		return;
	}
	snprintf(choice->version, sizeof(choice->version), "%s",
		 json_string_value(json_object_get(facts, "version")));
	choice->host = machine_qemu_has(facts, choice->type) != NULL;
	snprintf(choice->why, sizeof(choice->why),
		 choice->host ? "this host's QEMU %s has its machine type %s"
			      : "this host's QEMU %s has no machine type %s",
		 choice->version, choice->type);
	json_decref(facts);
}

static void look_at_own(struct control *control, const struct vault *vault,
			struct choice *choice)
{
	char path[PATH_MAX];

	vault_path(control, vault->uuid, "machine", path);
	choice->damaged = access(path, F_OK) == 0 &&
			  machine_files_read(path, &choice->manifest,
					     choice->digest, NULL);
}

static int choose(struct control *control, const struct vault *vault,
		  struct choice *choice, struct error *error)
{
	int r;

	memset(choice, 0, sizeof(*choice));
	r = machine_type(control, vault, choice->type, sizeof(choice->type),
			 error);
	if (r)
		return r;
	look_at_host(control, choice);
	look_at_own(control, vault, choice);
	if (choice->manifest || choice->damaged)
		choice->own = !choice->host ||
			      vault->policy.machine == POLICY_MACHINE_OWN;
	if (choice->own && choice->host)
		snprintf(choice->why, sizeof(choice->why),
			 "its policy says machine=own");
	return 0;
}

static void choice_free(struct choice *choice)
{
	json_decref(choice->manifest);
}

static int check_own(struct control *control, const struct choice *choice,
		     const char *folder, struct error *error)
{
	int r = 0;

	if (choice->damaged)
		r = error_set(error, -EBADMSG,
			      "its manifest is missing or damaged");
	else if (machine_is_trusted(control, choice->digest))
		r = machine_files_verify(folder, choice->manifest, error);
	else
		return error_set(
			error, -EPERM,
			"it would be run by the QEMU that it brought along "
			"(%s), and those programs were not made here: if you "
			"trust where it comes from, say so with vault bundle "
			"%s",
			choice->why, "--trust");
	if (r)
		error_prefix(error,
			     "the vault's own QEMU can't be used (put machine/ "
			     "back from a backup, or use vault bundle "
			     "--remove)");
	return r;
}

int machine_emulator(struct control *control, const struct vault *vault,
		     char path[PATH_MAX], char why[MACHINE_WHY_SIZE],
		     struct error *error)
{
	struct choice choice;
	char folder[PATH_MAX];
	int r = choose(control, vault, &choice, error);

	if (r)
		return r;
	snprintf(why, MACHINE_WHY_SIZE, "%s", choice.why);
	vault_path(control, vault->uuid, "machine", folder);
	if (choice.own) {
		r = check_own(control, &choice, folder, error);
		vault_path(control, vault->uuid, "machine/run", path);
	} else if (choice.version[0] && !choice.host) {
		r = error_set(error, -ENOTSUP,
			      "%s: use a QEMU that still has it ([libvirt] "
			      "emulator), or a backup of the vault with a QEMU "
			      "of its own (vault bundle)",
			      choice.why);
	} else {
		/* Where asking failed, libvirt has its say. */
		snprintf(path, PATH_MAX, "%s", control->config.emulator);
	}
	choice_free(&choice);
	return r;
}

bool machine_is_kvm(struct control *control, const struct vault *vault,
		    char why[ACCELERATOR_WHY_SIZE])
{
	char path[PATH_MAX], reason[MACHINE_WHY_SIZE];

	if (access(control->config.emulator, X_OK) == 0 ||
	    machine_emulator(control, vault, path, reason, NULL))
		return accelerator_is_kvm(control->accelerator, why);
	return accelerator_is_kvm_by(control->accelerator, path, why);
}

/* --- as the API shows it ----------------------------------------------- */

static json_t *own_json(struct control *control, const struct choice *choice)
{
	if (choice->damaged)
		return json_pack("{s:b, s:b}", "trusted", 0, "damaged", 1);
	if (!choice->manifest)
		return json_null();
	return json_pack(
		"{s:O, s:O, s:O, s:s, s:I, s:b}", "qemu",
		json_object_get(choice->manifest, "qemu"), "package",
		json_object_get(choice->manifest, "package"), "made_at",
		json_object_get(choice->manifest, "made_at"), "digest",
		choice->digest, "bytes",
		(json_int_t)machine_files_size(choice->manifest), "trusted",
		machine_is_trusted(control, choice->digest));
}

json_t *machine_json(struct control *control, const struct vault *vault)
{
	struct choice choice;
	char path[PATH_MAX];
	const char *of;
	json_t *json;

	if (choose(control, vault, &choice, NULL))
		return json_null();
	if (choice.own)
		vault_path(control, vault->uuid, "machine/run", path);
	else
		snprintf(path, sizeof(path), "%s", control->config.emulator);
	of = choice.own ? "vault" : choice.host ? "host" : "none";
	json = json_pack("{s:s, s:s, s:s, s:o}", "of", of, "path", path, "why",
			 choice.why, "own", own_json(control, &choice));
	choice_free(&choice);
	return json;
}
