/*
 * mediavmctl: what its parts share.
 *
 * A command is a row of ctl_commands[]; parser and help follow the row. Its
 * function returns 0, or a negative errno with the error's line for the user
 * (exit status 1), or CTL_USAGE with that line (exit status 2).
 */
#ifndef DAEMON_CTL_H
#define DAEMON_CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "recorder/error.h"

#define CTL_MAX_OPTIONS 20
#define CTL_MAX_ARGUMENTS 64
#define CTL_USAGE 2

struct ctl;

struct ctl_option {
	const char *name;  /* without dashes; one letter is a short option */
	const char *value; /* what its argument is called; NULL: a flag */
	const char *help;
};

struct ctl_command {
	const char *noun, *verb; /* verb: NULL for none */
	const char *arguments;   /* for the usage line, "" for none */
	unsigned least, most;    /* number of arguments */
	const char *help;
	int (*run)(struct ctl *ctl, struct error *error);
	struct ctl_option options[CTL_MAX_OPTIONS]; /* ended by a NULL name */
};

extern const struct ctl_command ctl_commands[]; /* ended by a NULL noun */

struct ctl {
	const struct ctl_command *command;
	const char *socket;
	bool json;
	const char *arguments[CTL_MAX_ARGUMENTS];
	unsigned count;
	const char *values[CTL_MAX_OPTIONS]; /* NULL: not given */
};

/* The option's value ("" for a flag), NULL when it was not given. */
const char *ctl_option(const struct ctl *ctl, const char *name);

/* Fills ctl from the command line; CTL_USAGE. */
int ctl_parse(struct ctl *ctl, int count, char **words, struct error *error);

/* Help for everything, a noun or a command, as the words say. */
int ctl_help(const char *noun, const char *verb, struct error *error);

