/* The files of the page, which are part of the program. */
#ifndef WEBUI_FILES_H
#define WEBUI_FILES_H

#include "webui/http.h"

/*
 * Answers with webui/static/NAME and this status, 304 when the browser has it
 * as it is, or 404.
 */
void files_answer(struct http_request *request, const char *name,
		  unsigned status);

#endif
