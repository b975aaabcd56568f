/*
 * The lesson's moving picture: a mountain lake at evening, computed. It has
 * the gradients and the grain of a photograph, so SPICE servers take it for
 * one and make a video stream of it.
 */
#ifndef GUEST_PICTURE_H
#define GUEST_PICTURE_H

#include <stdint.h>

/* Once, before the first picture. */
void picture_init(void);

/* Draws the picture at t seconds into rgb, width * height * 3 bytes. */
void picture_draw(uint8_t *rgb, int width, int height, double t);

#endif
