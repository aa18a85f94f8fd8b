// The search for processors with AVX2 (Intel since Haswell, AMD since Excavator).
#include "platform.h"

#if defined(__x86_64__)

#include "clock.h"
#include "kernels.h"
#include "poll_time.h"

#define LATIMER_KERNELS latimer_avx2

LATIMER_TARGET_BEGIN("avx2,fma,f16c")

#include "simd_avx2.h"

namespace LATIMER_KERNELS {
constexpr int kBlocks = 1, kWideBlocks = 4, kAttentionBlocks = 1;
}

#include "dots_avx2.h"
#include "matrix.h"
#include "tables_narrow.h"
#include "no_tiles.h"

#include "search.h"

LATIMER_TARGET_END

namespace latimer {

using namespace latimer_avx2;
const Kernels kAvx2 = {load_student,  unload_student,  begin_batch,  encode_batch, advance_batch,
                       advance_beams, list_hypotheses, write_tokens, end_batch};

}  // namespace latimer

#endif
