/* The serial port, and the end of the machine. */
#include "serial.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>
#include <sys/reboot.h>

static int serial = -1;

void serial_open(void)
{
	struct termios t;

	serial = open("/dev/ttyS0", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (serial >= 0 && tcgetattr(serial, &t) == 0) {
		cfmakeraw(&t);
		tcsetattr(serial, TCSANOW, &t);
	}
}

void say(const char *format, ...)
{
	char line[256];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	line[n] = '\n';
	if (serial >= 0 && write(serial, line, (size_t)n + 1) < 0)
		serial = -1;
}

void power_off(void)
{
	say("PLAYER poweroff");
	if (serial >= 0)
		tcdrain(serial);
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}
