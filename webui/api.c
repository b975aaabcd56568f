/* Between HTTP and the operations of the control role. */
#include "webui/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "webui/guard.h"
#include "webui/range.h"

unsigned api_status(int code)
{
	switch (-abs(code)) {
	case -EINVAL:
		return 400;
	case -ENOENT:
		return 404;
	case -EEXIST:
	case -EBUSY:
		return 409;
	case -EACCES:
	case -EPERM:
		return 403;
	case -ENOSPC:
		return 507;
	default:
		return 500;
	}
}

static const char *call_query(const struct operation_call *call,
			      const char *key)
{
	return http_query(call->http, key);
}

static void make_call(struct operation_call *call, char host[256],
		      const struct route_match *match, const json_t *body,
		      const char *who, struct http_request *request)
{
	const char *header = http_header(request, "Host");
	unsigned i;

	*call = (struct operation_call){.body = body,
					.query = call_query,
					.http = request,
					.host = host};
	for (i = 0; i < match->segment_count; i++)
		call->path[i] = match->segments[i];
	guard_host_name(header ? header : "localhost", host, 256);
	snprintf(call->who, sizeof(call->who), "%s", who);
}

static bool is_json(const char *type)
{
	size_t n = strlen("application/json");

	return type && strncasecmp(type, "application/json", n) == 0 &&
	       (!type[n] || type[n] == ';' || type[n] == ' ');
}

/* The body as an object, {} when there is none; NULL: answered already. */
static json_t *read_body(struct http_request *request)
{
	json_error_t why;
	json_t *body;

	if (!request->body_size)
		return json_object();
	if (!is_json(http_header(request, "Content-Type"))) {
		http_answer_error(&request->answer, 415,
				  "the body must be application/json");
		return NULL;
	}
	body = json_loadb(request->body, request->body_size,
			  JSON_REJECT_DUPLICATES, &why);
	if (!body)
		http_answer_error(&request->answer, 400,
				  "the body is no JSON: %s (line %d, column "
				  "%d)",
				  why.text, why.line, why.column);
	else if (!json_is_object(body))
		http_answer_error(&request->answer, 400,
				  "the body must be a JSON object");
	if (body && json_is_object(body))
		return body;
	json_decref(body);
	return NULL;
}

/* --- files ------------------------------------------------------------ */

static void add_disposition(struct http_answer *answer, const char *name,
			    bool is_shown)
{
	char safe[128];
	size_t i;

	if (!name[0])
		return;
	snprintf(safe, sizeof(safe), "%s", name);
	for (i = 0; safe[i]; i++)
		if (safe[i] <= ' ' || safe[i] > '~' ||
		    strchr("\"\\/%", safe[i]))
			safe[i] = '_';
	http_answer_header(answer, "Content-Disposition", "%s; filename=\"%s\"",
			   is_shown ? "inline" : "attachment", safe);
}

/* Whether a list of entity tags holds this one; tags hold no commas. */
static bool has_tag(const char *header, const char *tag)
{
	const char *p = header ? strstr(header, tag) : NULL;

	return p || (header && strcmp(header, "*") == 0);
}

static void answer_part(struct http_request *request, const char *tag,
			uint64_t size)
{
	struct http_answer *answer = &request->answer;
	const char *range = http_header(request, "Range");
	const char *only_if = http_header(request, "If-Range");

	if (only_if && strcmp(only_if, tag) != 0)
		range = NULL; /* dates are not offered, so they never match */
	switch (range_parse(range, size, &answer->offset, &answer->length)) {
	case RANGE_WHOLE:
		break;
	case RANGE_PART:
		answer->status = 206;
		http_answer_header(answer, "Content-Range",
				   "bytes %llu-%llu/%llu",
				   (unsigned long long)answer->offset,
				   (unsigned long long)(answer->offset +
							answer->length - 1),
				   (unsigned long long)size);
		break;
	case RANGE_OUTSIDE:
		http_answer_clear(answer);
		http_answer_error(answer, 416, "the file has %llu bytes",
				  (unsigned long long)size);
		http_answer_header(answer, "Content-Range", "bytes */%llu",
				   (unsigned long long)size);
		break;
	}
}

