/* QUIC; see codec.h. */
#define CODEC CODEC_QUIC
#include "tests/fuzz/codec.h"
