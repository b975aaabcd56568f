/* Vaults are made whole or not at all, from what was checked; policies. */
#include "daemon/catalogue.h"
#include "daemon/control.h"
#include "daemon/domain.h"
#include "daemon/event.h"
#include "daemon/folder.h"
#include "daemon/lease.h"
#include "daemon/operations_query.h"
#include "daemon/vault.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define MIB (1ull << 20)

static struct control control;
static char kernel[600];

static int make_control(void **state)
{
	char path[640];

	(void)state;
	memset(&control, 0, sizeof(control));
	config_default(&control.config);
	strcpy(control.config.state, "/tmp/mediavm-vault-XXXXXX");
	if (!mkdtemp(control.config.state))
		return -1;
	snprintf(path, sizeof(path), "%s/vaults", control.config.state);
	snprintf(control.config.registry, sizeof(control.config.registry),
		 "%.100s/registry", control.config.state);
	snprintf(kernel, sizeof(kernel), "%s/vmlinuz", control.config.state);
	if (folder_make(path, 0700, NULL) ||
	    folder_write(kernel, "kernel", 6, 0600, NULL))
		return -1;
	snprintf(path, sizeof(path), "%s/c.db", control.config.state);
	return catalogue_open(&control.catalogue, path, schema_migrations,
			      NULL) ||
	       events_new(&control.events, control.catalogue, NULL) ||
	       vaults_new(&control.vaults, NULL) ||
	       leases_new(&control.leases, &control, NULL);
}

static int remove_control(void **state)
{
	(void)state;
	leases_free(control.leases);
	vaults_free(control.vaults);
	events_free(control.events);
	catalogue_free(control.catalogue);
	return folder_remove(control.config.state, NULL);
}

static int64_t rows(void)
{
	return catalogue_read(control.catalogue, "SELECT 1 FROM vault",
			      CATALOGUE_NONE, NULL, NULL, NULL);
}

static void a_vault_is_made(void **state)
{
	const struct vault_spec spec = {.name = "algebra-1",
					.kernel = kernel,
					.cmdline = "quiet",
					.memory = 512 * MIB,
					.disk_size = 8 * MIB,
					.heads = 2,
					.os = "win10",
					.who = "test"};
	struct domain_facts facts;
	char path[PATH_MAX], *xml;
	struct vault vault;
	struct error error = {0};
	char job[JOB_ID_SIZE];

	(void)state;
	if (vault_create(&control, &spec, job, &error))
		fail_msg("%s", error.text);
	assert_int_equal(vault_find(&control, "algebra-1", &vault, NULL), 0);
	assert_int_equal(vault.started_at, 0);
	assert_string_equal(
		json_string_value(json_object_get(vault.spec, "os")), "win10");
	vault_path(&control, vault.uuid, "domain.xml", path);
	assert_int_equal(folder_read(path, 1 << 20, &xml, NULL), 0);
	assert_int_equal(domain_read(xml, &facts, NULL), 0);
	assert_string_equal(facts.name, "algebra-1");
	assert_string_equal(facts.uuid, vault.uuid);
	assert_int_equal(facts.memory, 512 * MIB);
	assert_int_equal(facts.heads, 2);
	/* Nothing outside its folder is needed. */
	assert_null(strstr(xml, kernel));
	assert_int_equal(access(facts.disk, R_OK), 0);
	free(xml);
	vault_path(&control, vault.uuid, "boot/kernel", path);
	assert_int_equal(access(path, R_OK), 0);
	vault_release(&vault);
	assert_int_equal(vault_create(&control, &spec, job, &error), -EEXIST);
	assert_int_equal(rows(), 1);
}

#define ZEROS \
	"0000000000000000000000000000000000000000000000000000000000000000"

static void what_is_wrong_leaves_nothing(void **state)
{
	const struct {
		struct vault_spec spec;
		const char *says;
	} bad[] = {
		{{.name = "bad name"}, "name"},
		{{.name = ""}, "name"},
		{{.name = "../x"}, "name"},
		{{.name = "x", .disk = "relative.qcow2"}, "absolute"},
		{{.name = "x", .disk = "/nonexistent"}, "/nonexistent"},
		{{.name = "x", .kernel = "/"}, "not a file"},
		{{.name = "x", .kernel = kernel, .memory = 1000000}, "memory"},
		{{.name = "x", .kernel = kernel, .cpus = 65}, "cpus"},
		{{.name = "x", .kernel = kernel, .heads = 5}, "heads"},
		{{.name = "x", .kernel = kernel, .firmware = "efi"}, "bios"},
		{{.name = "x", .cmdline = "quiet"}, "kernel"},
		{{.name = "x", .kernel = kernel, .disk_size = 1}, "disk_size"},
		{{.name = "x", .disk = kernel, .disk_size = MIB}, "both"},
		/* Refused late: the folder was made already. */
		{{.name = "x", .kernel = kernel, .cpu = "no such cpu <"}, ""},
		{{.name = "x", .iso = "ftp://127.0.0.1/x.iso"}, "none of the"},
		{{.name = "x", .iso = "http://127.0.0.1/"}, "names no file"},
		{{.name = "x", .iso = "http://a:b@127.0.0.1/x"}, "password"},
		{{.name = "x", .iso = "http://h/x#md5=00"}, "sha256=HEX"},
		{{.name = "x", .iso = "http://h/x#sha256=0g"}, "64 hexa"},
		{{.name = "x", .iso_sha256 = "00"}, "goes with an iso"},
		{{.name = "x",
		  .iso = "http://h/x#sha256=" ZEROS,
		  .iso_sha256 = "1" ZEROS},
		 "64 hexa"},
		/* A file that is another one. */
		{{.name = "x", .iso = kernel, .iso_sha256 = ZEROS},
		 "not the one that was meant"},
	};
	char path[PATH_MAX], job[JOB_ID_SIZE];
	struct stat st;

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct vault_spec spec = bad[i].spec;
		struct error error = {0};
		int r;

		spec.who = "test";
		r = vault_create(&control, &spec, job, &error);
		assert_true(r < 0);
		if (!strstr(error.text, bad[i].says))
			fail_msg("\"%s\" does not say \"%s\"", error.text,
				 bad[i].says);
		assert_int_equal(rows(), 0);
		snprintf(path, sizeof(path), "%s/vaults", control.config.state);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_nlink, 2);
	}
}

