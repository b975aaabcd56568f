/* GLZ; see codec.h. */
#define CODEC CODEC_GLZ
#include "tests/fuzz/codec.h"
