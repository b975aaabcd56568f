/* The lesson's picture: sky, sun, three ranges of hills and their lake. */
#include "picture.h"

#include <math.h>
#include <string.h>

enum { TEXTURE = 1024, RANGES = 3 };

static float texture[TEXTURE][TEXTURE]; /* tileable clouds, 0..1 */

struct colour {
	float r, g, b;
};

static uint32_t hash(uint32_t x, uint32_t y)
{
	uint32_t h = x * 0x9e3779b1u ^ y * 0x85ebca77u;

	h ^= h >> 15;
	h *= 0x2c1b3c6du;
	h ^= h >> 12;
	h *= 0x297a2d39u;
	return h ^ h >> 15;
}

static float lattice(uint32_t x, uint32_t y, uint32_t period, uint32_t octave)
{
	return (hash(x % period, y % period + octave * 7919) & 0xffff) /
	       65535.f;
}

static float smooth(float a, float b, float t)
{
	return a + (b - a) * t * t * (3 - 2 * t);
}

static float noise(float x, float y, uint32_t period, uint32_t octave)
{
	uint32_t ix = (uint32_t)x, iy = (uint32_t)y;
	float fx = x - (float)ix, fy = y - (float)iy;

	return smooth(smooth(lattice(ix, iy, period, octave),
			     lattice(ix + 1, iy, period, octave), fx),
		      smooth(lattice(ix, iy + 1, period, octave),
			     lattice(ix + 1, iy + 1, period, octave), fx),
		      fy);
}

void picture_init(void)
{
	for (int y = 0; y < TEXTURE; y++)
		for (int x = 0; x < TEXTURE; x++) {
			float sum = 0, weight = 0.5f;
			uint32_t period = 8;

			for (uint32_t o = 0; o < 6; o++) {
				float step = (float)period / TEXTURE;

				sum += weight * noise((float)x * step,
						      (float)y * step, period,
						      o);
				weight /= 2;
				period *= 2;
			}
			texture[y][x] = sum;
		}
}

static float cloud(float x, float y)
{
	return texture[(int)y & (TEXTURE - 1)][(int)x & (TEXTURE - 1)];
}

static float clamp(float v, float low, float high)
{
	return v < low ? low : v > high ? high : v;
}

static struct colour mix(struct colour a, struct colour b, float t)
{
	return (struct colour){a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t,
			       a.b + (b.b - a.b) * t};
}

static void store(uint8_t *p, struct colour c, uint32_t grain)
{
	float g = (float)(grain & 7) - 3.5f;

	p[0] = (uint8_t)clamp(c.r + g, 0, 255);
	p[1] = (uint8_t)clamp(c.g + g, 0, 255);
	p[2] = (uint8_t)clamp(c.b + g, 0, 255);
}

/* x, y in px, h the horizon's y, sun where it stands. */
static struct colour sky(float x, float y, float h, float sun_x, float sun_y,
			 float t)
{
	static const struct colour top = {38, 62, 118}, low = {250, 176, 110},
				   sun = {255, 244, 214},
				   bright = {255, 214, 176};
	struct colour c = mix(top, low, powf(clamp(y / h, 0, 1), 1.4f));
	float d = hypotf(x - sun_x, y - sun_y);
	float v = cloud(x * 1.3f + t * 22, y * 3.1f + t * 3) * 0.65f +
		  cloud(x * 2.9f + t * 37 + 300, y * 6.7f + 211) * 0.35f;

	c = mix(c, bright, clamp((v - 0.45f) * 3.2f, 0, 0.85f));
	c = mix(c, sun, clamp(40 / (d + 12), 0, 1) * 0.55f);
	return d < 24 ? mix(sun, c, clamp(d - 22, 0, 1)) : c;
}

/* The height of a range's ridge over the horizon, px. */
static float ridge(int range, float x)
{
	static const float high[RANGES] = {120, 84, 46};
	static const float wide[RANGES] = {0.55f, 0.8f, 1.3f};
	float v = cloud(x * wide[range], 100 + 300 * (float)range);
	float w = cloud(x * wide[range] * 4, 50 + 300 * (float)range);

	return high[range] * (v * 1.5f + w * 0.25f - 0.35f);
}

static struct colour hill(int range, float x, float y)
{
	static const struct colour far_off[RANGES] = {
		{120, 110, 140}, {74, 78, 96}, {34, 48, 40}};
	float v = cloud(x * 3, y * 5 + 331 * (float)range) +
		  cloud(x * 7 + 77, y * 9) * 0.6f;

	return mix(far_off[range], (struct colour){210, 150, 110},
		   clamp((v - 0.7f) * 0.6f, 0, 0.5f));
}

static struct colour above(float x, float y, float h, float t)
{
	float sun_x = 470 - t * 6, sun_y = 60 + t * 2;

	for (int i = RANGES - 1; i >= 0; i--) {
		float moved = x + t * (8 + 14 * (float)(i * i)) + 500;

		if (h - y < ridge(i, moved))
			return hill(i, moved, y);
	}
	return sky(x, y, h, sun_x, sun_y, t);
}

void picture_draw(uint8_t *rgb, int width, int height, double seconds)
{
	static const struct colour water = {26, 44, 70};
	float t = (float)seconds, h = (float)height * 0.58f;
	uint32_t frame = (uint32_t)(seconds * 1000);

	for (int y = 0; y < height; y++)
		for (int x = 0; x < width; x++) {
			uint8_t *p = rgb + (y * width + x) * 3;
			float fy = (float)y, fx = (float)x;
			uint32_t grain =
				hash((uint32_t)x + frame * 131, (uint32_t)y);
			struct colour c;

			if (fy < h) {
				c = above(fx, fy, h, t);
			} else {
				float depth = fy - h;
				float wave = cloud(fx * 1.5f + t * 30,
						   900 * 40 / (depth + 14) +
							   t * 60) -
					     0.5f;

				c = above(fx + wave * depth * 0.35f,
					  h - depth * 1.1f - 1 -
						  fabsf(wave) * depth,
					  h, t);
				c = mix(c, water,
					0.25f + 0.3f * depth / (float)height +
						wave * 0.4f);
			}
			store(p, c, grain);
		}
}
