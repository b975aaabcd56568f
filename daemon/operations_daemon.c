/* Operations on the daemon itself: status, doctor, audit, metrics, events. */
#include "daemon/operations.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "daemon/accelerator.h"
#include "daemon/attach.h"
#include "daemon/catalogue.h"
#include "daemon/control.h"
#include "daemon/event.h"
#include "daemon/firmware.h"
#include "daemon/supervisor.h"
#include "daemon/hypervisor.h"
#include "daemon/host_key.h"
#include "daemon/job.h"
#include "daemon/machine.h"
#include "daemon/lease.h"
#include "daemon/network.h"
#include "daemon/operations_query.h"
#include "daemon/registry.h"
#include "daemon/session_live.h"
#include "daemon/units.h"
#include "daemon/upkeep.h"
#include "daemon/vault.h"
#include "webui/webui.h"

#define VERSION "0.1"
#define SPACE_WARNING (2ull << 30) /* bytes */

static int take_int(void *data, const struct catalogue_row *row)
{
	*(int64_t *)data = catalogue_row_int(row, 0);
	return 1;
}

static int64_t count(struct control *control, const char *sql)
{
	int64_t n = 0;

	catalogue_read(control->catalogue, sql, CATALOGUE_NONE, take_int, &n,
		       NULL);
	return n;
}

#define SESSIONS "SELECT coalesce(sum(sessions), 0) FROM vault_total"
#define VAULTS "SELECT count(*) FROM vault WHERE ready"
#define RUNNING "SELECT count(*) FROM vault WHERE started_at IS NOT NULL"
#define BYTES "SELECT coalesce(sum(bytes), 0) FROM vault_total"

static void space(const struct control *control, uint64_t *left,
		  uint64_t *total)
{
	struct statvfs fs;

	*left = *total = 0;
	if (statvfs(control->config.state, &fs))
		return;
	*left = (uint64_t)fs.f_bavail * fs.f_frsize;
	*total = (uint64_t)fs.f_blocks * fs.f_frsize;
}

static json_t *gateway_json(const struct control *control)
{
	struct gateway_status status;

	supervisor_status(control->gateway, &status);
	return json_pack("{s:s, s:i, s:i, s:b}", "host", control->host, "port",
			 status.port, "pid", status.pid, "running",
			 status.running);
}

static json_t *http_json(const struct control *control)
{
	int port = control->webui ? webui_port(control->webui) : 0;

	if (!port)
		return json_null();
	return json_pack("{s:s, s:i}", "address", control->config.http_address,
			 "port", port);
}

int operation_status(struct control *control, const struct operation_call *call,
		     struct operation_answer *answer, struct error *error)
{
	char started[UNITS_TIME_SIZE], version[120] = "";
	char why[ACCELERATOR_WHY_SIZE];
	bool kvm = accelerator_is_kvm(control->accelerator, why);
	const struct host_key *key = leases_host_key(control->leases);
	uint64_t left, total;

	(void)call;
	(void)error;
	units_time_format(control->started_at, started);
	hypervisor_version(control->hypervisor, version, sizeof(version), NULL);
	space(control, &left, &total);
	answer->json = json_pack(
		"{s:s, s:s, s:s, s:s, s:{s:s, s:s}, s:o, s:o, s:s, s:s, "
		"s:{s:I, s:I}, s:I, s:I, s:I, s:i, s:i, s:{s:s, s:s}}",
		"version", VERSION, "started_at", started, "host",
		control->host, "hypervisor", version, "accelerator", "kind",
		kvm ? "kvm" : "tcg", "why", why, "gateway",
		gateway_json(control), "http", http_json(control), "state_dir",
		control->config.state, "run_dir", control->config.run, "space",
		"free", (json_int_t)left, "total", (json_int_t)total, "vaults",
		(json_int_t)count(control, VAULTS), "vaults_running",
		(json_int_t)count(control, RUNNING), "sessions",
		(json_int_t)count(control, SESSIONS), "sessions_live",
		(int)sessions_count(control), "jobs_active",
		(int)jobs_active(control->jobs), "host_key", "id",
		host_key_id(key), "public", host_key_public(key));
	return 0;
}

