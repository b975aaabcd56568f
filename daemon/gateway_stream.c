/* A socket of the gateway, with or without TLS; see gateway_stream.h. */
#include "daemon/gateway_stream.h"

#include <assert.h>
#include <openssl/err.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define DRAINS 16            /* nobody has so much left to say */
#define SPARE_MAX (1u << 20) /* larger buffers are given back */

static int bio_read(BIO *bio, char *data, int size)
{
	struct stream *s = BIO_get_data(bio);
	size_t n = s->in.size - s->in_at;

	BIO_clear_retry_flags(bio);
	if (n == 0 && s->window_size == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	if (n > 0) {
		n = n < (size_t)size ? n : (size_t)size;
		memcpy(data, s->in.data + s->in_at, n);
		s->in_at += n;
		if (s->in_at == s->in.size) {
			buffer_free(&s->in);
			s->in_at = 0;
		}
		return (int)n;
	}
	n = s->window_size < (size_t)size ? s->window_size : (size_t)size;
	memcpy(data, s->window, n);
	s->window += n;
	s->window_size -= n;
	return (int)n;
}

static int bio_write(BIO *bio, const char *data, int size)
{
	struct stream *s = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	buffer_put(&s->loop->cipher, data, (size_t)size);
	return s->loop->cipher.failed ? -1 : size;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH;
}

static int bio_create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

static BIO_METHOD *bio_method; /* made by stream_tls_new, kept */

static int make_bio_method(void)
{
	if (bio_method)
		return 1;
	bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK,
				  "gateway stream");
	return bio_method && BIO_meth_set_create(bio_method, bio_create) &&
	       BIO_meth_set_read(bio_method, bio_read) &&
	       BIO_meth_set_write(bio_method, bio_write) &&
	       BIO_meth_set_ctrl(bio_method, bio_ctrl);
}

/* A descriptor's whole text; PEM files are small. */
static BIO *read_fd(int fd)
{
	BIO *bio = BIO_new(BIO_s_secmem());
	char data[4096];
	off_t at = 0;
	ssize_t n = 0;

	while (bio && at < 65536 &&
	       (n = pread(fd, data, sizeof(data), at)) > 0) {
		BIO_write(bio, data, (int)n);
		at += n;
	}
	OPENSSL_cleanse(data, sizeof(data));
	return bio;
}

static int load_certificate(SSL_CTX *tls, int certificate, int key)
{
	BIO *chain = read_fd(certificate), *secret = read_fd(key);
	X509 *x = chain ? PEM_read_bio_X509(chain, NULL, NULL, NULL) : NULL;
	EVP_PKEY *k = secret ? PEM_read_bio_PrivateKey(secret, NULL, NULL, NULL)
			     : NULL;
	int good = x && k && SSL_CTX_use_certificate(tls, x) == 1 &&
		   SSL_CTX_use_PrivateKey(tls, k) == 1 &&
		   SSL_CTX_check_private_key(tls) == 1;

	X509_free(x);
	while (good && (x = PEM_read_bio_X509(chain, NULL, NULL, NULL)))
		if (SSL_CTX_add0_chain_cert(tls, x) != 1)
			X509_free(x);
	ERR_clear_error();
	EVP_PKEY_free(k);
	BIO_free(chain);
	BIO_free(secret);
	return good;
}

