// The search for processors with AVX-512 VNNI (Intel since Ice Lake, AMD since Zen 4), with AMX where the processor has it.
#include "platform.h"

#if defined(__x86_64__)

#include "clock.h"
#include "kernels.h"
#include "poll_time.h"

#define LATIMER_KERNELS latimer_avx512

LATIMER_TARGET_BEGIN("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma,f16c,amx-tile,amx-int8")

#include "simd_avx512.h"

namespace LATIMER_KERNELS {
constexpr int kBlocks = 4, kWideBlocks = 16, kAttentionBlocks = 2;
}

#include "dots_vnni.h"
#include "matrix.h"
#include "tables_avx512.h"
#include "tiles.h"

#include "search.h"

LATIMER_TARGET_END

namespace latimer {

using namespace latimer_avx512;
const Kernels kAvx512 = {load_student,  unload_student,  begin_batch,  encode_batch, advance_batch,
                         advance_beams, list_hypotheses, write_tokens, end_batch};

}  // namespace latimer

#endif