static void check(json_t *checks, const char *name, const char *status,
		  const char *text, const char *advice)
{
	json_array_append_new(checks, json_pack("{s:s, s:s, s:s, s:s*}", "name",
						name, "status", status, "text",
						text, "advice", advice));
}

static void check_accelerator(struct control *control, json_t *checks)
{
	char why[ACCELERATOR_WHY_SIZE];

	if (accelerator_is_kvm(control->accelerator, why))
		check(checks, "kvm", "ok", why, NULL);
	else
		check(checks, "kvm", "warning", why,
		      "guests run by emulation (TCG), several times slower: "
		      "enable virtualisation in the firmware, and let the "
		      "daemon's user use /dev/kvm (group kvm)");
}

static void check_hypervisor(struct control *control, json_t *checks)
{
	struct error error = {0};
	char version[120];

	if (hypervisor_version(control->hypervisor, version, sizeof(version),
			       &error))
		check(checks, "libvirt", "failed", error.text,
		      "look at the daemon's log");
	else
		check(checks, "libvirt", "ok", version, NULL);
}

static void check_program(json_t *checks, const char *name, const char *path,
			  const char *package)
{
	char advice[120];

	if (!access(path, X_OK)) {
		check(checks, name, "ok", path, NULL);
		return;
	}
	snprintf(advice, sizeof(advice), "apt-get install %s", package);
	check(checks, name, "failed", "it is not installed", advice);
}

/*
 * What new vaults get, and keep. SeaBIOS before 1.16.3 waits 32 s for a disk
 * under QEMU 10.0 and 11.1, and does not under 7.2.
 */
static void check_seabios(json_t *checks)
{
	static const char *const folders[] = {"/usr/share/seabios",
					      "/usr/share/qemu"};
	unsigned major, minor, micro;
	char version[64] = "", text[160];
	const char *number;

	for (unsigned i = 0; i < 2 && !version[0]; i++)
		firmware_version(folders[i], version, sizeof(version));
	number = strncmp(version, "rel-", 4) ? version : version + 4;
	if (sscanf(number, "%3u.%3u.%3u", &major, &minor, &micro) != 3)
		return;
	if (major > 1 || minor > 16 || (minor == 16 && micro >= 3)) {
		check(checks, "seabios", "ok", version, NULL);
		return;
	}
	snprintf(text, sizeof(text),
		 "%s: vaults that get it wait half a minute at each start "
		 "under newer QEMUs (seen with 10.0)",
		 version);
	check(checks, "seabios", "warning", text,
	      "before vaults are made, install seabios 1.16.3 or later "
	      "(backports)");
}

static void check_space(struct control *control, json_t *checks)
{
	uint64_t left, total;
	char text[160];

	space(control, &left, &total);
	snprintf(text, sizeof(text), "%.1f GiB of %.1f GiB are free",
		 (double)left / (1 << 30), (double)total / (1 << 30));
	check(checks, "space", left < SPACE_WARNING ? "warning" : "ok", text,
	      left < SPACE_WARNING
		      ? "delete sessions, or set retention and quota"
		      : NULL);
}

static void check_gateway(struct control *control, json_t *checks)
{
	struct gateway_status status;
	char text[160];

	supervisor_status(control->gateway, &status);
	if (!status.running) {
		check(checks, "gateway", "failed", "it does not run",
		      "look at the daemon's log");
		return;
	}
	snprintf(text, sizeof(text),
		 "process %d, TLS port %d, restarted %u times", status.pid,
		 status.port, status.restarts);
	check(checks, "gateway", status.restarts ? "warning" : "ok", text,
	      status.restarts ? "look at the daemon's log" : NULL);
}

static void check_vaults(struct control *control, json_t *checks)
{
	char names[200], text[260];
	unsigned damaged = upkeep_damaged(control, names, sizeof(names));

	if (!damaged) {
		check(checks, "vaults", "ok",
		      "no verification found one damaged", NULL);
		return;
	}
	snprintf(text, sizeof(text), "what is frozen of %s has changed", names);
	check(checks, "vaults", "failed", text,
	      "mediavmctl vault show says what; restore it from a bundle, and "
	      "look after the host's disk");
}

