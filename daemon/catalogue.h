/*
 * The catalogue: one SQLite database, and the only file that includes
 * sqlite3.h behind it.
 *
 * Statements are SQL text of the caller, prepared once for each connection
 * and kept. There is one writing connection, used by one thread at a time,
 * and a few for reading, which see what was committed when they began.
 * Everything here may be called by any thread.
 */
#ifndef DAEMON_CATALOGUE_H
#define DAEMON_CATALOGUE_H

#include <stddef.h>
#include <stdint.h>

#include "recorder/error.h"
#include "schema/embed.h"

struct catalogue;
struct catalogue_row;

/*
 * Opens or makes the database and brings it to the newest migration: files
 * named NNN_what.sql, NNN counting from 001. A database that is newer than
 * the last of them is refused with -EINVAL.
 */
int catalogue_open(struct catalogue **catalogue, const char *path,
		   const struct schema_embedded *migrations,
		   struct error *error);
void catalogue_free(struct catalogue *catalogue);

/* A value for a ? of a statement; text and blobs are borrowed. */
struct catalogue_value {
	enum {
		CATALOGUE_NULL,
		CATALOGUE_INT,
		CATALOGUE_TEXT,
		CATALOGUE_BLOB
	} kind;
	int64_t number;
	const void *data;
	size_t size;
};

static inline struct catalogue_value catalogue_int(int64_t number)
{
	return (struct catalogue_value){.kind = CATALOGUE_INT,
					.number = number};
}

/* NULL stands for SQL's NULL, here and in catalogue_blob. */
static inline struct catalogue_value catalogue_text(const char *text)
{
	return (struct catalogue_value){
		.kind = text ? CATALOGUE_TEXT : CATALOGUE_NULL, .data = text};
}

static inline struct catalogue_value catalogue_blob(const void *data,
						    size_t size)
{
	return (struct catalogue_value){.kind = data ? CATALOGUE_BLOB
						     : CATALOGUE_NULL,
					.data = data,
					.size = size};
}

/* The values of a statement, in order: CATALOGUE_VALUES(a, b, …). */
#define CATALOGUE_VALUES(...) \
	(const struct catalogue_value[]){__VA_ARGS__}, \
		sizeof((const struct catalogue_value[]){__VA_ARGS__}) / \
			sizeof(struct catalogue_value)
#define CATALOGUE_NONE NULL, 0

/* Columns of the present row; text and blobs live until the next one. */
int64_t catalogue_row_int(const struct catalogue_row *row, int column);
const char *catalogue_row_text(const struct catalogue_row *row, int column);
const void *catalogue_row_blob(const struct catalogue_row *row, int column,
			       size_t *size);
int catalogue_row_is_null(const struct catalogue_row *row, int column);

/* Called for each row; anything but 0 ends the statement. */
typedef int catalogue_each(void *data, const struct catalogue_row *row);

/*
 * Runs a statement. `read` uses a reading connection and returns the number
 * of rows; `write` returns the number of rows changed, and gives `each` the
 * rows of a RETURNING clause. `each` may be NULL, and must not call the
 * catalogue. -EEXIST for a violated UNIQUE constraint, -ENOSPC for a full
 * disk, -EIO, -EBUSY.
 */
int64_t catalogue_read(struct catalogue *catalogue, const char *sql,
		       const struct catalogue_value *values, unsigned count,
		       catalogue_each *each, void *data, struct error *error);
int64_t catalogue_write(struct catalogue *catalogue, const char *sql,
			const struct catalogue_value *values, unsigned count,
			catalogue_each *each, void *data, struct error *error);

/*
 * Several writes as one: between begin and end no other thread writes. With
 * commit 0, or when committing fails, nothing of it stays.
 */
int catalogue_begin(struct catalogue *catalogue, struct error *error);
int catalogue_end(struct catalogue *catalogue, int commit, struct error *error);

#endif
