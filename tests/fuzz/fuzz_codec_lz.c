/* LZ; see codec.h. */
#define CODEC CODEC_LZ
#include "tests/fuzz/codec.h"
