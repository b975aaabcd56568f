/*
 * Leases: which copy of a machine may start, on one host and on two, what is
 * left when a change is cut, and how a lease travels.
 */
#include "daemon/catalogue.h"
#include "daemon/control.h"
#include "daemon/domain.h"
#include "daemon/event.h"
#include "daemon/folder.h"
#include "daemon/lease.h"
#include "daemon/lease_file.h"
#include "daemon/lease_record.h"
#include "daemon/vault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define UUID "11111111-2222-4333-8444-555555555555"

/* Two state folders on one host, and one on another. */
enum { FIRST, SECOND, FAR, HOSTS };

static char work[64];
static struct control hosts[HOSTS];
static const struct vault vault = {.uuid = UUID, .name = "algebra"};
static struct error error;

static void make_host(int which, const char *registry)
{
	struct control *control = &hosts[which];
	char path[PATH_MAX];

	memset(control, 0, sizeof(*control));
	config_default(&control->config);
	snprintf(control->config.state, CONFIG_TEXT_SIZE, "%s/state%d", work,
		 which);
	snprintf(control->config.registry, CONFIG_TEXT_SIZE, "%s/%s", work,
		 registry);
	snprintf(control->config.identity, CONFIG_TEXT_SIZE, "%s/run-%s", work,
		 registry);
	snprintf(path, sizeof(path), "%s/vaults", control->config.state);
	assert_int_equal(folder_make_all(path, 0700, NULL), 0);
	snprintf(path, sizeof(path), "%s/c.db", control->config.state);
	assert_int_equal(catalogue_open(&control->catalogue, path,
					schema_migrations, NULL),
			 0);
	assert_int_equal(events_new(&control->events, control->catalogue, NULL),
			 0);
	assert_int_equal(leases_new(&control->leases, control, NULL), 0);
}

static void free_host(int which)
{
	leases_free(hosts[which].leases);
	events_free(hosts[which].events);
	catalogue_free(hosts[which].catalogue);
}

/* A machine in the first state folder, with nothing but its definition. */
static void make_machine(void)
{
	const struct domain_spec spec = {.name = "algebra",
					 .uuid = UUID,
					 .memory = 1 << 28,
					 .cpus = 1,
					 .heads = 1,
					 .kernel = "/boot/kernel"};
	char path[PATH_MAX], *xml;

	vault_path(&hosts[FIRST], UUID, NULL, path);
	assert_int_equal(folder_make(path, 0700, NULL), 0);
	assert_int_equal(domain_create(&spec, &xml, NULL), 0);
	strcat(path, "/domain.xml");
	assert_int_equal(folder_write(path, xml, strlen(xml), 0600, NULL), 0);
	free(xml);
}

static int setup(void **state)
{
	(void)state;
	strcpy(work, "/tmp/test_lease.XXXXXX");
	if (!mkdtemp(work))
		return -1;
	make_host(FIRST, "registry");
	make_host(SECOND, "registry");
	make_host(FAR, "elsewhere");
	make_machine();
	return lease_make(&hosts[FIRST], UUID, "algebra", "test", NULL);
}

static int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < HOSTS; i++)
		free_host(i);
	return folder_remove(work, NULL);
}

