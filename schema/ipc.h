/*
 * The messages between control and gateway, over a SOCK_SEQPACKET socket.
 *
 * The gateway listens on RUN/gateway.sock (the socket is bound by control and
 * inherited), so that a restarted control finds it again; it talks to one
 * control at a time and only to its own user id. Each message is one packet:
 * struct ipc_header, then the structure of its type, of exactly its size; file
 * descriptors travel with it as SCM_RIGHTS. Native byte order: both ends are
 * the same program, checked by IPC_VERSION in the first message. Every char
 * array is NUL-terminated by the sender and checked by the receiver.
 */
#ifndef SCHEMA_IPC_H
#define SCHEMA_IPC_H

#include <stdint.h>

#include "daemon/policy.h"
#include "recorder/link.h"

#define IPC_VERSION 2
#define IPC_MAX_FDS 10
#define IPC_MAX_LISTENERS 8
#define IPC_MAX_CAPS 16
#define IPC_ID_SIZE 40
#define IPC_TEXT_SIZE 200
#define IPC_DIGEST_SIZE 32

/*
 * IPC_MESSAGE(NAME, structure, direction, least fds, most fds)
 * C: control to gateway, G: gateway to control.
 */
#define IPC_MESSAGES(M)                                         \
	M(HELLO, hello, G, 0, 0)                                \
	M(SETUP, setup, C, 2, IPC_MAX_FDS)                      \
	M(CAPS, caps, C, 0, 0)                                  \
	M(REDEEM, redeem, G, 0, 0)                              \
	M(REDEEMED, redeemed, C, 0, 2)                          \
	M(OPEN, open, G, 0, 0)                                  \
	M(OPENED, opened, C, 0, 1)                              \
	M(LEARNED, caps, G, 0, 0)                               \
	M(STATE, state, G, 0, 0)                                \
	M(SEAL, seal, G, 0, 0)                                  \
	M(SIGNATURE, signature, C, 0, 0)                        \
	M(ENDED, ended, G, 0, 0)                                \
	M(ENDED_ACK, session, C, 0, 0)                          \
	M(KILL, kill, C, 0, 0)                                  \
	M(REFUSED, refused, G, 0, 0)                            \
	M(QUIT, quit, C, 0, 0)

enum ipc_type {
	IPC_NONE,
#define IPC_ENUM(NAME, structure, direction, least, most) IPC_##NAME,
	IPC_MESSAGES(IPC_ENUM)
#undef IPC_ENUM
	IPC_TYPES
};

struct ipc_header {
	uint32_t type;		/* enum ipc_type */
	uint32_t size;		/* of the packet, header included */
};

/* Gateway's first message on each connection; STATE of each session follows. */
struct ipc_hello {
	uint32_t version;	/* IPC_VERSION */
	uint32_t pid;
	uint32_t sessions;	/* live or waiting for ENDED_ACK */
	uint32_t is_set_up;	/* 1: has its SETUP from an earlier control */
	uint32_t port;		/* TLS port it listens on, 0 before SETUP */
};

/* fds: certificate chain (PEM), private key (PEM), listening sockets. */
struct ipc_setup {
	uint32_t listeners;
	uint32_t port;
	uint32_t link_timeout;	/* ms */
	uint32_t max_pending;
	uint32_t threads;	/* loops; 0: one per core */
};

/* What spice-server of this host advertises, a row for each channel type. */
struct ipc_caps {
	uint32_t count;
	struct {
		uint32_t channel_type;
		struct link_caps caps;
	} rows[IPC_MAX_CAPS];
};

struct ipc_address {
	uint16_t family;	/* AF_INET or AF_INET6; v4-mapped as AF_INET */
	uint16_t port;
	uint8_t address[16];	/* network order, first 4 bytes for AF_INET */
};

/* A main channel has shown a ticket. */
struct ipc_redeem {
	uint64_t request;	/* echoed in the answer */
	uint8_t digest[IPC_DIGEST_SIZE];	/* SHA-256 of the ticket's text */
	struct ipc_address client;
};

/*
 * fds when result is 0: the main channel's upstream (a connected stream
 * socket that speaks SPICE without TLS and takes a ticket with `password`),
 * then, when `recorded`, the empty capture file open for writing.
 */
struct ipc_redeemed {
	uint64_t request;
	uint32_t result;	/* SPICE_LINK_ERR_* for the client */
	uint32_t recorded;
	uint32_t is_replay;	/* upstream is a replay job: no policy filters */
	uint32_t view_only;	/* drop what would change the guest's input */
	char session[IPC_ID_SIZE];
	char vault[64];
	char password[LINK_PASSWORD_MAX + 1];	/* of the server, or "" */
	struct policy policy;
};

/* A further channel of a live session; same ticket, same address. */
struct ipc_open {
	uint64_t request;
	char session[IPC_ID_SIZE];
	uint32_t channel_type;
	uint32_t channel_id;
};

/* fd when result is 0: the channel's upstream. */
struct ipc_opened {
	uint64_t request;
	uint32_t result;	/* SPICE_LINK_ERR_* */
};

/* About every two seconds while something moved, and after HELLO. */
struct ipc_state {
	char session[IPC_ID_SIZE];
	uint64_t bytes_to_client;	/* SPICE bytes after the links */
	uint64_t bytes_to_guest;
	uint64_t capture_bytes;
	uint32_t channels;	/* open now */
};

/* The capture is whole but for its signature. */
struct ipc_seal {
	char session[IPC_ID_SIZE];
	uint8_t digest[IPC_DIGEST_SIZE];	/* to be signed */
};

struct ipc_signature {
	char session[IPC_ID_SIZE];
	uint8_t signature[64];	/* Ed25519 of the digest */
};

enum ipc_end {
	IPC_END_CLIENT,		/* the viewer closed its main channel */
	IPC_END_GUEST,		/* the guest (or replay) closed */
	IPC_END_KILLED,		/* IPC_KILL */
	IPC_END_IDLE,		/* policy idle-timeout */
	IPC_END_RECORDING,	/* the recording could not be written */
	IPC_END_PROTOCOL,	/* a side broke the protocol */
	IPC_END_SHUTDOWN,	/* the gateway was told to quit */
};

/* Repeated after each HELLO until ENDED_ACK. */
struct ipc_ended {
	char session[IPC_ID_SIZE];
	uint32_t reason;	/* enum ipc_end */
	uint64_t ended_at;	/* ns since 1970 */
	uint64_t bytes_to_client;
	uint64_t bytes_to_guest;
	uint64_t capture_bytes;
	uint8_t capture_sha256[IPC_DIGEST_SIZE];	/* of the whole file */
	uint32_t is_signed;
	char text[IPC_TEXT_SIZE];	/* what happened, for people */
};

struct ipc_session {
	char session[IPC_ID_SIZE];
};

struct ipc_kill {
	char session[IPC_ID_SIZE];
	char text[IPC_TEXT_SIZE];	/* shown to the viewer and stored */
};

/* For the audit log: a connection that did not become a channel. */
struct ipc_refused {
	struct ipc_address client;
	char text[IPC_TEXT_SIZE];
	uint32_t count;		/* that many alike (rate limited) */
};

/* End every session (IPC_END_SHUTDOWN), then exit. */
struct ipc_quit {
	uint32_t unused;
};

#endif
