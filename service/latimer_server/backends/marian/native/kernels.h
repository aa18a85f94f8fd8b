// The search as it is compiled for one instruction set.
//
// Each file `kernels_*.cpp` compiles the same headers, in a namespace of its own, for other instructions.
#pragma once

#include "student.h"

namespace latimer {

struct Kernels {
  LatimerStudent* (*load)(const LatimerSizes&, const LatimerTables&, const LatimerEncoderLayer*, const LatimerDecoderLayer*,
                          bool tiles);
  void (*unload)(LatimerStudent*);
  LatimerBatch* (*begin)(const LatimerStudent*, const LatimerRequest&);
  int (*encode)(LatimerBatch*);
  int (*advance)(LatimerBatch*, int steps, const float* positions, const LatimerOutput&);
  int (*advance_beams)(LatimerBatch*, int steps, const float* positions);
  int64_t (*list_hypotheses)(LatimerBatch*, const LatimerHypotheses&);
  void (*write_tokens)(const LatimerBatch*, const LatimerTokens&);
  void (*end)(LatimerBatch*);
};

#if defined(__x86_64__)
extern const Kernels kAvx512, kAvx2, kAvxVnni;
#elif defined(__aarch64__)
extern const Kernels kNeon, kNeonDotprod, kNeonI8mm;
#endif

}  // namespace latimer

// The kernels that a student was packed for, and what `checks.h` needs. The other data are those of `batch.h`.
struct LatimerStudent {
  const latimer::Kernels* kernels = nullptr;
  LatimerSizes sizes;
};

// `waiting` sources are not encoded yet, and `position` steps are decoded. `tokens` is the number of tokens of the listed
// hypotheses, or -1.
struct LatimerBatch {
  const latimer::Kernels* kernels = nullptr;
  LatimerSizes sizes;
  int rows, aligned, beams, hypotheses;
  int waiting = 0, position = 0;
  const int64_t* poll_time = nullptr;
  int64_t tokens = -1;
};
