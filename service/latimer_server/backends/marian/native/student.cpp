// Greedy search over a Marian student: encodes the sources of a batch, then decodes it step by step.
//
// The network has a transformer encoder (Vaswani et al. 2017, post-norm) and an SSRU decoder (Kim et al. 2019), in int8.
// Rows have no padding and leave the batch when they end. Sums of bytes are exact and everything else is computed one row
// at a time, so that the output of a row does not depend on its batch. The caller has checked all sizes.
#include "student.h"

#if defined(__x86_64__) && defined(__linux__)

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma,amx-tile,amx-int8")

#include <new>

#include "decoder.h"
#include "encoder.h"

namespace {

constexpr int32_t kEnd = 0;

}  // namespace

#pragma GCC pop_options

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

uint64_t read_enabled_state() {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

// Asks the kernel for permission to use AMX tiles, which it grants on request only (arch_prctl(2)).
bool ask_for_tiles() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

extern "C" {

int latimer_get_interface(void) { return LATIMER_INTERFACE; }

int latimer_find_instructions(void) {
  uint32_t a, b, c, d;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_OSXSAVE) == 0 || (c & bit_FMA) == 0) return LATIMER_NONE;
  const uint64_t enabled = read_enabled_state();
  if ((enabled & 0xe6) != 0xe6 || __get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return LATIMER_NONE;
  constexpr uint32_t kWide = bit_AVX512F | bit_AVX512BW | bit_AVX512VL | bit_AVX512DQ;
  if ((b & kWide) != kWide || (c & bit_AVX512VNNI) == 0) return LATIMER_NONE;
  constexpr uint32_t kTiles = 1u << 24 | 1u << 25;
  if ((d & kTiles) != kTiles || (enabled & 0x60000) != 0x60000 || !ask_for_tiles()) return LATIMER_DOTS;
  return LATIMER_TILES;
}

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma,amx-tile,amx-int8")

LatimerStudent* latimer_load(const LatimerSizes* sizes, const LatimerTables* tables, const LatimerEncoderLayer* encoder,
                             const LatimerDecoderLayer* decoder, int instructions) {
  using namespace latimer;
  auto* student = new (std::nothrow) LatimerStudent();
  if (student == nullptr) return nullptr;
  Memory& memory = student->memory;
  student->sizes = *sizes;
  student->tables = *tables;
  student->tiles = instructions == LATIMER_TILES;
  const int d = sizes->dimension;
  // The query includes the attention's factor 1/sqrt(depth).
  const float query_factor = 1.0f / std::sqrt(static_cast<float>(student->depth()));
  student->encoder = memory.take<EncoderLayer>(sizes->encoder_depth);
  student->decoder = memory.take<DecoderLayer>(sizes->decoder_depth);
  prepare(memory, student->context, d, 2 * d * sizes->decoder_depth);
  for (int n = 0; n < sizes->encoder_depth && !memory.failed; ++n) {
    EncoderLayer& layer = *new (student->encoder + n) EncoderLayer();
    const LatimerEncoderLayer& source = encoder[n];
    prepare(memory, layer.read, d, 3 * d);
    prepare(memory, layer.out, d, d);
    if (memory.failed) break;
    add(layer.read, 0, source.query, kZero, query_factor);
    add(layer.read, d, source.key, kZero, 1.0f);
    add(layer.read, 2 * d, source.value, kZero, 1.0f);
    add(layer.out, 0, source.out, kZero, 1.0f);
    layer.out_multiplier = source.out.activation_multiplier;
    layer.norm = {source.norm.scale, source.norm.bias};
    prepare_feed(memory, layer.feed, source.feed, *sizes);
  }
  for (int n = 0; n < sizes->decoder_depth && !memory.failed; ++n) {
    DecoderLayer& layer = *new (student->decoder + n) DecoderLayer();
    const LatimerDecoderLayer& source = decoder[n];
    prepare(memory, layer.cell, d, 2 * d);
    prepare(memory, layer.query, d, d);
    prepare(memory, layer.out, d, d);
    if (memory.failed) break;
    add(layer.cell, 0, source.candidate, kZero, 1.0f);
    add(layer.cell, d, source.forget, kZero, 1.0f);
    layer.cell_norm = {source.cell_norm.scale, source.cell_norm.bias};
    add(layer.query, 0, source.query, kZero, query_factor);
    add(student->context, 2 * n * d, source.key, kZero, 1.0f);
    add(student->context, (2 * n + 1) * d, source.value, kZero, 1.0f);
    add(layer.out, 0, source.out, kZero, 1.0f);
    layer.out_multiplier = source.out.activation_multiplier;
    layer.norm = {source.norm.scale, source.norm.bias};
    prepare_feed(memory, layer.feed, source.feed, *sizes);
  }
  if (memory.failed) {
    delete student;
    return nullptr;
  }
  return student;
}

void latimer_unload(LatimerStudent* student) { delete student; }

LatimerBatch* latimer_begin(const LatimerStudent* student, int rows, const int32_t* ids, const int32_t* lengths,
                            const int32_t* caps, const float* positions, int aligned) {
  using namespace latimer;
  auto* batch = new (std::nothrow) LatimerBatch();
  if (batch == nullptr) return nullptr;
  Memory& memory = batch->memory;
  const LatimerSizes& sizes = student->sizes;
  const size_t d = sizes.dimension, count = rows, layers = sizes.decoder_depth;
  batch->student = student;
  batch->rows = batch->left = rows;
  batch->aligned = aligned;
  batch->lengths = lengths;
  batch->caps = caps;
  batch->positions = positions;
  batch->active = memory.take<int>(count);
  batch->previous = memory.take<int32_t>(count);
  batch->cells = memory.take<float*>(layers);
  batch->keys = memory.take<uint16_t**>(layers);
  batch->values = memory.take<uint16_t**>(layers);
  batch->candidates = memory.take<int32_t*>(count);
  batch->biases = memory.take<float*>(count);
  batch->counts = memory.take<int>(count);
  uint64_t* wanted = memory.take<uint64_t>((sizes.target_vocabulary + 63) / 64);
  for (size_t n = 0; n < layers && !memory.failed; ++n) {
    batch->cells[n] = memory.take_zeros<float>(count * d);
    batch->keys[n] = memory.take<uint16_t*>(count);
    batch->values[n] = memory.take<uint16_t*>(count);
    for (int row = 0; row < rows && !memory.failed; ++row) {
      batch->keys[n][row] = memory.take<uint16_t>(d * padded(lengths[row]));
      batch->values[n][row] = memory.take<uint16_t>(d * lengths[row]);
    }
  }
  int width = 0, most = 0;
  const int32_t* row_ids = ids;
  for (int row = 0; row < rows && !memory.failed; ++row) {
    batch->active[row] = row;
    batch->previous[row] = sizes.target_vocabulary;  // its embedding is zero
    if (!choose_candidates(*batch, row_ids, row, wanted)) break;
    row_ids += lengths[row];
    width = lengths[row] > width ? lengths[row] : width;
    most = batch->counts[row] > most ? batch->counts[row] : most;
  }
  const int wide = padded(width > most ? width : most);
  batch->x = memory.take<float>(count * d);
  batch->y = memory.take<float>(count * 2 * d);
  batch->z = memory.take<float>(d);
  batch->scores = memory.take<float>(wide);
  batch->steps = memory.take<float>(count);
  batch->bytes = memory.take<uint8_t>(count * d);
  batch->hidden = memory.take<uint8_t>(count * sizes.ffn_dimension);
  batch->groups = memory.take<int>(sizes.ffn_dimension / 4 + kLanes);
  batch->features = memory.take<int8_t>(count * d);
  batch->totals = memory.take<int>(count);
  batch->sums = memory.take<int32_t*>(count);
  for (int row = 0; row < rows && !memory.failed; ++row) batch->sums[row] = memory.take<int32_t>(padded(most) + kLanes);
  if (memory.failed || !gather_candidates(*batch, wanted) || !encode(*batch, ids)) {
    delete batch;
    return nullptr;
  }
  return batch;
}

int latimer_advance(LatimerBatch* batch, int steps, const float* positions, const LatimerOutput* output) {
  using namespace latimer;
  Memory memory;
  Focus* focus = memory.take<Focus>(batch->rows);
  int* chosen = memory.take<int>(batch->rows);
  float* log_probs = memory.take<float>(batch->rows);
  if (memory.failed) return LATIMER_NO_MEMORY;
  for (int n = 0; n < steps && batch->left > 0; ++n, ++batch->position) {
    step(*batch, positions + static_cast<size_t>(n) * batch->student->sizes.dimension, focus, chosen, log_probs);
    int left = 0;
    for (int i = 0; i < batch->left; ++i) {
      const int row = batch->active[i];
      const bool ends = chosen[i] == kEnd;
      if (ends || batch->position < batch->caps[row]) output->scores[row] += static_cast<double>(log_probs[i]);
      if (ends) output->finished[row] = 1;
      if (ends || batch->position >= batch->caps[row]) continue;
      const size_t place = static_cast<size_t>(row) * output->stride + n;
      output->ids[place] = chosen[i];
      if (batch->aligned) {
        output->focus[place] = focus[i].place;
        output->weights[place] = focus[i].weight;
      }
      output->counts[row] = n + 1;
      batch->previous[row] = chosen[i];
      batch->active[left++] = row;
    }
    batch->left = left;
  }
  return batch->left;
}

void latimer_end(LatimerBatch* batch) { delete batch; }

#ifdef LATIMER_PROFILE
// Copies the nanoseconds since the last call, encoding [6], then decoding [6].
void latimer_read_profile(double* parts) {
  std::memcpy(parts, latimer::profile.parts, sizeof(latimer::profile.parts));
  latimer::profile = latimer::Profile();
}
#endif

#pragma GCC pop_options

}  // extern "C"

#else  // other processors and systems: the library loads, and reports that it has no instructions

extern "C" {

int latimer_get_interface(void) { return LATIMER_INTERFACE; }

int latimer_find_instructions(void) { return LATIMER_NONE; }

LatimerStudent* latimer_load(const LatimerSizes*, const LatimerTables*, const LatimerEncoderLayer*,
                             const LatimerDecoderLayer*, int) {
  return nullptr;
}

void latimer_unload(LatimerStudent*) {}

LatimerBatch* latimer_begin(const LatimerStudent*, int, const int32_t*, const int32_t*, const int32_t*, const float*, int) {
  return nullptr;
}

int latimer_advance(LatimerBatch*, int, const float*, const LatimerOutput*) { return LATIMER_NO_MEMORY; }

void latimer_end(LatimerBatch*) {}

}  // extern "C"

#endif
