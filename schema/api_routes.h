/*
 * Every route of the HTTP API, once. schema/openapi.yaml describes bodies.
 *
 * API_ROUTE(METHOD, path, operation)
 *   {x} in the path is one segment, given to the operation in order.
 *   operation: a function of daemon/operations.h, operation_<name>.
 */
API_ROUTE(GET, "/api/v1/status", status)
API_ROUTE(GET, "/api/v1/doctor", doctor)
API_ROUTE(GET, "/api/v1/vaults", vault_list)
API_ROUTE(POST, "/api/v1/vaults", vault_create)
API_ROUTE(GET, "/api/v1/vaults/{name}", vault_show)
API_ROUTE(DELETE, "/api/v1/vaults/{name}", vault_delete)
API_ROUTE(POST, "/api/v1/vaults/{name}/start", vault_start)
API_ROUTE(POST, "/api/v1/vaults/{name}/stop", vault_stop)
API_ROUTE(GET, "/api/v1/vaults/{name}/policy", policy_show)
API_ROUTE(PATCH, "/api/v1/vaults/{name}/policy", policy_change)
API_ROUTE(POST, "/api/v1/vaults/{name}/connect", connect)
API_ROUTE(GET, "/api/v1/sessions", session_list)
API_ROUTE(GET, "/api/v1/sessions/{id}", session_show)
API_ROUTE(DELETE, "/api/v1/sessions/{id}", session_delete)
API_ROUTE(POST, "/api/v1/sessions/{id}/kill", session_kill)
API_ROUTE(POST, "/api/v1/sessions/{id}/hold", session_hold)
API_ROUTE(POST, "/api/v1/sessions/{id}/verify", session_verify)
API_ROUTE(POST, "/api/v1/sessions/{id}/render", session_render)
API_ROUTE(POST, "/api/v1/sessions/{id}/replay", session_replay)
API_ROUTE(GET, "/api/v1/sessions/{id}/video", session_video)
API_ROUTE(GET, "/api/v1/sessions/{id}/pcapng", session_pcapng)
API_ROUTE(GET, "/api/v1/sessions/{id}/capture", session_capture)
API_ROUTE(GET, "/api/v1/sessions/{id}/stats", session_stats)
API_ROUTE(GET, "/api/v1/jobs", job_list)
API_ROUTE(GET, "/api/v1/jobs/{id}", job_show)
API_ROUTE(DELETE, "/api/v1/jobs/{id}", job_cancel)
API_ROUTE(GET, "/api/v1/audit", audit_list)