/* In the state folder it would be copied and put back with it. */
static void check_registry(struct control *control, json_t *checks)
{
	const char *state = control->config.state;
	size_t length = strlen(state);
	struct registry registry;
	struct error error = {0};

	if (registry_lock(&registry, &control->config, &error)) {
		check(checks, "registry", "failed", error.text,
		      "without it no vault starts: set registry in [daemon]");
		return;
	}
	registry_unlock(&registry);
	if (strncmp(registry.folder, state, length) == 0 &&
	    registry.folder[length] == '/')
		check(checks, "registry", "warning", registry.folder,
		      "it lies in the state folder, so that a copy of that is "
		      "not noticed: set registry in [daemon]");
	else
		check(checks, "registry", "ok", registry.folder, NULL);
}

static void check_clock(json_t *checks)
{
	char text[UNITS_TIME_SIZE];
	int64_t now = units_now_us();
	/* 2025-01-01 */
	bool good = now > 1735689600000000;

	units_time_format(now, text);
	check(checks, "clock", good ? "ok" : "failed", text,
	      good ? NULL : "set the clock: tickets and sessions go by it");
}

/* A line for each vault: until when this QEMU will do. */
static void check_machine(struct control *control, const struct vault *vault,
			  json_t *checks)
{
	static const char *const states[] = {"ok", "warning", "failed"};
	struct machine_outlook outlook;
	struct error error = {0};
	char text[600];

	if (attach_is(vault))
		return;
	if (machine_outlook(control, vault, &outlook, &error)) {
		snprintf(text, sizeof(text), "vault %s: %s", vault->name,
			 error.text);
		check(checks, "machine", "failed", text, NULL);
		return;
	}
	snprintf(text, sizeof(text), "vault %s: %s", vault->name, outlook.text);
	check(checks, "machine", states[outlook.state], text, outlook.advice);
	json_object_update_new(
		json_array_get(checks, json_array_size(checks) - 1),
		json_pack("{s:s, s:s, s:s*}", "vault", vault->name, "machine",
			  outlook.machine, "until",
			  outlook.until[0] ? outlook.until : NULL));
}

static int take_name(void *data, const struct catalogue_row *row)
{
	json_array_append_new(data, json_string(catalogue_row_text(row, 0)));
	return 0;
}

static void check_machines(struct control *control, json_t *checks)
{
	json_t *names = json_array(), *name;
	struct vault vault;
	size_t i;

	catalogue_read(control->catalogue,
		       "SELECT name FROM vault WHERE ready ORDER BY name",
		       CATALOGUE_NONE, take_name, names, NULL);
	json_array_foreach(names, i, name)
	{
		if (vault_find(control, json_string_value(name), &vault, NULL))
			continue;
		check_machine(control, &vault, checks);
		vault_release(&vault);
	}
	json_decref(names);
}

int operation_doctor(struct control *control, const struct operation_call *call,
		     struct operation_answer *answer, struct error *error)
{
	json_t *checks = json_array(), *each;
	bool ok = true;
	size_t i;

	(void)call;
	(void)error;
	check_accelerator(control, checks);
	check_hypervisor(control, checks);
	check_program(checks, "emulator", control->config.emulator,
		      "qemu-system-x86");
	if (access(NETWORK_HELPER, X_OK))
		check(checks, "passt", "warning",
		      "activation windows (vault network) need it",
		      "apt-get install passt");
	else
		check(checks, "passt", "ok", NETWORK_HELPER, NULL);
	check_vaults(control, checks);
	check_seabios(checks);
	check_program(checks, "qemu-img", "/usr/bin/qemu-img", "qemu-utils");
	check_gateway(control, checks);
	check_space(control, checks);
	check_registry(control, checks);
	check_clock(checks);
	check_machines(control, checks);
	json_array_foreach(
		checks, i,
		each) if (!strcmp(json_string_value(json_object_get(each,
								    "status")),
				  "failed")) ok = false;
	answer->json = json_pack("{s:b, s:o}", "ok", ok, "checks", checks);
	return 0;
}