static void policies_are_kept(void **state)
{
	const struct vault_spec spec = {
		.name = "v", .kernel = kernel, .who = "test"};
	struct vault vault;
	char job[JOB_ID_SIZE];

	(void)state;
	assert_int_equal(vault_create(&control, &spec, job, NULL), 0);
	assert_int_equal(vault_find(&control, "v", &vault, NULL), 0);
	assert_int_equal(vault.policy.takeover, POLICY_TAKEOVER_ASK);
	assert_int_equal(policy_set(&vault.policy, "takeover", "deny", NULL),
			 0);
	assert_int_equal(policy_set(&vault.policy, "retention", "30d", NULL),
			 0);
	assert_int_equal(
		vault_set_policy(&control, &vault, &vault.policy, NULL), 0);
	vault_release(&vault);
	assert_int_equal(vault_find(&control, "v", &vault, NULL), 0);
	assert_int_equal(vault.policy.takeover, POLICY_TAKEOVER_DENY);
	assert_int_equal(vault.policy.retention, 30 * 86400);
	assert_int_equal(vault.policy.ticket_lifetime, 60);
	vault_release(&vault);
}

static void one_works_on_a_vault(void **state)
{
	const char *uuid = "11111111-2222-4333-8444-555555555555";

	(void)state;
	assert_int_equal(vaults_lock(control.vaults, uuid, true, NULL), 0);
	assert_true(vaults_is_starting(control.vaults, uuid));
	assert_int_equal(vaults_lock(control.vaults, uuid, false, NULL),
			 -EBUSY);
	vaults_unlock(control.vaults, uuid);
	assert_false(vaults_is_starting(control.vaults, uuid));
	assert_int_equal(vaults_lock(control.vaults, uuid, false, NULL), 0);
	assert_false(vaults_is_starting(control.vaults, uuid));
	vaults_unlock(control.vaults, uuid);
}

static int read_body(const char *text, uint64_t *size, unsigned *count,
		     bool *on, const char **name, struct error *error)
{
	const struct body_member members[] = {{"size", BODY_SIZE, size},
					      {"count", BODY_COUNT, count},
					      {"on", BODY_BOOL, on},
					      {"name", BODY_TEXT, name}};
	json_t *body = json_loads(text, 0, NULL);
	struct operation_call call = {.body = body};
	int r;

	assert_non_null(body);
	r = BODY_READ(&call, members, error);
	/* What is borrowed from it is not looked at below. */
	json_decref(body);
	return r;
}

static void bodies_are_checked(void **state)
{
	static const char *const bad[][2] = {
		{"{\"sizes\": 1}", "sizes"},      {"{\"size\": -1}", "size"},
		{"{\"size\": \"2X\"}", "2X"},     {"{\"count\": 0}", "count"},
		{"{\"count\": \"3x\"}", "count"}, {"{\"on\": 1}", "true"},
		{"{\"name\": 5}", "text"},        {"{\"count\": 1.5}", "count"},
	};
	uint64_t size = 0;
	unsigned count = 0;
	bool on = false;
	const char *name = NULL;

	(void)state;
	assert_int_equal(read_body("{\"size\": \"2G\", \"count\": \"3\", "
				   "\"on\": true, \"name\": \"x\"}",
				   &size, &count, &on, &name, NULL),
			 0);
	assert_int_equal(size, 2048 * MIB);
	assert_int_equal(count, 3);
	assert_true(on);
	assert_non_null(name);
	assert_int_equal(read_body("{\"size\": 7, \"name\": null}", &size,
				   &count, &on, &name, NULL),
			 0);
	assert_int_equal(size, 7);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct error error = {0};

		assert_int_equal(
			read_body(bad[i][0], &size, &count, &on, &name, &error),
			-EINVAL);
		if (!strstr(error.text, bad[i][1]))
			fail_msg("\"%s\" does not say \"%s\"", error.text,
				 bad[i][1]);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_control, remove_control)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_vault_is_made),
		TEST(what_is_wrong_leaves_nothing),
		TEST(policies_are_kept),
		TEST(one_works_on_a_vault),
		cmocka_unit_test(bodies_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
