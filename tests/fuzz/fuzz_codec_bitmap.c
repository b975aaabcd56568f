/* Bitmaps; see codec.h. */
#define CODEC CODEC_BITMAP
#include "tests/fuzz/codec.h"
