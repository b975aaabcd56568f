/*
 * Digests of what a vault keeps frozen: a tree for each frozen layer of its
 * disks (digests/LAYER.tree, see digest_tree.h), and a list for the small files
 * of each snapshot (digest_files.h). They are made once, and compared with what
 * is there whenever somebody wants to know; so are the seal's files.
 *
 * What a layer itself holds is hashed; a block that it has from the layer
 * below has that one's digest. A new tree grows in digests/LAYER.part, so that
 * a run that was interrupted, by whatever, is gone on with by the next; layers
 * that it has compared are marked by digests/LAYER.checked.
 */
#ifndef DAEMON_DIGEST_H
#define DAEMON_DIGEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "recorder/error.h"

struct control;
struct vault;

struct digest_options {
	bool verify;	   /* compare everything; else make what is missing */
	uint64_t rate;	   /* bytes read in a second at most; 0: no limit */
	unsigned resume_s; /* how old what an interrupted one did may be */
	/* In the calling thread, often; not 0 ends it. May be NULL. */
	int (*tell)(void *data, uint64_t done, uint64_t all,
		    struct error *error);
	void *data;
};

/*
 * For the thread of a job; needs no lock of the vault, and waits while another
 * one is at its digests or layers are being joined. *result, which is also
 * there after an error: layers (compared), made, files, bytes (read), damage
 * (array of file, text, and for a disk: disk, from, to in bytes). What has
 * changed is no error.
 */
int digest_run(struct control *control, const struct vault *vault,
	       const struct digest_options *options, json_t **result,
	       struct error *error);

/* One sentence of a result's damage; "" for none. */
void digest_damage(const json_t *result, char *text, unsigned size);

/* Whether something frozen has no digests yet. */
bool digest_is_missing(struct control *control, const struct vault *vault);

/*
 * Array of disk, layer, size, sha256 (the tree's root) of every frozen layer.
 * -ENODATA when a tree is missing: digest_run makes it.
 */
int digest_roots(struct control *control, const struct vault *vault,
		 json_t **list, struct error *error);

#endif
