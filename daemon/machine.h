/*
 * Which QEMU runs a vault: the host's, or the one that the vault carries.
 *
 * A vault may have a QEMU of its own in its folder (machine/: program,
 * libraries, modules, ROM files, and a manifest with their digests). It is
 * for the day on which the host's QEMU has no such machine any more.
 */
#ifndef DAEMON_MACHINE_H
#define DAEMON_MACHINE_H

#include <limits.h>

#include "recorder/error.h"

struct control;
struct vault;

#define MACHINE_WHY_SIZE 240

/*
 * The program for a start or a probe of the vault, and in a sentence why it is
 * that one. Files of the vault's own are verified first.
 */
int machine_emulator(struct control *control, const struct vault *vault,
		     char path[PATH_MAX], char why[MACHINE_WHY_SIZE],
		     struct error *error);

#endif