static void shell(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

static void shell(const char *format, ...)
{
	char command[2048];
	va_list list;

	va_start(list, format);
	vsnprintf(command, sizeof(command), format, list);
	va_end(list);
	if (system(command) != 0)
		fail_msg("%s", command);
}

/* The vault's folder from one state folder into another. */
static void copy(int from, int to)
{
	shell("cd %s && rm -rf state%d/vaults/* && "
	      "cp -a state%d/vaults/%s state%d/vaults/",
	      work, to, from, UUID, to);
}

static int start(int which)
{
	error_clear(&error);
	return lease_take(&hosts[which], &vault, false, "test", &error);
}

static void assert_starts(int which)
{
	if (start(which))
		fail_msg("%s", error.text);
}

static void assert_refused(int which, const char *says)
{
	assert_int_equal(start(which), -EPERM);
	if (!strstr(error.text, says) ||
	    !strstr(error.text, "vault restore algebra"))
		fail_msg("it says: %s", error.text);
}

static json_int_t epoch_of(int which)
{
	json_t *lease = lease_json(&hosts[which], &vault);
	json_int_t epoch = json_integer_value(json_object_get(lease, "epoch"));

	json_decref(lease);
	return epoch;
}

static void assert_state(int which, const char *wanted)
{
	json_t *lease = lease_json(&hosts[which], &vault);

	assert_string_equal(json_string_value(json_object_get(lease, "state")),
			    wanted);
	assert_int_equal(json_is_null(json_object_get(lease, "why")),
			 !strcmp(wanted, "here"));
	json_decref(lease);
}

static int64_t audited(int which, const char *type)
{
	return catalogue_read(
		hosts[which].catalogue, "SELECT 1 FROM audit WHERE type = ?",
		CATALOGUE_VALUES(catalogue_text(type)), NULL, NULL, NULL);
}

static void every_start_raises_the_epoch(void **state)
{
	(void)state;
	assert_int_equal(epoch_of(FIRST), 0);
	assert_starts(FIRST);
	assert_starts(FIRST);
	assert_int_equal(epoch_of(FIRST), 2);
	assert_state(FIRST, "here");
}

static void a_copy_beside_it_is_refused(void **state)
{
	char path[PATH_MAX];

	(void)state;
	assert_starts(FIRST);
	copy(FIRST, SECOND);
	vault_path(&hosts[FIRST], UUID, NULL, path);
	assert_refused(SECOND, path);
	assert_state(SECOND, "elsewhere");
	/* Nothing was changed by asking. */
	assert_int_equal(epoch_of(SECOND), 1);
	assert_starts(FIRST);
	assert_refused(SECOND, "behind");
}

static void a_folder_that_was_moved_is_no_copy(void **state)
{
	(void)state;
	assert_starts(FIRST);
	/* Its daemon ends. */
	leases_free(hosts[FIRST].leases);
	hosts[FIRST].leases = NULL;
	shell("cd %s && mv state0/vaults/%s state1/vaults/", work, UUID);
	assert_starts(SECOND);
	assert_int_equal(epoch_of(SECOND), 2);
}

static void one_that_was_put_back_is_refused(void **state)
{
	(void)state;
	copy(FIRST, SECOND);
	assert_starts(FIRST);
	shell("cd %s && rm -r state0/vaults/%s", work, UUID);
	/* The first is gone, but it has run since. */
	copy(SECOND, FIRST);
	assert_refused(FIRST, "its last run is 0");
	assert_refused(SECOND, "run 1");
}

static void force_goes_past_and_is_written_down(void **state)
{
	(void)state;
	copy(FIRST, SECOND);
	assert_starts(FIRST);
	assert_int_equal(audited(SECOND, "lease.forced"), 0);
	if (lease_take(&hosts[SECOND], &vault, true, "uid 7", &error))
		fail_msg("%s", error.text);
	assert_int_equal(audited(SECOND, "lease.forced"), 1);
	assert_int_equal(epoch_of(SECOND), 2);
	assert_refused(FIRST, "behind");
	assert_starts(SECOND);
	/* Nothing had to be forced. */
	assert_int_equal(
		lease_take(&hosts[SECOND], &vault, true, "uid 7", &error), 0);
	assert_int_equal(audited(SECOND, "lease.forced"), 1);
}

static void a_cut_change_goes_on(void **state)
{
	(void)state;
	assert_starts(FIRST);
	copy(FIRST, SECOND);
	/* The lease was written, the registry was not; twice. */
	for (int i = 0; i < 2; i++) {
		shell("cd %s && cp -a registry before", work);
		assert_starts(FIRST);
		shell("cd %s && rm -r registry && mv before registry", work);
	}
	assert_state(FIRST, "here");
	assert_starts(FIRST);
	assert_refused(SECOND, "behind");
}

static void a_first_lease_that_was_cut_goes_on(void **state)
{
	(void)state;
	shell("rm %s/registry/*.json", work);
	assert_starts(FIRST);
	assert_starts(FIRST);
	/* But not a registry that has lost one that it had. */
	shell("rm %s/registry/*.json", work);
	assert_refused(FIRST, "lost");
}

static void a_vault_of_an_older_version_gets_one(void **state)
{
	(void)state;
	shell("rm %s/registry/*.json %s/state0/vaults/*/lease.json", work,
	      work);
	copy(FIRST, SECOND);
	lease_recover(&hosts[SECOND], &vault, false);
	assert_state(SECOND, "here");
	lease_recover(&hosts[FIRST], &vault, false);
	assert_refused(FIRST, "lease.json is missing");
	assert_starts(SECOND);
}

static void a_machine_adopted_twice_is_a_copy(void **state)
{
	(void)state;
	copy(FIRST, SECOND);
	shell("rm %s/state1/vaults/*/lease.json", work);
	assert_int_equal(
		lease_make(&hosts[SECOND], UUID, "geometry", "test", NULL), 0);
	assert_refused(SECOND, "vault algebra in");
	/* Until the first is deleted for good. */
	lease_forget(&hosts[FIRST], &vault);
	shell("rm -r %s/state0/vaults/*", work);
	assert_refused(SECOND, "copy");
	assert_int_equal(
		lease_restore(&hosts[SECOND], &vault, "deleted", "me", NULL),
		0);
	assert_starts(SECOND);
}

static void one_that_was_deleted_can_be_made_again(void **state)
{
	(void)state;
	assert_starts(FIRST);
	copy(FIRST, SECOND);
	lease_forget(&hosts[FIRST], &vault);
	shell("cd %s && rm -r state0/vaults/* && rm state1/vaults/*/lease.json",
	      work);
	assert_int_equal(
		lease_make(&hosts[SECOND], UUID, "algebra", "test", NULL), 0);
	assert_starts(SECOND);
	assert_int_equal(epoch_of(SECOND), 2);
}

static void a_damaged_lease_is_none(void **state)
{
	static const char *const bad[] = {
		"",
		"{",
		"[]",
		"{\"format\": 1}",
		"{\"format\": 1, \"state\": \"held\", \"epoch\": -1}",
	};
	char path[PATH_MAX];

	(void)state;
	vault_path(&hosts[FIRST], UUID, "lease.json", path);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(
			folder_write(path, bad[i], strlen(bad[i]), 0600, NULL),
			0);
		assert_refused(FIRST, "lease.json is damaged");
		lease_recover(&hosts[FIRST], &vault, false);
		assert_refused(FIRST, "damaged");
	}
	assert_int_equal(
		lease_restore(&hosts[FIRST], &vault, "repaired", "me", NULL),
		0);
	assert_starts(FIRST);
	shell("echo > \"$(echo %s/registry/*.json)\"", work);
	assert_refused(FIRST, "damaged");
}

