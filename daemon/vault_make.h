/*
 * The steps by which a vault comes to be, for every verb that makes one: row,
 * folders, files, and last the mark that it is whole.
 */
#ifndef DAEMON_VAULT_MAKE_H
#define DAEMON_VAULT_MAKE_H

#include <jansson.h>

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

/* It is whole. Takes spec: what its definition does not say. */
int vault_mark_ready(struct control *control, const char *uuid, json_t *spec,
		     struct error *error);

/* Takes away what was made, after an error. */
void vault_undo(struct control *control, const char *uuid);

#endif
