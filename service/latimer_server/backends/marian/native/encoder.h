// The encoder: computes the keys and values of the sources for the decoder's attention.
//
// Source: Vaswani et al. 2017. Rows are adjacent, without padding.
#pragma once

namespace LATIMER_KERNELS {

// The maximum number of tokens that are encoded together, unless one source is longer. Their values fit into a core's
// cache.
constexpr int kGroupTokens = 256;

// Transposes keys [width, stride] to [heads, depth, padded], so that one query reads sixteen of them at once.
inline void transpose_keys(const float* keys, int stride, int width, int heads, int depth, float* out) {
  const int wide = padded(width);
  for (int column = 0; column < heads * depth; ++column) {
    float* row = out + static_cast<size_t>(column) * wide;
    for (int j = 0; j < width; ++j) row[j] = keys[static_cast<size_t>(j) * stride + column];
    for (int j = width; j < wide; ++j) row[j] = 0.0f;
  }
}

inline bool take_scratch(Memory& memory, const LatimerSizes& sizes, int tokens, int width, EncoderScratch& scratch) {
  const size_t d = sizes.dimension, count = tokens, layers = sizes.decoder_depth;
  scratch.x = memory.take<float>(count * d);
  scratch.y = memory.take<float>(count * d);
  scratch.read = memory.take<float>(count * d * (layers * 2 > 3 ? layers * 2 : 3));
  scratch.keys = memory.take<float>(d * padded(width));
  scratch.scores = memory.take<float>(4 * padded(width));
  scratch.steps = memory.take<float>(count);
  scratch.bytes = memory.take<uint8_t>(count * d);
  scratch.hidden = memory.take<uint8_t>(count * sizes.ffn_dimension);
  return !memory.failed;
}

// Encodes the sources `first` to `last` - 1, which have `tokens` tokens together.
inline void encode_rows(Batch& batch, const int32_t* ids, int first, int last, int tokens, const EncoderScratch& s) {
  const Student& student = *batch.student;
  const int d = student.sizes.dimension, heads = student.sizes.heads, depth = student.depth();
  int token = 0;
  for (int row = first; row < last; ++row)
    for (int j = 0; j < batch.lengths[row]; ++j, ++token)
      embed(student.tables.source + static_cast<size_t>(ids[token]) * d, student.tables.source_unit, batch.positions + j * d,
            s.x + token * d, d);
  for (int n = 0; n < student.sizes.encoder_depth; ++n) {
    const EncoderLayer& layer = student.encoder[n];
    for (int i = 0; i < tokens; ++i) s.steps[i] = quantize_by_peak(s.x + i * d, s.bytes + i * d, d);
    multiply(s.bytes, tokens, layer.read, student.tiles, nullptr, ToFloats{layer.read, s.steps, 1, s.read, 3 * d});
    for (int row = first, at = 0; row < last; at += batch.lengths[row++]) {
      const int width = batch.lengths[row];
      const float* projected = s.read + static_cast<size_t>(at) * 3 * d;
      transpose_keys(projected + d, 3 * d, width, heads, depth, s.keys);
      const Memories<float> memories{s.keys, projected + 2 * d, width, padded(width), 3 * d, depth};
      int j = 0;
      for (; j + 4 <= width; j += 4)
        attend<4>(projected + static_cast<size_t>(j) * 3 * d, 3 * d, memories, heads, depth, s.scores, s.y + (at + j) * d, d,
                  nullptr);
      for (; j < width; ++j)
        attend<1>(projected + static_cast<size_t>(j) * 3 * d, 3 * d, memories, heads, depth, s.scores, s.y + (at + j) * d, d,
                  nullptr);
    }
    for (int i = 0; i < tokens; ++i) quantize(s.y + i * d, layer.out_multiplier, s.bytes + i * d, d);
    const float step = 1.0f / layer.out_multiplier;
    multiply(s.bytes, tokens, layer.out, student.tiles, nullptr, ToFloats{layer.out, &step, 0, s.y, d});
    for (int i = 0; i < tokens; ++i) normalize(s.x + i * d, s.y + i * d, layer.norm.scale, layer.norm.bias, d);
    feed_forward(layer.feed, s.x, s.y, tokens, s.bytes, s.hidden, nullptr, student.tiles);
  }
  for (int i = 0; i < tokens; ++i) s.steps[i] = quantize_by_peak(s.x + i * d, s.bytes + i * d, d);
  const int wide = student.context.columns;
  multiply(s.bytes, tokens, student.context, student.tiles, nullptr, ToFloats{student.context, s.steps, 1, s.read, wide});
  for (int row = first, at = 0; row < last; at += batch.lengths[row++]) {
    const int width = batch.lengths[row];
    const float* projected = s.read + static_cast<size_t>(at) * wide;
    for (int n = 0; n < student.sizes.decoder_depth; ++n) {
      transpose_keys(projected + 2 * n * d, wide, width, heads, depth, s.keys);
      write_halves(s.keys, batch.keys[n][row], d * padded(width));
      for (int head = 0; head < heads; ++head)
        for (int j = 0; j < width; ++j)
          write_halves(projected + static_cast<size_t>(j) * wide + (2 * n + 1) * d + head * depth,
                       batch.values[n][row] + (static_cast<size_t>(head) * width + j) * depth, depth);
    }
  }
}

// Allocates what `encode_some` needs. Returns false if there is no memory.
inline bool prepare_encoder(Batch& batch, const int32_t* ids) {
  int longest = 0, all = 0;
  for (int row = 0; row < batch.rows; ++row) {
    longest = batch.lengths[row] > longest ? batch.lengths[row] : longest;
    all += batch.lengths[row];
  }
  const int most = longest > kGroupTokens ? longest : kGroupTokens;
  batch.group_tokens = most < all ? most : all;
  batch.encoded = 0;
  batch.next_ids = ids;
  return take_scratch(batch.memory, batch.student->sizes, batch.group_tokens, longest, batch.encoder);
}

// Encodes the next groups of sources until the poll time has come. Returns the number of sources that are left.
inline int encode_some(Batch& batch) {
  LATIMER_CLOCK(kReading);
  while (batch.encoded < batch.rows) {
    int last = batch.encoded, tokens = 0;
    while (last < batch.rows && tokens + batch.lengths[last] <= batch.group_tokens) tokens += batch.lengths[last++];
    encode_rows(batch, batch.next_ids, batch.encoded, last, tokens, batch.encoder);
    batch.next_ids += tokens;
    batch.encoded = last;
    if (latimer::has_come(batch.poll_time)) break;
  }
  return batch.rows - batch.encoded;
}

}  // namespace LATIMER_KERNELS
