// The search as it is compiled for one instruction set.
//
// Each file `kernels_*.cpp` compiles the same headers, in a namespace of its own, for other instructions.
#pragma once

#include "student.h"

namespace latimer {

struct Kernels {
  LatimerStudent* (*load)(const LatimerSizes*, const LatimerTables*, const LatimerEncoderLayer*, const LatimerDecoderLayer*,
                          bool tiles);
  void (*unload)(LatimerStudent*);
  LatimerBatch* (*begin)(const LatimerStudent*, int rows, const int32_t* ids, const int32_t* lengths, const int32_t* caps,
                         const float* positions, int aligned);
  int (*encode)(LatimerBatch*, int groups);
  int (*advance)(LatimerBatch*, int steps, const float* positions, const LatimerOutput*);
  void (*end)(LatimerBatch*);
};

#if defined(__x86_64__)
extern const Kernels kAvx512, kAvx2, kAvxVnni;
#elif defined(__aarch64__)
extern const Kernels kNeon, kNeonDotprod;
#endif

}  // namespace latimer

// The kernels that a student was packed for. Its other data are those of `batch.h`.
struct LatimerStudent {
  const latimer::Kernels* kernels = nullptr;
};

struct LatimerBatch {
  const latimer::Kernels* kernels = nullptr;
};
