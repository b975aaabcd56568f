/*
 * Whether what was unpacked from a bundle is what an export of ours makes of
 * a vault. Its bytes are as they were signed; but by whom?
 */
#ifndef DAEMON_BUNDLE_JUDGE_H
#define DAEMON_BUNDLE_JUDGE_H

#include "daemon/bundle.h"

/* Of a folder that holds all files of the plan. -EINVAL, naming the file. */
int bundle_judge(const char *folder, const struct bundle_plan *plan,
		 struct error *error);

/*
 * Whether a definition (a text) reaches nothing of the host: no file that is
 * not in the plan, no device or network of the host, no argument for QEMU
 * that could. -EINVAL, naming what.
 */
int bundle_judge_domain(const char *xml, const struct bundle_plan *plan,
			struct error *error);

/*
 * Whether an image stands on no other file than `backing` (NULL: on none), of
 * the format `on`, by its header alone. Formats: "qcow2" or "raw".
 */
int bundle_judge_image(int fd, const char *format, const char *backing,
		       const char *on, struct error *error);

#endif
