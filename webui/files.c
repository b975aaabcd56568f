/* The files of the page, which are part of the program; see files.h. */
#include "webui/files.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "schema/embed.h"

static const struct schema_embedded *find_file(const char *name)
{
	const struct schema_embedded *file;

	for (file = webui_static; file->name; file++)
		if (strcmp(file->name, name) == 0)
			return file;
	return NULL;
}

static const char *type_of(const char *name)
{
	static const struct {
		const char *end, *type;
	} types[] = {
		{".html", "text/html; charset=utf-8"},
		{".css", "text/css; charset=utf-8"},
		{".js", "text/javascript; charset=utf-8"},
		{".svg", "image/svg+xml"},
	};
	const char *end = strrchr(name, '.');
	unsigned i;

	for (i = 0; end && i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(end, types[i].end) == 0)
			return types[i].type;
	return "application/octet-stream";
}

void files_answer(struct http_request *request, const char *name,
		  unsigned status)
{
	const struct schema_embedded *file = find_file(name);
	struct http_answer *answer = &request->answer;
	uint8_t digest[SHA256_DIGEST_LENGTH];
	const char *known;
	uint64_t tag;
	char text[24];

	if (!file) {
		http_answer_error(answer, 404, "there is no %s", name);
		return;
	}
	SHA256(file->data, file->size, digest);
	memcpy(&tag, digest, sizeof(tag));
	snprintf(text, sizeof(text), "\"%016llx\"", (unsigned long long)tag);
	known = http_header(request, "If-None-Match");
	http_answer_header(answer, "ETag", "%s", text);
	http_answer_header(answer, "Cache-Control", "no-cache");
	answer->status = known && strstr(known, text) ? 304 : status;
	if (answer->status == 304)
		return;
	answer->content = HTTP_FIXED;
	answer->fixed = file->data;
	answer->size = file->size;
	http_answer_header(answer, "Content-Type", "%s", type_of(name));
}
