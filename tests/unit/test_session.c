/*
 * Sessions: what a crash leaves of them, who may delete them, how they are
 * found, when they go. A catalogue and a state folder, no gateway, no guest.
 */
#include "daemon/catalogue.h"
#include "daemon/control.h"
#include "daemon/event.h"
#include "daemon/folder.h"
#include "daemon/job.h"
#include "daemon/session.h"
#include "daemon/session_live.h"
#include "daemon/units.h"
#include "daemon/vault.h"
#include "recorder/capture_writer.h"
#include "daemon/operations.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define UUID "11111111-2222-4333-8444-555555555555"
#define OTHER "99999999-2222-4333-8444-555555555555"
#define DAY (86400 * 1000000ll)

static struct control control;

static int make_control(void **state)
{
	char path[640];

	(void)state;
	memset(&control, 0, sizeof(control));
	config_default(&control.config);
	control.config.render_automatic = 0;
	strcpy(control.config.state, "/tmp/mediavm-session-XXXXXX");
	if (!mkdtemp(control.config.state))
		return -1;
	snprintf(path, sizeof(path), "%s/c.db", control.config.state);
	return catalogue_open(&control.catalogue, path, schema_migrations,
			      NULL) ||
	       events_new(&control.events, control.catalogue, NULL) ||
	       vaults_new(&control.vaults, NULL) ||
	       sessions_new(&control.sessions, NULL) ||
	       jobs_new(&control.jobs, &control, NULL);
}

static int remove_control(void **state)
{
	(void)state;
	jobs_free(control.jobs);
	sessions_free(control.sessions);
	vaults_free(control.vaults);
	events_free(control.events);
	catalogue_free(control.catalogue);
	return folder_remove(control.config.state, NULL);
}

static void run(const char *sql, const char *text, int64_t number)
{
	struct error error = {0};

	if (catalogue_write(control.catalogue, sql,
			    CATALOGUE_VALUES(catalogue_text(text),
					     catalogue_int(number)),
			    NULL, NULL, &error) < 0)
		fail_msg("%s", error.text);
}

/* A session with a row, and its capture open. */
static int begin(struct session *session)
{
	int capture;

	memset(session, 0, sizeof(*session));
	strcpy(session->vault, UUID);
	strcpy(session->vault_name, "algebra");
	strcpy(session->client, "192.0.2.7");
	session->recorded = true;
	assert_int_equal(session_make(&control, session, &capture, NULL), 0);
	assert_int_equal(session_insert(&control, session, NULL), 0);
	return capture;
}

static void end(const char *id, uint64_t bytes)
{
	struct ipc_ended ended = {.reason = IPC_END_CLIENT,
				  .bytes_to_client = bytes,
				  .capture_bytes = 9,
				  .capture_sha256 = {1}};

	ended.ended_at = (uint64_t)units_now_us() * 1000;
	strcpy(ended.session, id);
	assert_int_equal(sessions_ended(&control, &ended), 0);
}

static void reread(struct session *session)
{
	assert_int_equal(session_find(&control, session->id, session, NULL), 0);
}

/* A second of a capture whose writer dies without an end. */
static void write_capture(int fd, uint64_t last)
{
	static const struct capture_session said = {.id = "x"};
	uint8_t bytes[1000] = {0};
	struct capture_pool *pool;
	struct capture_writer *writer;
	int channel;

	assert_int_equal(capture_pool_new(&pool, 1, NULL), 0);
	assert_int_equal(capture_writer_new(&writer, pool, fd, &said, NULL), 0);
	channel = capture_writer_open_channel(writer, last - 1000000000, NULL);
	assert_true(channel >= 0);
	assert_int_equal(capture_writer_add(writer, channel, CAPTURE_TO_CLIENT,
					    last, bytes, sizeof(bytes), NULL),
			 0);
	assert_int_equal(capture_writer_tick(writer, last + 5000000000, NULL),
			 0);
	while (capture_writer_backlog(writer))
		usleep(1000);
	capture_writer_free(writer);
	capture_pool_free(pool);
}

