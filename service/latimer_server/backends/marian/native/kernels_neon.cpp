// The search for 64-bit ARM processors without dot products (ARMv8.0).
#include "platform.h"

#if defined(__aarch64__)

#include "clock.h"
#include "kernels.h"
#include "poll_time.h"

#define LATIMER_KERNELS latimer_neon

#include "simd_neon.h"

namespace LATIMER_KERNELS {
constexpr int kBlocks = 1, kWideBlocks = 4, kAttentionBlocks = 1;
}

#include "dots_neon.h"
#include "matrix.h"
#include "tables_narrow.h"
#include "no_tiles.h"

#include "search.h"

namespace latimer {

using namespace latimer_neon;
const Kernels kNeon = {load_student,  unload_student,  begin_batch,  encode_batch, advance_batch,
                       advance_beams, list_hypotheses, write_tokens, end_batch};

}  // namespace latimer

#endif
