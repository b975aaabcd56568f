/* zlib-GLZ; see codec.h. */
#define CODEC CODEC_ZLIB_GLZ
#include "tests/fuzz/codec.h"
