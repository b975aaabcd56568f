/* The database: migrations, transactions, errors, readers beside a writer. */
#include "daemon/catalogue.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define SQL(number, text) \
	{ \
		number "_x.sql", (const unsigned char *)(text), \
			sizeof(text) - 1 \
	}

static const struct schema_embedded first[] = {
	SQL("001", "CREATE TABLE a (x INTEGER UNIQUE, t TEXT, b BLOB);"),
	{0},
};
static const struct schema_embedded second[] = {
	SQL("001", "CREATE TABLE a (x INTEGER UNIQUE, t TEXT, b BLOB);"),
	SQL("002", "ALTER TABLE a ADD COLUMN y INTEGER DEFAULT 7;"),
	{0},
};
static const struct schema_embedded broken[] = {
	SQL("001", "CREATE TABLE a (x INTEGER UNIQUE, t TEXT, b BLOB);"),
	SQL("002", "CREATE TABLE c (x); CREATE TABLE oops (;"),
	{0},
};

static char folder[64], path[80];

static int make_folder(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/mediavm-catalogue-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/c.db", folder);
	return 0;
}

static int remove_folder(void **state)
{
	char name[96];
	static const char *const ends[] = {"", "-wal", "-shm"};

	(void)state;
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s%s", path, ends[i]);
		unlink(name);
	}
	return rmdir(folder);
}

static int take_int(void *data, const struct catalogue_row *row)
{
	*(int64_t *)data = catalogue_row_int(row, 0);
	return 1;
}

static int64_t number(struct catalogue *c, const char *sql)
{
	int64_t n = -1;

	assert_true(catalogue_read(c, sql, CATALOGUE_NONE, take_int, &n,
				   NULL) >= 0);
	return n;
}

static struct catalogue *open_with(const struct schema_embedded *migrations)
{
	struct catalogue *c;
	struct error error = {0};

	if (catalogue_open(&c, path, migrations, &error))
		fail_msg("%s", error.text);
	return c;
}

static void migrates_forward_only(void **state)
{
	struct catalogue *c = open_with(first);
	struct error error = {0};

	(void)state;
	assert_int_equal(catalogue_write(c, "INSERT INTO a (x) VALUES (?)",
					 CATALOGUE_VALUES(catalogue_int(1)),
					 NULL, NULL, NULL),
			 1);
	catalogue_free(c);
	c = open_with(second);
	assert_int_equal(number(c, "SELECT y FROM a"), 7);
	assert_int_equal(number(c, "PRAGMA user_version"), 2);
	catalogue_free(c);
	assert_int_equal(catalogue_open(&c, path, first, &error), -EINVAL);
	assert_null(c);
	assert_non_null(strstr(error.text, "newer"));
}

static void a_failed_migration_leaves_nothing(void **state)
{
	struct catalogue *c = open_with(first);
	struct error error = {0};

	(void)state;
	catalogue_free(c);
	assert_int_not_equal(catalogue_open(&c, path, broken, &error), 0);
	assert_non_null(strstr(error.text, "002_x.sql"));
	c = open_with(second);
	assert_int_equal(number(c, "SELECT count(*) FROM sqlite_schema "
				   "WHERE name = 'c'"),
			 0);
	catalogue_free(c);
}

static void the_real_schema_opens_twice(void **state)
{
	struct catalogue *c = open_with(schema_migrations);

	(void)state;
	catalogue_free(c);
	c = open_with(schema_migrations);
	assert_int_equal(number(c, "SELECT count(*) FROM session"), 0);
	catalogue_free(c);
}

static int take_row(void *data, const struct catalogue_row *row)
{
	size_t size;
	const void *blob = catalogue_row_blob(row, 2, &size);

	assert_string_equal(catalogue_row_text(row, 1), "it's; \"text\"");
	assert_int_equal(size, 3);
	assert_memory_equal(blob, "a\0b", 3);
	assert_true(catalogue_row_is_null(row, 3));
	(*(int *)data)++;
	return 0;
}

static void binds_every_kind(void **state)
{
	struct catalogue *c = open_with(second);
	int rows = 0;

	(void)state;
	assert_int_equal(
		catalogue_write(
			c, "INSERT INTO a VALUES (?, ?, ?, ?)",
			CATALOGUE_VALUES(catalogue_int(INT64_MIN),
					 catalogue_text("it's; \"text\""),
					 catalogue_blob("a\0b", 3),
					 catalogue_text(NULL)),
			NULL, NULL, NULL),
		1);
	assert_int_equal(
		catalogue_read(c, "SELECT * FROM a WHERE x = ?",
			       CATALOGUE_VALUES(catalogue_int(INT64_MIN)),
			       take_row, &rows, NULL),
		1);
	assert_int_equal(rows, 1);
	catalogue_free(c);
}

static void tells_errors_apart(void **state)
{
	struct catalogue *c = open_with(first);
	struct error error = {0};

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(
			catalogue_write(c, "INSERT INTO a (x) VALUES (1)",
					CATALOGUE_NONE, NULL, NULL, &error),
			i ? -EEXIST : 1);
	assert_int_equal(catalogue_read(c, "SELECT nonsense", CATALOGUE_NONE,
					NULL, NULL, &error),
			 -EIO);
	assert_non_null(strstr(error.text, "nonsense"));
	/* A reader cannot write. */
	assert_true(catalogue_read(c, "DELETE FROM a", CATALOGUE_NONE, NULL,
				   NULL, &error) < 0);
	assert_int_equal(number(c, "SELECT count(*) FROM a"), 1);
	catalogue_free(c);
}

static void a_transaction_is_one_thing(void **state)
{
	struct catalogue *c = open_with(first);
	const char *insert = "INSERT INTO a (x) VALUES (1)";

	(void)state;
	for (int commit = 0; commit < 2; commit++) {
		assert_int_equal(catalogue_begin(c, NULL), 0);
		assert_int_equal(catalogue_write(c, insert, CATALOGUE_NONE,
						 NULL, NULL, NULL),
				 1);
		/* Readers go on and do not see it yet. */
		assert_int_equal(number(c, "SELECT count(*) FROM a"), 0);
		assert_int_equal(catalogue_end(c, commit, NULL), 0);
		assert_int_equal(number(c, "SELECT count(*) FROM a"), commit);
	}
	catalogue_free(c);
}

static void many_statements_fit(void **state)
{
	struct catalogue *c = open_with(first);
	char sql[40];

	(void)state;
	for (int i = 0; i < 200; i++) {
		snprintf(sql, sizeof(sql), "SELECT %d", i % 120);
		assert_int_equal(number(c, sql), i % 120);
	}
	catalogue_free(c);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(migrates_forward_only),
		TEST(a_failed_migration_leaves_nothing),
		TEST(the_real_schema_opens_twice),
		TEST(binds_every_kind),
		TEST(tells_errors_apart),
		TEST(a_transaction_is_one_thing),
		TEST(many_statements_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