int stream_tls_new(SSL_CTX **tls, int certificate, int key, struct error *error)
{
	SSL_CTX *t = SSL_CTX_new(TLS_server_method());

	*tls = NULL;
	if (!t || !make_bio_method() ||
	    SSL_CTX_set_min_proto_version(t, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(t, "TLS_AES_128_GCM_SHA256:"
					"TLS_AES_256_GCM_SHA384:"
					"TLS_CHACHA20_POLY1305_SHA256") != 1) {
		SSL_CTX_free(t);
		return error_set(error, EIO, "cannot set up TLS");
	}
	SSL_CTX_set_options(t, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
				       SSL_OP_CIPHER_SERVER_PREFERENCE |
				       SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_mode(t, SSL_MODE_RELEASE_BUFFERS |
				    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_id_context(t, (const uint8_t *)"mediavm", 7);
	SSL_CTX_set_num_tickets(t, 1);
	if (!load_certificate(t, certificate, key)) {
		SSL_CTX_free(t);
		return error_set(error, EINVAL,
				 "the gateway's certificate and key do not "
				 "belong together or can't be read");
	}
	*tls = t;
	return 0;
}

void stream_init(struct stream *s, int fd)
{
	*s = (struct stream){.fd = fd};
}

int stream_start_tls(struct stream *s, SSL_CTX *tls)
{
	BIO *bio = BIO_new(bio_method);

	s->ssl = SSL_new(tls);
	if (!s->ssl || !bio) {
		BIO_free(bio);
		s->broken = true;
		return -ENOMEM;
	}
	BIO_set_data(bio, s);
	SSL_set_bio(s->ssl, bio, bio);
	SSL_set_accept_state(s->ssl);
	return 0;
}

int stream_attach(struct stream *s, struct gateway_loop *loop,
		  void (*ready)(struct gateway_source *, uint32_t))
{
	s->loop = loop;
	s->source.ready = ready;
	s->readable = s->writable = true;
	if (s->ssl)
		BIO_set_data(SSL_get_rbio(s->ssl), s);
	return gateway_loop_watch(loop, s->fd,
				  EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
				  &s->source);
}

void stream_detach(struct stream *s)
{
	if (s->loop)
		gateway_loop_unwatch(s->loop, s->fd);
	s->loop = NULL;
	s->source.ready = gateway_silent;
}

void stream_close(struct stream *s)
{
	if (s->fd < 0)
		return;
	stream_detach(s);
	SSL_free(s->ssl);
	close(s->fd);
	buffer_free(&s->in);
	buffer_free(&s->out);
	s->ssl = NULL;
	s->fd = -1;
	s->out_at = s->in_at = s->window_size = 0;
	s->broken = true;
}

void stream_events(struct stream *s, uint32_t events)
{
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		s->readable = true;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		s->hangup = true;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		s->writable = true;
}

/*
 * A short read has emptied the socket and the next edge says when there is
 * more; but the edge of a FIN may have been the last.
 */
static ssize_t take(struct stream *s, void *data, size_t size)
{
	ssize_t n;

	if (s->broken)
		return -1;
	if (!s->readable)
		return 0;
	do
		n = recv(s->fd, data, size, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		s->readable = (size_t)n == size || s->hangup;
		return n;
	}
	s->readable = false;
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	s->broken = true;
	return -1;
}

ssize_t stream_receive(struct stream *s, size_t size)
{
	ssize_t n = take(s, s->loop->wire, size);

	assert(s->window_size == 0);
	if (n > 0) {
		s->window = s->loop->wire;
		s->window_size = (size_t)n;
	}
	return n;
}

int stream_keep(struct stream *s)
{
	if (s->window_size) {
		buffer_put(&s->in, s->window, s->window_size);
		s->window_size = 0;
		s->broken |= s->in.failed;
	}
	return s->broken ? -1 : 0;
}

ssize_t stream_read(struct stream *s, void *data, size_t size)
{
	int n, e;

	if (!s->ssl)
		return take(s, data, size);
	n = SSL_read(s->ssl, data, (int)size);
	if (n > 0)
		return n;
	e = SSL_get_error(s->ssl, n);
	ERR_clear_error();
	if (e == SSL_ERROR_WANT_READ)
		return s->broken ? -1 : 0;
	s->broken = true;
	return -1;
}

int stream_handshake(struct stream *s)
{
	int n = SSL_do_handshake(s->ssl);
	int e = n == 1 ? 0 : SSL_get_error(s->ssl, n);

	ERR_clear_error();
	if (stream_flush(s) < 0)
		return -1;
	if (n == 1)
		return 1;
	return e == SSL_ERROR_WANT_READ && !s->broken ? 0 : -1;
}

/* Sends; returns how much the socket took, -1 when the peer is gone. */
static ssize_t give(struct stream *s, const uint8_t *data, size_t size)
{
	size_t done = 0;

	if (s->broken)
		return -1;
	while (done < size && s->writable) {
		ssize_t n = send(s->fd, data + done, size - done,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0) {
			done += (size_t)n;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			s->writable = false;
		} else if (errno != EINTR) {
			s->broken = true;
			return -1;
		}
	}
	return (ssize_t)done;
}

/* The buffer is empty now; keep its memory for the next one. */
static void put_away(struct gateway_loop *loop, struct buffer *b)
{
	b->size = 0;
	if (!loop->spare.data && b->room <= SPARE_MAX) {
		loop->spare = *b;
		*b = (struct buffer){0};
	} else {
		buffer_free(b);
	}
}

/* What waits goes first. */
static int give_out(struct stream *s)
{
	ssize_t n;

	if (!stream_is_blocked(s))
		return 0;
	n = give(s, s->out.data + s->out_at, s->out.size - s->out_at);
	if (n < 0)
		return -1;
	s->out_at += (size_t)n;
	if (s->out_at == s->out.size) {
		s->out_at = 0;
		put_away(s->loop, &s->out);
	}
	return 0;
}

static int queue(struct stream *s, const void *data, size_t size)
{
	if (!s->out.data) {
		s->out = s->loop->spare;
		s->loop->spare = (struct buffer){0};
	}
	buffer_put(&s->out, data, size);
	s->broken |= s->out.failed;
	return s->broken ? -1 : 0;
}

int stream_write(struct stream *s, const void *data, size_t size)
{
	ssize_t n = 0;

	if (s->broken)
		return -1;
	if (size == 0)
		return 0;
	if (s->ssl) {
		if (SSL_write(s->ssl, data, (int)size) == (int)size)
			return 0;
		ERR_clear_error();
		s->broken = true;
		return -1;
	}
	if (!stream_is_blocked(s))
		n = give(s, data, size);
	if (n < 0)
		return -1;
	if ((size_t)n == size)
		return 0;
	return queue(s, (const uint8_t *)data + n, size - (size_t)n);
}

/* The rest of the loop's records becomes this stream's, without a copy. */
static int keep_cipher(struct stream *s, size_t sent)
{
	struct buffer *c = &s->loop->cipher;
	int r = 0;

	if (sent == c->size) {
		c->size = 0;
	} else if (!stream_is_blocked(s)) {
		buffer_free(&s->out);
		s->out = *c;
		s->out_at = sent;
		*c = s->loop->spare;
		s->loop->spare = (struct buffer){0};
	} else {
		r = queue(s, c->data + sent, c->size - sent);
		c->size = 0;
	}
	return r;
}

int stream_flush(struct stream *s)
{
	struct buffer *c = &s->loop->cipher;
	ssize_t n = 0;

	if (c->failed)
		s->broken = true;
	c->failed = false;
	if (give_out(s) < 0) {
		c->size = 0;
		return -1;
	}
	if (c->size == 0)
		return 0;
	if (!stream_is_blocked(s))
		n = give(s, c->data, c->size);
	if (n < 0) {
		c->size = 0;
		return -1;
	}
	return keep_cipher(s, (size_t)n);
}

void stream_shutdown(struct stream *s)
{
	if (s->broken)
		return;
	if (s->ssl && SSL_is_init_finished(s->ssl))
		SSL_shutdown(s->ssl);
	ERR_clear_error();
	if (stream_flush(s) == 0 && !stream_is_blocked(s))
		shutdown(s->fd, SHUT_WR);
}

bool stream_drain(struct stream *s)
{
	int i = 0;

	while (i < DRAINS && take(s, s->loop->wire, GATEWAY_READ_SIZE) > 0)
		i++;
	return s->broken || i == DRAINS;
}
