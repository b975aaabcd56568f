/*
 * Drawing operations against libspice-server: random but reproducible ones,
 * with clips, masks, brushes, raster operations and scaling; after each the
 * decoder's picture must be the server's own, pixel by pixel.
 */
#include "tests/unit/draw_operations.h"

OPERATION(fill)
OPERATION(copy)
OPERATION(opaque)
OPERATION(rop3)
OPERATION(constant)
OPERATION(transparent)
OPERATION(alpha_blend)
OPERATION(copy_bits)

/* A primary of 16 bits, which some drivers still use. */
static void change_to_16_bits(void **state)
{
	QXLDevSurfaceCreate primary = {.width = WIDTH,
				       .height = HEIGHT,
				       .stride = WIDTH * 2,
				       .format = SPICE_SURFACE_FMT_16_555,
				       .mouse_mode = 1,
				       .mem = (uintptr_t)framebuffer};

	(void)state;
	spice_qxl_destroy_primary_surface(&qxl, 0);
	pixel_size = 2;
	memset(framebuffer, 0, sizeof(framebuffer));
	spice_qxl_create_primary_surface(&qxl, 0, &primary);
	draw_some(random_fill, 60);
	draw_some(random_copy, 60);
	draw_some(random_opaque, 60);
	draw_some(random_rop3, 60);
	draw_some(random_constant, 20);
	draw_some(random_copy_bits, 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fill),
		cmocka_unit_test(copy),
		cmocka_unit_test(opaque),
		cmocka_unit_test(rop3),
		cmocka_unit_test(constant),
		cmocka_unit_test(transparent),
		cmocka_unit_test(alpha_blend),
		cmocka_unit_test(copy_bits),
		cmocka_unit_test(change_to_16_bits),
	};

	return cmocka_run_group_tests(tests, server_set_up, server_tear_down);
}