static void a_lost_session_is_recovered(void **state)
{
	struct session session;
	int fd = begin(&session), check;
	char path[PATH_MAX];
	uint64_t last = (uint64_t)(session.seq + 2500000) * 1000, size;
	uint8_t digest[32];
	struct stat st;

	(void)state;
	write_capture(fd, last);
	session_recover(&control, session.id, "the gateway crashed");
	reread(&session);
	assert_string_equal(session.state, "recovered");
	assert_string_equal(session.end_reason, "lost");
	assert_string_equal(session.end_text, "the gateway crashed");
	assert_false(session.has_digest);
	session_scan_recovered(&control);
	reread(&session);
	assert_true(session.has_digest);
	assert_int_equal(session.bytes_to_client, 1000);
	assert_int_equal(session.ended_at, last / 1000);
	session_path(&control, session.id, "wire.pcapng.zst", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(session.capture_bytes, st.st_size);
	check = open(path, O_RDONLY);
	assert_int_equal(session_file_digest(check, digest, &size, NULL), 0);
	close(check);
	assert_memory_equal(digest, session.digest, 32);
	/* Again changes nothing. */
	session_recover(&control, session.id, "something else");
	reread(&session);
	assert_string_equal(session.end_text, "the gateway crashed");
}

static void an_empty_capture_is_recovered_too(void **state)
{
	struct session session;

	(void)state;
	close(begin(&session));
	sessions_unclaim(&control);
	sessions_reconcile(&control, "the gateway crashed");
	reread(&session);
	assert_string_equal(session.state, "recovered");
	assert_int_equal(session.capture_bytes, 0);
	assert_true(session.ended_at >= session.seq);
}

static void a_missing_capture_does_not_stop_recovery(void **state)
{
	struct session first, second;
	char path[PATH_MAX];

	(void)state;
	close(begin(&first));
	close(begin(&second));
	session_path(&control, first.id, "wire.pcapng.zst", path);
	assert_int_equal(unlink(path), 0);
	sessions_reconcile(&control, "the gateway crashed");
	reread(&first);
	reread(&second);
	assert_string_equal(first.state, "recovered");
	assert_false(first.has_digest);
	assert_true(second.has_digest);
}

static void the_gateways_word_wins(void **state)
{
	struct session session;

	(void)state;
	close(begin(&session));
	session_recover(&control, session.id, "the gateway crashed");
	end(session.id, 7);
	reread(&session);
	assert_string_equal(session.state, "ended");
	assert_string_equal(session.end_reason, "client");
	assert_int_equal(session.bytes_to_client, 7);
	/* Told twice, it is acknowledged twice and changes nothing. */
	end(session.id, 8);
	session_scan_recovered(&control);
	reread(&session);
	assert_int_equal(session.bytes_to_client, 7);
	assert_int_equal(session.capture_bytes, 9);
}

static void claimed_sessions_stay_live(void **state)
{
	struct session mine, lost;
	struct ipc_state told = {.bytes_to_client = 5};

	(void)state;
	close(begin(&mine));
	close(begin(&lost));
	sessions_unclaim(&control);
	strcpy(told.session, mine.id);
	sessions_state(&control, &told);
	assert_int_equal(sessions_claimed(&control), 1);
	sessions_reconcile(&control, "the gateway crashed");
	reread(&mine);
	reread(&lost);
	assert_string_equal(mine.state, "live");
	assert_string_equal(lost.state, "recovered");
}

static void live_and_held_ones_are_not_deleted(void **state)
{
	struct session session;
	char path[PATH_MAX];

	(void)state;
	close(begin(&session));
	session_path(&control, session.id, NULL, path);
	assert_int_equal(session_delete(&control, session.id, NULL), -EBUSY);
	end(session.id, 7);
	assert_int_equal(session_hold(&control, session.id, true, NULL), 0);
	assert_int_equal(session_delete(&control, session.id, NULL), -EBUSY);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(session_hold(&control, session.id, false, NULL), 0);
	assert_int_equal(session_delete(&control, session.id, NULL), 0);
	assert_int_not_equal(access(path, F_OK), 0);
	assert_int_equal(session_find(&control, session.id, &session, NULL),
			 -ENOENT);
	assert_int_equal(session_hold(&control, session.id, true, NULL),
			 -ENOENT);
}

/* A row without files, so long ago. */
static void old(const char *vault, const char *name, const char *client,
		int64_t seq, char id[UNITS_ID_SIZE])
{
	struct session session = {.seq = seq};

	units_id(seq, session.id);
	strcpy(id, session.id);
	strcpy(session.vault, vault);
	strcpy(session.vault_name, name);
	strcpy(session.client, client);
	assert_int_equal(session_insert(&control, &session, NULL), 0);
	run("UPDATE session SET state = 'ended', ended_at = seq + 1000, "
	    "end_text = 'all went well', capture_bytes = 100 "
	    "WHERE id = ?1 AND ?2 = 0",
	    session.id, 0);
}

static size_t count(const struct session_filter *filter, const char *first)
{
	struct session_filter asked = *filter;
	json_t *list;
	size_t n;

	if (!asked.limit)
		asked.limit = 100;
	assert_int_equal(session_list(&control, &asked, &list, NULL), 0);
	n = json_array_size(list);
	if (first)
		assert_string_equal(json_string_value(json_object_get(
					    json_array_get(list, 0), "id")),
				    first);
	json_decref(list);
	return n;
}

#define COUNT(first, ...) count(&(struct session_filter){__VA_ARGS__}, first)

static void sessions_are_found(void **state)
{
	int64_t now = units_now_us();
	char a[UNITS_ID_SIZE], b[UNITS_ID_SIZE], c[UNITS_ID_SIZE];

	(void)state;
	old(UUID, "algebra", "192.0.2.7", now - 3 * DAY, a);
	old(OTHER, "x-ray.2", "2001:db8::1", now - 2 * DAY, b);
	old(UUID, "algebra", "192.0.2.8", now - DAY, c);
	assert_int_equal(COUNT(c, .since = 0), 3);
	assert_int_equal(COUNT(c, .limit = 1), 1);
	assert_int_equal(COUNT(a, .before = b), 1);
	assert_int_equal(COUNT(c, .vault = "algebra"), 2);
	assert_int_equal(COUNT(NULL, .vault = "geometry"), 0);
	assert_int_equal(COUNT(c, .since = now - 5 * DAY / 2), 2);
	assert_int_equal(COUNT(NULL, .state = "live"), 0);
	assert_int_equal(COUNT(c, .text = "alge"), 2);
	assert_int_equal(COUNT(a, .text = "192.0.2.7"), 1);
	assert_int_equal(COUNT(b, .text = "2001:db8 well"), 1);
	assert_int_equal(COUNT(c, .text = "WELL", .vault = "algebra"), 2);
	assert_int_equal(COUNT(b, .text = "well", .vault = "x-ray.2"), 1);
	assert_int_equal(
		COUNT(a, .text = "well", .before = c, .vault = "algebra"), 1);
	assert_int_equal(COUNT(NULL, .text = "well OR nonsense"), 0);
	run("UPDATE session SET state = 'recovered' WHERE id = ?1 AND ?2 = 0",
	    b, 0);
	assert_int_equal(COUNT(b, .state = "recovered"), 1);
	assert_int_equal(COUNT(b, .state = "recovered", .text = "well"), 1);
	assert_int_equal(COUNT(NULL, .state = "recovered", .text = "ill"), 0);
	assert_int_equal(COUNT(NULL, .state = "recovered", .vault = "algebra"),
			 0);
	assert_int_equal(COUNT(c, .state = "ended", .text = "well"), 2);
	/* No syntax gets through. */
	assert_int_equal(COUNT(NULL, .text = "\" NEAR( * \"\" col:x"), 0);
	assert_int_equal(COUNT(c, .text = "-"), 3);
	assert_int_equal(COUNT(c, .text = "  "), 3);
}

static void totals_follow(void **state)
{
	char id[UNITS_ID_SIZE];

	(void)state;
	old(UUID, "algebra", "::1", 1000000, id);
	old(UUID, "algebra", "::1", 2000000, id);
	assert_int_equal(catalogue_read(control.catalogue,
					"SELECT 1 FROM vault_total WHERE "
					"sessions = 2 AND bytes = 200",
					CATALOGUE_NONE, NULL, NULL, NULL),
			 1);
	assert_int_equal(session_delete(&control, id, NULL), 0);
	assert_int_equal(catalogue_read(control.catalogue,
					"SELECT 1 FROM vault_total WHERE "
					"sessions = 1 AND bytes = 100",
					CATALOGUE_NONE, NULL, NULL, NULL),
			 1);
}

static void policies_let_sessions_go(void **state)
{
	int64_t now = units_now_us();
	char aged[UNITS_ID_SIZE], held[UNITS_ID_SIZE], young[UNITS_ID_SIZE];
	struct session session;

	(void)state;
	run("INSERT INTO vault (uuid, name, created_at, ready, policy) "
	    "VALUES (?, 'algebra', ?, 1, '{\"retention\": \"2d\"}')",
	    UUID, 0);
	old(UUID, "algebra", "::1", now - 4 * DAY, held);
	old(UUID, "algebra", "::1", now - 3 * DAY, aged);
	old(UUID, "algebra", "::1", now - DAY, young);
	assert_int_equal(session_hold(&control, held, true, NULL), 0);
	session_sweep(&control);
	assert_int_equal(session_find(&control, aged, &session, NULL), -ENOENT);
	assert_int_equal(session_find(&control, held, &session, NULL), 0);
	assert_int_equal(session_find(&control, young, &session, NULL), 0);
	/* 200 bytes are left; of them the held ones stay, however many. */
	run("UPDATE vault SET policy = '{\"quota\": \"150\"}' "
	    "WHERE uuid = ?1 AND ?2 = 0",
	    UUID, 0);
	session_sweep(&control);
	assert_int_equal(session_find(&control, young, &session, NULL),
			 -ENOENT);
	assert_int_equal(session_find(&control, held, &session, NULL), 0);
}

static void orphans_are_removed(void **state)
{
	struct session known, orphan = {.recorded = true};
	char path[PATH_MAX];
	int fd;

	(void)state;
	close(begin(&known));
	assert_int_equal(session_make(&control, &orphan, &fd, NULL), 0);
	session_remove_orphans(&control);
	session_path(&control, orphan.id, NULL, path);
	assert_int_not_equal(access(path, F_OK), 0);
	session_path(&control, known.id, NULL, path);
	assert_int_equal(access(path, F_OK), 0);
	close(fd);
	/* What holds bytes is nobody's to remove. */
	assert_int_equal(session_make(&control, &orphan, &fd, NULL), 0);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	session_remove_orphans(&control);
	session_path(&control, orphan.id, NULL, path);
	assert_int_equal(access(path, F_OK), 0);
}

static void half_made_vaults_are_removed(void **state)
{
	char path[PATH_MAX], inside[PATH_MAX];
	struct vault vault;

	(void)state;
	run("INSERT INTO vault (uuid, name, created_at) "
	    "VALUES (?, 'half', ?)",
	    UUID, 0);
	vault_path(&control, UUID, NULL, path);
	assert_int_equal(folder_make_all(path, 0700, NULL), 0);
	vault_path(&control, UUID, "disk.part", inside);
	assert_int_equal(folder_write(inside, "x", 1, 0600, NULL), 0);
	assert_int_equal(vault_find(&control, "half", &vault, NULL), -ENOENT);
	assert_int_equal(vaults_recover(&control, NULL), 0);
	assert_int_not_equal(access(path, F_OK), 0);
	assert_int_equal(catalogue_read(control.catalogue,
					"SELECT 1 FROM vault", CATALOGUE_NONE,
					NULL, NULL, NULL),
			 0);
}

static void events_are_numbered_and_kept(void **state)
{
	struct events *again;
	uint64_t last, later;
	json_t *list;

	(void)state;
	events_post(control.events, "ticket.refused", "algebra",
		    json_pack("{s:s}", "why", "used"));
	events_post(control.events, "session.progress", "x", NULL);
	list = control_events(&control, 0, 10, &last);
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(json_string_value(json_object_get(
				    json_array_get(list, 0), "why")),
			    "used");
	json_decref(list);
	list = control_events(&control, last - 1, 10, &last);
	assert_int_equal(json_array_size(list), 1);
	json_decref(list);
	/* Progress is for those who look, not for the log. */
	assert_int_equal(catalogue_read(control.catalogue,
					"SELECT 1 FROM audit", CATALOGUE_NONE,
					NULL, NULL, NULL),
			 1);
	/* After a restart numbers go on. */
	assert_int_equal(events_new(&again, control.catalogue, NULL), 0);
	list = events_after(again, 0, 10, &later);
	json_decref(list);
	assert_true(later >= last);
	events_free(again);
}

static void the_ring_forgets_the_oldest(void **state)
{
	uint64_t last;
	json_t *list;

	(void)state;
	for (int i = 0; i < 1500; i++)
		events_post(control.events, "job.progress", NULL, NULL);
	list = control_events(&control, 0, 5000, &last);
	assert_int_equal(last, 1500);
	assert_int_equal(json_array_size(list), 1024);
	assert_int_equal(json_integer_value(json_object_get(
				 json_array_get(list, 0), "seq")),
			 477);
	json_decref(list);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_control, remove_control)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_lost_session_is_recovered),
		TEST(an_empty_capture_is_recovered_too),
		TEST(a_missing_capture_does_not_stop_recovery),
		TEST(the_gateways_word_wins),
		TEST(claimed_sessions_stay_live),
		TEST(live_and_held_ones_are_not_deleted),
		TEST(sessions_are_found),
		TEST(totals_follow),
		TEST(policies_let_sessions_go),
		TEST(orphans_are_removed),
		TEST(half_made_vaults_are_removed),
		TEST(events_are_numbered_and_kept),
		TEST(the_ring_forgets_the_oldest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