/* Fences the first and gives a copy of it to another. */
static json_t *hand_over(int from, int to, const char *target)
{
	json_t *record;

	if (lease_fence(&hosts[from], &vault, target, "test", &record, &error))
		fail_msg("%s", error.text);
	copy(from, to);
	return record;
}

static int take_over(int which, const json_t *record)
{
	char folder[PATH_MAX];

	vault_path(&hosts[which], UUID, NULL, folder);
	error_clear(&error);
	return lease_accept(&hosts[which], folder, record, "test", &error);
}

static void a_lease_travels(void **state)
{
	json_t *record, *again, *back;

	(void)state;
	assert_starts(FIRST);
	record = hand_over(FIRST, FAR, NULL);
	assert_int_equal(epoch_of(FIRST), 2);
	assert_state(FIRST, "handed-over");
	assert_refused(FIRST, "handed over");
	assert_refused(FAR, "handed over");
	assert_int_equal(
		lease_fence(&hosts[FIRST], &vault, NULL, "test", &again, NULL),
		0);
	assert_true(json_equal(record, again));
	json_decref(again);
	if (take_over(FAR, record))
		fail_msg("%s", error.text);
	/* Cut behind it, the import is done again. */
	assert_int_equal(take_over(FAR, record), 0);
	assert_int_equal(audited(FAR, "lease.accepted"), 1);
	assert_starts(FAR);
	assert_int_equal(epoch_of(FAR), 3);
	assert_refused(FIRST, "handed over");
	/* The way back is another record; the first is spent there. */
	back = hand_over(FAR, FIRST,
			 host_key_id(leases_host_key(hosts[FIRST].leases)));
	assert_int_equal(take_over(FAR, record), -EEXIST);
	assert_int_equal(take_over(FIRST, back), 0);
	assert_starts(FIRST);
	assert_int_equal(epoch_of(FIRST), 5);
	assert_refused(FAR, "handed over");
	json_decref(record);
	json_decref(back);
}

