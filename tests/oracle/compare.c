/*
 * compare CAPTURE [all]: a recording through our decoder and through
 * spice-client-glib in lock-step. After every message the surface it may
 * have drawn on must be the same in both, bit for bit; see lockstep.h.
 *
 * Prints what the recording held, and the first difference if there is one;
 * with "all" every one, each time going on from the client's pixels.
 * Exit status: 0 equal, 1 different, 2 it could not be done.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "recorder/capture_reader.h"
#include "tests/oracle/lockstep.h"

static void print_counts(const struct lockstep_counts *n)
{
	for (unsigned i = 0; i < DISPLAY_MESSAGE_MAX; i++)
		if (n->messages[i])
			printf("message %s %" PRIu64 "\n",
			       display_message_name(i), n->messages[i]);
#define IMAGE_TYPE(number, name, text) \
	if (n->images[number]) \
		printf("image %s %" PRIu64 "\n", text, n->images[number]);
	IMAGE_TYPES(IMAGE_TYPE)
#undef IMAGE_TYPE
	printf("compared %" PRIu64 " offscreen %" PRIu64 " cursors %" PRIu64
	       " frames %" PRIu64 " of %" PRIu64 " worst %u mean %.2f\n",
	       n->compared, n->offscreen, n->cursors, n->frames_shown,
	       n->frames, n->frame_worst, n->frame_mean);
}

/* What the client was given when it gave up: it ends the process. */
static char present[96];

static void on_end(int signal)
{
	static const char text[] = "failed the client ended itself at ";
	ssize_t n = write(STDOUT_FILENO, text, sizeof(text) - 1);

	if (n > 0)
		n = write(STDOUT_FILENO, present, strlen(present));
	_exit(n > 0 ? 2 : 128 + signal);
}

static void note(const struct capture_item *item)
{
	const char *name = NULL;

	if (item->kind != CAPTURE_MESSAGE)
		return;
	if (item->channel->mess.channel_type == 2)
		name = display_message_name(item->type);
	snprintf(present, sizeof(present),
		 "channel %u.%u, message %" PRIu64 ", type %u %s\n",
		 item->channel->mess.channel_type,
		 item->channel->mess.channel_id, item->serial, item->type,
		 name ? name : "");
}

static int run(struct capture_reader *reader, struct lockstep *step,
	       struct error *error)
{
	struct capture_item item;
	int r;

	while ((r = capture_reader_next(reader, &item, error)) > 0) {
		note(&item);
		r = lockstep_feed(step, &item, error);
		if (r)
			return r;
	}
	return r ? r : lockstep_finish(step, error);
}

int main(int argc, char **argv)
{
	struct capture_reader *reader = NULL;
	struct lockstep *step = NULL;
	struct error error = {0};
	bool different = false;
	int fd, r;

	if (argc < 2 || argc > 3 || (argc == 3 && strcmp(argv[2], "all"))) {
		fprintf(stderr, "usage: compare CAPTURE [all]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGABRT, on_end);
	signal(SIGTRAP, on_end);
	fd = open(argv[1], O_RDONLY);
	if (fd < 0)
		r = error_errno(&error, errno, "cannot read %s", argv[1]);
	else
		r = capture_reader_new(&reader, fd, &error);
	if (!r)
		r = lockstep_new(&step, argc == 3, &error);
	if (!r)
		r = run(reader, step, &error);
	if (step) {
		print_counts(lockstep_counts(step));
		different = lockstep_counts(step)->differences > 0;
	}
	if (r)
		printf("%s %s\n", r == -ERANGE ? "differs" : "failed",
		       error.text);
	lockstep_free(step);
	capture_reader_free(reader);
	if (fd >= 0)
		close(fd);
	return r && r != -ERANGE ? 2 : different;
}
