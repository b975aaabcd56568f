/*
 * The manifest of a bundle, as it comes about while records are written or
 * read: for each file how many there are, and a digest of their digests.
 */
#ifndef DAEMON_BUNDLE_MANIFEST_H
#define DAEMON_BUNDLE_MANIFEST_H

#include "daemon/bundle.h"

struct bundle_manifest;

/* The plan is borrowed. */
int bundle_manifest_new(struct bundle_manifest **manifest,
			const struct bundle_plan *plan, struct error *error);
void bundle_manifest_free(struct bundle_manifest *manifest);

/* A data record, in order. */
void bundle_manifest_add(struct bundle_manifest *manifest,
			 const struct bundle_head *head);

/* Its text, after the last record; free() it. plan: the digest in its head. */
char *bundle_manifest_print(struct bundle_manifest *manifest,
			    const uint8_t plan[BUNDLE_DIGEST]);

/*
 * Whether a text is the same manifest: -EBADMSG, naming the file that differs;
 * -EINVAL when it is none.
 */
int bundle_manifest_compare(struct bundle_manifest *manifest,
			    const uint8_t plan[BUNDLE_DIGEST], const char *text,
			    size_t size, struct error *error);

#endif
