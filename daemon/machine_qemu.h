/*
 * A QEMU that is asked about itself: it runs without a machine and answers
 * QMP on a socket that is passed to it.
 */
#ifndef DAEMON_MACHINE_QEMU_H
#define DAEMON_MACHINE_QEMU_H

#include <jansson.h>
#include <sys/types.h>

#include "recorder/error.h"

struct machine_qemu;

/* -EPIPE: it ended, or is no QEMU. It lives 30 s at most. */
int machine_qemu_start(const char *emulator, struct machine_qemu **qemu,
		       struct error *error);
void machine_qemu_end(struct machine_qemu *qemu);

/*
 * One command; arguments (taken) may be NULL, and so may answer. -EPIPE, or
 * -EINVAL with what QEMU says of it.
 */
int machine_qemu_ask(struct machine_qemu *qemu, const char *command,
		     json_t *arguments, json_t **answer, struct error *error);

pid_t machine_qemu_pid(const struct machine_qemu *qemu);

/*
 * What is worth keeping: version ("7.2.22"), package (its distributor's name
 * for it) and machines ([{name, alias, deprecated}], those for PCs).
 */
int machine_qemu_facts(const char *emulator, json_t **facts,
		       struct error *error);

/* The entry of a machine type, by its name or its alias; NULL: it has none. */
const json_t *machine_qemu_has(const json_t *facts, const char *machine);

#endif
