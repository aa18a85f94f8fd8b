// The search for 64-bit ARM processors with the matrix instructions of ARMv8.6 (SMMLA): Graviton 3, Neoverse V1 and N2.
#include "platform.h"

#if defined(__aarch64__)

#include "clock.h"
#include "kernels.h"
#include "poll_time.h"

#define LATIMER_KERNELS latimer_neon_i8mm
#define LATIMER_NEON_DOTPROD
#define LATIMER_NEON_I8MM

LATIMER_TARGET_BEGIN("arch=armv8.2-a+dotprod+i8mm")

#include "simd_neon.h"

namespace LATIMER_KERNELS {
constexpr int kBlocks = 1, kWideBlocks = 4, kAttentionBlocks = 1;
}

#include "dots_neon.h"
#include "matrix.h"
#include "tables_narrow.h"
#include "tiles_i8mm.h"

#include "search.h"

LATIMER_TARGET_END

namespace latimer {

using namespace latimer_neon_i8mm;
const Kernels kNeonI8mm = {load_student,  unload_student,  begin_batch,  encode_batch, advance_batch,
                           advance_beams, list_hypotheses, write_tokens, end_batch};

}  // namespace latimer

#endif
