/*
 * A connected socket of the gateway: a viewer's, with TLS, or a guest's,
 * without. Never blocks; registered edge-triggered for both directions.
 *
 * TLS reads from and writes to memory, so that a batch of records costs one
 * system call: what recv() brought is decrypted from there, and encrypted
 * records come together in the loop's buffer until stream_flush().
 */
#ifndef DAEMON_GATEWAY_STREAM_H
#define DAEMON_GATEWAY_STREAM_H

#include <openssl/ssl.h>
#include <sys/types.h>

#include "daemon/gateway_loop.h"

struct stream {
	struct gateway_source source;	/* first */
	struct gateway_loop *loop;
	int fd;
	SSL *ssl;		/* NULL: no TLS */
	bool readable, writable;	/* as far as epoll told */
	bool hangup;		/* epoll saw the peer's end; data may be left */
	bool broken;		/* the peer is gone or broke TLS */
	struct buffer in;	/* received, not yet read through TLS */
	size_t in_at;
	const uint8_t *window;	/* the same, but the loop's scratch */
	size_t window_size;
	struct buffer out;	/* waits for the socket to take it */
	size_t out_at;
};

/*
 * The TLS side of all viewers. certificate, key: descriptors of PEM files,
 * not taken over.
 */
int stream_tls_new(SSL_CTX **tls, int certificate, int key,
		   struct error *error);

/* Takes over fd. */
void stream_init(struct stream *s, int fd);
int stream_start_tls(struct stream *s, SSL_CTX *tls);

/* Into a loop; also after the structure was moved to another place. */
int stream_attach(struct stream *s, struct gateway_loop *loop,
		  void (*ready)(struct gateway_source *, uint32_t));
/* Out of its loop, open. */
void stream_detach(struct stream *s);
/* Out of its loop and closed; nothing more is sent. */
void stream_close(struct stream *s);

/* Notes what epoll said. */
void stream_events(struct stream *s, uint32_t events);

/*
 * TLS only: one recv() of at most `size` (GATEWAY_READ_SIZE) bytes into the
 * loop's scratch. > 0, or 0 when there is nothing now, or -1 when the peer is
 * gone. Everything must be read by stream_read() before another stream of the
 * loop is handled, or kept with stream_keep().
 */
ssize_t stream_receive(struct stream *s, size_t size);
int stream_keep(struct stream *s);

/* Bytes read, 0 when there are none now, -1 when the peer is gone. */
ssize_t stream_read(struct stream *s, void *data, size_t size);

/* 1 done, 0 not yet, -1 failed. */
int stream_handshake(struct stream *s);

/*
 * Accepts everything; what the socket does not take stays in `out`: look at
 * stream_is_blocked() before reading more for it. TLS needs stream_flush()
 * to send. -1 when the peer is gone.
 */
int stream_write(struct stream *s, const void *data, size_t size);
int stream_flush(struct stream *s);

static inline bool stream_is_blocked(const struct stream *s)
{
	return s->out.size > s->out_at;
}

/* Says goodbye: TLS's close and FIN, once everything is sent. */
void stream_shutdown(struct stream *s);
/* Throws away what comes. True when the peer has closed too. */
bool stream_drain(struct stream *s);

#endif
