/* LZ4; see codec.h. */
#define CODEC CODEC_LZ4
#include "tests/fuzz/codec.h"
