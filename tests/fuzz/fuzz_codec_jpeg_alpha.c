/* JPEG with alpha; see codec.h. */
#define CODEC CODEC_JPEG_ALPHA
#include "tests/fuzz/codec.h"
