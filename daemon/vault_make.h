/*
 * The steps by which a vault comes to be, for every verb that makes one: row,
 * folders, files, and last the mark that it is whole.
 */
#ifndef DAEMON_VAULT_MAKE_H
#define DAEMON_VAULT_MAKE_H

#include <jansson.h>
#include <stdbool.h>

#include "daemon/job.h"
#include "daemon/vault.h"
#include "recorder/error.h"

struct control;

/* A random one. */
void vault_make_uuid(char uuid[37]);

/* The row. -EEXIST: the name or the machine is there. */
int vault_insert(struct control *control, const char *name, const char *uuid,
		 struct error *error);

/* The folder with all that is below it, empty. */
int vault_make_folders(struct control *control, const char *uuid,
		       struct error *error);

/*
 * A new vault's folder is filled from spec (its medium by URL is there, as
 * VAULT_ISO), and it is marked whole.
 */
int vault_fill(struct control *control, const struct vault_spec *spec,
	       const char *uuid, struct error *error);

/* --- vault_fetch.c: a medium by URL ------------------------------------- */

#define VAULT_ISO "disks/cd.iso"
#define VAULT_SHA256_SIZE 65

/*
 * The SHA-256 that spec wants of its medium, in lower case, "" for none. As
 * iso_sha256, or behind the URL as #sha256=HEX. -EINVAL.
 */
int vault_iso_digest(const struct vault_spec *spec,
		     char sha256[VAULT_SHA256_SIZE], struct error *error);
/* Whether a file has it. -EBADMSG. */
int vault_iso_check(const struct vault_spec *spec, const char *path,
		    struct error *error);

/*
 * Begins the job that fetches the medium, fills the folder and marks it whole;
 * what it can't finish it takes away.
 */
int vault_fetch(struct control *control, const struct vault_spec *spec,
		const char *uuid, char job[JOB_ID_SIZE], struct error *error);
/* Whether an earlier run of the daemon began that. */
bool vault_fetch_is_begun(struct control *control, const char *uuid);
/* Goes on with all of them. */
void vault_fetch_resume(struct control *control);
/* Takes away what it keeps of a vault that is whole. */
void vault_fetch_clean(struct control *control, const char *uuid);

/* It is whole, and lasting. Takes spec: what its definition does not say. */
int vault_mark_ready(struct control *control, const char *uuid, json_t *spec,
		     struct error *error);

/* Takes away what was made, after an error. */
void vault_undo(struct control *control, const char *uuid);

#endif