static void a_record_is_accepted_once(void **state)
{
	json_t *record;

	(void)state;
	record = hand_over(FIRST, SECOND, NULL);
	copy(FIRST, FAR);
	assert_int_equal(take_over(SECOND, record), 0);
	assert_starts(SECOND);
	copy(FIRST, SECOND);
	assert_int_equal(take_over(SECOND, record), -EEXIST);
	assert_non_null(strstr(error.text, "accepted already"));
	/* What does not know of it can't say so; see the manual. */
	assert_int_equal(take_over(FAR, record), 0);
	json_decref(record);
}

static void what_was_lost_comes_back_as_a_backup(void **state)
{
	json_t *record;

	(void)state;
	record = hand_over(FIRST, SECOND, NULL);
	assert_int_equal(take_over(SECOND, record), 0);
	assert_starts(SECOND);
	lease_forget(&hosts[SECOND], &vault);
	copy(FIRST, SECOND);
	assert_int_equal(take_over(SECOND, record), 0);
	assert_int_equal(audited(SECOND, "lease.accepted"), 1);
	assert_refused(SECOND, "this is a copy");
	assert_int_equal(lease_restore(&hosts[SECOND], &vault, "it is lost",
				       "test", NULL),
			 0);
	assert_starts(SECOND);
	json_decref(record);
}

/* As another host may have signed it: no start may ever reach the end. */
static void an_epoch_from_elsewhere_has_its_bound(void **state)
{
	json_t *record = hand_over(FIRST, FAR, NULL), *far;
	struct lease lease = {.epoch = 5, .at = 1};
	const struct lease_record says = {
		.kind = "fence", .uuid = UUID, .lease = &lease};
	const struct host_key *key = leases_host_key(hosts[FIRST].leases);

	(void)state;
	strcpy(lease.identity, "other");
	assert_int_equal(lease_record_make(key, &says, &far, NULL), 0);
	assert_int_equal(take_over(FAR, far), -EBADMSG);
	assert_non_null(strstr(error.text, "another machine"));
	json_decref(far);
	strcpy(lease.identity,
	       json_string_value(json_object_get(record, "identity")));
	json_decref(record);
	lease.epoch = LEASE_EPOCH_TAKEN + 1;
	assert_int_equal(lease_record_make(key, &says, &far, NULL), 0);
	assert_int_equal(take_over(FAR, far), -EBADMSG);
	json_decref(far);
	lease.epoch = LEASE_EPOCH_TAKEN;
	assert_int_equal(lease_record_make(key, &says, &far, NULL), 0);
	assert_int_equal(take_over(FAR, far), 0);
	assert_starts(FAR);
	assert_starts(FAR);
	assert_state(FAR, "here");
	json_decref(far);
}

static void a_damaged_registry_says_what_to_do(void **state)
{
	json_t *record = hand_over(FIRST, FAR, NULL);
	const char *identity =
		json_string_value(json_object_get(record, "identity"));

	(void)state;
	assert_int_equal(take_over(FAR, record), 0);
	shell(": >%s/elsewhere/%s.json", work, identity);
	assert_refused(FAR, "put it back from a backup, or if no other copy");
	copy(FIRST, FAR);
	assert_int_equal(take_over(FAR, record), -EBADMSG);
	assert_non_null(strstr(error.text, "or remove it"));
	shell("cp %s/elsewhere/id %s/kept && : >%s/elsewhere/id", work, work,
	      work);
	assert_true(start(FAR) < 0);
	assert_non_null(strstr(error.text, "or remove it, and then say"));
	shell("rm %s/elsewhere/id", work);
	assert_refused(FAR, "copy");
	json_decref(record);
}

