/*
 * Files that are part of the program: SQL migrations, the hardware of a new
 * vault and the web page.
 *
 * The tables are generated at build time by schema/embed.sh; each ends with
 * an entry whose name is NULL.
 */
#ifndef SCHEMA_EMBED_H
#define SCHEMA_EMBED_H

#include <stddef.h>

struct schema_embedded {
	const char *name;		/* file name without folder */
	const unsigned char *data;	/* NUL follows, not counted */
	size_t size;			/* bytes */
};

extern const struct schema_embedded schema_migrations[];
extern const struct schema_embedded domain_files[];
extern const struct schema_embedded probe_files[]; /* daemon/probe/ */
extern const struct schema_embedded webui_static[];

#endif
