// Greedy and beam search over a Marian student: encodes the sources of a batch, then decodes it step by step.
//
// The network has a transformer encoder (Vaswani et al. 2017, post-norm) and an SSRU decoder (Kim et al. 2019), in int8.
// Rows have no padding and leave the batch when they end. Sums of bytes are exact and everything else is computed one row
// at a time, so that the output of a row does not depend on its batch. `checks.h` has checked all sizes.
#pragma once

// clang-format off
#include "memory.h"
#include "products.h"
#include "vectors.h"
#include "attention.h"
#include "layers.h"
#include "batch.h"
#include "candidates.h"
#include "encoder.h"
#include "decoder.h"
#include "ranking.h"
#include "beams.h"
// clang-format on

namespace LATIMER_KERNELS {

inline LatimerStudent* load_student(const LatimerSizes& sizes, const LatimerTables& tables, const LatimerEncoderLayer* encoder,
                                    const LatimerDecoderLayer* decoder, bool tiles) {
  auto* student = new (std::nothrow) Student();
  if (student == nullptr) return nullptr;
  Memory& memory = student->memory;
  student->sizes = sizes;
  student->tables = tables;
  student->tiles = tiles;
  const int d = sizes.dimension;
  // The query includes the attention's factor 1/sqrt(depth).
  const float query_factor = 1.0f / std::sqrt(static_cast<float>(student->depth()));
  student->encoder = memory.take<EncoderLayer>(sizes.encoder_depth);
  student->decoder = memory.take<DecoderLayer>(sizes.decoder_depth);
  prepare(memory, student->context, d, 2 * d * sizes.decoder_depth);
  for (int n = 0; n < sizes.encoder_depth && !memory.failed; ++n) {
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
    prepare_feed(memory, layer.feed, source.feed, sizes);
  }
  for (int n = 0; n < sizes.decoder_depth && !memory.failed; ++n) {
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
    prepare_feed(memory, layer.feed, source.feed, sizes);
  }
  if (!memory.failed) pack_whole_table(*student);
  if (memory.failed) {
    delete student;
    return nullptr;
  }
  return student;
}

inline void unload_student(LatimerStudent* student) { delete static_cast<Student*>(student); }

// Allocates what the steps of greedy and beam search need for `count` hypotheses, of which `per_row` share a row. `most` is
// the most candidates of a row.
inline void take_step_scratch(Batch& batch, size_t count, size_t per_row, int most) {
  Memory& memory = batch.memory;
  const LatimerSizes& sizes = batch.student->sizes;
  const size_t d = sizes.dimension;
  int width = 0;
  for (int row = 0; row < batch.rows; ++row) width = batch.lengths[row] > width ? batch.lengths[row] : width;
  size_t scores = per_row * padded(most);
  if (batch.whole) scores = count * kChunkBlocks * kLanes;
  batch.x = memory.take<float>(count * d);
  batch.y = memory.take<float>(count * 2 * d);
  batch.z = memory.take<float>(d);
  batch.scores = memory.take<float>(scores > static_cast<size_t>(padded(width)) ? scores : padded(width));
  batch.steps = memory.take<float>(count);
  batch.bytes = memory.take<uint8_t>(count * d);
  batch.hidden = memory.take<uint8_t>(count * sizes.ffn_dimension);
  batch.groups = memory.take<int>(sizes.ffn_dimension / 4 + kLanes);
  batch.features = memory.take<int8_t>(count * d);
  batch.totals = memory.take<int>(count);
  if (batch.whole && batch.student->whole_table == nullptr) batch.chunk = memory.take<uint8_t>(kChunkBlocks * kLanes * d);
}

// Allocates what only greedy search needs. Returns false if there is no memory.
inline bool prepare_greedy(Batch& batch, int most, uint64_t* wanted) {
  Memory& memory = batch.memory;
  batch.search = nullptr;
  batch.best = memory.take<Best>(batch.rows);
  batch.places = memory.take<int32_t*>(batch.rows);
  batch.sums = memory.take<int32_t*>(batch.rows);
  for (int row = 0; row < batch.rows && !memory.failed; ++row) batch.sums[row] = memory.take<int32_t>(padded(most) + kLanes);
  return !memory.failed && (batch.whole || gather_candidates(batch, wanted));
}

inline LatimerBatch* begin_batch(const LatimerStudent* given, const LatimerRequest& request) {
  const Student* student = static_cast<const Student*>(given);
  auto* batch = new (std::nothrow) Batch();
  if (batch == nullptr) return nullptr;
  Memory& memory = batch->memory;
  const LatimerSizes& sizes = student->sizes;
  const size_t d = sizes.dimension, rows = request.rows, layers = sizes.decoder_depth;
  const size_t per_row = request.beams != 0 ? request.beams : 1, count = rows * per_row;
  batch->student = student;
  batch->sizes = sizes;
  batch->rows = batch->left = request.rows;
  batch->aligned = request.aligned;
  batch->beams = request.beams;
  batch->hypotheses = request.hypotheses;
  batch->whole = request.whole_vocabulary != 0 || student->tables.shortlist_ids == nullptr;
  batch->lengths = request.lengths;
  batch->caps = request.caps;
  batch->positions = request.positions;
  batch->poll_time = request.poll_time;
  batch->active = memory.take<int>(count);
  batch->previous = memory.take<int32_t>(count);
  batch->slots = memory.take<Slots>(count);
  batch->cells = memory.take<float*>(layers);
  batch->keys = memory.take<uint16_t**>(layers);
  batch->values = memory.take<uint16_t**>(layers);
  batch->candidates = memory.take<int32_t*>(rows);
  batch->biases = memory.take<float*>(rows);
  batch->counts = memory.take<int>(rows);
  uint64_t* wanted = memory.take<uint64_t>((sizes.target_vocabulary + 63) / 64);
  for (size_t n = 0; n < layers && !memory.failed; ++n) {
    // A beam needs the states before a step and after it, because several hypotheses may continue one.
    batch->cells[n] = memory.take_zeros<float>((request.beams != 0 ? 2 : 1) * count * d);
    batch->keys[n] = memory.take<uint16_t*>(rows);
    batch->values[n] = memory.take<uint16_t*>(rows);
    for (int row = 0; row < request.rows && !memory.failed; ++row) {
      batch->keys[n][row] = memory.take<uint16_t>(d * padded(request.lengths[row]));
      batch->values[n][row] = memory.take<uint16_t>(d * request.lengths[row]);
    }
  }
  int most = 0;
  const int32_t* row_ids = request.ids;
  for (int row = 0; row < request.rows && !memory.failed; ++row) {
    batch->active[row] = row;
    batch->previous[row] = sizes.target_vocabulary;  // its embedding is zero
    // The first state is zero. In a beam search it is in the second half, which the first step reads.
    batch->slots[row] = {request.beams != 0 ? static_cast<int>(count) + row : row, row};
    batch->counts[row] = 0;
    if (!batch->whole && !choose_candidates(*batch, row_ids, row, wanted)) break;
    row_ids += request.lengths[row];
    most = batch->counts[row] > most ? batch->counts[row] : most;
  }
  if (!memory.failed) take_step_scratch(*batch, count, per_row, most);
  if (memory.failed || !(request.beams != 0 ? prepare_beams(*batch, request, most) : prepare_greedy(*batch, most, wanted)) ||
      !prepare_encoder(*batch, request.ids)) {
    delete batch;
    return nullptr;
  }
  return batch;
}

inline int encode_batch(LatimerBatch* batch) { return encode_some(*static_cast<Batch*>(batch)); }

// Computes one greedy step of every active row.
inline void step(Batch& batch, const float* position, Focus* focus, int* chosen, float* log_probs) {
  LATIMER_CLOCK(kWriting);
  decode(batch, position, focus);
  score_rows(batch, chosen, log_probs);
}

inline int advance_batch(LatimerBatch* given, int steps, const float* positions, const LatimerOutput& output) {
  Batch* batch = static_cast<Batch*>(given);
  Memory memory;
  Focus* focus = memory.take<Focus>(batch->rows);
  int* chosen = memory.take<int>(batch->rows);
  float* log_probs = memory.take<float>(batch->rows);
  if (memory.failed) return LATIMER_NO_MEMORY;
  for (int n = 0; n < steps && batch->left > 0; ++n) {
    step(*batch, positions + static_cast<size_t>(n) * batch->student->sizes.dimension, focus, chosen, log_probs);
    int left = 0;
    for (int i = 0; i < batch->left; ++i) {
      const int row = batch->active[i];
      const bool ends = chosen[i] == kEnd;
      if (ends || batch->position < batch->caps[row]) output.scores[row] += static_cast<double>(log_probs[i]);
      if (ends) output.finished[row] = 1;
      if (ends || batch->position >= batch->caps[row]) continue;
      const size_t place = static_cast<size_t>(row) * output.stride + n;
      output.ids[place] = chosen[i];
      if (batch->aligned) {
        output.focus[place] = focus[i].place;
        output.weights[place] = focus[i].weight;
      }
      output.counts[row] = n + 1;
      batch->previous[left] = chosen[i];
      batch->slots[left] = batch->slots[i];
      batch->active[left++] = row;
    }
    batch->left = left;
    ++batch->position;
    if (latimer::has_come(batch->poll_time)) break;
  }
  return batch->left;
}

inline void end_batch(LatimerBatch* batch) { delete static_cast<Batch*>(batch); }

}  // namespace LATIMER_KERNELS
