// Compiles a part of a file for certain instructions of the processor, with gcc and with clang, and unrolls loops.
//
// Standard headers must be included before LATIMER_TARGET_BEGIN, so that their inline functions run on every processor.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#ifdef LATIMER_EMULATE_TILES  // a test on a processor without AMX
#include "tile_emulation.h"
#endif

#define LATIMER_PRAGMA(text) _Pragma(#text)

#if defined(__clang__)
#define LATIMER_TARGET_BEGIN(features) \
  LATIMER_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define LATIMER_TARGET_END _Pragma("clang attribute pop")
#define LATIMER_UNROLL _Pragma("clang loop unroll(full)")
#else
#define LATIMER_TARGET_BEGIN(features) _Pragma("GCC push_options") LATIMER_PRAGMA(GCC target(features))
#define LATIMER_TARGET_END _Pragma("GCC pop_options")
#define LATIMER_UNROLL _Pragma("GCC unroll 16")
#endif
