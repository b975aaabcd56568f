/*
 * A capture as other tools want it: plain pcapng, and statistics.
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

/*
 * Writes one JSON object to out_fd:
 *
 * {"complete": bool, "signed": bool, "good_bytes": n, "duration_ms": n,
 *  "session": {"id", "vault", "client"},
 *  "channels": [{"number", "type": "display", "id",
 *    "mini": bool, "opened_ms", "closed_ms" or null,
 *    "to_guest": {"messages", "bytes", "types": {"101": {"messages",
 *    "bytes"}, …}}, "to_client": {…}}, …]}
 *
 * bytes count bodies and headers. Damage: as above, the object is written
 * whole, with "damage": text.
 */
int capture_stats(int in_fd, int out_fd, struct error *error);

#endif
