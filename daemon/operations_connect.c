/* Operations that make tickets: connect, and the replay of a session. */
#include "daemon/operations.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/attach.h"
#include "daemon/control.h"
#include "daemon/event.h"
#include "daemon/supervisor.h"
#include "daemon/job.h"
#include "daemon/operations_query.h"
#include "daemon/session.h"
#include "daemon/ticket.h"
#include "daemon/units.h"
#include "daemon/vault.h"
#include "daemon/vv.h"

#define REPLAY_LIFETIME 60 /* s */

/* The ticket, and the answer that carries it. */
static int answer_ticket(struct control *control, struct ticket_spec *spec,
			 const char *title, bool usb,
			 struct operation_answer *answer, struct error *error)
{
	char ticket[TICKET_SIZE], expires[UNITS_TIME_SIZE], *text;
	struct gateway_status status;
	struct vv vv = {
		.title = title,
		.host = control->host,
		.ticket = ticket,
		.ca_pem = control->tls.ca_pem,
		.subject = control->tls.subject,
		.usb = usb,
	};
	int r;

	supervisor_status(control->gateway, &status);
	if (!status.running)
		return error_set(error, -EBUSY,
				 "the gateway is being restarted: try again in "
				 "a moment");
	spec->now = units_now_us();
	r = ticket_make(control->catalogue, spec, ticket, error);
	if (r)
		return r;
	vv.tls_port = status.port;
	text = vv_text(&vv);
	explicit_bzero(ticket, sizeof(ticket));
	units_time_format(spec->now + spec->lifetime, expires);
	answer->json = json_pack("{s:s, s:s, s:i, s:s}", "vv", text ? text : "",
				 "host", vv.host, "tls_port", vv.tls_port,
				 "expires_at", expires);
	free(text);
	return 0;
}

/* An address in the form in which the gateway's are compared. */
static int normal_address(const char *text, char normal[64],
			  struct error *error)
{
	uint8_t raw[16];
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;

	if (inet_pton(family, text, raw) != 1)
		return error_set(error, -EINVAL,
				 "address is \"%s\"; it must be an IP address",
				 text);
	/* ::ffff:192.0.2.1 comes in as 192.0.2.1. */
	if (family == AF_INET6 &&
	    IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(void *)raw)) {
		family = AF_INET;
		memmove(raw, raw + 12, 4);
	}
	inet_ntop(family, raw, normal, 64);
	return 0;
}

int operation_connect(struct control *control,
		      const struct operation_call *call,
		      struct operation_answer *answer, struct error *error)
{
	const char *address = NULL;
	bool view_only = false;
	const struct body_member members[] = {
		{"view_only", BODY_BOOL, &view_only},
		{"address", BODY_TEXT, &address},
	};
	struct ticket_spec spec = {.made_by = call->who};
	enum hypervisor_state state;
	struct vault vault;
	char normal[64];
	int r = BODY_READ(call, members, error);

	if (!r && address)
		r = normal_address(address, normal, error);
	if (!r)
		r = vault_find(control, call->path[0], &vault, error);
	if (r)
		return r;
	state = vault_state(control, &vault);
	if (attach_is(&vault))
		r = attach_check(control, &vault, error);
	else if (state != HYPERVISOR_RUNNING && state != HYPERVISOR_PAUSED)
		r = error_set(
			error, -EBUSY,
			"vault %s does not run: start it first (mediavmctl "
			"vault start %s)",
			vault.name, vault.name);
	spec.vault = vault.uuid;
	spec.view_only = view_only;
	spec.address = address ? normal : NULL;
	spec.lifetime = (int64_t)vault.policy.ticket_lifetime * 1000000;
	if (!r)
		r = answer_ticket(control, &spec, vault.name,
				  vault.policy.usb == POLICY_ON, answer, error);
	if (!r)
		events_post(
			control->events, "ticket.made", vault.name,
			json_pack("{s:s, s:s, s:b, s:s*, s:O}", "vault",
				  vault.name, "who", call->who, "view_only",
				  view_only, "address", spec.address,
				  "expires_at",
				  json_object_get(answer->json, "expires_at")));
	vault_release(&vault);
	return r;
}

int operation_session_replay(struct control *control,
			     const struct operation_call *call,
			     struct operation_answer *answer,
			     struct error *error)
{
	const char *mode = "wire";
	double speed = 1;
	const struct body_member members[] = {
		{"mode", BODY_TEXT, &mode},
		{"speed", BODY_NUMBER, &speed},
	};
	struct ticket_spec spec = {.made_by = call->who,
				   .lifetime = REPLAY_LIFETIME * 1000000ll};
	struct session session;
	char id[JOB_ID_SIZE], title[128];
	int r = BODY_READ(call, members, error);

	if (!r && strcmp(mode, "wire"))
		r = error_set(error, -EINVAL, "mode is \"%s\"; it may be wire",
			      mode);
	if (!r && (speed < 0.01 || speed > 1000))
		r = error_set(error, -EINVAL, "speed may be 0.01 to 1000");
	if (!r)
		r = session_find(control, call->path[0], &session, error);
	if (!r && !session.recorded)
		r = error_set(error, -ENOENT, "session %s was not recorded",
			      session.id);
	if (!r)
		r = job_replay(control->jobs, session.id, speed, id, error);
	if (r)
		return r;
	spec.job = id;
	snprintf(title, sizeof(title), "%s, recorded", session.vault_name);
	r = answer_ticket(control, &spec, title, false, answer, error);
	if (!r)
		events_post(
			control->events, "ticket.made", session.id,
			json_pack("{s:s, s:s, s:s, s:O}", "vault",
				  session.vault_name, "session", session.id,
				  "who", call->who, "expires_at",
				  json_object_get(answer->json, "expires_at")));
	return r;
}
