/*
 * Strokes, text and compositions against libspice-server: random but
 * reproducible ones; after each the decoder's picture must be the server's
 * own, pixel by pixel.
 */
#include "tests/unit/draw_operations.h"

OPERATION(stroke)
OPERATION(dashes)
OPERATION(text)
OPERATION(composite)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stroke),
		cmocka_unit_test(dashes),
		cmocka_unit_test(text),
		cmocka_unit_test(composite),
	};

	return cmocka_run_group_tests(tests, server_set_up, server_tear_down);
}
