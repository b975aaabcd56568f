/* What the player says on the serial port (the head of player.c lists it). */
#ifndef GUEST_SERIAL_H
#define GUEST_SERIAL_H

void serial_open(void);

/* One line; without a serial port nothing. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Says so, writes everything out and switches the machine off. */
_Noreturn void power_off(void);

#endif