static int take_event(void *data, const struct catalogue_row *row)
{
	json_t *event = json_loads(catalogue_row_text(row, 0), 0, NULL);

	if (event)
		json_array_append_new(data, event);
	return 0;
}

int operation_audit_list(struct control *control,
			 const struct operation_call *call,
			 struct operation_answer *answer, struct error *error)
{
	const char *type = call->query(call, "type");
	const char *text = call->query(call, "text");
	int64_t since = 0, before = INT64_MAX, n;
	unsigned limit;
	int r = query_limit(call, &limit, error);

	if (!r)
		r = query_time(call, "since", &since, error);
	if (!r)
		r = query_number(call, "before", &before, error);
	if (r)
		return r;
	answer->json = json_array();
	n = catalogue_read(
		control->catalogue,
		type ? "SELECT event FROM audit WHERE type = ?1 AND "
		       "seq < ?2 AND at >= ?3 AND "
		       "(?4 IS NULL OR instr(lower(event), lower(?4)) > 0) "
		       "ORDER BY seq DESC LIMIT ?5"
		     : "SELECT event FROM audit WHERE ?1 IS NULL AND "
		       "seq < ?2 AND at >= ?3 AND "
		       "(?4 IS NULL OR instr(lower(event), lower(?4)) > 0) "
		       "ORDER BY seq DESC LIMIT ?5",
		CATALOGUE_VALUES(catalogue_text(type), catalogue_int(before),
				 catalogue_int(since), catalogue_text(text),
				 catalogue_int(limit)),
		take_event, answer->json, error);
	return n < 0 ? (int)n : 0;
}

void control_observe(struct control *control, void (*changed)(void *),
		     void *data)
{
	events_observe(control->events, changed, data);
}

json_t *control_events(struct control *control, uint64_t after, unsigned limit,
		       uint64_t *last)
{
	return events_after(control->events, after, limit, last);
}

char *control_metrics(struct control *control)
{
	struct gateway_status status;
	uint64_t left, total;
	char *text = NULL, *vaults;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	supervisor_status(control->gateway, &status);
	space(control, &left, &total);
	fprintf(out,
		"# TYPE mediavm_vaults gauge\n"
		"mediavm_vaults %lld\n"
		"# TYPE mediavm_vaults_running gauge\n"
		"mediavm_vaults_running %lld\n"
		"# TYPE mediavm_sessions gauge\n"
		"mediavm_sessions %lld\n"
		"# TYPE mediavm_sessions_live gauge\n"
		"mediavm_sessions_live %u\n"
		"# TYPE mediavm_recorded_bytes gauge\n"
		"mediavm_recorded_bytes %lld\n",
		(long long)count(control, VAULTS),
		(long long)count(control, RUNNING),
		(long long)count(control, SESSIONS), sessions_count(control),
		(long long)count(control, BYTES));
	fprintf(out,
		"# TYPE mediavm_jobs_active gauge\n"
		"mediavm_jobs_active %u\n"
		"# TYPE mediavm_gateway_up gauge\n"
		"mediavm_gateway_up %d\n"
		"# TYPE mediavm_gateway_restarts_total counter\n"
		"mediavm_gateway_restarts_total %u\n"
		"# TYPE mediavm_state_free_bytes gauge\n"
		"mediavm_state_free_bytes %llu\n"
		"# TYPE mediavm_start_time_seconds gauge\n"
		"mediavm_start_time_seconds %lld\n",
		jobs_active(control->jobs), status.running, status.restarts,
		(unsigned long long)left,
		(long long)(control->started_at / 1000000));
	vaults = upkeep_metrics(control);
	fputs(vaults ? vaults : "", out);
	free(vaults);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

int control_health(struct control *control, struct error *error)
{
	struct gateway_status status;
	uint64_t left, total;

	supervisor_status(control->gateway, &status);
	if (!status.running)
		return error_set(error, -EIO, "the gateway does not run");
	space(control, &left, &total);
	if (total && left < (64ull << 20))
		return error_set(error, -ENOSPC,
				 "no space for recordings in %s",
				 control->config.state);
	return 0;
}
