/*
 * The jobs that write and read bundles, in their own processes: fd 3 the link
 * to the control role (bundle_link.h), fd 4 the bundle, fd 6 a file with the
 * plan's text, fd 7 the journal (of a check: none).
 */
#ifndef DAEMON_BUNDLE_JOB_H
#define DAEMON_BUNDLE_JOB_H

#include "recorder/error.h"

int bundle_job_export(int (*progress)(void *user, double done),
		      struct error *error);
int bundle_job_import(int (*progress)(void *user, double done),
		      struct error *error);

#endif