static void answer_file(struct http_request *request,
			const struct operation_answer *result)
{
	struct http_answer *answer = &request->answer;
	struct stat st;
	char tag[80];

	answer->fd = result->fd;
	answer->status = 200;
	http_answer_header(answer, "Content-Type", "%s",
			   result->content_type ? result->content_type
						: "application/octet-stream");
	add_disposition(answer, result->file_name,
			result->content_type && strncmp(result->content_type,
							"video/", 6) == 0);
	if (result->size == UINT64_MAX) {
		answer->content = HTTP_PIPE;
		http_answer_header(answer, "Cache-Control", "no-store");
		return;
	}
	answer->content = HTTP_FILE;
	answer->length = result->size;
	if (fstat(result->fd, &st) < 0)
		st = (struct stat){0};
	snprintf(tag, sizeof(tag), "\"%llx-%llx-%llx\"",
		 (unsigned long long)st.st_ino,
		 (unsigned long long)st.st_mtim.tv_sec * 1000000000 +
			 (unsigned long long)st.st_mtim.tv_nsec,
		 (unsigned long long)result->size);
	http_answer_header(answer, "Cache-Control", "private, no-cache");
	http_answer_header(answer, "Accept-Ranges", "bytes");
	http_answer_header(answer, "ETag", "%s", tag);
	if (has_tag(http_header(request, "If-None-Match"), tag)) {
		close(answer->fd);
		answer->content = HTTP_NOTHING;
		answer->status = 304;
		return;
	}
	answer_part(request, tag, result->size);
}

/* --- operations ------------------------------------------------------- */

static int run(struct control *control, route_operation *operation,
	       const struct route_match *match, const json_t *body,
	       const char *who, struct http_request *request,
	       struct operation_answer *result)
{
	struct operation_call call;
	struct error error = {0};
	char host[256];
	int code;

	*result = (struct operation_answer){.fd = -1};
	make_call(&call, host, match, body, who, request);
	code = operation(control, &call, result, &error);
	if (code >= 0)
		return 0;
	json_decref(result->json);
	if (result->fd >= 0)
		close(result->fd);
	http_answer_error(&request->answer, api_status(code), "%s",
			  error.text[0] ? error.text : strerror(abs(code)));
	return code;
}

void api_call(struct control *control, const struct route_match *match,
	      const char *who, struct http_request *request)
{
	struct operation_answer result;
	json_t *body = read_body(request);

	if (!body)
		return;
	if (run(control, match->route->operation, match, body, who, request,
		&result) == 0) {
		if (result.fd >= 0) {
			answer_file(request, &result);
		} else {
			http_answer_text(&request->answer, 200,
					 "application/json",
					 result.json ? json_dumps(result.json,
								  JSON_COMPACT)
						     : strdup("{}"));
			http_answer_header(&request->answer, "Cache-Control",
					   "no-store");
		}
		json_decref(result.json);
	}
	json_decref(body);
}

void api_connect_file(struct control *control, const struct route_match *match,
		      const char *who, struct http_request *request)
{
	const char *view_only = http_query(request, "view_only");
	struct operation_answer result;
	char name[160];
	const char *vv;
	json_t *body = json_object();

	if (view_only && strcmp(view_only, "1") == 0)
		json_object_set_new(body, "view_only", json_true());
	if (run(control, operation_connect, match, body, who, request,
		&result) == 0) {
		vv = json_string_value(json_object_get(result.json, "vv"));
		http_answer_text(&request->answer, 200,
				 "application/x-virt-viewer",
				 vv ? strdup(vv) : NULL);
		snprintf(name, sizeof(name), "%.120s.vv", match->segments[0]);
		add_disposition(&request->answer, name, false);
		http_answer_header(&request->answer, "Cache-Control",
				   "no-store");
		json_decref(result.json);
	}
	json_decref(body);
}
