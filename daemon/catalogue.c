/*
 * The catalogue's connections and statements.
 *
 * WAL with synchronous=FULL: a commit that was answered survives a loss of
 * power, and readers never wait for the writer. Statements are kept by their
 * text, the least recently used goes first.
 */
#include "daemon/catalogue.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATEMENTS 48
#define READERS 4
#define BUSY_MS 10000
#define APPLICATION_ID 0x6d76636c /* "mvcl", shown by file(1) */

struct statement {
	char *sql;
	sqlite3_stmt *prepared;
	uint64_t used;
};

struct connection {
	sqlite3 *db;
	struct statement statements[STATEMENTS];
	uint64_t clock;
	struct connection *next_free;
};

struct catalogue {
	char *path;
	pthread_mutex_t writing; /* recursive, for begin … end */
	struct connection writer;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t returned;
	struct connection readers[READERS];
	struct connection *free_readers;
};

struct catalogue_row {
	sqlite3_stmt *statement;
};

static int failed(sqlite3 *db, const char *doing, struct error *error)
{
	const char *text = sqlite3_errmsg(db);

	switch (sqlite3_errcode(db) & 0xff) {
	case SQLITE_CONSTRAINT:
		return error_set(error, -EEXIST, "catalogue: %s: %s", doing,
				 text);
	case SQLITE_FULL:
		return error_set(error, -ENOSPC,
				 "catalogue: no space left: make room in the "
				 "state folder");
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return error_set(error, -EBUSY,
				 "catalogue: another program keeps it locked: "
				 "end that program");
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return error_set(error, -EIO,
				 "catalogue: %s: restore it from a backup, or "
				 "try sqlite3's .recover",
				 text);
	default:
		return error_set(error, -EIO, "catalogue: %s: %s", doing, text);
	}
}

static int execute(sqlite3 *db, const char *sql, struct error *error)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	return failed(db, sql, error);
}

static int connect(struct connection *c, const char *path, int flags,
		   struct error *error)
{
	if (sqlite3_open_v2(path, &c->db, flags | SQLITE_OPEN_NOMUTEX, NULL) !=
	    SQLITE_OK) {
		if (!c->db)
			return error_set(error, -ENOMEM, "no memory");
		error_set(error, -EACCES, "can't open %s: %s", path,
			  sqlite3_errmsg(c->db));
		sqlite3_close(c->db);
		c->db = NULL;
		return -EACCES;
	}
	sqlite3_busy_timeout(c->db, BUSY_MS);
	sqlite3_extended_result_codes(c->db, 1);
	return execute(c->db, "PRAGMA synchronous = FULL", error);
}

static void disconnect(struct connection *c)
{
	for (int i = 0; i < STATEMENTS; i++) {
		sqlite3_finalize(c->statements[i].prepared);
		free(c->statements[i].sql);
	}
	sqlite3_close(c->db);
	memset(c, 0, sizeof(*c));
}

static int pragma_number(sqlite3 *db, const char *sql, int *number,
			 struct error *error)
{
	sqlite3_stmt *s;
	int r = 0;

	if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK)
		return failed(db, sql, error);
	if (sqlite3_step(s) == SQLITE_ROW)
		*number = sqlite3_column_int(s, 0);
	else
		r = failed(db, sql, error);
	sqlite3_finalize(s);
	return r;
}

static int migration_number(const struct schema_embedded *migration)
{
	return (int)strtol(migration->name, NULL, 10);
}

/* One migration and its number, whole or not at all. */
static int migrate_one(sqlite3 *db, const struct schema_embedded *migration,
		       struct error *error)
{
	char version[80];
	int r;

	snprintf(version, sizeof(version), "PRAGMA user_version = %d",
		 migration_number(migration));
	r = execute(db, "BEGIN IMMEDIATE", error);
	if (r)
		return r;
	r = execute(db, (const char *)migration->data, error);
	if (!r)
		r = execute(db, version, error);
	if (!r)
		r = execute(db, "COMMIT", error);
	if (r) {
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
		error_prefix(error, "%s", migration->name);
	}
	return r;
}

