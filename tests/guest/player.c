/*
 * player - plays the lesson on this disk, if this is the machine for which
 * it was activated. The first program of the demo guest.
 *
 * On the serial port (ttyS0) it says, one line each:
 *
 *   PLAYER started heads=N
 *   PLAYER field name=board-serial value="..."     the fingerprint
 *   PLAYER activated                               first run: bound to it
 *   PLAYER licensed                                later runs
 *   PLAYER refused field=board-serial was=HEX now=HEX value="..."
 *                                                  one per changed field; HEX
 *                                                  begins the salted digests
 *   PLAYER refused                                 the last of these
 *   PLAYER playing frame=N                         once a second
 *   PLAYER finished frame=N shown=N late=N         the lesson is over
 *   PLAYER sound on | sound lost                   the card; it ran dry
 *   PLAYER heads=N                                 monitors have changed
 *   PLAYER key code=N                              Linux key code
 *   PLAYER pointer x=N y=N buttons=N               at most ten a second
 *   PLAYER poweroff
 *   PLAYER failed what=screen|disk|licence|activation|lesson reason="..."
 *
 * The kernel command line may say:
 *
 *   player.once       keep the lesson's last picture, still, instead of
 *                     beginning anew
 *   player.poweroff   switch the machine off after the lesson or a refusal
 *   player.frames=N   take the lesson for that short
 */
#include "agent.h"
#include "desktop.h"
#include "frame_strip.h"
#include "input.h"
#include "lesson.h"
#include "licence.h"
#include "screen.h"
#include "serial.h"
#include "sound.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/netlink.h>
#include <sys/socket.h>

struct player {
	struct screen screen;
	struct input input;
	struct agent agent;
	struct sound sound;
	struct lesson lesson;
	struct fingerprint fingerprint;
	struct licence licence;
	int uevents;
	int64_t begun_ms; /* the player */

	bool once, poweroff; /* from the command line */
	bool playing;
	bool refused, over;
	uint32_t frames;      /* of the lesson that are played */
	int64_t origin_ms;    /* when frame 0 of this round was due */
	int64_t shown;        /* the last frame, -1 = none */
	unsigned count, late; /* of this round */