/* Sets the error; returns CTL_USAGE. */
int ctl_usage(struct error *error, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* --- ctl_http.c: the daemon ------------------------------------------- */

/*
 * Asks the daemon. path: begins with /, its parts escaped by ctl_path. body:
 * stolen; NULL for none. answer: a new reference, may be NULL.
 */
int ctl_call(const struct ctl *ctl, const char *method, const char *path,
	     json_t *body, json_t **answer, struct error *error);

/* GET of a list; those of the options that are given become its query. */
int ctl_list(const struct ctl *ctl, const char *path,
	     const char *const options[], unsigned count, json_t **list,
	     struct error *error);

/* "/api/v1/…" with %s replaced by escaped text; free() it. */
char *ctl_path(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Adds ?key=value or &key=value; path is replaced. NULL value: nothing. */
void ctl_path_query(char **path, const char *key, const char *value);

/* Gets what is no JSON into a file; title: of the progress bar. */
int ctl_download(const struct ctl *ctl, const char *path, FILE *to,
		 const char *title, struct error *error);

/* Calls back for each line of a stream until it returns non-zero. */
int ctl_stream(const struct ctl *ctl, const char *path,
	       int (*line)(void *data, const char *text), void *data,
	       struct error *error);

/* --- ctl_file.c: files of the user ------------------------------------ */

/* The path as seen from /, "" as it is; free() it. */
char *ctl_absolute(const char *path);

/* A file that appears under its name whole or not at all; "-": stdout. */
struct ctl_file {
	FILE *stream;
	char *path, *temporary; /* NULL for stdout */
};

int ctl_file_open(struct ctl_file *file, const char *path, struct error *error);
/* good: give it its name, else remove it. */
int ctl_file_close(struct ctl_file *file, bool good, struct error *error);
int ctl_file_write(const char *path, const char *text, struct error *error);

/* --- ctl_print.c: tables, figures, progress --------------------------- */

/* Prints a JSON value on one line. */
void ctl_print_json(const json_t *json);
/* The same of an error, unless a value is on stdout already. */
void ctl_print_failure(const char *text);
/* One is, or a part of one, that was not printed by these. */
void ctl_print_begun(void);

/* A line of text; what could steer a terminal is replaced. */
void ctl_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

struct ctl_column {
	const char *title;
	bool is_right;   /* numbers */
	bool may_shrink; /* cut to fit the terminal */
};

struct ctl_table;
struct ctl_table *ctl_table_new(const struct ctl_column *columns,
				unsigned count);
/* One cell; text is copied. Cells go row by row. */
void ctl_table_add(struct ctl_table *table, const char *text);
/* Prints and frees it. */
void ctl_table_print(struct ctl_table *table);

#define CTL_TEXT_SIZE 64
/* "1.5 GiB", "3 min 20 s", local "2026-01-31 13:00:00"; all give `text`. */
char *ctl_size(int64_t bytes, char text[CTL_TEXT_SIZE]);
char *ctl_duration(int64_t ms, char text[CTL_TEXT_SIZE]);
char *ctl_time(const char *rfc3339, char text[CTL_TEXT_SIZE]);

/*
 * done: 0 to 1, or -1 when not known; more: what stands behind it. Nothing when
 * stderr is no terminal.
 */
void ctl_progress(const char *title, double done, const char *more);
void ctl_progress_end(void);

/*
 * Asks on the terminal; true at once with --yes and when there is nobody to
 * ask, because stdin or stderr is no terminal.
 */
bool ctl_confirm(const struct ctl *ctl, const char *question);

/* A member of a JSON object: text ("" when absent or null), number. */
const char *ctl_text(const json_t *object, const char *key);
int64_t ctl_number(const json_t *object, const char *key);

/* --- ctl_look.c: into a recording -------------------------------------- */

/* Whether a command's argument is a file, and no session's id. */
bool ctl_is_file(const char *argument);
/* What `export --stats` shows, of a session or a file. */
int ctl_look_stats(struct ctl *ctl, json_t **stats, struct error *error);
/* ctl_stats.c: that, printed. */
int ctl_print_stats(struct ctl *ctl, struct error *error);

/* Does METHOD on /api/v1/vaults/NAME+tail; the first argument is the name. */
int ctl_vault_call(struct ctl *ctl, const char *method, const char *tail,
		   json_t *body, json_t **answer, struct error *error);
/* The rest of an attached vault. */
void ctl_attach_print(const json_t *vault);
void ctl_policy_print(const json_t *policy);
/* A line about who may run it. */
void ctl_lease_print(const json_t *lease);
/* By which QEMU it runs, and whether it has one of its own. */
void ctl_machine_print(const json_t *emulator);
/* Lines about a vault's seal. */
void ctl_identity_print(const json_t *identity);
/* A line about a vault's network. */
void ctl_network_print(const json_t *network);

/* Shows how far a job is until it has ended; replaces *job. Ctrl-C leaves. */
int ctl_wait_for_job(struct ctl *ctl, json_t **job, struct error *error);

/* --- commands --------------------------------------------------------- */

int ctl_vault_create(struct ctl *ctl, struct error *error);
int ctl_vault_adopt(struct ctl *ctl, struct error *error);
int ctl_vault_list(struct ctl *ctl, struct error *error);
int ctl_vault_show(struct ctl *ctl, struct error *error);
int ctl_vault_start(struct ctl *ctl, struct error *error);
int ctl_vault_restore(struct ctl *ctl, struct error *error);
int ctl_vault_bundle(struct ctl *ctl, struct error *error);
int ctl_vault_stop(struct ctl *ctl, struct error *error);
int ctl_vault_delete(struct ctl *ctl, struct error *error);
int ctl_vault_identity(struct ctl *ctl, struct error *error);
int ctl_vault_policy(struct ctl *ctl, struct error *error);
int ctl_vault_attach(struct ctl *ctl, struct error *error);
int ctl_vault_network(struct ctl *ctl, struct error *error);
int ctl_vault_snapshot(struct ctl *ctl, struct error *error);
int ctl_vault_seal(struct ctl *ctl, struct error *error);
int ctl_vault_verify(struct ctl *ctl, struct error *error);
int ctl_vault_export(struct ctl *ctl, struct error *error);
int ctl_vault_import(struct ctl *ctl, struct error *error);
int ctl_session_list(struct ctl *ctl, struct error *error);
int ctl_session_show(struct ctl *ctl, struct error *error);
int ctl_session_kill(struct ctl *ctl, struct error *error);
int ctl_session_verify(struct ctl *ctl, struct error *error);
int ctl_session_hold(struct ctl *ctl, struct error *error);
int ctl_session_delete(struct ctl *ctl, struct error *error);
int ctl_session_render(struct ctl *ctl, struct error *error);
int ctl_session_dump(struct ctl *ctl, struct error *error);
int ctl_session_frame(struct ctl *ctl, struct error *error);
int ctl_session_export(struct ctl *ctl, struct error *error);
int ctl_connect(struct ctl *ctl, struct error *error);
int ctl_replay(struct ctl *ctl, struct error *error);
int ctl_ui(struct ctl *ctl, struct error *error);
int ctl_status(struct ctl *ctl, struct error *error);
int ctl_events(struct ctl *ctl, struct error *error);
int ctl_doctor(struct ctl *ctl, struct error *error);
int ctl_config_check(struct ctl *ctl, struct error *error);

#endif
