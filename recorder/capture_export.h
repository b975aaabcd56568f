/*
 * A capture as other tools want it: plain pcapng.
 */
#ifndef RECORDER_CAPTURE_EXPORT_H
#define RECORDER_CAPTURE_EXPORT_H

#include <stdbool.h>

#include "recorder/error.h"

/*
 * Writes plain pcapng to out_fd (a file or pipe; neither fd is taken over).
 * It is the recording's own, byte for byte; or, for_tshark, one message a
 * segment, without the messages after which Wireshark's SPICE dissector loses
 * its place, as a comment of the section then says. Of a damaged recording
 * everything before the damage is written, then -EBADMSG.
 */
int capture_export_pcapng(int in_fd, int out_fd, bool for_tshark,
			  struct error *error);

#endif
