/*
 * Firmware of its own for a vault: SeaBIOS and every option ROM that QEMU may
 * put into a PC, as files in a folder that QEMU looks into before its own (-L).
 */
#ifndef DAEMON_FIRMWARE_H
#define DAEMON_FIRMWARE_H

#include <stdbool.h>
#include <stddef.h>

#include "recorder/error.h"

/*
 * Copies what the emulator would load today into the folder, which is there;
 * with network_roms also the boot ROMs of network cards. Files that are there
 * already stay. -ENOENT: the emulator has no SeaBIOS.
 */
int firmware_copy(const char *emulator, const char *folder, bool network_roms,
		  struct error *error);

/* The folder holds a firmware to start with. */
bool firmware_is_there(const char *folder);

/* "1.16.2-debian-1.16.2-1", from SeaBIOS in the folder; "" where it is not. */
void firmware_version(const char *folder, char *version, size_t size);

#endif