	uint64_t sample;  /* next to be played, since the first round */
	int sound_second; /* which second `samples` holds, -1 = none */
	int16_t *samples;
	int64_t pointer_ms; /* when it was last told */
	unsigned second;    /* of the clock */
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* Nothing is played any more. */
static void fail(struct player *p, const char *what, int error)
{
	say("PLAYER failed what=%s reason=\"%s\"", what, strerror(-error));
	if (p->poweroff)
		power_off();
	p->playing = false;
	if (p->screen.heads)
		desktop_refusal(&p->screen, "The lesson cannot be played");
	else
		for (;;)
			pause();
}

static void read_command_line(struct player *p)
{
	char text[4096] = "";
	const char *at;
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = 0;
	p->once = strstr(text, "player.once");
	p->poweroff = strstr(text, "player.poweroff");
	at = strstr(text, "player.frames=");
	if (at)
		p->frames = (uint32_t)strtoul(at + 14, NULL, 10);
}

/* Kernel events tell of devices and monitors that come and go. */
static int open_uevents(void)
{
	struct sockaddr_nl a = {.nl_family = AF_NETLINK, .nl_groups = 1};
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			NETLINK_KOBJECT_UEVENT);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* An arrow, black with a white rim. */
static void set_cursor(struct player *p)
{
	static uint32_t argb[64 * 64];

	for (int y = 0; y < 20; y++)
		for (int x = 0; x <= y * 3 / 4 && y + x / 2 < 20; x++)
			argb[y * 64 + x] =
				x == 0 || x == y * 3 / 4 || y + x / 2 == 19
					? 0xffffffff
					: 0xff000000;
	screen_cursor_shape(&p->screen, argb);
	screen_cursor_move(&p->screen, p->input.x, p->input.y);
}

/* The whole desktop, first or after a change of the monitors. */
static void draw_all(struct player *p)
{
	desktop_draw(&p->screen);
	desktop_licence(&p->screen, &p->fingerprint, &p->licence);
	p->input.width = p->screen.heads * HEAD_WIDTH;
	p->input.height = HEAD_HEIGHT;
	set_cursor(p);
}

static void note(struct player *p, const char *format, ...)
{
	char text[128];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	desktop_note(&p->screen, text);
}

static void show_refusal(struct player *p)
{
	int line = 0;

	desktop_refusal(&p->screen, "Licensed for another machine");
	for (int i = 0; i < p->fingerprint.n; i++) {
		char text[160];

		if (!p->licence.changed[i])
			continue;
		snprintf(text, sizeof(text), "%s has changed; it is now \"%s\"",
			 p->fingerprint.fields[i].name,
			 p->fingerprint.fields[i].value);
		desktop_refusal_line(&p->screen, line++, text);
	}
}

static void refuse(struct player *p)
{
	for (int i = 0; i < p->fingerprint.n; i++) {
		const struct field *f = &p->fingerprint.fields[i];
		const uint8_t *was = p->licence.was[i],
			      *now = p->licence.now[i];

		if (p->licence.changed[i])
			say("PLAYER refused field=%s was=%02x%02x%02x%02x "
			    "now=%02x%02x%02x%02x value=\"%s\"",
			    f->name, was[0], was[1], was[2], was[3], now[0],
			    now[1], now[2], now[3], f->value);
	}
	say("PLAYER refused");
	show_refusal(p);
	note(p, "The licence does not fit this machine.");
	p->refused = true;
	if (p->poweroff)
		power_off();
}

static void open_licence(struct player *p)
{
	enum licence_state state;

	fingerprint_read(&p->fingerprint, p->lesson.disk);
	for (int i = 0; i < p->fingerprint.n; i++)
		say("PLAYER field name=%s value=\"%s\"",
		    p->fingerprint.fields[i].name,
		    p->fingerprint.fields[i].value);
	state = licence_open(&p->licence, p->lesson.disk, &p->fingerprint);
	desktop_licence(&p->screen, &p->fingerprint, &p->licence);
	switch (state) {
	case LICENCE_ACTIVATED:
		say("PLAYER activated");
		note(p, "Activated: the lesson is bound to this machine now.");
		break;
	case LICENCE_VALID:
		say("PLAYER licensed");
		note(p, "The licence fits this machine.");
		break;
	case LICENCE_REFUSED:
		refuse(p);
		return;
	case LICENCE_ABSENT:
		fail(p, "licence", -ENOENT);
		return;
	case LICENCE_FAILED:
		fail(p, "activation", -EIO);
		return;
	}
	memcpy(p->lesson.key, p->licence.key, KEY_SIZE);
	if (p->frames == 0 || p->frames > p->lesson.head.frames)
		p->frames = p->lesson.head.frames;
	p->samples = calloc(p->lesson.head.sample_rate, sizeof(*p->samples));
	p->playing = p->samples;
}

/* The card may come later than the picture; then it joins in. */
static void open_sound(struct player *p)
{
	if (p->sound.fd >= 0 ||
	    sound_open(&p->sound, p->lesson.head.sample_rate) != 0)
		return;
	say("PLAYER sound on");
	if (p->origin_ms)
		p->sample = (uint64_t)(now_ms() - p->origin_ms) *
			    p->lesson.head.sample_rate / 1000;
}

/* Fills the sound card's buffer up to what it takes now. */
static void play_sound(struct player *p, int64_t elapsed_ms)
{
	const struct lesson_head *h = &p->lesson.head;
	uint32_t seconds = p->frames / h->rate ? p->frames / h->rate : 1;
	ssize_t n = 1;

	while (p->sound.fd >= 0 && n > 0) {
		int second = (int)(p->sample / h->sample_rate % seconds);
		uint32_t at = (uint32_t)(p->sample % h->sample_rate);

		if (second != p->sound_second &&
		    lesson_sound(&p->lesson, (uint32_t)second, p->samples) != 0)
			return;
		p->sound_second = second;
		n = sound_write(&p->sound, p->samples + at,
				h->sample_rate - at);
		if (n > 0)
			p->sample += (uint64_t)n;
	}
	if (n == -EPIPE) { /* go on where the picture is */
		say("PLAYER sound lost");
		p->sample = (uint64_t)elapsed_ms * h->sample_rate / 1000;
	}
}

static void finish(struct player *p)
{
	say("PLAYER finished frame=%u shown=%u late=%u", p->frames - 1,
	    p->count, p->late);
	note(p, "The lesson is over: %u frames shown, %u late.", p->count,
	     p->late);
	if (p->poweroff)
		power_off();
	if (p->once) {
		p->playing = false;
		p->over = true;
		sound_stop(&p->sound);
	}
	p->count = p->late = 0;
	p->shown = -1;
	p->origin_ms += p->frames * 1000LL / p->lesson.head.rate;
}

static void show_frame(struct player *p, int64_t frame)
{
	static const struct rect place = {LESSON_X, LESSON_Y, LESSON_WIDTH,
					  LESSON_HEIGHT};
	int64_t rate = p->lesson.head.rate;
	int error = lesson_frame(&p->lesson, (uint32_t)frame, &p->screen);

	if (error) {
		fail(p, "lesson", error);
		return;
	}
	screen_flush(&p->screen, place);
	p->count++;
	p->late += (unsigned)(frame - p->shown - 1);
	if (p->shown < 0 || frame / rate != p->shown / rate) {
		say("PLAYER playing frame=%d", (int)frame);
		desktop_progress(&p->screen, (unsigned)frame, p->frames);
	}
	p->shown = frame;
}

/* What is due now; returns the milliseconds until the next frame. */
static int play(struct player *p)
{
	int64_t rate = p->lesson.head.rate, now, frame;

	if (!p->playing)
		return 1000;
	open_sound(p);
	now = now_ms();
	if (p->shown < 0 && p->origin_ms == 0)
		p->origin_ms = now;
	play_sound(p, now - p->origin_ms);
	frame = (now - p->origin_ms) * rate / 1000;
	if (frame >= p->frames) {
		finish(p);
		return 0;
	}
	if (frame > p->shown)
		show_frame(p, frame);
	now = p->origin_ms + (p->shown + 1) * 1000 / rate - now_ms();
	return now > 0 ? (int)now : 0;
}

static void tell_input(struct player *p)
{
	struct input *in = &p->input;

	if (in->power)
		power_off();
	for (int i = 0; i < in->n_codes; i++)
		say("PLAYER key code=%d", in->codes[i]);
	if (in->n_codes)
		desktop_keys(&p->screen, in->keys);
	in->n_codes = 0;
	if (in->moved && now_ms() - p->pointer_ms >= 100) {
		p->pointer_ms = now_ms();
		say("PLAYER pointer x=%d y=%d buttons=%u", in->x, in->y,
		    in->buttons);
		desktop_mouse(&p->screen, in->x, in->y, in->buttons);
		screen_cursor_move(&p->screen, in->x, in->y);
		in->moved = false;
	}
}

static void clock_tick(struct player *p)
{
	static const char *const words[] = {
		"The sun goes down.", "Clouds pass over the hills.",
		"The lake mirrors them.", "Far ranges turn violet."};
	unsigned second = (unsigned)((now_ms() - p->begun_ms) / 1000);

	if (second == p->second || p->over)
		return;
	p->second = second;
	desktop_clock(&p->screen, second);
	if (p->playing && second % 3 == 0)
		note(p, "%02u:%02u  %s", second / 60, second % 60,
		     words[second / 3 % 4]);
}

static void read_uevents(struct player *p)
{
	char event[4096];

	while (recv(p->uevents, event, sizeof(event), 0) > 0)
		;
	input_scan(&p->input);
	if (screen_connect(&p->screen) == 1) {
		say("PLAYER heads=%d", p->screen.heads);
		draw_all(p);
		if (p->refused)
			show_refusal(p);
	}
}

static void wait_for_input(struct player *p, int ms)
{
	struct pollfd fds[INPUTS_MAX + 2];

	for (int i = 0; i < INPUTS_MAX; i++)
		fds[i] = (struct pollfd){p->input.fds[i], POLLIN, 0};
	fds[INPUTS_MAX] = (struct pollfd){p->uevents, POLLIN, 0};
	fds[INPUTS_MAX + 1] = (struct pollfd){p->agent.fd, POLLIN, 0};
	if (poll(fds, INPUTS_MAX + 2, ms > 250 ? 250 : ms) <= 0)
		return;
	for (int i = 0; i < INPUTS_MAX; i++)
		if (fds[i].revents)
			input_read(&p->input, i);
	if (fds[INPUTS_MAX].revents)
		read_uevents(p);
	if (fds[INPUTS_MAX + 1].revents & POLLIN)
		agent_read(&p->agent);
}

int main(void)
{
	static struct player p = {
		.sound.fd = -1, .shown = -1, .sound_second = -1};
	int error;

	serial_open();
	read_command_line(&p);
	p.begun_ms = now_ms();
	p.uevents = open_uevents();
	error = screen_open(&p.screen);
	if (error < 0)
		fail(&p, "screen", error);
	say("PLAYER started heads=%d", p.screen.heads);
	input_init(&p.input, p.screen.heads * HEAD_WIDTH, HEAD_HEIGHT);
	agent_open(&p.agent);
	draw_all(&p);
	error = lesson_find(&p.lesson);
	if (error)
		fail(&p, "disk", error);
	else
		open_licence(&p);
	for (;;) {
		int ms = play(&p);

		clock_tick(&p);
		tell_input(&p);
		wait_for_input(&p, ms);
	}
}
