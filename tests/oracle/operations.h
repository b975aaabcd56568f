/* Random drawings of every kind that a QXL device knows. */
#ifndef TESTS_ORACLE_OPERATIONS_H
#define TESTS_ORACLE_OPERATIONS_H

#include "tests/oracle/device.h"

/*
 * A drawing on a canvas of the device. What libspice-server or spice-gtk give
 * up on is left out: ternary codes that are functions of fewer operands,
 * images of 4 bits with the low nibble first, surfaces of another depth as
 * images, surfaces as brushes of strokes, and boxes over the edge where the
 * destination is read back.
 */
struct command *operation_any(struct device *device,
			      const struct canvas *canvas);

/* A solid fill of one pixel at the primary's corner. */
struct command *operation_mark(uint32_t colour);

/*
 * What a composition or a text sets on an image (transform, filter, repeat)
 * stays with it in a client that keeps the image, and is in force when it is
 * drawn again; the server reads it anew each time. So this is for sessions
 * that are not compared with the server.
 */
void operations_let_looks_last(void);

#endif
