// The packed layers of a student, and the parts that encoder and decoder share: embeddings and feed-forward layers.
//
// Source: Vaswani et al. 2017 (post-norm).
#pragma once

namespace LATIMER_KERNELS {

struct Norm {
  const float* scale;
  const float* bias;
};

struct FeedForward {
  Matrix inner, outer;
  float inner_multiplier, outer_step;
  Norm norm;
};

struct EncoderLayer {
  Matrix read;  // query, key and value matrices, side by side
  Matrix out;
  float out_multiplier;
  Norm norm;
  FeedForward feed;
};

struct DecoderLayer {
  Matrix cell;  // matrices of the candidate and the forget gate, side by side
  Norm cell_norm;
  Matrix query, out;
  float out_multiplier;
  Norm norm;
  FeedForward feed;
};

inline int padded(int width) { return (width + kLanes - 1) / kLanes * kLanes; }

// Allocates a matrix. `add` then fills it with one or more matrices, side by side.
inline void prepare(Memory& memory, Matrix& matrix, int size, int columns) {
  matrix.size = size;
  matrix.columns = columns;
  matrix.packed = memory.take<int8_t>(static_cast<size_t>(size) * columns);
  matrix.units = memory.take<float>(columns);
  matrix.bias = memory.take_zeros<float>(columns);
  matrix.offsets = memory.take<int32_t>(columns);
}

// Packs a matrix of the file at `column`. `factor` scales the product and the bias.
inline void add(Matrix& matrix, int column, const LatimerMatrix& source, int zero, float factor) {
  pack(matrix, column, source.values, source.columns, zero);
  for (int n = 0; n < source.columns; ++n) {
    matrix.units[column + n] = factor / source.multiplier;
    if (source.bias != nullptr) matrix.bias[column + n] = source.bias[n] * factor;
  }
}

inline void prepare_feed(Memory& memory, FeedForward& feed, const LatimerFeedForward& source, const LatimerSizes& sizes) {
  prepare(memory, feed.inner, sizes.dimension, sizes.ffn_dimension);
  prepare(memory, feed.outer, sizes.ffn_dimension, sizes.dimension);
  if (memory.failed) return;
  add(feed.inner, 0, source.inner, kZero, 1.0f);
  add(feed.outer, 0, source.outer, 0, 1.0f);
  feed.inner_multiplier = source.inner.activation_multiplier;
  // The byte 0 represents 0, which cuts off negative values, so that all 256 levels serve positive ones.
  feed.outer_step = 1.0f / source.outer.activation_multiplier * 127.0f / 255.0f;
  for (int n = 0; n < sizes.ffn_dimension; ++n) {
    const float unit = 1.0f / source.inner.multiplier / feed.inner_multiplier;
    feed.inner.units[n] = unit / feed.outer_step;
    feed.inner.bias[n] = std::nearbyint(source.inner.bias[n] / unit);
  }
  feed.norm = {source.norm.scale, source.norm.bias};
}

// Computes x = LayerNorm(x + W2 relu(W1 x + b1) + b2) for each of `rows`.
inline void feed_forward(const FeedForward& feed, float* x, float* y, int rows, uint8_t* bytes, uint8_t* hidden, int* groups,
                         bool tiles) {
  const int d = feed.inner.size, inner = feed.inner.columns;
  for (int n = 0; n < rows; ++n) quantize(x + n * d, feed.inner_multiplier, bytes + n * d, d);
  multiply(bytes, rows, feed.inner, tiles, nullptr, ToBytes{feed.inner, hidden, inner});
  multiply(hidden, rows, feed.outer, tiles, groups, ToFloats{feed.outer, &feed.outer_step, 0, y, d});
  for (int n = 0; n < rows; ++n) normalize(x + n * d, y + n * d, feed.norm.scale, feed.norm.bias, d);
}

inline void embed(const uint8_t* row, float unit, const float* position, float* out, int size) {
  const Floats factor = fill(unit);
  for (int i = 0; i < size; i += kLanes) {
    const Floats value = to_floats(sub(load_bytes(row + i), fill(kZero)));
    store(out + i, add(mul(value, factor), load(position + i)));
  }
}

}  // namespace LATIMER_KERNELS