static void a_record_is_for_its_target(void **state)
{
	json_t *record = NULL;

	(void)state;
	assert_int_equal(lease_fence(&hosts[FIRST], &vault, "abc", "test",
				     &record, NULL),
			 -EINVAL);
	assert_state(FIRST, "here");
	record = hand_over(FIRST, FAR,
			   host_key_id(leases_host_key(hosts[FAR].leases)));
	copy(FIRST, SECOND);
	assert_int_equal(take_over(SECOND, record), -EPERM);
	assert_non_null(strstr(error.text, "import it there"));
	assert_int_equal(take_over(FAR, record), 0);
	assert_starts(FAR);
	json_decref(record);
}

static void a_changed_record_is_none(void **state)
{
	static const char *const members[] = {"epoch",  "identity", "target",
					      "source", "kind",     "signature",
					      "id",     "format",   "vault"};
	json_t *record, *changed;

	(void)state;
	record = hand_over(FIRST, FAR, NULL);
	for (unsigned i = 0; i < sizeof(members) / sizeof(*members); i++) {
		changed = json_copy(record);
		json_object_set_new(changed, members[i],
				    i ? json_string("other") : json_integer(9));
		assert_int_equal(take_over(FAR, changed), -EBADMSG);
		json_object_del(changed, members[i]);
		assert_int_equal(take_over(FAR, changed), -EBADMSG);
		json_decref(changed);
	}
	assert_int_equal(audited(FAR, "lease.accepted"), 0);
	assert_refused(FAR, "handed over");
	json_decref(record);
}

static void a_cut_move_goes_on(void **state)
{
	json_t *record, *again;

	(void)state;
	assert_starts(FIRST);
	shell("cd %s && cp -a registry before", work);
	record = hand_over(FIRST, SECOND, NULL);
	shell("cd %s && rm -r registry && mv before registry", work);
	assert_refused(FIRST, "handed over");
	assert_int_equal(
		lease_fence(&hosts[FIRST], &vault, NULL, "test", &again, NULL),
		0);
	assert_true(json_equal(record, again));
	assert_int_equal(take_over(SECOND, record), 0);
	assert_starts(SECOND);
	json_decref(again);
	json_decref(record);
}

static void a_copy_can_not_hand_over(void **state)
{
	json_t *record;

	(void)state;
	copy(FIRST, SECOND);
	assert_int_equal(lease_fence(&hosts[SECOND], &vault, NULL, "test",
				     &record, &error),
			 -EPERM);
	assert_null(record);
	assert_starts(FIRST);
}

static void a_backup_starts_by_its_owners_word(void **state)
{
	(void)state;
	assert_starts(FIRST);
	copy(FIRST, FAR);
	assert_int_equal(take_over(FAR, NULL), 0);
	assert_refused(FAR, "copy");
	assert_state(FAR, "elsewhere");
	assert_int_equal(lease_restore(&hosts[FAR], &vault, "", "me", NULL),
			 -EINVAL);
	assert_int_equal(lease_restore(&hosts[FAR], &vault,
				       "the mainboard is dead", "me", NULL),
			 0);
	assert_int_equal(audited(FAR, "lease.restored"), 1);
	assert_int_equal(
		lease_restore(&hosts[FAR], &vault, "again", "me", NULL),
		-EEXIST);
	assert_starts(FAR);
	assert_int_equal(epoch_of(FAR), 3);
}

static void a_backup_of_what_never_ran_says_so(void **state)
{
	(void)state;
	copy(FIRST, FAR);
	assert_int_equal(take_over(FAR, NULL), 0);
	assert_refused(FAR, "it came here as a backup on 2");
}

static void the_other_refuses_when_it_sees_that(void **state)
{
	(void)state;
	assert_starts(FIRST);
	copy(FIRST, SECOND);
	assert_int_equal(take_over(SECOND, NULL), 0);
	assert_starts(FIRST);
	assert_int_equal(
		lease_restore(&hosts[SECOND], &vault, "retired", "me", NULL),
		0);
	assert_refused(FIRST, "run 3");
	assert_starts(SECOND);
}

