/* Input events as Linux gives them (<linux/input.h>). */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/input.h>

void input_init(struct input *in, int width, int height)
{
	memset(in, 0, sizeof(*in));
	for (int i = 0; i < INPUTS_MAX; i++)
		in->fds[i] = -1;
	in->width = width;
	in->height = height;
	in->x = width / 2;
	in->y = height / 2;
	input_scan(in);
}

void input_scan(struct input *in)
{
	for (int i = 0; i < INPUTS_MAX; i++) {
		struct input_absinfo a;
		char path[32];

		if (in->fds[i] >= 0)
			continue;
		snprintf(path, sizeof(path), "/dev/input/event%d", i);
		in->fds[i] = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		for (int axis = 0; axis < 2; axis++) {
			if (in->fds[i] < 0 ||
			    ioctl(in->fds[i], EVIOCGABS(axis), &a))
				a = (struct input_absinfo){.maximum = 0};
			in->min[i][axis] = a.minimum;
			in->max[i][axis] = a.maximum;
		}
	}
}

/* The US key caps, by code. */
static void type(struct input *in, int code)
{
	static const char caps[] = "\0\0"
				   "1234567890-=\b\tqwertyuiop[]\r\0"
				   "asdfghjkl;'`\0\\zxcvbnm,./\0*\0 ";
	char text[16];
	size_t have = strlen(in->keys), more;

	if (code == KEY_ENTER)
		snprintf(text, sizeof(text), "<enter>");
	else if (code < (int)sizeof(caps) && caps[code] >= ' ')
		snprintf(text, sizeof(text), "%c", caps[code]);
	else
		snprintf(text, sizeof(text), "<%d>", code);
	more = strlen(text);
	if (have + more >= sizeof(in->keys)) {
		size_t drop = have + more + 1 - sizeof(in->keys);

		memmove(in->keys, in->keys + drop, have - drop + 1);
		have -= drop;
	}
	memcpy(in->keys + have, text, more + 1);
	if (in->n_codes < KEYS_MAX)
		in->codes[in->n_codes++] = code;
}

static void button(struct input *in, unsigned bit, int value)
{
	in->buttons = value ? in->buttons | bit : in->buttons & ~bit;
	in->moved = true;
}

static void key(struct input *in, const struct input_event *e)
{
	if (e->code == BTN_LEFT)
		button(in, 1, e->value);
	else if (e->code == BTN_RIGHT)
		button(in, 2, e->value);
	else if (e->code == BTN_MIDDLE)
		button(in, 4, e->value);
	else if (e->code == KEY_POWER && e->value == 1)
		in->power = true;
	else if (e->code < BTN_MISC && e->value == 1)
		type(in, e->code);
}

static int within(int v, int size)
{
	return v < 0 ? 0 : v >= size ? size - 1 : v;
}

static void move(struct input *in, int slot, const struct input_event *e)
{
	int size = e->code == 0 ? in->width : in->height;
	int *at = e->code == 0 ? &in->x : &in->y;
	int range;

	if (e->code > 1)
		return;
	range = in->max[slot][e->code] - in->min[slot][e->code];
	if (e->type == EV_REL)
		*at = within(*at + e->value, size);
	else if (range > 0)
		*at = within((int)((long)(e->value - in->min[slot][e->code]) *
				   size / range),
			     size);
	in->moved = true;
}

void input_read(struct input *in, int slot)
{
	struct input_event e;
	ssize_t n;

	while ((n = read(in->fds[slot], &e, sizeof(e))) == sizeof(e)) {
		if (e.type == EV_KEY)
			key(in, &e);
		else if (e.type == EV_REL || e.type == EV_ABS)
			move(in, slot, &e);
	}
	if (n < 0 && errno != EAGAIN) { /* unplugged */
		close(in->fds[slot]);
		in->fds[slot] = -1;
	}
}
