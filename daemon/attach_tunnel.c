/*
 * TLS for one channel; see attach_tunnel.h. Once the server is verified it
 * says so, and copies bytes until either side closes.
 */
#include "daemon/attach_tunnel.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/spawn.h"

enum { TLS = 3, PLAIN = 4, CA = 5, WORDS = 6 };

#define HANDSHAKE_MS 10000
#define HANDSHAKE_S 8

/* --- control's side ------------------------------------------------------ */

/* What it said: "" when all is well. */
static int read_words(int fd, struct error *error)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char text[200];
	ssize_t n;

	if (poll(&p, 1, HANDSHAKE_MS) <= 0)
		return error_set(error, -ETIMEDOUT,
				 "TLS with the SPICE server does not come to "
				 "an end");
	n = read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return error_set(error, -EIO, "the TLS tunnel ended at once");
	text[n] = '\0';
	return text[0] == '+' ? 0 : error_set(error, -EACCES, "%s", text);
}

int attach_tunnel(int fd, const char *host, const char *ca_path, int *plain,
		  struct error *error)
{
	const char *const arguments[] = {"tunnel", host, NULL};
	struct spawn spawn = {.arguments = arguments, .fd_count = 4};
	int pair[2] = {-1, -1}, words[2] = {-1, -1}, r = 0;
	int ca = open(ca_path, O_RDONLY | O_CLOEXEC);
	pid_t pid;

	*plain = -1;
	if (ca < 0)
		r = error_errno(error, errno, "can't read %s", ca_path);
	else if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) ||
		 pipe2(words, O_CLOEXEC))
		r = error_errno(error, errno, "no socket");
	if (!r) {
		spawn.fds[0] = fd;
		spawn.fds[1] = pair[1];
		spawn.fds[2] = ca;
		spawn.fds[3] = words[1];
		r = spawn_self(&spawn, &pid, error);
	}
	close(fd);
	if (ca >= 0)
		close(ca);
	if (pair[1] >= 0)
		close(pair[1]);
	if (words[1] >= 0)
		close(words[1]);
	if (!r) {
		waitpid(pid, NULL, 0); /* its child goes on */
		r = read_words(words[0], error);
	}
	if (words[0] >= 0)
		close(words[0]);
	if (!r)
		*plain = pair[0];
	else if (pair[0] >= 0)
		close(pair[0]);
	return r;
}

/* --- the role ------------------------------------------------------------ */

static int say(const char *text)
{
	ssize_t n = write(WORDS, text, strlen(text));

	close(WORDS);
	return n < 0 ? -1 : 0;
}

static int fail(SSL *ssl, const char *doing)
{
	long verified = ssl ? SSL_get_verify_result(ssl) : X509_V_OK;
	char text[180];

	if (verified != X509_V_OK)
		snprintf(text, sizeof(text),
			 "the SPICE server is not who it should be: %s",
			 X509_verify_cert_error_string(verified));
	else
		snprintf(text, sizeof(text), "TLS: %s: %s", doing,
			 ERR_peek_error()
				 ? ERR_reason_error_string(ERR_peek_error())
				 : "the server closed or does not answer");
	say(text);
	return 1;
}

static int load_ca(SSL_CTX *context)
{
	X509_STORE *store = SSL_CTX_get_cert_store(context);
	FILE *file = fdopen(CA, "r");
	int count = 0;
	X509 *x;

	while (file && (x = PEM_read_X509(file, NULL, NULL, NULL))) {
		count += X509_STORE_add_cert(store, x) == 1;
		X509_free(x);
	}
	ERR_clear_error();
	if (file)
		fclose(file);
	return count;
}

static int set_name(SSL *ssl, const char *host)
{
	uint8_t raw[16];

	if (inet_pton(AF_INET, host, raw) == 1 ||
	    inet_pton(AF_INET6, host, raw) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
	return SSL_set_tlsext_host_name(ssl, host) == 1 &&
	       SSL_set1_host(ssl, host) == 1;
}

/* Writes all of it to a socket that may block. */
static bool send_all(int fd, const char *data, size_t size)
{
	while (size) {
		ssize_t n = send(fd, data, size, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		data += n;
		size -= (size_t)n;
	}
	return true;
}

/*
 * What was received through TLS goes on; false at its end. A record may hold
 * nothing for us (a session ticket), so the socket must not block.
 */
static bool from_server(SSL *ssl)
{
	char data[16384];

	do {
		int n = SSL_read(ssl, data, sizeof(data));

		if (n <= 0)
			return SSL_get_error(ssl, n) == SSL_ERROR_WANT_READ;
		if (!send_all(PLAIN, data, (size_t)n))
			return false;
	} while (SSL_pending(ssl));
	return true;
}

static bool from_gateway(SSL *ssl)
{
	char data[16384];
	ssize_t n = recv(PLAIN, data, sizeof(data), 0);
	int sent;

	if (n <= 0)
		return false;
	while ((sent = SSL_write(ssl, data, (int)n)) <= 0) {
		struct pollfd p = {.fd = TLS, .events = POLLOUT};

		if (SSL_get_error(ssl, sent) != SSL_ERROR_WANT_WRITE ||
		    poll(&p, 1, -1) < 0)
			return false;
	}
	return true;
}

/*
 * A side that does not read stops the other: the copy is one buffer at a time
 * and SPICE's own acknowledgements keep a server from filling it for ever.
 */
static void copy(SSL *ssl)
{
	struct pollfd fds[2] = {{.fd = TLS, .events = POLLIN},
				{.fd = PLAIN, .events = POLLIN}};

	for (;;) {
		if (poll(fds, 2, -1) < 0)
			return;
		if (fds[0].revents && !from_server(ssl))
			return;
		if (fds[1].revents && !from_gateway(ssl))
			return;
	}
}

/* The handshake may not last; what follows may. */
static void limit_wait(long seconds)
{
	struct timeval wait = {.tv_sec = seconds};

	setsockopt(TLS, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(TLS, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
}

/* The role's work, its exit status. */
static int run(SSL_CTX *context, SSL *ssl, const char *host)
{
	if (!ssl || !SSL_set_min_proto_version(ssl, TLS1_2_VERSION))
		return fail(NULL, "set-up");
	if (!load_ca(context))
		return say("the CA file holds no certificate in PEM"), 1;
	SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	if (!set_name(ssl, host) || !SSL_set_fd(ssl, TLS))
		return fail(NULL, "set-up");
	limit_wait(HANDSHAKE_S);
	if (SSL_connect(ssl) != 1)
		return fail(ssl, "handshake");
	limit_wait(0);
	fcntl(TLS, F_SETFL, O_NONBLOCK);
	if (say("+") == 0)
		copy(ssl);
	SSL_shutdown(ssl);
	return 0;
}

int attach_tunnel_main(int argc, char **argv)
{
	SSL_CTX *context;
	SSL *ssl;
	int r;

	if (argc != 2 || fork() != 0)
		return 0;
	setsid();
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	context = SSL_CTX_new(TLS_client_method());
	ssl = context ? SSL_new(context) : NULL;
	r = run(context, ssl, argv[1]);
	SSL_free(ssl);
	SSL_CTX_free(context);
	return r;
}