static int migrate(struct catalogue *c,
		   const struct schema_embedded *migrations,
		   struct error *error)
{
	sqlite3 *db = c->writer.db;
	int version = 0, newest = 0;
	char id[60];
	int r = pragma_number(db, "PRAGMA user_version", &version, error);

	for (int i = 0; migrations[i].name; i++)
		newest = migration_number(&migrations[i]);
	if (!r && version > newest)
		return error_set(error, -EINVAL,
				 "%s was written by a newer mediavm (schema "
				 "%d, this one knows %d): install that version "
				 "or a newer one",
				 c->path, version, newest);
	snprintf(id, sizeof(id), "PRAGMA application_id = %d", APPLICATION_ID);
	if (!r && !version)
		r = execute(db, id, error);
	for (int i = 0; !r && migrations[i].name; i++)
		if (migration_number(&migrations[i]) > version)
			r = migrate_one(db, &migrations[i], error);
	return r;
}

static void init_locks(struct catalogue *c)
{
	pthread_mutexattr_t attributes;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&c->writing, &attributes);
	pthread_mutexattr_destroy(&attributes);
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->returned, NULL);
}

int catalogue_open(struct catalogue **catalogue, const char *path,
		   const struct schema_embedded *migrations,
		   struct error *error)
{
	struct catalogue *c = calloc(1, sizeof(*c));
	int r;

	*catalogue = NULL;
	if (!c)
		return error_set(error, -ENOMEM, "no memory");
	init_locks(c);
	c->path = strdup(path);
	r = c->path ? connect(&c->writer, path,
			      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, error)
		    : error_set(error, -ENOMEM, "no memory");
	if (!r)
		r = execute(c->writer.db, "PRAGMA journal_mode = WAL", error);
	if (!r)
		r = migrate(c, migrations, error);
	for (int i = 0; !r && i < READERS; i++) {
		c->readers[i].next_free = c->free_readers;
		c->free_readers = &c->readers[i];
	}
	if (r) {
		catalogue_free(c);
		return r;
	}
	*catalogue = c;
	return 0;
}

void catalogue_free(struct catalogue *catalogue)
{
	if (!catalogue)
		return;
	for (int i = 0; i < READERS; i++)
		disconnect(&catalogue->readers[i]);
	disconnect(&catalogue->writer);
	pthread_mutex_destroy(&catalogue->writing);
	pthread_mutex_destroy(&catalogue->lock);
	pthread_cond_destroy(&catalogue->returned);
	free(catalogue->path);
	free(catalogue);
}

/* The prepared form of sql, from the connection's store. */
static sqlite3_stmt *prepare(struct connection *c, const char *sql,
			     struct error *error)
{
	struct statement *place = &c->statements[0];

	for (int i = 0; i < STATEMENTS; i++) {
		struct statement *s = &c->statements[i];

		if (s->sql && !strcmp(s->sql, sql)) {
			s->used = ++c->clock;
			return s->prepared;
		}
		if (s->used < place->used)
			place = s;
	}
	sqlite3_finalize(place->prepared);
	free(place->sql);
	memset(place, 0, sizeof(*place));
	if (sqlite3_prepare_v3(c->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
			       &place->prepared, NULL) != SQLITE_OK) {
		failed(c->db, sql, error);
		return NULL;
	}
	place->sql = strdup(sql);
	place->used = place->sql ? ++c->clock : 0;
	return place->prepared;
}

static int bind(sqlite3_stmt *s, int i, const struct catalogue_value *value)
{
	switch (value->kind) {
	case CATALOGUE_INT:
		return sqlite3_bind_int64(s, i, value->number);
	case CATALOGUE_TEXT:
		return sqlite3_bind_text(s, i, value->data, -1, SQLITE_STATIC);
	case CATALOGUE_BLOB:
		return sqlite3_bind_blob64(s, i, value->data, value->size,
					   SQLITE_STATIC);
	default:
		return sqlite3_bind_null(s, i);
	}
}

