/*
 * gateway_control PORT CAPTURE TICKET [KEY=VALUE...] - a gateway in front of
 * a SPICE server on 127.0.0.1:PORT (without ticket) that lets one session in
 * with TICKET and records it into CAPTURE ("": not). Prints the port and the
 * CA file, then what happens; ends with its standard input.
 *
 * A policy key may be given; `view-only=on` as well.
 */
#include "tests/gateway_harness.h"

static int dial_guest(void *cookie, unsigned type, unsigned id)
{
	(void)type;
	(void)id;
	return harness_dial(*(uint16_t *)cookie, NULL);
}

int main(int argc, char **argv)
{
	static struct harness h = {.verbose = true, .connect = dial_guest};
	struct harness_ticket *t;
	struct error error;
	uint16_t port;
	char c;

	HARNESS_MAIN(argc, argv);
	if (argc < 4)
		return 2;
	port = (uint16_t)atoi(argv[1]);
	h.cookie = &port;
	harness_start(&h, "127.0.0.1");
	t = harness_ticket(&h, argv[3]);
	snprintf(t->capture, sizeof(t->capture), "%s", argv[2]);
	for (int i = 4; i < argc; i++) {
		char *value = strchr(argv[i], '=');

		if (!value)
			return 2;
		*value++ = 0;
		if (strcmp(argv[i], "view-only") == 0)
			t->view_only = true;
		else if (policy_set(&t->policy, argv[i], value, &error) < 0) {
			fprintf(stderr, "%s\n", error.text);
			return 2;
		}
	}
	printf("port %u\nca %s/ca.pem\ngateway %d\n", h.port, h.folder,
	       (int)h.gateway);
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	return harness_stop(&h) != 0;
}