static void a_state_folder_on_another_host_is_a_copy(void **state)
{
	(void)state;
	assert_starts(FIRST);
	copy(FIRST, FAR);
	assert_refused(FAR, "without its lease");
	assert_starts(FIRST);
}

static void a_shared_registry_tells_hosts_apart(void **state)
{
	(void)state;
	assert_starts(FIRST);
	copy(FIRST, SECOND);
	/* As if the second were another host, which can't see the folder. */
	shell("cd %s && sed -i 's|state0/vaults|gone|' registry/*.json && "
	      "sed -i 's|\"name\": \"[^\"]*\"|\"name\": \"other\"|' "
	      "registry/*.json",
	      work);
	assert_refused(SECOND, "on other");
}

static void a_folder_has_one_daemon(void **state)
{
	(void)state;
	assert_starts(FIRST);
	shell("cd %s && rmdir state1/vaults && ln -s ../state0/vaults "
	      "state1/vaults",
	      work);
	assert_int_equal(start(SECOND), -EBUSY);
	assert_non_null(strstr(error.text, "another mediavmd"));
	lease_forget(&hosts[FIRST], &vault);
	assert_starts(SECOND);
}

/* In a process of its own, as daemons are; its exit status. */
static pid_t race(int which, const int go[2])
{
	pid_t pid = fork();
	char byte;

	if (pid)
		return pid;
	close(go[1]);
	if (read(go[0], &byte, 1) != 0)
		_exit(9);
	_exit(lease_take(&hosts[which], &vault, false, "test", NULL) ? 1 : 0);
}

static void one_wins_each_race(void **state)
{
	int wins[2] = {0, 0};

	(void)state;
	for (int round = 0; round < 20; round++) {
		int go[2], status[2];
		pid_t pids[2];

		shell("rm -f %s/registry/*.json %s/state?/vaults/*/lease.json",
		      work, work);
		copy(FIRST, SECOND);
		assert_int_equal(pipe(go), 0);
		for (int i = 0; i < 2; i++) {
			pids[i] = race(i, go);
			assert_true(pids[i] > 0);
		}
		close(go[0]);
		close(go[1]);
		for (int i = 0; i < 2; i++) {
			assert_int_equal(waitpid(pids[i], &status[i], 0),
					 pids[i]);
			wins[i] += status[i] == 0;
		}
		assert_int_equal((status[0] == 0) + (status[1] == 0), 1);
	}
	print_message("wins: %d and %d\n", wins[0], wins[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_start_raises_the_epoch),
		TEST(a_copy_beside_it_is_refused),
		TEST(a_folder_that_was_moved_is_no_copy),
		TEST(one_that_was_put_back_is_refused),
		TEST(force_goes_past_and_is_written_down),
		TEST(a_cut_change_goes_on),
		TEST(a_first_lease_that_was_cut_goes_on),
		TEST(a_vault_of_an_older_version_gets_one),
		TEST(a_machine_adopted_twice_is_a_copy),
		TEST(one_that_was_deleted_can_be_made_again),
		TEST(a_damaged_lease_is_none),
		TEST(a_lease_travels),
		TEST(a_record_is_accepted_once),
		TEST(what_was_lost_comes_back_as_a_backup),
		TEST(an_epoch_from_elsewhere_has_its_bound),
		TEST(a_damaged_registry_says_what_to_do),
		TEST(a_record_is_for_its_target),
		TEST(a_changed_record_is_none),
		TEST(a_cut_move_goes_on),
		TEST(a_copy_can_not_hand_over),
		TEST(a_backup_starts_by_its_owners_word),
		TEST(a_backup_of_what_never_ran_says_so),
		TEST(the_other_refuses_when_it_sees_that),
		TEST(a_state_folder_on_another_host_is_a_copy),
		TEST(a_shared_registry_tells_hosts_apart),
		TEST(a_folder_has_one_daemon),
		TEST(one_wins_each_race),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
