// The decoder: computes one step for every active hypothesis.
//
// Sources: Kim et al. 2019 (D19-5632, the SSRU), marian-dev `src/models/transformer.h`. The caller ends hypotheses.
#pragma once

namespace LATIMER_KERNELS {

// Computes the features of the next token of every active hypothesis in `batch.x`, at the given position embedding.
inline void decode(Batch& batch, const float* position, Focus* focus) {
  const Student& student = *batch.student;
  const LatimerSizes& sizes = student.sizes;
  const int d = sizes.dimension, depth = student.depth(), rows = batch.left;
  const bool tiles = student.tiles;
  for (int n = 0; n < rows; ++n)
    embed(student.tables.target + static_cast<size_t>(batch.previous[n]) * d, student.tables.target_unit, position,
          batch.x + n * d, d);
  for (int at = 0; at < sizes.decoder_depth; ++at) {
    const DecoderLayer& layer = student.decoder[at];
    for (int n = 0; n < rows; ++n) batch.steps[n] = quantize_by_peak(batch.x + n * d, batch.bytes + n * d, d);
    multiply(batch.bytes, rows, layer.cell, tiles, nullptr, ToFloats{layer.cell, batch.steps, 1, batch.y, 2 * d});
    for (int n = 0; n < rows; ++n) {
      float* gates = batch.y + n * 2 * d;
      const float* before = batch.cells[at] + static_cast<size_t>(batch.slots[n].from) * d;
      recur(gates, gates + d, before, batch.cells[at] + static_cast<size_t>(batch.slots[n].to) * d, batch.z, d);
      normalize(batch.x + n * d, batch.z, layer.cell_norm.scale, layer.cell_norm.bias, d);
      batch.steps[n] = quantize_by_peak(batch.x + n * d, batch.bytes + n * d, d);
    }
    multiply(batch.bytes, rows, layer.query, tiles, nullptr, ToFloats{layer.query, batch.steps, 1, batch.y, d});
    const bool looks = batch.aligned != 0 && at == sizes.decoder_depth - 1;
    for (int n = 0; n < rows; ++n) {
      const int row = batch.active[n], width = batch.lengths[row];
      const Memories<uint16_t> memories{batch.keys[at][row], batch.values[at][row], width, padded(width), depth, width * depth};
      attend<1>(batch.y + n * d, d, memories, sizes.heads, depth, batch.scores, batch.z, d, looks ? focus + n : nullptr);
      quantize(batch.z, layer.out_multiplier, batch.bytes + n * d, d);
    }
    const float unit = 1.0f / layer.out_multiplier;
    multiply(batch.bytes, rows, layer.out, tiles, nullptr, ToFloats{layer.out, &unit, 0, batch.y, d});
    for (int n = 0; n < rows; ++n) normalize(batch.x + n * d, batch.y + n * d, layer.norm.scale, layer.norm.bias, d);
    feed_forward(layer.feed, batch.x, batch.y, rows, batch.bytes, batch.hidden, batch.groups, tiles);
  }
}

}  // namespace LATIMER_KERNELS
