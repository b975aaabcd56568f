/* JPEG; see codec.h. */
#define CODEC CODEC_JPEG
#include "tests/fuzz/codec.h"
