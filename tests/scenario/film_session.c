/*
 * A session with a recording of boxes and a tone, without a guest:
 *
 *   film_session STATE       into a daemon's state, while it does not run;
 *                            prints the session's id
 *   film_session FILE.zst    only the recording
 */
#include "daemon/catalogue.h"
#include "daemon/control.h"
#include "daemon/session.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/render_capture.h"

#define SECONDS 24

static void film(struct recording *r)
{
	film_of(r, 800, 600, SECONDS * 25);
}

static int make_session(const char *state)
{
	static struct control control;
	struct session session = {.vault = "none",
				  .vault_name = "film",
				  .client = "127.0.0.1",
				  .recorded = true};
	struct error error = {0};
	char path[640];
	int capture;

	config_default(&control.config);
	snprintf(control.config.state, sizeof(control.config.state), "%s",
		 state);
	snprintf(path, sizeof(path), "%s/catalog.db", state);
	if (catalogue_open(&control.catalogue, path, schema_migrations,
			   &error) ||
	    session_make(&control, &session, &capture, &error) ||
	    session_insert(&control, &session, &error) ||
	    catalogue_write(control.catalogue,
			    "UPDATE session SET state = 'ended', ended_at = "
			    "seq WHERE id = ?",
			    CATALOGUE_VALUES(catalogue_text(session.id)), NULL,
			    NULL, &error) != 1) {
		fprintf(stderr, "film_session: %s\n", error.text);
		return 1;
	}
	close(record_to(capture, film));
	catalogue_free(control.catalogue);
	puts(session.id);
	return 0;
}

int main(int argc, char **argv)
{
	int fd;

	if (argc != 2)
		return 2;
	if (!strstr(argv[1], ".zst"))
		return make_session(argv[1]);
	fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0644);
	if (fd < 0) {
		perror(argv[1]);
		return 1;
	}
	close(record_to(fd, film));
	return 0;
}
