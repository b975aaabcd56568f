/* What a handler answers: status, headers and content. */
#include "webui/http.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void http_answer_header(struct http_answer *answer, const char *name,
			const char *format, ...)
{
	char *value;
	va_list args;
	int n;

	if (answer->header_count == HTTP_MAX_HEADERS)
		return;
	va_start(args, format);
	n = vasprintf(&value, format, args);
	va_end(args);
	if (n < 0)
		return;
	answer->headers[answer->header_count].name = name;
	answer->headers[answer->header_count].value = value;
	answer->header_count++;
}

void http_answer_text(struct http_answer *answer, unsigned status,
		      const char *type, char *text)
{
	answer->status = text ? status : 500;
	if (!text)
		return;
	answer->content = HTTP_TEXT;
	answer->text = text;
	answer->size = strlen(text);
	http_answer_header(answer, "Content-Type", "%s", type);
}

void http_answer_error(struct http_answer *answer, unsigned status,
		       const char *format, ...)
{
	struct error line = {0};
	char text[sizeof(line.text)];
	json_t *json;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	error_set(&line, EIO, "%s", text);
	json = json_pack("{s:s%}", "error", line.text, strlen(line.text));
	if (!json)
		json = json_pack("{s:s}", "error", "the request is not UTF-8");
	http_answer_text(answer, status, "application/json",
			 json ? json_dumps(json, JSON_COMPACT) : NULL);
	json_decref(json);
}

void http_answer_clear(struct http_answer *answer)
{
	unsigned i;

	for (i = 0; i < answer->header_count; i++)
		free(answer->headers[i].value);
	if (answer->content == HTTP_TEXT)
		free(answer->text);
	if (answer->content == HTTP_FILE || answer->content == HTTP_PIPE)
		close(answer->fd);
	if (answer->content == HTTP_STREAM && answer->pull_free)
		answer->pull_free(answer->pull_data);
	*answer = (struct http_answer){.fd = -1};
}
