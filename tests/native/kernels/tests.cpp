// Tests of the engine's kernels for one instruction set, whose file the macro LATIMER_KERNELS_FILE names.
//
// The compiler gets the flags of that instruction set for this whole file, so the program runs only on a processor that
// has it. `tests/native_builds.py` has the commands.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include LATIMER_KERNELS_FILE

// clang-format off
#include "draws.h"
#include "test_products.h"
#include "test_tables.h"
#include "test_vectors.h"
#include "test_softmax.h"
#include "test_attention.h"
// clang-format on