/* Returns the number of rows that `each` was given. */
static int64_t run(struct connection *c, const char *sql,
		   const struct catalogue_value *values, unsigned count,
		   catalogue_each *each, void *data, struct error *error)
{
	sqlite3_stmt *s = prepare(c, sql, error);
	struct catalogue_row row = {s};
	int64_t rows = 0;
	int r = SQLITE_OK;

	if (!s)
		return -EIO;
	for (unsigned i = 0; r == SQLITE_OK && i < count; i++)
		r = bind(s, (int)i + 1, &values[i]);
	if (r == SQLITE_OK)
		while ((r = sqlite3_step(s)) == SQLITE_ROW) {
			rows++;
			if (each && each(data, &row)) {
				r = SQLITE_DONE;
				break;
			}
		}
	if (r != SQLITE_DONE)
		rows = failed(c->db, sql, error);
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	return rows;
}

static struct connection *take_reader(struct catalogue *c)
{
	struct connection *reader;

	pthread_mutex_lock(&c->lock);
	while (!c->free_readers)
		pthread_cond_wait(&c->returned, &c->lock);
	reader = c->free_readers;
	c->free_readers = reader->next_free;
	pthread_mutex_unlock(&c->lock);
	return reader;
}

static void give_reader(struct catalogue *c, struct connection *reader)
{
	pthread_mutex_lock(&c->lock);
	reader->next_free = c->free_readers;
	c->free_readers = reader;
	pthread_cond_signal(&c->returned);
	pthread_mutex_unlock(&c->lock);
}

int64_t catalogue_read(struct catalogue *c, const char *sql,
		       const struct catalogue_value *values, unsigned count,
		       catalogue_each *each, void *data, struct error *error)
{
	struct connection *reader = take_reader(c);
	int64_t r = 0;

	if (!reader->db)
		r = connect(reader, c->path, SQLITE_OPEN_READONLY, error);
	if (!r)
		r = run(reader, sql, values, count, each, data, error);
	give_reader(c, reader);
	return r;
}

int64_t catalogue_write(struct catalogue *c, const char *sql,
			const struct catalogue_value *values, unsigned count,
			catalogue_each *each, void *data, struct error *error)
{
	int64_t r;

	pthread_mutex_lock(&c->writing);
	r = run(&c->writer, sql, values, count, each, data, error);
	if (r >= 0)
		r = sqlite3_changes(c->writer.db);
	pthread_mutex_unlock(&c->writing);
	return r;
}

int catalogue_begin(struct catalogue *c, struct error *error)
{
	int r;

	pthread_mutex_lock(&c->writing);
	r = execute(c->writer.db, "BEGIN IMMEDIATE", error);
	if (r)
		pthread_mutex_unlock(&c->writing);
	return r;
}

int catalogue_end(struct catalogue *c, int commit, struct error *error)
{
	int r = 0;

	if (commit)
		r = execute(c->writer.db, "COMMIT", error);
	if (r || !commit)
		sqlite3_exec(c->writer.db, "ROLLBACK", NULL, NULL, NULL);
	pthread_mutex_unlock(&c->writing);
	return r;
}

int64_t catalogue_row_int(const struct catalogue_row *row, int column)
{
	return sqlite3_column_int64(row->statement, column);
}

const char *catalogue_row_text(const struct catalogue_row *row, int column)
{
	return (const char *)sqlite3_column_text(row->statement, column);
}

const void *catalogue_row_blob(const struct catalogue_row *row, int column,
			       size_t *size)
{
	const void *data = sqlite3_column_blob(row->statement, column);

	*size = (size_t)sqlite3_column_bytes(row->statement, column);
	return data;
}

int catalogue_row_is_null(const struct catalogue_row *row, int column)
{
	return sqlite3_column_type(row->statement, column) == SQLITE_NULL;
}
