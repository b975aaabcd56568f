/*
 * A guest that takes part in any link and sends every message back, for
 * tests of the gateway. One per process; thread for each channel.
 */
#ifndef TESTS_ECHO_GUEST_H
#define TESTS_ECHO_GUEST_H

#include "tests/gateway_harness.h"
#include "tests/spice_peer.h"

#define BODY_MAX (1u << 20) /* of a message, bytes */
#define ECHO_NO_CHANNEL 77  /* an id that this guest has not got */
#define ECHO 150            /* a type that nobody filters */

static struct link_key *echo_key;
static uint16_t echo_port;
static atomic_uint echo_messages; /* that arrived */
static atomic_int echo_main = -1; /* socket of the last main channel */
static uint32_t echo_result;      /* of every link */

static void *echo_serve(void *cookie)
{
	struct peer p = {.fd = (int)(intptr_t)cookie};
	uint8_t *body = malloc(BODY_MAX);
	struct link_mess mess;
	uint16_t type;
	ssize_t n;

	if (peer_accept_link(&p, echo_key, 0, echo_result, &mess) == 0) {
		if (mess.channel_type == SPICE_CHANNEL_MAIN)
			echo_main = p.fd;
		while ((n = peer_receive(&p, &type, body, BODY_MAX)) >= 0) {
			echo_messages++;
			if (peer_send(&p, type, body, (uint32_t)n) < 0)
				break;
		}
	}
	peer_close(&p);
	free(body);
	return NULL;
}

static void *echo_accept(void *cookie)
{
	int listener = (int)(intptr_t)cookie, fd;
	pthread_t thread;

	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		pthread_create(&thread, NULL, echo_serve, (void *)(intptr_t)fd);
		pthread_detach(thread);
	}
	return NULL;
}

/* For struct harness. */
__attribute__((unused)) static int echo_dial(void *cookie, unsigned type,
					     unsigned id)
{
	(void)cookie;
	(void)type;
	return id == ECHO_NO_CHANNEL ? -1 : harness_dial(echo_port, NULL);
}

__attribute__((unused)) static void echo_start(void)
{
	pthread_t thread;
	int listener;

	if (link_key_new(&echo_key, NULL) < 0)
		harness_die("link key");
	listener = harness_listen("127.0.0.1", &echo_port);
	pthread_create(&thread, NULL, echo_accept, (void *)(intptr_t)listener);
}

/* Sends a message through the gateway and has it back unchanged. */
__attribute__((unused)) static bool comes_back(struct peer *p, uint16_t type,
					       uint32_t size)
{
	static uint8_t sent[BODY_MAX], got[BODY_MAX];
	uint16_t got_type = 0;

	for (uint32_t i = 0; i < size; i++)
		sent[i] = (uint8_t)(i * 7 + type + (i >> 8));
	return peer_send(p, type, sent, size) == 0 &&
	       peer_receive(p, &got_type, got, BODY_MAX) == (ssize_t)size &&
	       got_type == type && memcmp(sent, got, size) == 0;
}

/* kB of memory in use, or 0. */
__attribute__((unused)) static unsigned long memory_of(pid_t pid)
{
	char path[64], line[128];
	unsigned long kb = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %lu", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb;
}

#endif
